"""``opsnb run``: submit, watch, and exit with what the verdict means."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from opsnb.base.errors import UsageError
from opsnb.cli.output import json_option, loud, mark, print_json, progress, safe, say, told, verdict, workspace

EXITS = {"DONE": 0, "PLANNED": 0, "FAILED": 1, "DRIFTED": 4, "ABORTED": 5, "LOST": 6}
NOT_APPLICABLE_IN_APPLY = 8
MAX_SHOWN = 160  # characters of an evidence's value at the end of a run
MAX_PARAMETER_FILE = 4 * 1024 * 1024  # bytes
STATES = (  # of a run, of its cells, of its changes
    mark("queued"), mark("starting"), mark("running"), mark("recording"), mark("ended"), mark("completed"),
    mark("failed"), mark("interrupted"), mark("killed"), mark("skipped"), mark("not executed"), mark("begun"),
    mark("ok"), mark("unknown"), mark("unreachable"),
)  # fmt: skip


@click.command("run")
@click.argument("runbook", metavar="ID|PATH")
@click.option("-p", "--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@click.option("-f", "--file", "file", metavar="FILE", help="Parameters from a YAML or JSON file.")
@click.option("--hosts", metavar="SEL", help="Which hosts, by name, label or group: 'role=nginx & env=prod'.")
@click.option("--mode", type=click.Choice(["plan", "apply"]), help="plan (default where something changes) or apply.")
@click.option("--request", default="", metavar="REQ", help="The request to apply.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the record.")
@click.option("--wait/--no-wait", default=True, help="Wait for the end and show it live (default), or only submit.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    runbook: str,
    pairs: tuple[str, ...],
    file: str | None,
    hosts: str | None,
    mode: str | None,
    request: str,
    reason: str,
    wait: bool,
    as_json: bool,
) -> int:
    """Run a runbook by its ID or a notebook by its PATH.

    A runbook that only reads runs at once. One that changes something is planned first; the plan names the request
    that --mode apply --request REQ carries out.

    Exit codes: 0 done or planned, 1 failed, 2 bad usage, 3 refused, 4 drifted, 5 aborted, 6 lost, 7 unavailable.
    """
    from opsnb.client import submit

    place = workspace(ctx)
    body = {
        "runbook": runbook, "texts": assignments(pairs), "values": values_from(file) if file else {},
        "hosts": hosts or "", "folder": str(Path.cwd()), "mode": mode, "request": request, "why": reason,
        "submission": os.urandom(16).hex(),
    }  # fmt: skip
    client, run = submit(place, "/api/runs", body)
    loud(run)
    if not wait:
        print_json(run) if as_json else click.echo(f"{run['run']}  {run['state']}")
        return 0
    result = watch(client, run["run"])
    if as_json:
        print_json(result)
    else:
        tell(result)
        next_move(client, result, runbook)
    return exit_code(result)


def next_move(client: Any, result: dict[str, Any], runbook: str) -> None:
    """Say what follows a plan: to apply it where one's own approval counts, else to ask for somebody's."""
    if result.get("verdict") != "PLANNED":
        return
    request, changes = result["request"], len((result.get("plan") or {}).get("changes", []))
    known = client.get(f"/api/requests/{request}")
    click.echo(say("request {request}: {n} change(s). Read the plan in the record, then", request=request, n=changes))
    if known.get("own"):
        click.echo(f"  opsnb run {runbook} --mode apply --request {request}")
    elif known["status"]:
        click.echo(f"  opsnb requests show {request}")
    else:
        click.echo(f"  opsnb request {request} --reason TEXT")


def watch(client: Any, run: str) -> dict[str, Any]:
    """Show a run live on stderr; Ctrl-C stops it. Return its result."""
    result: dict[str, Any] = {}
    view = View()
    try:
        for event in client.events(run):
            view.show(event)
            if event["ev"] == "end":
                result = event["result"]
    except KeyboardInterrupt:
        progress("stopping the run (Ctrl-C once more leaves it to end by itself)")
        client.post(f"/api/runs/{run}/stop")
        for event in client.events(run):
            if event["ev"] == "end":
                result = event["result"]
    return result or dict(client.get(f"/api/runs/{run}").get("result") or {"run": run, "verdict": None})


class View:
    """Shows events as lines; on a terminal the running cell's line is replaced when it ends."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.open = False

    def show(self, event: dict[str, Any]) -> None:
        """Show one event."""
        shown = getattr(self, f"_{event['ev']}", None)
        if shown:
            shown(event)

    def _state(self, event: dict[str, Any]) -> None:
        if event["state"] in {"queued", "running"}:
            progress(f"{say('run {run}', run=event['run'])}  {say(event['state'])}")

    def _cell(self, event: dict[str, Any]) -> None:
        if event["state"] == "running":
            if self.terminal:
                click.echo(f"  {say('cell {n}', n=event['index'])} …", err=True, nl=False)
                self.open = True
            return
        self._line()
        seconds = f"  {event['seconds']:.2f} s" if event.get("seconds") is not None else ""
        why = f"  {told(event['why'])}" if event.get("why") else ""
        progress(f"  {say('cell {n}', n=event['index'])}  {say(event['state'])}{seconds}{why}")

    def _text(self, event: dict[str, Any]) -> None:
        self._line()
        for line in safe(event["text"]).rstrip("\n").split("\n"):
            click.echo(click.style("  │ ", dim=True) + line, err=True)

    def _notice(self, event: dict[str, Any]) -> None:
        self._line()
        progress(f"  opsnb: {told(event['text'])}")

    def _progress(self, event: dict[str, Any]) -> None:
        self._line()
        progress(f"  {event['done']}/{event['total']}  {event['what']}")

    def _change(self, event: dict[str, Any]) -> None:
        self._line()
        what = f"  {event['what']}" if "what" in event else ""
        progress(f"  {say('change {n}', n=event['change'])}: {say(event['state'])}{what}")

    def _line(self) -> None:
        if self.open:
            click.echo("\r\033[K", err=True, nl=False)
            self.open = False


