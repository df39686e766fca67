"""The machine bites: take away one condition of the program after the other, and it finds each within some histories."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy.exc import IntegrityError

from claims import world
from claims.evidence import keep
from claims.machine import Machine
from opsnb.control.approvals import handlers, policy, rules, tally
from opsnb.control.approvals.values import ActKind
from opsnb.control.database import Database
from opsnb.control.flows import approve, case, claim, leave, submit, void, who
from opsnb.control.flows.claim import Stop
from opsnb.control.people import rules as people
from opsnb.control.records import Cause
from opsnb.control.runs import claims, store

PROVE = bool(os.environ.get("OPSNB_PROVE"))
MOST = int(os.environ.get("OPSNB_HISTORIES", "1000"))  # histories in which each has to be found
PART, PARTS = map(int, os.environ.get("OPSNB_PART", "0/1").split("/"))  # of them, side by side
Patch = pytest.MonkeyPatch
FAR = timedelta(days=9999)


def without(module: Any, name: str, value: Any) -> Callable[[Patch], None]:
    """Return what replaces a function by one that answers always the same."""
    return lambda patch: patch.setattr(module, name, lambda *_, **__: value)


def unless(module: Any, name: str, text: str, instead: Any = "") -> Callable[[Patch], None]:
    """Return what makes a rule, which answers with its reason, never give one reason."""

    def take(patch: Patch) -> None:
        real = getattr(module, name)
        patch.setattr(module, name, lambda *a, **k: instead if text in str(real(*a, **k)) else real(*a, **k))

    return take


def lets_in(text: str, *kinds: ActKind) -> Callable[[Patch], None]:
    """Return what leaves out one reason why an act is not let in."""

    def take(patch: Patch) -> None:
        for kind in kinds:
            real = rules.RULES[kind]
            patch.setitem(rules.RULES, kind, lambda *a, real=real: "" if text in real(*a) else real(*a))

    return take


def never_stops(*causes: Cause, why: str = "") -> Callable[[Patch], None]:
    """Return what leaves out some of what keeps a claim from being granted."""

    def take(patch: Patch) -> None:
        real = claim.stops

        def fewer(*args: Any, **fields: Any) -> Iterator[Stop]:
            return (s for s in real(*args, **fields) if s.cause not in causes or why not in s.why)

        patch.setattr(claim, "stops", fewer)

    return take


def no_conflict(text: str) -> Callable[[Patch], None]:
    """Return what leaves out one reason why somebody's yes is worth nothing."""

    def take(patch: Patch) -> None:
        real = handlers.conflict
        fewer = lambda *a: "" if text in real(*a) else real(*a)  # noqa: E731
        for module in (handlers, tally, rules, void):
            patch.setattr(module, "conflict", fewer)

    return take


def bots(patch: Patch) -> None:
    """A service account approves."""
    patch.setattr(people, "PEOPLE_ONLY", frozenset())
    no_conflict("service account")(patch)


def runs_approve(patch: Patch) -> None:
    """Whoever acts is taken for an active person who may."""
    unless(rules, "_done_by", "not an active person")(patch)
    patch.setattr(who.Known, "active", lambda *_: True)
    patch.setattr(who.Known, "bot", lambda *_: False)
    patch.setattr(who.Known, "entitled", lambda *_: "")


def any_plan(patch: Patch) -> None:
    """An approval of an earlier plan counts."""
    patch.setattr(tally.Tally, "of_plan", property(lambda self: self.acts))


def twice(what: str) -> Callable[[Patch], None]:
    """Return what lets a person, or a right, count more than once."""

    def take(patch: Patch) -> None:
        def counting(self: Any) -> list[Any]:
            seen, found = set(), []
            for act in self.of_plan:
                key = act.voice if what == "person" else act.person
                if act.kind is ActKind.APPROVE and self.counts(act) and key not in seen:
                    seen.add(key)
                    found.append(act)
            return found

        patch.setattr(tally.Tally, "_counting", counting)
        lets_in("counts once", ActKind.APPROVE)(patch)

    return take


def longer(patch: Patch) -> None:
    """An approval never becomes too old."""
    patch.setattr(tally.Tally, "ends", lambda _, act: act.at + FAR)


def open_for_ever(patch: Patch) -> None:
    """Approvals are taken for ever."""
    patch.setattr(tally.Tally, "closes", property(lambda self: self.subject.asked + FAR))


def no_time_left(patch: Patch) -> None:
    """A freeze that begins before the run is over does not count."""
    real = claim.blocked
    patch.setattr(claim, "blocked", lambda freezes, now, _: real(freezes, now, 0.0))


