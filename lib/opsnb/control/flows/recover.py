"""Recover: what a former owner of the state began and did not end is ended now, truthfully."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import OpsnbError
from opsnb.control.flows.execute import Ended
from opsnb.control.flows.record import bring_in, finish, publish_ledger
from opsnb.control.records import RunState
from opsnb.control.runs import store
from opsnb.control.runs.job import LAST_WORDS

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

LOG = logging.getLogger("opsnb")
SUPERVISOR_SECONDS = 20.0  # how long an orphaned supervisor may take to end its run by itself


def recover(services: Services) -> int:
    """End every run that was begun and not ended; return how many there were. Queued ones stay queued."""
    with services.database.transaction() as connection:
        rows = store.unfinished(connection)
    for row in rows:
        _wait_for_supervisor(services, row)
        finish(services, row.id, _ended(services, row), None)
    _bring_in_recorded(services)
    with services.database.transaction() as connection:
        known = {r.id for r in store.listed(connection, 100_000) if r.state != RunState.ENDED}
    for left in services.workspace.incoming.iterdir():
        if left.is_dir() and left.name not in known:
            shutil.rmtree(left, ignore_errors=True)
    publish_ledger(services)
    return len(rows)


def _wait_for_supervisor(services: Services, row: Any) -> None:
    """Wait for an orphaned supervisor to write its last words; end it when it does not."""
    staging = services.workspace.incoming / row.id
    end = time.monotonic() + SUPERVISOR_SECONDS
    while row.supervisor and _is_supervisor(row.supervisor):
        if (staging / LAST_WORDS).exists() or time.monotonic() > end:
            break
        time.sleep(0.05)


def _is_supervisor(pid: int) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"opsnb.control.runs" in line and os.getpid() != pid


def _ended(services: Services, row: Any) -> Ended:
    path = services.workspace.incoming / row.id / LAST_WORDS
    why = "the control plane ended in the middle of the run"
    try:
        said = json.loads(path.read_bytes())
        if said["end"] in {"completed", "ended early", "cell failed"}:
            end, reason = said["end"], said["why"]
        else:
            end, reason = "stopped", why
        return Ended(
            end=end, why=reason, cells=said["cells"], files=said["files"], notes=said["notes"],
            isolation=said["isolation"], quarantined=said["quarantined"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError):
        end = "supervisor died" if row.state != RunState.STARTING else "not started"
        return Ended(end=end, why=why)


def _bring_in_recorded(services: Services) -> None:
    """Finish a rename that a crash kept from happening: the ledger covers the folder already."""
    for staging in services.workspace.incoming.iterdir():
        if not (staging / "manifest.json").exists():
            continue
        try:
            with services.database.transaction() as connection:
                row = store.run_row(connection, staging.name)
        except OpsnbError:
            continue
        if row.path and not (services.workspace.outputs / row.path).exists():
            bring_in(staging, services.workspace.outputs / row.path)
            LOG.warning("run %s: its record was brought in after a crash", row.id)
