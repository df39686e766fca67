"""``opsnb activate``: what differs between the workspace's files and the active revision; then have the files hold."""

from __future__ import annotations

import sys
from typing import Any

import click

from opsnb.base.errors import UsageError
from opsnb.cli.output import json_option, mark, print_json, safe, say, table, told, workspace

KINDS = (
    mark("settings"), mark("setting"), mark("policy"), mark("inventory"), mark("host"), mark("group"), mark("service"),
    mark("credential"), mark("schedules"), mark("notebook"), mark("script"), mark("configs"), mark("freeze"),
    mark("new"), mark("gone"),
)  # fmt: skip
MARKS = {"new": ("+", "green"), "gone": ("-", "red"), "changed": ("~", "yellow")}
MAX_NEW = 20  # new or gone things of one kind that are named one by one
LINE_COLOURS = {"  +": "green", "  -": "red"}
SHORT = 12  # hex digits of a digest that people read


@click.command("activate")
@click.option("--show", "show", is_flag=True, help="Show which revision holds, who activated it, and the ones before.")
@click.option("--diff", "diff", is_flag=True, help="Show what differs, and activate nothing.")
@click.option("--yes", "-y", "yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, show: bool, diff: bool, yes: bool, as_json: bool) -> None:
    """Show how the workspace's files differ from those that hold, ask, and have them hold."""
    from opsnb.client import connect

    if show and (diff or yes):
        raise UsageError("--show goes with nothing else than --json")
    client = connect(workspace(ctx))
    if show:
        found = client.get("/api/revision")
        print_json(found) if as_json else _show(found)
        return
    found = client.get("/api/revision/difference")
    if not as_json:
        _say(found)
    if diff or not found["changes"]:
        if as_json:
            print_json(found if diff else {**found, "activated": False, "revision": found["active"]})
        return
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise UsageError("nobody is there to be asked, so nothing was activated", hint="opsnb activate --yes")
        click.confirm(say("Have these files hold?"), abort=True)
        client = connect(workspace(ctx))  # one that was started for us does not wait for people
    done = client.post("/api/revision", {"files": found["files"], "active": found["active"]})
    if as_json:
        print_json({**found, **done})
    else:
        click.echo(say("revision {n} is active: {digest}", n=done["revision"], digest=done["digest"][:SHORT]))


def _show(found: dict[str, Any]) -> None:
    active = found["active"]
    if found["holds"] == "files":
        click.echo(say("one person has this workspace: its files hold as they are"))
    elif active is None:
        click.echo(say("no revision is active"))
    else:
        about = {"n": active["number"], "digest": active["digest"][:SHORT], "who": active["by"]}
        if active["automatic"]:
            click.echo(
                say("revision {n} is active: {digest}, by {who}, automatically, when a second person came", **about)
            )
        else:
            click.echo(say("revision {n} is active: {digest}, by {who}", **about))
    for path in found["differs"]:
        click.echo("  " + say("{path} differs from it", path=path))
    click.echo(say("may activate: {names}", names=_able(found)))
    if found["history"]:
        table((say("REVISION"), say("DIGEST"), say("ACTIVATED"), say("BY"), ""), [
            (r["number"], r["digest"][:SHORT], r["at"], r["by"], say("automatic") if r["automatic"] else "")
            for r in found["history"]
        ])  # fmt: skip


def _say(found: dict[str, Any]) -> None:
    """Print what differs: each thing with how; many new or gone ones of a kind as a number."""
    if not found["changes"]:
        click.echo(say("the files are those that hold: nothing differs"))
        return
    counts: dict[tuple[str, str], int] = {}
    for row in found["changes"]:
        at = (row["kind"], row["what"])
        counts[at] = counts.get(at, 0) + 1
        if row["what"] != "changed" and counts[at] > MAX_NEW:
            continue
        sign, colour = MARKS[row["what"]]
        head = safe(f"{say(row['kind'])} {row['name']}").replace("\n", "\\x0a")
        head += {"new": " " + say("is new"), "gone": " " + say("is gone")}.get(row["what"], "")
        click.echo(f"{click.style(sign, fg=colour, bold=True)} {head}")
        for line in row["lines"]:
            click.echo("    " + click.style(safe(line), fg=LINE_COLOURS.get(line[:3])))
    for (kind, what), number in counts.items():
        if what != "changed" and number > MAX_NEW:
            more = say("{n} more of kind {kind}", n=number - MAX_NEW, kind=say(kind))
            click.echo(f"{MARKS[what][0]} … {more}: {say(what)}")
    for note in found.get("notes", ()):
        click.echo(click.style("! ", fg="yellow", bold=True) + told(note).replace("\n", "\\x0a"))
    number = len(found["changes"])
    count = say("{n} differences", n=number) if number > 1 else say("1 difference")
    click.echo(f"{count}; " + say("may activate: {names}", names=_able(found)))


def _able(found: dict[str, Any]) -> str:
    return ", ".join(found["may_activate"]) or say("nobody")
