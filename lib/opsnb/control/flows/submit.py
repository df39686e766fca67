"""Ask for a run: seal, then queue; or for the application, retry or undoing of what was planned before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from opsnb.base.clock import new_id, parse, stamp
from opsnb.base.clock import now as current
from opsnb.base.errors import RefusedError, UsageError
from opsnb.control.approvals.values import ActKind, Status
from opsnb.control.flows.approve import Deed, act_in
from opsnb.control.flows.ask import ask_in, set_start, when
from opsnb.control.flows.case import Case, open_case
from opsnb.control.flows.claim import BY, Stop, stops, unapproved
from opsnb.control.flows.glass import Broken, covering
from opsnb.control.flows.ground import Ground, Workspace
from opsnb.control.flows.leave import leave_of
from opsnb.control.flows.review import UNDER
from opsnb.control.flows.seal import Asked, chosen, name_of, seal
from opsnb.control.people.values import Action, Actor
from opsnb.control.records import Cause, Mode, Risk, RunState, Verdict
from opsnb.control.runs import claims, store

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

BEGUN = frozenset({Verdict.DONE, None})  # of an undo that is not to be repeated


def submit(services: Services, asked: Asked, actor: Actor, *, request: str = "", start: str = "") -> str:
    """Queue a run and return its id.

    Args:
        services: What the flow needs.
        asked: What is asked for.
        actor: Who asks.
        request: The request to apply; empty to seal a new one.
        start: Ask for approval once it is planned, and when to apply it then; empty: only plan it.

    Raises:
        UsageError: If what is asked for is wrong.
        RefusedError: If it may not run.
    """
    if known := _known(services, asked, actor):
        return _queued(services, known, actor, start)
    if request:
        return _apply(services, asked, actor, request)
    if asked.mode is not None and asked.mode.changes:
        raise RefusedError(
            "mode apply carries out an approved request, and none is named",
            hint=f"plan first: opsnb run {asked.runbook} ...; it names the request for --mode apply --request REQ",
        )
    services.require_space()
    if start:
        when(start)
        if chosen(services, asked.runbook, asked.folder).risk is Risk.READ:
            raise UsageError(f"{asked.runbook} only reads: it needs no approval", hint=f"opsnb run {asked.runbook}")
    try:
        sealed, _ = seal(services, asked, actor, asks=bool(start))
    except IntegrityError:  # the same was asked at once, and the other was faster
        sealed = _known(services, asked, actor)
        if not sealed:
            raise
    return _queued(services, sealed, actor, start)


def _known(services: Services, asked: Asked, actor: Actor) -> str:
    """Return the request that the same question of the same person made; empty: it is asked for the first time.

    Raises:
        RefusedError: If the submission is somebody else's, or the id of a request that named none, as a grant's.
    """
    if not asked.submission:
        return ""
    with services.database.transaction() as connection:
        row = store.request_of_submission(connection, asked.submission)
    if row is None:
        return ""
    if row.requester != actor.person.id or row.id == row.submission:
        raise RefusedError("this submission's id is taken", hint="each submission has an id of its own, made at random")
    return str(row.id)


def _queued(services: Services, sealed: str, actor: Actor, start: str) -> str:
    """Queue the first run of a sealed request, once; return it."""
    with services.database.transaction() as connection:
        if runs := store.runs_of_request(connection, sealed):
            return str(runs[0].id)
        row = store.request_row(connection, sealed)
        if start:
            set_start(connection, sealed, start, actor, current())
        body, by = json.loads(row.body), actor.person.id
        mode = Mode.READ if row.risk == Risk.READ else Mode.PLAN
        found = leave_of(connection, services.policies, body, by, current())
        under = found.glass.request if found and found.glass else ""
        run = queue(connection, sealed, row.runbook, body["title"], mode, by, under=under)
    return _told(services, run, sealed)


def undo(services: Services, run: str, actor: Actor) -> str:
    """Queue the inverse of what ``run`` applied; an approval covers the plan's undo.

    Raises:
        RefusedError: If there is nothing that could be undone, or it may not be.
    """
    now = parse(stamp(current()))
    with services.database.transaction() as connection:
        row = store.run_row(connection, run)
        made = store.made(connection, run)
        done = [r for r in store.runs_of_request(connection, row.request) if r.undoes == run]
        if row.mode not in {Mode.APPLY, Mode.RETRY} or not made:
            raise RefusedError(f"run {run} (mode {row.mode}) changed nothing, so there is nothing to undo")
        if any(r.verdict in BEGUN for r in done):
            raise RefusedError(f"run {run} is undone already by run {done[-1].id}")
        under = let(connection, Workspace(services), actor, row.request, now).under
        new = queue(connection, row.request, row.runbook, row.title, Mode.UNDO, actor.person.id, run, under)
    return _told(services, new, row.request)


def retry(services: Services, run: str, actor: Actor) -> str:
    """Queue what the application of a request did not finish; an approval covers a retry of that.

    Args:
        services: What the flow needs.
        run: The application, or a retry of it.
        actor: Who asks.

    Raises:
        RefusedError: If nothing is left of it, or it was undone, or one of its runs has not ended, or it may not be.
    """
    now = parse(stamp(current()))
    with services.database.transaction() as connection:
        row = store.run_row(connection, run)
        request = store.request_row(connection, row.request)
        _something_left(connection, row, request)
        under = let(connection, Workspace(services), actor, row.request, now).under
        new = queue(connection, request.id, row.runbook, row.title, Mode.RETRY, actor.person.id, under=under)
    return _told(services, new, row.request)


def start_due(services: Services, now: datetime | None = None) -> list[str]:
    """Queue the application of every request whose time to start has come; return the runs."""
    now = parse(stamp(now or current()))
    with services.database.transaction() as connection:
        begun = start_due_in(connection, Workspace(services), now)
    return [_told(services, run, request) for request, run in begun]


def start_due_in(connection: Connection, ground: Ground, now: datetime) -> list[tuple[str, str]]:
    """Queue what is due, in the caller's transaction; return the requests with their runs."""
    begun = [(start.request, _start(connection, ground, start, now)) for start in claims.due(connection, now)]
    return [(request, run) for request, run in begun if run]


