"""Who may do what: denied unless granted, host by host; delegates within their time; service accounts never approve."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.control.people.rules import Directory, decide, may, may_partly
from opsnb.control.people.values import PEOPLE_ONLY, Action, Actor, Decision, Grant, Kind, Role, Site, Target
from opsnb.control.records import Risk
from people.crowd import (
    DELEGATES,
    DIRECTORIES,
    GRANTS,
    HOUR,
    IDS,
    NOW,
    SITES,
    TARGETS,
    TIMES,
    delegation,
    firm,
    person,
    target,
)

ACTIONS = st.sampled_from(Action)
WHO = st.sampled_from(IDS)


def may_approve(directory: Directory, who: str, *environments: str) -> Decision:
    """Decide about approving NGX-010."""
    return may(directory, who, Action.APPROVE, target(*environments), NOW)


# -- every directory -----------------------------------------------------------------------------------------------------


@given(DIRECTORIES, WHO, ACTIONS, TARGETS)
def test_only_who_is_active_and_granted(directory: Directory, who: str, action: Action, what: Target) -> None:
    """Yes is only ever said to an active person or account, and names a role that has a grant of just this action."""
    decision = may(directory, who, action, what, NOW)
    assert decision.reason
    if decision.ok:
        source = decision.on_behalf_of or who
        assert directory.people[who].active
        assert directory.people[source].active
        held = {role.id: role for role in directory.roles_of(source)}
        assert all(any(g.action is action for g in held[role].grants) for role in decision.through)
        assert decision.through


@given(DIRECTORIES, WHO, st.sampled_from(sorted(PEOPLE_ONLY)), TARGETS)
def test_a_service_account_never_decides(directory: Directory, who: str, action: Action, what: Target) -> None:
    """Whatever roles and delegations it has, a service account never approves, administers, activates, breaks glass."""
    mighty = replace(directory, memberships=dict.fromkeys(IDS, ("administrator",)))
    if directory.is_bot(who):
        assert not may(mighty, who, action, what, NOW).ok


@given(DIRECTORIES, WHO, ACTIONS, TARGETS)
def test_what_one_may_one_may_partly(directory: Directory, who: str, action: Action, what: Target) -> None:
    """A list shows every host and runbook with which one may do something, and none to who may do it nowhere."""
    actor = Actor(person=replace(person(1), id=who))
    if action is not Action.APPROVE and may(directory, who, action, what, NOW).ok:
        for left_open in (what, replace(what, runbook=""), replace(what, sites=()), Target()):
            assert may_partly(directory, actor, action, left_open)
    if may_partly(directory, actor, action, what):
        held = [grant for role in directory.roles_of(who) for grant in role.grants if grant.action is action]
        assert held
        assert directory.is_active(who)
        assert not may_partly(directory, replace(actor, scopes=frozenset()), action, what)


@given(DIRECTORIES, WHO, ACTIONS, TARGETS, SITES)
def test_another_host_never_allows(directory: Directory, who: str, action: Action, what: Target, more: Site) -> None:
    """Adding a host, or raising the risk, never turns a no into a yes."""
    if what.sites and not may(directory, who, action, what, NOW).ok:
        wider = replace(what, sites=(*what.sites, more))
        assert not may(directory, who, action, wider, NOW).ok
        assert not may(directory, who, action, replace(what, risk=Risk.DANGER), NOW).ok


@given(DIRECTORIES, WHO, ACTIONS, TARGETS, GRANTS)
def test_another_grant_never_forbids(directory: Directory, who: str, action: Action, what: Target, more: Grant) -> None:
    """Rights only add up: one more role never turns a yes into a no."""
    before = may(directory, who, action, what, NOW)
    roles = {**directory.roles, "r-more": Role(id="r-more", name="more", grants=(more,))}
    members = {**directory.memberships, who: (*directory.memberships[who], "r-more")}
    after = may(replace(directory, roles=roles, memberships=members), who, action, what, NOW)
    assert after.ok >= before.ok


@settings(max_examples=300)
@given(DIRECTORIES, WHO, st.sampled_from([Action.APPROVE, Action.APPROVE, Action.PLAN]), TARGETS, TIMES)
def test_a_delegate_within_the_time_only(
    directory: Directory, who: str, action: Action, what: Target, when: object
) -> None:
    """A right on somebody's behalf needs a delegation from them that holds now, to an active person, to approve."""
    others = {person: () if person == who else ("administrator",) for person in IDS}  # all that they have is lent
    directory = replace(directory, memberships=others)
    decision = may(directory, who, action, what, when)  # type: ignore[arg-type]
    if decision.on_behalf_of:
        assert action is Action.APPROVE
        assert any(
            d.from_ == decision.on_behalf_of and d.to == who and d.begin <= when < d.end  # type: ignore[operator]
            and (d.removed is None or when < d.removed)  # type: ignore[operator]
            for d in directory.delegates
        )  # fmt: skip
        alone = replace(directory, delegates=())
        assert may(alone, decision.on_behalf_of, action, what, when).ok  # type: ignore[arg-type]


