"""What a history consists of, third part: runs are queued, started, claimed, and end."""

from __future__ import annotations

from typing import Any

from claims import world
from claims.history import MOST, NAMES, SEEN, must
from claims.oracle import BOT, DAY, HOUR, TIMEOUT, Claimed
from claims.saying import Saying
from opsnb.base.errors import RefusedError
from opsnb.control.approvals.values import ActKind
from opsnb.control.flows.case import open_case
from opsnb.control.flows.claim import begin_next
from opsnb.control.flows.submit import _applied, let, queue, start_due_in
from opsnb.control.ledger.store import latest
from opsnb.control.people import changes
from opsnb.control.records import Cause, Mode, Verdict
from opsnb.control.runs import claims, store


class Claiming(Saying):
    """What becomes of a request."""

    def usual(self, which: int, pick: int, who: str) -> None:
        """The usual way: everybody who has to approves, and it is applied at once when nothing else waits."""
        request = self.pick_open(which)
        for _ in range(3):
            if self.books.status(self.books.requests[request], self.second) == "open":
                self.second += 1
                self.approve_well(request, pick)
        self.put_in_line(request, Mode.APPLY, who, "")
        self.claim()

    def again(self, which: int, pick: int, then: Mode, *, twice: bool, done: bool) -> None:
        """What was begun is ended, not all of it done, and tried again or undone; sometimes twice in the queue."""
        request = self.pick(which)
        if not self.books.requests[request].claimed:
            self.usual(which, pick, "dora")
        while self.running:
            self.end(0, done=done)
        begun = [c for c in self.books.requests[request].claimed if c.mode in {"apply", "retry"}]
        if not begun:
            return
        for _ in range(1 + twice):
            self.put_in_line(request, then, "dora", begun[-1].run if then is Mode.UNDO else "")
            self.claim()

    def queue_blindly(self, which: int, who: str, mode: Mode) -> None:
        """A run stands in the queue that nothing has looked at."""
        request = self.pick(which)
        begun = [c.run for c in self.books.requests[request].claimed if c.mode != "undo"]
        if mode is Mode.APPLY or begun:
            self.put_in_line(request, mode, who, begun[-1] if mode is Mode.UNDO else "")

    def queue_under_glass(self, which: int, pick: int) -> None:
        """A run stands in the queue under a broken glass, whoever broke it, and mostly begins at once."""
        request = self.pick(which)
        glasses = [name for name, asked in self.books.requests.items() if asked.glass]
        if not glasses:
            return
        glass = glasses[pick % len(glasses)]
        breaker = self.books.requests[glass].requester
        own = [n for n, a in self.books.requests.items() if a.requester == breaker and not a.seconds and not a.claimed]
        request = own[which % len(own)] if own and pick % 5 else request
        who = (breaker, breaker, self.books.requests[request].requester, "dora")[pick % 4]
        begun = [c.run for c in self.books.requests[request].claimed if c.mode != "undo"]
        mode = Mode.UNDO if begun and pick % 2 else Mode.APPLY
        self.put_in_line(request, mode, who, begun[-1] if mode is Mode.UNDO else "", glass)
        if pick % 7:
            self.claim()

    def put_in_line(self, request: str, mode: Mode, who: str, undoes: str, under: str = "") -> None:
        """Queue a run."""
        with self.database.transaction() as connection:
            run = queue(connection, request, "TST-100", "t", mode, who, undoes or None, under)
        self.queued.append((run, request, mode, who, undoes))
        self.under[run] = under
        self.seen("queued blindly" + (" under a glass" if under else ""))

    def only_person(self, which: int, pick: int) -> None:
        """Whoever asked is the only person left, and starts it."""
        request = self.pick(which)
        who = self.books.requests[request].requester
        if who == BOT:
            return
        self.books.active = {who, BOT}
        self.change("left alone", *(changes.SetActive(person=n, active=n in {who, BOT}) for n in NAMES))
        for role in ("approver", "engineer")[: pick % 3]:
            self.role(who, role, give=True)
        if pick % 5 == 0:
            self.second += 8 * DAY
            self.lapse()
        self.start_one(request, who)
        if pick % 4 == 0:  # an own approval is worth nothing any more
            self.books.active = set(NAMES)
            self.change("all came back", *(changes.SetActive(person=n, active=True) for n in NAMES))
            self.claim_up_to(request)
        elif pick % 2:
            self.claim()

    def only_person_may_not(self, kind: int, pick: int) -> None:
        """The only person left asks where the policy wants another one, and approves it all the same."""
        who = ("dora", "anna")[pick % 2]
        self.another_policy("never own", back=False)
        self.ask(who, "", "asked", kind, MOST + 1)
        own = [n for n, a in self.books.requests.items() if not a.seconds and a.requester == who and not a.sealed.own]
        if not own:
            return
        self.books.active = {who, BOT}
        self.change("left alone", *(changes.SetActive(person=n, active=n in {who, BOT}) for n in NAMES))
        self.role(who, "approver", give=True)
        SEEN["an own approval where the policy wants another"] += 1
        if not self.say(own[-1], ActKind.APPROVE, who):
            self.start_one(own[-1], who)

    def stray_and_claim(self, which: int, pick: int) -> None:
        """An approval of another plan was kept, and what it is taken for is in the queue."""
        request = self.pick_open(which)
        self.stray(request, pick)
        self.put_in_line(request, Mode.APPLY, "dora", "")
        self.claim()

    def spoiled(self, which: int, pick: int, cause: Cause) -> None:
        """What everybody approved is spoiled in one of many ways, and stands in the queue, or is due, all the same."""
        request = self.pick_open(which)
        asked = self.books.requests[request]
        for _ in range(3):
            if self.books.status(asked, self.second) == "open":
                self.second += 1
                self.approve_well(request, pick)
        if asked.claimed or self.books.status(asked, self.second) != "approved":
            return
        SEEN["what was approved was spoiled"] += 1
        by = self.spoil(request, pick, cause)
        if self.starts[request][0] != "asked" and pick % 2:
            self.start_due(600)
        else:
            self.put_in_line(request, Mode.APPLY, by, "")
        self.claim_up_to(request)

    def spoil(self, request: str, pick: int, cause: Cause) -> str:
        """Spoil what is approved; return who starts it."""
        asked = self.books.requests[request]
        match pick % 8:
            case 0 | 1 | 2:
                self.move_under(request, cause)
            case 3:
                self.leave(asked.requester, active=False)
                return "dora" if asked.requester == "anna" else "anna"
            case 4:
                for role in sorted(self.books.roles[asked.requester]):
                    self.role(asked.requester, role, give=False)
                return "dora" if asked.requester == "anna" else "anna"
            case 5:
                return ("erin", "finn", "carol")[pick % 3]
            case 6:
                self.second += asked.sealed.validity
            case _:
                self.say_well_of(request, ActKind.VETO, pick)
        return asked.requester

    def claim_up_to(self, request: str) -> None:
        """Claim until nothing of a request is left in the queue, or what is left waits for a lock."""
        while any(one[1] == request for one in self.queued):
            before = len(self.queued)
            self.claim()
            if len(self.queued) == before:
                return

    def around_a_freeze(self, kind: int, pick: int) -> None:
        """What is approved before a freeze begins just before it or is due in it, and goes on behind it."""
        if self.second >= HOUR - TIMEOUT:
            return
        self.another_policy("frozen", back=False)
        self.ask("dora", "", "approved", kind, MOST + 1)
        request = list(self.books.requests)[-1]
        if self.books.status(self.books.requests[request], self.second) != "open" or not self.approve_well(
            request, pick
        ):
            return
        if pick % 2:
            self.second = HOUR - TIMEOUT // 2
            self.put_in_line(request, Mode.APPLY, "dora", "")
            self.claim_up_to(request)
        self.second = max(self.second, HOUR)
        self.start_due(0)
        self.second = 4 * HOUR
        self.start_due(0)

    def due_again(self, kind: int, pick: int) -> None:
        """What started of itself was refused at its claim; when it would be let through again, it is not due again."""
        self.ask("dora", "", "approved", kind, MOST + 1)
        request = list(self.books.requests)[-1]
        for _ in range(3):
            if self.books.status(self.books.requests[request], self.second) == "open":
                self.second += 1
                self.approve_well(request, pick)
        self.start_due(0)
        if not any(one[1] == request for one in self.queued):
            return
        self.move_under(request, Cause.TOOLKIT)
        self.claim_up_to(request)
        while self.running:
            self.end(0, done=True)
        self.mend_under(request)
        SEEN["what was refused at its claim was due again"] += 1
        self.start_due(0)

    def late_by_hand(self, who: str, pick: int) -> None:
        """Somebody works by hand when their grant has ended."""
        self.another_policy("protected", back=False)
        self.grant(who, "web1", 1)
        self.second += 1800
        (self.by_hand if pick % 2 else self.queue_by_hand)(who, "web1")
        self.claim()

    def queue_by_hand(self, who: str, host: str) -> None:
        """A run by hand stands in the queue, looked at by nobody."""
        self.second += 1
        self.number += 1
        request = f"h{self.number}"
        with self.database.transaction() as connection:
            world.seal_by_hand(connection, request, who, host)
            run = queue(connection, request, "HST-004", "t", Mode.READ, who)
        self.hands[request] = (who, host)
        self.queued.append((run, request, Mode.READ, who, ""))
        self.seen("queued by hand")

    def start(self, which: int, who: str) -> None:
        """Somebody says that it shall start."""
        self.start_one(self.pick(which), who)

    def start_one(self, request: str, who: str) -> None:
        """Somebody says that it shall start; the only person of a workspace may approve with that."""
        asked = self.books.requests[request]
        going = any(q[1] == request and q[2] is Mode.APPLY for q in (*self.queued, *self.running))
        after, said = self.books.let(request, who, self.second)
        glasses = self.books.covering(who, asked, self.second) if who == asked.requester else []
        stand_in = bool(glasses) and not self.books.against(request, who, self.second, under=glasses[0])
        wanted = (after is not None or stand_in) and not going and not any(c.mode == "apply" for c in asked.claimed)
        try:
            with self.database.transaction() as connection:
                policies = self.ground.policies()
                if stop := _applied(connection, open_case(connection, policies, request, self.now)):
                    raise stop.raised()
                under = let(connection, self.ground, world.actor(connection, who), request, self.now).under
                run = queue(connection, request, "TST-100", "t", Mode.APPLY, who, under=under)
                claims.started(connection, request, run)
                assert wanted, f"{who} started {request}"
                assert bool(under) == (after is None)
                assert not under or under in glasses
                self.under[run] = under
                asked.asked = after.asked if after else asked.asked
                if said and not under:
                    self.keep(connection, request, said)
        except RefusedError as error:
            must(not wanted, f"{who} may not start {request}: {error.message}")
            self.seen("refused to start")
            return
        self.starts[request][2] = True
        self.queued.append((run, request, Mode.APPLY, who, ""))
        SEEN["started what had expired"] += asked.asked == self.second
        self.seen("started" + (" under a glass" if under else " by the only person" if said else ""))

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
        assert {request for request, _ in begun} == expected, f"due were {sorted(expected)}, and {begun} began"
        assert len(begun) == len(expected)
        for request, run in begun:
            self.queued.append((run, request, Mode.APPLY, self.books.requests[request].requester, ""))
            self.seen(f"was started: {self.starts[request][0]}")

    def claim(self) -> None:
        """The oldest queued run whose lock is free begins: granted if and only if nothing stands against it."""
        self.second += 1
        held = any(self.turns(request) for _, request, _, _ in self.running)
        line = [one for one in self.queued if not (held and self.turns(one[1]))]
        with self.database.transaction() as connection:
            run = begin_next(connection, self.ground, self.now)
            assert run == (line[0][0] if line else None), f"run {run} began, and the line is {line}"
            if run is None:
                SEEN["waited for a lock"] += bool(self.queued)
                return
            claim = claims.of_run(connection, run)
            said = [e.kind for k in ("run.claimed", "claim.refused") if (e := latest(connection, k, run=run))]
            refused = store.noted(connection, run, "refused")
        assert said == ["claim.refused" if refused else "run.claimed"]
        assert (claim is None) == bool(refused) or line[0][2] is Mode.READ
        self.queued.remove(line[0])
        _, request, mode, by, undoes = line[0]
        if request in self.hands:
            self.judged_by_hand(run, request, said, refused)
            return
        self.judged(request, Claimed(run, mode.value, undoes), by, claim, refused)

    def turns(self, request: str) -> bool:
        """Whether a request's runs take turns."""
        if request in self.hands:
            return False
        asked = self.books.requests[request]
        return world.KINDS[0][2] == tuple(n for n, _ in asked.hosts) and asked.risk == "change"

    def judged_by_hand(self, run: str, request: str, said: list[str], refused: list[Any]) -> None:
        """Compare the beginning of a run by hand with what the oracle says."""
        who, host = self.hands[request]
        against = self.books.by_hand(who, "exec", {host: world.PLACES[host]}, self.second)
        assert bool(refused) == bool(against), f"{who} by hand on {host}: {said}, against {against}"
        one = None
        held = self.books.now_rules(here := self.books.here(who, {host: world.PLACES[host]}, self.second)).protected
        if held and not against and not self.books.holds(who, "exec", {host}, self.second):
            with self.database.transaction() as connection:
                (glass,) = claims.glass_of(connection, [run]).values()
            assert glass in self.books.covering(who, here, self.second)
            one = Claimed(run, "read", "")
            self.books.requests[glass].under.append((one, request))
            SEEN["by hand under a glass"] += 1
        if refused:
            assert refused[-1]["cause"] in against, f"by hand refused ({refused[-1]}), against {against}"
            self.seen(f"by hand, refused for {refused[-1]['cause']}")
        else:
            self.seen("by hand, begun")
        self.running.append((run, request, Mode.READ, one))

    def judged(self, request: str, one: Claimed, by: str, claim: Any, refused: list[Any]) -> None:
        """Compare a claim with what the oracle says, both ways."""
        asked = self.books.requests[request]
        under = self.under.get(one.run, "")
        usual = self.books.unapproved(asked, self.second) or self.books.frozen(asked, self.second)
        against = self.books.against(request, by, self.second, one.mode, one.undoes, under)
        if claim is None:
            cause = refused[-1]["cause"]
            assert against, f"{one.mode} of {request} was refused ({refused[-1]}), and nothing stands against it"
            assert cause in against, f"{one.mode} of {request} was refused for {cause}; it is {against}"
            self.seen(f"refused for {cause}")
        else:
            assert not against, f"{one.mode} of {request} was let through, against {against}"
            names = [(s.who, s.voice) for s in self.books.counted(asked, self.second)]
            given = {w if w == v else f"{w} on behalf of {v}" for w, v in names}
            kept = {row["who"] for row in claim.approvals}
            assert kept == (given if self.books.flow(asked) else set()), f"{kept} let {request} through, not {given}"
            asked.claimed.append(one)
            self.seen(f"granted: {one.mode}" + (" under a glass" if usual else ""))
            if usual:
                self.books.requests[under].under.append((one, request))
            SEEN["granted by the requester's own approval"] += any(w == asked.requester for w, _ in names)
        self.running.append((one.run, request, Mode(one.mode), one if claim else None))

    def end(self, which: int, *, done: bool) -> None:
        """A run ends: all of it done, or the first of several, or nothing."""
        self.second += 1
        if not self.running:
            return
        run, request, mode, claimed = self.running.pop(which % len(self.running))
        if request in self.hands:
            with self.database.transaction() as connection:
                world.end(connection, run, Verdict.DONE, {})
            if claimed is not None:
                claimed.verdict = "DONE"
            self.seen("ended: by hand")
            return
        asked = self.books.requests[request]
        left = sorted(set(range(len(asked.hosts))) - asked.made()) if mode is Mode.RETRY else range(len(asked.hosts))
        made = {n: done or (at == 0 and which % 2 == 0) for at, n in enumerate(left)} if claimed else {}
        verdict = Verdict.ABORTED if claimed is None else Verdict.DONE if all(made.values()) else Verdict.FAILED
        with self.database.transaction() as connection:
            world.end(connection, run, verdict, made)
        if claimed is not None:
            claimed.verdict, claimed.made = verdict.value, {n for n, ok in made.items() if ok}
            self.seen(f"ended: {mode.value} {verdict}")
