"""Policies: which one applies, what the strictest of several is, what a notebook may want, who goes without."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.people import ASKED, People, subject
from approvals.worlds import APPROVALS, Dice, deed
from approvals.worlds import flow as any_flow
from approvals.worlds import world as made
from opsnb.base.canonical import digest
from opsnb.control.approvals.policy import BUILT_IN
from opsnb.control.approvals.rules import fold
from opsnb.control.approvals.strictest import at_least, combined, people
from opsnb.control.approvals.values import Act, ActKind, Need, Status
from opsnb.control.approvals.written import read_policies
from opsnb.control.records import Risk

WRITTEN = {
    "databases": {"runbooks": ["SQL-*"], "approvals": 3},
    "production": {
        "environments": ["prod*"], "approvals": 2, "by": ["role:ops"], "validity": "2h", "max_hosts": 20,
        "batch": 5, "self_approval": "never", "protected": True, "grant": "30m",
        "freezes": {"weekend": {"from": "Fri 18:00", "to": "Mon 08:00"}},
        "free": {"for": ["role:on-call"], "runbooks": ["NGX-011"], "notice": ["role:ops"], "review": "12h"},
    },
    "staging": {"environments": "staging", "risk": "change", "by": "role:dev", "batch": 3, "max_hosts": 50},
    "lab": {"environments": ["lab"], "approvals": 0, "review": "24h"},
}  # fmt: skip
POLICIES = read_policies(WRITTEN)


def chosen(*environments, risk=Risk.CHANGE, runbook="NGX-010"):
    """Return the policy for hosts in these environments."""
    return POLICIES.choose(risk, environments, runbook)


@pytest.mark.parametrize(
    ("environments", "risk", "runbook", "names"),
    [
        (["production"], Risk.CHANGE, "NGX-010", ("production",)),
        (["prod-eu"], Risk.DANGER, "NGX-010", ("production",)),
        (["production"], Risk.CHANGE, "SQL-001", ("databases",)),
        (["production"], Risk.READ, "NGX-010", ("built-in read",)),
        (["staging"], Risk.DANGER, "NGX-010", ("built-in danger",)),
        ([""], Risk.CHANGE, "NGX-010", ("built-in change",)),
        ([], Risk.CHANGE, "NGX-010", ("built-in change",)),
        (["staging", "production", "prod-eu"], Risk.CHANGE, "NGX-010", ("production", "staging")),
        (["", "lab"], Risk.CHANGE, "NGX-010", ("lab", "built-in change")),
        (["production"], Risk.CHANGE, "notes/SQL-001.ipynb", ("production",)),
        (["production"], Risk.CHANGE, "SQL-001.ipynb", ("production",)),
    ],
)
def test_which_one_applies(environments, risk, runbook, names):
    """The first that fits, for each environment; the built-in one where none does; read is never in question."""
    assert POLICIES.choose(risk, environments, runbook).names == names


def test_the_strictest_of_each_property_wins():
    """Production and staging together are as strict as each, in every property."""
    both = chosen("production", "staging")
    assert [(s.handlers[0].name, s.count) for s in both.steps.steps] == [("ops", 2), ("dev", 1)]
    assert (both.max_hosts, both.batch, both.protected, both.grant) == (20, 3, True, 1800.0)
    assert (both.steps.validity, both.steps.own, len(both.freezes), both.free) == (7200.0, False, 1, ())


def test_the_order_of_the_hosts_makes_no_difference():
    """However the environments come, the policy and its digest are the same."""
    several = ("production", "staging", "lab", "", "prod-eu")
    found = {digest(POLICIES.choose(Risk.CHANGE, order, "X").as_json()) for order in itertools.permutations(several)}
    assert len(found) == 1


def test_a_changed_policy_is_another_value():
    """What is sealed differs as soon as one property does."""
    seen = set()
    for change in (
        {},
        {"approvals": 3},
        {"validity": 2591998},
        {"validity": 2591999},
        {"batch": 4},
        {"by": "role:x"},
        {"free": None},
    ):
        written = {k: v for k, v in {**WRITTEN["production"], **change}.items() if v is not None}
        seen.add(digest(read_policies({"production": written}).choose(Risk.CHANGE, ["production"], "X").as_json()))
    assert len(seen) == 7


def test_merged_flows_are_satisfied_only_when_each_is():
    """Whatever approves the merged flow would have approved each of its parts: never laxer, over random worlds."""
    approved = 0
    for seed in range(1500):
        chance = Dice(seed)
        one, other = (replace(any_flow(chance), own=True, review=0.0) for _ in range(2))
        both = combined([one, other])
        world = made(chance, APPROVALS, 0)
        acts = [replace(deed(chance, APPROVALS), on_behalf_of="", request="REQ", plan="P") for _ in range(9)]
        acts = [replace(a, step=both.steps[n % len(both.steps)].name) for n, a in enumerate(acts) if both.steps]
        crowd = replace(world.people, delegates=(), lost={})
        state = fold(both, world.subject, acts, crowd, world.now)
        if state.status is Status.APPROVED:
            approved += bool(both.steps)
            assert people(both.steps) >= max(people(one.steps), people(other.steps))
            for part in (one, other):
                assert satisfiable(part, world.subject, {a.person for a in state.approvals}, crowd, world.now)
    assert approved > 50, approved


def test_the_same_people_are_asked_once_for_the_most():
    """Steps that mean the same people become one, for the greatest number; further handlers only where all agree."""
    ops = {"by": "role:ops"}
    call = {"within": "1h", "escalate_to": "role:dba"}
    for one, other in itertools.permutations([{**ops, **call}, {**ops, "approvals": 2}]):
        (step,) = both(one, other).steps
        assert (step.count, step.escalate_to, step.within) == (2, (), 0.0)
    (step,) = both({**ops, **call, "approvals": 2}, ops).steps
    assert (step.count, step.escalate_to, step.within) == (2, (), 0.0)
    (step,) = both({**ops, **call}, {**ops, **call, "approvals": 3}).steps
    assert (step.count, len(step.escalate_to), step.within) == (3, 1, 3600.0)
    assert [s.count for s in both({"approvals": 3}, {**ops, "approvals": 2}).steps] == [2, 1]
    assert [s.count for s in both({"approvals": 2}, {**ops, "approvals": 2}).steps] == [2]
    assert [(s.need, s.count) for s in both({**ops, "approvals": "all"}, ops).steps] == [(Need.ALL, 1)]
    assert [(s.need, s.count) for s in both({**ops, "approvals": 3}, {**ops, "approvals": "all"}).steps] == [
        (Need.ALL, 3)
    ]


def test_order_is_kept_where_one_has_an_order():
    """Two steps in order stay in order beside another policy's step; two in parallel stay parallel."""
    steps = [{"name": "a", "by": "role:ops"}, {"name": "b", "by": "role:dba"}]
    one = {"by": "role:dev"}
    assert [s.name for s in both({"steps": steps}, one).steps] == ["a", "b", "approve"]
    assert not both({"steps": steps}, one).parallel
    assert both({"steps": steps, "order": "parallel"}, one).parallel
    assert [s.name for s in both(one, {"by": "role:ops"}).steps] == ["approve", "approve 2"]


