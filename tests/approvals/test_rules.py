"""The approval engine, rule by rule: what is let in, what is refused with which reason, in English and in Chinese."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from approvals.people import ASKED, People, Standing, subject
from opsnb.base.errors import UsageError
from opsnb.base.i18n import CHINESE, retell
from opsnb.control.approvals.rules import chosen_step, due, fold, judge
from opsnb.control.approvals.values import (
    Act,
    ActKind,
    Flow,
    Handler,
    HandlerKind,
    Need,
    Status,
    Step,
)

ANYONE = (Handler(kind=HandlerKind.ANYONE),)
OPS = (Handler(kind=HandlerKind.ROLE, name="ops"),)
DBA = (Handler(kind=HandlerKind.ROLE, name="dba"),)
ONE = Flow(steps=(Step(name="approve", handlers=ANYONE),))
TWO = Flow(steps=(Step(name="approve", handlers=ANYONE, need=Need.SOME, count=2),))
IN_ORDER = Flow(steps=(Step(name="ops", handlers=OPS), Step(name="dba", handlers=DBA)))
SOON = ASKED + timedelta(minutes=5)
LATER = ASKED + timedelta(minutes=30)
EVERYBODY = People(
    active_ones=frozenset({"alice", "bob", "carol", "dave", "erin", "robot"}), bots=frozenset({"robot"}),
    roles={"ops": frozenset({"alice", "bob"}), "dba": frozenset({"bob", "dave"})},
    leaders={"web": "erin"}, leaders_of={"carol": "dave"},
)  # fmt: skip


def act(kind=ActKind.APPROVE, person="alice", at=SOON, step="approve", **values):
    """Return an act about the right request and plan."""
    return Act(**{"kind": kind, "person": person, "at": at, "step": step, "request": "REQ", "plan": "P", **values})


def why(flow, acts, one, people=EVERYBODY, **about):
    """Return why an act is refused; empty when it is let in."""
    return judge(flow, subject(**about), acts, one, people).reason


def status(flow, acts, people=EVERYBODY, now=LATER, **about):
    """Return what acts come to."""
    return fold(flow, subject(**about), acts, people, now).status


def delegate(person, other, begin=ASKED, end=LATER):
    """Return people in which one stands for another for a while."""
    return replace(EVERYBODY, delegates=(Standing(person=person, stands_for=other, begin=begin, end=end),))


VETOED = [act(ActKind.VETO, "bob", step="", comment="no")]
ESCALATING = Flow(steps=(Step(name="approve", handlers=OPS, within=600.0, escalate_to=DBA),))
FREE = Flow(review=86400.0)
REFUSED = {
    "self": (ONE, [], act(person="carol"), {}, "carol asked for it, and nobody approves their own request"),
    "author": (ONE, [], act(), {"authors": frozenset({"alice"})}, "alice is an author of the notebook"),
    "service": (ONE, [], act(person="robot"), {}, "robot is a service account, and those never approve"),
    "inactive": (ONE, [], act(person="gone"), {}, "gone is not an active person of this workspace"),
    "request": (ONE, [], act(request="OLD"), {}, "request R1 is not what they read: its digest is another"),
    "plan": (ONE, [], act(plan="OLD"), {}, "request R1 has another plan than the one they read"),
    "early": (
        ONE, [], act(at=ASKED - timedelta(seconds=1)), {}, "it was not asked for yet: what they read is older",
    ),
    "late": (ONE, [], act(at=ASKED + timedelta(days=8)), {}, "the request is over: its time is over: ask anew"),
    "vetoed": (ONE, VETOED, act(at=LATER), {}, "the request is over: bob vetoed it"),
    "approved": (
        ONE, [act()], act(person="bob", at=LATER), {},
        "everything it needs was approved already; only a veto stops it",
    ),
    "twice": (TWO, [act()], act(at=LATER), {}, "alice approved it already, and a person counts once"),
    "no step": (ONE, [], act(step="none"), {}, "there is no step 'none'"),
    "not yet": (IN_ORDER, [], act(person="dave", step="dba"), {}, "step 'dba' is not open yet"),
    "done": (IN_ORDER, [act(step="ops")], act(person="bob", step="ops", at=LATER), {}, "step 'ops' is done"),
    "no handler": (
        IN_ORDER, [], act(person="erin", step="ops"), {}, "erin is not one of those who handle step 'ops'",
    ),
    "no delegate": (ONE, [], act(on_behalf_of="bob"), {}, "alice is not a delegate of bob"),
    "no comment": (ONE, [], act(ActKind.RETURN), {}, "it needs a comment that says why"),
    "clock": (
        ESCALATING, [], act(ActKind.ESCALATE), {}, "only the clock escalates and expires, and it does nothing else",
    ),
    "time left": (ESCALATING, [], act(ActKind.ESCALATE, ""), {}, "step 'approve' has time left"),
    "nobody left": (ONE, [], act(ActKind.ESCALATE, ""), {}, "step 'approve' has nobody left to be called"),
    "not over": (ONE, [], act(ActKind.EXPIRE, "", step=""), {}, "its time is not over"),
    "veto of own": (
        ONE, [], act(ActKind.VETO, "carol", comment="no"), {}, "carol asked for it: withdraw it instead",
    ),
    "veto of a bot": (
        ONE, [], act(ActKind.VETO, "robot", comment="no"), {}, "robot is a service account, and those never decide",
    ),
    "veto for another": (
        ONE, [], act(ActKind.VETO, on_behalf_of="bob", comment="no"), {}, "a veto is one's own",
    ),
    "veto without a right": (
        ONE, [], act(ActKind.VETO, "frank", comment="no"), {}, "frank is not an active person of this workspace",
    ),
    "handed to one who has a part": (
        IN_ORDER, [act(ActKind.DELEGATE, step="ops", to="erin")],
        act(ActKind.DELEGATE, "bob", step="ops", to="erin", at=LATER), {}, "erin handles step 'ops' already",
    ),
    "withdrawn by another": (
        ONE, [], act(ActKind.WITHDRAW), {}, "only carol, who asked for it, withdraws it",
    ),
    "handed to a handler": (
        IN_ORDER, [], act(ActKind.DELEGATE, step="ops", to="bob"), {}, "bob handles step 'ops' already",
    ),
    "handed to the requester": (
        IN_ORDER, [], act(ActKind.DELEGATE, step="ops", to="carol"), {},
        "carol asked for it, and nobody approves their own request",
    ),
    "handed on twice": (
        IN_ORDER, [], act(ActKind.DELEGATE, step="ops", to="erin", on_behalf_of="bob"), {},
        "a step that was handed on is not handed on again",
    ),
    "after it was handed on": (
        IN_ORDER, [act(ActKind.DELEGATE, step="ops", to="erin")], act(step="ops", at=LATER), {},
        "alice handed step 'ops' to erin",
    ),
    "nothing to review": (
        ONE, [], act(ActKind.REVIEW, comment="fine"), {},
        "nothing of it went without an approval, so there is nothing to review",
    ),
    "review of own": (
        FREE, [], act(ActKind.REVIEW, "carol", comment="fine"), {},
        "carol asked for it, and nobody approves their own request",
    ),
    "reviewed": (
        FREE, [act(ActKind.REVIEW, comment="fine")], act(ActKind.REVIEW, "bob", comment="fine", at=LATER), {},
        "it was reviewed already",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_each_refusal_says_why(case):
    """What breaks a rule is refused with the rule in one sentence."""
    flow, acts, one, about, says = REFUSED[case]
    assert why(flow, acts, one, **about) == says


@pytest.mark.parametrize("case", REFUSED)
def test_each_refusal_exists_in_chinese(case):
    """The same sentence has a translation, and it keeps the names."""
    *_, says = REFUSED[case]
    told = retell(says, CHINESE)
    assert told != says
    assert not set("，。：；").isdisjoint(told) or any("一" <= c <= "鿿" for c in told)
    assert all(name in told for name in ("alice", "bob", "carol", "erin", "robot") if name in says)
    assert "its " not in told


def test_one_of_anybody():
    """One approval by anybody entitled is enough; until when it holds is said."""
    state = fold(ONE, subject(), [act()], EVERYBODY, LATER)
    assert (state.status, state.until) == (Status.APPROVED, SOON + timedelta(days=1))
    assert [a.person for a in state.approvals] == ["alice"]
    assert status(ONE, []) is Status.OPEN


def test_n_of_m():
    """Two of a role need two different people; the reason says how many there are."""
    flow = Flow(steps=(Step(name="approve", handlers=OPS, need=Need.SOME, count=2),))
    half = fold(flow, subject(), [act(), act(at=LATER)], EVERYBODY, LATER)
    assert (half.status, half.reason) == (Status.OPEN, "step 'approve' has 1 of 2 approvals")
    assert status(flow, [act(), act(person="bob")]) is Status.APPROVED


def test_all():
    """Everybody whom a step means has to approve; the requester among them is left out, never counted."""
    handlers = (*OPS, Handler(kind=HandlerKind.PERSON, name="carol"), Handler(kind=HandlerKind.LEADER, name="web"))
    flow = Flow(steps=(Step(name="approve", handlers=handlers, need=Need.ALL),))
    acts = [act(), act(person="bob")]
    assert fold(flow, subject(), acts, EVERYBODY, LATER).steps[0].needed == 3
    assert status(flow, acts) is Status.OPEN
    assert status(flow, [*acts, act(person="erin")]) is Status.APPROVED


def test_all_is_not_made_fewer_by_whom_the_requester_appoints():
    """Whoever stands for the requester cannot approve, and stays among all: nobody chooses how many have to approve."""
    flow = Flow(steps=(Step(name="approve", handlers=OPS, need=Need.ALL),))
    people = replace(EVERYBODY, delegates=(Standing(person="bob", stands_for="carol", begin=ASKED, end=LATER),))
    state = fold(flow, subject(), [act()], people, LATER)
    assert (state.status, state.steps[0].needed) == (Status.OPEN, 2)
    assert "a delegate of carol" in why(flow, [act()], act(person="bob", at=LATER), people)


def test_all_waits_for_whom_nobody_is():
    """A leader whom the department does not have, a role that nobody holds: all of them are not there."""
    for handler in (Handler(kind=HandlerKind.LEADER, name="empty"), Handler(kind=HandlerKind.ROLE, name="empty")):
        flow = Flow(steps=(Step(name="approve", handlers=(*OPS, handler), need=Need.ALL),))
        state = fold(flow, subject(), [act(), act(person="bob")], EVERYBODY, LATER)
        assert (state.status, state.steps[0].needed) == (Status.OPEN, 3)


def test_all_of_nobody_is_not_nobody():
    """A step that means only the requester, or nobody at all, is never done by itself."""
    for handler in (Handler(kind=HandlerKind.PERSON, name="carol"), Handler(kind=HandlerKind.ROLE, name="empty")):
        flow = Flow(steps=(Step(name="approve", handlers=(handler,), need=Need.ALL),))
        assert status(flow, []) is Status.OPEN


@pytest.mark.parametrize(
    ("handler", "person"),
    [
        (Handler(kind=HandlerKind.PERSON, name="bob"), "bob"),
        (Handler(kind=HandlerKind.ROLE, name="dba"), "dave"),
        (Handler(kind=HandlerKind.LEADER, name="web"), "erin"),
        (Handler(kind=HandlerKind.APPLICANT_LEADER), "dave"),
    ],
)
def test_who_handles(handler, person):
    """A person, a role, the leader of a department, the applicant's leader; nobody else."""
    flow = Flow(steps=(Step(name="approve", handlers=(handler,)),))
    assert why(flow, [], act(person=person)) == ""
    assert status(flow, [act(person=person)]) is Status.APPROVED
    assert "not one of those who handle" in why(flow, [], act(person="alice"))


