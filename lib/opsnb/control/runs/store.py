"""Requests and runs in the database; every change of state goes through here, inside the caller's transaction."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON as JSON_TYPE
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Row

from opsnb.base.clock import stamp
from opsnb.base.errors import NotFoundError
from opsnb.control.database import metadata
from opsnb.control.records import Mode, RunState, Verdict, check_transition

requests = Table(
    "requests",
    metadata,
    Column("id", String, primary_key=True),
    Column("submission", String, unique=True),  # a client that asks twice gets the same answer
    Column("digest", String, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the canonical bytes that were hashed
    Column("parameters", JSON_TYPE, nullable=False),  # as they run; the body holds floats as decimal strings
    Column("salts", JSON_TYPE, nullable=False),
    Column("runbook", String, nullable=False),
    Column("risk", String, nullable=False),
    Column("requester", String, nullable=False),
    Column("created", String, nullable=False),
    Column("plan", JSON_TYPE),
    Column("plan_digest", String),
    Column("plan_run", String),
    Column("approved_at", String),
    Column("approved_by", String),
    Column("approved_self", Boolean),
)
runs = Table(
    "runs",
    metadata,
    Column("number", Integer, primary_key=True),  # order of arrival
    Column("id", String, nullable=False, unique=True),
    Column("request", String, nullable=False),
    Column("runbook", String, nullable=False),
    Column("title", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("state", String, nullable=False),
    Column("verdict", String),
    Column("reason", String, nullable=False, default=""),
    Column("created", String, nullable=False),
    Column("started", String),
    Column("ended", String),
    Column("supervisor", Integer),  # its pid, while there is one
    Column("fence", Integer, nullable=False, default=0),
    Column("undoes", String),  # the run whose plan this one undoes
    Column("path", String),  # of the record, below outputs/
    Column("result", JSON_TYPE),  # what `opsnb run --json` prints
    Column("ledger_index", Integer),
)
Index("runs_by_state", runs.c.state)
Index("runs_by_request", runs.c.request)
intents = Table(
    "intents",
    metadata,
    Column("run", String, primary_key=True),
    Column("change", Integer, primary_key=True),
    Column("host", String, nullable=False),
    Column("what", String, nullable=False),
    Column("outcome", String),  # null while nobody knows
    Column("error", String, nullable=False, default=""),
)
notes = Table(
    "notes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run", String, nullable=False, index=True),
    Column("kind", String, nullable=False),  # check, evidence, planned, drifted, inapplicable, numbers, finished, stop
    Column("value", JSON_TYPE, nullable=False),
)
locks = Table(
    "locks",
    metadata,
    Column("name", String, primary_key=True),
    Column("run", String, nullable=False),
)
NEAR = 200  # of the latest requests, among which one is looked for that was mistyped


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """A run to be queued."""

    id: str
    request: str
    runbook: str
    title: str
    mode: Mode
    undoes: str | None = None


def add_request(connection: Connection, **values: Any) -> None:
    """Store a sealed request."""
    connection.execute(insert(requests).values(created=stamp(), **values))


def add_run(connection: Connection, run: NewRun) -> None:
    """Queue a run."""
    connection.execute(
        insert(runs).values(
            id=run.id, request=run.request, runbook=run.runbook, title=run.title, mode=run.mode.value,
            state=RunState.QUEUED.value, created=stamp(), undoes=run.undoes,
        )
    )  # fmt: skip


def run_row(connection: Connection, run: str) -> Row[Any]:
    """Return a run's row.

    Raises:
        NotFoundError: If there is no such run.
    """
    row = connection.execute(select(runs).where(runs.c.id == run)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no run '{run}'", hint="see them with: opsnb runs list")
    return row


def request_rows(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Return the rows of some requests, by their ids; those that there are not are left out."""
    query = select(requests).where(requests.c.id.in_(list(ids)))
    return {row.id: row for row in connection.execute(query)}


def request_row(connection: Connection, request: str) -> Row[Any]:
    """Return a request's row.

    Raises:
        NotFoundError: If there is no such request.
    """
    row = connection.execute(select(requests).where(requests.c.id == request)).one_or_none()
    if row is None:
        latest = connection.execute(select(requests.c.id).order_by(requests.c.created.desc()).limit(NEAR)).scalars()
        near = difflib.get_close_matches(request, latest, 1, 0.9)
        raise NotFoundError(
            f"there is no request '{request[:80]}'",
            hint=f"did you mean {near[0]}?" if near else "opsnb requests list --status all",
        )
    return row


def request_of_submission(connection: Connection, submission: str) -> Row[Any] | None:
    """Return the request that a client's submission made, if it made one."""
    return connection.execute(select(requests).where(requests.c.submission == submission)).one_or_none()


def runs_of_request(connection: Connection, request: str) -> list[Row[Any]]:
    """Return the runs of a request, oldest first."""
    return list(connection.execute(select(runs).where(runs.c.request == request).order_by(runs.c.number)))


