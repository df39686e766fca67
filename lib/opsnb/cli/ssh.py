"""``opsnb ssh``: a recorded terminal on a host; a run of HST-005."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from opsnb.base.errors import UsageError
from opsnb.cli.following import follow
from opsnb.cli.output import loud, progress, say, told, verdict, workspace
from opsnb.cli.run import exit_code

RUNBOOK = "HST-005"


@click.command("ssh")
@click.argument("host", metavar="HOST")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the record.")
@click.pass_context
def command(ctx: click.Context, host: str, reason: str) -> int:
    """Open a terminal on HOST; what it shows is recorded as an asciicast and as text.

    ~. at the beginning of a line closes the session, ~? lists what else there is. What you type is recorded only where
    the host echoes it. It logs in with the credential that observes.

    Exit codes: 0 the session was ended by its shell or by you, 1 it was not, 2 bad usage, 3 refused, 5 aborted, 6 lost,
    7 unavailable.
    """
    from opsnb.cli.terminal import Attached, window
    from opsnb.client import submit

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "a session needs a terminal on both ends, and this is none",
            hint=f"in scripts: opsnb exec {host} -- COMMAND, or -- sh -c '...'",
        )
    columns, rows = window()
    values = {"hosts": host, "term": os.environ.get("TERM") or "vt100", "columns": columns, "rows": rows}
    body = {"runbook": RUNBOOK, "values": values, "why": reason, "submission": os.urandom(16).hex()}
    client, run = submit(workspace(ctx), "/api/runs", body)
    loud(run)
    about = {"run": run["run"], "host": host}
    progress(
        say("run {run} on {host}: what is shown is recorded; ~. at the beginning of a line closes the session", **about)
    )
    Attached(client, str(run["run"]), (columns, rows)).carry()
    result = follow(client, str(run["run"]), on_notice=lambda _: None)  # they were shown in the terminal
    _tell(result)
    return exit_code(result) or int("ended" not in result.get("evidence", {}))  # no session is no success


def _tell(result: dict[str, Any]) -> None:
    found = result.get("evidence", {})
    if "ended" in found:
        code = "" if found.get("exit") is None else f", exit code {found['exit']}"
        shown = f"{found['seconds']:.0f} s, {found['bytes_shown']:,} bytes shown"
        progress(f"session ended: {told(found['ended'])}{code}; {shown}")
    if result.get("verdict") != "DONE":
        click.echo(f"{verdict(result.get('verdict'))}  {told(result.get('reason', ''))}", err=True)
    progress(say("record {path}", path=result.get("record") or say("none")))
