"""``opsnb delegate``: who approves in whose place, from when until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import click

from opsnb.base.errors import UsageError
from opsnb.cli.group import Commands
from opsnb.cli.output import json_option, mark, print_json, say, table, workspace

TIMES = "like 2026-12-01, 2026-12-01T18:00, 2026-12-01T18:00+08:00, or 8h or 3d from the beginning"
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
STATES = (mark("holds"), mark("to come"), mark("over"))


@click.group("delegate", cls=Commands)
def command() -> None:
    """Have somebody approve in somebody's place for a time; every approval then says for whom."""


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that are over too.")
@json_option
@click.pass_context
def list_(ctx: click.Context, everything: bool, as_json: bool) -> None:
    """List delegations that hold or are to come."""
    from opsnb.client import connect

    query = {"everything": "true"} if everything else {}
    rows = connect(workspace(ctx)).get("/api/delegates", **query)
    if as_json:
        print_json(rows)
        return
    table((say("ID"), say("FOR"), say("DELEGATE"), say("FROM"), say("UNTIL"), say("STATE"), say("MADE BY")), [
        (r["id"], r["for"], r["delegate"], _local(r["begin"]), _local(r["removed"] or r["end"]),
         say(r["state"]), r["by"])
        for r in rows["delegates"]
    ])  # fmt: skip


@command.command("add")
@click.argument("user")
@click.argument("delegate")
@click.option("--until", required=True, metavar="TIME", help=f"When it ends: {TIMES}.")
@click.option("--from", "begin", metavar="TIME", help="When it begins; now otherwise.")
@json_option
@click.pass_context
def add(ctx: click.Context, user: str, delegate: str, until: str, begin: str | None, as_json: bool) -> None:
    """Have DELEGATE approve in the place of USER: yourself, or anybody as an administrator."""
    from opsnb.client import connect

    first = _time("--from", begin, last=False) if begin else None
    end = _time("--until", until, last=True, since=first)
    body = {
        "principal": user, "delegate": delegate, "begin": first.isoformat() if first else None, "end": end.isoformat(),
    }  # fmt: skip
    done = connect(workspace(ctx)).post("/api/delegates", body)
    print_json(done) if as_json else _say(done)


@command.command("remove")
@click.argument("delegation")
@json_option
@click.pass_context
def remove(ctx: click.Context, delegation: str, as_json: bool) -> None:
    """End a delegation now, by its ID; that it was there stays on record."""
    from opsnb.client import connect

    done = connect(workspace(ctx)).post(f"/api/delegates/{quote(delegation, safe='')}/end", {})
    if as_json:
        print_json(done)
    else:
        click.echo(say("{name} no longer stands in for {other}", name=done["delegate"], other=done["for"]))


def _say(done: dict[str, Any]) -> None:
    about = {"name": done["delegate"], "other": done["for"], "begin": _local(done["begin"]), "end": _local(done["end"])}
    click.echo(f"{done['id']}  " + say("{name} approves in the place of {other} from {begin} until {end}", **about))


def _time(option: str, text: str, *, last: bool, since: datetime | None = None) -> datetime:
    """Return a time that a person typed, in this machine's zone where none is named; a day ends with it.

    ``8h`` or ``3d`` is so long after ``since``, or after now.
    """
    if text[:-1].isdigit() and text[-1:] in UNITS and len(text) <= 6:  # noqa: PLR2004  (99999d is far enough)
        return (since or datetime.now().astimezone()) + int(text[:-1]) * UNITS[text[-1]]
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text[:40]} is no time", hint=TIMES) from None
    if last and len(text) == len("2026-12-01"):
        found += timedelta(days=1)
    return found.astimezone()


def _local(stamp: str) -> str:
    return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M}"
