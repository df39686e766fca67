"""A terminal session in a run: opened on the run's one host, carried, recorded into the run's files."""

from __future__ import annotations

from opsnb.base.errors import UsageError
from opsnb.base.masking import MIN_SECRET, Masker, Stream
from opsnb.fleet import Fleet
from opsnb.fleet.recording import TRANSCRIPT, Recording
from opsnb.fleet.session import NOT_OPENED, Ended, Session
from opsnb.runbook import Run
from opsnb.runbook.show import visible

SHOWN_LINES = 400  # of the transcript, in the notebook


def terminal(run: Run, hosts: Fleet, term: str, columns: int, rows: int) -> Ended:
    """Open a terminal on the run's one host and carry the session until it ends.

    Without a control plane none is opened, since nobody would record it, and the answer says so.

    Raises:
        UsageError: If the run has not exactly one host.
        OpsnbError: If no terminal can be opened there.
    """
    if len(hosts) != 1:
        raise UsageError(f"a session is on one host, and this run has {len(hosts)}: {', '.join(hosts)}")
    if run.link is None:
        print(NOT_OPENED)
        return Ended(why=NOT_OPENED, exit=None, seconds=0.0, shown=0, typed=0)
    machine = next(iter(hosts.values()))
    shell = machine.terminal(term, columns, rows)
    title, mask = f"{machine.name}, {run.runbook}", _mask(run)
    recording = Recording(run.files, title=title, term=term, columns=columns, rows=rows, mask=mask)
    ended = Session(run.link, shell, recording).carry()
    run.evidence("ended", ended.why)
    run.evidence("exit", ended.exit)
    run.evidence("seconds", ended.seconds)
    run.evidence("bytes_shown", ended.shown)
    run.evidence("bytes_typed", ended.typed)
    run.evidence("bytes_left_out", recording.cut)
    return ended


def _mask(run: Run) -> Stream:
    """Return a mask for what this run was given to log in with: the secrets that it knows."""
    masker = Masker()
    for host, value in run.released:
        if len(value) >= MIN_SECRET:
            masker.register(f"credential of {host}", value)
    return masker.stream()


def transcript(run: Run) -> str:
    """Return the transcript for the notebook, its first and last lines when it is long; empty without a session."""
    if run.link is None:
        return ""
    lines = (run.files / TRANSCRIPT).read_text(encoding="utf-8").splitlines()
    if len(lines) > SHOWN_LINES:
        half = SHOWN_LINES // 2
        left = f"[opsnb: {len(lines) - 2 * half} lines are left out here; files/{TRANSCRIPT} has them]"
        lines = [*lines[:half], left, *lines[-half:]]
    return "\n".join(visible(line[:1000]) for line in lines)
