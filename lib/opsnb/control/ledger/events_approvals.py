"""What the ledger says about approvals: who asked, who did what about it in whose right, and what it came to.

Steps are numbers in the flow of the policy, from 1; 0 is the whole request. A comment is SHA-256(salt ‖ text), and the
salt stands beside the text: without both, the digest says nothing.
"""

# ruff: noqa: RUF009 - identifier() and its like are dataclasses.field() with a check, called once, for the class
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsnb.control.ledger.event import Event, digested, flag, identifier, number, one_of
from opsnb.control.records import ActKind, ApprovalStatus


@dataclass(frozen=True, kw_only=True)
class RequestAsked(Event):
    """Somebody asked for the approval of a request with its plan, under the policy that holds for it.

    ``plan`` is SHA-256(salt ‖ ASCII plan digest), ``policy`` SHA-256(salt ‖ canonical policy).
    """

    kind: ClassVar[str] = "request.asked"
    request: str = identifier()
    by: str = identifier()
    plan: str = digested()
    policy: str = digested()


@dataclass(frozen=True, kw_only=True)
class RequestApproved(Event):
    """Somebody approved a request with the plan they read. ``plan`` is SHA-256(salt ‖ ASCII plan digest).

    ``voice`` is the person whose right they used: another one where they acted as a delegate or a step was handed to
    them. ``self`` says that the requester approved, as the only person of the workspace.
    """

    kind: ClassVar[str] = "request.approved"
    request: str = identifier()
    by: str = identifier()
    voice: str = identifier()
    step: int = number()
    plan: str = digested()
    comment: str = digested()
    self_approved: bool = flag(name="self")


@dataclass(frozen=True, kw_only=True)
class RequestActed(Event):
    """Somebody, or the clock, did anything else about a request.

    ``by`` is ``clock`` where the time did it. ``to`` is to whom a step was handed, else whoever acted.
    """

    kind: ClassVar[str] = "request.acted"
    request: str = identifier()
    act: ActKind = one_of(ActKind)
    by: str = identifier()
    voice: str = identifier()
    to: str = identifier()
    step: int = number()
    plan: str = digested()
    comment: str = digested()


@dataclass(frozen=True, kw_only=True)
class RequestSettled(Event):
    """What was said about a request adds up to something else now."""

    kind: ClassVar[str] = "request.settled"
    request: str = identifier()
    status: ApprovalStatus = one_of(ApprovalStatus)


APPROVAL_EVENTS: tuple[type[Event], ...] = (RequestAsked, RequestApproved, RequestActed, RequestSettled)
