"""What the ledger says about claims: when a request is to start, and what kept a change from beginning."""

# ruff: noqa: RUF009 - identifier() and its like are dataclasses.field() with a check, called once, for the class
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsnb.control.ledger.event import Event, identifier, moment, one_of
from opsnb.control.records import Cause, Mode, Start


@dataclass(frozen=True, kw_only=True)
class StartSet(Event):
    """Somebody said when a request is to be applied; ``due`` is when they said it where ``start`` is no time."""

    kind: ClassVar[str] = "request.start"
    request: str = identifier()
    start: Start = one_of(Start)
    due: str = moment()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class ClaimRefused(Event):
    """A run was about to change something, and this kept it from that; nothing was touched."""

    kind: ClassVar[str] = "claim.refused"
    run: str = identifier()
    request: str = identifier()
    mode: Mode = one_of(Mode)
    cause: Cause = one_of(Cause)
    by: str = identifier()


CLAIM_EVENTS: tuple[type[Event], ...] = (StartSet, ClaimRefused)
