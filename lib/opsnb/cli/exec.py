"""``opsnb exec``: one command on the selected hosts; a run of HST-004, with its record."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.cli.following import follow, kept
from opsnb.cli.output import json_option, loud, print_json, safe, say, told, verdict, workspace
from opsnb.cli.run import exit_code

RUNBOOK = "HST-004"
LINE = re.compile(r"(\S+) ([│┃]) (.*)")  # as the runbook prints what a host says
CUT = re.compile(r"\n\[opsnb: \d+ of \d+ characters; all \d+ bytes: (files/[^\]/]+)\]$")
SHELL = frozenset(" |;&$")
COLOURS = {"ok": "green", "failed": "red", "unreachable": "yellow", "unknown": "magenta"}


@click.command("exec")
@click.argument("selector", metavar="SELECTOR")
@click.argument("words", metavar="-- COMMAND [ARG]...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--seconds", default=60.0, show_default=True, metavar="N", help="How long it may take on each host.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the record.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, selector: str, words: tuple[str, ...], seconds: float, reason: str, as_json: bool
) -> int:
    """Run a command on the hosts that SELECTOR chooses, and keep a record of it.

    It is not read by a shell: for pipes and variables write -- sh -c 'COMMAND'. It runs with the credential that
    observes.

    Exit codes: 0 every host answered 0, 1 some did not, 2 bad usage, 3 refused, 5 aborted, 6 lost, 7 unavailable.
    """
    from opsnb.client import submit

    _no_shell_text(words)
    place = workspace(ctx)
    body = {
        "runbook": RUNBOOK, "values": {"hosts": selector, "command": list(words), "seconds": seconds},
        "folder": str(Path.cwd()), "why": reason, "submission": os.urandom(16).hex(),
    }  # fmt: skip
    client, run = submit(place, "/api/runs", body)
    loud(run)
    live = _Live(quiet=as_json)
    result = follow(client, str(run["run"]), live.add)
    live.rest()
    rows = [
        _whole(row, lambda name: kept(place, client, result, name))
        for row in result.get("evidence", {}).get("hosts", [])
    ]
    if as_json:
        print_json({"hosts": rows, "run": run["run"], "record": result.get("record")})
    else:
        _summary(rows, result)
    return exit_code(result) or int(not rows)  # nobody was asked: no success


def _no_shell_text(words: tuple[str, ...]) -> None:
    if len(words) == 1 and SHELL & set(words[0]):
        raise UsageError(
            f"there is no program called {words[0]!r:.80}, and no shell reads it",
            hint=f"for a program with arguments: -- {words[0].split()[0] if words[0].split() else 'PROGRAM'} ARG ...; "
            f"for a shell: -- sh -c '...'",
        )


class _Live:
    """Prints the lines that hosts said, and nothing else of what a notebook prints."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._left = ""

    def add(self, text: str) -> None:
        """Take a piece of text."""
        *lines, self._left = (self._left + text).split("\n")
        for line in lines:
            self._say(line)

    def rest(self) -> None:
        """Print what has no end of line."""
        self._say(self._left)
        self._left = ""

    def _say(self, line: str) -> None:
        match = LINE.fullmatch(line)
        if match and not self._quiet:
            sign = click.style(match[2], fg="red" if match[2] == "┃" else None, dim=True)
            click.echo(f"{safe(match[1])} {sign} {safe(match[3])}")


def _whole(row: dict[str, Any], read: Callable[[str], bytes]) -> dict[str, Any]:
    """Return the row with all of the output: evidence is bounded, the record's files are not."""
    whole = dict(row)
    for stream in ("stdout", "stderr"):
        match = CUT.search(str(row[stream]))
        if match:
            with contextlib.suppress(OpsnbError):  # it was not kept: the record says why
                whole[stream] = read(match[1]).decode("utf-8", "backslashreplace")
    return whole


def _summary(rows: list[dict[str, Any]], result: dict[str, Any]) -> None:
    counts = {state: sum(1 for r in rows if r["status"] == state) for state in COLOURS}
    said = ", ".join(click.style(f"{n} {say(state)}", fg=COLOURS[state]) for state, n in counts.items() if n)
    if not rows or result.get("verdict") not in {"DONE", "FAILED"}:
        said = f"{verdict(result.get('verdict'))}  {told(result.get('reason', ''))}" + (f"  {said}" if said else "")
    record = say("record {path}", path=result.get("record") or say("none"))
    click.echo(f"{said}; {record}", err=True)
