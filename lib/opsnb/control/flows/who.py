"""People as approvals see them: one snapshot of the directory, asked about one request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from opsnb.base.clock import stamp
from opsnb.control.approvals.values import Subject
from opsnb.control.people.rules import Directory, may
from opsnb.control.people.values import Action, Target


@dataclass(frozen=True, kw_only=True)
class Known:
    """The people of a workspace and what one request is done with; what ``approvals.values.Who`` asks for.

    Args:
        directory: The people, of one moment.
        target: The request's runbook, risk and hosts.
    """

    directory: Directory
    target: Target

    def name(self, person: str) -> str:
        """Return what a person is called."""
        return self.directory.name(person)

    def named(self, name: str) -> str:
        """Return the id of the person who signs in with this name."""
        found = self.directory.named(name)
        return found.id if found else ""

    def active(self, person: str) -> bool:
        """Whether they have not left."""
        return self.directory.is_active(person)

    def bot(self, person: str) -> bool:
        """Whether this is a service account, or nobody."""
        return self.directory.is_bot(person)

    def alone(self) -> bool:
        """Whether the workspace has one active person."""
        return len(self.directory.persons) == 1

    def holders(self, role: str) -> frozenset[str]:
        """Return the active persons who hold a role."""
        return self.directory.holders(role)

    def leader(self, department: str) -> str:
        """Return the active leader of a department."""
        return self.directory.leader(department)

    def leader_of(self, person: str) -> str:
        """Return the nearest active leader above a person."""
        return self.directory.leader_of(person)

    def stands_for(self, person: str, at: datetime) -> frozenset[str]:
        """Return those whose delegate they are."""
        return frozenset(self.directory.stands_for(person, at))

    def not_standing(self, person: str, other: str, at: datetime) -> str:
        """Return why somebody may not act as another's delegate, and when their time was over; empty: they may."""
        if other in self.stands_for(person, at):
            return ""
        why = f"{self.name(person)} is not a delegate of {self.name(other)}"
        ended = self.directory.stood_until(person, other, at)
        return f"{why} any more: that ended at {stamp(ended)}" if ended else why

    def standing_until(self, person: str, other: str, at: datetime) -> datetime | None:
        """Return when somebody ceases to be another's delegate; ``None``: they are none."""
        held = [d.until for d in self.directory.delegates if (d.to, d.from_) == (person, other) and d.holds(at)]
        return max(held, default=None)

    def stood_for(self, person: str, other: str, since: datetime, until: datetime) -> bool:
        """Whether they were a delegate of somebody at any moment of a time."""
        return self.directory.was_delegate(person, other, since, until)

    def entitled(self, person: str, subject: Subject, at: datetime) -> str:
        """Return why their own roles do not let them approve this on every host of it."""
        del subject  # the target has the hosts themselves, which says more
        decision = may(self.directory, person, Action.APPROVE, self.target, at)
        if decision.ok and decision.on_behalf_of:
            return f"{self.name(person)} may only on behalf of {self.name(decision.on_behalf_of)}, and has to say so"
        return "" if decision.ok else decision.reason
