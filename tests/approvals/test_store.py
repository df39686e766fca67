"""Approvals in the database: what is kept comes back, acts stay as they are, lists stay fast."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, event, insert, text, update
from sqlalchemy.exc import DBAPIError

from approvals.people import ASKED, People, subject
from opsnb.base.canonical import salted
from opsnb.base.clock import stamp
from opsnb.base.errors import NotFoundError
from opsnb.control.approvals import store
from opsnb.control.approvals.policy import BUILT_IN
from opsnb.control.approvals.rules import fold
from opsnb.control.approvals.values import Act, ActKind, State, Status
from opsnb.control.database import Database
from opsnb.control.migrations import upgrade
from opsnb.control.records import Risk
from postgres import fresh, postgres

__all__ = ["postgres"]  # a fixture from elsewhere

PEOPLE = People(active_ones=frozenset({"alice", "bob", "carol"}))
FLOW = BUILT_IN[Risk.CHANGE].steps
NUMBERS = itertools.count()
PAGE = 10  # rows; each list has as many in the small database, but the open ones
OPEN = State(status=Status.OPEN, reason="", until=ASKED + timedelta(days=7))


class Elsewhere:
    """A database in PostgreSQL, with what these tests use of ``Database``."""

    def __init__(self, url):
        self.engine = create_engine(url)
        self.transaction = self.engine.begin
        upgrade(self.engine)


@pytest.fixture
def sqlite(tmp_path):
    """A database of SQLite."""
    found = Database(tmp_path / "opsnb.db")
    yield found
    found.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request):
    """A database of its own, of either kind."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite")
        return
    with fresh(request.getfixturevalue("postgres"), f"t{next(NUMBERS)}") as url:
        found = Elsewhere(url)
        yield found
        found.engine.dispose()


def act(kind=ActKind.APPROVE, person="alice", **values):
    """Return an act about the right request and plan."""
    at = ASKED + timedelta(minutes=1)
    return Act(**{"kind": kind, "person": person, "at": at, "request": "REQ", "plan": "P", "step": "approve", **values})


def test_what_is_kept_comes_back(database):
    """A subject and its acts are read as the values that they were."""
    about = subject(
        authors=frozenset({"dave"}), environments=frozenset({"", "production"}), groups=frozenset({"web"}),
        runbook="NGX-010", risk=Risk.DANGER,
    )  # fmt: skip
    acts = (
        act(comment="看过了", on_behalf_of="bob"),
        act(ActKind.DELEGATE, to="bob"),
        act(ActKind.EXPIRE, "", step=""),
    )
    with database.transaction() as connection:
        store.ask(connection, about, OPEN)
        kept = [store.keep(connection, "R1", a) for a in acts]
    with database.transaction() as connection:
        assert store.subject_of(store.row(connection, "R1")) == about
        assert store.acts_of(connection, "R1") == acts
        salt = connection.execute(text("SELECT salt FROM acts ORDER BY number LIMIT 1")).scalar_one()
    assert [k.number for k in kept] == [1, 2, 3]
    assert kept[0].comment == salted(salt, "看过了".encode())


def test_the_status_follows(database):
    """What the acts add up to is kept for the lists, and a change of it is told."""
    with database.transaction() as connection:
        store.ask(connection, subject(), fold(FLOW, subject(), [], PEOPLE, ASKED))
        assert store.row(connection, "R1").status == "open"
        store.keep(connection, "R1", act())
        state = fold(FLOW, subject(), store.acts_of(connection, "R1"), PEOPLE, ASKED + timedelta(hours=1))
        assert store.settle(connection, "R1", state) is True
        assert store.settle(connection, "R1", state) is False
        row = store.row(connection, "R1")
    assert (row.status, row.until) == ("approved", stamp(ASKED + timedelta(minutes=1, days=1)))


def test_a_new_plan_is_the_same_request(database):
    """Asked again with another plan, it keeps its place, and earlier acts are kept and void."""
    with database.transaction() as connection:
        store.ask(connection, subject(), OPEN)
        store.keep(connection, "R1", act())
        again = subject(plan="P2", asked=ASKED + timedelta(hours=1))
        store.ask(connection, again, OPEN)
        assert [r.number for r in store.page(connection)] == [1]
        found = store.subject_of(store.row(connection, "R1"))
        assert fold(FLOW, found, store.acts_of(connection, "R1"), PEOPLE, again.asked).approvals == ()


def test_acts_are_only_ever_added(database):
    """The database refuses to change or delete what somebody did, whoever asks it to."""
    with database.transaction() as connection:
        store.keep(connection, "R1", act())
    fixed = [c.name for c in store.acts.columns if c.name not in {"comment", "salt"}]
    attempts = [update(store.acts).values({name: 9 if name == "number" else "other"}) for name in fixed]
    attempts += [store.acts.delete()]
    attempts += [text("TRUNCATE acts")] if database.engine.dialect.name == "postgresql" else []
    for attempt in attempts:
        with pytest.raises(DBAPIError, match="only ever added"), database.transaction() as connection:
            connection.execute(attempt)
    with database.transaction() as connection:
        assert store.acts_of(connection, "R1") == (act(),)


def test_words_can_be_deleted(database):
    """What somebody wrote goes, with the salt of its digest; what they did stays."""
    with database.transaction() as connection:
        kept = store.keep(connection, "R1", act(comment="the password is hunter2"))
        store.redact(connection, kept.number)
        assert store.acts_of(connection, "R1") == (act(),)
        assert connection.execute(text("SELECT salt FROM acts")).scalar_one() == ""