def test_in_order_and_in_parallel():
    """In order a step opens when the one before it is done; in parallel all are open, and either may come first."""
    first, second = act(step="ops"), act(person="dave", step="dba", at=LATER)
    assert status(IN_ORDER, [first]) is Status.OPEN
    assert status(IN_ORDER, [first, second]) is Status.APPROVED
    parallel = replace(IN_ORDER, parallel=True)
    assert why(parallel, [], act(person="dave", step="dba")) == ""
    assert status(parallel, [replace(second, at=SOON), replace(first, at=LATER)]) is Status.APPROVED


def test_one_person_with_two_roles_counts_once():
    """Bob holds both roles, and still another person is needed."""
    parallel = replace(IN_ORDER, parallel=True)
    acts = [act(person="bob", step="ops")]
    assert why(parallel, acts, act(person="bob", step="dba", at=LATER)) == (
        "bob approved it already, and a person counts once"
    )
    assert status(parallel, [*acts, act(person="bob", step="dba", at=LATER)]) is Status.OPEN


def test_the_only_person_may_approve_their_own():
    """While there is one person, and it is shown; not where the policy says never; not from the second one on."""
    one = replace(EVERYBODY, active_ones=frozenset({"carol", "robot"}))
    own = act(person="carol")
    assert why(ONE, [], own, one) == ""
    state = fold(ONE, subject(authors=frozenset({"carol"})), [own], one, LATER)
    assert (state.status, state.own) == (Status.APPROVED, True)
    assert why(replace(ONE, own=False), [], own, one) == "carol asked for it, and the policy wants another person"
    assert status(ONE, [own], replace(one, active_ones=one.active_ones | {"alice"})) is Status.OPEN


