"""People in the database: one read makes a :class:`.rules.Directory`, and every change is one write.

The caller appends the ledger's entry for a change in the same transaction. Nothing is erased but memberships, own roles
and departments that are empty: a person who has left stays, inactive, and a delegation that was ended stays too.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, insert, select, update

from opsnb.base.canonical import canonical, salted
from opsnb.base.clock import parse as moment
from opsnb.base.clock import stamp
from opsnb.control.people import grants
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
from opsnb.control.people.tables import delegates, departments, memberships, people, people_state, roles
from opsnb.control.people.values import Delegate, Department, Kind, Person, Role

CACHE = "opsnb.people"  # connection.info: the token of a snapshot, and the snapshot
STATE = "people"  # the one row of people_state

__all__ = ["Person", "count", "digest_of", "directory", "known_or_new", "new_person", "people", "write"]


def new_person(name: str, **fields: Any) -> Person:
    """Return a person or service account with an id of its own."""
    return Person(id=f"u-{secrets.token_hex(4)}", name=name, **fields)


def known_or_new(connection: Connection, name: str) -> Person:
    """Return the person called ``name``, adding them, without any role, when they are new."""
    row = connection.execute(select(people).where(people.c.name == name)).one_or_none()
    if row:
        return _person(row)
    person = new_person(name)
    write(connection, AddPerson(person=person))
    return person


def count(connection: Connection) -> int:
    """Return how many people the workspace has: those who are active, without service accounts."""
    there = people.c.active & (people.c.kind == Kind.PERSON.value)
    return int(connection.execute(select(func.count()).select_from(people).where(there)).scalar_one())


def directory(connection: Connection, *, to_change: bool = False) -> Directory:
    """Return everybody, as of this transaction. Read once for each change: a snapshot is kept with the connection.

    Args:
        connection: Inside a transaction.
        to_change: Whether a change is decided on by it: then nobody else changes anything until the transaction ends,
            where several control planes share a database.
    """
    query = select(people_state.c.token).where(people_state.c.id == STATE)
    token = connection.execute(query.with_for_update() if to_change else query).scalar()
    kept = connection.info.get(CACHE)
    if kept is not None and kept[0] == token:
        return kept[1]  # type: ignore[no-any-return]
    found = _read(connection)
    connection.info[CACHE] = (token, found)
    return found


def write(connection: Connection, change: Change) -> str:
    """Make a change that :class:`.draft.Draft` has let through.

    Returns:
        The salted digest of the row that was written, for the ledger; empty where the change is in ids alone.
    """
    return write_all(connection, (change,))[0]


def write_all(connection: Connection, changes: Sequence[Change]) -> list[str]:
    """Make changes in this order, new people and what they are given many at a time; return their digests."""
    digests: list[str] = []
    added: list[dict[str, Any]] = []
    given: dict[tuple[str, str], None] = {}
    for change in changes:
        match change:
            case AddPerson(person=person):
                added.append(_salted(_person_row(person)))
                digests.append(_digest(people, added[-1]))
            case GiveRole(person=who, role=role):
                given[who, role] = None
                digests.append("")
            case _:
                _flush(connection, added, given)
                digests.append(_write(connection, change))
    _flush(connection, added, given)
    # Another token, never a next number: what is rolled back must not be taken for what came after it.
    token = secrets.token_hex(8)
    connection.execute(update(people_state).where(people_state.c.id == STATE).values(token=token))
    return digests


def _flush(connection: Connection, added: list[dict[str, Any]], given: dict[tuple[str, str], None]) -> None:
    if added:
        connection.execute(insert(people), added)
    if given:
        connection.execute(insert(memberships), [{"person": who, "role": role} for who, role in given])
    added.clear()
    given.clear()


def digest_of(connection: Connection, table: Table, row_id: str) -> str:
    """Return the salted digest of a row as it is now, to compare with the ledger's."""
    row = connection.execute(select(table).where(table.c.id == row_id)).one()
    return _digest(table, dict(row._mapping))  # noqa: SLF001  (SQLAlchemy's public way to a row's names)


