"""Who signed in, when, from where, and who tried: what an auditor asks about after an account was misused.

A name that nobody has is not kept: people type their password into the wrong field.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, String, Table, delete, func, insert, select

from opsnb.base.clock import stamp
from opsnb.control.database import metadata

KEPT = 100_000  # sign-ins; older ones are forgotten

logins = Table(
    "logins",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", String, nullable=False),
    Column("person", String, nullable=False),  # an id; empty where the name was nobody's
    Column("way", String, nullable=False),
    Column("address", String, nullable=False),
    Column("outcome", String, nullable=False),
    Index("logins_person", "person"),
)


class Way(StrEnum):
    """How somebody signs in."""

    PASSWORD = "password"  # noqa: S105  (a way, no secret)
    LINK = "link"
    LDAP = "ldap"
    OIDC = "oidc"


class Outcome(StrEnum):
    """What became of a sign-in."""

    OK = "ok"
    UNKNOWN = "unknown"  # nobody has this name, or the link is none
    INACTIVE = "inactive"  # has left, or is a service account
    WRONG = "wrong"  # another password
    CODE = "code"  # the right password, and no or another code
    UNBOUND = "unbound"  # is somebody elsewhere, and nobody here is bound to that
    AWAY = "away"  # the directory or the provider could not be asked
    THROTTLED = "throttled"  # was not tried: too many failed before


def note(connection: Connection, now: datetime, person: str, way: Way, address: str, outcome: Outcome) -> None:
    """Add a line, and forget the oldest ones."""
    connection.execute(
        insert(logins).values(at=stamp(now), person=person, way=way.value, address=address[:100], outcome=outcome.value)
    )
    newest = connection.execute(select(func.max(logins.c.number))).scalar_one()
    connection.execute(delete(logins).where(logins.c.number <= newest - KEPT))


def listed(connection: Connection, most: int, person: str = "") -> list[dict[str, Any]]:
    """Return the latest sign-ins, newest first; those of one person, or of all."""
    query = select(logins).order_by(logins.c.number.desc()).limit(most)
    query = query.where(logins.c.person == person) if person else query
    return [dict(row) for row in connection.execute(query).mappings()]
