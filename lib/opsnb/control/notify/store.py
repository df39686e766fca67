"""The outbox: notices in the database, written in the transaction of what they are about.

So none is lost when the control plane dies, and none is there of something that did not happen. A unique key over
person, kind and what it is about keeps each from being there twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, String, Table, UniqueConstraint, func, insert, select, update
from sqlalchemy.engine import Row

from opsnb.base.clock import stamp
from opsnb.control.database import metadata
from opsnb.control.notify.values import Notice

MAX_PAGE = 200

notices = Table(
    "notices",
    metadata,
    Column("number", Integer, primary_key=True),  # order of arrival
    Column("person", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("request", String, nullable=False),
    Column("run", String, nullable=False),  # empty: about the request
    Column("at", String, nullable=False),
    Column("delivered", String),  # when a channel handed it over; null until then
    Column("seen", String),  # when the person saw it
    UniqueConstraint("person", "kind", "request", "run", name="notices_once"),
)
Index("notices_by_person", notices.c.person, notices.c.seen, notices.c.number)
Index("notices_by_request", notices.c.request, notices.c.kind)


def tell(connection: Connection, found: Iterable[Notice], now: datetime) -> int:
    """Keep what people are to be told, each thing once; return how many notices are new."""
    rows = {(n.person, n.kind.value, n.request, n.run): n for n in found if n.person}
    key = (notices.c.person, notices.c.kind, notices.c.request, notices.c.run)
    about = {n.request for n in rows.values()}
    there = {tuple(row) for row in connection.execute(select(*key).where(notices.c.request.in_(about)))}
    new = [
        {"person": n.person, "kind": n.kind.value, "request": n.request, "run": n.run, "at": stamp(now)}
        for at, n in rows.items()
        if at not in there
    ]
    if new:
        connection.execute(insert(notices), new)
    return len(new)


def unseen(connection: Connection, person: str) -> int:
    """Return how many notices a person has not seen."""
    query = select(func.count()).where(notices.c.person == person, notices.c.seen.is_(None))
    return int(connection.execute(query).scalar_one())


def of_person(
    connection: Connection, person: str, *, everything: bool = False, before: int | None = None, most: int = MAX_PAGE
) -> list[Row[Any]]:
    """Return a person's notices, newest first: those not seen yet, or all."""
    query = select(notices).where(notices.c.person == person).order_by(notices.c.number.desc())
    query = query if everything else query.where(notices.c.seen.is_(None))
    query = query.where(notices.c.number < before) if before is not None else query
    return list(connection.execute(query.limit(max(1, min(most, MAX_PAGE)))))


def see(connection: Connection, person: str, upto: int, now: datetime) -> int:
    """Keep that a person saw their notices up to a number; return how many were new to them."""
    mine = (notices.c.person == person) & (notices.c.number <= upto) & notices.c.seen.is_(None)
    return int(connection.execute(update(notices).where(mine).values(seen=stamp(now))).rowcount)
