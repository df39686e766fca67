"""People as JSON that people read: names, not ids; and what differs between two directories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from opsnb.base.clock import stamp
from opsnb.control.people.builtin import ABOUT, ROLES
from opsnb.control.people.rules import Directory
from opsnb.control.people.values import Delegate, Department, Person, Role


def user(directory: Directory, person: Person, now: datetime) -> dict[str, Any]:
    """Return a person, with whom they stand in for now and who stands in for them."""
    return {
        **_fields(directory, person), "id": person.id, "leader": _name(directory, directory.leader_of(person.id)),
        "stands_for": [directory.name(p) for p in directory.stands_for(person.id, now)],
        "delegates": [directory.name(p) for p in directory.stood_for_by(person.id, now)],
    }  # fmt: skip


def role(directory: Directory, found: Role) -> dict[str, Any]:
    """Return a role with what it allows and who has it."""
    holders = sorted(directory.name(p) for p, held in directory.memberships.items() if found.id in held)
    return {
        "name": found.name, "id": found.id, "builtin": found.builtin, "about": ABOUT.get(found.id, ""),
        "may": [str(grant) for grant in found.grants], "holders": holders,
    }  # fmt: skip


def department(directory: Directory, found: Department) -> dict[str, Any]:
    """Return a department with its place in the tree."""
    path = [d.name for d in directory.path(found.id)]
    members = sorted(p.name for p in directory.people.values() if p.active and p.department == found.id)
    return {
        "name": found.name, "id": found.id, "parent": path[1] if len(path) > 1 else "", "path": path[::-1],
        "leader": _name(directory, found.leader),
        "leader_left": bool(found.leader) and not directory.is_active(found.leader),
        "members": members,
    }  # fmt: skip


def delegate(directory: Directory, found: Delegate, now: datetime) -> dict[str, Any]:
    """Return a delegation and whether it holds."""
    state = "holds" if found.holds(now) else "to come" if now < found.begin and found.removed is None else "over"
    return {
        "id": found.id, "for": directory.name(found.from_), "delegate": directory.name(found.to),
        "begin": stamp(found.begin), "end": stamp(found.end), "by": directory.name(found.by), "state": state,
        "removed": stamp(found.removed) if found.removed else None,
    }  # fmt: skip


def differences(before: Directory, after: Directory) -> list[dict[str, Any]]:
    """Return what differs: rows ``{"what", "name", "change", "fields": {field: [old, new]}}``.

    ``what`` is ``department | role | user``, ``change`` is ``added | changed | removed``.
    """
    old, new = _view(before), _view(after)
    return [_row(key[0], old.get(key), new.get(key)) for key in {**old, **new} if old.get(key) != new.get(key)]


def names(directory: Directory, entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the names behind the ids that entries of the ledger hold: of people, roles and departments."""
    known: dict[str, Person | Role | Department] = {
        **directory.departments,
        **directory.roles,
        **ROLES,
        **directory.people,
    }
    said = {value for entry in entries for value in entry.values() if isinstance(value, str)}
    return {value: known[value].name for value in sorted(said & known.keys())}


def _view(directory: Directory) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        **{("department", d.id): _department(directory, d) for d in directory.departments.values()},
        **{("role", r.id): _role(r) for r in directory.roles.values()},
        **{("user", p.id): _fields(directory, p) for p in directory.people.values()},
    }


def _row(what: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
    some = new or old or {}
    fields = {
        name: [(old or {}).get(name), (new or {}).get(name)]
        for name in some
        if name != "name" and (old or {}).get(name) != (new or {}).get(name) and some[name] not in ("", [])
    }
    if old and new:
        fields = {name: [old[name], new[name]] for name in new if old[name] != new[name]}
    change = "changed" if old and new else "added" if new else "removed"
    return {"what": what, "name": some["name"], "change": change, "fields": fields}


def _fields(directory: Directory, person: Person) -> dict[str, Any]:
    department = directory.departments.get(person.department)
    return {
        "name": person.name, "display": person.display, "mail": person.mail, "kind": person.kind.value,
        "active": person.active, "department": department.name if department else "",
        "roles": sorted(role.name for role in directory.roles_of(person.id)),
    }  # fmt: skip


def _role(found: Role) -> dict[str, Any]:
    return {"name": found.name, "may": [str(grant) for grant in found.grants]}


def _department(directory: Directory, found: Department) -> dict[str, Any]:
    parent = directory.departments.get(found.parent)
    return {"name": found.name, "parent": parent.name if parent else "", "leader": _name(directory, found.leader)}


def _name(directory: Directory, person: str) -> str:
    return directory.name(person) if person else ""


def all_roles(directory: Directory) -> list[Role]:
    """Return the built-in roles, then the own ones by name."""
    return [*ROLES.values(), *sorted(directory.roles.values(), key=lambda r: r.name)]
