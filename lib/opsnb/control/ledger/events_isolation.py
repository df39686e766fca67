"""What the ledger says about a run that asked for what it may not have."""

# ruff: noqa: RUF009 - one_of() and its like are dataclasses.field() with a check, called once, for the class
from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from opsnb.control.ledger.event import Event, identifier, one_of


class Attempt(StrEnum):
    """What a run asked for over its link, or of the API, and was refused."""

    SECRET = "secret"  # noqa: S105  (the value of a secret that its request does not seal)
    CREDENTIAL = "credential"  # a login that its mode or its request does not give
    PLAN = "plan"  # to propose a plan where there is none to propose, or for hosts that it does not have
    INTENT = "intent"  # to make a change that was not let through
    RESULT = "result"  # to say what became of a change that it did not begin
    API = "api"  # anything of the API, without a token that holds
    TOKEN = "token"  # noqa: S105  (anything of the API, with a token that holds: it is somebody's, and was taken)
    UNKNOWN = "unknown"  # something that no runbook says


@dataclass(frozen=True, kw_only=True)
class RunRefused(Event):
    """A run asked for something that it may not have, and did not get it."""

    kind: ClassVar[str] = "run.refused"
    run: str = identifier()
    attempt: Attempt = one_of(Attempt)


ISOLATION_EVENTS: tuple[type[Event], ...] = (RunRefused,)
