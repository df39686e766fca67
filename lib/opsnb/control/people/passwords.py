"""Passwords: kept as Argon2id hashes (RFC 9106), checked a few at a time, for each check takes 64 MiB."""

from __future__ import annotations

import functools
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Column, Connection, ForeignKey, String, Table, delete, func, insert, select

from opsnb.base.errors import UsageError
from opsnb.control.database import metadata

LENGTHS = (12, 1024)  # characters of a password
AT_A_TIME = 2  # checks; others wait
_HASHER = PasswordHasher()  # RFC 9106, low memory: 3 passes over 64 MiB, 4 lanes
_TURNS = threading.BoundedSemaphore(AT_A_TIME)

passwords = Table(
    "passwords",
    metadata,
    Column("person", String, ForeignKey("people.id"), primary_key=True),
    Column("hash", String, nullable=False),
    Column("changed", String, nullable=False),
)


def hashed(password: str, name: str) -> str:
    """Return the hash of a password that somebody may have.

    Raises:
        UsageError: If it is too short, too long, or their name.
    """
    least, most = LENGTHS
    if not least <= len(password) <= most:
        raise UsageError(f"a password has {least} to {most} characters, this one {len(password)}")
    if name and password.casefold().strip() in {name.casefold(), name.casefold() * 2}:
        raise UsageError("a password is not one's name")
    with _TURNS:
        return _HASHER.hash(password.encode("utf-8", "surrogatepass"))


def matches(kept: str, password: str) -> bool:
    """Return whether this is the password behind a hash. Without a hash it takes as long, and is false."""
    there = kept or _nobodys()
    if len(password) > LENGTHS[1]:
        return False
    with _TURNS:
        try:
            _HASHER.verify(there, password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
    return bool(kept)


def of(connection: Connection, person: str) -> str:
    """Return somebody's hash, empty where they have no password."""
    return connection.execute(select(passwords.c.hash).where(passwords.c.person == person)).scalar() or ""


def keep(connection: Connection, person: str, kept: str, changed: str) -> None:
    """Store somebody's hash instead of the one before."""
    connection.execute(delete(passwords).where(passwords.c.person == person))
    connection.execute(insert(passwords).values(person=person, hash=kept, changed=changed))


def anybody(connection: Connection) -> bool:
    """Return whether anybody has a password."""
    return bool(connection.execute(select(func.count()).select_from(passwords)).scalar_one())


@functools.cache
def _nobodys() -> str:
    """Return a hash of a password that nobody has."""
    return _HASHER.hash("nobody has this password")
