"""What a history consists of, first part: people come and go, policies and the ground change, and the books say so.

Every method does one thing to the program and the same to the oracle's books, and compares what became of it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy.engine import Connection

from claims import world
from claims.oracle import BOT, DAY, HOUR, Asked, Claimed, Said
from opsnb.control.approvals import store as approvals
from opsnb.control.database import Database
from opsnb.control.flows.people_record import record
from opsnb.control.people import changes
from opsnb.control.people.values import Delegate, Department
from opsnb.control.records import Cause, Mode

NAMES = sorted(world.PEOPLE)
PEOPLE = sorted(set(NAMES) - {BOT})
MOST = 4  # requests in one history, and as many grants
SEEN: Counter[str] = Counter()  # what histories came to: a machine that never claims proves nothing


def must(so: object, what: str) -> None:
    """Fail, and say what, where something is not so."""
    assert so, what


class History:
    """One history: the database, the books, and what stands in the queue."""

    database: Database

    def begin_anew(self, policy: str) -> None:
        """Start with the people of the beginning and no request."""
        world.empty(self.database)
        self.books, self.ground, self.second, self.number = world.books(), world.MovedGround(), 0, 0
        self.ground.policy = self.books.policy = policy
        self.queued: list[tuple[str, str, Mode, str, str]] = []  # run, request, mode, by, undoes
        self.running: list[tuple[str, str, Mode, Claimed | None]] = []
        self.altered: dict[str, dict[str, Any]] = {}  # request -> what stood in the database
        self.under: dict[str, str] = {}  # run -> the broken glass that it is started under
        self.hands: dict[str, tuple[str, str]] = {}  # request of a run by hand -> who, host
        self.starts: dict[str, list[Any]] = {}  # request -> kind, due, whether it was started
        self.steps = 0
        SEEN["histories"] += 1

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

    def pick_open(self, number: int) -> str:
        """Return one of the requests that wait for approvals, where there is one."""
        request = self.pick(number)
        asked = self.books.requests.items()
        found = [n for n, a in asked if not a.seconds and self.books.status(a, self.second) == "open"]
        return found[number % len(found)] if found else request

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
        found.sort(key=lambda s: s.key)
        assert found == (wanted := sorted(expected, key=lambda s: s.key)), f"kept {found}, and not {wanted}"
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

    def wait(self, seconds: int) -> None:
        """Time goes by; a week not often."""
        self.second += min(seconds, DAY) if self.second < HOUR else seconds
        self.seen("time went by")

    def leave(self, who: str, *, active: bool) -> None:
        """Somebody leaves or comes back."""
        self.second += 1
        if active != (who in self.books.active):
            (self.books.active.add if active else self.books.active.discard)(who)
            self.change("came back" if active else "left", changes.SetActive(person=who, active=active))

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

    def role(self, who: str, role: str, *, give: bool) -> None:
        """A role is given or taken."""
        self.second += 1
        if give != (role in self.books.roles[who]):
            (self.books.roles[who].add if give else self.books.roles[who].discard)(role)
            one = (changes.GiveRole if give else changes.TakeRole)(person=who, role=role)
            self.change("role given" if give else "role taken", one)

    def leader(self, who: str) -> None:
        """The department has another leader, or none."""
        self.second += 1
        self.books.leader = who
        made = Department(id="ops", name="ops", leader=who)
        self.change("another leader", changes.SetDepartment(department=made))

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

    def end_delegation(self, which: int) -> None:
        """A delegation is ended early."""
        self.second += 1
        number = which % max(1, len(self.books.delegations))
        if self.books.delegations and self.second < self.books.delegations[number][3]:
            self.books.delegations[number][3] = self.second
            self.change("delegate ended", changes.EndDelegate(delegate=f"g-{number}", now=self.now))

    # -- policies and the ground ---------------------------------------------------------------------------------------

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

    def move(self, which: int, cause: Cause) -> None:
        """Something that a request stands on, or its rows in the database, is altered."""
        self.move_under(self.pick(which), cause)

    def move_under(self, request: str, cause: Cause) -> None:
        """The same, of one request."""
        if self.books.requests[request].wrong:
            return
        if cause in {Cause.REQUEST, Cause.PARAMETERS, Cause.PLAN}:
            with self.database.transaction() as connection:
                self.altered[request] = world.tamper(connection, request, cause)
        else:
            self.ground.gone[request] = cause
        self.books.requests[request].wrong = {cause.value}
        self.seen("ground moved")

    def mend(self, which: int) -> None:
        """It is put back."""
        self.mend_under(self.pick(which))

    def mend_under(self, request: str) -> None:
        """The same, of one request."""
        self.ground.gone.pop(request, None)
        if request in self.altered:
            with self.database.transaction() as connection:
                world.restore(connection, request, self.altered.pop(request))
        if self.books.requests[request].wrong:
            self.books.requests[request].wrong = set()
            self.seen("ground mended")
