"""What begins without an approval owes its review, however it came to need none."""

from __future__ import annotations

from typing import Any

from claims import world
from claims.world import at
from opsnb.control.approvals import store as approvals
from opsnb.control.approvals.values import ActKind
from opsnb.control.approvals.written import read_policies
from opsnb.control.flows.approve import Deed, act_in
from opsnb.control.flows.claim import begin_next
from opsnb.control.flows.people_record import record
from opsnb.control.flows.submit import let, queue
from opsnb.control.people import changes
from opsnb.control.records import Mode, Verdict
from opsnb.control.runs import store

REVIEW = 6 * 3600
FREE = {"for": "role:oncall", "runbooks": ["TST-*"], "notice": "role:approver", "review": f"{REVIEW}s"}


class Ground(world.MovedGround):
    """People on call change things without an approval."""

    def policies(self) -> Any:
        """Those that hold."""
        return read_policies({"all": {"free": FREE}})


def owed(connection: Any) -> list[tuple[str, str]]:
    """Return the reviews that are owed, and until when."""
    return [(row.request, row.review_due) for row in approvals.unreviewed(connection)]


def test_who_comes_on_call_after_the_asking(connection: Any) -> None:
    """A request asked for as usual, and started by its requester as the person on call, owes a review like any such."""
    ground = Ground()
    world.seal(connection, ground, "q", "dora", frozenset())
    world.put(connection, ground, "q", "dora", "asked", at(0))
    assert owed(connection) == []
    record(connection, [changes.GiveRole(person="dora", role="oncall")], "anna")
    assert not let(connection, ground, world.actor(connection, "dora"), "q", at(60)).under
    run = queue(connection, "q", "TST-100", "t", Mode.APPLY, "dora")
    assert begin_next(connection, ground, at(61)) == run
    assert store.noted(connection, run, "refused") == []
    record(connection, [changes.TakeRole(person="dora", role="oncall")], "anna")
    assert owed(connection) == [("q", "2026-11-26T14:00:00.000Z")]
    world.end(connection, run, Verdict.DONE)
    deed = Deed(kind=ActKind.REVIEW, comment="looked at it")
    act_in(connection, ground.policies(), world.actor(connection, "bob"), "q", deed, at(120))
    assert owed(connection) == []