def _start(connection: Connection, ground: Ground, start: Row[Any], now: datetime) -> str:
    """Queue one application; where something keeps it back, say what, and when to look again."""
    case = open_case(connection, ground.policies(), start.request, now)
    if case.asked and case.state(now).status is Status.OPEN:
        return ""  # the last approval starts it: its time has come already
    if not case.asked and case.row.plan_digest is None and _going(connection, start.request):
        return ""
    stop = next(stops(case, ground, start.by, now), None) or _applied(connection, case)
    if stop is not None:
        claims.kept_back(connection, start.request, stop.why, now if stop.cause is Cause.FREEZE else None)
        return ""
    run = queue(connection, case.row.id, case.row.runbook, case.body["title"], Mode.APPLY, start.by)
    claims.started(connection, start.request, run)
    return run


def _going(connection: Connection, request: str) -> bool:
    return any(r.verdict is None for r in store.runs_of_request(connection, request))


def _something_left(connection: Connection, row: Row[Any], request: Row[Any]) -> None:
    made = store.made_of_request(connection, request.id)
    others = store.runs_of_request(connection, request.id)
    if row.mode not in {Mode.APPLY, Mode.RETRY}:
        raise RefusedError(f"run {row.id} (mode {row.mode}) applied nothing, so there is nothing to retry")
    if going := [r.id for r in others if r.verdict is None]:
        raise RefusedError(f"run {going[0]} of the same request has not ended")
    if undone := [r.id for r in others if r.mode == Mode.UNDO]:
        raise RefusedError(
            f"run {row.id} was undone by run {undone[-1]}", hint=f"plan anew: opsnb run {row.runbook} ..."
        )
    if all(r.verdict == Verdict.DRIFTED for r in others if r.mode == Mode.APPLY):
        raise RefusedError(
            f"run {row.id} began nothing: the plan had drifted", hint=f"plan anew: opsnb run {row.runbook}"
        )
    if len(made) == len(request.plan["changes"]):
        raise RefusedError(f"every change of request {request.id} was made; nothing is left to retry")


def _apply(services: Services, asked: Asked, actor: Actor, request: str) -> str:
    if asked.mode is not Mode.APPLY:
        raise UsageError("--request goes with --mode apply")
    now = parse(stamp(current()))
    with services.database.transaction() as connection:
        row = store.request_row(connection, request)
        _matches(services, asked, row)
        if row.plan_digest is None:
            raise RefusedError(f"request {request} has no plan yet", hint=f"opsnb run {row.runbook}   plans it")
        if stop := _applied(connection, open_case(connection, services.policies, request, now)):
            raise stop.raised()
        found = let(connection, Workspace(services), actor, request, now)
        title, by = found.case.body["title"], actor.person.id
        run = queue(connection, request, row.runbook, title, Mode.APPLY, by, under=found.under)
        if claims.start_of(connection, request) is not None:
            claims.started(connection, request, run)
    return _told(services, run, request)


