"""Judge: what was seen of a run becomes its verdict, its record's values, and the ledger's entry ``run.finished``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsnb.base.canonical import canonical, digestible, salted, sha256
from opsnb.base.clock import parse, stamp
from opsnb.base.errors import OpsnbError
from opsnb.control.files import write_atomic
from opsnb.control.flows.ask import planned
from opsnb.control.flows.claim import LEAVE
from opsnb.control.flows.refuse import NOTE as REFUSED
from opsnb.control.flows.refuse import notes as refused
from opsnb.control.flows.review import WITHOUT
from opsnb.control.flows.seal import blob_path
from opsnb.control.ledger import store as ledger
from opsnb.control.ledger.events import IntentClosed, Isolation, Outcome, RunFinished
from opsnb.control.ledger.store import Position, append
from opsnb.control.records import Cell, CellState, Check, Mode, Record, Risk, RunState, Verdict
from opsnb.control.runs import claims, store
from opsnb.control.runs.verdict import Seen, verdict

if TYPE_CHECKING:
    from opsnb.control.flows.execute import Ended
    from opsnb.control.flows.services import Services


def judge(services: Services, run: str, ended: Ended, staging: Path) -> tuple[Record, Position, Any]:
    """End a run in the database and the ledger; return its record, where ``run.finished`` stands, its request's row."""
    notebook = (staging / "run.ipynb").read_bytes()
    now = stamp()
    with services.database.transaction() as connection:
        row = store.run_row(connection, run)
        request = store.request_row(connection, row.request)
        for intent in store.intent_rows(connection, run):
            if intent.outcome is None:
                append(connection, IntentClosed(run=run, change=intent.change, outcome=Outcome.UNKNOWN))
        record = record_of(connection, row, request, ended, now)
        if row.state == RunState.RECORDING:  # a former owner got this far: what it said in the ledger stands
            return *_again(connection, row, record), request
        finished = RunFinished(
            run=run, request=row.request, mode=record.mode, verdict=record.verdict,
            notebook=salted(request.salts["notebook"], notebook),
            files=salted(request.salts["files"], canonical(ended.files)), isolation=Isolation(ended.isolation),
        )  # fmt: skip
        position = append(connection, finished)
        values = {"verdict": record.verdict.value, "reason": record.reason, "ended": now}
        store.move(connection, run, RunState.RECORDING, **values)
        store.release_locks(connection, run)
        if record.verdict is Verdict.PLANNED:
            planned(connection, services.policies, row.request, parse(now))
    record.digests["executed notebook"] = sha256(notebook)
    services.feed(run).tell({"ev": "verdict", "verdict": record.verdict.value, "reason": record.reason})
    return record, position, request


def _again(connection: Any, row: Any, record: Record) -> tuple[Record, Position]:
    """Return the record with the verdict that the ledger has already, and where that entry stands."""
    entry = ledger.latest(connection, RunFinished.kind, run=row.id)
    if entry is None:
        raise OpsnbError(f"run {row.id} is being recorded, and the ledger does not say that it finished")
    now = ledger.head(connection)
    position = Position(index=entry.index, leaf=entry.leaf, size=now.size, root=now.root)
    ended = row.ended or record.ended
    return replace(record, verdict=Verdict(row.verdict), reason=row.reason, ended=ended), position


def record_of(connection: Any, row: Any, request: Any, ended: Ended, now: str) -> Record:
    """Return what the record says, the verdict computed."""
    body = json.loads(request.body)
    run, mode = row.id, Mode(row.mode)
    checks = [Check(**c) for c in store.noted(connection, run, "check")]
    intents = store.intent_rows(connection, run)
    through = [row for rows in store.noted(connection, run, "through") for row in rows]
    unreached = store.noted(connection, run, "unreached")
    last = {kind: (store.noted(connection, run, kind) or [""])[-1] for kind in ("drifted", "inapplicable", "planned")}
    seen = Seen(
        mode=mode, end=ended.end, why=ended.why, checks=tuple(checks), outcomes=tuple(i.outcome for i in intents),
        through=len(through), unreached=tuple(dict.fromkeys(through[row["change"]]["host"] for row in unreached)),
        planned=bool(last["planned"]), drifted=last["drifted"], inapplicable=last["inapplicable"],
        finished=bool(store.noted(connection, run, "finished")), runbook=bool(body["facts"]),
        cut_for_space=ended.cut_for_space, quarantined="; ".join(ended.quarantined),
    )  # fmt: skip
    word, reason = verdict(seen)
    started = row.started or row.created
    return Record(
        run=run, request=request.id, request_digest=request.digest, runbook=body["runbook"], title=body["title"],
        promise=body["facts"].get("promise", ""), facts=body["facts"], risk=Risk(body["risk"]), mode=mode,
        verdict=word, reason=reason, requester=body["requester"]["name"], why=body["why"], started=started, ended=now,
        seconds=round((parse(now) - parse(started)).total_seconds(), 3), hosts=body["hosts"],
        parameters=[_parameter(row, request.parameters) for row in body["labels"]],
        approvals=_approvals(connection, run), without=(store.noted(connection, run, WITHOUT) or [{}])[-1],
        plan=request.plan if mode is not Mode.READ else None,
        applied=_applied(intents, through, {row["change"]: row["why"] for row in unreached}),
        checks=checks, evidence={e["name"]: e["value"] for e in store.noted(connection, run, "evidence")},
        cells=[Cell(**{**c, "state": CellState(c["state"])}) for c in ended.cells], files=ended.files,
        notes=[*_notes(ended), *refused(store.noted(connection, run, REFUSED))],
        isolation=ended.isolation, holds=ended.holds,
        digests={"sealed notebook": body["notebook"], "toolkit": body["toolkit"]},
    )  # fmt: skip


def _applied(intents: list[Any], through: list[dict[str, str]], unreached: dict[int, str]) -> list[dict[str, Any]]:
    """Return what became of each change that was let through, those that were never begun too."""
    begun = {i.change: i for i in intents}
    rows = []
    for number, change in enumerate(through):
        intent = begun.get(number)
        state = (intent.outcome or "unknown") if intent else "unreachable" if number in unreached else "not begun"
        why = intent.error if intent else unreached.get(number, "")
        rows.append({"change": number, **change, "state": state, "why": why})
    return rows


def _parameter(row: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the parameter table; the sealed row holds a float as text, and the page wants the number."""
    value = values.get(row["name"])
    default = value if digestible(value) == row["default"] else row["default"]
    return {**row, "value": value, "default": default}


def _approvals(connection: Any, run: str) -> list[dict[str, Any]]:
    """Return the approvals that let the run through when it was claimed: its own, or those of the grant by hand."""
    claim = claims.of_run(connection, run)
    if claim:
        return list(claim.approvals)
    return [row for leave in store.noted(connection, run, LEAVE) for row in leave["approvals"]]


def _notes(ended: Ended) -> list[str]:
    notes = list(ended.notes)
    if ended.isolation != "landlock" and ended.end != "not started":
        notes.append("not isolated: this system offers no Landlock, so the kernel could read and write as its user can")
    cut = sum(int(c.get("cut_bytes") or 0) for c in ended.cells)
    if cut:
        notes.append(f"{cut:,} bytes of output were cut; the cells say where")
    return notes


def notebook_there(services: Services, run: str, staging: Path, ended: Ended) -> None:
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
