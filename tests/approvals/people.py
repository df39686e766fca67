"""People for the approval tests: a snapshot that a test writes down, said to the engine through its protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from opsnb.control.approvals.values import Subject

ASKED = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One delegation: who stands for whom, from when to when."""

    person: str
    stands_for: str
    begin: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class People:
    """A snapshot of people; ids are names."""

    active_ones: frozenset[str]
    bots: frozenset[str] = frozenset()
    roles: dict[str, frozenset[str]] = field(default_factory=dict)
    leaders: dict[str, str] = field(default_factory=dict)
    leaders_of: dict[str, str] = field(default_factory=dict)
    delegates: tuple[Standing, ...] = ()
    nowhere: frozenset[tuple[str, str]] = frozenset()  # person and environment where they may not approve
    lost: dict[str, datetime] = field(default_factory=dict)  # from when on they may approve nothing

    def name(self, person):
        """Ids are names."""
        return person

    def named(self, name):
        """Ids are names."""
        return name if name in self.active_ones | self.bots else ""

    def active(self, person):
        """As written down."""
        return person in self.active_ones

    def bot(self, person):
        """As written down."""
        return person in self.bots

    def alone(self):
        """Service accounts are no people."""
        return len(self.active_ones - self.bots) == 1

    def holders(self, role):
        """As written down."""
        return self.roles.get(role, frozenset())

    def leader(self, department):
        """As written down."""
        return self.leaders.get(department, "")

    def leader_of(self, person):
        """As written down."""
        return self.leaders_of.get(person, "")

    def stands_for(self, person, at):
        """Those whose delegation runs at the moment; the end is not in it."""
        return frozenset(d.stands_for for d in self.delegates if d.person == person and d.begin <= at < d.end)

    def stood_for(self, person, other, since, until):
        """Whether one of the delegations ran at any moment of the time."""
        mine = (d for d in self.delegates if d.person == person and d.stands_for == other)
        return any(d.begin <= until and since < d.end for d in mine)

    def entitled(self, person, subject, at):
        """Everybody is entitled but those written down."""
        if at >= self.lost.get(person, at + timedelta(seconds=1)):
            return f"{person} may not approve anything any more"
        where = [e for e in sorted(subject.environments) if (person, e) in self.nowhere]
        return f"{person} may not approve in {where[0]}" if where else ""


def subject(**values):
    """Return what carol asked for: REQ with plan P."""
    return Subject(**{"request": "R1", "digest": "REQ", "plan": "P", "requester": "carol", "asked": ASKED, **values})
