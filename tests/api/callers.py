"""A control plane in this process with somebody in every role, and requests to it as each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from opsnb.base.clock import now
from opsnb.base.workspace import Workspace
from opsnb.cli.workspace import make
from opsnb.control.app import App
from opsnb.control.flows import people
from opsnb.control.people import store, tokens
from opsnb.control.people.tokens import TokenKind
from opsnb.control.people.values import Actor, Kind, Person
from opsnb.control.people.wanted import User
from opsnb.web.api import create
from opsnb.web.guard import COOKIE, Activity
from places import Place, notebook

# One letter each: who they are, and how they come in.
PERSONS = {"A": "administrator", "E": "engineer", "P": "approver", "U": "auditor", "O": "oncall", "N": ""}
SERVICES = {"S": ("engineer",), "Z": ("administrator", "approver")}
SCOPED = "R"  # the administrator, by an API token that is good for reading
SIGNED_IN = "AEPUONSZR"
STRANGERS = {"-": "nobody", "T": "a token of nobody", "X": "expired", "V": "revoked", "I": "has left"}
EVERYBODY = SIGNED_IN + "".join(STRANGERS)
CHANGE = "id: TST-001\ntitle: Change\npromise: Changes.\nrisk: change\nowner: x\ntouches: x\nundo: x"


class Callers:
    """The control plane, and those who call it.

    Args:
        root: A new workspace's folder.
    """

    def __init__(self, root: Path) -> None:
        place = Place(root)
        make(place.root)
        place.settings(kernel="spawn")  # nothing runs here, so nothing is warmed up
        (place.root / "runbooks" / "change.ipynb").write_bytes(notebook("1", front=CHANGE))
        self.app = App(Workspace(place.root))
        for name, role in PERSONS.items():
            people.add_user(self.app.services, self.app.actor, User(name=f"p-{name}", give=(role,) if role else ()))
        for name, roles in SERVICES.items():
            wanted = User(name=f"p-{name}", kind=Kind.SERVICE, give=roles)
            people.add_user(self.app.services, self.app.actor, wanted)
        people.add_user(self.app.services, self.app.actor, User(name="p-I", give=("administrator",)))
        self.gone = self.person("I")
        people.set_user(self.app.services, self.app.actor, User(name="p-I", active=False))
        self.api = create(self.app, Activity())

    def person(self, letter: str) -> Person:
        """Return who a letter is."""
        with self.app.services.database.transaction() as connection:
            found = store.directory(connection).named(f"p-{letter}")
        assert found
        return found

    def actor(self, letter: str) -> Actor:
        """Return somebody as flows know them."""
        return Actor(person=self.person(letter), via="session")

    def token(
        self, person: Person, kind: TokenKind = TokenKind.API, *, ago: float = 0, scopes: str = "*"
    ) -> tuple[str, str]:
        """Return the secret and id of a new token, made ``ago`` seconds ago for a minute."""
        then = now() - timedelta(seconds=ago)
        with self.app.services.database.transaction() as connection:
            secret, token = tokens.issue(
                connection, kind, person.id, by=person.id, now=then, seconds=60, scopes=frozenset({scopes})
            )
        return secret, token.id

    def headers(self, letter: str) -> dict[str, str]:
        """Return how somebody comes in, with a session or token of their own for each request."""
        if letter == "-":
            return {}
        if letter in PERSONS:
            secret, _ = self.token(self.person(letter), TokenKind.SESSION)
            return {"cookie": f"{COOKIE}={secret}", "x-opsnb": "1"}
        if letter == "T":
            return {"authorization": "Bearer opsnb_nobody"}
        who = self.person({SCOPED: "A", "X": "A", "V": "A"}.get(letter, letter))
        scopes = "read" if letter == SCOPED else "*"
        secret, token = self.token(who, ago=3600 if letter == "X" else 0, scopes=scopes)
        if letter == "V":
            with self.app.services.database.transaction() as connection:
                assert tokens.revoke(connection, token, now())
        return {"authorization": f"Bearer {secret}"}

    @contextmanager
    def client(self, host: str = "127.0.0.1", **options: Any) -> Iterator[TestClient]:
        """Yield a client that comes from an address."""
        options = {"base_url": "http://127.0.0.1", "raise_server_exceptions": True, **options}
        with TestClient(self.api, client=(host, 50000), follow_redirects=False, **options) as client:
            yield client
