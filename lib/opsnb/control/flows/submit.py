"""Ask for a run: seal, then queue; or for the application, retry or undoing of what was planned before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, update
from sqlalchemy.engine import Row

from opsnb.base.canonical import salted
from opsnb.base.clock import new_id, stamp
from opsnb.base.errors import RefusedError, UsageError
from opsnb.control.catalog import Runbook
from opsnb.control.flows.admit import admit
from opsnb.control.flows.hosts import same_hosts
from opsnb.control.flows.seal import Asked, chosen, name_of, seal
from opsnb.control.ledger.events_approvals import RequestApproved
from opsnb.control.ledger.store import append
from opsnb.control.people.store import Person, count
from opsnb.control.records import Mode, Risk, RunState, Verdict
from opsnb.control.runs import store
from opsnb.control.runs.confine import landlock_abi

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services


def submit(services: Services, asked: Asked, person: Person, *, request: str = "") -> str:
    """Queue a run and return its id.

    Args:
        services: What the flow needs.
        asked: What is asked for.
        person: Who asks.
        request: The request to apply; empty to seal a new one.

    Raises:
        UsageError: If what is asked for is wrong.
        RefusedError: If it may not run.
    """
    with services.database.transaction() as connection:
        known = store.request_of_submission(connection, asked.submission) if asked.submission else None
        if known is not None:
            return str(store.runs_of_request(connection, known.id)[0].id)
    if request:
        return _apply(services, asked, person, request)
    if asked.mode is not None and asked.mode.changes:
        raise RefusedError(
            "mode apply carries out an approved request, and none is named",
            hint=f"plan first: opsnb run {asked.runbook} ...; it names the request for --mode apply --request REQ",
        )
    services.require_space()
    sealed, runbook = seal(services, asked, person)
    mode = Mode.READ if runbook.risk is Risk.READ else Mode.PLAN
    return _queue(services, sealed, name_of(runbook), runbook.title, mode)


def undo(services: Services, run: str, person: Person) -> str:
    """Queue the inverse of what ``run`` applied; an approval covers the plan's undo.

    Raises:
        RefusedError: If there is nothing that could be undone.
    """
    with services.database.transaction() as connection:
        row = store.run_row(connection, run)
        made = store.made(connection, run)
        request = store.request_row(connection, row.request)
        done = [r for r in store.runs_of_request(connection, row.request) if r.undoes == run]
    if row.mode not in {Mode.APPLY, Mode.RETRY} or not made:
        raise RefusedError(f"run {run} (mode {row.mode}) changed nothing, so there is nothing to undo")
    if any(r.verdict in {None, Verdict.DONE.value} for r in done):
        raise RefusedError(f"run {run} is undone already by run {done[-1].id}")
    _still_sealed(services, request)
    del person  # part 5 asks who may undo
    return _queue(services, request.id, row.runbook, row.title, Mode.UNDO, undoes=run)


def retry(services: Services, run: str, person: Person) -> str:
    """Queue what the application of a request did not finish; an approval covers a retry of that.

    Args:
        services: What the flow needs.
        run: The application, or a retry of it.
        person: Who asks.

    Raises:
        RefusedError: If nothing is left of it, or it was undone, or one of its runs has not ended.
    """
    with services.database.transaction() as connection:
        row = store.run_row(connection, run)
        request = store.request_row(connection, row.request)
        made = store.made_of_request(connection, row.request)
        others = store.runs_of_request(connection, row.request)
    if row.mode not in {Mode.APPLY, Mode.RETRY}:
        raise RefusedError(f"run {run} (mode {row.mode}) applied nothing, so there is nothing to retry")
    if going := [r.id for r in others if r.verdict is None]:
        raise RefusedError(f"run {going[0]} of the same request has not ended")
    if undone := [r.id for r in others if r.mode == Mode.UNDO]:
        raise RefusedError(f"run {run} was undone by run {undone[-1]}", hint=f"plan anew: opsnb run {row.runbook} ...")
    if all(r.verdict == Verdict.DRIFTED for r in others if r.mode == Mode.APPLY):
        raise RefusedError(f"run {run} began nothing: the plan had drifted", hint=f"plan anew: opsnb run {row.runbook}")
    if len(made) == len(request.plan["changes"]):
        raise RefusedError(f"every change of request {request.id} was made; nothing is left to retry")
    _still_sealed(services, request)
    same_hosts(services, json.loads(request.body))
    del person  # part 5 asks who may
    return _queue(services, request.id, row.runbook, row.title, Mode.RETRY)


def _apply(services: Services, asked: Asked, person: Person, request: str) -> str:
    if asked.mode is not Mode.APPLY:
        raise UsageError("--request goes with --mode apply")
    with services.database.transaction() as connection:
        row = store.request_row(connection, request)
        earlier = [r for r in store.runs_of_request(connection, request) if r.mode == Mode.APPLY]
    _matches(services, asked, row)
    if row.plan_digest is None:
        raise RefusedError(f"request {request} has no plan yet", hint=f"opsnb run {row.runbook}   plans it")
    if earlier:
        raise RefusedError(
            f"request {request} was applied once already, by run {earlier[-1].id}",
            hint=f"plan anew: opsnb run {row.runbook} ...",
        )
    _still_sealed(services, row)
    if not landlock_abi() and not services.settings.allow_unconfined_changes:
        raise RefusedError(
            "this system cannot isolate kernels (no Landlock), and a change needs isolation",
            hint="set allow_unconfined_changes: true in opsnb.yaml if you accept that",
        )
    same_hosts(services, json.loads(row.body))
    with services.database.transaction() as connection:
        if row.approved_at is None:
            _approve_own(connection, row, person)
    return _queue(services, request, row.runbook, json.loads(row.body)["title"], Mode.APPLY)


def _matches(services: Services, asked: Asked, row: Row[Any]) -> None:
    runbook = chosen(services, asked.runbook, asked.folder)
    if (name_of(runbook)) != row.runbook:
        raise UsageError(f"request {row.id} is for {row.runbook}, not for {asked.runbook}")
    if asked.texts or asked.values or asked.hosts:
        raise UsageError(f"request {row.id} has its parameters and hosts sealed; leave them out, or plan anew")


def _still_sealed(services: Services, row: Row[Any]) -> None:
    """Refuse when what was approved is no longer what would run."""
    body = json.loads(row.body)
    runbook: Runbook = chosen(services, body["path"])
    if runbook.digest != body["notebook"]:
        raise RefusedError(
            f"{body['path']} has changed since request {row.id} was sealed", hint=f"plan anew: opsnb run {row.runbook}"
        )
    admit(services, runbook, body)
    if services.toolkit.digest() != body["toolkit"]:
        raise RefusedError(
            f"the toolkit has changed since request {row.id} was sealed", hint=f"plan anew: opsnb run {row.runbook}"
        )


def _approve_own(connection: Connection, row: Row[Any], person: Person) -> None:
    """Approve one's own request: only while the workspace has one person, and the record says so."""
    if count(connection) > 1:
        raise RefusedError(f"request {row.id} needs the approval of another person")
    values = {"approved_at": stamp(), "approved_by": person.id, "approved_self": True}
    connection.execute(update(store.requests).where(store.requests.c.id == row.id).values(**values))
    plan = salted(row.salts["plan"], row.plan_digest.encode())
    append(
        connection,
        RequestApproved(
            request=row.id, by=person.id, voice=person.id, step=1, plan=plan,
            comment=salted(row.salts["plan"], b""), self_approved=True,
        ),
    )  # fmt: skip


def _queue(services: Services, request: str, runbook: str, title: str, mode: Mode, undoes: str | None = None) -> str:
    new = store.NewRun(id=new_id(), request=request, runbook=runbook, title=title, mode=mode, undoes=undoes)
    with services.database.transaction() as connection:
        body = json.loads(store.request_row(connection, request).body)
        if (
            undoes is None
            and mode is Mode.APPLY
            and any(r.mode == Mode.APPLY for r in store.runs_of_request(connection, request))
        ):
            raise RefusedError(f"request {request} was applied already")
        store.add_run(connection, new)
        if body["locks"] and mode.changes:
            store.note(connection, new.id, "locks", body["locks"])
    services.feed(new.id).tell({"ev": "state", "run": new.id, "request": request, "state": RunState.QUEUED.value})
    services.wake()
    return new.id
