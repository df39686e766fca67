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
from opsnb.control.flows.seal import blob_path
from opsnb.control.ledger.events import (
    IntentClosed,
    Isolation,
    Outcome,
    RunFinished,
    RunRecorded,
    RunUnrecorded,
    UnrecordedReason,
)
from opsnb.control.ledger.publish import publish, site_event
from opsnb.control.ledger.store import Position, append
from opsnb.control.records import Cell, CellState, Check, Mode, Record, Risk, RunState
from opsnb.control.runs import store
from opsnb.control.runs.launcher import Launched
from opsnb.control.runs.verdict import Seen, verdict
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
        services.feed(run).end()
        services.wake()


def _finish(services: Services, run: str, ended: Ended, launched: Launched | None) -> None:
    staging = services.workspace.incoming / run
    staging.mkdir(parents=True, exist_ok=True)
    (staging / "end.json").unlink(missing_ok=True)
    _notebook_there(services, run, staging, ended)
    record, position, row = _verdict(services, run, ended, staging)
    html = _render(services, record, position, staging, launched)
    path = _manifest_and_entry(services, row, record, staging, html)
    bring_in(staging, services.workspace.outputs / path)
    publish_ledger(services)
    _tell_end(services, run)


def result_of(services: Services, run: str) -> dict[str, Any]:
    """Return what ``opsnb run --json`` prints about a run."""
    with services.database.transaction() as connection:
        row = store.run_row(connection, run)
    return dict(row.result or {"run": run, "state": row.state, "verdict": row.verdict})


# -- the verdict -------------------------------------------------------------------------------------------------------


def _verdict(services: Services, run: str, ended: Ended, staging: Path) -> tuple[Record, Position, Any]:
    notebook = (staging / "run.ipynb").read_bytes()
    now = stamp()
    with services.database.transaction() as connection:
        row = store.run_row(connection, run)
        request = store.request_row(connection, row.request)
        for intent in store.intent_rows(connection, run):
            if intent.outcome is None:
                append(connection, IntentClosed(run=run, change=intent.change, outcome=Outcome.UNKNOWN))
        record = _record(connection, row, request, ended, now)
        finished = RunFinished(
            run=run, request=row.request, mode=record.mode, verdict=record.verdict,
            notebook=salted(request.salts["notebook"], notebook),
            files=salted(request.salts["files"], canonical(ended.files)), isolation=Isolation(ended.isolation),
        )  # fmt: skip
        position = append(connection, finished)
        if row.state != RunState.RECORDING:
            values = {"verdict": record.verdict.value, "reason": record.reason, "ended": now}
            store.move(connection, run, RunState.RECORDING, **values)
        store.release_locks(connection, run)
    record.digests["executed notebook"] = sha256(notebook)
    services.feed(run).tell({"ev": "verdict", "verdict": record.verdict.value, "reason": record.reason})
    return record, position, request


def _record(connection: Any, row: Any, request: Any, ended: Ended, now: str) -> Record:
    body = json.loads(request.body)
    run, mode = row.id, Mode(row.mode)
    checks = [Check(**c) for c in store.noted(connection, run, "check")]
    intents = store.intent_rows(connection, run)
    last = {kind: (store.noted(connection, run, kind) or [""])[-1] for kind in ("drifted", "inapplicable", "planned")}
    seen = Seen(
        mode=mode, end=ended.end, why=ended.why, checks=tuple(checks), outcomes=tuple(i.outcome for i in intents),
        planned=bool(last["planned"]), drifted=last["drifted"], inapplicable=last["inapplicable"],
        finished=bool(store.noted(connection, run, "finished")), runbook=bool(body["facts"]),
        cut_for_space=ended.cut_for_space,
    )  # fmt: skip
    word, reason = verdict(seen)
    started = row.started or row.created
    return Record(
        run=run, request=request.id, request_digest=request.digest, runbook=body["runbook"], title=body["title"],
        promise=body["facts"].get("promise", ""), facts=body["facts"], risk=Risk(body["risk"]), mode=mode,
        verdict=word, reason=reason, requester=body["requester"]["name"], why=body["why"], started=started, ended=now,
        seconds=round((parse(now) - parse(started)).total_seconds(), 3), hosts=body["hosts"],
        parameters=[_parameter(row, request.parameters) for row in body["labels"]],
        approvals=_approvals(request, body, mode), plan=request.plan if mode is not Mode.READ else None,
        applied=[
            {"change": i.change, "host": i.host, "what": i.what, "state": i.outcome or "unknown"} for i in intents
        ],
        checks=checks, evidence={e["name"]: e["value"] for e in store.noted(connection, run, "evidence")},
        cells=[Cell(**{**c, "state": CellState(c["state"])}) for c in ended.cells], files=ended.files,
        notes=_notes(ended), isolation=ended.isolation,
        digests={"sealed notebook": body["notebook"], "toolkit": body["toolkit"]},
    )  # fmt: skip