def test_a_delegate_uses_the_right_of_another():
    """Erin stands for alice, is shown so, and counts as long as that holds; the right of alice counts once."""
    people = delegate("erin", "alice", end=LATER)
    flow = Flow(steps=(Step(name="approve", handlers=OPS, need=Need.SOME, count=2),))
    lent = act(person="erin", on_behalf_of="alice")
    assert why(flow, [], lent, people) == ""
    assert fold(flow, subject(), [lent], people, SOON).steps[0].approvals == (lent,)
    assert why(flow, [lent], act(at=SOON + timedelta(minutes=1)), people) == (
        "the right of alice was used already, and it counts once"
    )
    assert status(flow, [lent, act(), act(person="bob")], people, SOON) is Status.APPROVED
    assert fold(flow, subject(), [lent], people, LATER).approvals == ()
    assert why(flow, [], replace(lent, at=LATER), people) == "erin is not a delegate of alice"


def test_one_person_counts_once_whoever_they_act_for():
    """Erin approves for alice, for bob and for herself: that is one person, at the door and in the sum."""
    lent = tuple(Standing(person="erin", stands_for=o, begin=ASKED, end=LATER) for o in ("alice", "bob"))
    people = replace(EVERYBODY, delegates=lent)
    acts = [act(person="erin", on_behalf_of=o, at=SOON + timedelta(seconds=n)) for n, o in enumerate(("alice", ""))]
    late = act(person="erin", on_behalf_of="bob", at=SOON + timedelta(minutes=1))
    assert why(TWO, acts[:1], late, people) == "erin approved it already, and a person counts once"
    assert fold(TWO, subject(), [*acts, late], people, late.at).approvals == (acts[0],)


