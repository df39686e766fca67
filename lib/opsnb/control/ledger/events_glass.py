"""What the ledger says about broken glass: who broke it until when, what was done under it, which review was late."""

# ruff: noqa: RUF009 - identifier() and its like are dataclasses.field() with a check, called once, for the class
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsnb.control.ledger.event import Event, identifier, moment, number, one_of
from opsnb.control.records import Mode


@dataclass(frozen=True, kw_only=True)
class GlassBroken(Event):
    """Somebody broke the glass: ``request`` seals where and why, and is reviewed until ``due``.

    ``count`` is how many people are told at once.
    """

    kind: ClassVar[str] = "glass.broken"
    request: str = identifier()
    by: str = identifier()
    end: str = moment()
    due: str = moment()
    count: int = number()


@dataclass(frozen=True, kw_only=True)
class GlassUsed(Event):
    """A run began that only a broken glass let begin. ``glass`` is the request of that glass."""

    kind: ClassVar[str] = "glass.used"
    glass: str = identifier()
    run: str = identifier()
    request: str = identifier()
    mode: Mode = one_of(Mode)
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class ReviewOverdue(Event):
    """What went without an approval was reviewed by nobody until ``due``; those who may are told again."""

    kind: ClassVar[str] = "review.overdue"
    request: str = identifier()
    due: str = moment()
    count: int = number()


GLASS_EVENTS: tuple[type[Event], ...] = (GlassBroken, GlassUsed, ReviewOverdue)
