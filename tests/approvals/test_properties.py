"""The approval engine over random worlds: as the model says, and what holds whatever people try."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from approvals import model
from approvals.worlds import ANY, APPROVALS, NAMES, QUIET, Dice, worlds
from approvals.worlds import world as made
from opsnb.control.approvals.rules import due, fold, judge
from opsnb.control.approvals.values import Act, ActKind, Status

PROVE = bool(os.environ.get("OPSNB_PROVE"))
SEEDS = 20_000 if PROVE else 2_000
small = settings(max_examples=1000 if PROVE else 40, suppress_health_check=list(HealthCheck))
names = st.sampled_from(NAMES)


def played(world):
    """Let a world's acts in one after another in the order of time, each after what the clock had to do."""
    kept = []
    for act in sorted(world.acts, key=lambda a: a.at):
        kept += due(world.flow, world.subject, kept, world.people, act.at)
        if judge(world.flow, world.subject, kept, act, world.people).ok:
            kept.append(act)
    return kept


def said(world, acts, *, now=None, people=None, subject=None):
    """Return what acts come to in a world."""
    return fold(world.flow, subject or world.subject, acts, people or world.people, now or world.now)


def deed(kind, person, at):
    """Return an act about the right request and plan."""
    return Act(kind=kind, person=person, at=at, request="REQ", plan="P", step="one", comment="so")


def same_as_the_model(world):
    """The engine and the model count the same approvals and come to the same status."""
    state = said(world, world.acts)
    args = (world.flow, world.subject, world.acts, world.people, world.now)
    assert state.status == model.status(*args)
    counted = model.counted(*args)
    assert list(state.approvals) == [a for s in world.flow.steps for a in counted if a.step == s.name]


@small
@given(worlds(ANY))
def test_the_sum_is_what_the_model_says(world):
    """Any acts, let in or not, come to what the rules say when they are written down a second time."""
    same_as_the_model(world)


def test_the_sum_is_what_the_model_says_in_many_worlds():
    """The same in many more worlds, of which enough are approved that the rules were tried."""
    seen = dict.fromkeys(Status, 0)
    for seed in range(SEEDS):
        world = made(Dice(seed), QUIET if seed % 3 else ANY, 12)
        same_as_the_model(world)
        seen[said(world, world.acts).status] += 1
    assert all(n > SEEDS / 200 for n in seen.values()), seen


@pytest.mark.slow
def test_nobody_who_must_not_approves():
    """Approved means: enough different people and rights, none excluded, all entitled, all about exactly this."""
    approved = 0
    for seed in range(SEEDS):
        world = made(Dice(seed), (*QUIET, *APPROVALS * 20), 16)
        kept = played(world)
        for now in {world.now, *(a.at for a in kept)}:
            state = said(world, kept, now=now)
            if state.status is Status.APPROVED and world.flow.steps:
                approved += 1
                approved_rightly(world, state, now)
    assert approved > SEEDS / 10, approved


def approved_rightly(world, state, now):
    """Look at each approval of an approved request."""
    people, subject, yes = world.people, world.subject, state.approvals
    assert len({a.person for a in yes}) == len({a.voice for a in yes}) == len(yes)
    assert all(len([a for a in yes if a.step == s.name]) >= s.needed >= 1 for s in state.steps)
    for act in yes:
        assert (act.request, act.plan) == ("REQ", "P")
        assert subject.asked <= act.at <= now < act.at + timedelta(seconds=world.flow.validity)
        assert act.person in people.active_ones - people.bots
        own = act.person == subject.requester
        assert not own or (people.alone() and world.flow.own and act.voice == act.person)
        assert own or not {act.person, act.voice} & {subject.requester, *subject.authors}
        assert own or not people.stood_for(act.person, subject.requester, subject.asked, now)
        by_hand = any(s.name == act.step and s.handed.get(act.on_behalf_of) == act.person for s in state.steps)
        assert people.entitled(act.person if by_hand else act.voice, subject, now) == ""
        assert act.voice == act.person or by_hand or act.voice in people.stands_for(act.person, now)


@small
@given(worlds(ANY), st.randoms(use_true_random=False))
def test_the_order_of_the_acts_does_not_count(world, random):
    """The same acts in another order come to the same."""
    mixed = list(world.acts)
    random.shuffle(mixed)
    assert said(world, mixed) == said(world, world.acts)


