"""Refuse: what a kernel asked for and may not have is written down, in the ledger and for the run's record.

The ledger says which kind of thing it was; what exactly, in the control plane's words, stands in the record's notes.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NoReturn

from opsnb.base.errors import RefusedError
from opsnb.control.ledger.events_isolation import Attempt, RunRefused
from opsnb.control.ledger.store import append
from opsnb.control.runs import store

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

LOG = logging.getLogger("opsnb")
NOTE = "attempted"  # the kind of note that says what a kernel tried; rows are {"attempt", "why"}
MAX_WRITTEN = 100  # refusals of one run that are written down; a loop must not fill the ledger
AT_THE_API = frozenset({Attempt.API, Attempt.TOKEN})
MAX_TOLD = 5  # of them that a record tells in full


def attempt_of(op: str) -> Attempt | None:
    """Return what kind of attempt a message is; ``None`` where being refused is no attempt at anything."""
    if op in {"context", "applicable", "drift", "unreached", "check", "evidence", "progress", "terminal", "finish"}:
        return None
    return Attempt(op) if op in set(Attempt) - AT_THE_API else Attempt.UNKNOWN


def write_down(services: Services, run: str, attempt: Attempt, why: str) -> None:
    """Keep a refused attempt of a run, with the words in which it was refused."""
    with services.database.transaction() as connection:
        store.note(connection, run, NOTE, {"attempt": attempt.value, "why": why})
        append(connection, RunRefused(run=run, attempt=attempt))


def refuse_run(services: Services, above: Collection[int], asked: str, whose: str) -> NoReturn:
    """Refuse what a run asks the API for, and write it down where the run is one of ours.

    Args:
        services: What the flow needs.
        above: The pids of who asks and of its parents.
        asked: The route.
        whose: Whose token it has; empty for none that holds.

    Raises:
        RefusedError: Always.
    """
    run = next((name for name, launched in list(services.running.items()) if launched.pid in above), "")
    token = f"with the token of {whose}: have it revoked" if whose else "without a token that holds"
    LOG.warning("run %s asked the API for %s, %s", run or "of another control plane", asked, token)
    if run:
        with services.database.transaction() as connection:
            full = len(store.noted(connection, run, NOTE)) >= MAX_WRITTEN
        if not full:
            write_down(services, run, Attempt.TOKEN if whose else Attempt.API, f"{asked}, {token}")
    raise RefusedError(
        f"a run asks the API for nothing, and this is {f'run {run}' if run else 'a run of this machine'}",
        hint="a notebook asks over its run link; people ask from a terminal that no run has opened",
    )


def notes(rows: list[dict[str, Any]]) -> list[str]:
    """Return what a record says about them: how many of each kind, and the first in full."""
    if not rows:
        return []
    counted = Counter(str(row["attempt"]) for row in rows)
    most = "at least " if len(rows) >= MAX_WRITTEN else ""
    kinds = ", ".join(f"{kind} ({number})" for kind, number in sorted(counted.items()))
    told = list(dict.fromkeys(f"refused: {row['attempt']}: {row['why']}" for row in rows))[:MAX_TOLD]
    return [f"the notebook asked {most}{len(rows)} time(s) for what it may not have: {kinds}", *told]
