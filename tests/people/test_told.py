"""What people are told about people: names in place of ids, what differs, which event a change becomes, who arrives."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import OpsnbError, RefusedError
from opsnb.base.looks import skeleton
from opsnb.control.database import Database
from opsnb.control.flows import people as flow
from opsnb.control.flows import people_record
from opsnb.control.ledger.events_people import PEOPLE_EVENTS
from opsnb.control.people import changes as made
from opsnb.control.people import store, telling
from opsnb.control.people.builtin import ABOUT, ROLES
from opsnb.control.people.draft import Draft
from opsnb.control.people.names import login_name
from opsnb.control.people.rules import Directory, may
from opsnb.control.people.tables import people
from opsnb.control.people.values import (
    PEOPLE_ONLY,
    Action,
    Delegate,
    Department,
    Grant,
    Kind,
    Person,
    Role,
    Site,
    Target,
)
from opsnb.control.people.wanted import User, Wanted
from opsnb.control.records import Risk
from people.crowd import HOUR, NOW, WEB_OPS, delegation, firm, person, target
from places import Place

DIGEST = "ab" * 32


# -- names in place of ids -----------------------------------------------------------------------------------------------


def test_a_user_as_told() -> None:
    """A user is told with department, leader, roles, and who stands in for whom now, all by name."""
    there = firm(delegates=(delegation("u-1", "u-2"), delegation("u-2", "u-4", end=NOW)))
    assert telling.user(there, there.people["u-2"], NOW) == {
        "name": "bob", "id": "u-2", "display": "", "mail": "", "kind": "person", "active": True, "department": "Web",
        "roles": ["web-ops"], "leader": "anna", "stands_for": ["anna"], "delegates": [],
    }  # fmt: skip
    assert telling.user(there, there.people["u-1"], NOW)["delegates"] == ["bob"]
    assert telling.user(there, there.people["u-4"], NOW)["stands_for"] == []


def test_departments_and_roles_as_told() -> None:
    """A department has its path from the top, a role the words of its grants and who has it, left or not."""
    there = firm(people={**firm().people, "u-2": person(2, active=False)})
    assert telling.department(there, there.departments["d-web"]) == {
        "name": "Web", "id": "d-web", "parent": "Operations", "path": ["Operations", "Web"], "leader": "bob", "leader_left": True,
        "members": ["chen", "deploy"],
    }  # fmt: skip
    told = telling.role(there, WEB_OPS)
    assert told["may"] == ["approve NGX-* in staging", "plan NGX-* on web up to change"]
    assert told["holders"] == ["bob", "deploy"]
    assert [r.name for r in telling.all_roles(there)] == [*ROLES, "web-ops"]


@pytest.mark.parametrize(("begin", "end", "removed", "state"), [
    (NOW - HOUR, NOW + HOUR, None, "holds"), (NOW + HOUR, NOW + 2 * HOUR, None, "to come"), (NOW - HOUR, NOW, None, "over"),
    (NOW - HOUR, NOW + HOUR, NOW, "over"), (NOW + HOUR, NOW + 2 * HOUR, NOW, "over"),
])  # fmt: skip
def test_delegations_as_told(begin: Any, end: Any, removed: Any, state: str) -> None:
    """A delegation holds, is to come, or is over; both names and who made it are told."""
    one = Delegate(id="g-1", from_="u-1", to="u-3", begin=begin, end=end, by="u-1", removed=removed)
    told = telling.delegate(firm(), one, NOW)
    assert (told["state"], told["for"], told["delegate"], told["by"]) == (state, "anna", "chen", "anna")


def test_the_ledger_in_names() -> None:
    """Ids of people, roles and departments in entries have names; digests, times and unknown ids have none."""
    entries = [
        {"by": "u-1", "person": "u-2", "role": "r-web", "at": "2026"}, {"by": "u-9", "digest": DIGEST, "index": 4},
        {"department": "d-web", "role": "auditor", "files": {"u-3": DIGEST}},
    ]  # fmt: skip
    assert telling.names(firm(), entries) == {
        "auditor": "auditor", "d-web": "Web", "r-web": "web-ops", "u-1": "anna", "u-2": "bob",
    }  # fmt: skip


def test_the_full_name_never_stands_alone() -> None:
    """Where a full name is shown, the sign-in name, which is theirs alone, stands beside it."""
    assert Person(id="u-1", name="kai", display="Anna Li").shown == "Anna Li (kai)"
    assert Person(id="u-1", name="kai").shown == Person(id="u-1", name="kai", display="kai").shown == "kai"


# -- what differs --------------------------------------------------------------------------------------------------------

USERS = st.builds(
    User, name=st.sampled_from(["bob", "chen", "dora", "eve", "fritz"]),
    display=st.none() | st.sampled_from(["", "Eve Li", "王伟"]), mail=st.none() | st.sampled_from(["", "a@example.com"]),
    department=st.none() | st.sampled_from(["", "Web", "Operations"]), active=st.none() | st.booleans(),
    roles=st.none() | st.lists(st.sampled_from(["auditor", "web-ops", "engineer"]), max_size=2).map(tuple),
)  # fmt: skip


def after(users: list[User], before: Directory) -> tuple[list[made.Change], Directory]:
    """Return the changes that wishes take, and the directory with them."""
    wanted = Wanted(Draft(before))
    for user in users:
        wanted.user(user)
    return wanted.changes, wanted.draft.finish()


@given(st.lists(USERS, max_size=5, unique_by=lambda u: u.name))
def test_what_is_wanted_is_so_and_stays(users: list[User]) -> None:
    """After any wishes each wish holds, asking again takes no change, and what differs names just those who changed."""
    _, there = after(users, firm())
    for user in users:
        one = there.named(user.name)
        assert one
        assert user.display in {None, one.display}
        assert user.mail in {None, one.mail}
        assert user.active in {None, one.active}
        assert user.roles is None or {r.name for r in there.roles_of(one.id)} == set(user.roles)
        assert user.department is None or user.department == (
            there.departments[one.department].name if one.department else ""
        )
    again, same = after(users, there)
    assert again == []
    assert same == there
    told = {row["name"] for row in telling.differences(firm(), there)}
    assert told <= {user.name for user in users}
    for name, one in ((p.name, p) for p in there.people.values()):
        old = firm().named(name)
        if old != one or set(firm().memberships.get(one.id, ())) != set(there.memberships.get(one.id, ())):
            assert name in told


@given(st.lists(USERS, max_size=5, unique_by=lambda u: u.name))
def test_what_differs_is_json_without_ids(users: list[User]) -> None:
    """What differs is plain JSON in names: no id stands in it, and nothing differs from itself."""
    _, there = after(users, firm())
    text = json.dumps(telling.differences(firm(), there))
    assert not [i for i in (*there.people, *there.departments, *there.roles) if f'"{i}"' in text]
    assert telling.differences(there, there) == []


def test_what_was_removed_is_told() -> None:
    """A role and a department that went are told with what they were."""
    there = replace(firm(memberships={"u-1": ("administrator",)}), people={"u-1": person(1)})
    wanted = Wanted(Draft(there))
    wanted.drop_role("web-ops")
    wanted.drop_department("Web")
    rows = telling.differences(there, wanted.draft.finish())
    assert [(r["what"], r["name"], r["change"]) for r in rows] == [
        ("department", "Web", "removed"), ("role", "web-ops", "removed"),
    ]  # fmt: skip
    assert rows[0]["fields"]["parent"] == ["Operations", None]


# -- events --------------------------------------------------------------------------------------------------------------

CHANGES: list[tuple[made.Change, str, dict[str, str]]] = [
    (made.AddPerson(person=person(3)), "person.added", {"person": "u-3", "account": "person"}),
    (made.AddPerson(person=person(5, kind=Kind.SERVICE)), "person.added", {"person": "u-5", "account": "service"}),
    (made.ChangePerson(person=person(3)), "person.changed", {"person": "u-3"}),
    (made.SetActive(person="u-3", active=False), "person.deactivated", {"person": "u-3"}),
    (made.SetActive(person="u-3", active=True), "person.activated", {"person": "u-3"}),
    (made.GiveRole(person="u-3", role="auditor"), "role.given", {"person": "u-3", "role": "auditor"}),
    (made.TakeRole(person="u-3", role="auditor"), "role.taken", {"person": "u-3", "role": "auditor"}),
    (made.SetRole(role=WEB_OPS), "role.set", {"role": "r-web"}), (made.DropRole(role="r-web"), "role.removed", {"role": "r-web"}),
    (made.SetDepartment(department=Department(id="d-1", name="X")), "department.set", {"department": "d-1"}),
    (made.DropDepartment(department="d-1"), "department.removed", {"department": "d-1"}),
    (made.AddDelegate(delegate=delegation("u-1", "u-3"), now=NOW), "delegate.added",
     {"principal": "u-1", "person": "u-3", "begin": "2026-11-26T11:00:00.000Z", "end": "2026-11-26T13:00:00.000Z"}),
    (made.EndDelegate(delegate="g-1", now=NOW), "delegate.removed", {"delegate": "g-1"}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "kind", "said"), CHANGES)
def test_a_change_becomes_its_event(change: made.Change, kind: str, said: dict[str, str]) -> None:
    """Each kind of change has its event, which says by whom, about whom, and nothing that is free text."""
    event = people_record._event(change, "u-1", DIGEST)
    assert event.kind == kind
    value = event.as_json()
    assert value["by"] == "u-1"
    assert {name: value[name] for name in said} == said


def test_every_change_and_every_event_is_met() -> None:
    """The table above has all kinds of changes and all events about people: a new one needs its row."""
    assert {type(change) for change, _, _ in CHANGES} == set(get_args(made.Change))
    assert {kind for _, kind, _ in CHANGES} == {event.kind for event in PEOPLE_EVENTS}
    assert all("by" in {f.name for f in fields(event)} for event in PEOPLE_EVENTS)


# -- built-in roles ------------------------------------------------------------------------------------------------------

MATRIX = {
    "administrator": set(Action),
    "engineer": {"read", "plan", "request", "apply", "exec", "ssh", "cp", "trust"},
    "approver": {"read", "approve"},
    "auditor": {"read", "audit"},
    "oncall": {"read", "plan", "request", "apply", "exec", "ssh", "cp", "break_glass"},
}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", ROLES)
def test_what_each_built_in_role_may(role: str, action: Action) -> None:
    """Role by role and action by action, on any host at any risk: what is not in the table is refused."""
    one = firm(memberships={"u-3": (role,), "u-5": (role,)})
    everywhere = target("prod", "", risk=Risk.DANGER, groups=())
    assert may(one, "u-3", action, everywhere, NOW).ok == (action in MATRIX[role])
    assert may(one, "u-5", action, everywhere, NOW).ok == (action in MATRIX[role] and action not in PEOPLE_ONLY)


def test_built_in_roles_explain_themselves() -> None:
    """Each built-in role has a line about it, and no own role of the same id or name stands in its place."""
    assert set(ABOUT) == set(ROLES) == set(MATRIX)
    false = Role(id="auditor", name="auditor", grants=(Grant(action=Action.ADMINISTER),))
    there = firm(roles={"auditor": false}, memberships={"u-3": ("auditor",)})
    assert not may(there, "u-3", Action.ADMINISTER, Target(), NOW).ok


@given(st.text(max_size=60))
def test_looks_are_settled(text: str) -> None:
    """What a name looks like looks like itself, so two names are alike or not whichever is asked first."""
    assert skeleton(skeleton(text)) == skeleton(text)


def test_sealed_rows_are_sites() -> None:
    """A target is made of sealed host rows, with or without environment and groups."""
    rows = [
        {"name": "w1", "environment": "prod", "groups": ["web", "all"]},
        {"name": "localhost"},
        {"name": "c", "environment": None},
    ]
    made_of = Target.of("NGX-010", "change", rows)
    assert made_of.sites == (
        Site(name="w1", environment="prod", groups=frozenset({"web", "all"})), Site(name="localhost"), Site(name="c"),
    )  # fmt: skip
    assert (made_of.hosts, made_of.risk) == (("w1", "localhost", "c"), Risk.CHANGE)


# -- who arrives ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_environment_makes_nobody(place: Place) -> None:
    """LOGNAME and USER, which anybody may set, do not say who opens a workspace."""
    done = place.opsnb("user", "list", "--json", env={"LOGNAME": "mallory", "USER": "mallory", "LNAME": "mallory"})
    assert [user["name"] for user in json.loads(done.stdout)["users"]] == [flow._system_name()]


def test_nobody_arrives_as_somebody_else(tmp_path: Path) -> None:
    """This machine's user is not taken for a user who is written alike; they are added, once, where nobody is."""
    database = Database(tmp_path / "opsnb.db")
    services: Any = SimpleNamespace(database=database, settings=SimpleNamespace(name="test"))
    arrived = flow.arrive(services)
    assert flow.arrive(services) == arrived
    with database.transaction() as connection:
        assert store.directory(connection).holders("administrator") == {arrived.id}
        connection.execute(people.update().values(name=arrived.name.swapcase()))
        connection.info.clear()
    with pytest.raises(RefusedError, match="would be taken for"):
        flow.arrive(services)
    database.close()


@pytest.mark.parametrize("name", ["root", "www-data", "kai", "systemd-network", "_apt"])
def test_system_names_are_names(name: str) -> None:
    """What systems call their users is a name to sign in with."""
    assert login_name(name) == name


def test_a_strange_system_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system's user whose name is none here, or who has none, is known by number."""
    monkeypatch.setattr(flow.os, "getuid", lambda: 987_654)  # type: ignore[attr-defined]
    assert login_name(flow._system_name()) == "uid-987654"


def test_a_refusal_is_an_error_of_ours() -> None:
    """What refuses a change is one of our errors, with an exit code."""
    with pytest.raises(OpsnbError) as caught:
        Draft(firm()).apply(made.DropRole(role="auditor"))
    assert caught.value.exit_code == 3
