"""What somebody is told: a kind and what it is about. Values without I/O; the words are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NoticeKind(StrEnum):
    """Why somebody is told."""

    RUN = "run"  # a change began under a policy that tells them
    FREE = "free"  # a change began that nobody had to approve
    GLASS = "glass"  # somebody broke the glass
    GLASS_RUN = "glass_run"  # a change began under a broken glass
    ESCALATED = "escalated"  # a step waited too long, and they may approve it too
    REVIEW_OVERDUE = "review_overdue"  # nobody looked in time at what went without an approval


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One thing that one person is told once.

    Args:
        person: Id of who is told.
        kind: Why.
        request: The request that it is about.
        run: The run that it is about; empty where it is about the request.
    """

    person: str
    kind: NoticeKind
    request: str
    run: str = ""
