"""Who is who elsewhere: the entry of a directory, or the subject of a provider, that somebody here signs in with.

What binds the two is an id that never changes, never a name: a name may be given to somebody else there.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Column, Connection, ForeignKey, Index, String, Table, delete, insert, select

from opsnb.base.canonical import canonical, salted
from opsnb.base.clock import stamp
from opsnb.control.database import metadata

identities = Table(
    "identities",
    metadata,
    Column("source", String, primary_key=True),
    Column("authority", String, primary_key=True),  # a provider's issuer; empty for the directory
    Column("subject", String, primary_key=True),
    Column("person", String, ForeignKey("people.id"), nullable=False),
    Column("salt", String, nullable=False),
    Column("created", String, nullable=False),
    Index("identities_person", "person"),
)


class Source(StrEnum):
    """Where somebody is known too."""

    LDAP = "ldap"  # the directory
    OIDC = "oidc"  # the provider


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Somebody there, by what never changes."""

    source: Source
    authority: str
    subject: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """Somebody who has shown there who they are, with what is said of them there.

    Args:
        identity: Who.
        name: The name to sign in with.
        display: The full name; empty where it is not known.
        mail: The mail address; empty where it is not known.
        roles: Names of the roles here that their groups there mean.
        mapped: Names of all roles that groups there could mean: those not among ``roles`` they have not.
        department: The department here that a group of theirs means; empty for none.
    """

    identity: Identity
    name: str
    display: str = ""
    mail: str = ""
    roles: frozenset[str] = frozenset()
    mapped: frozenset[str] = frozenset()
    department: str = ""


def person_of(connection: Connection, identity: Identity) -> str:
    """Return the id of whoever is bound to it; empty for nobody."""
    return connection.execute(select(identities.c.person).where(_is(identity))).scalar() or ""


def sources_of(connection: Connection, person: str) -> list[Source]:
    """Return where somebody is known too."""
    query = select(identities.c.source).where(identities.c.person == person).order_by(identities.c.source)
    return [Source(name) for name in connection.execute(query).scalars()]


def bind(connection: Connection, identity: Identity, person: str, now: datetime) -> str:
    """Bind somebody; return the salted digest of that, for the ledger."""
    salt = secrets.token_hex(32)
    connection.execute(insert(identities).values(
        source=identity.source.value, authority=identity.authority, subject=identity.subject, person=person, salt=salt,
        created=stamp(now),
    ))  # fmt: skip
    said = {"source": identity.source.value, "authority": identity.authority, "subject": identity.subject}
    return salted(salt, canonical({"table": identities.name, "person": person, **said}))


def unbind(connection: Connection, source: Source, person: str) -> bool:
    """Take somebody's bindings to a source away; return whether there were any."""
    mine = (identities.c.person == person) & (identities.c.source == source.value)
    return bool(connection.execute(delete(identities).where(mine)).rowcount)


def _is(identity: Identity):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return (
        (identities.c.source == identity.source.value)
        & (identities.c.authority == identity.authority)
        & (identities.c.subject == identity.subject)
    )
