"""What is wanted of people, in names, and the changes, in ids, that it takes: for commands and for imported files.

Rules without I/O. ``None`` is "as it is". What is so already takes no change, so asking twice changes nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from opsnb.base.errors import NotFoundError, UsageError
from opsnb.base.nearest import did_you_mean
from opsnb.control.people import grants
from opsnb.control.people.builtin import ROLES
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
from opsnb.control.people.draft import Draft
from opsnb.control.people.names import full_text, login_name, mail_address, role_name, shown
from opsnb.control.people.values import Delegate, Department, Kind, Person, Role

MAX_ROLES = 50  # of one person


@dataclass(frozen=True, kw_only=True)
class User:
    """A user as wanted. ``roles`` is all that they shall have; ``give`` and ``take`` are some of them."""

    name: str
    display: str | None = None
    mail: str | None = None
    department: str | None = None
    roles: tuple[str, ...] | None = None
    give: tuple[str, ...] = ()
    take: tuple[str, ...] = ()
    kind: Kind | None = None
    active: bool | None = None


class Wanted:
    """Takes what is wanted and collects the changes, each tried on a draft at once."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.changes: list[Change] = []
        self._users = {person.name.casefold(): person.id for person in draft.people.values()}

    # -- users -----------------------------------------------------------------------------------------------------

    def add(self, user: User) -> None:
        """Want a user who is not there yet."""
        known = self.draft.people.get(self._users.get(user.name.casefold(), ""))
        if known is None:
            self.user(user)
            return
        back = "" if known.active else f"; they have left: opsnb user activate {known.name}"
        raise UsageError(f"user '{known.name}' is there already{back}", hint=f"opsnb user set {known.name} ...")

    def user(self, user: User) -> None:
        """Want a user, new or changed.

        Raises:
            UsageError: If a name or a rule is broken.
            NotFoundError: If it names a role or department that is not there.
        """
        known = self.draft.people.get(self._users.get(user.name.casefold(), ""))
        if known is None:
            person = self._fields(Person(id=f"u-{secrets.token_hex(4)}", name=login_name(user.name)), user)
            person = replace(person, kind=user.kind or Kind.PERSON)
            self._do(AddPerson(person=person))
            self._users[person.name.casefold()] = person.id
        else:
            if user.kind not in {None, known.kind}:
                raise UsageError(f"user '{known.name}' is a {known.kind}, and that never changes")
            person = self._fields(known, user)
            if person != known:
                self._do(ChangePerson(person=person))
        self._roles(person, user)
        if user.active is not None and user.active != self.draft.people[person.id].active:
            self._do(SetActive(person=person.id, active=user.active))

    def known(self, name: str) -> Person:
        """Return the user called so.

        Raises:
            NotFoundError: Holds the nearest name.
        """
        found = self._users.get(name.casefold())
        if found is None:
            hint = did_you_mean(name, [p.name for p in self.draft.people.values()], what="users")
            raise NotFoundError(f"no user is called '{shown(name)}'", hint=hint)
        return self.draft.people[found]

    def _fields(self, person: Person, user: User) -> Person:
        """Return a person with the fields that are wanted."""
        if user.display is not None:
            person = replace(person, display=full_text(user.display, "full name", empty=True))
        if user.mail is not None:
            person = replace(person, mail=mail_address(user.mail))
        if user.department is not None:
            person = replace(person, department=self._department(user.department).id if user.department else "")
        return person

    def _roles(self, person: Person, user: User) -> None:
        held = set(self.draft.memberships.get(person.id, {}))
        wanted = held if user.roles is None else {self._role(name).id for name in user.roles}
        wanted = (wanted | {self._role(n).id for n in user.give}) - {self._role(n).id for n in user.take}
        if len(wanted) > MAX_ROLES:
            raise UsageError(f"user '{person.name}' would have {len(wanted)} roles, at most {MAX_ROLES}")
        for role in sorted(wanted - held):
            self._do(GiveRole(person=person.id, role=role))
        for role in sorted(held - wanted):
            self._do(TakeRole(person=person.id, role=role))

    # -- roles -----------------------------------------------------------------------------------------------------

    def role(self, name: str, may: tuple[str, ...]) -> None:
        """Want an own role that allows just this."""
        found = next((r for r in (*ROLES.values(), *self.draft.roles.values()) if r.name == name.casefold()), None)
        if found is not None and found.builtin:
            raise UsageError(f"role '{found.name}' is built in and cannot be changed", hint="make one of another name")
        allowed = tuple(dict.fromkeys(grant for text in may for grant in grants.parse(text)))
        if len(allowed) > grants.MAX_GRANTS:
            raise UsageError(f"role '{shown(name)}' has {len(allowed)} grants, at most {grants.MAX_GRANTS}")
        wanted = Role(id=found.id if found else f"r-{secrets.token_hex(4)}", name=role_name(name), grants=allowed)
        if wanted != found:
            self._do(SetRole(role=wanted))

    def drop_role(self, name: str) -> None:
        """Want an own role to go."""
        self._do(DropRole(role=self._role(name).id))

    def _role(self, name: str) -> Role:
        known = {role.name: role for role in (*self.draft.roles.values(), *ROLES.values())}
        if name.casefold() not in known:
            raise NotFoundError(f"no role is called '{shown(name)}'", hint=did_you_mean(name, known, what="roles"))
        return known[name.casefold()]

    # -- departments -----------------------------------------------------------------------------------------------

    def department(
        self, name: str, *, parent: str | None = None, leader: str | None = None, rename: str | None = None
    ) -> None:
        """Want a department, new or changed; an empty parent or leader is none."""
        found = self._named(name)
        wanted = found or Department(id=f"d-{secrets.token_hex(4)}", name=full_text(name, "department"))
        if rename is not None:
            wanted = replace(self._department(name), name=full_text(rename, "department"))
        if parent is not None:
            wanted = replace(wanted, parent=self._department(parent).id if parent else "")
        if leader is not None:
            wanted = replace(wanted, leader=self.known(leader).id if leader else "")
        if wanted != found:
            self._do(SetDepartment(department=wanted))

    def drop_department(self, name: str) -> None:
        """Want an empty department to go."""
        self._do(DropDepartment(department=self._department(name).id))

    def _named(self, name: str) -> Department | None:
        return next((d for d in self.draft.departments.values() if d.name.casefold() == name.casefold()), None)

    def _department(self, name: str) -> Department:
        found = self._named(name)
        if found is None:
            hint = did_you_mean(name, [d.name for d in self.draft.departments.values()], what="departments")
            raise NotFoundError(f"no department is called '{shown(name)}'", hint=hint or "opsnb department add ...")
        return found

    # -- delegates -------------------------------------------------------------------------------------------------

    def delegate(self, from_: str, to: str, begin: datetime, end: datetime, *, by: str, now: datetime) -> Delegate:
        """Want ``to`` to stand in for ``from_``; ``by`` is an id."""
        delegate = Delegate(
            id=f"g-{secrets.token_hex(4)}",
            from_=self.known(from_).id,
            to=self.known(to).id,
            begin=begin,
            end=end,
            by=by,
        )
        self._do(AddDelegate(delegate=delegate, now=now))
        return delegate

    def end_delegate(self, delegate: str, now: datetime) -> None:
        """Want a delegation, by id, to end now."""
        self._do(EndDelegate(delegate=delegate, now=now))

    def _do(self, change: Change) -> None:
        self.draft.apply(change)
        self.changes.append(change)
