"""What was asked for and what was said about it, in the database. Acts are only ever added.

Every function works inside the caller's transaction and writes no ledger entry: the flow that decides appends it there.
Lists are pages by key: the next one begins below the last number seen, so that no page costs more than the first.
"""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON as JSON_TYPE
from sqlalchemy import Boolean, Column, Connection, Index, Integer, String, Table, Text, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.sql.elements import ColumnElement

from opsnb.base.canonical import salted
from opsnb.base.clock import parse, stamp
from opsnb.base.errors import NotFoundError
from opsnb.control.approvals.values import Act, ActKind, State, Status, Subject
from opsnb.control.database import metadata
from opsnb.control.records import Risk

PAGE = 50  # rows of one page, where nobody says how many
MAX_PAGE = 500

approvals = Table(
    "approvals",
    metadata,
    Column("number", Integer, primary_key=True),  # order of arrival, and the key of the pages
    Column("request", String, nullable=False, unique=True),
    Column("digest", String, nullable=False),
    Column("plan", String, nullable=False),
    Column("requester", String, nullable=False),
    Column("runbook", String, nullable=False),
    Column("risk", String, nullable=False),
    Column("scope", JSON_TYPE, nullable=False),  # authors, environments, groups
    Column("asked", String, nullable=False),
    Column("status", String, nullable=False),
    Column("until", String),  # when it lapses or closes by itself
    Column("review_due", String),
    Column("reviewed", Boolean, nullable=False),
)
Index("approvals_by_status", approvals.c.status, approvals.c.number)
Index("approvals_by_requester", approvals.c.requester, approvals.c.number)
Index("approvals_by_requester_and_status", approvals.c.requester, approvals.c.status, approvals.c.number)
Index("approvals_by_runbook", approvals.c.runbook, approvals.c.number)
Index("approvals_by_runbook_and_status", approvals.c.runbook, approvals.c.status, approvals.c.number)
Index("approvals_by_requester_and_runbook", approvals.c.requester, approvals.c.runbook, approvals.c.number)
Index(
    "approvals_by_requester_runbook_and_status",
    approvals.c.requester, approvals.c.runbook, approvals.c.status, approvals.c.number,
)  # fmt: skip
Index("approvals_by_end", approvals.c.status, approvals.c.until)
Index("approvals_by_review", approvals.c.reviewed, approvals.c.review_due)

