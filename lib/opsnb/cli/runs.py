"""``opsnb runs``: list, show, log, stop, retry, undo."""

from __future__ import annotations

from typing import Any

import click

from opsnb.cli.following import kept
from opsnb.cli.group import Commands
from opsnb.cli.output import json_option, loud, print_json, safe, say, table, told, verdict, workspace
from opsnb.cli.run import exit_code, next_move, tell, watch


@click.group("runs", cls=Commands)
def command() -> None:
    """List, show, follow, stop, retry and undo runs."""


@command.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--runbook", default="", metavar="ID", help="Only runs of this runbook.")
@json_option
@click.pass_context
def list_runs(ctx: click.Context, limit: int, runbook: str, as_json: bool) -> None:
    """List the latest runs, newest first."""
    from opsnb.client import connect

    rows = connect(workspace(ctx)).get("/api/runs", limit=limit, runbook=runbook)
    if as_json:
        print_json(rows)
        return
    table(
        (
            say("RUN"), say("RUNBOOK"), say("MODE"), say("STATE"), say("VERDICT"), say("STARTED"), say("REQUEST"),
            say("REVIEW"),
        ),
        [
            (
                r["run"], r["runbook"], r["mode"], r["state"], r["verdict"] or "-", r["started"] or "-", r["request"],
                reviewed(r["without"]),
            )
            for r in rows["runs"]
        ],
    )  # fmt: skip


def reviewed(without: dict[str, Any] | None) -> str:
    """Return in words whether what nobody had to approve was reviewed; ``-`` where somebody approved it."""
    if without is None:
        return "-"
    made, glass = without["reviewed"], say("BREAK-GLASS, ") if without["glass"] else ""
    if made:
        return glass + say("reviewed by {who} at {when}", who=made["by"], when=made["at"])
    return glass + say("review owed until {when}", when=without["due"])


@command.command("show")
@click.argument("run")
@json_option
@click.pass_context
def show(ctx: click.Context, run: str, as_json: bool) -> None:
    """Show one run: state, verdict, checks, evidence, where its record is."""
    from opsnb.client import connect

    client = connect(workspace(ctx))
    row = client.get(f"/api/runs/{run}")
    if as_json:
        print_json(row)
        return
    click.echo(f"{row['run']}  {row['runbook']}  {safe(row['title'])}")
    about = {"mode": say(row["mode"]), "state": say(row["state"]), "started": row["started"], "ended": row["ended"]}
    click.echo(say("mode {mode}  state {state}  started {started}  ended {ended}", **about))
    if row["without"]:
        owed = {"what": reviewed(row["without"]), "request": row["without"]["review"]}
        click.echo(say("nobody approved it: {what}  (request {request})", **owed))
    if row["result"]:
        tell(row["result"])
        next_move(client, row["result"], row["runbook"])
    else:
        click.echo(f"{verdict(row['verdict'])}  {told(row['reason'] or '')}")


@command.command("log")
@click.argument("run")
@json_option
@click.pass_context
def log(ctx: click.Context, run: str, as_json: bool) -> None:
    """Print what a run printed, cell by cell; follow it while it runs."""
    from opsnb.client import connect

    place = workspace(ctx)
    client = connect(place)
    row = client.get(f"/api/runs/{run}")
    if row["state"] != "ended":
        result = watch(client, run)
        row = client.get(f"/api/runs/{run}")
        if as_json:
            print_json(result)
        return
    if row["record"] is None:
        click.echo(say("this run has no record"), err=True)
        return
    rows = cell_texts(kept(place, client, row, "run.ipynb"))
    if as_json:
        print_json({"run": run, "cells": rows})
        return
    for cell in rows:
        click.echo(click.style(f"── {say('cell {n}', n=cell['index'])}  {say(cell['state'])}", bold=True))
        click.echo(safe(cell["text"]).rstrip("\n"))
    click.echo(f"{verdict(row['verdict'])}  {told(row['reason'] or '')}")


def cell_texts(data: bytes) -> list[dict[str, Any]]:
    """Return the text that each code cell of an executed notebook left."""
    import json

    rows = []
    for index, cell in enumerate(json.loads(data)["cells"]):
        if cell["cell_type"] != "code":
            continue
        parts = []
        for output in cell.get("outputs", []):
            if output["output_type"] == "stream":
                parts.append("".join(output["text"]))
            elif output["output_type"] == "error":
                parts.append("\n".join(output["traceback"]))
            else:
                parts.append("".join(output.get("data", {}).get("text/plain", "")) + "\n")
        state = cell.get("metadata", {}).get("opsnb", {}).get("state", "not executed")
        rows.append({"index": index, "state": state, "text": "".join(parts)})
    return rows


@command.command("stop")
@click.argument("run")
@json_option
@click.pass_context
def stop(ctx: click.Context, run: str, as_json: bool) -> None:
    """Stop a run: interrupt, then terminate, then kill; its record says so."""
    from opsnb.client import connect

    client = connect(workspace(ctx))
    answer = client.post(f"/api/runs/{run}/stop")
    if answer["state"] == "stopping":
        answer = watch(client, run)
    print_json(answer) if as_json else click.echo(f"{run}  {verdict(answer.get('verdict'))}")


@command.command("retry")
@click.argument("run")
@json_option
@click.pass_context
def retry(ctx: click.Context, run: str, as_json: bool) -> int:
    """Carry out what an application did not finish: the approved plan on the hosts that are left."""
    return _follow(ctx, run, "retry", as_json=as_json)


@command.command("undo")
@click.argument("run")
@json_option
@click.pass_context
def undo(ctx: click.Context, run: str, as_json: bool) -> int:
    """Undo what a run applied: the inverse of its plan, as a run of its own."""
    return _follow(ctx, run, "undo", as_json=as_json)


def _follow(ctx: click.Context, run: str, what: str, *, as_json: bool) -> int:
    """Ask for a run that follows another one, and watch it."""
    from opsnb.client import connect

    client = connect(workspace(ctx))
    new = client.post(f"/api/runs/{run}/{what}")
    loud(new)
    result = watch(client, new["run"])
    print_json(result) if as_json else tell(result)
    return exit_code(result)
