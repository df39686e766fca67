"""What the ledger says about people: who came and left, what each may do, who stands in for whom.

A digest is SHA-256(salt ‖ canonical row), and the salt stands in the row: names are in the database alone.
"""

# ruff: noqa: RUF009 - identifier() and its like are dataclasses.field() with a check, called once, for the class
from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from opsnb.control.ledger.event import Event, digested, identifier, moment, one_of


class Account(StrEnum):
    """What stands behind a name."""

    PERSON = "person"  # somebody
    SERVICE = "service"  # a program, which never approves


@dataclass(frozen=True, kw_only=True)
class PersonAdded(Event):
    """Somebody became known here; ``digest`` covers their name, full name, mail and department."""

    kind: ClassVar[str] = "person.added"
    person: str = identifier()
    account: Account = one_of(Account)
    by: str = identifier()
    digest: str = digested()


@dataclass(frozen=True, kw_only=True)
class PersonChanged(Event):
    """Somebody's name, full name, mail or department is another now."""

    kind: ClassVar[str] = "person.changed"
    person: str = identifier()
    by: str = identifier()
    digest: str = digested()


@dataclass(frozen=True, kw_only=True)
class PersonDeactivated(Event):
    """Somebody left: they may do nothing any more, and their name stays in old records."""

    kind: ClassVar[str] = "person.deactivated"
    person: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class PersonActivated(Event):
    """Somebody who had left is back."""

    kind: ClassVar[str] = "person.activated"
    person: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class RoleGiven(Event):
    """Somebody was given a role."""

    kind: ClassVar[str] = "role.given"
    person: str = identifier()
    role: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class RoleTaken(Event):
    """A role was taken from somebody."""

    kind: ClassVar[str] = "role.taken"
    person: str = identifier()
    role: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class RoleSet(Event):
    """An own role was made or changed; ``digest`` covers its name and grants."""

    kind: ClassVar[str] = "role.set"
    role: str = identifier()
    by: str = identifier()
    digest: str = digested()


@dataclass(frozen=True, kw_only=True)
class RoleRemoved(Event):
    """An own role that nobody held was removed."""

    kind: ClassVar[str] = "role.removed"
    role: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class DepartmentSet(Event):
    """A department was made or changed; ``digest`` covers its name, parent and leader."""

    kind: ClassVar[str] = "department.set"
    department: str = identifier()
    by: str = identifier()
    digest: str = digested()


@dataclass(frozen=True, kw_only=True)
class DepartmentRemoved(Event):
    """An empty department was removed."""

    kind: ClassVar[str] = "department.removed"
    department: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class DelegateAdded(Event):
    """``person`` may approve in place of ``principal`` from ``begin`` until before ``end``."""

    kind: ClassVar[str] = "delegate.added"
    delegate: str = identifier()
    principal: str = identifier()
    person: str = identifier()
    begin: str = moment()
    end: str = moment()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class DelegateRemoved(Event):
    """A delegation was ended before its time."""

    kind: ClassVar[str] = "delegate.removed"
    delegate: str = identifier()
    by: str = identifier()


PEOPLE_EVENTS: tuple[type[Event], ...] = (
    PersonAdded, PersonChanged, PersonDeactivated, PersonActivated, RoleGiven, RoleTaken, RoleSet, RoleRemoved,
    DepartmentSet, DepartmentRemoved, DelegateAdded, DelegateRemoved,
)  # fmt: skip
