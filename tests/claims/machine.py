"""One history of people, policies, delegates, requests, approvals, claims, freezes and clocks, against the oracle.

The claim's transaction is what is tested: applications are queued past every earlier look, as a defect or a crash would,
and only what the transaction itself sees may let a change through. Whatever the program answers, the oracle has to have
said so before: it lets in and refuses the same acts, comes to the same sums, grants and refuses the same claims.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from sqlalchemy.engine import Connection

from claims import world
from claims.oracle import BOT, DAY, HOUR, Asked, Claimed, Said
from opsnb.base.errors import RefusedError
from opsnb.control.approvals import store as approvals
from opsnb.control.approvals.values import ActKind
from opsnb.control.database import Database
from opsnb.control.flows.approve import Deed, act_in, lapse
from opsnb.control.flows.case import open_case
from opsnb.control.flows.claim import begin_next
from opsnb.control.flows.grant import ask_grant, require_grant
from opsnb.control.flows.people_record import record
from opsnb.control.flows.submit import _applied, let, queue, start_due_in
from opsnb.control.ledger.store import latest
from opsnb.control.people import changes
from opsnb.control.people.values import Action, Delegate, Department
from opsnb.control.records import Cause, Mode, Verdict
from opsnb.control.runs import claims, store

NAMES = sorted(world.PEOPLE)
PEOPLE = sorted(set(NAMES) - {BOT})
MOVES = (
    Cause.NOTEBOOK, Cause.REVISION, Cause.TOOLKIT, Cause.HOSTS, Cause.HOST_KEY, Cause.INVENTORY, Cause.ISOLATION,
    Cause.REQUEST, Cause.PARAMETERS, Cause.PLAN,
)  # fmt: skip
SAYING = (
    ActKind.APPROVE, ActKind.APPROVE, ActKind.APPROVE, ActKind.COMMENT, ActKind.VETO, ActKind.REJECT, ActKind.RETURN,
    ActKind.WITHDRAW, ActKind.DELEGATE, ActKind.REVIEW,
)  # fmt: skip
STARTS = ("asked", "asked", "approved", "time")
WHO, ANYBODY = st.sampled_from(PEOPLE), st.sampled_from(NAMES)
WHICH, PICK = st.integers(0, 3), st.integers(0, 11)
MOST = 4  # requests in one history
SEEN: Counter[str] = Counter()  # what histories came to: a machine that never claims proves nothing


class Machine(RuleBasedStateMachine):
    """One history."""

    database: Database

    @initialize(policy=st.sampled_from(sorted(world.POLICIES)), kind=WHICH, start=st.sampled_from(STARTS))
    def begin(self, policy: str, kind: int, start: str) -> None:
        """Start anew: somebody has asked for something."""
        world.empty(self.database)
        self.books, self.ground, self.second, self.number = world.books(), world.MovedGround(), 0, 0
        self.ground.policy = self.books.policy = policy
        self.queued: list[tuple[str, str, Mode, str, str]] = []  # run, request, mode, by, undoes
        self.running: list[tuple[str, str, Mode, Claimed | None]] = []
        self.altered: dict[str, dict[str, Any]] = {}  # request -> what stood in the database
        self.starts: dict[str, list[Any]] = {}  # request -> kind, due, whether it was started
        self.steps = 0
        SEEN["histories"] += 1
        self.ask("dora", "", start, kind)

    def teardown(self) -> None:
        """Count what it did."""
        if hasattr(self, "steps"):
            SEEN["steps"] += self.steps
            SEEN["histories of 20 steps or more"] += self.steps >= 20

    # -- small words ---------------------------------------------------------------------------------------------------

    @property
    def now(self) -> Any:
        """The injected clock."""
        return world.at(self.second)

    def seen(self, what: str) -> None:
        """Count a step that did something."""
        SEEN[what] += 1
        self.steps += 1

    def pick(self, number: int) -> str:
        """Return one of the requests that are no grants; the clock goes on."""
        self.second += 1
        found = [name for name, asked in self.books.requests.items() if not asked.seconds]
        return found[number % len(found)]

    def change(self, what: str, *wanted: Any) -> None:
        """Change people."""
        with self.database.transaction() as connection:
            record(connection, wanted, "anna")
        self.seen(what)

    def keep(self, connection: Connection, request: str, expected: list[Said]) -> None:
        """Take over what was kept about a request: exactly what was expected, and it adds up to the same."""
        asked = self.books.requests[request]
        found = [
            Said(
                a.kind.value, a.person, a.voice, int((a.at - world.ZERO).total_seconds()), a.plan, a.step, a.to,
            )
            for a in approvals.acts_of(connection, request)[len(asked.said):]
        ]  # fmt: skip
        assert sorted(found, key=lambda s: s.key) == sorted(expected, key=lambda s: s.key)
        asked.said += found
        for one in found:
            self.seen(f"act {one.kind}" + (" on behalf" if one.voice != one.who else ""))
            SEEN["act approve, own"] += one.kind == "approve" and one.who == asked.requester
        self.settled(connection, request)

    def settled(self, connection: Connection, request: str) -> None:
        """Compare what is kept for the lists with the sum; what is approved may be due to start."""
        asked = self.books.requests[request]
        status = self.books.status(asked, self.second)
        kept = approvals.row(connection, request).status
        assert kept == status, f"{request} is {kept}, and should be {status}"
        SEEN[f"status {status}"] += 1
        asked.owed |= self.books.looked_at(asked)
        start = self.starts.get(request)
        if status == "approved" and start and start[0] == "approved" and not start[2]:
            start[1] = self.second

    # -- the clock and people ------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 60, 240, 299, 300, 1800, HOUR - 1, HOUR, 2 * HOUR, 4 * HOUR, DAY, 7 * DAY]))
    def wait(self, seconds: int) -> None:
        """Time goes by; a week not often."""
        self.second += min(seconds, DAY) if self.second < HOUR else seconds
        self.seen("time went by")

    @rule(who=ANYBODY, active=st.sampled_from([True, True, False]))
    def leave(self, who: str, *, active: bool) -> None:
        """Somebody leaves or comes back."""
        self.second += 1
        if active != (who in self.books.active):
            (self.books.active.add if active else self.books.active.discard)(who)
            self.change("came back" if active else "left", changes.SetActive(person=who, active=active))

    @rule(keep=st.sampled_from(["dora", "anna"]), really=st.integers(0, 2), roles=st.booleans())
    def left_alone(self, keep: str, really: int, *, roles: bool) -> None:
        """Everybody but one leaves, or all come back."""
        self.second += 1
        there = {keep, BOT} if really == 0 else set(NAMES) if self.books.alone() else None
        if there is None:
            return
        self.books.active = there
        self.change(
            "left alone" if really == 0 else "all came back",
            *(changes.SetActive(person=n, active=n in there) for n in NAMES),
        )
        if roles and keep == "dora" and "approver" not in self.books.roles[keep]:
            self.role(keep, "approver", give=True)

    @rule(
        who=ANYBODY, role=st.sampled_from(["approver", "engineer", "stager", "minor", "administrator"]),
        give=st.sampled_from([True, True, False]),
    )  # fmt: skip
    def role(self, who: str, role: str, *, give: bool) -> None:
        """A role is given or taken."""
        self.second += 1
        if give != (role in self.books.roles[who]):
            (self.books.roles[who].add if give else self.books.roles[who].discard)(role)
            one = (changes.GiveRole if give else changes.TakeRole)(person=who, role=role)
            self.change("role given" if give else "role taken", one)

    @rule(who=st.sampled_from(["", *PEOPLE]))
    def leader(self, who: str) -> None:
        """The department has another leader, or none."""
        self.second += 1
        self.books.leader = who
        made = Department(id="ops", name="ops", leader=who)
        self.change("another leader", changes.SetDepartment(department=made))

    @rule(
        principal=st.sampled_from(["bob", "carol", "anna", "dora", "erin"]),
        delegate=st.sampled_from(["erin", "erin", "carol", "bob", "finn"]),
        begin=st.sampled_from([0, 0, 60]), seconds=st.sampled_from([120, HOUR, 10 * HOUR]),
    )  # fmt: skip
    def delegate(self, principal: str, delegate: str, begin: int, seconds: int) -> None:
        """Somebody stands in for somebody for a while."""
        self.second += 1
        if principal == delegate:
            return
        found = [principal, delegate, self.second + begin, self.second + begin + seconds]
        made = Delegate(
            id=f"g-{len(self.books.delegations)}", from_=principal, to=delegate, begin=world.at(found[2]),
            end=world.at(found[3]), by="anna",
        )  # fmt: skip
        self.books.delegations.append(found)
        SEEN["delegate of a requester"] += any(a.requester == principal for a in self.books.requests.values())
        self.change("delegate added", changes.AddDelegate(delegate=made, now=self.now))

    @precondition(lambda self: self.books.delegations)
    @rule(which=PICK)
    def end_delegation(self, which: int) -> None:
        """A delegation is ended early."""
        self.second += 1
        number = which % len(self.books.delegations)
        if self.second < self.books.delegations[number][3]:
            self.books.delegations[number][3] = self.second
            self.change("delegate ended", changes.EndDelegate(delegate=f"g-{number}", now=self.now))

    # -- policies and the ground ---------------------------------------------------------------------------------------

    @rule(policy=st.sampled_from(sorted(world.POLICIES)), back=st.booleans())
    def another_policy(self, policy: str, *, back: bool) -> None:
        """Another policy is activated, or one that something was sealed with."""
        self.second += 1
        if back:
            policy = next(
                (n for n, r in self.books.rules.items() if any(a.sealed in r.values() for a in self.all())), policy
            )
        self.ground.policy = self.books.policy = policy
        self.seen("another policy")

    def all(self) -> list[Asked]:
        """Return all requests, the newest first."""
        return list(self.books.requests.values())[::-1]

    @rule(which=WHICH, cause=st.sampled_from(MOVES))
    def move(self, which: int, cause: Cause) -> None:
        """Something that a request stands on, or its rows in the database, is altered."""
        request = self.pick(which)
        if self.books.requests[request].wrong:
            return
        if cause in {Cause.REQUEST, Cause.PARAMETERS, Cause.PLAN}:
            with self.database.transaction() as connection:
                self.altered[request] = world.tamper(connection, request, cause)
        else:
            self.ground.gone[request] = cause
        self.books.requests[request].wrong = {cause.value}
        self.seen("ground moved")

    @rule(which=WHICH)
    def mend(self, which: int) -> None:
        """It is put back."""
        request = self.pick(which)
        self.ground.gone.pop(request, None)
        if request in self.altered:
            with self.database.transaction() as connection:
                world.restore(connection, request, self.altered.pop(request))
        if self.books.requests[request].wrong:
            self.books.requests[request].wrong = set()
            self.seen("ground mended")

    # -- asking and approving ------------------------------------------------------------------------------------------

    @rule(
        who=st.sampled_from(["dora", "dora", "dora", "anna", *NAMES]), kind=WHICH, start=st.sampled_from(STARTS),
        author=st.sampled_from(["", "", "", *NAMES]),
    )  # fmt: skip
    def ask(self, who: str, author: str, start: str, kind: int) -> None:
        """A request is sealed, planned and asked for."""
        self.second += 1
        if len(self.books.requests) >= MOST:
            return
        self.number += 1
        request, authors = f"q{self.number}", frozenset({author} - {""})
        _, risk, names, _ = world.KINDS[kind]
        due = self.second + 600 if start == "time" else None
        asked = Asked(
            requester=who, authors=authors, plan="", sealed=None, asked=self.second, risk=risk.value,  # type: ignore[arg-type]
            hosts=tuple((n, world.HOSTS[n]) for n in names),
        )  # fmt: skip
        asked.sealed = self.books.now_rules(asked)
        with self.database.transaction() as connection:
            _, asked.plan = world.seal(connection, self.ground, request, who, authors, kind)
            begin = world.at(due).isoformat() if due is not None else start
            world.put(connection, self.ground, request, who, begin, self.now)
            self.books.requests[request] = asked
            self.starts[request] = [start, due, False]
            self.settled(connection, request)
        self.seen(f"asked, to start {start}")
        SEEN["asked for an author's notebook"] += bool(authors)

    @rule(which=WHICH)
    def plan_anew(self, which: int) -> None:
        """A request that nothing was done with gets another plan, and is asked for again."""
        request = self.pick(which)
        asked = self.books.requests[request]
        if asked.claimed or asked.wrong or any(q[1] == request for q in (*self.queued, *self.running)):
            return
        same = asked.sealed == self.books.now_rules(asked)
        self.number += 1
        try:
            with self.database.transaction() as connection:
                plan = world.plan(connection, request, tuple(n for n, _ in asked.hosts), f"p{self.number}")
                world.again(connection, self.ground, request, self.now)
                asked.plan, asked.asked = plan, self.second
                self.settled(connection, request)
        except RefusedError:
            assert not same
            return
        assert same
        self.seen("planned anew")

    @rule(
        who=ANYBODY, which=WHICH, kind=st.sampled_from(SAYING), behalf=st.sampled_from(["", "", *PEOPLE]),
        to=WHO, odd=st.integers(0, 19),
    )  # fmt: skip
    def act(self, who: str, which: int, kind: ActKind, behalf: str, to: str, odd: int) -> None:
        """Somebody tries something: a run, somebody who read another plan, and somebody who says nothing, too."""
        request = self.pick(which)
        behalf = "" if kind not in {ActKind.APPROVE, ActKind.RETURN, ActKind.REJECT} or behalf == who else behalf
        who = f"run-{which}" if odd == 1 else who
        self.say(request, kind, who, behalf, to, unread=odd == 0, words=odd != 2)

    def say(
        self, request: str, kind: ActKind, who: str, behalf: str = "", to: str = "erin", *, unread: bool = False,
        words: bool = True,
    ) -> bool:  # fmt: skip
        """Have somebody say something; the oracle says whether it is let in."""
        asked, said = self.books.ticked(self.books.requests[request], self.second)
        wanted = self.books.lets_say(
            kind.value, who, behalf or who, asked, self.second, to=to, words=words, unread=unread
        )
        deed = Deed(
            kind=kind, comment="because" if words else "", on_behalf_of=behalf,
            to=to if kind is ActKind.DELEGATE else "", plan="f" * 64 if unread else "",
        )  # fmt: skip
        chosen, _ = self.books.chosen(who, behalf or who, asked, self.second)
        try:
            with self.database.transaction() as connection:
                who_acts = world.actor(connection, who)
                act_in(connection, self.ground.policies(), who_acts, request, deed, self.now)
                assert wanted, f"{who}'s {kind} of {request} was let in"
                stepped = kind in {ActKind.APPROVE, ActKind.RETURN, ActKind.REJECT, ActKind.DELEGATE}
                step = chosen.name if stepped and chosen else ""
                own = Said(
                    kind.value, who, behalf or who, self.second, asked.plan, step, to if kind is ActKind.DELEGATE else ""
                )
                self.keep(connection, request, [*said, own])
        except RefusedError as error:
            assert not wanted, f"{who}'s {kind} of {request} was refused: {error.message}"
            self.seen(f"refused to {kind.value}")
            return False
        return True

    @rule(which=WHICH, pick=PICK)
    def approve(self, which: int, pick: int) -> None:
        """Somebody who may approves."""
        self.approve_well(self.pick(which), pick)

    def approve_well(self, request: str, pick: int) -> bool:
        """Have one of those approve whom the oracle names."""
        able = self.books.able(request, self.second)
        if not able:
            return False
        who, voice = able[pick % len(able)]
        return self.say(request, ActKind.APPROVE, who, "" if voice == who else voice)

    @rule()
    def lapse(self) -> None:
        """The clock says of every request whose time is over that it is."""
        self.second += 1
        with self.database.transaction() as connection:
            over = [row.request for row in approvals.lapsed(connection, self.now)]
        expected = {r: self.books.ticked(self.books.requests[r], self.second)[1] for r in over}
        lapse(world.services(self.database, self.ground), self.now)
        with self.database.transaction() as connection:
            for request in over:
                self.keep(connection, request, expected[request])
        if over:
            self.seen("the clock was asked")

    # -- claims --------------------------------------------------------------------------------------------------------

    @rule(which=WHICH, pick=PICK, who=st.sampled_from(["dora", "dora", "anna", BOT]))
    def usual(self, which: int, pick: int, who: str) -> None:
        """The usual way: everybody who has to approves, and it is applied at once when nothing else waits."""
        request = self.pick(which)
        for _ in range(3):
            if self.books.status(self.books.requests[request], self.second) == "open":
                self.second += 1
                self.approve_well(request, pick)
        self.put_in_line(request, Mode.APPLY, who, "")
        self.claim()

    @rule(which=WHICH, pick=PICK, then=st.sampled_from([Mode.RETRY, Mode.RETRY, Mode.UNDO]), twice=st.booleans())
    def again(self, which: int, pick: int, then: Mode, *, twice: bool) -> None:
        """What was begun is ended, not all of it done, and tried again or undone; sometimes twice in the queue."""
        request = self.pick(which)
        if not self.books.requests[request].claimed:
            self.usual(which, pick, "dora")
        while self.running:
            self.end(0, done=False)
        begun = [c for c in self.books.requests[request].claimed if c.mode in {"apply", "retry"}]
        if not begun:
            return
        for _ in range(1 + twice):
            self.put_in_line(request, then, "dora", begun[-1].run if then is Mode.UNDO else "")
            self.claim()

    @rule(which=WHICH, who=ANYBODY, mode=st.sampled_from([Mode.APPLY, Mode.APPLY, Mode.UNDO, Mode.RETRY]))
    def queue_blindly(self, which: int, who: str, mode: Mode) -> None:
        """A run stands in the queue that nothing has looked at."""
        request = self.pick(which)
        begun = [c.run for c in self.books.requests[request].claimed if c.mode != "undo"]
        if mode is Mode.APPLY or begun:
            self.put_in_line(request, mode, who, begun[-1] if mode is Mode.UNDO else "")

    def put_in_line(self, request: str, mode: Mode, who: str, undoes: str) -> None:
        """Queue a run."""
        with self.database.transaction() as connection:
            run = queue(connection, request, "TST-100", "t", mode, who, undoes or None)
        self.queued.append((run, request, mode, who, undoes))
        self.seen("queued blindly")

    @rule(which=WHICH, who=st.sampled_from(["dora", "dora", "anna", *NAMES]))
    def start(self, which: int, who: str) -> None:
        """Somebody says that it shall start; the only person of a workspace may approve with that."""
        request = self.pick(which)
        asked = self.books.requests[request]
        going = any(q[1] == request and q[2] is Mode.APPLY for q in (*self.queued, *self.running))
        after, said = self.books.let(request, who, self.second)
        wanted = after is not None and not going and not any(c.mode == "apply" for c in asked.claimed)
        try:
            with self.database.transaction() as connection:
                policies = self.ground.policies()
                if stop := _applied(connection, open_case(connection, policies, request, self.now)):
                    raise stop.raised()
                let(connection, self.ground, world.actor(connection, who), request, self.now)
                run = queue(connection, request, "TST-100", "t", Mode.APPLY, who)
                claims.started(connection, request, run)
                assert wanted, f"{who} started {request}"
                assert after is not None
                asked.asked = after.asked
                if said:
                    self.keep(connection, request, said)
        except RefusedError as error:
            assert not wanted, f"{who} may not start {request}: {error.message}"
            self.seen("refused to start")
            return
        self.starts[request][2] = True
        self.queued.append((run, request, Mode.APPLY, who, ""))
        self.seen("started" + (" by the only person" if said else ""))

    @rule(wait=st.sampled_from([0, 0, 600, 2 * HOUR]))
    def start_due(self, wait: int) -> None:
        """What is due is started, nothing else; a freeze holds it back, anything else ends the waiting."""
        self.second += 1 + wait
        expected = set()
        for request, start in self.starts.items():
            if start[2] or start[1] is None or start[1] > self.second:
                continue
            asked = self.books.requests[request]
            if self.books.status(asked, self.second) == "open":
                continue
            going = any(q[1] == request and q[2] is Mode.APPLY for q in (*self.queued, *self.running))
            standing = self.books.standing(asked, asked.requester, self.second)
            if standing == {"freeze"}:
                start[1] = self.second
                self.seen("a freeze held a start back")
            elif standing or going or self.books.against(request, asked.requester, self.second):
                start[1] = None
                self.seen("waiting for a start ended")
            else:
                start[2] = True
                expected.add(request)
        with self.database.transaction() as connection:
            begun = start_due_in(connection, self.ground, self.now)
        assert {request for request, _ in begun} == expected
        assert len(begun) == len(expected)
        for request, run in begun:
            self.queued.append((run, request, Mode.APPLY, self.books.requests[request].requester, ""))
            self.seen(f"was started: {self.starts[request][0]}")

    @rule()
    def claim(self) -> None:
        """The oldest queued run whose lock is free begins: granted if and only if nothing stands against it."""
        self.second += 1
        held = any(self.turns(request) for _, request, _, _ in self.running)
        line = [one for one in self.queued if not (held and self.turns(one[1]))]
        with self.database.transaction() as connection:
            run = begin_next(connection, self.ground, self.now)
            assert run == (line[0][0] if line else None)
            if run is None:
                SEEN["waited for a lock"] += bool(self.queued)
                return
            claim = claims.of_run(connection, run)
            said = [e.kind for k in ("run.claimed", "claim.refused") if (e := latest(connection, k, run=run))]
            refused = store.noted(connection, run, "refused")
        assert said == ["run.claimed" if claim else "claim.refused"]
        assert (claim is None) == bool(refused)
        self.queued.remove(line[0])
        _, request, mode, by, undoes = line[0]
        self.judged(request, Claimed(run, mode.value, undoes), by, claim, refused)

    def turns(self, request: str) -> bool:
        """Whether a request's runs take turns."""
        asked = self.books.requests[request]
        return world.KINDS[0][2] == tuple(n for n, _ in asked.hosts) and asked.risk == "change"

    def judged(self, request: str, one: Claimed, by: str, claim: Any, refused: list[Any]) -> None:
        """Compare a claim with what the oracle says, both ways."""
        asked = self.books.requests[request]
        against = self.books.against(request, by, self.second, one.mode, one.undoes)
        if claim is None:
            cause = refused[-1]["cause"]
            assert against, f"{one.mode} of {request} was refused ({refused[-1]}), and nothing stands against it"
            assert cause in against, f"{one.mode} of {request} was refused for {cause}; it is {against}"
            self.seen(f"refused for {cause}")
        else:
            assert not against, f"{one.mode} of {request} was let through, against {against}"
            names = [(s.who, s.voice) for s in self.books.counted(asked, self.second)]
            given = {w if w == v else f"{w} on behalf of {v}" for w, v in names}
            assert {row["who"] for row in claim.approvals} == (given if self.books.flow(asked) else set())
            asked.claimed.append(one)
            self.seen(f"granted: {one.mode}")
            SEEN["granted by the requester's own approval"] += any(w == asked.requester for w, _ in names)
        self.running.append((one.run, request, Mode(one.mode), one if claim else None))

    @precondition(lambda self: self.running)
    @rule(which=PICK, done=st.sampled_from([True, True, False]))
    def end(self, which: int, *, done: bool) -> None:
        """A run ends: all of it done, or the first of several, or nothing."""
        self.second += 1
        run, request, mode, claimed = self.running.pop(which % len(self.running))
        asked = self.books.requests[request]
        left = sorted(set(range(len(asked.hosts))) - asked.made()) if mode is Mode.RETRY else range(len(asked.hosts))
        made = {n: done or (at == 0 and which % 2 == 0) for at, n in enumerate(left)} if claimed else {}
        verdict = Verdict.ABORTED if claimed is None else Verdict.DONE if all(made.values()) else Verdict.FAILED
        with self.database.transaction() as connection:
            world.end(connection, run, verdict, made)
        if claimed is not None:
            claimed.verdict, claimed.made = verdict.value, {n for n, ok in made.items() if ok}
            self.seen(f"ended: {mode.value} {verdict}")

    # -- by hand -------------------------------------------------------------------------------------------------------

    @rule(who=st.sampled_from(["dora", "anna", "erin"]), hosts=st.sampled_from(["web1", "web1,s1", "s1"]), pick=PICK)
    def grant(self, who: str, hosts: str, pick: int) -> None:
        """Somebody asks for an hour by hand on protected hosts, and mostly gets it."""
        self.second += 1
        asked = Asked(
            requester=who, authors=frozenset(), plan="", sealed=None, asked=self.second, seconds=1800,  # type: ignore[arg-type]
            hosts=tuple((n, world.HOSTS[n]) for n in hosts.split(",")),
        )  # fmt: skip
        asked.sealed = rules = self.books.now_rules(asked)
        if not rules.protected or sum(bool(a.seconds) for a in self.all()) >= MOST:
            return
        wanted = self.books.may(who, "exec", asked)
        services = world.services(self.database, self.ground)
        request = ""
        with world.clock(self.now), suppress(RefusedError):
            with self.database.transaction() as connection:
                person = world.actor(connection, who)
            request = ask_grant(services, person, Action.EXEC, hosts, "because", asked.seconds)
        own = self.books.alone() and rules.own
        able = self.books.may(who, "approve", asked)
        assert bool(request) == (wanted and (able or not own))
        if not request:
            return
        self.books.requests[request] = asked
        with self.database.transaction() as connection:
            asked.plan = str(store.request_row(connection, request).plan_digest)
            yes = [Said("approve", who, who, self.second, asked.plan, "approve")]
            self.keep(connection, request, yes if own else [])
        self.seen("asked for a grant")
        while self.books.status(asked, self.second) == "open" and pick % 4:
            self.second += 1
            if not self.approve_well(request, pick):
                break

    @rule(who=st.sampled_from(["dora", "dora", "anna", "erin"]), host=st.sampled_from(["web1", "s1"]))
    def by_hand(self, who: str, host: str) -> None:
        """Somebody works by hand: everywhere with a role, on protected hosts with a grant that holds."""
        self.second += 1
        here = Asked(who, frozenset(), "", None, self.second, ((host, world.HOSTS[host]),))  # type: ignore[arg-type]
        protected = self.books.now_rules(here).protected
        held = self.books.holds(who, "exec", {host}, self.second)
        wanted = self.books.may(who, "exec", here) and (held or not protected)
        try:
            with self.database.transaction() as connection:
                hosts = world.hosts_of((host,))
                person = world.actor(connection, who)
                require_grant(connection, self.ground.policies(), person, Action.EXEC, hosts, self.now)
        except RefusedError as error:
            assert not wanted, f"{who} may not work on {host}: {error.message}"
            self.seen("refused by hand" + (" on a protected host" if protected else ""))
            return
        assert wanted, f"{who} works on {host}"
        self.seen("by hand" + (" under a grant" if protected else ""))

    @precondition(lambda self: any(a.seconds for a in self.books.requests.values()))
    @rule(kind=st.sampled_from([ActKind.VETO, ActKind.APPROVE, ActKind.WITHDRAW]), who=ANYBODY, which=WHICH)
    def about_a_grant(self, kind: ActKind, who: str, which: int) -> None:
        """Somebody says something about a grant."""
        self.second += 1
        found = [name for name, asked in self.books.requests.items() if asked.seconds]
        self.say(found[which % len(found)], kind, who)