acts = Table(
    "acts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("request", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("person", String, nullable=False),  # empty: the clock
    Column("at", String, nullable=False),
    Column("request_digest", String, nullable=False),
    Column("plan_digest", String, nullable=False),
    Column("step", String, nullable=False),
    Column("on_behalf_of", String, nullable=False),
    Column("to", String, nullable=False),
    Column("comment", Text, nullable=False),
    Column("salt", String, nullable=False),  # of the comment's digest in the ledger; without it that says nothing
)
Index("acts_by_request", acts.c.request, acts.c.number)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An act that was kept: its number, and the salted digest of its comment for the ledger."""

    number: int
    comment: str


def ask(connection: Connection, subject: Subject, state: State) -> None:
    """Keep that something is asked for, or that a request was planned anew: the plan that counts is another then.

    Args:
        connection: The caller's transaction.
        subject: What is asked for.
        state: What stands at once: open, or approved where its policy asks for nobody.
    """
    values = {
        "digest": subject.digest, "plan": subject.plan, "requester": subject.requester, "runbook": subject.runbook,
        "risk": subject.risk.value, "asked": stamp(subject.asked), **_summed(state),
        "scope": {name: sorted(getattr(subject, name)) for name in ("authors", "environments", "groups")},
    }  # fmt: skip
    known = connection.execute(select(approvals.c.number).where(approvals.c.request == subject.request)).one_or_none()
    if known is None:
        connection.execute(insert(approvals).values(request=subject.request, **values))
    else:
        connection.execute(update(approvals).where(approvals.c.request == subject.request).values(**values))


def keep(connection: Connection, request: str, act: Act) -> Kept:
    """Add an act that was let in."""
    salt = secrets.token_hex(32)
    done = connection.execute(
        insert(acts).values(
            request=request, kind=act.kind.value, person=act.person, at=stamp(act.at), request_digest=act.request,
            plan_digest=act.plan, step=act.step, on_behalf_of=act.on_behalf_of, to=act.to, comment=act.comment,
            salt=salt,
        )
    )  # fmt: skip
    (number,) = done.inserted_primary_key or (0,)
    return Kept(number=int(number), comment=salted(salt, act.comment.encode()))


def settle(connection: Connection, request: str, state: State) -> bool:
    """Keep what the acts add up to now, for the lists; return whether that is another status than before."""
    before = row(connection, request).status
    connection.execute(update(approvals).where(approvals.c.request == request).values(**_summed(state)))
    return bool(before != state.status)


def row(connection: Connection, request: str) -> Row[Any]:
    """Return what is kept about a request.

    Raises:
        NotFoundError: If nobody asked for it.
    """
    found = connection.execute(select(approvals).where(approvals.c.request == request)).one_or_none()
    if found is None:
        raise NotFoundError(f"nobody asked for an approval of '{request}'", hint="see them with: opsnb requests list")
    return found


def subject_of(found: Row[Any]) -> Subject:
    """Return what a row of the table is about."""
    return Subject(
        request=found.request, digest=found.digest, plan=found.plan, requester=found.requester, runbook=found.runbook,
        risk=Risk(found.risk), asked=parse(found.asked),
        review_due=parse(found.review_due) if found.review_due else None,
        **{k: frozenset(v) for k, v in found.scope.items()},
    )  # fmt: skip


def acts_of(connection: Connection, request: str) -> tuple[Act, ...]:
    """Return everything that was done about a request, oldest first."""
    return acts_of_each(connection, [request]).get(request, ())


def acts_of_each(connection: Connection, requests: Iterable[str]) -> dict[str, tuple[Act, ...]]:
    """Return what was done about each of some requests, oldest first; nothing for those about which nothing was."""
    query = select(acts).where(acts.c.request.in_(list(requests))).order_by(acts.c.number)
    found: dict[str, list[Act]] = {}
    for a in connection.execute(query):
        found.setdefault(a.request, []).append(Act(
            kind=ActKind(a.kind), person=a.person, at=parse(a.at), request=a.request_digest, plan=a.plan_digest,
            step=a.step, on_behalf_of=a.on_behalf_of, to=a.to, comment=a.comment,
        ))  # fmt: skip
    return {request: tuple(said) for request, said in found.items()}


def page(
    connection: Connection,
    *,
    status: Iterable[Status] = (),
    requester: str = "",
    runbook: str = "",
    before: int | None = None,
    most: int = PAGE,
    only: ColumnElement[bool] | None = None,
) -> list[Row[Any]]:
    """Return a page of requests, newest first.

    Args:
        connection: The caller's transaction.
        status: Those of these statuses; none: of any.
        requester: Those of one person.
        runbook: Those of one runbook.
        before: The lowest number seen so far; ``None`` for the first page.
        most: How many, at most ``MAX_PAGE``.
        only: What else has to hold of them.
    """
    most = max(1, min(most, MAX_PAGE))
    query = select(approvals).order_by(approvals.c.number.desc()).limit(most)
    for column, value in ((approvals.c.requester, requester), (approvals.c.runbook, runbook)):
        query = query.where(column == value) if value else query
    query = query.where(approvals.c.number < before) if before is not None else query
    query = query.where(only) if only is not None else query
    wanted = list(dict.fromkeys(status))
    queries = [query.where(approvals.c.status == s.value) for s in wanted] or [query]
    pages: Sequence[list[Row[Any]]] = [list(connection.execute(q)) for q in queries]  # each by its own index
    return list(heapq.merge(*pages, key=lambda r: -r.number))[:most]


def lapsed(connection: Connection, now: datetime, most: int = MAX_PAGE) -> list[Row[Any]]:
    """Return requests whose status the clock has changed since it was kept, the longest first."""
    found: list[Row[Any]] = []
    for status in (Status.OPEN, Status.APPROVED):
        due = (approvals.c.status == status.value) & (approvals.c.until <= stamp(now))
        found += connection.execute(select(approvals).where(due).order_by(approvals.c.until).limit(most))
    return found[:most]


def unreviewed(connection: Connection, most: int = MAX_PAGE) -> list[Row[Any]]:
    """Return requests that went without an approval and wait for somebody to look at them, the most urgent first."""
    due = (approvals.c.reviewed.is_(False)) & (approvals.c.review_due.is_not(None))
    return list(connection.execute(select(approvals).where(due).order_by(approvals.c.review_due).limit(most)))


def redact(connection: Connection, number: int) -> None:
    """Delete what somebody wrote, and the salt of its digest; that and when they acted stays."""
    connection.execute(update(acts).where(acts.c.number == number).values(comment="", salt=""))


def _summed(state: State) -> dict[str, Any]:
    """The columns of the lists. That a review is due is never taken back: it is owed for what went without one."""
    review = {"review_due": stamp(state.review_due)} if state.review_due else {}
    until = stamp(state.until) if state.until else None
    return {"status": state.status.value, "until": until, "reviewed": state.reviewed, **review}