def both(one, other):
    """Return the flow where two policies apply."""
    policies = read_policies({"one": {"environments": "1", **one}, "other": {"environments": "2", **other}})
    return policies.choose(Risk.CHANGE, ["1", "2"], "X").steps


def satisfiable(flow, about, persons, crowd, now):
    """Whether these people, each put at some step, would have approved a flow."""
    names = [s.name for s in flow.steps]
    if not names:
        return True
    for places in itertools.product([*names, ""], repeat=len(persons)):
        acts = [
            Act(kind=ActKind.APPROVE, person=p, at=now, request="REQ", plan="P", step=s)
            for p, s in zip(sorted(persons), places, strict=True)
        ]
        wide = replace(flow, open_for=10**7)
        if fold(wide, replace(about, asked=min(now, about.asked)), acts, crowd, now).status is Status.APPROVED:
            return True
    return False


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_a_number_of_people_is_asked_for_at_least(seed, count):
    """A notebook's own number is reached, and a flow that asks for more stays as it is."""
    flow = any_flow(Dice(seed))
    more = at_least(flow, count)
    assert people(more.steps) >= max(count, people(flow.steps))
    assert (more == flow) is (people(flow.steps) >= count)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "approvals": st.integers(1, 5), "max_hosts": st.integers(1, 99), "batch": st.integers(1, 9),
            "validity": st.floats(60, 10**6), "own": st.sampled_from([False]), "free": st.sampled_from([False]),
        },
    )
)  # fmt: skip
def test_a_notebook_only_tightens(wanted):
    """Whatever its front matter says, no property is laxer than the policy's."""
    before = chosen("production")
    after = before.tightened(wanted)
    assert people(after.steps.steps) >= people(before.steps.steps)
    assert after.steps.validity <= before.steps.validity
    assert after.steps.own <= before.steps.own
    assert 0 < after.max_hosts <= before.max_hosts
    assert 0 < after.batch <= before.batch
    assert set(after.free) <= set(before.free)
    assert (after.freezes, after.protected, after.names) == (before.freezes, before.protected, before.names)


def test_what_a_notebook_wants_holds():
    """More people than the policy's are anybody entitled; where nobody was asked, somebody is."""
    assert chosen("production").tightened({"approvals": 4}).steps.steps[0].count == 4
    asked = chosen("lab").tightened({"approvals": 1}).steps.steps
    assert [(s.name, s.need, s.count) for s in asked] == [("notebook", Need.SOME, 1)]
    assert chosen("").tightened({"max_hosts": 3}).max_hosts == 3


