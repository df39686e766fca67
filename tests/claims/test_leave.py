"""What is done by hand is looked at anew when it is claimed and while it goes on, and ends with what let it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from claims.firm import Firm
from opsnb.base.canonical import digestible
from opsnb.base.clock import now, parse
from opsnb.control.approvals.values import ActKind
from opsnb.control.approvals.written import read_policies
from opsnb.control.flows import people
from opsnb.control.flows.claim import REFUSED, claim_next
from opsnb.control.flows.converse import sealed_body
from opsnb.control.flows.execute import execute
from opsnb.control.flows.glass import break_glass
from opsnb.control.flows.grant import ask_grant
from opsnb.control.flows.hosts import rows_of
from opsnb.control.flows.leave import leave
from opsnb.control.flows.seal import Asked
from opsnb.control.flows.watch import LOOK_SECONDS, Watch
from opsnb.control.ledger.store import read
from opsnb.control.people.values import Action
from opsnb.control.people.wanted import User
from opsnb.control.records import Cause
from opsnb.control.runs import store
from places import unhurried, wait_for

pytestmark = pytest.mark.slow
PROTECTED: dict[str, Any] = {"prod": {"environments": ["prod"], "protected": True, "grant": "1h"}}
SOON = LOOK_SECONDS + 4  # until what was done by hand has ended, on a machine that does other things too
SESSION = {"hosts": "web1", "term": "xterm", "columns": 80, "rows": 24}


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    """A firm whose workers do not work: what is asked for waits until a test claims it."""
    made = Firm(tmp_path_factory.mktemp("still") / "ws")
    made.services.policies = read_policies(PROTECTED)
    yield made
    made.app.close()


@pytest.fixture
def busy(firm: Firm) -> Iterator[Firm]:
    """The firm that works, with protected hosts."""
    with policies(firm, PROTECTED):
        yield firm


@contextmanager
def policies(firm: Firm, wanted: dict[str, Any]) -> Iterator[None]:
    """Other policies hold for a while."""
    own = firm.services.policies
    firm.services.policies = read_policies(wanted)
    try:
        yield
    finally:
        firm.services.policies = own


def granted(firm: Firm, action: Action = Action.EXEC, seconds: float = 600) -> str:
    """Return a grant of dora's that bob approved."""
    request = ask_grant(firm.services, firm.actor("dora"), action, "web1", "look at the queue", seconds)
    firm.say("bob", request)
    return request


def by_hand(firm: Firm, *command: str, runbook: str = "HST-004", **values: Any) -> str:
    """Have dora ask for a run by hand; return it."""
    values = values or {"hosts": "web1", "command": list(command or ("true",))}
    return firm.app.submit(Asked(runbook=runbook, values=values), actor=firm.actor("dora"))


@contextmanager
def user(firm: Firm, wanted: dict[str, Any], back: dict[str, Any]) -> Iterator[None]:
    """Dora is changed for a while."""
    people.set_user(firm.services, firm.app.actor, User(name="dora", **wanted))
    try:
        yield
    finally:
        people.set_user(firm.services, firm.app.actor, User(name="dora", **back))


@contextmanager
def altered(firm: Firm, grant: str) -> Iterator[None]:
    """The grant's row says an hour more than was approved, edited past the program."""
    with firm.services.database.transaction() as connection:
        body = store.request_row(connection, grant).body
        longer = body.replace(b'"seconds":600', b'"seconds":9600')
        assert longer != body
        connection.execute(update(store.requests).where(store.requests.c.id == grant).values(body=longer))
    yield


@contextmanager
def vetoed(firm: Firm, grant: str) -> Iterator[None]:
    """Carol stops it."""
    firm.say("carol", grant, ActKind.VETO)
    yield