@given(DELEGATES, TIMES, TIMES)
def test_what_held_between(delegate: object, since: object, now: object) -> None:
    """A delegation held between two moments exactly if some moment between them lies in it."""
    first, last = sorted((since, now))  # type: ignore[type-var]
    moments = [first + n * timedelta(minutes=5) for n in range(int((last - first) / timedelta(minutes=5)) + 1)]  # type: ignore[operator]
    assert delegate.held_between(first, last) == any(delegate.holds(m) for m in moments)  # type: ignore[attr-defined]


@given(DIRECTORIES)
def test_holders_hold(directory: Directory) -> None:
    """The holders of a role are exactly the active persons to whom it was given."""
    for role in ("own", "r-own", "approver", "Engineer", "none"):
        found = directory.role(role)
        wanted = {
            p for p, roles in directory.memberships.items()
            if found and found.id in roles and directory.people[p].active and directory.people[p].kind is Kind.PERSON
        }  # fmt: skip
        assert directory.holders(role) == wanted


# -- one firm ------------------------------------------------------------------------------------------------------------


def test_the_reason_names_role_grant_and_obstacle() -> None:
    """A refusal says what the role may, and what this is."""
    words = {
        "prod": "web-ops may approve NGX-* in staging; web1 is in prod",
        "": "web-ops may approve NGX-* in staging; web1 is in no environment",
    }
    for environment, reason in words.items():
        assert may_approve(firm(), "u-2", environment).reason == reason
    other = may(firm(), "u-2", Action.APPROVE, target("staging", runbook="MYS-001"), NOW)
    assert other.reason == "web-ops may approve NGX-* in staging; this is MYS-001"
    risky = may(firm(), "u-2", Action.PLAN, target("prod", risk=Risk.DANGER), NOW)
    assert risky.reason == "web-ops may plan NGX-* on web up to change; this has the risk danger"
    elsewhere = may(firm(), "u-2", Action.PLAN, target("prod", groups=("db",)), NOW)
    assert elsewhere.reason == "web-ops may plan NGX-* on web up to change; web1 is in group db"


def test_each_host_needs_a_grant() -> None:
    """Staging is granted, prod is not, and both together are not."""
    assert may_approve(firm(), "u-2", "staging").ok
    assert not may_approve(firm(), "u-2", "staging", "prod").ok


def test_two_roles_cover_two_hosts() -> None:
    """Hosts may be covered by different roles; the decision names both."""
    prod = Role(id="r-prod", name="prod-ops", grants=(Grant(action=Action.APPROVE, environments=("prod",)),))
    both = firm(roles={**firm().roles, "r-prod": prod}, memberships={"u-2": ("r-web", "r-prod")})
    decision = may_approve(both, "u-2", "staging", "prod")
    assert (decision.ok, decision.through) == (True, ("r-web", "r-prod"))
    assert decision.reason == "web-ops, prod-ops may approve this"


@pytest.mark.parametrize("path", ["NGX-010.ipynb", "NGX-work/evil.ipynb", "runbooks/NGX-1.ipynb"])
def test_a_path_is_no_runbook_id(path: str) -> None:
    """A notebook outside the catalog is not covered by a glob of ids, whatever it is called."""
    assert not may(firm(), "u-2", Action.APPROVE, target("staging", runbook=path), NOW).ok
    assert may(firm(), "u-1", Action.APPROVE, target("staging", runbook=path), NOW).ok


@pytest.mark.parametrize(("who", "reason"), [
    ("u-3", "chen has no role: may not approve"),
    ("u-5", "deploy is a service account, and those never approve"),
    ("u-9", "nobody here has the id 'u-9'"),
])  # fmt: skip
def test_who_may_not(who: str, reason: str) -> None:
    """Nobody without a role, no service account and no stranger approves."""
    assert may_approve(firm(), who, "staging") == Decision(ok=False, reason=reason)


