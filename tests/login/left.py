"""What a sign-in left behind: people, the ledger, the history."""

from __future__ import annotations

from opsnb.control.app import App
from opsnb.control.flows import credentials
from opsnb.control.ledger.store import head, read
from opsnb.control.people import store
from opsnb.control.people.values import Person


def known(app: App, name: str) -> Person | None:
    """Return who is called so here."""
    with app.services.database.transaction() as connection:
        return store.directory(connection).named(name)


def kinds(app: App, since: int) -> list[str]:
    """Return the kinds of the ledger's entries from one on."""
    with app.services.database.transaction() as connection:
        return [entry.value["kind"] for entry in read(connection, since)]


def size(app: App) -> int:
    """Return how long the ledger is."""
    with app.services.database.transaction() as connection:
        return head(connection).size


def last(app: App) -> tuple[str, str, str]:
    """Return the last line of the history: who, by which way, with what outcome."""
    row = credentials.login_history(app.services, app.actor, 1)[0]
    return row["person"], row["way"], row["outcome"]