def test_one_more_approval_never_takes_one_away():
    """Approvals only add up: what counted still counts after a later one."""
    for seed in range(SEEDS // 2):
        world = made(Dice(seed), APPROVALS, 8)
        *acts, more = world.acts or [deed(ActKind.APPROVE, "alice", world.now)]
        now = max([more.at, *(a.at for a in acts)])
        before, after = said(world, acts, now=now), said(world, [*acts, replace(more, at=now)], now=now)
        assert set(before.approvals) <= set(after.approvals)
        assert before.status is not Status.APPROVED or after.status is Status.APPROVED


def test_the_door_and_the_sum_agree():
    """An approval that is let in counts at once; one that is refused would change nothing."""
    let_in = refused = 0
    for seed in range(SEEDS // 2):
        world = made(Dice(seed), (*QUIET, *APPROVALS * 20), 12)
        kept = []
        for act in sorted(world.acts, key=lambda a: a.at):
            before = said(world, kept, now=act.at)
            decision = judge(world.flow, world.subject, kept, act, world.people)
            assert decision.ok == (not decision.reason)
            if act.kind is ActKind.APPROVE and before.status is not Status.APPROVED:
                after = said(world, [*kept, act], now=act.at)
                gained = set(after.approvals) - set(before.approvals)
                waits = any(s.name == act.step and not s.open for s in before.steps)  # done, or not open yet
                over = before.status is after.status is Status.EXPIRED
                assert gained == {act} if decision.ok else gained == set() or waits or over
                let_in, refused = let_in + decision.ok, refused + (not decision.ok)
            kept += [act] if decision.ok else []
    assert min(let_in, refused) > SEEDS / 10, (let_in, refused)


@small
@given(worlds(QUIET))
def test_another_digest_voids_every_approval(world):
    """A new plan, or another request, has no approval whatever was said about the old one."""
    acts = [replace(a, request="REQ", plan="P") for a in world.acts]
    for other in (replace(world.subject, plan="new"), replace(world.subject, digest="new")):
        state = said(world, acts, subject=other)
        assert state.approvals == ()
        assert state.status is not Status.APPROVED or not world.flow.steps
        assert not any(judge(world.flow, other, [], act, world.people).ok for act in acts)


def test_a_veto_is_final():
    """Once vetoed it stays vetoed, whatever the others said or say, whoever leaves, for every plan of the request."""
    vetoed = 0
    for seed in range(SEEDS // 2):
        world = made(Dice(seed), QUIET, 10)
        earlier, later = world.acts[: len(world.acts) // 2], world.acts[len(world.acts) // 2 :]
        kept = played(replace(world, acts=earlier))
        person = NAMES[seed % len(NAMES)]
        veto = replace(deed(ActKind.VETO, person, world.now), at=max([world.now, *(a.at for a in kept)]))
        if not judge(world.flow, world.subject, kept, veto, world.people).ok:
            continue
        vetoed += 1
        gone = replace(world.people, active_ones=world.people.active_ones - {person})
        for people in (world.people, gone):
            for plan in ("P", "new"):
                subject = replace(world.subject, plan=plan)
                state = said(world, [*kept, veto, *later], people=people, subject=subject)
                assert state.status is Status.VETOED
        for act in later:
            late = replace(act, at=veto.at + timedelta(minutes=1))
            decision = judge(world.flow, world.subject, [*kept, veto], late, world.people)
            assert late.kind in {ActKind.COMMENT, ActKind.REVIEW} or not decision.ok
    assert vetoed > SEEDS / 20


@small
@given(worlds(QUIET))
def test_after_its_time_nothing_counts(world):
    """An approved request is approved until its time and no longer; when every time is over it is expired for good."""
    kept = played(world)
    state = said(world, kept)
    if state.status is Status.APPROVED:
        assert state.until is not None
        assert state.until > world.now
        lapsed = said(world, kept, now=state.until)
        assert lapsed.status is not Status.APPROVED or (lapsed.until or world.now) > state.until
    flow = world.flow
    over = max([world.subject.asked, *(a.at for a in kept)]) + timedelta(seconds=flow.validity + flow.open_for)
    assert said(world, kept, now=over).status is Status.EXPIRED
    assert said(world, kept, now=over).approvals == ()
    late = deed(ActKind.APPROVE, "alice", over)
    assert not judge(flow, world.subject, kept, late, world.people).ok


@small
@given(worlds(APPROVALS), names)
def test_from_the_second_person_on_nobody_approves_their_own(world, name):
    """Their own approval never counts then, also when it was given while they were alone."""
    assume(name != "carol")
    second = replace(world.people, active_ones=world.people.active_ones | {"carol", name})
    state = said(world, [replace(a, person="carol", on_behalf_of="") for a in world.acts], people=second)
    assert state.approvals == ()
    assert not state.own


@small
@given(worlds(ANY))
def test_the_clock_comes_to_rest(world):
    """What the clock has to do is done once; there is nothing more to do at the same moment."""
    kept = played(world)
    now = max([world.now, *(a.at for a in kept)])
    owed = due(world.flow, world.subject, kept, world.people, now)
    assert due(world.flow, world.subject, [*kept, *owed], world.people, now) == ()