def test_one_right_counts_once_whoever_uses_it():
    """Alice approves, and erin does on behalf of alice: that is one right, in either order."""
    lent = act(person="erin", on_behalf_of="alice", at=SOON + timedelta(minutes=1))
    for acts in ([act(), lent], [replace(lent, at=SOON), act(at=lent.at)]):
        state = fold(TWO, subject(), acts, delegate("erin", "alice"), lent.at)
        assert (state.status, state.approvals) == (Status.OPEN, (acts[0],))


def test_a_delegate_of_the_requester_is_out():
    """Whoever stood for the requester since the asking approves nothing of theirs, also when that is over."""
    people = delegate("alice", "carol", end=ASKED + timedelta(minutes=1))
    assert why(ONE, [], act(), people) == "alice is a delegate of carol, who asked for it"
    assert status(ONE, [act()], people) is Status.OPEN
    before = delegate("alice", "carol", begin=ASKED - timedelta(days=1), end=ASKED)
    assert why(ONE, [], act(), before) == ""


def test_delegates_are_not_chained():
    """Erin stands for alice and alice for bob: erin has nothing of bob."""
    people = replace(
        EVERYBODY,
        delegates=tuple(
            Standing(person=p, stands_for=o, begin=ASKED, end=LATER) for p, o in (("erin", "alice"), ("alice", "bob"))
        ),
    )
    flow = Flow(steps=(Step(name="approve", handlers=(Handler(kind=HandlerKind.PERSON, name="bob"),)),))
    assert why(flow, [], act(person="erin", on_behalf_of="bob"), people) == "erin is not a delegate of bob"
    assert why(flow, [], act(person="alice", on_behalf_of="bob"), people) == ""


