"""``opsnb user token | password | codes | logins``: what people hold to come in by."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from opsnb.base.errors import RefusedError, UsageError
from opsnb.cli.asking import LINK, hidden, new_password
from opsnb.cli.group import Commands
from opsnb.cli.output import json_option, print_json, say, table, workspace

if TYPE_CHECKING:
    from opsnb.base.workspace import Workspace
    from opsnb.client import Client

DAY = 86400.0  # seconds
MOST_DAYS = 366  # that a token lives
user_option = click.option("--user", default="", metavar="NAME", help="Whose, instead of one's own.")


@click.group("token", cls=Commands)
def token() -> None:
    """Make, list and revoke API tokens; a secret is shown once."""


@token.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, metavar="ACTION", help="What it is good for; again for more.")
@click.option(
    "--expires", default="30d", show_default=True, metavar="DURATION", help="How long: 12h, 90d, at most 366d."
)
@click.option("--user", default="", metavar="NAME", help="The service account that it is for.")
@json_option
@click.pass_context
def create(
    ctx: click.Context, name: str, scopes: tuple[str, ...], expires: str, user: str, as_json: bool
) -> None:  # fmt: skip
    """Make a token called NAME. It acts as its owner, and never does more than they may."""
    from opsnb.client import connect

    body = {"name": name, "scopes": scopes or ("*",), "seconds": _seconds(expires), "user": user}
    done = connect(workspace(ctx)).post("/api/tokens", body)
    if as_json:
        print_json(done)
        return
    made = done["token"]
    click.echo(done["secret"])
    about = {"id": made["id"], "user": made["user"], "scopes": ", ".join(made["scopes"]), "when": made["expires"]}
    click.echo(say("{id} of {user}, good for {scopes} until {when}", **about), err=True)
    click.echo(say("it is shown this once"), err=True)


@token.command("list")
@user_option
@click.option("--all", "everybody", is_flag=True, help="Everybody's.")
@json_option
@click.pass_context
def list_(ctx: click.Context, user: str, everybody: bool, as_json: bool) -> None:
    """List tokens and sessions that hold; no secret."""
    from opsnb.client import connect

    query = {"user": user, **({"everybody": "true"} if everybody else {})}
    rows = connect(workspace(ctx)).get("/api/tokens", **query)["tokens"]
    if as_json:
        print_json({"tokens": rows})
        return
    table((say("ID"), say("KIND"), say("USER"), say("NAME"), say("GOOD FOR"), say("EXPIRES"), say("LAST USED")), [
        (r["id"], r["kind"], r["user"], r["name"], ", ".join(r["scopes"]), r["expires"], r["used"] or "-") for r in rows
    ])  # fmt: skip


@token.command("revoke")
@click.argument("ident", metavar="ID")
@json_option
@click.pass_context
def revoke(ctx: click.Context, ident: str, as_json: bool) -> None:
    """Revoke a token or session by its id: it holds no more from now on."""
    from opsnb.client import connect

    done = connect(workspace(ctx)).post(f"/api/tokens/{quote(ident, safe='')}/revoke")
    if as_json:
        print_json(done)
    else:
        click.echo(say("{id} holds no more", id=ident))


@click.command("password")
@click.argument("name", default="")
@click.option("--code", "by_code", is_flag=True, help="With what a one-time link holds, which is asked for.")
@click.option(
    "--stdin", "from_stdin", is_flag=True, help="Read the new password from stdin, and what is asked for before it."
)
@json_option
@click.pass_context
def password(ctx: click.Context, name: str, by_code: bool, from_stdin: bool, as_json: bool) -> None:
    """Set one's own password; for NAME, somebody else, make a one-time link with which they set theirs."""
    from opsnb.client import connect

    place = workspace(ctx)
    client = connect(place)
    if name and not by_code and client.get("/api/whoami")["user"].casefold() != name.casefold():
        done = client.post(f"/api/users/{quote(name, safe='')}/link")
        if as_json:
            print_json(done)
            return
        click.echo(done["code"])
        about = {"user": done["user"], "when": done["expires"]}
        click.echo(say("{user} sets a password with it once, until {when}:", **about), err=True)
        where = say(
            "in a browser at URL/enter?code=CODE, or in a terminal: {command}", command="opsnb login URL --first"
        )
        click.echo(f"  {where}", err=True)
        return
    code = hidden(say(LINK), from_stdin=from_stdin) if by_code else ""
    if by_code:
        new = new_password(from_stdin=from_stdin)  # a control plane that was started for us does not wait for people
        done = connect(place).post("/api/enter", {"code": code, "password": new})
    elif place.url:
        with _in_person(place, from_stdin=from_stdin) as (session, old):
            done = session.post("/api/password", {"password": new_password(from_stdin=from_stdin), "old": old})
    else:
        new = new_password(from_stdin=from_stdin)
        done = connect(place).post("/api/password", {"password": new, "old": ""})
    if as_json:
        print_json(done)
    else:
        click.echo(say("the password of {user} is set", user=done["user"]))


