"""The engine with the people of a real directory: roles, leaders, delegates and grants decide as they are written."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.people import ASKED
from opsnb.control.approvals.rules import fold, judge
from opsnb.control.approvals.values import Act, ActKind, Flow, Handler, HandlerKind, Status, Step, Subject
from opsnb.control.flows.who import Known
from opsnb.control.people.rules import Directory
from opsnb.control.people.values import Action, Delegate, Department, Grant, Kind, Person, Role, Target
from opsnb.control.records import Risk

NOW = ASKED + timedelta(minutes=5)
ROWS = [
    {"name": "web1", "environment": "production", "groups": ["web"]},
    {"name": "web2", "environment": "staging", "groups": ["web"]},
]
PEOPLE = {
    f"u-{name}": Person(id=f"u-{name}", name=name, department="d-web", kind=kind, active=name != "gone")
    for name, kind in [
        *((n, Kind.PERSON) for n in ("alice", "bob", "carol", "dave", "gone")), ("robot", Kind.SERVICE),
    ]
}  # fmt: skip
DIRECTORY = Directory(
    people=PEOPLE,
    departments={
        "d-ops": Department(id="d-ops", name="ops", leader="u-alice"),
        "d-web": Department(id="d-web", name="web", parent="d-ops", leader="u-carol"),
    },
    roles={
        "r-all": Role(id="r-all", name="approvers", grants=(Grant(action=Action.APPROVE),)),
        "r-staging": Role(
            id="r-staging", name="testers", grants=(Grant(action=Action.APPROVE, environments=("staging",)),)
        ),
    },
    memberships={"u-alice": ("r-all",), "u-bob": ("r-staging",), "u-gone": ("r-all",), "u-robot": ("r-all",)},
    delegates=(
        Delegate(id="g-1", from_="u-alice", to="u-dave", begin=ASKED, end=ASKED + timedelta(hours=1), by="u-alice"),
    ),
)
WHO = Known(directory=DIRECTORY, target=Target.of("NGX-010", Risk.CHANGE, ROWS))
SUBJECT = Subject(
    request="R1", digest="REQ", plan="P", requester="u-carol", environments=frozenset({"production", "staging"}),
    asked=ASKED,
)  # fmt: skip


def flow(kind, name=""):
    """Return a flow of one step with one handler."""
    return Flow(steps=(Step(name="approve", handlers=(Handler(kind=kind, name=name),)),))


def act(person, **values):
    """Return somebody's approval."""
    return Act(
        **{
            "kind": ActKind.APPROVE, "person": f"u-{person}", "at": NOW, "step": "approve", "request": "REQ",
            "plan": "P", **values,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        ((HandlerKind.ANYONE, ""), ""),
        ((HandlerKind.PERSON, "Alice"), ""),
        ((HandlerKind.ROLE, "approvers"), ""),
        ((HandlerKind.LEADER, "ops"), ""),
        ((HandlerKind.APPLICANT_LEADER, ""), ""),
        ((HandlerKind.ROLE, "testers"), "alice is not one of those who handle step 'approve'"),
        ((HandlerKind.LEADER, "web"), "alice is not one of those who handle step 'approve'"),
        ((HandlerKind.PERSON, "nobody"), "alice is not one of those who handle step 'approve'"),
    ],
)
def test_alice_handles(handler, says):
    """Alice by name, by role, as the leader of ops, and as carol's leader: carol leads her own department herself."""
    assert judge(flow(*handler), SUBJECT, [], act("alice"), WHO).reason == says


@pytest.mark.parametrize(
    ("person", "says"),
    [
        ("bob", "testers may approve in staging; web1 is in production"),
        ("carol", "nobody approves their own request"),
        ("dave", "dave may only on behalf of alice, and has to say so"),
        ("gone", "gone is not an active person"),
        ("robot", "robot is a service account"),
        ("unknown", "u-unknown is not an active person"),
    ],
)
def test_who_may_not(person, says):
    """The reason is the directory's, or the engine's, in names."""
    assert says in judge(flow(HandlerKind.ANYONE), SUBJECT, [], act(person), WHO).reason


def test_a_delegate_acts_for_the_other():
    """Dave approves on behalf of alice and says so; when the delegation is over it does not count."""
    lent = act("dave", on_behalf_of="u-alice")
    anyone = flow(HandlerKind.ANYONE)
    assert judge(anyone, SUBJECT, [], lent, WHO).ok
    assert fold(anyone, SUBJECT, [lent], WHO, NOW).status is Status.APPROVED
    assert fold(anyone, SUBJECT, [lent], WHO, ASKED + timedelta(hours=1)).status is Status.OPEN


def test_one_person_and_programs_are_one_person():
    """The only active person may approve their own, however many service accounts there are."""
    roles = {"u-carol": ("r-all",)}
    few = {p: PEOPLE[p] for p in ("u-carol", "u-robot", "u-gone")}
    alone = Known(directory=Directory(people=few, roles=DIRECTORY.roles, memberships=roles), target=WHO.target)
    assert judge(flow(HandlerKind.ANYONE), SUBJECT, [], act("carol"), alone).ok
