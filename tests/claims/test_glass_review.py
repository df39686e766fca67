"""Who may break the glass and for how long, who is told, and who has to look at it afterwards: never oneself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from claims import world
from claims.glass import GLASS, Ground, seconds, smash
from opsnb.base.clock import stamp
from opsnb.base.errors import RefusedError, UsageError
from opsnb.control.approvals.values import ActKind
from opsnb.control.database import Database
from opsnb.control.flows.approve import Deed, act_in
from opsnb.control.flows.case import open_case
from opsnb.control.flows.claim import begin_next
from opsnb.control.flows.people_record import record
from opsnb.control.flows.review import done_under, of_runs, open_glass, owed
from opsnb.control.flows.submit import queue
from opsnb.control.flows.telling import mine, remind, see
from opsnb.control.ledger.store import read
from opsnb.control.notify.store import notices, tell
from opsnb.control.notify.values import Notice, NoticeKind
from opsnb.control.people import changes
from opsnb.control.people.store import directory
from opsnb.control.people.values import Actor, Delegate
from opsnb.control.records import Mode, Verdict
from opsnb.control.runs import store

DAY = 86400.0


def review(connection: Any, ground: Any, who: str, glass: str, at: float, **more: Any) -> Any:
    """Have somebody review a broken glass."""
    deed = Deed(kind=ActKind.REVIEW, comment="looked at all of it", **more)
    return act_in(connection, ground.policies(), world.actor(connection, who), glass, deed, seconds(at))


def told(connection: Any, **fields: str) -> set[tuple[str, str]]:
    """Return who was told what."""
    rows = connection.execute(notices.select())
    return {(r.person, r.kind) for r in rows if all(getattr(r, k) == v for k, v in fields.items())}


ROLES = {"anna": True, "dora": False, "bob": False, "erin": False, world.BOT: True}  # who holds break_glass, as given


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    who=st.sampled_from(["anna", "anna", "anna", *sorted(ROLES)]),
    named=st.sets(st.sampled_from(sorted(ROLES))).map(lambda names: names or {"anna"}),
    most=st.sampled_from([1, 30, 60]),
    minutes=st.sampled_from([0, 0.1, 1, 29, 30, 31, 60, 60.1, 61]),
    reason=st.sampled_from(["it burns"] * 4 + ["", " "]),
    scopes=st.sampled_from([{"*"}, {"*"}, {"break_glass"}, {"apply", "exec"}]),
    active=st.sampled_from([True, True, True, False]),
    everywhere=st.booleans(),
)
def test_who_may_break_it(
    connection_of: Any, *, who: str, named: set[str], most: int, minutes: float, reason: str, scopes: set[str],
    active: bool, everywhere: bool,
) -> None:  # fmt: skip
    """A person whom the policy names, who holds the permission, with a reason, for no longer than it says; nobody else."""
    written = {"for": [f"person:{name}" for name in sorted(named)], "at_most": f"{most}m"}
    ground = Ground(break_glass=written, environments=["*" if everywhere else "prod"])
    with connection_of() as connection:
        record(connection, [changes.GiveRole(person=world.BOT, role="oncall")], "anna")
        record(connection, [changes.SetActive(person=who, active=active)], "anna")
        person = directory(connection).person(who)
        actor = Actor(person=person, via="token", scopes=frozenset(scopes))
        wanted = active and who in named and who == "anna" and 0 < minutes <= most and reason.strip()
        wanted = wanted and bool(scopes & {"*", "break_glass"})
        try:
            glass = smash(connection, ground, actor=actor, seconds=minutes * 60, reason=reason)
        except (RefusedError, UsageError):
            assert not wanted
        else:
            assert wanted
            (entry,) = [e.value for e in read(connection) if e.kind == "glass.broken"]
            assert (entry["by"], entry["request"]) == (who, glass)
            assert entry["end"] == stamp(seconds(minutes * 60))


@pytest.fixture
def connection_of(database: Database) -> Any:
    """What gives a transaction in a new world, and takes all of it back."""
    world.empty(database)

    @contextmanager
    def transaction() -> Iterator[Any]:
        with database.transaction() as connection:
            point = connection.begin_nested()
            yield connection
            point.rollback()

    return transaction


@pytest.mark.parametrize("written", [{}, {"break_glass": GLASS, "max_hosts": 1}])
def test_what_else_keeps_it_whole(connection: Any, written: dict[str, Any]) -> None:
    """Without a policy that names somebody nobody breaks it; nor on more hosts than the policy lets one request have."""
    ground = Ground()
    ground.written = written
    hosts = [{**world.HOSTS[0], "name": name} for name in ("web1", "web2")]
    with pytest.raises(RefusedError, match=r"does not name anna|allows 1"):
        smash(connection, ground, hosts=hosts)


def test_who_is_told_at_once(connection: Any) -> None:
    """Whom the policy names, everybody who may approve there, and in whose name it was; each once; seen when shown."""
    ground = Ground()
    glass = smash(connection, ground)
    assert told(connection, request=glass) == {(p, "glass") for p in ("anna", "bob", "carol", "erin")}
    (row,) = connection.execute(notices.select().where(notices.c.person == "erin")).all()
    assert (row.request, row.run, row.delivered, row.seen, row.at) == (glass, "", None, None, stamp(world.ZERO))
    (entry,) = [e.value for e in read(connection) if e.kind == "glass.broken"]
    assert entry["count"] == 4
    assert entry["due"] == stamp(seconds(DAY))


def test_it_is_reviewed_by_somebody_else_when_it_is_over(connection: Any) -> None:
    """Not while it holds or a run under it goes on; never by its person, a service account or who may not; then once."""
    ground = Ground()
    glass = smash(connection, ground)
    world.seal(connection, ground, "q", "anna", frozenset())
    run = queue(connection, "q", "TST-100", "t", Mode.APPLY, "anna", None, glass)
    assert begin_next(connection, ground, seconds(1)) == run
    with pytest.raises(RefusedError, match="still holds"):
        review(connection, ground, "bob", glass, 2)
    act_in(
        connection, ground.policies(), world.actor(connection, "anna"), glass, Deed(kind=ActKind.WITHDRAW), seconds(3)
    )
    with pytest.raises(RefusedError, match=f"run {run} under it has not ended"):
        review(connection, ground, "bob", glass, 4)
    world.end(connection, run, Verdict.DONE)
    for who, why in (
        ("anna", "nobody approves their own"),
        ("dora", "may not approve"),
        (world.BOT, "service account"),
    ):
        with pytest.raises(RefusedError, match=why):
            review(connection, ground, who, glass, 5)
    (line,) = done_under(connection, glass)
    assert (line["run"], line["mode"], line["hosts"], line["verdict"]) == (
        run,
        "apply",
        [h["name"] for h in world.HOSTS],
        "DONE",
    )
    there, row = directory(connection), store.run_row(connection, run)
    assert of_runs(connection, there, [row])[run]["reviewed"] is None
    assert [r["request"] for r in owed(connection, there, seconds(6))] == [glass]
    assert review(connection, ground, "bob", glass, 6).reviewed
    found = of_runs(connection, there, [row])[run]
    assert (found["glass"], found["reviewed"]) == (glass, {"by": "bob", "at": stamp(seconds(6))})
    assert owed(connection, there, seconds(7)) == []
    with pytest.raises(RefusedError, match="reviewed already"):
        review(connection, ground, "carol", glass, 8)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    by=st.sampled_from(["anna", "dora"]),
    who=st.sampled_from(sorted(world.PEOPLE)),
    alone=st.booleans(),
    delegate=st.booleans(),
    roles=st.sets(st.sampled_from(["approver", "administrator"])),
)
def test_never_ones_own_review(
    connection_of: Any, *, by: str, who: str, alone: bool, delegate: bool, roles: set[str]
) -> None:
    """Whoever reviews is another active person who may approve there, and was no delegate of who broke it meanwhile."""
    ground = Ground()
    with connection_of() as connection:
        record(connection, [changes.GiveRole(person="dora", role="oncall")], "anna")
        glass = smash(connection, ground, by)
        new = roles - {r.id for r in directory(connection).roles_of(who)}
        record(connection, [changes.GiveRole(person=who, role=role) for role in sorted(new)], "anna")
        if delegate and who not in {by, world.BOT}:
            lent = Delegate(id="g-1", from_=by, to=who, begin=seconds(1), end=seconds(60), by="anna")
            record(connection, [changes.AddDelegate(delegate=lent, now=seconds(1))], "anna")
        if alone:
            gone = [n for n in world.PEOPLE if n not in {by, world.BOT}]
            record(connection, [changes.SetActive(person=n, active=False) for n in gone], "anna")
        able = who not in {by, world.BOT} and not alone and not delegate and _may_approve(connection, who)
        try:
            review(connection, ground, who, glass, 2 * 3600)
        except RefusedError:
            assert not able
        else:
            assert able


def _may_approve(connection: Any, who: str) -> bool:
    return bool({r.id for r in directory(connection).roles_of(who)} & {"approver", "administrator"})


def test_nobody_breaks_it_again_before_an_overdue_review(connection: Any) -> None:
    """From the moment that a review is overdue its person breaks no glass; after it they do; others always might."""
    ground = Ground(break_glass={**GLASS, "for": ["person:anna", "person:dora"], "review": "2h"})
    record(connection, [changes.GiveRole(person="dora", role="oncall")], "anna")
    glass = smash(connection, ground)
    smash(connection, ground, now=seconds(2 * 3600 - 1))
    with pytest.raises(RefusedError, match="is overdue") as refused:
        smash(connection, ground, now=seconds(2 * 3600))
    assert glass in refused.value.hint
    assert smash(connection, ground, "dora", now=seconds(2 * 3600))
    review(connection, ground, "carol", glass, 2 * 3600 + 1)
    assert smash(connection, ground, now=seconds(2 * 3600 + 2))


def test_an_overdue_review_is_told_once(database: Database) -> None:
    """Those who may approve and its person are told when nobody looked in time; once, however often the clock asks."""
    ground = Ground()
    world.empty(database)
    with database.transaction() as connection:
        glass = smash(connection, ground)
    services: Any = SimpleNamespace(database=database, policies=ground.policies())
    for at in (DAY - 1, DAY, DAY + 1, DAY + 60):
        remind(services, seconds(at))
    with database.transaction() as connection:
        late = {person for person, kind in told(connection, request=glass) if kind == "review_overdue"}
        (entry,) = [e.value for e in read(connection) if e.kind == "review.overdue"]
        bob = world.actor(connection, "bob")
    assert late == {"anna", "bob", "carol"}
    assert (entry["request"], entry["count"]) == (glass, 3)
    page = mine(services, bob)
    assert [(n["kind"], n["by"]) for n in page["notices"]] == [("review_overdue", "anna"), ("glass", "anna")]
    assert see(services, bob, page["notices"][0]["number"]) == {"seen": 2}
    assert mine(services, bob)["notices"] == []
    assert len(mine(services, bob, everything=True)["notices"]) == 2


def test_notices_of_changes_stand_with_them(connection: Any) -> None:
    """A change under a policy with notice, one that nobody approves, one under a glass: each told once, as what it is."""
    free = {"for": "person:dora", "runbooks": ["TST-*"], "notice": "person:carol", "review": "12h"}
    ground = Ground(notice=["role:engineer", "person:anna"], free=free)
    runs = {}
    for who, at in (("dora", 1), ("anna", 2)):
        request = f"q-{who}"
        world.seal(connection, ground, request, who, frozenset())
        glass = smash(connection, ground, now=seconds(1)) if who == "anna" else ""
        runs[who] = queue(connection, request, "TST-100", "t", Mode.APPLY, who, None, glass)
        assert begin_next(connection, ground, seconds(at)) == runs[who]
        world.end(connection, runs[who], Verdict.DONE)
    assert told(connection, run=runs["dora"]) == {("dora", "free"), ("anna", "free"), ("carol", "free")}
    assert told(connection, run=runs["anna"]) == {("dora", "glass_run"), ("anna", "glass_run"), ("erin", "glass_run")}
    (kept,) = store.noted(connection, runs["dora"], "without")
    assert kept == {
        "policy": "all", "review_due": stamp(seconds(1) + timedelta(hours=12)), "told": ["anna", "carol", "dora"],
    }  # fmt: skip
    case = open_case(connection, ground.policies(), "q-dora", seconds(2))
    assert case.asked, "what nobody approved is in the lists, and its review is owed"


def test_a_notice_is_there_once(database: Database) -> None:
    """However often somebody is told the same thing, they have one notice of it; the database itself refuses a second."""
    world.empty(database)
    with database.transaction() as connection:
        glass = smash(connection, Ground())
        again = [Notice(person="erin", kind=NoticeKind.GLASS, request=glass)]
        assert tell(connection, [*again, *again], seconds(5)) == 0
        assert tell(connection, [Notice(person="erin", kind=NoticeKind.RUN, request=glass)] * 2, seconds(5)) == 1
        (row,) = connection.execute(notices.select().where(notices.c.person == "erin", notices.c.kind == "glass"))
    twice = notices.insert().values(person="erin", kind="glass", request=glass, run="", at=row.at)
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(twice)


def test_what_holds_now_is_listed(connection: Any) -> None:
    """Lists begin with the glass that holds, and no longer than it does."""
    ground = Ground()
    glass = smash(connection, ground, seconds=600)
    there = directory(connection)
    assert [(r["request"], r["who"]) for r in open_glass(connection, there, seconds(599))] == [(glass, "anna")]
    assert open_glass(connection, there, seconds(600)) == []


def test_a_crash_leaves_neither(database: Database) -> None:
    """What is not committed was neither broken nor told."""
    world.empty(database)

    def dies() -> None:
        with database.transaction() as connection:
            smash(connection, Ground())
            raise MemoryError

    with pytest.raises(MemoryError):
        dies()
    with database.transaction() as connection:
        assert told(connection) == set()
        assert [e for e in read(connection) if e.kind == "glass.broken"] == []