def delegates_for_ever(patch: Patch) -> None:
    """A delegation does not end."""
    patch.setattr(people.Delegate, "holds", lambda self, now: self.begin <= now)


def one_host_is_enough(patch: Patch) -> None:
    """A role that covers one of the hosts covers all."""
    real = people._granted
    narrow = lambda t: dataclasses.replace(t, sites=t.sites[-1:])  # noqa: E731
    patch.setattr(people, "_granted", lambda d, p, a, t: real(d, p, a, narrow(t)))


def any_risk(patch: Patch) -> None:
    """A role covers any risk."""
    patch.setattr(people, "RISKS", type("Any", (), {"index": staticmethod(lambda _: 0)}))


def without_locks(patch: Patch) -> None:
    """A lock that is held does not make a run wait."""

    def startable(connection: Any) -> Any:
        queued = store.select(store.runs).where(store.runs.c.state == "queued").order_by(store.runs.c.number)
        return iter(connection.execute(queued).all())

    patch.setattr(store, "startable", startable)


def first_policy(patch: Patch) -> None:
    """Of several policies the first applies alone."""
    patch.setattr(policy, "merged", lambda found: found[0])


def without_escalation(patch: Patch) -> None:
    """Nobody is called when a step waits too long."""
    patch.setattr(approve, "due", lambda *a: tuple(x for x in rules.due(*a) if x.kind is not ActKind.ESCALATE))


def without_the_clock(patch: Patch) -> None:
    """The clock says nothing before somebody is judged."""
    patch.setattr(approve, "tick", lambda _connection, found, _now: found)


def starts_blindly(patch: Patch) -> None:
    """What is due is started, whatever stands against it."""
    patch.setattr(submit, "stops", lambda *_: iter(()))


def freeze_ends_waiting(patch: Patch) -> None:
    """A freeze ends the waiting for a start."""
    real = claims.kept_back
    patch.setattr(claims, "kept_back", lambda c, r, why, until: real(c, r, why, None if why else until))


def any_requester(patch: Patch) -> None:
    """Any active person counts as the only one of the workspace."""
    patch.setattr(who.Known, "alone", lambda _: True)


def never_alone(patch: Patch) -> None:
    """The only person of a workspace may not approve."""
    patch.setattr(who.Known, "alone", lambda _: False)


def no_own(patch: Patch) -> None:
    """That a policy wants another person says nothing."""
    no_conflict("the policy wants another person")(patch)


def all_is_one(patch: Patch) -> None:
    """Of all, one is enough."""
    patch.setattr(tally.Tally, "needed", lambda *_: 1)


def all_open(patch: Patch) -> None:
    """Steps in order are open at once."""
    real = case.Case.flow.fget  # type: ignore[attr-defined]
    patch.setattr(case.Case, "flow", property(lambda self: dataclasses.replace(real(self), parallel=True)))


def wrong_cause(patch: Patch) -> None:
    """Whatever it is that an approval counts no more for, it is said to be a role."""
    real = claim.void
    patch.setattr(claim, "void", lambda *a: (Cause.ROLE, "") if real(*a) else None)


def ending(kind: ActKind) -> Callable[[Patch], None]:
    """Return what takes from an act that it ends a request."""
    return lambda patch: patch.setattr(tally, "ENDS", {k: v for k, v in tally.ENDS.items() if k is not kind})


def return_says_nothing(patch: Patch) -> None:
    """A return is no more than a comment."""
    real = tally.Tally._status

    def status(self: Any, *args: Any) -> Any:
        return real(dataclasses.replace(self, acts=tuple(a for a in self.acts if a.kind is not ActKind.RETURN)), *args)

    patch.setattr(tally.Tally, "_status", status)


def grants_for_ever(patch: Patch) -> None:
    """A grant has no end."""
    real = leave.timedelta
    patch.setattr(leave, "timedelta", lambda **_: real(days=9999))


def unprotected(patch: Patch) -> None:
    """No host is protected."""
    real = leave.policy_of
    patch.setattr(leave, "policy_of", lambda *a: dataclasses.replace(real(*a), protected=False))


