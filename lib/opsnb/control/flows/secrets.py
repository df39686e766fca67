"""Secrets by hand: set, rotate, remove, each an entry in the ledger; what is listed holds no value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opsnb.control.ledger.events import SecretRemoved, SecretRotated, SecretSet, SecretsRekeyed
from opsnb.control.ledger.store import append
from opsnb.control.people.store import Person

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services


def set_secret(services: Services, name: str, value: str, person: Person, *, rotate: bool = False) -> dict[str, Any]:
    """Store a value; with ``rotate`` there must be an older one already.

    Raises:
        UsageError: If the name or the value cannot be one.
        NotFoundError: If it is to be rotated and is not there.
    """
    store = services.secrets.store
    with services.database.transaction() as connection:
        if rotate:
            store.require(connection, name)
        secret, version = store.set(connection, name, value, person.name)
        event = SecretRotated if rotate else SecretSet
        append(connection, event(secret=secret, version=version, by=person.id))
    return {"name": name, "id": secret, "version": version}


def remove_secret(services: Services, name: str, person: Person) -> dict[str, Any]:
    """Delete every version of a stored secret.

    Raises:
        NotFoundError: If there is none; the hint holds the nearest name.
    """
    with services.database.transaction() as connection:
        secret = services.secrets.store.remove(connection, name)
        append(connection, SecretRemoved(secret=secret, by=person.id))
    return {"name": name, "id": secret}


def rotate_key(services: Services, person: Person) -> dict[str, Any]:
    """Encrypt every stored value anew under a new key."""
    store = services.secrets.store
    with services.database.transaction() as connection:
        count = store.rotate_key(connection)
        append(connection, SecretsRekeyed(count=count, by=person.id))
    store.settle()
    return {"encrypted": count}


def list_secrets(services: Services) -> list[dict[str, Any]]:
    """Return name, id, version, time and person of every stored secret; no value."""
    with services.database.transaction() as connection:
        return [row.as_json() for row in services.secrets.store.listed(connection)]