PEOPLE = People(
    active_ones=frozenset({"carol", "alice", "robot"}), bots=frozenset({"robot"}),
    roles={"on-call": frozenset({"carol", "robot", "gone"}), "ops": frozenset({"alice"})},
)  # fmt: skip


def test_the_person_on_call_goes_without():
    """The named role, the named runbook: no steps, a review is due, and the named people are told."""
    policy, about = chosen("production", runbook="NGX-011"), subject(runbook="NGX-011")
    flow = policy.flow(about, PEOPLE)
    assert (flow.steps, flow.review) == ((), 12 * 3600.0)
    state = fold(flow, about, [], PEOPLE, ASKED)
    assert (state.status, state.review_due) == (Status.APPROVED, ASKED + timedelta(hours=12))
    assert policy.told(about, PEOPLE) == {"alice"}


@pytest.mark.parametrize(
    "about",
    [
        {"runbook": "NGX-010"},
        {"requester": "alice"},
        {"requester": "robot"},
        {"requester": "gone"},
        {"runbook": "NGX-011.ipynb"},
    ],
)
def test_who_does_not_go_without(about):
    """Another runbook, another person, a service account, somebody who left, a notebook that calls itself so."""
    policy = chosen("production", runbook="NGX-011")
    assert policy.flow(subject(**{"runbook": "NGX-011", **about}), PEOPLE) == policy.steps


def test_without_only_where_every_policy_says_so():
    """Staging names nothing, so nothing goes without where a host of it is among the others."""
    policy = chosen("production", "staging", runbook="NGX-011")
    assert policy.flow(subject(runbook="NGX-011"), PEOPLE).steps != ()


def test_an_environment_without_approvals():
    """approvals: 0 asks nobody, and wants a review; together with another environment somebody is asked."""
    assert (chosen("lab").steps.steps, chosen("lab").steps.review) == ((), 86400.0)
    assert people(chosen("lab", "").steps.steps) == 1


def test_the_built_in_ones():
    """Without policies a change needs one person for a day, something dangerous one for four hours."""
    assert [(people(BUILT_IN[r].steps.steps), BUILT_IN[r].steps.validity) for r in Risk] == [
        (0, 86400.0), (1, 86400.0), (1, 14400.0),
    ]  # fmt: skip


NAMES = st.sets(st.sampled_from(["anna", "bob", "carol", "robot", "gone"]), min_size=1)
GLASSES = st.none() | st.fixed_dictionaries({"for": NAMES, "at_most": st.integers(1, 60), "review": st.integers(1, 24)})


@given(one=GLASSES, other=GLASSES, wanted=st.booleans(), who=st.sampled_from(["anna", "bob", "carol", "robot", "gone"]))
def test_the_strictest_glass_of_several(one, other, wanted, who):
    """Only whom all policies name breaks it, for the shortest time, reviewed the soonest; a notebook may forbid it."""
    written = {}
    for name, glass in (("a", one), ("b", other)):
        written[name] = {"environments": [name]}
        if glass:
            people = [f"person:{n}" for n in sorted(glass["for"])]
            written[name]["break_glass"] = {
                "for": people, "at_most": f"{glass['at_most']}m", "review": f"{glass['review']}h",
            }  # fmt: skip
    policy = read_policies(written).choose(Risk.CHANGE, ["a", "b"], "X").tightened({} if wanted else {"glass": False})
    here = People(active_ones=frozenset({"anna", "bob", "carol", "robot"}), bots=frozenset({"robot"}))
    both = bool(one and other and wanted)
    named = both and who in one["for"] & other["for"] and who not in {"robot", "gone"}
    assert policy.may_break(replace(subject(), requester=who), here) == bool(named)
    assert policy.glass_most == (60.0 * min(one["at_most"], other["at_most"]) if both else 0.0)
    if both:
        flow = policy.broken(60.0)
        assert (flow.steps, flow.own, flow.validity) == ((), False, 60.0)
        assert flow.review == 3600.0 * min(one["review"], other["review"])


@pytest.mark.parametrize("name", ["prod", "Prod", "PROD", "pr\u043ed", "\uff50rod", "pr0d"])
def test_another_spelling_leaves_no_policy(name):
    """An environment that looks like production is under its policy; one that does not is not."""
    policies = read_policies({"prod": {"environments": ["prod", "live-*"], "approvals": 2}, "rest": {"approvals": 0}})
    assert policies.choose(Risk.CHANGE, [name], "TST-001").name == "prod"
    assert policies.choose(Risk.CHANGE, [f"Live-{name}"], "TST-001").name == "prod"
    assert policies.choose(Risk.CHANGE, [f"{name}-like"], "TST-001").name == "rest"
