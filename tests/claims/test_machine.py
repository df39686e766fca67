"""Histories of people, policies, delegates, requests, approvals, claims, freezes and clocks, against the oracle.

The claim's transaction is what is tested: applications are queued past every earlier look, as a defect or a crash would,
and only what the transaction itself sees may let a change through.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from claims import postgres, world
from claims.oracle import BOT, Asked, Said
from opsnb.base.errors import RefusedError
from opsnb.control.approvals.values import ActKind
from opsnb.control.database import Database
from opsnb.control.flows.approve import Deed, act_in
from opsnb.control.flows.claim import begin_next
from opsnb.control.flows.people_record import record
from opsnb.control.flows.submit import let, queue, start_due_in
from opsnb.control.ledger.store import read
from opsnb.control.people import changes
from opsnb.control.people.values import Delegate
from opsnb.control.records import Cause, Mode, Verdict
from opsnb.control.runs import claims, store

HISTORIES = int(os.environ.get("OPSNB_HISTORIES", "10000" if os.environ.get("OPSNB_PROVE") else "60"))
STEPS = 30
PHASES = (Phase.generate, Phase.shrink)
NAMES = sorted(world.PEOPLE)
SEEN: Counter[str] = Counter()  # what histories came to: a machine that never claims proves nothing
PERSON, REQUEST = st.sampled_from(NAMES), st.integers(0, 3)
KINDS = st.sampled_from(
    [
        *[ActKind.APPROVE] * 8,
        ActKind.COMMENT,
        ActKind.VETO,
        ActKind.REJECT,
        ActKind.RETURN,
        ActKind.WITHDRAW,
        ActKind.DELEGATE,
    ]
)


class Machine(RuleBasedStateMachine):
    """One history."""

    database: Database

    @initialize(policy=st.sampled_from(sorted(world.POLICIES)))
    def begin(self, policy: str) -> None:
        """Start anew."""
        world.empty(self.database)
        self.books, self.ground, self.minute, self.number = world.books(), world.MovedGround(), 0, 0
        self.ground.policy = self.books.policy = policy
        self.running: list[tuple[str, str]] = []
        self.granted: Counter[str] = Counter()
        self.ask("dora", "", "asked")

    @property
    def now(self) -> Any:
        """The injected clock."""
        return world.at(self.minute)

    def pick(self, number: int) -> str:
        """Return one of the requests."""
        return sorted(self.books.requests)[number % len(self.books.requests)]

    def change(self, *wanted: Any) -> None:
        """Change people."""
        with self.database.transaction() as connection:
            record(connection, wanted, "anna")

    # -- people, policies, the clock, the ground ---------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 4, 5, 30, 60, 61, 24 * 60]))
    def wait(self, minutes: int) -> None:
        """Time goes by."""
        self.minute += minutes

    @rule(who=PERSON, active=st.sampled_from([True, True, True, False]))
    def leave(self, who: str, *, active: bool) -> None:
        """Somebody leaves or comes back."""
        self.change(changes.SetActive(person=who, active=active))
        (self.books.active.add if active else self.books.active.discard)(who)

    @rule(keep=st.sampled_from(["dora", "anna"]), really=st.integers(0, 3))
    def left_alone(self, keep: str, really: int) -> None:
        """Everybody but one leaves; not often."""
        if really:
            return
        self.change(*(changes.SetActive(person=n, active=n in {keep, BOT}) for n in NAMES))
        self.books.active = {keep, BOT}

    @rule(who=PERSON, role=st.sampled_from(["approver", "engineer"]), give=st.sampled_from([True, True, False]))
    def role(self, who: str, role: str, *, give: bool) -> None:
        """A role is given or taken."""
        if give != (role in self.books.roles[who]):
            self.change((changes.GiveRole if give else changes.TakeRole)(person=who, role=role))
            (self.books.roles[who].add if give else self.books.roles[who].discard)(role)

    @rule(principal=PERSON, delegate=PERSON, minutes=st.sampled_from([2, 60, 600]))
    def delegate(self, principal: str, delegate: str, minutes: int) -> None:
        """Somebody stands in for somebody for a while."""
        if principal == delegate or BOT in {principal, delegate}:
            return
        found = [principal, delegate, self.minute, self.minute + minutes]
        made = Delegate(
            id=f"g-{len(self.books.delegations)}", from_=principal, to=delegate, begin=self.now,
            end=world.at(found[3]), by="anna",
        )  # fmt: skip
        self.change(changes.AddDelegate(delegate=made, now=self.now))
        self.books.delegations.append(found)

    @precondition(lambda self: self.books.delegations)
    @rule(which=st.integers(0, 9))
    def end_delegation(self, which: int) -> None:
        """A delegation is ended early."""
        number = which % len(self.books.delegations)
        if self.minute < self.books.delegations[number][3]:
            self.change(changes.EndDelegate(delegate=f"g-{number}", now=self.now))
            self.books.delegations[number][3] = self.minute

    @rule(policy=st.sampled_from(sorted(world.POLICIES)))
    def another_policy(self, policy: str) -> None:
        """Another policy is activated."""
        self.ground.policy = self.books.policy = policy

    @precondition(lambda self: self.books.requests)
    @rule(which=REQUEST, cause=st.sampled_from([Cause.NOTEBOOK, Cause.HOSTS, Cause.TOOLKIT]), back=st.booleans())
    def move_ground(self, which: int, cause: Cause, *, back: bool) -> None:
        """What a request was sealed with changes, or changes back."""
        if back:
            self.ground.gone.pop(self.pick(which), None)
        else:
            self.ground.gone[self.pick(which)] = cause

    # -- requests and what people do about them ----------------------------------------------------------------------

    @rule(who=PERSON, author=st.sampled_from(["", "", "bob"]), start=st.sampled_from(["asked", "approved"]))
    def ask(self, who: str, author: str, start: str) -> None:
        """A request is sealed, planned and asked for."""
        if len(self.books.requests) >= 4:
            return
        self.number += 1
        request, authors = f"q{self.number}", frozenset({author} - {""})
        with self.database.transaction() as connection:
            digests = world.seal(connection, self.ground, request, who, authors)
            world.put(connection, self.ground, request, who, start, self.now)
        self.books.requests[request] = Asked(who, authors, digests, self.books.policy, self.minute)

    @precondition(lambda self: self.books.requests)
    @rule(who=PERSON, which=REQUEST, kind=KINDS, behalf=st.sampled_from(["", "", "", *NAMES]), right=st.integers(0, 9))
    def act(self, who: str, which: int, kind: ActKind, behalf: str, right: int) -> None:
        """Somebody tries something; a run, and somebody who read another plan, too."""
        request, wrong = self.pick(which), right == 0
        behalf = behalf if kind is ActKind.APPROVE and behalf != who else ""
        who = f"run-{which}" if right == 1 else who
        deed = Deed(
            kind=kind, comment="because", on_behalf_of=behalf, to="erin" if kind is ActKind.DELEGATE else "",
            plan="f" * 64 if wrong else "",
        )  # fmt: skip
        try:
            with self.database.transaction() as connection:
                actor = world.actor(connection, who)
                act_in(connection, self.ground.policies(), actor, request, deed, self.now)
        except RefusedError:
            return
        assert not wrong
        assert who in NAMES, "a run did something about a request"
        SEEN[kind.value] += 1
        asked = self.books.requests[request]
        if kind is ActKind.APPROVE:
            assert not self.books.wrong_yes(request, who, behalf or who, self.minute)
            asked.approvals.append(Said(who, behalf or who, self.minute, asked.digests))
        asked.ended |= kind in {ActKind.VETO, ActKind.REJECT, ActKind.RETURN, ActKind.WITHDRAW}

    # -- claims --------------------------------------------------------------------------------------------------------

    @rule(who=st.sampled_from(["bob", "carol", "anna"]), which=REQUEST)
    def approve(self, who: str, which: int) -> None:
        """Somebody who mostly may approves."""
        self.act(who, which, ActKind.APPROVE, "", 9)

    @rule(which=REQUEST, who=st.sampled_from(["dora", "dora", "dora", "anna"]))
    def queue_and_claim(self, which: int, who: str) -> None:
        """An application is queued, and taken at once when nothing else waits."""
        self.queue_blindly(which, who)
        self.claim()

    @rule(which=REQUEST, who=st.sampled_from(["anna", "bob", "carol"]))
    def approve_and_claim(self, which: int, who: str) -> None:
        """The usual way."""
        self.act(who, which, ActKind.APPROVE, "", 9)
        self.queue_and_claim(which, "dora")

    @precondition(lambda self: self.books.requests)
    @rule(which=REQUEST, who=PERSON)
    def queue_blindly(self, which: int, who: str) -> None:
        """An application stands in the queue that nothing has looked at."""
        with self.database.transaction() as connection:
            queue(connection, self.pick(which), "TST-100", "t", Mode.APPLY, who)

    @precondition(lambda self: self.books.requests)
    @rule(which=REQUEST, who=PERSON)
    def start(self, which: int, who: str) -> None:
        """Somebody says that it shall start; the only person of a workspace may approve with that."""
        request = self.pick(which)
        asked = self.books.requests[request]
        try:
            with self.database.transaction() as connection:
                let(connection, self.ground, world.actor(connection, who), request, self.now)
                queue(connection, request, "TST-100", "t", Mode.APPLY, who)
                own = store.request_row(connection, request).approved_self
        except RefusedError:
            return
        if own and who == asked.requester:
            assert not self.books.wrong_yes(request, who, who, self.minute)
            asked.approvals.append(Said(who, who, self.minute, asked.digests))
        SEEN["let"] += 1

    @rule()
    def start_due(self) -> None:
        """What is due is started."""
        with self.database.transaction() as connection:
            SEEN["due"] += len(start_due_in(connection, self.ground, self.now))

    @rule()
    def claim(self) -> None:
        """The oldest queued run begins: a change only if the oracle lets it, once, and the ledger says which."""
        with self.database.transaction() as connection:
            run = begin_next(connection, self.ground, self.now)
            if run is None:
                return
            row, claim = store.run_row(connection, run), claims.of_run(connection, run)
            said = [e for e in read(connection) if e.run == run and e.kind in {"run.claimed", "claim.refused"}]
            by = (store.noted(connection, run, "by") or [""])[-1]
            refused = store.noted(connection, run, "refused")
        assert [e.kind for e in said] == ["run.claimed" if claim else "claim.refused"]
        assert (claim is None) == bool(refused)
        allowed = row.request not in self.ground.gone and self.books.lets(row.request, by, self.minute)
        slot = f"{row.request}:{row.mode}"
        if claim is not None:
            assert allowed, f"{row.mode} of {row.request} was let through"
            self.granted[slot] += 1
            assert row.mode != Mode.APPLY or self.granted[slot] == 1, "claimed twice"
            SEEN[f"claimed {row.mode}"] += 1
        else:
            SEEN[f"refused {refused[-1]['cause']}"] += 1
        self.running.append((run, row.mode if claim else ""))

    @precondition(lambda self: self.running)
    @rule(
        verdict=st.sampled_from([Verdict.DONE, Verdict.FAILED]),
        then=st.sampled_from([None, Mode.UNDO, Mode.RETRY]),
        who=PERSON,
    )
    def end(self, verdict: Verdict, then: Mode | None, who: str) -> None:
        """A run ends; its undo or a retry stands in the queue, looked at by nobody."""
        run, mode = self.running.pop()
        with self.database.transaction() as connection:
            world.end(connection, run, verdict if mode else Verdict.ABORTED)
            if then and mode:
                request = store.run_row(connection, run).request
                queue(connection, request, "TST-100", "t", then, who, run if then is Mode.UNDO else None)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of each kind; in memory's file system where there is one, for nothing here is about a crash."""
    if request.param == "sqlite":
        shm = Path("/dev/shm")
        path = (shm if shm.is_dir() else tmp_path_factory.mktemp("db")) / f"opsnb-{os.getpid()}.db"
        made = Database(path)
        yield made
        made.close()
        path.unlink()
        return
    if not postgres.there():
        pytest.skip("no PostgreSQL here: tests/install-system-packages")
    with postgres.server() as url:
        made = Database(url)
        yield made
        made.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_change_without_enough_approvals(database: Database) -> None:
    """Never a change without enough distinct, entitled, timely approvals of exactly it; never a second claim."""
    SEEN.clear()
    kind = type("Machine", (Machine,), {"database": database})
    how = settings(
        max_examples=HISTORIES, phases=PHASES, stateful_step_count=STEPS, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), print_blob=True,
    )  # fmt: skip
    run_state_machine_as_test(kind, settings=how)
    print(dict(SEEN))  # noqa: T201  (shown by pytest -s: what the histories came to)
    for wanted in ("claimed apply", "approve", "let", "refused approvals", "refused policy"):
        assert SEEN[wanted], SEEN
