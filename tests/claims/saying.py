"""What a history consists of, second part: requests are asked for, people say something, the clock does."""

from __future__ import annotations

from contextlib import suppress

from claims import world
from claims.history import MOST, PEOPLE, SEEN, History, must
from claims.oracle import BOT, HOUR, Asked, Said
from opsnb.base.errors import RefusedError
from opsnb.control.approvals import store as approvals
from opsnb.control.approvals.values import Act, ActKind
from opsnb.control.flows.approve import Deed, act_in, lapse
from opsnb.control.flows.grant import ask_grant, require_grant
from opsnb.control.people.values import Action
from opsnb.control.runs import store


class Saying(History):
    """What people say."""

    def ask(self, who: str, author: str, start: str, kind: int, most: int = MOST) -> None:
        """A request is sealed, planned and asked for."""
        self.second += 1
        if len(self.books.requests) >= most:
            return
        self.number += 1
        request, authors = f"q{self.number}", frozenset({author} - {""})
        _, risk, names, _ = world.KINDS[kind]
        due = self.second + 600 if start == "time" else None
        asked = Asked(
            requester=who, authors=authors, plan="", sealed=None, asked=self.second, risk=risk.value,  # type: ignore[arg-type]
            hosts=tuple((n, world.PLACES[n]) for n in names),
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

    def plan_anew(self, which: int) -> None:
        """A request that nothing was done with gets another plan, and is asked for again."""
        request = self.pick(which)
        back = [n for n, a in self.books.requests.items() if not a.seconds and a.of("return")]
        if back and which % 2:
            request = back[-1]  # what its return said is about a plan that it has no more
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

    def act(self, who: str, which: int, kind: ActKind, behalf: str, to: str, odd: int) -> None:
        """Somebody tries something: a run, somebody who read another plan, and somebody who says nothing, too."""
        request = self.pick_open(which)
        behalf = "" if kind not in {ActKind.APPROVE, ActKind.RETURN, ActKind.REJECT} or behalf == who else behalf
        who = f"run-{which}" if odd == 1 else who
        self.say(request, kind, who, behalf, to, unread=odd in {0, 4, 5}, words=odd not in {2, 3})

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
                    kind.value,
                    who,
                    behalf or who,
                    self.second,
                    asked.plan,
                    step,
                    to if kind is ActKind.DELEGATE else "",
                )
                self.keep(connection, request, [*said, own])
        except RefusedError as error:
            must(not wanted, f"{who}'s {kind} of {request} was refused: {error.message}")
            self.seen(f"refused to {kind.value}")
            return False
        return True

    def say_well(self, which: int, kind: ActKind, pick: int) -> None:
        """Somebody says something that the oracle says they may."""
        self.say_well_of(self.pick_open(which), kind, pick)

    def say_well_of(self, request: str, kind: ActKind, pick: int) -> None:
        """The same, of one request."""
        asked, _ = self.books.ticked(self.books.requests[request], self.second)
        tos = PEOPLE if kind is ActKind.DELEGATE else ["erin"]
        able = [
            (p, to) for p in PEOPLE for to in tos if self.books.lets_say(kind.value, p, p, asked, self.second, to=to)
        ]
        if able:
            who, to = able[pick % len(able)]
            self.say(request, kind, who, "", to)

    def tempt(self, which: int, pick: int) -> None:
        """Somebody tries whose yes may be worth nothing: the requester, an author, a bot, a stand-in, who said yes."""
        request = self.pick_open(which)
        asked, lent = self.books.requests[request], self.books.delegations
        able = [(asked.requester, ""), (BOT, ""), *((a, "") for a in asked.authors), *((d[1], d[0]) for d in lent)]
        able += [(d[1], "") for d in lent if d[0] == asked.requester] * 2
        able += [(p, "") for s in asked.of("approve") for p in (s.who, s.voice)]
        who, behalf = able[pick % len(able)]
        if pick % 3 and not self.books.may(behalf or who, "approve", asked):
            self.role(behalf or who, "approver", give=True)  # nothing but who they are stands against it
        for number, one in enumerate(lent):
            if one[:2] == [asked.requester, who] and self.second < one[3] and pick % 5 < 2:
                self.end_delegation(number)  # which hides nothing
        self.say(request, ActKind.APPROVE, who, behalf)

    def twice(self, which: int, pick: int) -> None:
        """Who said yes says it for another one, too; or another one says it again with the right that was used."""
        request = self.pick_open(which)
        asked = self.books.requests[request]
        if not asked.of("approve"):
            self.approve_well(request, pick)
        if not asked.of("approve") or self.books.status(asked, self.second) != "open":
            return
        one = asked.of("approve")[-1]
        others = [p for p in PEOPLE if p not in {one.who, one.voice}]
        other = others[pick % len(others)]
        who, voice = (one.who, other) if pick % 2 else (other, one.voice)
        if pick % 3 and not self.books.may(voice, "approve", asked):
            self.role(voice, "approver", give=True)
        self.delegate(voice, who, 0, HOUR)
        SEEN["a person, or a right, said yes twice"] += 1
        self.say(request, ActKind.APPROVE, who, voice)

    def former(self, which: int, pick: int) -> None:
        """Somebody stood in for the requester for a moment, and says yes when that is over."""
        request = self.pick_open(which)
        requester = self.books.requests[request].requester
        others = [p for p in ("bob", "carol", "anna", "finn") if p != requester]
        who = others[pick % len(others)]
        self.role(who, "approver", give=True)
        self.delegate(requester, who, 0, HOUR)
        self.end_delegation(len(self.books.delegations) - 1)
        SEEN["who stood in for the requester said yes"] += 1
        self.say(request, ActKind.APPROVE, who)

    def lesser(self, pick: int) -> None:
        """Somebody whose role is about a lesser risk says yes to what is dangerous."""
        self.second += 1
        self.ask("dora", "", "asked", world.DANGEROUS, MOST + 1)
        items = self.books.requests.items()
        found = [n for n, a in items if a.risk == "danger" and self.books.status(a, self.second) == "open"]
        if found:
            who = ("erin", "finn")[pick % 2]
            self.role(who, "minor", give=True)
            SEEN["a lesser role said yes to danger"] += 1
            self.say(found[pick % len(found)], ActKind.APPROVE, who)

    def stray(self, request: str, pick: int) -> None:
        """An approval of another plan stands in the database after the asking, as a defect would leave it."""
        asked, able = self.books.requests[request], self.books.able(request, self.second)
        if not able:
            return
        who, voice = able[pick % len(able)]
        step, _ = self.books.chosen(who, voice, asked, self.second)
        with self.database.transaction() as connection:
            approvals.keep(connection, request, Act(
                kind=ActKind.APPROVE, person=who, at=self.now, request=store.request_row(connection, request).digest,
                plan="e" * 64, step=step.name, on_behalf_of="" if voice == who else voice,
            ))  # fmt: skip
        asked.said.append(Said("approve", who, voice, self.second, "e" * 64, step.name))
        self.seen("an approval of another plan was kept")

    def approve(self, which: int, pick: int) -> None:
        """Somebody who may approves."""
        self.approve_well(self.pick_open(which), pick)

    def approve_well(self, request: str, pick: int) -> bool:
        """Have one of those approve whom the oracle names."""
        able = self.books.able(request, self.second)
        if not able:
            return False
        who, voice = able[pick % len(able)]
        return self.say(request, ActKind.APPROVE, who, "" if voice == who else voice)

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

    # -- by hand -------------------------------------------------------------------------------------------------------

    def grant(self, who: str, hosts: str, pick: int) -> None:
        """Somebody asks for an hour by hand on protected hosts, and mostly gets it."""
        self.second += 1
        asked = Asked(
            requester=who, authors=frozenset(), plan="", sealed=None, asked=self.second, seconds=1800,  # type: ignore[arg-type]
            hosts=tuple((n, world.PLACES[n]) for n in hosts.split(",")),
        )  # fmt: skip
        asked.sealed = rules = self.books.now_rules(asked)
        if not rules.protected or sum(bool(a.seconds) and not a.glass for a in self.all()) >= MOST:
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
        assert bool(request) == (wanted and (able or not own)), f"{who} asked for a grant on {hosts}: {request or 'no'}"
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

    def by_hand(self, who: str, host: str) -> None:
        """Somebody works by hand: everywhere with a role, on protected hosts with a grant that holds."""
        self.second += 1
        against = self.books.by_hand(who, "exec", {host: world.PLACES[host]}, self.second)
        try:
            with self.database.transaction() as connection:
                hosts = world.hosts_of((host,))
                person = world.actor(connection, who)
                require_grant(connection, self.ground.policies(), person, Action.EXEC, hosts, self.now)
        except RefusedError as error:
            must(against, f"{who} may not work on {host}: {error.message}")
            self.seen(f"asked for by hand, refused for {min(against)}")
            return
        assert not against, f"{who} works on {host}"
        held = self.books.holds(who, "exec", {host}, self.second)
        self.seen("by hand" + (" under a grant" if held else ""))

    def about_a_grant(self, kind: ActKind, who: str, which: int) -> None:
        """Somebody says something about a grant."""
        self.second += 1
        found = [name for name, asked in self.books.requests.items() if asked.seconds]
        if found:
            self.say(found[which % len(found)], kind, who)

    def break_glass(self, who: str, hosts: str, seconds: int) -> None:
        """Somebody breaks the glass."""
        self.second += 1
        asked = Asked(
            requester=who, authors=frozenset(), plan="", sealed=None, asked=self.second, seconds=seconds, glass=True,
            hosts=tuple((n, world.PLACES[n]) for n in hosts.split(",")),
        )  # fmt: skip
        asked.sealed = self.books.policy_rules(asked)
        if sum(a.glass for a in self.all()) >= MOST:
            return
        wanted = self.books.breaks(who, asked, self.second)
        try:
            with self.database.transaction() as connection:
                request = world.smash(connection, self.ground, who, hosts, seconds, self.now)
                must(wanted, f"{who} broke the glass")
                asked.plan = str(store.request_row(connection, request).plan_digest)
                self.books.requests[request] = asked
                self.settled(connection, request)
        except RefusedError as error:
            must(not wanted, f"{who} may not break the glass: {error.message}")
            self.seen("refused to break the glass")
            return
        self.seen("glass broken")
