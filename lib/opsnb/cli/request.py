"""``opsnb request``: plan a change and ask for its approval, or ask for one that was planned before."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

import click

from opsnb.base.errors import UsageError
from opsnb.cli.output import json_option, print_json, progress, say, workspace
from opsnb.cli.run import assignments, exit_code, tell, values_from, watch
from opsnb.cli.telling import tell_request

REQUEST = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-z]{5}")  # as base.clock.new_id makes them
START = "approved, asked (opsnb run ID --mode apply --request REQ says so), or a time such as 2026-12-01T22:00"


@click.command("request")
@click.argument("runbook", metavar="ID|PATH|REQUEST")
@click.option("--param", "-p", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@click.option("--file", "-f", metavar="FILE", help="Parameters from a YAML or JSON file.")
@click.option("--hosts", metavar="SELECTOR", help="Which hosts.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; those who approve read it, and it is kept.")
@click.option("--start", default="asked", show_default=True, metavar="WHEN", help=f"When it starts: {START}.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    runbook: str,
    pairs: tuple[str, ...],
    file: str | None,
    hosts: str | None,
    reason: str,
    start: str,
    as_json: bool,
) -> int:
    """Plan a change and ask for its approval: exactly this, on exactly these hosts.

    Give the id of a request that opsnb run has planned already to ask for that one.

    Exit codes: 0 planned and asked for; else those of opsnb run.
    """
    from opsnb.client import connect, submit

    place, start = workspace(ctx), _start(start)
    if REQUEST.fullmatch(runbook):
        if pairs or file or hosts:
            raise UsageError(f"request {runbook} has its parameters and hosts sealed; leave them out")
        shown = connect(place).post(f"/api/requests/{runbook}/ask", {"reason": reason, "start": start})
        print_json(shown) if as_json else tell_request(shown)
        return 0
    body = {
        "runbook": runbook, "texts": assignments(pairs), "values": values_from(file) if file else {},
        "hosts": hosts or "", "folder": str(Path.cwd()), "reason": reason, "start": start,
        "submission": os.urandom(16).hex(),
    }  # fmt: skip
    client, run = submit(place, "/api/requests", body)
    result = watch(client, str(run["run"]))
    shown = client.get(f"/api/requests/{run['request']}")
    if as_json:
        print_json({**result, "approval": shown})
    elif result.get("verdict") == "PLANNED":
        progress(say("record {path}", path=result.get("record") or say("none")))
        tell_request(shown)
    else:
        tell(result)
    return exit_code(result)


def _start(text: str) -> str:
    """Return what the API takes: a time that names no zone is meant in this machine's."""
    if text in {"approved", "asked"}:
        return text
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except ValueError:
        raise UsageError(f"--start {text[:40]} is no time", hint=START) from None
