"""What the ledger says about activation: which files of the workspace hold from here on, and who said so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsnb.control.ledger.event import Event, digested, flag, identifier, number


@dataclass(frozen=True, kw_only=True)
class RevisionActivated(Event):
    """Somebody made the workspace's files the ones that hold; ``digest`` covers each of them, salted."""

    kind: ClassVar[str] = "revision.activated"
    revision: int = number()
    digest: str = digested()
    by: str = identifier()
    automatic: bool = flag()


ACTIVATION_EVENTS: tuple[type[Event], ...] = (RevisionActivated,)
