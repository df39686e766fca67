"""``opsnb whoami``: who one is at the control plane that commands go to, and what one may."""

from __future__ import annotations

import click

from opsnb.cli.output import json_option, print_json, safe, workspace


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
    click.echo(click.style(safe(shown), bold=True) + safe(f"  at {place.url or place.root}  ({me['workspace']})"))
    by = {"local": "the token in .opsnb/", "token": "an API token", "session": "a session"}[me["via"]]
    until = f" until {me['expires']}" if me["expires"] else ""
    good = "all that you may" if me["scopes"] == ["*"] else ", ".join(me["scopes"])
    click.echo(safe(f"by {by}{until}, good for {good}"))
    click.echo(safe(f"roles  {', '.join(me['roles']) or 'none'}"))
    if me["notices"]:
        click.echo(f"{me['notices']} notice(s): opsnb requests notices")