MUTATIONS: dict[str, Callable[[Patch], None]] = {
    "a service account approves": bots,
    "a run approves": runs_approve,
    "the requester approves": no_conflict("nobody approves their own request"),
    "an author approves": no_conflict("is an author"),
    "a delegate of the requester approves": no_conflict("is a delegate of"),
    "who was a delegate of the requester, and is none now, approves": lambda patch: patch.setattr(
        people.Directory, "was_delegate", lambda s, person, of, _, now: of in s.stands_for(person, now)
    ),
    "everybody is the only person": any_requester,
    "the only person may not": never_alone,
    "the policy's never is not heard": no_own,
    "who has left counts": without(who.Known, "active", value=True),
    "no role is asked of an approver": without(who.Known, "entitled", ""),
    "one host is enough": one_host_is_enough,
    "a role covers any risk": any_risk,
    "approvals of another plan count": any_plan,
    "an approval of a plan that was not read is let in": without(rules, "_meant", ""),
    "a person counts twice": twice("person"),
    "a right counts twice": twice("right"),
    "approvals never become too old": longer,
    "approvals are taken for ever": open_for_ever,
    "who was enough once is enough for ever": without(tally.Tally, "_lapses", None),
    "delegations do not end": delegates_for_ever,
    "what was handed on stays with both": without(tally.Tally, "handed", {}),
    "a part is handed to anybody": lets_in("handles step", ActKind.DELEGATE),
    "nobody is called": without_escalation,
    "who is called was always meant": lambda patch: patch.setattr(tally.Tally, "escalated", lambda *_: True),
    "one is enough": all_is_one,
    "steps in order are all open": all_open,
    "of several policies the first": first_policy,
    "free for everybody": without(policy.Free, "covers", value=True),
    "free for nobody": without(policy.Free, "covers", value=False),
    "a veto says nothing": ending(ActKind.VETO),
    "a rejection says nothing": ending(ActKind.REJECT),
    "a withdrawal says nothing": ending(ActKind.WITHDRAW),
    "a return says nothing": return_says_nothing,
    "anybody vetoes": lets_in("may not", ActKind.VETO),
    "the clock is not asked first": without_the_clock,
    "another policy is the same": without(case.Case, "same_policy", value=True),
    "a freeze says nothing": never_stops(Cause.FREEZE),
    "the time that a run takes says nothing": no_time_left,
    "the ground may move": never_stops(*[c for c in Cause if c.value in {"notebook", "revision", "hosts", "toolkit"}]),
    "the sealed bytes may be others": never_stops(Cause.REQUEST),
    "the parameters may be others": never_stops(Cause.PARAMETERS),
    "the plan may be another": never_stops(Cause.PLAN),
    "who asked may have left": never_stops(Cause.PERSON, Cause.ROLE, why="asked for it"),
    "who starts it may be anybody": never_stops(Cause.PERSON, Cause.ROLE, why="starts it"),
    "approvals are not asked for at the claim": without(claim, "unapproved", ()),
    "an expired one is claimed": never_stops(Cause.EXPIRED, Cause.APPROVALS),
    "an ended one is claimed": never_stops(Cause.ENDED, Cause.APPROVALS),
    "an application is claimed twice": without(claim, "_claimed", None),
    "an undo or a retry is claimed twice": without(claim, "_before", None),
    "locks are free": without_locks,
    "what is due starts blindly": starts_blindly,
    "what is due starts again": without(claims, "started", None),
    "a freeze ends the waiting": freeze_ends_waiting,
    "the cause is another": wrong_cause,
    "a grant has no end": grants_for_ever,
    "nothing is protected": unprotected,
}
SAMPLE = ("the requester approves", "an undo or a retry is claimed twice")  # without OPSNB_PROVE


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """An SQLite database, in memory's file system where there is one."""
    shm = Path("/dev/shm")
    path = (shm if shm.is_dir() else tmp_path_factory.mktemp("db")) / f"opsnb-bites-{os.getpid()}.db"
    made = Database(path)
    made.close()
    yield world.hasty(made)
    made.close()
    path.unlink()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", list(MUTATIONS)[PART::PARTS] if PROVE else SAMPLE)
def test_the_machine_finds(name: str, database: Database, monkeypatch: Patch) -> None:
    """Each condition that is taken away is found by the machine within a thousand histories."""
    monkeypatch.setattr(world, "READ", {n: world.read_policies(c) for n, (c, _) in world.POLICIES.items()})
    MUTATIONS[name](monkeypatch)
    begun: list[int] = []

    class Mutated(Machine):
        def begin_anew(self, policy: str) -> None:
            begun.append(1)
            super().begin_anew(policy)

    Mutated.database = database
    how = settings(
        max_examples=MOST, phases=(Phase.generate,), stateful_step_count=22, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    with pytest.raises((AssertionError, IntegrityError)) as found:
        run_state_machine_as_test(seed(1)(Mutated), settings=how)
    said = (str(found.value) or str(found.traceback[-1].statement)).splitlines()[0][:100]
    keep(mutation=name, histories=len(begun), said=said)
    print(f"{len(begun):6} histories  {name}: {said}")  # noqa: T201  (shown by pytest -s)