OTHER = {"prod": {**PROTECTED["prod"], "validity": "2h"}}
ROLES = {"take": ("engineer",)}, {"give": ("engineer",)}
CHANGES: dict[str, tuple[Callable[[Firm, str], Any], Cause, str]] = {
    "vetoed": (vetoed, Cause.GRANT, "carol vetoed it"),
    "altered": (altered, Cause.GRANT, "is not what was asked for"),
    "policy": (lambda f, _: policies(f, OTHER), Cause.GRANT, "policy prod is not what grant"),
    "role": (lambda f, _: user(f, *ROLES), Cause.ROLE, "dora has no role"),
    "person": (lambda f, _: user(f, {"active": False}, {"active": True}), Cause.PERSON, "dora is inactive"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_claim_looks_at_the_grant_anew(still: Firm, case: str) -> None:
    """What was let in when it was asked for does not begin when its grant or its starter's right is gone by then."""
    change, cause, why = CHANGES[case]
    grant = granted(still)
    run = by_hand(still)
    with change(still, grant):
        assert claim_next(still.services) == run
        refused = noted(still, run)
        assert refused["cause"] == cause.value
        assert why in refused["why"]
    (entry,) = [e for e in still.events(request_of(still, run)) if e["kind"] == "claim.refused"]
    assert (entry["run"], entry["cause"], entry["mode"]) == (run, cause.value, "read")


def test_a_grant_that_ended_before_the_claim(still: Firm) -> None:
    """Its minutes run while the run waits; one that is refused ends without a kernel and says when the grant ended."""
    granted(still, Action.CP, 600)
    late = by_hand(still, runbook="HST-007", hosts="web1", paths=["/etc/hostname"])
    with user(still, {}, {}):
        assert claim_next(still.services, now() + timedelta(seconds=601)) == late
    execute(still.services, late)
    ended = still.app.run(late)
    assert ended["verdict"] == "ABORTED"
    assert ended["reason"].startswith("nothing was touched: policy prod protects web1: 'cp' needs a grant; grant ")
    assert " ended at " in ended["reason"]
    in_time = by_hand(still, runbook="HST-007", hosts="web1", paths=["/etc/hostname"])
    assert claim_next(still.services) == in_time
    assert noted(still, in_time) == {}


def test_what_is_protected_meanwhile(still: Firm) -> None:
    """A run that was asked for while nothing protected its host does not begin without a grant."""
    with policies(still, {}):
        run = by_hand(still, runbook="HST-004", hosts="web2", command=["true"])
    assert claim_next(still.services) == run
    assert noted(still, run)["cause"] == "grant"


def test_a_planned_copy_needs_its_role_at_the_claim(still: Firm) -> None:
    """`cp` to hosts needs no grant, for it is approved itself; its starter needs the right to copy, to the last."""
    values = {"hosts": "web1", "files": [str(still.place.root / "opsnb.yaml")], "directory": str(still.folder)}
    run = by_hand(still, runbook="HST-006", **values)
    with user(still, *ROLES):
        assert claim_next(still.services) == run
        assert noted(still, run)["cause"] == "role"


def test_until_when(still: Firm) -> None:
    """The longest of one's grants says until when, wherever the first came from; without protection there is no end."""
    with policies(still, {}):
        assert asked(still).until is None
    with policies(still, {"prod": {**PROTECTED["prod"], "grant": "8h"}}):  # none of the others holds under this one
        short, long = granted(still, seconds=600), granted(still, seconds=7200)
        for under in ("", short, long):
            found = asked(still, under=under)
            assert (found.ok, found.source) == (True, short if under == short else long)
        soon = asked(still, minutes=9.5, under=short)  # it ends soon: the other one is looked for
        assert soon.source == long
        assert asked(still, minutes=121, under=short).why.startswith(f"grant {short} ended at ")


def test_looking_costs_nothing_in_between(still: Firm) -> None:
    """A thousand turns of a run's conductor are one transaction until it is time to look again."""
    granted(still)
    run, begun, said = by_hand(still), [], []
    assert claim_next(still.services) == run
    with still.services.database.transaction() as connection:
        body = sealed_body(store.request_row(connection, store.run_row(connection, run).request))
    watch = Watch(still.services, "r", body, "", notice=said.append, end=said.append, stop=said.append)

    def count(connection: object) -> None:
        begun.append(connection)

    event.listen(still.services.database.engine, "begin", count)
    try:
        started = time.monotonic()
        for _ in range(1000):
            watch.turn()
        assert time.monotonic() - started < LOOK_SECONDS
        assert (len(begun), said) == (1, [])
    finally:
        event.remove(still.services.database.engine, "begin", count)


@pytest.mark.parametrize("case", ["vetoed", "person"])
def test_a_command_ends_when_its_leave_does(busy: Firm, case: str) -> None:
    """A veto of its grant, or that its person has left, ends a command under way within seconds."""
    change, _, why = CHANGES[case]
    grant = granted(busy)
    run = by_hand(busy, "sh", "-c", "echo begun; sleep 300")
    wait_for(lambda: "begun" in told(busy, run), 30)
    started = now()
    with change(busy, grant):
        ended = busy.end(run)
    assert (parse(ended["ended"]) - started).total_seconds() < SOON  # its record takes what it takes
    assert ended["verdict"] == "ABORTED"
    assert why in ended["reason"]
    if case != "vetoed":
        busy.say("carol", grant, ActKind.VETO)  # or what other tests do goes on under it


def test_what_had_ended_is_known(busy: Firm) -> None:
    """Of two hosts one had answered when the run was ended: its result stands, and only the other is unknown."""
    both = ask_grant(busy.services, busy.actor("dora"), Action.EXEC, "web1,web2", "look", 600)
    busy.say("bob", both)
    script = "if mkdir one 2>/dev/null; then echo begun; exec sleep 300; fi; echo quick"
    run = by_hand(busy, hosts="web1,web2", command=["sh", "-c", script])
    wait_for(lambda: "begun" in told(busy, run) and "quick" in told(busy, run), 30)
    busy.say("carol", both, ActKind.VETO)
    ended = busy.end(run)
    assert ended["reason"] == f"grant {both}: carol vetoed it"
    rows = {row["status"]: row for row in ended["result"]["evidence"]["hosts"]}
    assert set(rows) == {"ok", "unknown"}
    assert (rows["ok"]["exit"], rows["ok"]["stdout"], rows["unknown"]["exit"]) == (0, "quick\n", None)
    assert [row["who"] for row in busy.record(ended)["approvals"]] == ["bob"]


def test_a_command_ends_with_its_grant(busy: Firm) -> None:
    """A grant's minutes are over in the middle of a command: warned, ended, ABORTED; of the host it says unknown."""
    grant = granted(busy, seconds=unhurried(6))
    run = by_hand(busy, "sh", "-c", "echo begun; sleep 300")
    ended = busy.end(run, 90)
    assert (ended["verdict"], ended["result"]["verdict"]) == ("ABORTED", "ABORTED")
    assert ended["reason"].startswith(f"grant {grant} ended at ")
    (row,) = ended["result"]["evidence"]["hosts"]
    assert (row["status"], row["exit"]) == ("unknown", None)
    warned, over = notices(busy, run)
    assert "opsnb grant exec web1" in warned
    assert over == f"this ends now: {ended['reason']}"


def test_a_command_ends_with_the_glass(busy: Firm) -> None:
    """What was begun under a broken glass ends when it is closed, and says so; it was recorded as used once."""
    glass = {"prod": {**PROTECTED["prod"], "break_glass": {"for": ["person:dora"]}}}
    with policies(busy, glass), user(busy, {"give": ("oncall",)}, {"take": ("oncall",)}):
        broken = break_glass(busy.services, busy.actor("dora"), "web1", "the shop is down", 600)
        run = by_hand(busy, "sh", "-c", "echo begun; sleep 300")
        wait_for(lambda: "begun" in told(busy, run), 30)
        busy.say("dora", broken, ActKind.WITHDRAW)
        ended = busy.end(run)
    assert ended["verdict"] == "ABORTED"
    assert f"break-glass {broken} is worth nothing: dora withdrew it" in ended["reason"]
    with busy.services.database.transaction() as connection:
        used = [e.value for e in read(connection) if e.value.get("glass") == broken and e.value["kind"] == "glass.used"]
    assert [entry["run"] for entry in used] == [run]


def test_a_session_ends_with_its_grant(busy: Firm) -> None:
    """Warned in the terminal; another grant in time lets it go on; with that one's end shell and recording are closed."""
    first = granted(busy, Action.SSH, unhurried(6))
    run = by_hand(busy, runbook="HST-005", **SESSION)
    person = Sitting(busy, run)
    person.wait(f"s, with grant {first}; to go on: opsnb grant ssh web1".encode())
    second = granted(busy, Action.SSH, unhurried(8))
    wait_for(lambda: asked(busy, action=Action.SSH, under=first).source == second, 20)
    person.wait(f"s, with grant {second}".encode())
    person.type(b"echo it-goes-$((40+2))\r")
    person.wait(b"it-goes-42")
    ended = busy.end(run, 90)
    assert ended["reason"].startswith(f"grant {second} ended at ")
    assert f"[opsnb: this ends now: {ended['reason']}]".encode() in person.leave()
    assert (ended["verdict"], ended["result"]["evidence"]["ended"]) == ("ABORTED", ended["reason"])
    busy.record(ended)
    text = (busy.place.root / ended["record"]).with_name("files").joinpath("transcript.txt").read_text("utf-8")
    assert "it-goes-42" in text
    assert "ends now" not in text  # our lines are no words of the host
    assert text.rstrip().endswith("exit code 129]")  # the shell was hung up


class Sitting:
    """Somebody at a session's terminal, in this process."""

    def __init__(self, firm: Firm, run: str) -> None:
        wait_for(lambda: firm.app.terminal(run, firm.actor("dora")) is not None, 60)
        found = firm.app.terminal(run, firm.actor("dora"))
        assert found
        self.terminal, self.shown = found, bytearray()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._look()), daemon=True)
        self._thread.start()

    async def _look(self) -> None:
        async def there() -> bool:
            return True

        async for piece in self.terminal.follow(there):
            self.shown += piece

    def type(self, data: bytes) -> None:
        """Type."""
        self.terminal.type(data, None, end=False)

    def wait(self, text: bytes) -> None:
        """Wait until something is shown."""
        wait_for(lambda: text in self.shown, 30)

    def leave(self) -> bytes:
        """Return all that was shown."""
        self._thread.join(10)
        return bytes(self.shown)