def test_somebody_who_left_may_nothing() -> None:
    """An inactive administrator may nothing, and nothing on their behalf."""
    left = {**firm().people, "u-1": person(1, active=False)}
    gone = firm(people=left, delegates=(delegation("u-1", "u-3"),))
    assert may_approve(gone, "u-1", "prod").reason == "anna is inactive"
    assert not may_approve(gone, "u-3", "prod").ok


def test_a_delegate_says_for_whom() -> None:
    """A delegate approves with the other's right, and the decision says so; their own right comes first."""
    lent = firm(delegates=(delegation("u-2", "u-3"), delegation("u-2", "u-1")))
    decision = may_approve(lent, "u-3", "staging")
    assert (decision.ok, decision.on_behalf_of, decision.through) == (True, "u-2", ("r-web",))
    assert decision.reason == "chen is a delegate of bob: web-ops may approve this"
    assert may_approve(lent, "u-1", "staging").on_behalf_of == ""
    assert not may(lent, "u-3", Action.PLAN, target("staging"), NOW).ok


def test_delegation_is_not_chained() -> None:
    """From anna to chen, chen to dora: dora gets nothing of anna's."""
    chain = firm(delegates=(delegation("u-1", "u-3"), delegation("u-3", "u-4")))
    assert may_approve(chain, "u-3", "prod").ok
    assert not may_approve(chain, "u-4", "prod").ok
    assert chain.stands_for("u-4", NOW) == ("u-3",)


@pytest.mark.parametrize("fields", [
    {"begin": NOW - 2 * HOUR, "end": NOW}, {"begin": NOW + HOUR / 60}, {"removed": NOW}, {"removed": NOW - HOUR / 2},
])  # fmt: skip
def test_outside_its_time_a_delegation_is_nothing(fields: dict[str, object]) -> None:
    """One that has ended, was removed or has not begun gives no right."""
    lent = firm(delegates=(delegation("u-2", "u-3", **fields),))  # type: ignore[arg-type]
    assert not may_approve(lent, "u-3", "staging").ok
    assert lent.stands_for("u-3", NOW) == ()


def test_removing_a_delegation_hides_nothing() -> None:
    """Whoever was a delegate after the request was made still was, removed or not."""
    lent = firm(delegates=(delegation("u-2", "u-3", removed=NOW - HOUR / 60),))
    assert lent.was_delegate("u-3", "u-2", NOW - HOUR / 2, NOW)
    assert not lent.was_delegate("u-3", "u-2", NOW, NOW)
    assert not lent.was_delegate("u-2", "u-3", NOW - HOUR / 2, NOW)


def test_leaders() -> None:
    """One's leader is the nearest active one above, never oneself; a department's is its own."""
    there = firm()
    assert [there.leader_of(u) for u in ("u-3", "u-2", "u-4", "u-1")] == ["u-2", "u-1", "u-1", ""]
    assert (there.leader("web"), there.leader("d-ops"), there.leader("none")) == ("u-2", "u-1", "")
    left = firm(people={**there.people, "u-2": person(2, active=False)})
    assert (left.leader_of("u-3"), left.leader("Web")) == ("u-1", "")
    assert there.members("Operations") == {"u-2", "u-3", "u-4", "u-5"}


def test_scopes_narrow() -> None:
    """A token that is not good for an action is refused, whoever holds it; a scope never adds a right."""
    anna, chen = person(1), person(3)
    token = Actor(person=anna, via="token", scopes=frozenset({"read"}))
    refused = decide(firm(), token, Action.APPROVE, target("prod"), NOW)
    assert refused == Decision(ok=False, reason="this token of anna is not good for 'approve'")
    assert decide(firm(), token, Action.READ, target("prod"), NOW).ok
    assert not decide(firm(), Actor(person=chen, scopes=frozenset({"*"})), Action.READ, target("prod"), NOW).ok


def test_things_without_hosts() -> None:
    """A grant for some environments says nothing about what names no host; a freeze is judged by its environment."""
    limited = Role(id="r-web", name="web-ops", grants=(
        Grant(action=Action.PLAN, environments=("staging",)), Grant(action=Action.FREEZE, environments=("staging",)),
        Grant(action=Action.SECRET),
    ))  # fmt: skip
    there = firm(roles={"r-web": limited})
    assert "names no host" in may(there, "u-2", Action.PLAN, Target(runbook="NGX-010"), NOW).reason
    assert may(there, "u-2", Action.SECRET, Target(), NOW).ok
    assert may(there, "u-2", Action.FREEZE, Target(environments=("staging",)), NOW).ok
    assert not may(there, "u-2", Action.FREEZE, Target(environments=("staging", "prod")), NOW).ok
    assert not may(there, "u-2", Action.FREEZE, Target(), NOW).ok
