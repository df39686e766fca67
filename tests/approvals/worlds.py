"""Random worlds for the approval engine: people, a flow, what was asked for, and what people tried to do about it."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from approvals.people import ASKED, People, Standing, subject
from opsnb.control.approvals.values import Act, ActKind, Flow, Handler, HandlerKind, Need, Step

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank")
BOTS = ("robot",)
ROLES = ("ops", "dba")
ENVIRONMENTS = ("production", "staging")
STEPS = ("one", "two", "three")
SPAN = 600  # minutes that a world lasts

minutes = st.integers(-30, SPAN).map(lambda m: ASKED + timedelta(minutes=m))
names = st.sampled_from(NAMES)
everybody = st.sampled_from(NAMES + BOTS)
handlers = st.one_of(
    st.just(Handler(kind=HandlerKind.ANYONE)),
    st.builds(Handler, kind=st.just(HandlerKind.PERSON), name=names),
    st.builds(Handler, kind=st.just(HandlerKind.ROLE), name=st.sampled_from(ROLES)),
    st.builds(Handler, kind=st.just(HandlerKind.LEADER), name=st.just("web")),
    st.just(Handler(kind=HandlerKind.APPLICANT_LEADER)),
)


@st.composite
def steps(draw, name):
    """A step that means some people."""
    meant = tuple(draw(st.lists(handlers, min_size=1, max_size=3, unique=True)))
    needs = [Need.ANY, Need.SOME] + [Need.ALL] * all(h.kind is not HandlerKind.ANYONE for h in meant)
    within = draw(st.sampled_from([0.0, 3600.0]))
    return Step(
        name=name, handlers=meant, need=draw(st.sampled_from(needs)), count=draw(st.integers(1, 3)), within=within,
        escalate_to=tuple(draw(st.lists(handlers, min_size=1, max_size=1))) if within else (),
    )  # fmt: skip


@st.composite
def flows(draw):
    """A flow of up to three steps."""
    return Flow(
        steps=tuple(draw(steps(name)) for name in STEPS[: draw(st.sampled_from([1, 1, 1, 2, 2, 3, 0]))]),
        parallel=draw(st.booleans()),
        open_for=draw(st.sampled_from([3600.0, 7 * 3600.0, 86400.0])),
        validity=draw(st.sampled_from([1800.0, 5 * 3600.0, 86400.0])),
        own=draw(st.booleans()),
        review=draw(st.sampled_from([0.0, 86400.0])),
    )


standings = st.builds(
    lambda person, other, begin, minutes: Standing(
        person=person, stands_for=other, begin=begin, end=begin + timedelta(minutes=minutes)
    ),
    names, names, minutes, st.integers(1, SPAN),
).filter(lambda d: d.person != d.stands_for)  # fmt: skip


@st.composite
def peoples(draw):
    """A snapshot of people; sometimes of one alone."""
    active = draw(st.one_of(st.sets(names, min_size=1, max_size=1), st.sets(names, min_size=3)))
    return People(
        active_ones=frozenset(active | {"robot"}),
        bots=frozenset(BOTS),
        roles={role: draw(st.frozensets(everybody, max_size=4)) for role in ROLES},
        leaders={"web": draw(st.one_of(st.just(""), names))},
        leaders_of={"carol": draw(st.one_of(st.just(""), names))},
        delegates=tuple(draw(st.lists(standings, max_size=3))),
        nowhere=draw(st.frozensets(st.tuples(names, st.sampled_from(ENVIRONMENTS)), max_size=2)),
        lost=draw(st.dictionaries(names, minutes, max_size=1)),
    )


subjects = st.builds(
    lambda authors, environments: subject(authors=authors, environments=environments),
    st.frozensets(names, max_size=1), st.frozensets(st.sampled_from(ENVIRONMENTS), min_size=1),
)  # fmt: skip
KINDS = (
    [ActKind.APPROVE] * 12
    + [ActKind.DELEGATE] * 3
    + [ActKind.COMMENT, ActKind.ESCALATE, ActKind.EXPIRE, ActKind.RETURN, ActKind.REJECT, ActKind.VETO]
    + [ActKind.WITHDRAW, ActKind.REVIEW]
)
MOSTLY_RIGHT = ["right"] * 15 + ["other"]


@st.composite
def deeds(draw, kinds=tuple(KINDS)):
    """What somebody tries to do, wrong as often as people are."""
    kind = draw(st.sampled_from(kinds))
    clock = kind in {ActKind.ESCALATE, ActKind.EXPIRE}
    whole = kind in {ActKind.VETO, ActKind.WITHDRAW, ActKind.EXPIRE, ActKind.COMMENT, ActKind.REVIEW}
    person = "" if clock else draw(everybody)
    return Act(
        kind=kind, person=person, at=draw(minutes),
        request="REQ" if draw(st.sampled_from(MOSTLY_RIGHT)) == "right" else "OTHER",
        plan="P" if draw(st.sampled_from(MOSTLY_RIGHT)) == "right" else "Q",
        step="" if whole else draw(st.sampled_from(STEPS[:1] * 3 + STEPS)),
        on_behalf_of=draw(st.sampled_from(["", "", "", *NAMES])) if kind is ActKind.APPROVE else "",
        to=draw(names) if kind is ActKind.DELEGATE else "",
        comment="because",
    )  # fmt: skip
