"""Record: the verdict, the page, the manifest, the ledger, and one rename into outputs/.

The order matters. ``run.finished`` is committed first and covers notebook and files; the page, whose foot names that
entry, is rendered; ``run.recorded`` covers page and manifest; the folder enters ``outputs/`` by one rename; the
published ledger is brought up to date and its checkpoint replaced last.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError

from opsnb.base.canonical import canonical, digestible, salted, sha256
from opsnb.base.clock import parse, stamp
from opsnb.base.errors import OpsnbError
from opsnb.control.files import sync_directory, write_atomic
from opsnb.control.flows.judge import judge, notebook_there, record_of
from opsnb.control.flows.scan import scan_left, scan_page
from opsnb.control.ledger.events import (
    RunRecorded,
    RunUnrecorded,
    UnrecordedReason,
)
from opsnb.control.ledger.publish import publish, site_event
from opsnb.control.ledger.store import Position, append
from opsnb.control.records import Mode, Record, RunState
from opsnb.control.runs import store
from opsnb.control.runs.job import LAST_WORDS
from opsnb.control.runs.launcher import Launched
from opsnb.control.runs.wire import Closed

if TYPE_CHECKING:
    from opsnb.control.flows.execute import Ended
    from opsnb.control.flows.services import Services

LOG = logging.getLogger("opsnb")
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
RENDER_SECONDS = 120.0  # how long a page may take; a supervisor that does not answer is replaced once


def finish(services: Services, run: str, ended: Ended, launched: Launched | None) -> None:
    """End a run: verdict, record, ledger. A full disk costs outputs, never the verdict."""
    try:
        _finish(services, run, ended, launched)
    except (OSError, OperationalError) as error:
        if not _disk_full(error):
            LOG.exception("run %s could not be recorded", run)
            raise
        services.give_up_reserve()
        ended.cut_for_space = True
        ended.notes.append(f"the disk was full while the record was written: {error}")
        _unrecorded(services, run, ended)
    finally:
        services.maskers.pop(run, None)
        services.feed(run).end()
        services.wake()


def _finish(services: Services, run: str, ended: Ended, launched: Launched | None) -> None:
    staging = services.workspace.incoming / run
    staging.mkdir(parents=True, exist_ok=True)
    notebook_there(services, run, staging, ended)
    scan_left(services, run, staging, ended)
    record, position, row = judge(services, run, ended, staging)
    html = _render(services, record, position, staging, launched)
    html = scan_page(services, record, staging, html)
    with services.publishing:  # nobody publishes an entry whose folder is not there yet
        path = _manifest_and_entry(services, row, record, staging, html)
        bring_in(staging, services.workspace.outputs / path)
        publish_ledger(services)
    _tell_end(services, run)


def result_of(services: Services, run: str) -> dict[str, Any]:
    """Return what ``opsnb run --json`` prints about a run."""
    with services.database.transaction() as connection:
        row = store.run_row(connection, run)
    return dict(row.result or {"run": run, "state": row.state, "verdict": row.verdict})


# -- the page and the manifest -----------------------------------------------------------------------------------------


def _render(
    services: Services, record: Record, position: Position, staging: Path, launched: Launched | None
) -> tuple[str, list[str]]:
    ledger = {"index": position.index, "size": position.size, "root": position.root.hex(), "at": record.ended}
    value = {**record.as_json(), "ledger": ledger, "root_prefix": "../../../../"}
    order = {"op": "render", "record": value, "staging": str(staging), "language": services.settings.language}
    for attempt in range(3):
        fresh = launched is None or launched.control.closed or attempt > 0
        renderer = services.launcher.launch(kernel=False) if fresh else launched
        assert renderer is not None
        try:
            answer = _ask(services, renderer, order)
        finally:
            if fresh:
                from opsnb.control.flows.execute import dismiss

                dismiss(renderer)
        if answer is not None:
            return str(answer["html"]), list(answer["notes"])
    raise OpsnbError(f"run {record.run}: its page could not be rendered")


def _ask(services: Services, renderer: Launched, order: dict[str, Any]) -> dict[str, Any] | None:
    try:
        renderer.control.send(order)
        renderer.control.sock.settimeout(RENDER_SECONDS)
        while message := renderer.control.next():
            if message["ev"] == "rendered":
                return message
            if message["ev"] == "space":
                services.give_up_reserve()
                renderer.control.send({"op": "space"})
    except (Closed, OSError, ValueError):
        renderer.control.closed = True
    return None


def _manifest_and_entry(
    services: Services, request: Any, record: Record, staging: Path, html: tuple[str, list[str]]
) -> str:
    files = [_row(staging, "run.html"), _row(staging, "run.ipynb"), *record.files]
    value = {
        "schema": 1, "run": record.run, "salts": request.salts, "files": sorted(files, key=lambda r: str(r["path"])),
        "request": json.loads(request.body), "request_digest": request.digest, "plan": request.plan,
        "plan_digest": request.plan_digest, "record": record.as_json(),
    }  # fmt: skip
    manifest = canonical(digestible(value))
    write_atomic(staging / "manifest.json", manifest)
    day = parse(record.started)
    path = f"{day:%Y/%m/%d}/{record.run}"
    page = (staging / "run.html").read_bytes()
    if sha256(page) != html[0]:
        raise OpsnbError(f"run {record.run}: its page changed while it was recorded")
    with services.database.transaction() as connection:
        entry = RunRecorded(
            run=record.run, path=path, html=salted(request.salts["html"], page), manifest=sha256(manifest)
        )
        position = append(connection, entry)
        result = result_value(record, path, position, request.plan)
        store.move(connection, record.run, RunState.ENDED, path=path, result=result, ledger_index=position.index)
    return path


def result_value(record: Record, path: str | None, position: Position, plan: Any) -> dict[str, Any]:
    """Return the JSON document of a run that scripts rely on (DESIGN section 6)."""
    return {
        "run": record.run, "request": record.request, "plan": plan if record.mode is not Mode.READ else None,
        "runbook": record.runbook, "mode": record.mode.value, "verdict": record.verdict.value,
        "reason": record.reason, "checks": [vars(c) for c in record.checks], "evidence": record.evidence,
        "record": f"outputs/{path}/run.html" if path else None,
        "ledger": {"index": position.index, "size": position.size, "root": position.root.hex()},
        "seconds": record.seconds, "notes": record.notes,
        "cells": [{"index": c.index, "state": c.state.value, "why": c.why} for c in record.cells],
    }  # fmt: skip


def _row(staging: Path, name: str) -> dict[str, Any]:
    data = (staging / name).read_bytes()
    return {"path": name, "size": len(data), "sha256": sha256(data)}


def bring_in(staging: Path, target: Path) -> None:
    """Bring a complete record into outputs/ by one rename."""
    (staging / LAST_WORDS).unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    sync_directory(staging)
    staging.rename(target)
    sync_directory(target.parent)


def publish_ledger(services: Services) -> None:
    """Bring ``outputs/ledger/`` up to date; a new ``verify.py`` or key is itself recorded first."""
    with services.publishing:
        with services.database.transaction() as connection:
            event = site_event(connection, services.signer)
            if event is not None:
                append(connection, event)
        with services.database.transaction() as connection:
            publish(connection, services.signer, services.workspace.outputs)


def _tell_end(services: Services, run: str) -> None:
    services.feed(run).tell({"ev": "end", "result": result_of(services, run)})


# -- when there is no room -----------------------------------------------------------------------------------------


def _unrecorded(services: Services, run: str, ended: Ended) -> None:
    """Say in the ledger that a record could not be kept: the disk is full and stayed full."""
    with services.database.transaction() as connection:
        row = store.run_row(connection, run)
        request = store.request_row(connection, row.request)
        if row.state == RunState.ENDED:
            return
        record = record_of(connection, row, request, ended, stamp())
        position = append(connection, RunUnrecorded(run=run, reason=UnrecordedReason.DISK_FULL))
        if row.state != RunState.RECORDING:
            store.move(connection, run, RunState.RECORDING, verdict=record.verdict.value, reason=record.reason)
        store.release_locks(connection, run)
        result = result_value(record, None, position, request.plan)
        values = {"result": result, "ended": record.ended, "verdict": record.verdict.value, "reason": record.reason}
        store.move(connection, run, RunState.ENDED, **values)
    shutil.rmtree(services.workspace.incoming / run, ignore_errors=True)
    with contextlib.suppress(OSError, OpsnbError):
        publish_ledger(services)
    _tell_end(services, run)


def _disk_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in FULL
    return "full" in str(error)
