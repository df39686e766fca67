"""Who may let a change through, written anew from the promises: no code of the program is used here.

The oracle keeps its own books of people, delegations, requests and acts, with moments as minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

TIMEOUT = 5  # minutes that a run may take
BOT = "robot"


@dataclass(frozen=True)
class Rules:
    """What a policy wants: how many, whether only approvers, minutes that an approval counts, freezes as minutes."""

    need: int
    only_role: bool = False
    validity: int = 24 * 60
    own: bool = True
    freezes: tuple[tuple[int, int], ...] = ()
    free: frozenset[str] = frozenset()


@dataclass
class Said:
    """One approval that was let in."""

    person: str
    voice: str
    at: int
    digests: tuple[str, str]


@dataclass
class Asked:
    """One request."""

    requester: str
    authors: frozenset[str]
    digests: tuple[str, str]
    rules: str
    asked: int
    approvals: list[Said] = field(default_factory=list)
    ended: bool = False
    applied: bool = False


@dataclass
class Books:
    """Everybody and everything."""

    roles: dict[str, set[str]]
    active: set[str]
    policies: dict[str, Rules]
    policy: str
    delegations: list[list] = field(default_factory=list)  # [principal, delegate, begin, end]
    requests: dict[str, Asked] = field(default_factory=dict)

    def alone(self):
        """Whether one person is left."""
        return len(self.active - {BOT}) == 1

    def stands(self, delegate, principal, now):
        """Whether somebody stands for somebody at a moment; both have to be here."""
        return {delegate, principal} <= self.active and any(
            d[0] == principal and d[1] == delegate and d[2] <= now < d[3] for d in self.delegations
        )

    def stood(self, delegate, principal, since, until):
        """Whether somebody stood for somebody at any moment of a time, whatever became of it."""
        return any(
            d[0] == principal and d[1] == delegate and d[2] < d[3] and d[2] <= until and since < d[3]
            for d in self.delegations
        )

    def may(self, person, *roles):
        """Whether somebody who is here has one of several roles."""
        return person in self.active and bool(self.roles.get(person, set()) & {"administrator", *roles})

    def never(self, who, asked, now, rules):
        """Whether somebody's yes is worth nothing."""
        if who == BOT or who not in self.active:
            return True
        if who == asked.requester:
            return not (self.alone() and rules.own)
        return who in asked.authors or self.stood(who, asked.requester, asked.asked, now)

    def counts(self, one, asked, now, rules):
        """Whether an approval counts at a moment."""
        if one.digests != asked.digests or not one.at <= now < one.at + rules.validity or one.at < asked.asked:
            return False
        if any(self.never(who, asked, now, rules) for who in (one.person, one.voice)):
            return False
        if one.voice != one.person and not self.stands(one.person, one.voice, now):
            return False
        able = self.may(one.voice, "approver")
        return able and (not rules.only_role or "approver" in self.roles.get(one.voice, set()))

    def enough(self, asked, now):
        """Whether enough different people, by enough different rights, approved."""
        rules = self.policies[self.policy]
        if asked.requester in rules.free and asked.requester in self.active:
            return True
        good = [one for one in asked.approvals if self.counts(one, asked, now, rules)]
        return any(
            len({o.person for o in some}) == rules.need and len({o.voice for o in some}) == rules.need
            for some in combinations(good, rules.need)
        )

    def frozen(self, now):
        """Whether a run that begins now would touch a freeze."""
        return any(begin < now + TIMEOUT and now < end for begin, end in self.policies[self.policy].freezes)

    def lets(self, request, starter, now):
        """Whether a change of a request may begin."""
        asked = self.requests[request]
        return (
            not asked.ended
            and asked.rules == self.policy
            and self.may(asked.requester, "engineer")
            and self.may(starter, "engineer")
            and not self.frozen(now)
            and self.enough(asked, now)
        )

    def wrong_yes(self, request, person, voice, now):
        """Whether letting this approval in would break a promise."""
        asked, rules = self.requests[request], self.policies[self.policy]
        lent = voice != person and not self.stands(person, voice, now)
        return lent or any(self.never(who, asked, now, rules) for who in {person, voice})
