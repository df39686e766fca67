"""``opsnb role``: what people may do, by runbook, environment, host group and risk."""

from __future__ import annotations

import click

from opsnb.base.errors import NotFoundError
from opsnb.cli.changed import say_changes
from opsnb.cli.group import Commands
from opsnb.cli.output import json_option, print_json, say, table, told, workspace

may_option = click.option(
    "--may", "may", multiple=True, required=True, metavar="GRANT",
    help="What it allows: 'approve NGX-* in staging on web up to change'; again for more.",
)  # fmt: skip


@click.group("role", cls=Commands)
def command() -> None:
    """Show the built-in roles, and make own ones."""


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List roles, what each allows and who has it."""
    from opsnb.client import connect

    rows = connect(workspace(ctx)).get("/api/roles")
    if as_json:
        print_json(rows)
        return
    table((say("ROLE"), say("MAY"), say("HELD BY")), [
        (r["name"], told(r["about"]) or "; ".join(r["may"]) or say("nothing"), ", ".join(r["holders"]) or say("nobody"))
        for r in rows["roles"]
    ])  # fmt: skip


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show what NAME allows and who has it."""
    from opsnb.base.nearest import did_you_mean
    from opsnb.client import connect

    rows = {r["name"]: r for r in connect(workspace(ctx)).get("/api/roles")["roles"]}
    found = rows.get(name.casefold())
    if found is None:
        raise NotFoundError(f"no role is called '{name}'", hint=did_you_mean(name, rows, what="roles"))
    if as_json:
        print_json(found)
        return
    click.echo(
        click.style(found["name"], bold=True)
        + ("  " + say("built in: {about}", about=told(found["about"])) if found["builtin"] else "")
    )
    for grant in found["may"]:
        click.echo("  " + say("may {grant}", grant=grant))
    click.echo(say("held by {names}", names=", ".join(found["holders"]) or say("nobody")))


@command.command("add")
@click.argument("name")
@may_option
@json_option
@click.pass_context
def add(ctx: click.Context, name: str, may: tuple[str, ...], as_json: bool) -> None:
    """Make the role NAME."""
    _put(ctx, name, may, new=True, as_json=as_json)


@command.command("set")
@click.argument("name")
@may_option
@json_option
@click.pass_context
def set_(ctx: click.Context, name: str, may: tuple[str, ...], as_json: bool) -> None:
    """Have the role NAME allow just this instead."""
    _put(ctx, name, may, new=False, as_json=as_json)


@command.command("remove")
@click.argument("name")
@json_option
@click.pass_context
def remove(ctx: click.Context, name: str, as_json: bool) -> None:
    """Remove the role NAME, which nobody has any more."""
    from opsnb.client import connect

    done = connect(workspace(ctx)).post("/api/roles/remove", {"name": name})
    print_json(done) if as_json else say_changes(done["changes"])


def _put(ctx: click.Context, name: str, may: tuple[str, ...], *, new: bool, as_json: bool) -> None:
    from opsnb.client import connect

    done = connect(workspace(ctx)).post("/api/roles", {"name": name, "may": may, "new": new})
    print_json(done) if as_json else say_changes(done["changes"])
