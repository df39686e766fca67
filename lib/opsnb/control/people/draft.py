"""The rules that every change about people keeps.

Rules without I/O. A :class:`Draft` takes changes one after the other; :meth:`Draft.finish` looks at the whole:

* Names of a kind differ in looks, and a full name is not another's sign-in name. A sign-in name is never given twice,
  for somebody who has left keeps theirs.
* A built-in role cannot be changed, one that somebody holds cannot be removed, nor a department that is not empty.
* Departments are a tree. A leader is an active person.
* A delegation goes from one active person to another, begins in no past, ends after it begins and within half a year,
  and the two have no other at that time.
* There is always an active person who is an administrator.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from opsnb.base.errors import NotFoundError, RefusedError, UsageError
from opsnb.base.looks import skeleton
from opsnb.base.nearest import did_you_mean
from opsnb.control.people.builtin import ADMINISTRATOR, ROLES
from opsnb.control.people.changes import (
    AddDelegate,
    AddPerson,
    Change,
    ChangePerson,
    DropDepartment,
    DropRole,
    EndDelegate,
    GiveRole,
    SetActive,
    SetDepartment,
    SetRole,
    TakeRole,
)
from opsnb.control.people.rules import Directory
from opsnb.control.people.values import Delegate, Department, Kind, Person, Role

LONGEST_DELEGATION = timedelta(days=184)
MAX_PEOPLE = 200_000
MAX_DEPTH = 50  # levels of departments


class Draft:
    """A directory that changes are tried on; what is refused leaves it as it was."""

    def __init__(self, directory: Directory) -> None:
        self.before = directory
        self.people = dict(directory.people)
        self.departments = dict(directory.departments)
        self.roles = dict(directory.roles)
        self.memberships = {person: dict.fromkeys(roles) for person, roles in directory.memberships.items()}
        self.delegates = {delegate.id: delegate for delegate in directory.delegates}
        self._logins = {skeleton(person.name): person for person in self.people.values()}
        self._managed = bool(directory.holders(ADMINISTRATOR.id))

    def apply(self, change: Change) -> None:
        """Take one change.

        Raises:
            UsageError: If it breaks a rule; names what and why.
            NotFoundError: If it names what is not there.
            RefusedError: If something stands against it that has to go first.
        """
        match change:
            case AddPerson(person=person):
                self._add(person)
            case ChangePerson(person=person):
                self._change(person)
            case SetActive(person=who, active=active):
                self.people[who] = replace(self._person(who), active=active)
            case GiveRole(person=who, role=role):
                self._person(who)
                self.memberships.setdefault(who, {})[self._role(role).id] = None
            case TakeRole(person=who, role=role):
                self.memberships.get(self._person(who).id, {}).pop(self._role(role).id, None)
            case _:
                self._apply_other(change)

    def _apply_other(self, change: Change) -> None:
        match change:
            case SetRole(role=new):
                self._set_role(new)
            case DropRole(role=role):
                self._drop_role(role)
            case SetDepartment(department=department):
                self._set_department(department)
            case DropDepartment(department=name):
                self._drop_department(name)
            case AddDelegate(delegate=delegate, now=now):
                self._add_delegate(delegate, now)
            case EndDelegate(delegate=name, now=now):
                self._end_delegate(name, now)

    def finish(self) -> Directory:
        """Return the directory with all changes, once the whole keeps the rules.

        Raises:
            RefusedError: If no active person would be an administrator any more.
            UsageError: If departments would be above themselves.
        """
        for department in self.departments.values():
            self._check_tree(department)
        after = self.directory()
        if self._managed and not after.holders(ADMINISTRATOR.id):
            names = ", ".join(sorted(self.before.name(p) for p in self.before.holders(ADMINISTRATOR.id)))
            raise RefusedError(
                f"nobody would be an administrator any more: {names} is the last",
                hint="give somebody else the role first",
            )
        return after

    def directory(self) -> Directory:
        """Return the directory as it is with what was taken so far."""
        memberships = {person: tuple(roles) for person, roles in self.memberships.items() if roles}
        return Directory(
            people=dict(self.people), departments=dict(self.departments), roles=dict(self.roles),
            memberships=memberships, delegates=tuple(self.delegates.values()),
        )  # fmt: skip

    # -- people ----------------------------------------------------------------------------------------------------

    def _add(self, person: Person) -> None:
        if other := self._logins.get(skeleton(person.name)):
            said = "is there already" if other.name == person.name else f"would be taken for '{other.name}'"
            left = "" if other.active else f" {other.name} has left; opsnb user activate {other.name} brings them back."
            raise UsageError(f"user '{person.name}' {said}.{left}".rstrip("."), hint=f"opsnb user show {other.name}")
        if len(self.people) >= MAX_PEOPLE:
            raise UsageError(f"there are {MAX_PEOPLE} users; no more are kept")
        self._check_display(person)
        self._check_department(person.department)
        self.people[person.id] = person
        self._logins[skeleton(person.name)] = person

    def _change(self, person: Person) -> None:
        old = self._person(person.id)
        self._check_display(person)
        self._check_department(person.department)
        self.people[person.id] = replace(
            old, display=person.display, mail=person.mail, department=person.department
        )  # fmt: skip

    def _check_display(self, person: Person) -> None:
        other = self._logins.get(skeleton(person.display)) if person.display else None
        if other is not None and other.id != person.id:
            raise UsageError(
                f"user '{person.name}': the full name '{person.display}' is what '{other.name}' signs in with"
            )

    def _person(self, person: str) -> Person:
        if person not in self.people:
            raise NotFoundError(f"nobody has the id '{person}'")
        return self.people[person]

    # -- roles -----------------------------------------------------------------------------------------------------

    def _role(self, role: str) -> Role:
        found = ROLES.get(role) or self.roles.get(role)
        if found is None:
            raise NotFoundError(f"no role has the id '{role}'")
        return found

    def _set_role(self, role: Role) -> None:
        for other in (*ROLES.values(), *self.roles.values()):
            if other.id != role.id and skeleton(other.name) == skeleton(role.name):
                what = "built in and cannot be changed" if other.builtin else f"taken for '{other.name}'"
                raise UsageError(f"role '{role.name}' would be {what}", hint="give it another name")
        self.roles[role.id] = role

    def _drop_role(self, role: str) -> None:
        found = self._role(role)
        if found.builtin:
            raise RefusedError(f"role '{found.name}' is built in and cannot be removed")
        if held := [self.people[p].name for p, roles in self.memberships.items() if role in roles]:
            raise RefusedError(
                f"role '{found.name}' is held by {_few(held)}", hint=f"opsnb user set {held[0]} --no-role {found.name}"
            )
        del self.roles[role]

    # -- departments -----------------------------------------------------------------------------------------------

    def _set_department(self, department: Department) -> None:
        for other in self.departments.values():
            if other.id != department.id and skeleton(other.name) == skeleton(department.name):
                raise UsageError(f"department '{department.name}' would be taken for '{other.name}'")
        if department.parent:
            self._check_department(department.parent)
        if department.leader:
            leader = self._person(department.leader)
            if leader.kind is not Kind.PERSON or not leader.active:
                why = "is a service account" if leader.kind is not Kind.PERSON else "has left"
                raise UsageError(f"department '{department.name}': {leader.name} {why} and cannot lead it")
        self.departments[department.id] = department

    def _drop_department(self, department: str) -> None:
        self._check_department(department)
        found = self.departments[department]
        members = [p.name for p in self.people.values() if p.department == department]
        below = [d.name for d in self.departments.values() if d.parent == department]
        if members or below:
            raise RefusedError(f"department '{found.name}' still has {_few(below or members)}", hint="move them first")
        del self.departments[department]

    def _check_department(self, department: str) -> None:
        if department and department not in self.departments:
            raise NotFoundError(f"no department has the id '{department}'")

    def _check_tree(self, department: Department) -> None:
        path = [department]
        while path[-1].parent:
            path.append(self.departments[path[-1].parent])
            if path[-1].id == department.id:
                raise UsageError(
                    f"department '{department.name}' would be above itself: {' in '.join(d.name for d in path)}"
                )
            if len(path) > MAX_DEPTH:
                raise UsageError(f"department '{department.name}' is more than {MAX_DEPTH} levels deep")

    # -- delegates -------------------------------------------------------------------------------------------------

    def _add_delegate(self, delegate: Delegate, now: datetime) -> None:
        principal, person = self._person(delegate.from_), self._person(delegate.to)
        what = f"{person.name} cannot stand in for {principal.name}"
        for one in (principal, person):
            if one.kind is not Kind.PERSON or not one.active:
                why = "is a service account" if one.kind is not Kind.PERSON else "has left"
                raise UsageError(f"{what}: {one.name} {why}")
        if principal.id == person.id:
            raise UsageError(f"{principal.name} needs no delegate to be {principal.name}")
        if delegate.begin < now - timedelta(minutes=1):
            raise UsageError(
                f"{what} in the past: {delegate.begin:%Y-%m-%d %H:%M} UTC is over", hint="leave --from out"
            )
        if not delegate.begin < delegate.end:
            raise UsageError(f"{what}: the end, {delegate.end:%Y-%m-%d %H:%M} UTC, is not after the beginning")
        if delegate.end - delegate.begin > LONGEST_DELEGATION:
            raise UsageError(f"{what} for longer than {LONGEST_DELEGATION.days} days", hint="renew it when it ends")
        for other in self.delegates.values():
            same = (other.from_, other.to) == (delegate.from_, delegate.to)
            if same and other.begin < delegate.end and delegate.begin < other.until:
                raise UsageError(
                    f"{person.name} stands in for {principal.name} already, until {other.until:%Y-%m-%d %H:%M} UTC",
                    hint=f"opsnb delegate remove {other.id}",
                )
        self.delegates[delegate.id] = delegate

    def _end_delegate(self, delegate: str, now: datetime) -> None:
        found = self.delegates.get(delegate)
        if found is None:
            raise NotFoundError(
                f"no delegation has the id '{delegate}'",
                hint=did_you_mean(delegate, self.delegates, what="delegations"),
            )
        if found.until <= now:
            raise UsageError(f"delegation {delegate} ended at {found.until:%Y-%m-%d %H:%M} UTC already")
        self.delegates[delegate] = replace(found, removed=now)


def first_person(directory: Directory, person: Person) -> tuple[Change, ...]:
    """Return what makes a person known who opens the workspace: they administer it while nobody else does."""
    new: tuple[Change, ...] = () if person.id in directory.people else (AddPerson(person=person),)
    held = ADMINISTRATOR.id in directory.memberships.get(person.id, ())
    if directory.holders(ADMINISTRATOR.id) or held or person.kind is not Kind.PERSON:
        return new
    return (*new, GiveRole(person=person.id, role=ADMINISTRATOR.id))


def _few(names: list[str]) -> str:
    most = 5
    return ", ".join(sorted(names)[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