def test_a_step_is_handed_on():
    """Alice hands her part to erin, who is entitled: erin approves for her, shown; what erin has is not handed on."""
    handed = act(ActKind.DELEGATE, step="ops", to="erin")
    assert why(IN_ORDER, [], handed) == ""
    state = fold(IN_ORDER, subject(), [handed], EVERYBODY, LATER).steps[0]
    assert (state.handed, state.people) == ({"alice": "erin"}, {"bob", "erin"})
    yes = act(person="erin", step="ops", at=LATER, on_behalf_of="alice")
    assert why(IN_ORDER, [handed], yes) == ""
    assert fold(IN_ORDER, subject(), [handed, yes], EVERYBODY, LATER).steps[0].done
    again = act(ActKind.DELEGATE, "erin", step="ops", to="dave", at=LATER)
    assert why(IN_ORDER, [handed], again) == "erin is not one of those who handle step 'ops'"
    nobody = replace(EVERYBODY, lost={"erin": ASKED})
    assert why(IN_ORDER, [], handed, nobody) == "erin may not approve anything any more"


def test_entitled_now():
    """Who loses the right, or leaves, between the approval and the claim no longer counts."""
    assert status(ONE, [act()]) is Status.APPROVED
    assert status(ONE, [act()], replace(EVERYBODY, lost={"alice": LATER})) is Status.OPEN
    assert status(ONE, [act()], replace(EVERYBODY, active_ones=EVERYBODY.active_ones - {"alice"})) is Status.OPEN
    both = {"environments": frozenset({"production", "staging"})}
    only_staging = replace(EVERYBODY, nowhere=frozenset({("alice", "production")}))
    assert why(ONE, [], act(), only_staging, **both) == "alice may not approve in production"
    assert status(ONE, [act()], only_staging, environments=frozenset({"staging"})) is Status.APPROVED


def test_validity():
    """An approved request is approved up to its validity; then it is expired and has to be asked for anew."""
    flow = replace(ONE, validity=600.0)
    end = SOON + timedelta(seconds=600)
    assert status(flow, [act()], now=end - timedelta(milliseconds=1)) is Status.APPROVED
    assert status(flow, [act()], now=end) is Status.EXPIRED
    assert why(flow, [act()], act(person="bob", at=end)) == "the request is over: its time is over: ask anew"
    assert status(flow, [act(), act(person="bob", at=end)], now=end) is Status.EXPIRED


def test_an_approval_that_was_too_early_may_be_given_again():
    """Before there were enough, one that became too old no longer counts, and whoever gave it may give it again."""
    flow = replace(TWO, validity=600.0)
    end = SOON + timedelta(seconds=600)
    assert status(flow, [act()], now=end) is Status.OPEN
    assert why(flow, [act()], act(at=end)) == ""
    acts = [act(), act(at=end), act(person="bob", at=end + timedelta(seconds=1))]
    state = fold(flow, subject(), acts, EVERYBODY, acts[-1].at)
    assert (state.status, state.until) == (Status.APPROVED, end + timedelta(seconds=600))
    assert status(flow, [], now=ASKED + timedelta(seconds=flow.open_for)) is Status.EXPIRED


def test_a_return_ends_the_plan_and_not_the_request():
    """After it only a new plan counts, without what was said about the old one."""
    acts = [act(person="bob"), act(ActKind.RETURN, at=LATER, comment="smaller batches")]
    assert why(TWO, acts[:1], acts[1]) == ""
    assert status(TWO, acts) is Status.RETURNED
    assert status(TWO, acts, plan="P2") is Status.OPEN
    assert fold(TWO, subject(plan="P2"), acts, EVERYBODY, LATER).approvals == ()


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        (act(ActKind.REJECT, comment="no"), Status.REJECTED),
        (act(ActKind.VETO, "bob", step="", comment="no"), Status.VETOED),
        (act(ActKind.WITHDRAW, "carol", step=""), Status.WITHDRAWN),
    ],
)
def test_what_ends_a_request(one, wanted):
    """A rejection, a veto, a withdrawal: final, for a new plan too."""
    assert why(TWO, [act(person="dave")], one) == ""
    assert status(TWO, [act(person="dave"), one]) is wanted
    assert status(TWO, [one], plan="P2") is wanted


def test_only_the_entitled_veto():
    """Whoever may not approve such a request may not stop it either; an author may, who is entitled."""
    veto = act(ActKind.VETO, step="", comment="no")
    assert why(ONE, [], veto, replace(EVERYBODY, lost={"alice": ASKED})) == "alice may not approve anything any more"
    assert why(ONE, [], veto, authors=frozenset({"alice"})) == ""


def test_a_veto_stops_what_was_approved():
    """Also after everybody approved, until it is claimed; a rejection comes too late then."""
    assert why(ONE, [act()], act(ActKind.VETO, "bob", step="", at=LATER, comment="stop")) == ""
    assert "only a veto" in why(ONE, [act()], act(ActKind.REJECT, "bob", at=LATER, comment="stop"))