def test_nobody_asked(database):
    """A request that nobody asked about is named."""
    with database.transaction() as connection, pytest.raises(NotFoundError, match="'R9'"):
        store.row(connection, "R9")


def test_what_the_clock_changed(database):
    """Open and approved requests whose time is over are found, the longest first; ended ones are not."""
    with database.transaction() as connection:
        for number, status in enumerate(Status):
            state = State(status=status, reason="", until=ASKED + timedelta(hours=9 - number))
            store.ask(connection, subject(request=f"R{number}"), state)
        assert [r.request for r in store.lapsed(connection, ASKED + timedelta(hours=9))] == ["R0", "R1"]
        assert store.lapsed(connection, ASKED + timedelta(hours=7)) == []


def test_what_waits_for_a_review(database):
    """What went without an approval is listed until somebody looked at it."""
    due = State(status=Status.APPROVED, reason="", review_due=ASKED + timedelta(days=1))
    with database.transaction() as connection:
        store.ask(connection, subject(request="R1"), due)
        store.ask(connection, subject(request="R2"), OPEN)
        assert [r.request for r in store.unreviewed(connection)] == ["R1"]
        assert store.subject_of(store.row(connection, "R1")).review_due == ASKED + timedelta(days=1)
        store.settle(connection, "R1", OPEN)  # the flow has steps by now
        assert [r.request for r in store.unreviewed(connection)] == ["R1"]
        store.settle(connection, "R1", replace(due, reviewed=True))
        assert store.unreviewed(connection) == []


def fill(database, count):
    """Keep many requests; one in a thousand is open, as in a workspace that is some years old."""
    rows = [
        {
            "request": f"R{n}", "digest": "d", "plan": "p", "requester": f"u{n % 50}", "runbook": f"X-{n % 100:03}",
            "risk": "change", "scope": {"authors": [], "environments": ["production"], "groups": []},
            "asked": stamp(ASKED), "status": "open" if n % 1000 == 7 else ("approved", "expired")[n % 2],
            "until": stamp(ASKED + timedelta(days=n)), "review_due": None, "reviewed": n % 3 == 0,
        }
        for n in range(count)
    ]  # fmt: skip
    with database.transaction() as connection:
        connection.execute(insert(store.approvals), rows)


LISTS = {
    "all": {},
    "open": {"status": [Status.OPEN]},
    "open or approved": {"status": [Status.OPEN, Status.APPROVED]},
    "of one person": {"requester": "u7"},
    "of one person, expired": {"requester": "u7", "status": [Status.EXPIRED]},
    "of one runbook": {"runbook": "X-007"},
    "of one runbook, expired": {"runbook": "X-007", "status": [Status.EXPIRED]},
}


def test_pages_follow_each_other(database):
    """Page after page, every request is there once, newest first, whatever the list asks for."""
    fill(database, 700)
    with database.transaction() as connection:
        for asked in LISTS.values():
            whole = [r.number for r in store.page(connection, **asked, most=500)]
            seen, before = [], None
            while rows := store.page(connection, **asked, before=before, most=7):
                seen += [r.number for r in rows]
                before = seen[-1]
            assert seen[: len(whole)] == whole == sorted(whole, reverse=True)
            assert len(seen) == len(set(seen))


def test_lists_use_their_index(sqlite):
    """No list reads the table from end to end or sorts it."""
    fill(sqlite, 2000)
    said = []
    with sqlite.transaction() as connection:
        connection.exec_driver_sql("ANALYZE")
        for name, asked in LISTS.items():
            statements = []
            for statement in queries_of(connection, lambda c, asked=asked: store.page(c, **asked, before=1500)):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement[0]}", statement[1]).all()
                statements += [row[3] for row in plan]
            said += [f"{name}: {s}" for s in statements if "TEMP B-TREE" in s or s.startswith("SCAN")]
    assert said == []


def queries_of(connection, work):
    """Return the statements, with their values, that some work sends to the database."""
    seen = []

    def note(_conn, _cursor, statement, values, *_):
        seen.append((statement, values))

    event.listen(connection, "before_cursor_execute", note)
    work(connection)
    event.remove(connection, "before_cursor_execute", note)
    return seen


@pytest.mark.slow
def test_lists_of_100000_take_as_long_as_of_1000(tmp_path, record_property):
    """Each list with 100,000 requests takes at most 1.5 times as long as with 1,000."""
    few, many = Database(tmp_path / "few.db"), Database(tmp_path / "many.db")
    fill(few, 1000)
    fill(many, 100_000)
    found = {name: ratio(few, many, asked) for name, asked in LISTS.items()}
    few.close()
    many.close()
    record_property("100,000 ÷ 1,000", found)
    assert {name: r for name, r in found.items() if r > 1.5} == {}


def ratio(few, many, asked):
    """Return the quotient of the shortest times of one list in two databases, taken in turn."""
    best = {id(few): 9.9, id(many): 9.9}
    for _ in range(40):
        for database in (few, many):
            with database.transaction() as connection:
                begin = time.perf_counter()
                rows = store.page(connection, **asked, most=PAGE)
                best[id(database)] = min(best[id(database)], time.perf_counter() - begin)
            assert rows
    return round(best[id(many)] / best[id(few)], 2)
