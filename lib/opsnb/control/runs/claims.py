"""Claims and starts in the database: what an approval or a broken glass was used for, and when a request is to start.

A claim's ``slot`` is unique: of two who claim the same thing, the database itself lets one through.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import JSON as JSON_TYPE
from sqlalchemy import Column, Connection, Index, String, Table, insert, select, update
from sqlalchemy.engine import Row

from opsnb.base.clock import stamp
from opsnb.control.database import metadata
from opsnb.control.records import Mode, Start

claims = Table(
    "claims",
    metadata,
    Column("run", String, primary_key=True),
    Column("request", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("slot", String, nullable=False, unique=True),  # what it takes: once
    Column("by", String, nullable=False),
    Column("at", String, nullable=False),
    Column("approvals", JSON_TYPE, nullable=False),  # what let it through: rows of who, at, self, for
)
Index("claims_by_request", claims.c.request)
starts = Table(
    "starts",
    metadata,
    Column("request", String, primary_key=True),
    Column("start", String, nullable=False),
    Column("due", String),  # when it may start; null while it waits for its approval or for somebody
    Column("by", String, nullable=False),
    Column("run", String),  # that it started
    Column("why", String, nullable=False),  # what keeps it, in words; empty while nothing does
)
Index("starts_by_due", starts.c.run, starts.c.due)
glass_uses = Table(
    "glass_uses",
    metadata,
    Column("run", String, primary_key=True),
    Column("glass", String, primary_key=True),  # the request of the broken glass
    Column("request", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("by", String, nullable=False),
    Column("at", String, nullable=False),
)
Index("glass_uses_by_glass", glass_uses.c.glass, glass_uses.c.at)
MAX_DUE = 100  # looked at in one turn


def slot_of(request: str, mode: Mode, undoes: str, attempt: int) -> str:
    """Return what a claim takes: the application of a request, or one attempt to undo or to retry."""
    if mode is Mode.APPLY:
        return str(applying(request))
    about = undoes if mode is Mode.UNDO else request
    return f"{about}:{mode.value}:{attempt}"


def applying(request: Any) -> Any:
    """Return what the application of a request takes: of its id, or of a column of ids."""
    return request + ":apply"


def applied(connection: Connection, requests: Iterable[str]) -> dict[str, str]:
    """Return, of these requests, those whose change a run took, with that run."""
    slots = [applying(request) for request in requests]
    found = connection.execute(select(claims.c.request, claims.c.run).where(claims.c.slot.in_(slots)))
    return {row.request: row.run for row in found}


def add(connection: Connection, *, run: str, request: str, mode: Mode, slot: str, by: str, at: datetime,
        approvals: list[dict[str, Any]]) -> None:  # fmt: skip
    """Claim.

    Raises:
        IntegrityError: If the slot is taken.
    """
    connection.execute(
        insert(claims).values(
            run=run, request=request, mode=mode.value, slot=slot, by=by, at=stamp(at), approvals=approvals
        )
    )


def taken(connection: Connection, slot: str) -> Row[Any] | None:
    """Return the claim that has a slot."""
    return connection.execute(select(claims).where(claims.c.slot == slot)).one_or_none()


def of_request(connection: Connection, request: str) -> list[Row[Any]]:
    """Return the claims of a request, oldest first."""
    return list(connection.execute(select(claims).where(claims.c.request == request).order_by(claims.c.at)))


def of_run(connection: Connection, run: str) -> Row[Any] | None:
    """Return a run's claim."""
    return connection.execute(select(claims).where(claims.c.run == run)).one_or_none()


def use_glass(connection: Connection, *, run: str, glass: str, request: str, mode: Mode, by: str, at: datetime) -> bool:
    """Keep that a run is let by a broken glass, once; return whether that is new."""
    here = (glass_uses.c.run == run) & (glass_uses.c.glass == glass)
    if connection.execute(select(glass_uses.c.run).where(here)).one_or_none():
        return False
    values = {"run": run, "glass": glass, "request": request, "mode": mode.value, "by": by, "at": stamp(at)}
    connection.execute(insert(glass_uses).values(**values))
    return True


def under_glass(connection: Connection, glass: str) -> list[Row[Any]]:
    """Return what was done under a broken glass, oldest first."""
    query = select(glass_uses).where(glass_uses.c.glass == glass).order_by(glass_uses.c.at, glass_uses.c.run)
    return list(connection.execute(query))


def glass_of(connection: Connection, runs: list[str]) -> dict[str, str]:
    """Return, of these runs, those under a broken glass, with its request; of several, the last one's."""
    query = select(glass_uses.c.run, glass_uses.c.glass).where(glass_uses.c.run.in_(runs)).order_by(glass_uses.c.at)
    return {row.run: row.glass for row in connection.execute(query)}


def set_start(connection: Connection, request: str, start: Start, due: datetime | None, by: str) -> None:
    """Keep when a request is to be applied, instead of what was said before."""
    values = {"start": start.value, "due": stamp(due) if due else None, "by": by, "why": ""}
    if start_of(connection, request) is None:
        connection.execute(insert(starts).values(request=request, **values))
    else:
        connection.execute(update(starts).where(starts.c.request == request).values(**values))


def start_of(connection: Connection, request: str) -> Row[Any] | None:
    """Return when a request is to be applied; ``None`` for one that was only planned."""
    return connection.execute(select(starts).where(starts.c.request == request)).one_or_none()


def due(connection: Connection, now: datetime) -> list[Row[Any]]:
    """Return the starts that have come and have not been made, the longest due first."""
    there = starts.c.run.is_(None) & (starts.c.due <= stamp(now))
    return list(connection.execute(select(starts).where(there).order_by(starts.c.due).limit(MAX_DUE)))


def started(connection: Connection, request: str, run: str) -> None:
    """Keep which run a request started."""
    connection.execute(update(starts).where(starts.c.request == request).values(run=run, why=""))


def kept_back(connection: Connection, request: str, why: str, until: datetime | None) -> None:
    """Keep why a start does not happen yet, and when to look again; ``None``: never by itself."""
    values = {"why": why, "due": stamp(until) if until else None}
    connection.execute(update(starts).where(starts.c.request == request).values(**values))