@click.command("codes")
@click.option("--remove", is_flag=True, help="Want no codes any more.")
@click.option("--code", default="", metavar="CODE", help="A code of the authenticator.")
@user_option
@json_option
@click.pass_context
def codes(ctx: click.Context, remove: bool, code: str, user: str, as_json: bool) -> None:
    """Set an authenticator up: without a code its key is shown, with a code of it it counts from then on."""
    from opsnb.client import connect

    place = workspace(ctx)
    if user and not remove:
        raise UsageError("an authenticator is set up by its owner", hint="--remove takes somebody else's away")
    what = "/remove" if remove else "/confirm" if code else ""
    body = {"user": user, "code": code} if remove else {"code": code} if code else None
    if place.url and not user:
        with _in_person(place) as (session, _):
            done = session.post(f"/api/codes{what}", body)
    else:
        done = connect(place).post(f"/api/codes{what}", body)
    if as_json:
        print_json(done)
    elif "key" in done:
        click.echo(done["address"])
        then = "opsnb user codes --code CODE"
        click.echo(say("put it into an authenticator, then: {command}", command=then), err=True)
    elif done["codes"]:
        click.echo(say("{user} signs in with a code from now on", user=done["user"]))
    else:
        click.echo(say("{user} signs in without a code from now on", user=done["user"]))


@click.command("bind")
@click.argument("name")
@click.option("--ldap", is_flag=True, help="By the directory's entry of this name, or of --as.")
@click.option("--as", "entry", default="", metavar="NAME", help="What they are called in the directory.")
@click.option("--oidc", default="", metavar="SUBJECT", help="By this subject ('sub') of the provider.")
@json_option
@click.pass_context
def bind(ctx: click.Context, name: str, ldap: bool, entry: str, oidc: str, as_json: bool) -> None:
    """Have NAME sign in by what they are elsewhere. The ledger knows who bound whom."""
    if ldap == bool(oidc) or (entry and not ldap):
        raise UsageError("wanted --ldap or --oidc SUBJECT")
    _identity(ctx, name, {"source": "ldap" if ldap else "oidc", "subject": oidc or entry}, as_json=as_json)


@click.command("unbind")
@click.argument("name")
@click.option("--ldap", is_flag=True, help="From the directory.")
@click.option("--oidc", is_flag=True, help="From the provider.")
@json_option
@click.pass_context
def unbind(ctx: click.Context, name: str, ldap: bool, oidc: bool, as_json: bool) -> None:
    """Have NAME sign in by that no more; their sessions end."""
    if ldap == oidc:
        raise UsageError("wanted --ldap or --oidc")
    _identity(ctx, name, {"source": "ldap" if ldap else "oidc", "bound": False}, as_json=as_json)


def _identity(ctx: click.Context, name: str, body: dict[str, object], *, as_json: bool) -> None:
    from opsnb.client import connect

    done = connect(workspace(ctx)).post(f"/api/users/{quote(name, safe='')}/identity", body)
    if as_json:
        print_json(done)
    elif done["bound"]:
        about = {"user": done["user"], "name": done["name"], "source": done["source"]}
        click.echo(say("{user} signs in as '{name}' of {source} from now on", **about))
    else:
        click.echo(say("{user} signs in by {source} no more", user=done["user"], source=done["source"]))


@click.command("logins")
@user_option
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@click.pass_context
def logins(ctx: click.Context, user: str, limit: int, as_json: bool) -> None:
    """Show who signed in and who tried, newest first: one's own, or everybody's for who may audit."""
    from opsnb.client import connect

    client = connect(workspace(ctx))
    try:
        rows = client.get("/api/logins", user=user, limit=limit)["logins"]
    except RefusedError:
        if user:
            raise
        rows = client.get("/api/logins", user=client.get("/api/whoami")["user"], limit=limit)["logins"]
    if as_json:
        print_json({"logins": rows})
        return
    table((say("AT"), say("USER"), say("BY"), say("FROM"), say("OUTCOME")), [
        (r["at"], r["person"] or say("nobody"), r["way"], r["address"] or say("this machine"), r["outcome"])
        for r in rows
    ])  # fmt: skip


def _seconds(text: str) -> float:
    from opsnb.base.errors import ParameterError
    from opsnb.base.parameters import duration_seconds

    days = text.strip().removesuffix("d")
    try:
        found = float(days) * DAY if text.strip().endswith("d") and days.isdigit() else duration_seconds(text)
    except ParameterError:
        found = 0.0
    if not 0 < found <= MOST_DAYS * DAY:
        raise UsageError(f"--expires {text[:40]} is no time that a token lives", hint=f"12h, 90d, at most {MOST_DAYS}d")
    return found


@contextlib.contextmanager
def _in_person(place: Workspace, *, from_stdin: bool = False) -> Iterator[tuple[Client, str]]:
    """Yield the API as a session has it that ends with the block, and the password: a token sets neither of them."""
    from opsnb.client import connect

    client = connect(place)
    me = client.get("/api/whoami")
    old = hidden(say("Password until now"), from_stdin=from_stdin)
    code = hidden(say("Code of the authenticator"), from_stdin=from_stdin) if me["codes"] else ""
    session = client.session(me["user"], old, code)
    try:
        yield session, old
    finally:
        session.post("/api/session/end")
