"""``opsnb department``: the tree of departments, each with its leader."""

from __future__ import annotations

from typing import Any

import click

from opsnb.cli.changed import say_changes
from opsnb.cli.group import Commands
from opsnb.cli.output import json_option, print_json, say, table, workspace

parent_option = click.option("--parent", metavar="NAME", help="The department that it is part of; '' for none.")
leader_option = click.option("--leader", metavar="USER", help="Who leads it; '' for nobody.")


@click.group("department", cls=Commands)
def command() -> None:
    """Keep the tree of departments and their leaders."""


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Show the tree, who leads and who works where."""
    from opsnb.client import connect

    rows = connect(workspace(ctx)).get("/api/departments")
    if as_json:
        print_json(rows)
        return
    table((say("DEPARTMENT"), say("LEADER"), say("PEOPLE")), [
        ("  " * (len(r["path"]) - 1) + r["name"], _leader(r), _few(r["members"])) for r in rows["departments"]
    ])  # fmt: skip


@command.command("add")
@click.argument("name")
@parent_option
@leader_option
@json_option
@click.pass_context
def add(ctx: click.Context, name: str, parent: str | None, leader: str | None, as_json: bool) -> None:
    """Make the department NAME."""
    _put(ctx, {"name": name, "parent": parent, "leader": leader, "new": True}, as_json=as_json)


@command.command("set")
@click.argument("name")
@parent_option
@leader_option
@click.option("--rename", metavar="NAME", help="What it is called from now on.")
@json_option
@click.pass_context
def set_(
    ctx: click.Context, name: str, parent: str | None, leader: str | None, rename: str | None, as_json: bool
) -> None:
    """Move, rename or give a leader to the department NAME."""
    body = {"name": name, "parent": parent, "leader": leader, "rename": rename, "new": False}
    _put(ctx, body, as_json=as_json)


@command.command("remove")
@click.argument("name")
@json_option
@click.pass_context
def remove(ctx: click.Context, name: str, as_json: bool) -> None:
    """Remove the department NAME, in which nobody and nothing is any more."""
    from opsnb.client import connect

    done = connect(workspace(ctx)).post("/api/departments/remove", {"name": name})
    print_json(done) if as_json else say_changes(done["changes"])


def _put(ctx: click.Context, body: dict[str, Any], *, as_json: bool) -> None:
    from opsnb.client import connect

    done = connect(workspace(ctx)).post("/api/departments", body)
    print_json(done) if as_json else say_changes(done["changes"])


def _leader(department: dict[str, Any]) -> str:
    leader = str(department["leader"])
    return say("{name} (has left)", name=leader) if department["leader_left"] else leader or "-"


def _few(names: list[str]) -> str:
    most = 5
    first = ", ".join(names[:most])
    return say("{names} and {n} more", names=first, n=len(names) - most) if len(names) > most else first or "-"
