"""What can be changed about people, each as a value; :mod:`.draft` has the rules that they keep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from opsnb.control.people.values import Delegate, Department, Person, Role


@dataclass(frozen=True, kw_only=True)
class AddPerson:
    """Somebody new."""

    person: Person


@dataclass(frozen=True, kw_only=True)
class ChangePerson:
    """Somebody's full name, mail or department; the rest of ``person`` stays as it is."""

    person: Person


@dataclass(frozen=True, kw_only=True)
class SetActive:
    """Somebody left, or is back."""

    person: str
    active: bool


@dataclass(frozen=True, kw_only=True)
class GiveRole:
    """Somebody gets a role, by id."""

    person: str
    role: str


@dataclass(frozen=True, kw_only=True)
class TakeRole:
    """Somebody loses a role, by id."""

    person: str
    role: str


@dataclass(frozen=True, kw_only=True)
class SetRole:
    """An own role, new or with other grants."""

    role: Role


@dataclass(frozen=True, kw_only=True)
class DropRole:
    """An own role goes."""

    role: str


@dataclass(frozen=True, kw_only=True)
class SetDepartment:
    """A department, new or changed."""

    department: Department


@dataclass(frozen=True, kw_only=True)
class DropDepartment:
    """A department goes."""

    department: str


@dataclass(frozen=True, kw_only=True)
class AddDelegate:
    """Somebody may stand in for somebody."""

    delegate: Delegate
    now: datetime


@dataclass(frozen=True, kw_only=True)
class EndDelegate:
    """A delegation ends now."""

    delegate: str
    now: datetime


Change: TypeAlias = (
    AddPerson | ChangePerson | SetActive | GiveRole | TakeRole | SetRole | DropRole | SetDepartment | DropDepartment
    | AddDelegate | EndDelegate
)  # fmt: skip
