"""Who may do what: one immutable snapshot of the workspace's people, and the decisions that follow from it.

Rules without I/O:

* Denied unless granted. Nobody who is unknown or inactive may do anything, and a role is all that grants.
* A grant covers a target host by host: each host must be covered, with the runbook and its risk, by one of the grants
  of one's roles. A host without an environment or group is covered by ``*`` alone.
* A service account never approves, administers, activates or breaks the glass, whatever its roles say.
* A delegate may approve with the rights of the one they stand for, while the delegation holds and both are active. What
  somebody holds as a delegate they cannot pass on. No other action is delegated.
* Every decision says why, in names.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from opsnb.base.looks import skeleton
from opsnb.control.people.builtin import ROLES
from opsnb.control.people.values import (
    ANY,
    ON_RUNBOOKS,
    PEOPLE_ONLY,
    RISKS,
    Action,
    Actor,
    Decision,
    Delegate,
    Department,
    Grant,
    Kind,
    Person,
    Role,
    Site,
    Target,
    covers,
    covers_runbook,
)
from opsnb.control.records import Risk

SAID = 3  # grants named in a refusal


@dataclass(frozen=True, kw_only=True)
class Directory:
    """A snapshot of who is who. Keys are ids; a change in the database makes a new snapshot.

    Args:
        people: Everybody who ever was.
        departments: The tree.
        roles: Own roles; the built-in ones are there without being named.
        memberships: Person to the roles given to them.
        delegates: All of them, past and to come.
    """

    people: Mapping[str, Person] = field(default_factory=dict)
    departments: Mapping[str, Department] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    memberships: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    delegates: tuple[Delegate, ...] = ()

    # -- who is who ------------------------------------------------------------------------------------------------

    def person(self, person: str) -> Person | None:
        """Return the person with this id."""
        return self.people.get(person)

    def named(self, name: str) -> Person | None:
        """Return the person who signs in with this name; case does not matter."""
        return self._by_name.get(name.casefold())

    def name(self, person: str) -> str:
        """Return the name of the person with this id, the id where nobody has it."""
        found = self.people.get(person)
        return found.name if found else person

    def is_bot(self, person: str) -> bool:
        """Whether this is no person who could approve: a service account, or nobody we know."""
        found = self.people.get(person)
        return found is None or found.kind is not Kind.PERSON

    def is_active(self, person: str) -> bool:
        """Whether this is somebody we know who has not left."""
        found = self.people.get(person)
        return found is not None and found.active

    def alike(self, text: str) -> frozenset[str]:
        """Return the ids of those whose name, full name or mail address looks like this, active or not."""
        return self._alike.get(skeleton(text), frozenset())

    @functools.cached_property
    def persons(self) -> frozenset[str]:
        """The ids of the active persons, without service accounts: as many people as the workspace has."""
        return frozenset(p.id for p in self.people.values() if p.active and p.kind is Kind.PERSON)

    # -- roles -----------------------------------------------------------------------------------------------------

    def role(self, name: str) -> Role | None:
        """Return the role with this id or name, built-in or own; case does not matter."""
        return self._roles.get(name) or self._roles_by_name.get(name.casefold())

    def roles_of(self, person: str) -> tuple[Role, ...]:
        """Return the roles of a person, active or not."""
        return tuple(self._roles[r] for r in self.memberships.get(person, ()) if r in self._roles)

    def holders(self, role: str) -> frozenset[str]:
        """Return the ids of the active persons who hold a role, by its id or name; never a service account."""
        found = self.role(role)
        return self._holders.get(found.id, frozenset()) if found else frozenset()

    # -- departments -----------------------------------------------------------------------------------------------

    def department(self, name: str) -> Department | None:
        """Return the department with this id or name; case does not matter."""
        return self.departments.get(name) or self._departments_by_name.get(name.casefold())

    def path(self, department: str) -> Iterator[Department]:
        """Yield a department and those above it, by id; a cycle, which the store refuses, ends the walk."""
        seen: set[str] = set()
        while department and department not in seen and department in self.departments:
            seen.add(department)
            yield self.departments[department]
            department = self.departments[department].parent

    def leader(self, department: str) -> str:
        """Return the id of the active leader of a department, by its id or name; empty without one."""
        found = self.department(department)
        return found.leader if found and found.leader in self.persons else ""

    def leader_of(self, person: str) -> str:
        """Return the id of the nearest active leader above a person, who is never themselves; empty without one."""
        found = self.people.get(person)
        above = (d.leader for d in self.path(found.department)) if found else iter(())
        return next((leader for leader in above if leader in self.persons and leader != person), "")

    def members(self, department: str) -> frozenset[str]:
        """Return the ids of the active people in a department, by its id or name, and in those below it."""
        found = self.department(department)
        if found is None:
            return frozenset()
        below = {d for d in self.departments if any(above.id == found.id for above in self.path(d))}
        return frozenset(p.id for p in self.people.values() if p.active and p.department in below)

    # -- delegates -------------------------------------------------------------------------------------------------

    def stands_for(self, person: str, now: datetime) -> tuple[str, ...]:
        """Return the ids of those whose delegate a person is now; both are active persons. Never chained."""
        if person not in self.persons:
            return ()
        holding = (d.from_ for d in self._delegates_to.get(person, ()) if d.holds(now) and d.from_ in self.persons)
        return tuple(dict.fromkeys(holding))

    def stood_for_by(self, person: str, now: datetime) -> tuple[str, ...]:
        """Return the ids of those who are a person's delegates now."""
        there = self._delegates_from.get(person, ())
        return tuple(dict.fromkeys(d.to for d in there if person in self.stands_for(d.to, now)))

    def was_delegate(self, person: str, of: str, since: datetime, now: datetime) -> bool:
        """Whether ``person`` was a delegate of ``of`` at any moment from ``since`` to ``now``.

        One that was removed counts as long as it held: removing it just before approving hides nothing.
        """
        return any(d.from_ == of and d.held_between(since, now) for d in self._delegates_to.get(person, ()))

    def stood_until(self, person: str, of: str, now: datetime) -> datetime | None:
        """Return when the last delegation of ``of`` to ``person`` that began was over; ``None``: there was none."""
        ended = [d.until for d in self._delegates_to.get(person, ()) if d.from_ == of and d.begin < d.until <= now]
        return max(ended, default=None)

    # -- indexes ---------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _roles(self) -> Mapping[str, Role]:
        return {**self.roles, **ROLES}

    @functools.cached_property
    def _roles_by_name(self) -> Mapping[str, Role]:
        return {role.name.casefold(): role for role in self._roles.values()}

    @functools.cached_property
    def _by_name(self) -> Mapping[str, Person]:
        return {person.name.casefold(): person for person in self.people.values()}

    @functools.cached_property
    def _alike(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for person in self.people.values():
            for text in filter(None, (person.name, person.display, person.mail)):
                found.setdefault(skeleton(text), set()).add(person.id)
        return {looks: frozenset(persons) for looks, persons in found.items()}

    @functools.cached_property
    def _departments_by_name(self) -> Mapping[str, Department]:
        return {department.name.casefold(): department for department in self.departments.values()}

    @functools.cached_property
    def _holders(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for person in self.persons:
            for role in self.memberships.get(person, ()):
                found.setdefault(role, set()).add(person)
        return {role: frozenset(persons) for role, persons in found.items()}

    @functools.cached_property
    def _delegates_to(self) -> Mapping[str, tuple[Delegate, ...]]:
        return _grouped((delegate.to, delegate) for delegate in self.delegates)

    @functools.cached_property
    def _delegates_from(self) -> Mapping[str, tuple[Delegate, ...]]:
        return _grouped((delegate.from_, delegate) for delegate in self.delegates)


def decide(directory: Directory, actor: Actor, action: Action, target: Target, now: datetime) -> Decision:
    """Return whether the one who acts may, with the session or token that they came in by."""
    if not actor.in_scope(action):
        return Decision(ok=False, reason=f"this {actor.via} of {actor.person.name} is not good for '{action}'")
    return may(directory, actor.person.id, action, target, now)


def may(directory: Directory, person: str, action: Action, target: Target, now: datetime) -> Decision:
    """Return whether a person, by id, may do this with the target, and why.

    It knows people, roles and delegates. Whose request it is, who wrote the notebook, policies and freezes are the
    approval engine's to judge, on top.
    """
    found = directory.person(person)
    if found is None:
        return Decision(ok=False, reason=f"nobody here has the id '{person}'")
    if not found.active:
        return Decision(ok=False, reason=f"{found.name} is inactive")
    if found.kind is not Kind.PERSON and action in PEOPLE_ONLY:
        return Decision(ok=False, reason=f"{found.name} is a service account, and those never {action.verb}")
    own = _granted(directory, found, action, target)
    if own.ok or action is not Action.APPROVE:
        return own
    for other in directory.stands_for(person, now):
        lent = _granted(directory, directory.people[other], action, target)
        if lent.ok:
            reason = f"{found.name} is a delegate of {directory.name(other)}: {lent.reason}"
            return Decision(ok=True, reason=reason, on_behalf_of=other, through=lent.through)
    return own


def may_partly(directory: Directory, actor: Actor, action: Action, target: Target) -> bool:
    """Whether one may do this with what the target names, leaving open what it does not.

    With some runbook where it names none, and somewhere where it names no host: what a list shows to whom.
    """
    person = directory.person(actor.person.id)
    if person is None or not person.active or not actor.in_scope(action):
        return False
    if person.kind is not Kind.PERSON and action in PEOPLE_ONLY:
        return False
    open_: dict[str, Any] = {} if target.runbook else {"runbooks": ANY, "risk": Risk.DANGER}
    open_ |= {} if target.sites else {"environments": ANY, "groups": ANY}
    held = (grant for role in directory.roles_of(person.id) for grant in role.grants if grant.action is action)
    grants = [replace(grant, **open_) for grant in held]
    return all(any(_obstacle(grant, target, site) == "" for grant in grants) for site in target.sites or (None,))


def _granted(directory: Directory, person: Person, action: Action, target: Target) -> Decision:
    """Decide by a person's own roles."""
    roles = directory.roles_of(person.id)
    grants = [(role, grant) for role in roles for grant in role.grants if grant.action is action]
    if not grants:
        held = ", ".join(role.name for role in roles)
        why = f"{person.name} has the role {held}, which may not" if held else f"{person.name} has no role: may not"
        return Decision(ok=False, reason=f"{why} {action.verb}")
    through: dict[str, str] = {}
    bare = (Site(name="", environment=environment) for environment in target.environments)
    for site in (*target.sites, *bare) or (None,):
        role = next((role for role, grant in grants if _obstacle(grant, target, site) == ""), None)
        if role is None:
            return Decision(ok=False, reason=_refusal(grants, target, site))
        through[role.id] = role.name
    return Decision(ok=True, reason=f"{', '.join(through.values())} may {action.verb} this", through=tuple(through))


def _obstacle(grant: Grant, target: Target, site: Site | None) -> str:
    """Return what keeps a grant from covering the target on one site, in words; empty when nothing does."""
    if grant.action in ON_RUNBOOKS:
        if not covers_runbook(grant.runbooks, target.runbook):
            return f"this is {target.runbook or 'no runbook'}"
        if RISKS.index(target.risk) > RISKS.index(grant.risk):
            return f"this has the risk {target.risk}"
    if site is None:
        limited = "*" not in grant.environments or "*" not in grant.groups
        return "this names no host and no environment" if limited else ""
    if not covers(grant.environments, site.environment):
        where = f"{site.name} is " if site.name else "this is "
        return where + (f"in {site.environment}" if site.environment else "in no environment")
    if not ("*" in grant.groups or any(covers(grant.groups, group) for group in site.groups)):
        return f"{site.name or 'this'} is in " + (
            f"group {', '.join(sorted(site.groups))}" if site.groups else "no group"
        )
    return ""


def _refusal(grants: list[tuple[Role, Grant]], target: Target, site: Site | None) -> str:
    """Say what one may, and why this is not it: ``web-ops may approve NGX-* in staging; web1 is in prod``."""
    words = [f"{role.name} may {grant}; {_obstacle(grant, target, site)}" for role, grant in grants[:SAID]]
    more = [f"and {len(grants) - SAID} more grants do not cover it"] if len(grants) > SAID else []
    return " · ".join((*words, *more))


def _grouped(pairs: Iterable[tuple[str, Delegate]]) -> Mapping[str, tuple[Delegate, ...]]:
    found: dict[str, list[Delegate]] = {}
    for person, delegate in pairs:
        found.setdefault(person, []).append(delegate)
    return {person: tuple(rows) for person, rows in found.items()}