def _applied(connection: Connection, case: Case) -> Stop | None:
    """Whether a request was applied, or is about to be; a run that was refused did not count."""
    for run in store.runs_of_request(connection, case.row.id):
        if run.mode == Mode.APPLY and (run.verdict is None or claims.of_run(connection, run.id) is not None):
            why = f"request {case.row.id} was applied once already, by run {run.id}"
            return Stop(cause=Cause.CLAIMED, why=why, hint=f"plan anew: opsnb run {case.row.runbook} ...")
    return None


@dataclass(frozen=True, kw_only=True)
class Let:
    """A change that may begin now: its case, and the broken glass that lets it; empty: it needs none."""

    case: Case
    under: str = ""


def let(connection: Connection, ground: Ground, actor: Actor, request: str, now: datetime) -> Let:
    """Return the case if a change of it may begin now; the claim looks at all of it once more.

    Raises:
        RefusedError: Says what keeps it back.
    """
    if not actor.in_scope(Action.APPLY):
        raise RefusedError(f"this {actor.via} of {actor.person.name} is not good for '{Action.APPLY}'")
    case, by = open_case(connection, ground.policies(), request, now), actor.person.id
    stop = next(stops(case, ground, by, now), None)
    if (
        stop is not None
        and stop == next(unapproved(case, now), None)  # nothing but an approval is missing
        and _approve_own(connection, ground, case, actor, now)
    ):
        case = open_case(connection, ground.policies(), request, now)
        stop = next(stops(case, ground, by, now), None)
    if stop is not None and (broken := _broken(connection, ground, case, actor, now)):
        stop = next(stops(case, ground, by, now, broken), None)
        if stop is None:
            return Let(case=case, under=broken.request)
    if stop is not None:
        raise stop.raised()
    return Let(case=case)


def _broken(connection: Connection, ground: Ground, case: Case, actor: Actor, now: datetime) -> Broken | None:
    """Return the broken glass of whoever planned it and starts it, where one covers it now."""
    if actor.person.id != case.row.requester or not actor.in_scope(Action.BREAK_GLASS):
        return None
    return covering(connection, ground.policies(), actor.person.id, case.policy, case.body["hosts"], now)


def _approve_own(connection: Connection, ground: Ground, case: Case, actor: Actor, now: datetime) -> bool:
    """Approve one's own request: only while the workspace has one person, and the record says so."""
    own = case.who.alone() and case.flow.own and actor.person.id == case.row.requester
    if not own:
        return False
    if not case.asked or case.state(now).status is Status.EXPIRED:
        case = ask_in(connection, case, now)
    if case.state(now).status is Status.OPEN:
        act_in(connection, ground.policies(), actor, case.row.id, Deed(kind=ActKind.APPROVE), now)
    return True


def _matches(services: Services, asked: Asked, row: Row[Any]) -> None:
    runbook = chosen(services, asked.runbook, asked.folder)
    if (name_of(runbook)) != row.runbook:
        raise UsageError(f"request {row.id} is for {row.runbook}, not for {asked.runbook}")
    if asked.texts or asked.values or asked.hosts:
        raise UsageError(f"request {row.id} has its parameters and hosts sealed; leave them out, or plan anew")


def queue(
    connection: Connection, request: str, runbook: str, title: str, mode: Mode, by: str, undoes: str | None = None,
    under: str = "",
) -> str:  # fmt: skip
    """Queue a run in the caller's transaction; nothing is looked at: the claim does that.

    ``under`` is the broken glass that has to let it begin, where nothing else does.
    """
    new = store.NewRun(id=new_id(), request=request, runbook=runbook, title=title, mode=mode, undoes=undoes)
    store.add_run(connection, new)
    store.note(connection, new.id, BY, by)
    if under:
        store.note(connection, new.id, UNDER, under)
    locks = json.loads(store.request_row(connection, request).body)["locks"]
    if locks and mode.changes:
        store.note(connection, new.id, "locks", locks)
    return new.id


def _told(services: Services, run: str, request: str) -> str:
    services.feed(run).tell({"ev": "state", "run": run, "request": request, "state": RunState.QUEUED.value})
    services.wake()
    return run