def _parameter(row: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the parameter table; the sealed row holds a float as text, and the page wants the number."""
    value = values.get(row["name"])
    default = value if digestible(value) == row["default"] else row["default"]
    return {**row, "value": value, "default": default}


def _approvals(request: Any, body: dict[str, Any], mode: Mode) -> list[dict[str, Any]]:
    if request.approved_at is None or mode in {Mode.READ, Mode.PLAN}:
        return []
    return [{"who": body["requester"]["name"], "at": request.approved_at, "self": bool(request.approved_self)}]


def _notes(ended: Ended) -> list[str]:
    notes = list(ended.notes)
    if ended.isolation != "landlock" and ended.end != "not started":
        notes.append("not isolated: this system offers no Landlock, so the kernel could read and write as its user can")
    cut = sum(int(c.get("cut_bytes") or 0) for c in ended.cells)
    if cut:
        notes.append(f"{cut:,} bytes of output were cut; the cells say where")
    return notes


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


# -- when something is missing -----------------------------------------------------------------------------------------


def _notebook_there(services: Services, run: str, staging: Path, ended: Ended) -> None:
    """Make sure that there is a notebook to record: what was saved last, or the sealed one, with true cell states."""
    path = staging / "run.ipynb"
    states = {int(c["index"]): c for c in ended.cells}
    if not path.exists():
        with services.database.transaction() as connection:
            row = store.request_row(connection, store.run_row(connection, run).request)
        body = json.loads(row.body)
        write_atomic(path, blob_path(services, body["notebook"]).read_bytes())
        ended.notes.append("nothing was executed: this is the sealed notebook")
    elif ended.end != "supervisor died":
        if ended.cells:
            return
    else:
        ended.notes.append("the supervisor died: output of the last seconds may be missing")
    nb = json.loads(path.read_bytes())
    ended.cells = [_state(index, cell, states, ended.why) for index, cell in enumerate(nb["cells"])]


def _state(index: int, cell: dict[str, Any], states: dict[int, dict[str, Any]], why: str) -> dict[str, Any]:
    if cell["cell_type"] != "code":
        return {"index": index, "state": CellState.TEXT.value, "why": ""}
    saved = cell.get("metadata", {}).get("opsnb", {}).get("state")
    if saved and index not in states:
        return {"index": index, "state": saved, "why": ""}
    if cell.get("metadata", {}).get("papermill", {}).get("status") == "running" and index not in states:
        return {"index": index, "state": CellState.KILLED.value, "why": why}
    return states.get(index) or {"index": index, "state": CellState.NOT_EXECUTED.value, "why": why}


def _unrecorded(services: Services, run: str, ended: Ended) -> None:
    """Say in the ledger that a record could not be kept: the disk is full and stayed full."""
    with services.database.transaction() as connection:
        row = store.run_row(connection, run)
        request = store.request_row(connection, row.request)
        if row.state == RunState.ENDED:
            return
        record = _record(connection, row, request, ended, stamp())
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
