"""``opsnb secret``: set, list, rotate, rm. A value comes from a hidden prompt or stdin, and nothing shows it again."""

from __future__ import annotations

import sys

import click

from opsnb.base.errors import UsageError
from opsnb.cli.group import Commands
from opsnb.cli.output import json_option, print_json, say, table, workspace

stdin_option = click.option("--stdin", "from_stdin", is_flag=True, help="Read the value from stdin, to its end.")

KEY = ".opsnb/keys/secrets.key"


@click.group("secret", cls=Commands)
def command() -> None:
    """Set, list, rotate and remove secrets; no command shows a value."""


@command.command("set")
@click.argument("name")
@stdin_option
@json_option
@click.pass_context
def set_(ctx: click.Context, name: str, from_stdin: bool, as_json: bool) -> None:
    """Store a value under NAME (like db/prod): asked for without echo, or read from stdin."""
    _put(ctx, name, from_stdin=from_stdin, as_json=as_json, rotate=False)


@command.command("rotate")
@click.argument("name", required=False)
@stdin_option
@json_option
@click.pass_context
def rotate(ctx: click.Context, name: str | None, from_stdin: bool, as_json: bool) -> None:
    """Give NAME a new value, as its next version; without NAME, encrypt everything anew under a new key."""
    if name is not None:
        _put(ctx, name, from_stdin=from_stdin, as_json=as_json, rotate=True)
        return
    if from_stdin:
        raise UsageError("--stdin goes with a NAME; without one a new key is made, and nothing is read")
    from opsnb.client import connect

    done = connect(workspace(ctx)).post("/api/secrets/rotate-key")
    if as_json:
        print_json(done)
    else:
        said = say("{n} value(s) encrypted anew; keep a copy of {path} elsewhere", n=done["encrypted"], path=KEY)
        click.echo(said)


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List names, versions, when and by whom they were set; the ledger knows each by its ID."""
    from opsnb.client import connect

    rows = connect(workspace(ctx)).get("/api/secrets")
    if as_json:
        print_json(rows)
        return
    headings = (say("NAME"), say("VERSION"), say("SET"), say("BY"), say("ID"))
    table(headings, [(r["name"], r["version"], r["at"], r["by"], r["id"]) for r in rows["secrets"]])


@command.command("rm")
@click.argument("name")
@json_option
@click.pass_context
def rm(ctx: click.Context, name: str, as_json: bool) -> None:
    """Delete a stored secret, every version of it."""
    from opsnb.client import connect

    done = connect(workspace(ctx)).post("/api/secrets/remove", {"name": name})
    print_json(done) if as_json else click.echo(say("removed {name}", name=done["name"]))


def _put(ctx: click.Context, name: str, *, from_stdin: bool, as_json: bool, rotate: bool) -> None:
    from opsnb.client import connect

    place = workspace(ctx)
    value = _from_stdin() if from_stdin else _asked(name)
    done = connect(place).post("/api/secrets", {"name": name, "value": value, "rotate": rotate})
    about = {"name": done["name"], "version": done["version"], "id": done["id"]}
    print_json(done) if as_json else click.echo(say("{name}  version {version}  {id}", **about))


def _asked(name: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            f"the value of '{name}' is asked for at a terminal, and there is none",
            hint=f"opsnb secret set {name} --stdin < FILE",
        )
    return str(click.prompt(say("value of {name}", name=name), hide_input=True, confirmation_prompt=True))


def _from_stdin() -> str:
    """Return all of stdin; the line break that ends one line is no part of the value, one that ends several is."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            "the value on stdin is not UTF-8 text", hint="encode it: base64 FILE | opsnb secret set ..."
        ) from error
    line = text.removesuffix("\n").removesuffix("\r")
    return text if "\n" in line else line
