"""The state machine: hypothesis chooses what happens in a history, and makes one that fails small.

The claim's transaction is what is tested: applications are queued past every earlier look, as a defect or a crash would,
and only what the transaction itself sees may let a change through. Whatever the program answers, the oracle has to have
said so before: it lets in and refuses the same acts, comes to the same sums, grants and refuses the same claims.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from claims import world
from claims.claiming import Claiming
from claims.history import NAMES, PEOPLE, SEEN
from claims.oracle import BOT, DAY, HOUR
from opsnb.control.approvals.values import ActKind, Status
from opsnb.control.records import Cause, Mode, Verdict

MOVES = (
    Cause.NOTEBOOK, Cause.REVISION, Cause.TOOLKIT, Cause.HOSTS, Cause.HOST_KEY, Cause.INVENTORY, Cause.ISOLATION,
    Cause.WRITES,
    Cause.REQUEST, Cause.PARAMETERS, Cause.PLAN,
)  # fmt: skip
SAYING = (
    *[ActKind.APPROVE] * 5, *[ActKind.COMMENT] * 2, *[ActKind.DELEGATE] * 4, *[ActKind.REVIEW] * 2, ActKind.VETO,
    ActKind.REJECT, ActKind.RETURN, ActKind.WITHDRAW,
)  # fmt: skip
STARTS = ("asked", "asked", "approved", "time")
ROLES = ("approver", "engineer", "stager", "minor", "administrator", "oncall")
WAITS = (1, 60, 240, 299, 300, 1800, HOUR - 1, HOUR, 2 * HOUR, 4 * HOUR, DAY, 7 * DAY)
PRINCIPALS, STAND_INS = ("bob", "carol", "anna", "dora", "dora"), ("erin", "erin", "carol", "bob", "finn")
POLICIES = tuple(sorted(world.POLICIES))


@dataclass(frozen=True)
class Drawn:
    """What chance says about one step; each kind of step takes of it what it needs."""

    who: str
    other: str
    which: int
    pick: int
    odd: int
    flag: bool

    def one(self, items):
        """Return one of several."""
        return items[self.pick % len(items)]

    def odd_one(self, items):
        """Return one of several, by another number."""
        return items[self.odd % len(items)]


STEPS: dict[str, Callable[[Claiming, Drawn], None]] = {
    "wait": lambda m, d: m.wait(d.one(WAITS)),
    "minute": lambda m, _: m.wait(60),
    "leave": lambda m, d: m.leave(d.who, active=d.odd % 3 != 0),
    "alone": lambda m, d: m.left_alone("dora" if d.flag else "anna", d.pick % 3, roles=d.odd % 2 == 0),
    "only person": lambda m, d: m.only_person(d.which, d.pick),
    "never own": lambda m, d: m.only_person_may_not(d.which, d.pick),
    "role": lambda m, d: m.role(d.who, d.one(ROLES), give=d.odd % 3 != 0),
    "leader": lambda m, d: m.leader(d.other if d.odd else ""),
    "delegate": lambda m, d: m.delegate(
        d.one(PRINCIPALS), d.odd_one(STAND_INS), (0, 0, 60)[d.which % 3], (120, HOUR, 10 * HOUR)[d.pick % 3]
    ),
    "end delegate": lambda m, d: m.end_delegation(d.pick),
    "policy": lambda m, d: m.another_policy(d.odd_one(POLICIES), back=d.flag),
    "move": lambda m, d: m.move(d.which, d.one(MOVES)),
    "mend": lambda m, d: m.mend(d.which),
    "ask": lambda m, d: m.ask(
        d.one(("dora", "dora", "dora", "anna", d.who)),
        d.odd_one(("", "", "", "bob", d.other)),
        d.odd_one(STARTS),
        d.which,
    ),
    "plan anew": lambda m, d: m.plan_anew(d.which),
    "act": lambda m, d: m.act(d.who, d.which, d.one(SAYING), d.other if d.flag else "", d.other, d.odd),
    "say": lambda m, d: m.say_well(d.which, d.one(SAYING), d.odd),
    "tempt": lambda m, d: m.tempt(d.which, d.pick),
    "twice": lambda m, d: m.twice(d.which, d.pick),
    "former": lambda m, d: m.former(d.which, d.pick),
    "spoiled": lambda m, d: m.spoiled(d.which, d.pick, d.odd_one(MOVES)),
    "around a freeze": lambda m, d: m.around_a_freeze(d.which, d.pick),
    "due again": lambda m, d: m.due_again(d.which, d.pick),
    "late by hand": lambda m, d: m.late_by_hand(d.one(("dora", "anna")), d.odd),
    "lesser": lambda m, d: m.lesser(d.pick),
    "approve": lambda m, d: m.approve(d.which, d.pick),
    "stray": lambda m, d: m.stray_and_claim(d.which, d.pick),
    "lapse": lambda m, _: m.lapse(),
    "usual": lambda m, d: m.usual(d.which, d.pick, d.odd_one(("dora", "dora", "anna", BOT))),
    "again": lambda m, d: m.again(
        d.which, d.pick, d.odd_one((Mode.RETRY, Mode.RETRY, Mode.UNDO)), twice=d.flag, done=d.odd > 14
    ),
    "queue": lambda m, d: m.queue_blindly(
        d.which, d.one((d.who, "dora")), d.odd_one((Mode.APPLY, Mode.APPLY, Mode.UNDO, Mode.RETRY))
    ),
    "start": lambda m, d: m.start(d.which, d.one(("dora", "dora", "anna", d.who))),
    "due": lambda m, d: m.start_due(d.one((0, 0, 600, 2 * HOUR))),
    "claim": lambda m, _: m.claim(),
    "end": lambda m, d: m.end(d.pick, done=d.odd % 3 != 0),
    "grant": lambda m, d: m.grant(d.one(("dora", "anna", "erin")), d.odd_one(("web1", "web1,s1", "s1")), d.odd),
    "by hand": lambda m, d: m.by_hand(d.one(("dora", "dora", "anna", "erin")), d.odd_one(("web1", "s1"))),
    "queue by hand": lambda m, d: m.queue_by_hand(d.one(("dora", "dora", "anna", "erin")), d.odd_one(("web1", "s1"))),
    "about a grant": lambda m, d: m.about_a_grant(
        d.one((ActKind.VETO, ActKind.APPROVE, ActKind.WITHDRAW, ActKind.REVIEW, ActKind.REVIEW)), d.who, d.which
    ),
    "smash": lambda m, d: m.break_glass(
        d.one(("anna", "dora", "anna", d.who)), d.odd_one(("web1,web2", "web1,web2,s1", "s1")), (300, 1800)[d.flag]
    ),
    "under glass": lambda m, d: m.queue_under_glass(d.which, d.pick),
    "on call": lambda m, d: m.role("dora", "oncall", give=d.odd % 5 != 0),
    "glass policy": lambda m, d: m.another_policy(d.one(("glass", "glass", "glass by place")), back=False),
    "protect": lambda m, d: m.another_policy(d.one(("protected", "by place too")), back=False),
}
USUAL = (
    *["usual"] * 3, *["approve"] * 3, *["claim"] * 3, *["end"] * 3, *["ask"] * 2, *["again"] * 2, "say", "tempt", "tempt", "start", "due",
    "wait", "act", "queue",
)  # fmt: skip
TEMPERS: dict[str, tuple[str, ...]] = {
    "calm": USUAL,
    "people": (*USUAL, *["spoiled"] * 2, *["leave"] * 2, *["role"] * 2, "alone", "alone", *["only person"] * 2, "never own", *["lesser"] * 2,
               "leader", "act", "tempt", *["start"] * 3),
    "delegates": (*USUAL, *["twice"] * 5, *["former"] * 2, *["delegate"] * 5, "end delegate", "end delegate", "leave", *["approve"] * 5, *["tempt"] * 4,
                  "act"),
    "policies": (*USUAL, "spoiled", "stray", *["policy"] * 3, *["plan anew"] * 2, "say", "say"),
    "words": (*USUAL, "spoiled", "stray", *["say"] * 6, *["act"] * 5, *["tempt"] * 3, "plan anew", "approve", "lapse"),
    "time": (*USUAL, *["around a freeze"] * 2, *["spoiled"] * 2, *["wait"] * 5, *["lapse"] * 3, *["due"] * 3, "approve", "say"),
    "starts": (*["ask"] * 3, *["spoiled"] * 3, "around a freeze", "due again", *["approve"] * 6, *["due"] * 5, *["claim"] * 4, *["end"] * 2, *["start"] * 3, "wait",
               "policy", "leave"),
    "ground": (*USUAL, *["spoiled"] * 4, *["move"] * 4, *["mend"] * 3, *["claim"] * 2, "queue", "queue"),
    "by hand": (*["protect"] * 2, "late by hand", *["grant"] * 5, *["by hand"] * 5, *["queue by hand"] * 4, *["claim"] * 3, "end", *["about a grant"] * 2, "wait", "leave", "role",
                "delegate", "alone", "usual"),
    "glass": (*["glass policy"] * 2, *["smash"] * 5, *["under glass"] * 5, "on call", "on call", *["ask"] * 3,
              *["start"] * 4, "end", "end", "claim", "about a grant", "about a grant", "wait", "minute", "leave", "role",
              "queue by hand", "by hand", "say"),
    "everything": (*USUAL, *STEPS),
}  # fmt: skip


# what ten thousand histories have to have come to, each at least once: a proof that never went there proves nothing
MUST = (
    *(f"act {kind}" for kind in ActKind), "act approve on behalf", "act approve, own", "planned anew",
    *(f"status {status}" for status in Status), *(f"refused to {kind}" for kind in set(SAYING)),
    *(f"refused for {cause}" for cause in Cause if cause is not Cause.GRANT),
    *(f"granted: {mode}" for mode in (Mode.APPLY, Mode.UNDO, Mode.RETRY)), "granted: apply under a glass",
    *(f"ended: {m} {v}" for m in ("apply", "undo", "retry") for v in (Verdict.DONE, Verdict.FAILED)),
    *(f"asked, to start {start}" for start in set(STARTS)), "was started: approved", "was started: time", "started",
    "started by the only person", "started what had expired", "started under a glass", "refused to start", "a freeze held a start back",
    "waiting for a start ended", "waited for a lock", "granted by the requester's own approval",
    "an own approval where the policy wants another", "an approval of another plan was kept", "the clock was asked",
    "asked for an author's notebook", "delegate added", "delegate ended", "delegate of a requester", "another policy",
    "left", "came back", "left alone", "all came back", "role given", "role taken", "another leader", "ground moved",
    "ground mended", "asked for a grant", "by hand", "by hand under a grant", "by hand under a glass", "by hand, begun",
    "by hand, refused for grant", "by hand, refused for role", "what was approved was spoiled",
    "a person, or a right, said yes twice", "a lesser role said yes to danger",
    "who stood in for the requester said yes", "what was refused at its claim was due again",
    "glass broken", "refused to break the glass",
)  # fmt: skip
HALF = 0.5
INSTEAD = ("approve", "end", "say", "ask", "minute")  # where what was drawn finds nothing to do


class Machine(Claiming, RuleBasedStateMachine):
    """One history."""

    @initialize(
        policy=st.sampled_from(POLICIES), kind=st.integers(0, 3), start=st.sampled_from(STARTS),
        temper=st.sampled_from(sorted(TEMPERS)), luck=st.integers(0, 2**48 - 1),
    )  # fmt: skip
    def begin(self, policy: str, kind: int, start: str, temper: str, luck: int) -> None:
        """Start anew: somebody has asked for something."""
        self.luck, self.turn = luck, 0
        self.begin_anew(policy)
        self.temper = TEMPERS[temper]
        if temper == "glass":
            self.role("dora", "oncall", give=True)
            self.another_policy("glass", back=False)
        self.ask("dora", "", start, kind)

    @rule(chance=st.integers(0, 2**48 - 1))
    def step(self, *, chance: int) -> None:
        """Do one thing, of those that happen often in a history of this temper."""
        # hypothesis likes small numbers, and the same ones again: what comes of one is another thing at each step
        self.turn += 1
        dice = Random(f"{self.luck} {self.turn} {chance}")  # noqa: S311
        name = dice.choice(self.temper)
        drawn = Drawn(
            dice.choice(NAMES), dice.choice(PEOPLE), dice.randrange(4), dice.randrange(60), dice.randrange(60),
            dice.random() < HALF,
        )  # fmt: skip
        before = self.steps
        for one in (name, *INSTEAD):
            note(f"{self.second} s: {one}")
            STEPS[one](self, drawn)
            if self.steps > before:
                break

    def teardown(self) -> None:
        """Count what it did."""
        if hasattr(self, "steps"):
            SEEN["steps"] += self.steps
            SEEN["histories of 20 steps or more"] += self.steps >= 20