def move(connection: Connection, run: str, new: RunState, **values: Any) -> None:
    """Move a run to its next state, setting columns with it.

    Raises:
        IllegalTransitionError: If ``new`` does not follow the state that it is in.
    """
    old = RunState(run_row(connection, run).state)
    check_transition(run, old, new)
    connection.execute(update(runs).where(runs.c.id == run).values(state=new.value, **values))


def startable(connection: Connection) -> Iterator[Row[Any]]:
    """Yield the queued runs whose locks are all free, oldest first."""
    held = {row.name for row in connection.execute(select(locks.c.name))}
    queued = connection.execute(select(runs).where(runs.c.state == RunState.QUEUED.value).order_by(runs.c.number))
    for row in queued.all():
        if held.isdisjoint(wanted_locks(connection, row.id)):
            yield row


def take(connection: Connection, row: Row[Any]) -> None:
    """Begin a queued run with a new fencing number; take its locks with it."""
    for name in wanted_locks(connection, row.id):
        connection.execute(insert(locks).values(name=name, run=row.id))
    move(connection, row.id, RunState.STARTING, fence=row.fence + 1, started=stamp())


def wanted_locks(connection: Connection, run: str) -> list[str]:
    """Return the names of the locks that a run needs."""
    found = connection.execute(select(notes.c.value).where(notes.c.run == run, notes.c.kind == "locks")).scalars().all()
    return [str(name) for value in found for name in value]


def release_locks(connection: Connection, run: str) -> None:
    """Free what a run held."""
    connection.execute(locks.delete().where(locks.c.run == run))


def note(connection: Connection, run: str, kind: str, value: Any) -> None:
    """Keep something that a run said or that happened to it."""
    connection.execute(insert(notes).values(run=run, kind=kind, value=value))


def noted(connection: Connection, run: str, kind: str) -> list[Any]:
    """Return what was noted of a kind, in order."""
    query = select(notes.c.value).where(notes.c.run == run, notes.c.kind == kind).order_by(notes.c.number)
    return list(connection.execute(query).scalars())


def open_intent(connection: Connection, run: str, change: int, host: str, what: str) -> None:
    """Keep that a change is about to be made; from now on only a result tells what became of it."""
    connection.execute(insert(intents).values(run=run, change=change, host=host, what=what))


def close_intent(connection: Connection, run: str, change: int, outcome: str, error: str) -> None:
    """Keep a change's result."""
    where = (intents.c.run == run) & (intents.c.change == change)
    connection.execute(update(intents).where(where).values(outcome=outcome, error=error))


def intent_rows(connection: Connection, run: str) -> list[Row[Any]]:
    """Return a run's intents in the order of their changes."""
    return list(connection.execute(select(intents).where(intents.c.run == run).order_by(intents.c.change)))


def made(connection: Connection, run: str) -> set[int]:
    """Return the numbers, in the approved plan, of the changes that a run has made."""
    own = {row.change for row in intent_rows(connection, run) if row.outcome == "ok"}
    numbers = noted(connection, run, "numbers")  # a retry carries out a part of the plan, and counts that from 0
    return {int(numbers[-1][number]) for number in own} if numbers else own


def made_of_request(connection: Connection, request: str) -> set[int]:
    """Return the numbers, in the approved plan, of the changes that its application and retries have made."""
    rows = (row for row in runs_of_request(connection, request) if row.mode in {Mode.APPLY, Mode.RETRY})
    return {number for row in rows for number in made(connection, row.id)}


def unfinished(connection: Connection) -> list[Row[Any]]:
    """Return the runs that a former owner of the state began and did not end."""
    states = [RunState.STARTING.value, RunState.RUNNING.value, RunState.RECORDING.value]
    return list(connection.execute(select(runs).where(runs.c.state.in_(states)).order_by(runs.c.number)))


def listed(connection: Connection, most: int, *, runbook: str = "", verdict: Verdict | None = None) -> list[Row[Any]]:
    """Return the latest runs, newest first."""
    query = select(runs).order_by(runs.c.number.desc()).limit(most)
    if runbook:
        query = query.where(runs.c.runbook == runbook)
    if verdict:
        query = query.where(runs.c.verdict == verdict.value)
    return list(connection.execute(query))


def counted(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many runs are in each state, and how many ended with each verdict; every one is named."""
    found: tuple[dict[str, int], dict[str, int]] = (dict.fromkeys(RunState, 0), dict.fromkeys(Verdict, 0))
    for names, column in zip(found, (runs.c.state, runs.c.verdict), strict=True):
        query = select(column, func.count()).where(column.is_not(None)).group_by(column)
        names.update({str(name): int(count) for name, count in connection.execute(query)})
    return found


def busy(connection: Connection) -> int:
    """Return how many runs are not ended."""
    query = select(runs.c.number).where(runs.c.state != RunState.ENDED.value)
    return len(connection.execute(query).all())
