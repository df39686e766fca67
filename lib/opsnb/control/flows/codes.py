"""Codes of authenticators: who signs in by them is people's matter, and their keys lie encrypted among the secrets."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from opsnb.control.people import totp

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services


def begin(services: Services, connection: Connection, person: str) -> str:
    """Give somebody a new key, which counts when a code has confirmed it; return it in base32."""
    key = totp.begin(connection, person)
    services.secrets.store.keep(connection, _name(person), key)
    return key


def take(
    services: Services, connection: Connection, person: str, code: str, now: datetime, *, confirm: bool = False
) -> bool:  # fmt: skip
    """Take a code of somebody's, once; with ``confirm`` the first one, which makes their key count.

    Raises:
        AlteredError: If the key does not open.
    """
    key = services.secrets.store.kept(connection, _name(person))
    return totp.take(connection, person, key, code, now.timestamp(), confirm=confirm)


def satisfied(services: Services, connection: Connection, person: str, code: str, now: datetime) -> bool:
    """Whether somebody's sign-in wants no code, or this is one, which is used up then."""
    return not totp.is_on(connection, person) or take(services, connection, person, code, now)


def remove(services: Services, connection: Connection, person: str) -> None:
    """Want no code of somebody any more."""
    totp.remove(connection, person)
    services.secrets.store.drop(connection, _name(person))


def encrypt(services: Services, connection: Connection) -> int:
    """Encrypt the keys that an older version kept in the clear; return how many."""
    found = totp.in_the_clear(connection)
    for person, key in found.items():
        services.secrets.store.keep(connection, _name(person), key)
    if found:
        totp.forget_clear(connection)
    return len(found)


def _name(person: str) -> str:
    return f"codes/{person}"