def asked(firm: Firm, *, action: Action = Action.EXEC, minutes: float = 0, under: str = "") -> Any:
    """Return dora's leave to work by hand on web1, some minutes from now."""
    rows = [dict(digestible(row)) for row in rows_of(firm.services, "web1")]
    person = firm.actor("dora").person.id
    with firm.services.database.transaction() as connection:
        return leave(
            connection, firm.services.policies, person, action, rows, now() + timedelta(minutes=minutes), under
        )


def noted(firm: Firm, run: str) -> dict[str, Any]:
    """Return why a run did not begin; empty where it did."""
    with firm.services.database.transaction() as connection:
        return dict((store.noted(connection, run, REFUSED) or [{}])[-1])


def request_of(firm: Firm, run: str) -> str:
    """Return a run's request."""
    with firm.services.database.transaction() as connection:
        return str(store.run_row(connection, run).request)


def events(firm: Firm, run: str) -> list[dict[str, Any]]:
    """Return what was told about a run until now."""
    return list(firm.services.feed(run)._events)


def told(firm: Firm, run: str) -> str:
    """Return what a run printed until now."""
    return "".join(e.get("text", "") for e in events(firm, run) if e["ev"] == "text")


def notices(firm: Firm, run: str) -> list[str]:
    """Return what the control plane told the person of a run."""
    return [e["text"] for e in events(firm, run) if e["ev"] == "notice"]
