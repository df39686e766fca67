"""Tell: who is told of what went without an approval, found out at that moment and kept with it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, exists, select

from opsnb.base.clock import now as current
from opsnb.base.clock import parse, stamp
from opsnb.control.approvals import store as approvals
from opsnb.control.flows.case import Case, open_case
from opsnb.control.flows.people import permit_looking
from opsnb.control.ledger.events_glass import ReviewOverdue
from opsnb.control.ledger.store import append
from opsnb.control.notify import store as notices
from opsnb.control.notify.values import Notice, NoticeKind
from opsnb.control.people.store import directory
from opsnb.control.people.values import Actor
from opsnb.control.runs import store

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

MAX_AT_ONCE = 50  # overdue reviews that are told in one turn


def tell(
    connection: Connection, people: Iterable[str], kind: NoticeKind, request: str, run: str = "", *, now: datetime
) -> None:
    """Keep what people are to be told, in the transaction of what it is about."""
    found = [Notice(person=person, kind=kind, request=request, run=run) for person in sorted(set(people))]
    notices.tell(connection, found, now)


def told_of(connection: Connection, request: str, kind: NoticeKind) -> frozenset[str]:
    """Return the ids of those who were told of a request."""
    table = notices.notices
    here = (table.c.request == request) & (table.c.kind == kind.value)
    return frozenset(connection.execute(select(table.c.person).where(here)).scalars().all())


def able_to_approve(case: Case, now: datetime) -> frozenset[str]:
    """Return the ids of everybody who may approve a case by a right of their own, whoever asked for it."""
    return frozenset(p for p in case.directory.persons if not case.who.entitled(p, case.subject, now))


def remind(services: Services, now: datetime) -> None:
    """Tell those who may approve, and whoever acted, of each review that nobody made in time; once."""
    with services.database.transaction() as connection:
        for row in _late(connection, now):
            case = open_case(connection, services.policies, row.request, now)
            told = able_to_approve(case, now) | {row.requester}
            tell(connection, told, NoticeKind.REVIEW_OVERDUE, row.request, now=now)
            append(connection, ReviewOverdue(request=row.request, due=row.review_due, count=len(told)))


def _late(connection: Connection, now: datetime) -> list[Any]:
    table, outbox = approvals.approvals, notices.notices
    told = exists().where((outbox.c.request == table.c.request) & (outbox.c.kind == NoticeKind.REVIEW_OVERDUE.value))
    late = table.c.reviewed.is_(False) & (table.c.review_due <= stamp(now)) & ~told
    return list(connection.execute(select(table).where(late).order_by(table.c.review_due).limit(MAX_AT_ONCE)))


# -- what a person sees ------------------------------------------------------------------------------------------------


def mine(
    services: Services, actor: Actor, *, everything: bool = False, before: int | None = None, most: int = 50
) -> dict[str, Any]:
    """Return a page of somebody's own notices, newest first; ``next`` is what ``before`` is for the next one."""
    with services.database.transaction() as connection:
        there = directory(connection)
        permit_looking(there, actor)
        rows = notices.of_person(connection, actor.person.id, everything=everything, before=before, most=most)
        found = []
        for row in rows:
            request = store.request_row(connection, row.request)
            about = {"runbook": request.runbook, "by": there.name(request.requester)}
            said = {"number": row.number, "kind": row.kind, "request": row.request, "run": row.run or None}
            found.append({**said, **about, "at": row.at, "seen": row.seen})
    return {"notices": found, "next": rows[-1].number if rows and len(rows) >= min(most, notices.MAX_PAGE) else None}


def see(services: Services, actor: Actor, upto: int) -> dict[str, Any]:
    """Keep that somebody saw their notices up to a number."""
    with services.database.transaction() as connection:
        permit_looking(directory(connection), actor)
        return {"seen": notices.see(connection, actor.person.id, upto, parse(stamp(current())))}