def tell(result: dict[str, Any]) -> None:
    """Print what a person wants to know at the end."""
    click.echo(f"{verdict(result['verdict'])}  {told(result.get('reason', ''))}")
    for check in result.get("checks", []):
        if not check["ok"]:
            said = say("got {got}, want {want}", got=repr(check["got"]), want=repr(check["want"]))
            click.echo(f"  FAIL  {safe(check['what'])}: {said}")
    for name, value in result.get("evidence", {}).items():
        click.echo(f"  {safe(name)} = {safe(short(value))}")
    for note in result.get("notes", []):
        click.echo("  " + say("note: {note}", note=told(note)))
    click.echo(say("record  {path}", path=result.get("record") or say("none")))
    if result.get("ledger"):
        click.echo(say("ledger  entry {n}  root {root}", n=result["ledger"]["index"], root=result["ledger"]["root"]))
    if result.get("mode") in {"apply", "retry"} and result.get("verdict") in {"FAILED", "LOST", "ABORTED"}:
        click.echo(say("to go on with what is left: {command}", command=f"opsnb runs retry {result['run']}"))
    if result.get("mode") in {"apply", "retry"} and result.get("verdict") in {"DONE", "FAILED", "LOST", "ABORTED"}:
        click.echo(say("to undo: {command}", command=f"opsnb runs undo {result['run']}"))


def short(value: Any) -> str:
    """Return an evidence's value as one line that a terminal can show; the record has it all."""
    text = str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(text):,} characters, all in the record)"


def exit_code(result: dict[str, Any]) -> int:
    """Return the exit code that the verdict means."""
    word = result.get("verdict")
    if word == "NOT_APPLICABLE":
        return NOT_APPLICABLE_IN_APPLY if result.get("mode") in {"apply", "undo", "retry"} else 0
    return EXITS.get(str(word), 7)


def assignments(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return what ``NAME=VALUE`` arguments say; a name stands once."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            raise UsageError(f"-p {pair}: wanted NAME=VALUE")
        if name in found:
            raise UsageError(f"-p {name} is given twice")
        found[name] = text
    return found


def values_from(name: str) -> dict[str, Any]:
    """Return the parameters that a YAML or JSON file holds."""
    import yaml

    path = Path(name)
    try:
        if path.stat().st_size > MAX_PARAMETER_FILE:
            raise UsageError(f"{name} is larger than {MAX_PARAMETER_FILE} bytes")
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{name}: cannot be read as YAML or JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{name} holds a {type(value).__name__}, wanted names with values")
    return value
