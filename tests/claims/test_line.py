"""From the asking to the change, with several people: who says what, what starts when, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from claims.firm import Firm
from opsnb.base.clock import now
from opsnb.base.errors import RefusedError
from opsnb.control.approvals.values import ActKind
from opsnb.control.flows.submit import start_due
from places import wait_for

pytestmark = pytest.mark.slow


def test_asked_approved_applied_undone(firm: Firm) -> None:
    """Nobody applies before another person approved; then once, and the record and the ledger say who."""
    request = firm.request()
    shown = firm.shown(request)
    assert (shown["status"], [c["host"] for c in shown["plan"]["changes"]]) == ("open", ["web1", "web2"])
    assert {"bob", "carol", "chen"} <= set(shown["able"])
    assert "dora" not in shown["able"]
    with pytest.raises(RefusedError, match="another person") as refused:
        firm.apply(request)
    assert "bob" in refused.value.hint
    assert firm.say("bob", request).status == "approved"
    run = firm.end(firm.apply(request))
    assert (run["verdict"], firm.marks()) == ("DONE", ["web1", "web2"])
    shown = firm.shown(request)
    assert (shown["status"], shown["reason"]) == ("used", f"run {run['run']} took it: DONE")
    approval = firm.record(run)["approvals"]
    assert [(row["who"], row["self"]) for row in approval] == [("bob", False)]
    with pytest.raises(RefusedError, match="applied once already"):
        firm.apply(request)
    kinds = [e["kind"] for e in firm.events(request)]
    wanted = ["request.sealed", "request.start", "run.claimed", "plan.proposed", "run.finished", "request.asked"]
    assert [k for k in kinds if k in {*wanted, "request.approved"}] == [
        *wanted, "request.approved", "run.claimed", "run.finished",
    ]  # fmt: skip


def test_what_was_used_waits_for_nobody(firm: Firm) -> None:
    """A request that a run took is in no list of what waits, and a veto that comes too late does not change that."""
    first, second = firm.request(), firm.request()
    for request in (first, second):
        firm.say("bob", request)
    assert firm.listed("waiting")[:2] == firm.listed("approved")[:2] == [second, first]
    firm.end(firm.apply(first))
    for status in ("waiting", "approved"):
        assert (firm.listed(status)[0], first in firm.listed(status)) == (second, False)
    firm.say("carol", first, ActKind.VETO)
    assert firm.shown(first)["status"] == "used"
    assert (firm.listed("used")[0], first in firm.listed("vetoed"), firm.listed("")[:2]) == (
        first,
        False,
        [second, first],
    )


@pytest.mark.parametrize("who", ["dora", "robot", "erin"])
def test_who_never_approves(firm: Firm, who: str) -> None:
    """Not the requester, no service account, nobody without the right; the answer names who may."""
    request = firm.request()
    with pytest.raises(RefusedError) as refused:
        firm.say(who, request)
    assert "bob" in refused.value.hint
    assert firm.shown(request)["status"] == "open"


@pytest.mark.parametrize(
    ("kind", "who", "status"),
    [
        (ActKind.RETURN, "bob", "returned"), (ActKind.REJECT, "bob", "rejected"), (ActKind.VETO, "carol", "vetoed"),
        (ActKind.WITHDRAW, "dora", "withdrawn"),
    ],
)  # fmt: skip
def test_what_ends_a_request(firm: Firm, kind: ActKind, who: str, status: str) -> None:
    """A return, a rejection, a veto and a withdrawal end it; it is neither approved nor applied afterwards."""
    request = firm.request()
    assert firm.say(who, request, kind).status == status
    with pytest.raises(RefusedError, match="over"):
        firm.say("chen", request)
    with pytest.raises(RefusedError, match=status):
        firm.apply(request)


def test_it_starts_when_it_is_approved(firm: Firm) -> None:
    """A request that starts when approved needs no further word."""
    request = firm.request(start="approved")
    firm.say("bob", request)
    wait_for(lambda: firm.shown(request)["start"]["run"] is not None, 30)
    run = firm.end(firm.shown(request)["start"]["run"])
    assert (run["verdict"], firm.marks()) == ("DONE", ["web1", "web2"])


def test_it_starts_at_its_time(firm: Firm) -> None:
    """A request with a time waits for it, approved or not, and starts once."""
    due = now() + timedelta(hours=1)
    request = firm.request(start=due.isoformat())
    firm.say("bob", request)
    assert start_due(firm.services) == []
    assert start_due(firm.services, due - timedelta(seconds=1)) == []
    (run,) = start_due(firm.services, due + timedelta(seconds=1))
    assert start_due(firm.services, due + timedelta(seconds=2)) == []
    assert (firm.end(run)["verdict"], firm.marks()) == ("DONE", ["web1", "web2"])


def test_a_delegate_says_for_whom(firm: Firm) -> None:
    """A delegate approves in somebody's place, says so, and the record shows both."""
    from opsnb.control.flows import people

    people.add_delegate(firm.services, firm.app.actor, "chen", "erin", None, now() + timedelta(hours=1))
    request = firm.request()
    firm.say("erin", request, on_behalf_of="chen")
    run = firm.end(firm.apply(request))
    assert firm.marks() == ["web1", "web2"]
    assert firm.record(run)["approvals"][0]["who"] == "erin on behalf of chen"


def test_commands(firm: Firm) -> None:
    """Asking again, and a plan that was not the one that was read, are refused with the reason."""
    from opsnb.control.flows.ask import ask

    request = firm.request()
    with pytest.raises(RefusedError, match="asked for already"):
        ask(firm.services, firm.actor("dora"), request, "why", "asked")
    with pytest.raises(RefusedError, match="another plan"):
        firm.say("bob", request, plan="0" * 8)
    read = firm.shown(request)["plan"]["digest"][:8]
    assert firm.say("bob", request, plan=read).status == "approved"
