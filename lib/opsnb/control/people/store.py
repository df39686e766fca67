"""People, as far as one person needs: a name and an id that the ledger may carry."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import Column, Connection, String, Table, func, insert, select

from opsnb.control.database import metadata

people = Table(
    "people",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who may ask for runs."""

    id: str
    name: str


def known_or_new(connection: Connection, name: str) -> Person:
    """Return the person called ``name``, adding them when they are new."""
    row = connection.execute(select(people.c.id).where(people.c.name == name)).one_or_none()
    if row:
        return Person(id=row.id, name=name)
    person = Person(id=f"u-{secrets.token_hex(4)}", name=name)
    connection.execute(insert(people).values(id=person.id, name=name))
    return person


def count(connection: Connection) -> int:
    """Return how many people the workspace has."""
    return int(connection.execute(select(func.count()).select_from(people)).scalar_one())
