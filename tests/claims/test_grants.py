"""Working by hand on protected hosts: only under a grant that somebody else approved, for its hosts and its time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from claims.firm import Firm
from opsnb.base.canonical import digestible
from opsnb.base.clock import now
from opsnb.base.errors import RefusedError, UsageError
from opsnb.control.approvals.values import ActKind
from opsnb.control.approvals.written import read_policies
from opsnb.control.flows.grant import ask_grant, require_grant
from opsnb.control.flows.hosts import rows_of
from opsnb.control.flows.seal import Asked
from opsnb.control.people.values import Action

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _protected(firm: Firm) -> Iterator[None]:
    own = firm.services.policies
    firm.services.policies = read_policies({"prod": {"environments": ["prod"], "protected": True, "grant": "1h"}})
    yield
    firm.services.policies = own


def holds(firm: Firm, action: Action, host: str, *, minutes: float = 0, who: str = "dora", **others: Any) -> bool:
    """Whether somebody may do that by hand on a host, some minutes from now; ``others``: what is other of it."""
    rows = [dict(digestible(row)) | others for row in rows_of(firm.services, host)]
    moment = now() + timedelta(minutes=minutes)
    actor = firm.actor(who)
    try:
        with firm.services.database.transaction() as connection:
            require_grant(connection, firm.services.policies, actor, action, rows, moment)
    except RefusedError:
        return False
    return True


def test_a_grant_from_asking_to_its_end(firm: Firm) -> None:
    """Refused before the approval; then for this person, action, host and time, and for nothing else."""
    asked = Asked(runbook="HST-004", values={"hosts": "web1", "command": ["true"]})
    with pytest.raises(RefusedError, match="'exec' needs a grant") as refused:
        firm.app.submit(asked, actor=firm.actor("dora"))
    assert "opsnb grant exec web1" in refused.value.hint
    request = ask_grant(firm.services, firm.actor("dora"), Action.EXEC, "web1", "look at the queue", 1800)
    assert not holds(firm, Action.EXEC, "web1")
    with pytest.raises(RefusedError, match="dora asked for it"):
        firm.say("dora", request)
    firm.say("bob", request)
    assert firm.end(firm.app.submit(asked, actor=firm.actor("dora")))["verdict"] == "DONE"
    assert [holds(firm, Action.EXEC, "web1", minutes=m) for m in (0, 29, 31)] == [True, True, False]
    assert not holds(firm, Action.SSH, "web1")
    assert not holds(firm, Action.EXEC, "web2")
    assert not holds(firm, Action.EXEC, "web1", who="bob")
    assert not holds(firm, Action.EXEC, "web1", address="192.0.2.9")  # another host behind the same name
    firm.say("carol", request, ActKind.VETO)
    assert not holds(firm, Action.EXEC, "web1")


def test_what_is_no_grant(firm: Firm) -> None:
    """Too long, without a reason, for something else, or by somebody without the right: refused."""
    dora = firm.actor("dora")
    with pytest.raises(UsageError, match="60 minutes at most"):
        ask_grant(firm.services, dora, Action.EXEC, "web1", "why", 3601)
    with pytest.raises(UsageError, match="says why"):
        ask_grant(firm.services, dora, Action.EXEC, "web1", "  ", 60)
    with pytest.raises(UsageError, match="a grant is for"):
        ask_grant(firm.services, dora, Action.SECRET, "web1", "why", 60)
    with pytest.raises(RefusedError):
        ask_grant(firm.services, firm.actor("erin"), Action.EXEC, "web1", "why", 60)
    with pytest.raises(UsageError, match="no grant is needed"):
        ask_grant(firm.services, dora, Action.EXEC, "localhost", "why", 60)
