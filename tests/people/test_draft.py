"""Changes about people: what is refused, what is kept, and that no order of them breaks a rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.errors import NotFoundError, OpsnbError, RefusedError, UsageError
from opsnb.base.looks import skeleton
from opsnb.control.people.draft import Draft, first_person
from opsnb.control.people.rules import Directory
from opsnb.control.people.values import Kind, Person
from opsnb.control.people.wanted import User, Wanted
from people.crowd import HOUR, NOW, firm, person

ROOT = person(1)


def wanting(directory: Directory | None = None) -> Wanted:
    """Return what takes wishes about the firm."""
    return Wanted(Draft(directory or firm()))


def refused(kind: type[OpsnbError], why: str, wish: object) -> None:
    """Check that a wish is refused with a reason, and nothing of it stays."""
    wanted = wanting()

    def wish_and_finish() -> None:
        wish(wanted)  # type: ignore[operator]
        wanted.draft.finish()

    with pytest.raises(kind) as caught:
        wish_and_finish()
    assert why in str(caught.value)
    assert wanted.draft.before == firm()


def test_the_first_person_administers() -> None:
    """Who opens an empty workspace becomes its administrator; who comes to one that has one gets nothing."""
    draft = Draft(Directory())
    for change in first_person(Directory(), ROOT):
        draft.apply(change)
    after = draft.finish()
    assert after.holders("administrator") == {"u-1"}
    other = Person(id="u-9", name="eve")
    assert [type(c).__name__ for c in first_person(after, other)] == ["AddPerson"]
    assert first_person(after, ROOT) == ()


@pytest.mark.parametrize("user", [
    User(name="anna", active=False), User(name="anna", roles=()), User(name="anna", take=("administrator",)),
])  # fmt: skip
def test_the_last_administrator_stays(user: User) -> None:
    """Nobody takes the last administrator away, by leaving or by losing the role; service accounts do not count."""
    refused(RefusedError, "anna is the last", lambda w: w.user(user))
    wanted = wanting()
    wanted.user(User(name="bob", give=("administrator",)))
    wanted.user(user)
    assert wanted.draft.finish().holders("administrator") == {"u-2"}


def test_departments_are_a_tree() -> None:
    """No department is above itself, directly or by way of others."""
    refused(UsageError, "Operations in Web in Operations", lambda w: w.department("operations", parent="Web"))
    refused(UsageError, "above itself", lambda w: w.department("Web", parent="Web"))


@pytest.mark.parametrize(("wish", "why"), [
    (lambda w: w.add(User(name="BOB")), "user 'bob' is there already"),
    (lambda w: w.add(User(name="b0b")), "would be taken for 'bob'"),
    (lambda w: w.user(User(name="bob", display="anna")), "is what 'anna' signs in with"),
    (lambda w: w.user(User(name="bob", display="Ann\u0430")), "mixes letters"),
    (lambda w: w.user(User(name="bob", kind=Kind.SERVICE)), "never changes"),
    (lambda w: w.user(User(name="eve", give=("web-opps",))), "did you mean 'web-ops'"),
    (lambda w: w.user(User(name="eve", department="Wep")), "did you mean 'Web'"),
    (lambda w: w.department("Netz", leader="deploy"), "is a service account"),
    (lambda w: w.department("Netz", leader="eve"), "no user is called 'eve'"),
    (lambda w: w.department("WEB0", rename="Web"), "no department is called"),
    (lambda w: w.department("Web", rename="0perations"), "would be taken for 'Operations'"),
    (lambda w: w.role("engineer", ("exec",)), "built in"),
    (lambda w: w.role("0ncall", ("exec",)), "built in"),
    (lambda w: w.role("web-0ps", ("exec",)), "taken for 'web-ops'"),
])  # fmt: skip
def test_what_is_refused(wish: object, why: str) -> None:
    """A name that is taken or pretends, a thing that is not there, a change that cannot be."""
    refused(UsageError, why, wish)


@pytest.mark.parametrize(("wish", "why"), [
    (lambda w: w.drop_role("web-ops"), "is held by bob, deploy"), (lambda w: w.drop_role("auditor"), "built in"),
    (lambda w: w.drop_department("Operations"), "still has Web"), (lambda w: w.drop_department("Web"), "still has bob"),
])  # fmt: skip
def test_what_stands_against_removing(wish: object, why: str) -> None:
    """A role that is held, a department that is not empty and what is built in cannot be removed."""
    refused(RefusedError, why, wish)


def test_asking_twice_changes_nothing() -> None:
    """What is so already takes no change."""
    wanted = wanting()
    user = User(name="eve", display="Eve Li", mail="eve@example.com", department="web", roles=("web-ops",), active=True)
    for _ in range(2):
        wanted.user(user)
        wanted.department("Netz", parent="Operations", leader="bob")
        wanted.role("db-ops", ("approve MYS-*",))
    assert [type(c).__name__ for c in wanted.changes] == ["AddPerson", "GiveRole", "SetDepartment", "SetRole"]


def test_who_left_keeps_their_name_and_roles() -> None:
    """Somebody inactive is still known by name, may nothing, and nobody new gets the name."""
    wanted = wanting()
    wanted.user(User(name="bob", active=False))
    after = wanted.draft.finish()
    assert after.name("u-2") == "bob"
    assert after.holders("web-ops") == frozenset()
    with pytest.raises(UsageError, match="they have left: opsnb user activate bob"):
        Wanted(Draft(after)).add(User(name="Bob"))
    back = Wanted(Draft(after))
    back.user(User(name="bob", active=True))
    assert back.draft.finish() == firm()


# -- delegates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("names", "begin", "end", "why"), [
    (("bob", "bob"), NOW, NOW + HOUR, "needs no delegate"), (("bob", "eve"), NOW, NOW + HOUR, "no user is called"),
    (("bob", "deploy"), NOW, NOW + HOUR, "deploy is a service account"),
    (("deploy", "bob"), NOW, NOW + HOUR, "deploy is a service account"),
    (("bob", "chen"), NOW - HOUR, NOW + HOUR, "in the past"), (("bob", "chen"), NOW, NOW, "not after the beginning"),
    (("bob", "chen"), NOW, NOW + 200 * 24 * HOUR, "longer than 184 days"),
])  # fmt: skip
def test_no_such_delegate(names: tuple[str, str], begin: object, end: object, why: str) -> None:
    """Two different active persons, a beginning that is not over, an end after it, and not for ever."""
    refused(UsageError, why, lambda w: w.delegate(*names, begin, end, by="u-1", now=NOW))


def test_one_delegation_at_a_time() -> None:
    """The same two have one delegation at a time; ended early, it stays on record and another may follow."""
    wanted = wanting()
    first = wanted.delegate("bob", "chen", NOW, NOW + 2 * HOUR, by="u-1", now=NOW)
    with pytest.raises(UsageError, match="already, until 2026-11-26 14:00"):
        wanted.delegate("bob", "chen", NOW + HOUR, NOW + 3 * HOUR, by="u-1", now=NOW)
    wanted.end_delegate(first.id, NOW + HOUR / 2)
    with pytest.raises(UsageError, match="ended at 2026-11-26 12:30"):
        wanted.end_delegate(first.id, NOW + HOUR)
    wanted.delegate("bob", "chen", NOW + HOUR, NOW + 3 * HOUR, by="u-1", now=NOW + HOUR)
    after = wanted.draft.finish()
    assert len(after.delegates) == 2
    assert after.was_delegate("u-3", "u-2", NOW, NOW + HOUR / 2)
    with pytest.raises(NotFoundError, match="'g-none'"):
        wanted.end_delegate("g-none", NOW)


# -- any order ---------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["anna", "bob", "chen", "dora", "deploy", "eve", "B0B", "Eve", "x y"])
PLACES = st.sampled_from(["", "Operations", "Web", "Netz", "Nowhere"])
ROLES = st.lists(st.sampled_from(["administrator", "web-ops", "auditor", "db-ops", "none"]), max_size=2).map(tuple)
WISHES = st.one_of(
    st.builds(
        lambda u: lambda w: w.user(u),
        st.builds(
            User, name=NAMES, department=st.none() | PLACES, give=ROLES, take=ROLES, active=st.none() | st.booleans(),
            kind=st.none() | st.sampled_from(Kind),
        ),
    ),
    st.builds(
        lambda n, p, le: lambda w: w.department(n, parent=p, leader=le),
        PLACES, st.none() | PLACES, st.none() | st.just("") | NAMES,
    ),
    st.builds(lambda n: lambda w: w.role(n, ("approve MYS-*",)), st.sampled_from(["db-ops", "oncall", "web-ops"])),
    st.builds(lambda n: lambda w: w.drop_role(n), st.sampled_from(["db-ops", "web-ops"])),
    st.builds(lambda n: lambda w: w.drop_department(n), PLACES),
    st.builds(
        lambda f, t, a, n: lambda w: w.delegate(f, t, NOW + a * HOUR, NOW + (a + n) * HOUR, by="u-1", now=NOW),
        NAMES, NAMES, st.integers(-2, 5), st.integers(-1, 5),
    ),
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(WISHES, max_size=25))
def test_no_order_of_changes_breaks_a_rule(wishes: list[object]) -> None:
    """After any wishes, each taken or refused: an administrator is there, names differ, departments are a tree, ids hold."""
    there = firm()
    for wish in wishes:
        wanted = Wanted(Draft(there))
        try:
            wish(wanted)  # type: ignore[operator]
            there = wanted.draft.finish()
        except OpsnbError:
            continue
    assert there.holders("administrator")
    names = [skeleton(p.name) for p in there.people.values()]
    assert len(set(names)) == len(names)
    assert set(firm().people) <= set(there.people)
    for department in there.departments.values():
        assert list(there.path(department.id))[-1].parent == ""
        assert department.parent in {"", *there.departments}
    for one in there.people.values():
        assert one.department in {"", *there.departments}
    assert all(there.role(role) for held in there.memberships.values() for role in held)
    assert all(d.begin < d.end and d.from_ != d.to for d in there.delegates)
    for a in there.delegates:
        for b in there.delegates:
            same = a is not b and (a.from_, a.to) == (b.from_, b.to)
            assert not (same and a.begin < b.until and b.begin < a.until)


def test_a_draft_is_the_directory() -> None:
    """A draft without changes is what it was made of, and a directory does not change with its draft."""
    draft = Draft(firm())
    made = draft.directory()
    assert made == firm()
    draft.people["u-1"] = replace(ROOT, active=False)
    assert made.is_active("u-1")
