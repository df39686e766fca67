"""Policies: who has to approve what, and the bounds that hold meanwhile. Rules without I/O.

* A policy fits a request by risk, environment and runbook. For each environment among the hosts the first that fits
  applies, in the order of the file; where none does, the built-in one of that risk.
* Where several apply, the strictest of each property wins; the result does not depend on the order of the hosts.
* A notebook's front matter tightens what applies and never loosens it: a laxer value has no effect.
* A policy that asks for nobody (``free``) does so only for the people and runbooks it names, and only where every
  policy that applies does. So does one that lets people break the glass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.base.looks import skeleton
from opsnb.control.approvals.freeze import Freeze
from opsnb.control.approvals.handlers import meant
from opsnb.control.approvals.strictest import at_least, combined, least
from opsnb.control.approvals.values import DAY, HOUR, Flow, Handler, HandlerKind, Step, Subject, Who
from opsnb.control.records import Risk

ANYONE = (Handler(kind=HandlerKind.ANYONE),)
NOTEBOOK = ".ipynb"
REVIEW = DAY  # seconds in which what went without an approval is reviewed, where a policy says nothing
GLASS = "break_glass"  # what a policy takes for the runbook of a broken glass
GLASS_MOST = HOUR  # seconds that a broken glass holds at most, whatever a policy says
GLASS_REVIEW = DAY  # seconds in which it is reviewed at the latest


@dataclass(frozen=True, kw_only=True)
class Free:
    """Runbooks that need no approval when certain people ask for them.

    Args:
        people: Who: whoever one of these handlers means.
        runbooks: Globs of runbook ids.
        notice: Who is told.
        review: Seconds in which somebody else has to look at it.
    """

    people: tuple[Handler, ...]
    runbooks: tuple[str, ...]
    notice: tuple[Handler, ...]
    review: float = REVIEW

    def covers(self, subject: Subject, who: Who) -> bool:
        """Whether it lets the requester go without an approval: a named, active person, never a service account."""
        person = subject.requester
        named = person in meant(self.people, subject, who)[0]
        return named and who.active(person) and not who.bot(person) and covers(self.runbooks, subject.runbook)


@dataclass(frozen=True, kw_only=True)
class Glass:
    """Who may act without an approval in an emergency, loudly and for a short time.

    Args:
        people: Who: whoever one of these handlers means.
        notice: Who is told, besides everybody who may approve there.
        at_most: Seconds that it holds at most.
        review: Seconds from the breaking in which somebody else has to look at it.
    """

    people: tuple[Handler, ...]
    notice: tuple[Handler, ...] = ()
    at_most: float = GLASS_MOST
    review: float = GLASS_REVIEW

    def names(self, subject: Subject, who: Who) -> bool:
        """Whether it names the requester: an active person, never a service account."""
        person = subject.requester
        return person in meant(self.people, subject, who)[0] and who.active(person) and not who.bot(person)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What holds for a request.

    Args:
        names: The policies that it was made of, in the order of the file.
        steps: Who has to approve, as a flow.
        free: What goes without, one for each of ``names``; empty: nothing.
        notice: Who is told of every run under it.
        max_hosts: How many hosts a request may have; 0: as many as there are.
        batch: How many hosts may be changed at a time; 0: as many as the runbook says.
        freezes: When nothing is changed.
        protected: Whether ``exec``, ``ssh`` and ``cp`` need a grant.
        grant: Seconds that such a grant holds at most.
        glass: Who may break the glass, one for each of ``names``; empty: nobody.
    """

    names: tuple[str, ...]
    steps: Flow = field(default_factory=Flow)
    free: tuple[Free, ...] = ()
    notice: tuple[Handler, ...] = ()
    max_hosts: int = 0
    batch: int = 0
    freezes: tuple[Freeze, ...] = ()
    protected: bool = False
    grant: float = HOUR
    glass: tuple[Glass, ...] = ()

    @property
    def name(self) -> str:
        """What people call it."""
        return " + ".join(self.names)

    def flow(self, subject: Subject, who: Who) -> Flow:
        """Return what has to be said about a request: nothing where all its policies let the requester go without."""
        if not self.free or not all(f.covers(subject, who) for f in self.free):
            return self.steps
        return replace(self.steps, steps=(), review=min(f.review for f in self.free))

    def told(self, subject: Subject, who: Who, *, glass: bool = False) -> frozenset[str]:
        """Return the ids of those who are told of a run under this policy, of one without an approval in particular."""
        handlers = [*self.notice]
        if glass:
            handlers += [h for g in self.glass for h in g.notice]
        elif not self.flow(subject, who).steps:
            handlers += [h for f in self.free for h in f.notice]
        return meant(handlers, subject, who)[0]

    def may_break(self, subject: Subject, who: Who) -> bool:
        """Whether all of its policies name the requester as one who may break the glass."""
        return bool(self.glass) and all(g.names(subject, who) for g in self.glass)

    @property
    def glass_most(self) -> float:
        """Seconds that a broken glass holds at most; 0 where nobody may break it."""
        return min((GLASS_MOST, *(g.at_most for g in self.glass))) if self.glass else 0.0

    def broken(self, seconds: float) -> Flow:
        """Return the flow of a broken glass: it holds at once for its seconds and owes a review, never one's own."""
        review = min((GLASS_REVIEW, *(g.review for g in self.glass)))
        return Flow(validity=seconds, own=False, review=review)

    def as_json(self) -> JSON:
        """Return it as JSON, for the request that is sealed under it: another policy is another value."""
        return _plain(self)

    def tightened(self, wanted: Mapping[str, Any]) -> Policy:
        """Return this policy as a notebook's ``policy:`` wants it, where that is stricter.

        Args:
            wanted: Of ``approvals``, ``max_hosts``, ``batch`` (numbers), ``validity`` (seconds), ``own``, ``free``,
                ``glass`` (``False`` has an effect); as the front matter's reader gives them.
        """
        steps = at_least(self.steps, int(wanted.get("approvals", 0)))
        return replace(
            self,
            steps=replace(
                steps,
                validity=min(steps.validity, wanted.get("validity", steps.validity)),
                own=steps.own and wanted.get("own", True),
            ),
            free=self.free if wanted.get("free", True) and not wanted.get("approvals") else (),
            glass=self.glass if wanted.get("glass", True) else (),
            max_hosts=least(self.max_hosts, wanted.get("max_hosts", 0)),
            batch=least(self.batch, wanted.get("batch", 0)),
        )


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One policy as the file has it: when it fits, and what holds then."""

    policy: Policy
    risks: frozenset[Risk] = frozenset({Risk.CHANGE, Risk.DANGER})
    environments: tuple[str, ...] = ("*",)
    runbooks: tuple[str, ...] = ("*",)

    def fits(self, risk: Risk, environment: str, runbook: str) -> bool:
        """Whether it is about such a request."""
        return risk in self.risks and looks(environment, self.environments) and covers(self.runbooks, runbook)


def _built_in(name: str, validity: float) -> Policy:
    return Policy(names=(name,), steps=Flow(steps=(Step(name="approve", handlers=ANYONE),), validity=validity))


BUILT_IN = {
    Risk.READ: Policy(names=("built-in read",), steps=Flow()),
    Risk.CHANGE: _built_in("built-in change", DAY),
    Risk.DANGER: _built_in("built-in danger", 4 * HOUR),
}


@dataclass(frozen=True, kw_only=True)
class Policies:
    """Every policy of a workspace, in the order of the file."""

    rules: tuple[Rule, ...] = ()

    def choose(self, risk: Risk, environments: Iterable[str], runbook: str) -> Policy:
        """Return the policy that holds for a request.

        Args:
            risk: The runbook's risk; ``read`` never needs an approval.
            environments: Every environment among its hosts; a host without one is in ``""``.
            runbook: The runbook's id, or the name of what is asked for instead (``exec``, ``ssh``, ``cp``).
        """
        found = {self._first(risk, environment, runbook) for environment in sorted(set(environments) or {""})}
        places = sorted(found, key=lambda at: (at is None, at))
        return merged([BUILT_IN[risk] if at is None else self.rules[at].policy for at in places])

    def _first(self, risk: Risk, environment: str, runbook: str) -> int | None:
        return next((n for n, rule in enumerate(self.rules) if rule.fits(risk, environment, runbook)), None)


def merged(policies: list[Policy]) -> Policy:
    """Return the policy that is as strict as each of several: the strictest of each property."""
    if len(policies) == 1:
        return policies[0]
    max_hosts = batch = 0
    for policy in policies:
        max_hosts, batch = least(max_hosts, policy.max_hosts), least(batch, policy.batch)
    return Policy(
        names=tuple(name for p in policies for name in p.names),
        steps=combined([p.steps for p in policies]),
        free=tuple(f for p in policies for f in p.free) if all(p.free for p in policies) else (),
        notice=tuple(dict.fromkeys(h for p in policies for h in p.notice)),
        max_hosts=max_hosts,
        batch=batch,
        freezes=tuple(dict.fromkeys(f for p in policies for f in p.freezes)),
        protected=any(p.protected for p in policies),
        grant=min(p.grant for p in policies),
        glass=tuple(g for p in policies for g in p.glass) if all(p.glass for p in policies) else (),
    )


def _plain(value: Any) -> JSON:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return repr(value)
    return value if value is None or isinstance(value, int) else str(value)


def matches(name: str, globs: Iterable[str]) -> bool:
    """Whether a name fits one of several globs; upper and lower case are different."""
    return any(fnmatchcase(name, glob) for glob in globs)


def looks(name: str, globs: tuple[str, ...]) -> bool:
    """Whether a name fits one of several globs, or looks as if it did: ``Prod``, or a Cyrillic letter in ``prod``.

    Otherwise a host would leave a policy by another spelling that nobody sees when it is activated.
    """
    return matches(name, globs) or matches(skeleton(name), map(skeleton, globs))


def covers(globs: tuple[str, ...], runbook: str) -> bool:
    """Whether globs mean a runbook: a glob of ids never means a notebook that is known by its path."""
    if runbook.endswith(NOTEBOOK):
        globs = tuple(g for g in globs if g == "*" or g.endswith(NOTEBOOK))
    return matches(runbook, globs)
