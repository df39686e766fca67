"""``opsnb whoami``: who one is at the control plane that commands go to, and what one may."""

from __future__ import annotations

import click

from opsnb.cli.output import json_option, print_json, safe, say, workspace


@click.command("whoami")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Say who you are, how you came in, your roles, and what your token is good for."""
    from opsnb.client import connect

    place = workspace(ctx)
    me = connect(place).get("/api/whoami")
    if as_json:
        print_json({**me, "url": place.url or None})
        return
    shown = f"{me['user']} ({me['display']})" if me["display"] else me["user"]
    click.echo(
        click.style(safe(shown), bold=True)
        + say("  at {place}  ({workspace})", place=place.url or place.root, workspace=me["workspace"])
    )
    by = {"local": say("the token in .opsnb/"), "token": say("an API token"), "session": say("a session")}[me["via"]]
    good = say("all that you may") if me["scopes"] == ["*"] else ", ".join(me["scopes"])
    if me["expires"]:
        click.echo(say("by {what} until {when}, good for {scopes}", what=by, when=me["expires"], scopes=good))
    else:
        click.echo(say("by {what}, good for {scopes}", what=by, scopes=good))
    click.echo(say("roles  {names}", names=", ".join(me["roles"]) or say("none")))
    if me["notices"]:
        click.echo(say("{n} notice(s): {command}", n=me["notices"], command="opsnb requests notices"))
