"""Random worlds for the approval engine: people, a flow, what was asked for, and what people tried to do about it.

One description, two sources of chance: hypothesis, which makes a failing world small, and a seeded ``random.Random``,
which makes a hundred times as many in the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from hypothesis import strategies as st

from approvals.people import ASKED, People, Standing, subject
from opsnb.control.approvals.values import Act, ActKind, Flow, Handler, HandlerKind, Need, Step, Subject

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank")
EVERYBODY = (*NAMES, "robot")
ROLES = ("ops", "dba")
ENVIRONMENTS = ("production", "staging")
STEPS = ("one", "two", "three")
SPAN = 600  # minutes that a world lasts
ENDING = (ActKind.VETO, ActKind.WITHDRAW, ActKind.REJECT, ActKind.RETURN, ActKind.EXPIRE)
QUIET = (
    *[ActKind.APPROVE] * 12, *[ActKind.DELEGATE] * 3, ActKind.COMMENT, ActKind.ESCALATE, ActKind.REVIEW,
)  # fmt: skip
APPROVALS = (ActKind.APPROVE,)
ANY = (*QUIET, *ENDING)


class Dice:
    """Chance from a seed."""

    def __init__(self, seed):
        self.random = Random(seed)  # noqa: S311  (chance for tests, no secret)

    def one(self, items):
        """Return one of several."""
        return self.random.choice(items)

    def number(self, least, most):
        """Return a number, both ends included."""
        return self.random.randint(least, most)

    def some(self, items, least, most):
        """Return some of several, none twice."""
        return self.random.sample(items, self.random.randint(least, min(most, len(items))))


class Drawn:
    """Chance from hypothesis."""

    def __init__(self, draw):
        self.draw = draw

    def one(self, items):
        """Return one of several."""
        return self.draw(st.sampled_from(items))

    def number(self, least, most):
        """Return a number, both ends included."""
        return self.draw(st.integers(least, most))

    def some(self, items, least, most):
        """Return some of several, none twice."""
        return self.draw(st.lists(st.sampled_from(items), min_size=least, max_size=most, unique=True))


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything that the engine is asked with."""

    flow: Flow
    subject: Subject
    acts: list[Act]
    people: People
    now: datetime


def world(chance, kinds, most):
    """Return a world in which people tried up to ``most`` acts of certain kinds."""
    people = crowd(chance)
    pairs = [(d.person, d.stands_for) for d in people.delegates]
    acts = []
    for _ in range(chance.number(0, most)):
        acts.append(deed(chance, kinds, pairs))
        pairs += [(acts[-1].to, acts[-1].person)] * (acts[-1].kind is ActKind.DELEGATE)
    return World(
        flow=flow(chance),
        subject=subject(
            authors=frozenset(chance.some(NAMES, 0, 1)), environments=frozenset(chance.some(ENVIRONMENTS, 1, 2))
        ),
        acts=acts,
        people=people,
        now=moment(chance),
    )


@st.composite
def worlds(draw, kinds=ANY, most=8):
    """Worlds as a strategy of hypothesis."""
    return world(Drawn(draw), kinds, most)


def moment(chance):
    """Return a minute of the world's life, or shortly before it."""
    return ASKED + timedelta(minutes=chance.number(-10, SPAN))


def handler(chance):
    """Return who a step may mean."""
    kind = chance.one((*HandlerKind, HandlerKind.ANYONE, HandlerKind.ANYONE, HandlerKind.ROLE))
    names = {HandlerKind.PERSON: NAMES, HandlerKind.ROLE: ROLES, HandlerKind.LEADER: ("web",)}
    return Handler(kind=kind, name=chance.one(names.get(kind, ("",))))


def step(chance, name):
    """Return a step that means some people."""
    meant = tuple(dict.fromkeys(handler(chance) for _ in range(chance.number(1, 3))))
    needs = [Need.ANY, Need.SOME] + [Need.ALL] * all(h.kind is not HandlerKind.ANYONE for h in meant)
    within = chance.one([0.0, 3600.0])
    return Step(
        name=name, handlers=meant, need=chance.one(needs), count=chance.one([1, 1, 2, 3]), within=within,
        escalate_to=(handler(chance),) if within else (),
    )  # fmt: skip


def flow(chance):
    """Return a flow of up to three steps, mostly of one."""
    return Flow(
        steps=tuple(step(chance, name) for name in STEPS[: chance.one([*[1] * 6, 2, 2, 3, 0])]),
        parallel=chance.one([False, True]),
        open_for=chance.one([3600.0, *[86400.0] * 3]),
        validity=chance.one([1800.0, 5 * 3600.0, *[86400.0] * 2]),
        own=chance.one([True, False]),
        review=chance.one([0.0, 86400.0]),
    )


def standing(chance):
    """Return that somebody is somebody else's delegate for a while."""
    person, other = chance.some(NAMES, 2, 2)
    begin = moment(chance)
    return Standing(person=person, stands_for=other, begin=begin, end=begin + timedelta(minutes=chance.number(1, SPAN)))


def crowd(chance):
    """Return a snapshot of people; sometimes of one alone."""
    active = chance.some(NAMES, 1, 1) if chance.number(0, 4) == 0 else chance.some(NAMES, 3, 6)
    pairs = tuple((name, environment) for name in NAMES for environment in ENVIRONMENTS)
    return People(
        active_ones=frozenset({*active, "robot"}),
        bots=frozenset({"robot"}),
        roles={role: frozenset(chance.some(EVERYBODY, 0, 4)) for role in ROLES},
        leaders={"web": chance.one(["", *NAMES])},
        leaders_of={"carol": chance.one(["", *NAMES])},
        delegates=tuple(standing(chance) for _ in range(chance.one([0, 0, 1, 2, 3]))),
        nowhere=frozenset(chance.some(pairs, 0, 2)),
        lost={name: moment(chance) for name in chance.some(NAMES, 0, 1)},
    )


def deed(chance, kinds, pairs=()):
    """Return what somebody tries to do, wrong as often as people are.

    Args:
        chance: Where chance comes from.
        kinds: What they may try.
        pairs: Who may act for whom: a third of the approvals are on behalf of somebody.
    """
    kind = chance.one(kinds)
    whole = kind in {ActKind.VETO, ActKind.WITHDRAW, ActKind.EXPIRE, ActKind.COMMENT, ActKind.REVIEW}
    person, other = chance.one(EVERYBODY), ""
    if kind is ActKind.APPROVE and chance.number(0, 2) == 0:
        person, other = chance.one([*pairs, (person, chance.one(NAMES))])
    return Act(
        kind=kind,
        person="" if kind in {ActKind.ESCALATE, ActKind.EXPIRE} else person,
        at=moment(chance),
        request=chance.one(["REQ"] * 15 + ["OTHER"]),
        plan=chance.one(["P"] * 15 + ["Q"]),
        step="" if whole else chance.one([*STEPS[:1] * 6, *STEPS]),
        on_behalf_of=other,
        to=chance.one(NAMES) if kind is ActKind.DELEGATE else "",
        comment="because",
    )