def test_escalation():
    """A step that waits too long calls its further handlers; the act of the clock is what lets them in."""
    late = ASKED + timedelta(seconds=600)
    assert due(ESCALATING, subject(), [], EVERYBODY, late - timedelta(seconds=1)) == ()
    (called,) = due(ESCALATING, subject(), [], EVERYBODY, late)
    assert (called.kind, called.step, called.person) == (ActKind.ESCALATE, "approve", "")
    yes = act(person="dave", at=late)
    assert "not one of those" in why(ESCALATING, [], yes)
    assert why(ESCALATING, [called], yes) == ""
    assert fold(ESCALATING, subject(), [called], EVERYBODY, late).steps[0].escalated


def test_the_clock_says_that_the_time_is_over():
    """An expiry is kept once, and stays when the clock goes back."""
    over = ASKED + timedelta(days=8)
    (said,) = due(ONE, subject(), [], EVERYBODY, over)
    assert said.kind is ActKind.EXPIRE
    assert status(ONE, [said], now=SOON) is Status.EXPIRED
    assert why(ONE, [said], replace(said, at=over + timedelta(days=1))) == "it expired already"


def test_a_clock_that_goes_back_undoes_nothing():
    """An act with an earlier time is judged after all that was let in."""
    acts = [act(ActKind.VETO, "bob", step="", at=LATER, comment="no")]
    assert why(ONE, acts, act(at=SOON)) == "the request is over: bob vetoed it"
    assert why(TWO, [act(at=LATER)], act(at=SOON)) == "alice approved it already, and a person counts once"


def test_nobody_is_asked():
    """A flow without steps is approved at once, for its validity, and waits for a review by somebody else."""
    state = fold(FREE, subject(), [], EVERYBODY, LATER)
    assert (state.status, state.reviewed) == (Status.APPROVED, False)
    assert state.review_due == ASKED + timedelta(days=1)
    late = act(ActKind.REVIEW, step="", at=ASKED + timedelta(days=3), comment="fine")
    assert why(FREE, [], late) == ""
    assert fold(FREE, subject(), [late], EVERYBODY, late.at).reviewed
    assert status(FREE, [], now=ASKED + timedelta(days=1)) is Status.EXPIRED


def test_a_review_is_owed_when_the_person_on_call_is_another():
    """What went without an approval has to be reviewed, also when its flow has steps by now."""
    due_at = ASKED + timedelta(hours=12)
    late = act(ActKind.REVIEW, step="", at=ASKED + timedelta(days=1), comment="fine")
    assert why(ONE, [], late, review_due=due_at) == ""
    state = fold(ONE, subject(review_due=due_at), [late], EVERYBODY, late.at)
    assert (state.status, state.review_due, state.reviewed) == (Status.OPEN, due_at, True)
    assert fold(FREE, subject(review_due=due_at), [], EVERYBODY, SOON).review_due == due_at


def test_words_are_always_welcome():
    """Anybody active may comment, also when it is over."""
    assert why(ONE, VETOED, act(ActKind.COMMENT, "carol", step="", at=LATER, comment="a pity")) == ""


def test_which_step_is_meant():
    """Who names no step means the first open one that they may approve."""
    parallel = replace(IN_ORDER, parallel=True)
    assert chosen_step(parallel, subject(), [], EVERYBODY, "dave", SOON) == "dba"
    assert chosen_step(parallel, subject(), [], EVERYBODY, "bob", SOON) == "ops"
    assert chosen_step(parallel, subject(), [], EVERYBODY, "erin", SOON) == "ops"
    assert chosen_step(ONE, subject(), [act()], EVERYBODY, "bob", LATER) == ""


@pytest.mark.parametrize(
    "make",
    [
        lambda: Step(name="a", handlers=()),
        lambda: Step(name="a", handlers=OPS, need=Need.SOME, count=0),
        lambda: Step(name="a", handlers=ANYONE, need=Need.ALL),
        lambda: Flow(steps=(Step(name="a", handlers=OPS), Step(name="a", handlers=DBA))),
    ],
)
def test_a_flow_that_nobody_can_read_is_refused(make):
    """A step without handlers or with a count of 0, all of anyone, two steps of one name."""
    with pytest.raises(UsageError):
        make()