def _write(connection: Connection, change: Change) -> str:
    match change:
        case ChangePerson(person=person):
            return _put(connection, people, _person_row(person))
        case SetActive(person=who, active=active):
            connection.execute(update(people).where(people.c.id == who).values(active=active))
        case TakeRole(person=who, role=role):
            held = (memberships.c.person == who) & (memberships.c.role == role)
            connection.execute(delete(memberships).where(held))
        case SetRole(role=new):
            return _put(connection, roles, {"id": new.id, "name": new.name, "grants": [str(g) for g in new.grants]})
        case SetDepartment(department=d):
            return _put(connection, departments, {
                "id": d.id, "name": d.name, "parent": d.parent, "leader": d.leader,
            })  # fmt: skip
        case DropRole(role=row) | DropDepartment(department=row):
            table = roles if isinstance(change, DropRole) else departments
            connection.execute(delete(table).where(table.c.id == row))
        case AddDelegate(delegate=d):
            connection.execute(insert(delegates).values(
                id=d.id, principal=d.from_, person=d.to, begin=stamp(d.begin), end=stamp(d.end), by=d.by,
            ))  # fmt: skip
        case EndDelegate(delegate=row, now=now):
            connection.execute(update(delegates).where(delegates.c.id == row).values(removed=stamp(now)))
    return ""


def _put(connection: Connection, table: Table, values: dict[str, Any]) -> str:
    """Write a row under a new salt; return its digest."""
    values = _salted(values)
    done = connection.execute(update(table).where(table.c.id == values["id"]).values(**values))
    if done.rowcount == 0:
        connection.execute(insert(table).values(**values))
    return _digest(table, values)


def _salted(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "salt": secrets.token_hex(32)}


def _person_row(person: Person) -> dict[str, Any]:
    """Return a person's row but for whether they are active, which has its own change."""
    return {
        "id": person.id, "name": person.name, "kind": person.kind.value, "department": person.department,
        "display": person.display, "mail": person.mail,
    }  # fmt: skip


def _digest(table: Table, values: dict[str, Any]) -> str:
    said = {name: value for name, value in values.items() if name not in {"salt", "active"}}
    return salted(values["salt"], canonical({"table": table.name, **said}))


def _read(connection: Connection) -> Directory:
    members: dict[str, list[str]] = {}
    for row in connection.execute(select(memberships).order_by(memberships.c.person, memberships.c.role)):
        members.setdefault(row.person, []).append(row.role)
    return Directory(
        people={row.id: _person(row) for row in connection.execute(select(people).order_by(people.c.name))},
        departments={
            row.id: Department(id=row.id, name=row.name, parent=row.parent, leader=row.leader)
            for row in connection.execute(select(departments).order_by(departments.c.name))
        },
        roles={row.id: _role(row) for row in connection.execute(select(roles).order_by(roles.c.name))},
        memberships={person: tuple(held) for person, held in members.items()},
        delegates=tuple(_delegate(r) for r in connection.execute(select(delegates).order_by(delegates.c.begin))),
    )


def _person(row: Row[Any]) -> Person:
    return Person(
        id=row.id, name=row.name, kind=Kind(row.kind), department=row.department, active=bool(row.active),
        display=row.display, mail=row.mail,
    )  # fmt: skip


def _role(row: Row[Any]) -> Role:
    return Role(id=row.id, name=row.name, grants=tuple(g for text in row.grants for g in grants.parse(text)))


def _delegate(row: Row[Any]) -> Delegate:
    return Delegate(
        id=row.id, from_=row.principal, to=row.person, begin=moment(row.begin), end=moment(row.end), by=row.by,
        removed=moment(row.removed) if row.removed else None,
    )  # fmt: skip
