"""The approval engine over random worlds: as the model says, and what holds whatever people try."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from approvals import model
from approvals.worlds import KINDS, deeds, flows, minutes, names, peoples, subjects
from opsnb.control.approvals.rules import due, fold, judge
from opsnb.control.approvals.values import Act, ActKind, Status

TRIALS = 2000 if os.environ.get("OPSNB_PROVE") else 100
many = settings(max_examples=TRIALS, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
ENDING = {ActKind.VETO, ActKind.WITHDRAW, ActKind.REJECT, ActKind.RETURN, ActKind.EXPIRE}
QUIET = tuple(k for k in KINDS if k not in ENDING)  # kinds that do not end a request
QUIET_ACTS = st.lists(deeds(QUIET), max_size=10)
ANY_ACTS = st.lists(deeds(), max_size=10)


def played(flow, subject, people, tried):
    """Let acts in one after another in the order of time, each with what the clock had to do before it."""
    kept = []
    for act in sorted(tried, key=lambda a: a.at):
        kept += due(flow, subject, kept, people, act.at)
        if judge(flow, subject, kept, act, people).ok:
            kept.append(act)
    return kept


def chosen(acts):
    """The approvals among acts."""
    return [a for a in acts if a.kind is ActKind.APPROVE]


@many
@given(flows(), subjects, st.one_of(QUIET_ACTS, ANY_ACTS), peoples(), minutes)
def test_the_sum_is_what_the_model_says(flow, subject, acts, people, now):
    """Any acts at all, let in or not, come to what the rules say when they are written down a second time."""
    state = fold(flow, subject, acts, people, now)
    assert state.status == model.status(flow, subject, acts, people, now)
    assert list(state.approvals) == [
        a for s in flow.steps for a in model.counted(flow, subject, acts, people, now) if a.step == s.name
    ]


@many
@given(flows(), subjects, ANY_ACTS, peoples(), minutes, st.randoms(use_true_random=False))
def test_the_order_of_the_acts_does_not_count(flow, subject, acts, people, now, random):
    """The same acts in another order come to the same."""
    mixed = list(acts)
    random.shuffle(mixed)
    assert fold(flow, subject, mixed, people, now) == fold(flow, subject, acts, people, now)


@many
@given(flows(), subjects, st.lists(deeds((ActKind.APPROVE,)), max_size=8), peoples(), deeds((ActKind.APPROVE,)))
def test_one_more_approval_never_takes_one_away(flow, subject, acts, people, more):
    """Approvals only add up: what counted still counts after a later one."""
    now = max([more.at, *(a.at for a in acts)])
    more = replace(more, at=now)
    before, after = (fold(flow, subject, list_, people, now) for list_ in (acts, [*acts, more]))
    assert set(before.approvals) <= set(after.approvals)
    assert (before.status, after.status) not in {(Status.APPROVED, Status.OPEN), (Status.APPROVED, Status.EXPIRED)}


@many
@given(flows(), subjects, st.lists(deeds((*QUIET, *[ActKind.APPROVE] * 20)), min_size=2, max_size=14), peoples())
def test_what_is_let_in_counts_and_what_is_refused_would_not(flow, subject, tried, people):
    """The door and the sum agree: an approval that is let in counts at once; a refused one would change nothing."""
    kept = []
    for act in sorted(tried, key=lambda a: a.at):
        before = fold(flow, subject, kept, people, act.at)
        decision = judge(flow, subject, kept, act, people)
        assert decision.ok == (not decision.reason)
        if decision.ok:
            kept.append(act)
        if act.kind is ActKind.APPROVE and before.status is not Status.APPROVED:
            after = fold(flow, subject, kept if decision.ok else [*kept, act], people, act.at)
            waiting = any(s.name == act.step and not s.open for s in before.steps)  # counts once its step opens
            gained = set(after.approvals) - set(before.approvals)
            assert gained == {act} if decision.ok else gained == set() or waiting


@many
@given(flows(), subjects, st.lists(deeds((*QUIET, *[ActKind.APPROVE] * 20)), min_size=2, max_size=14), peoples(), minutes)
def test_nobody_who_must_not_approves(flow, subject, tried, people, later):
    """Approved means: enough different people and rights, none excluded, all entitled, all about exactly this."""
    kept = played(flow, subject, people, tried)
    now = max([later, *(a.at for a in kept)])
    state = fold(flow, subject, kept, people, now)
    assume(state.status is Status.APPROVED and flow.steps)
    yes = state.approvals
    assert len({a.person for a in yes}) == len({a.voice for a in yes}) == len(yes)
    assert sum(s.needed for s in state.steps) <= len(yes)
    assert {(a.request, a.plan) for a in yes} == {("REQ", "P")}
    assert not {a.person for a in yes} & ({*people.bots, *subject.authors} - ({"carol"} if people.alone() else set()))
    assert all(a.person in people.active_ones for a in yes)
    assert all(a.person != "carol" or (people.alone() and flow.own) for a in yes)
    assert not any(people.stood_for(a.person, "carol", subject.asked, now) for a in yes if a.person != "carol")
    for act in yes:
        by_hand = any(s.handed.get(act.on_behalf_of) == act.person for s in state.steps)
        assert people.entitled(act.person if by_hand else act.voice, subject, now) == ""


@many
@given(flows(), subjects, st.lists(deeds(QUIET), max_size=10), peoples(), minutes)
def test_another_digest_voids_every_approval(flow, subject, acts, people, now):
    """A new plan, or another request, has no approval whatever was said about the old one."""
    acts = [replace(a, request="REQ", plan="P") for a in acts]
    for other in (replace(subject, plan="new"), replace(subject, digest="new")):
        state = fold(flow, other, acts, people, now)
        assert state.approvals == ()
        assert state.status is not Status.APPROVED or not flow.steps
        for act in acts:
            assert not judge(flow, other, [], act, people).ok


@many
@given(flows(), subjects, ANY_ACTS, peoples(), names, minutes, st.lists(deeds(), max_size=4))
def test_a_veto_is_final(flow, subject, tried, people, name, at, later):
    """Once vetoed it stays vetoed, whatever the others said or say, whoever leaves, for every plan of the request."""
    kept = played(flow, subject, people, tried)
    veto = replace(deed(ActKind.VETO, name, at), at=max([at, *(a.at for a in kept)]))
    assume(judge(flow, subject, kept, veto, people).ok)
    kept.append(veto)
    gone = replace(people, active_ones=people.active_ones - {name})
    for crowd in (people, gone):
        for plan in ("P", "new"):
            state = fold(flow, replace(subject, plan=plan), [*kept, *later], crowd, at + timedelta(days=9))
            assert state.status is Status.VETOED
    for act in later:
        late = replace(act, at=veto.at + timedelta(minutes=1))
        assert late.kind in {ActKind.COMMENT, ActKind.REVIEW} or not judge(flow, subject, kept, late, people).ok


@many
@given(flows(), subjects, st.lists(deeds(QUIET), max_size=12), peoples(), minutes)
def test_after_its_time_nothing_counts(flow, subject, tried, people, now):
    """An approved request is approved until its time and no longer; after every time is over it is expired for good."""
    kept = played(flow, subject, people, tried)
    state = fold(flow, subject, kept, people, now)
    if state.status is Status.APPROVED:
        assert state.until is not None
        assert state.until > now
        lapsed = fold(flow, subject, kept, people, state.until)
        assert lapsed.status is not Status.APPROVED or (lapsed.until or now) > state.until
    over = max([subject.asked, *(a.at for a in kept)]) + timedelta(seconds=flow.validity + flow.open_for)
    assert fold(flow, subject, kept, people, over).status is Status.EXPIRED
    assert fold(flow, subject, kept, people, over).approvals == ()
    late = deed(ActKind.APPROVE, "alice", over)
    assert not judge(flow, subject, kept, late, people).ok


@many
@given(flows(), subjects, st.lists(deeds((ActKind.APPROVE,)), max_size=10), peoples(), names, minutes)
def test_who_leaves_or_joins_never_makes_it_approved_by_self(flow, subject, acts, people, name, now):
    """Their own approval never counts from the second person on, also when it was given while they were alone."""
    second = replace(people, active_ones=people.active_ones | {"carol", name})
    assume(name != "carol")
    state = fold(flow, subject, [replace(a, person="carol", on_behalf_of="") for a in acts], second, now)
    assert state.approvals == ()
    assert not state.own


@many
@given(flows(), subjects, ANY_ACTS, peoples(), minutes)
def test_the_clock_comes_to_rest(flow, subject, tried, people, now):
    """What the clock has to do is done once; there is nothing more to do at the same moment."""
    kept = played(flow, subject, people, tried)
    now = max([now, *(a.at for a in kept)])
    owed = due(flow, subject, kept, people, now)
    assert due(flow, subject, [*kept, *owed], people, now) == ()


def deed(kind, person, at, **values):
    """An act about the right request and plan."""
    return Act(**{"kind": kind, "person": person, "at": at, "request": "REQ", "plan": "P", "comment": "so", **values})
