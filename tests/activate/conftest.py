"""A control plane in this process, on a workspace of its own: one person, or two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsnb.base.workspace import Workspace
from opsnb.cli.workspace import make
from opsnb.control.app import App
from opsnb.control.flows.people import add_user
from opsnb.control.people.store import directory
from opsnb.control.people.values import Actor
from opsnb.control.people.wanted import User
from places import Place

FRONT = "id: {id}\ntitle: One\npromise: Says something.\nrisk: {risk}\nowner: web-ops"


class Office:
    """A workspace with its control plane."""

    def __init__(self, root: Path) -> None:
        self.place = Place(root)
        make(root)
        self.place.settings(kernel="spawn")  # nothing runs here, so nothing is warmed up
        self.place.add("one", "print(1)", front=FRONT.format(id="ONE-001", risk="read"))
        self.inventory("10.0.0.1")
        self.app = App(Workspace(root))
        self.services = self.app.services
        self.first = self.app.actor

    def inventory(self, address: str) -> None:
        """Write an inventory with one host."""
        text = f"hosts:\n  web1: {{address: {address}}}\n"
        (self.place.root / "inventory.yaml").write_text(text, encoding="utf-8")

    def address(self) -> str:
        """Return that host's address as the control plane knows it."""
        return self.services.inventory().host("web1").address

    def join(self, name: str, *roles: str, **fields: Any) -> Actor:
        """Add somebody; return them as they act."""
        add_user(self.services, self.first, User(name=name, roles=roles, **fields))
        with self.services.database.transaction() as connection:
            person = directory(connection).named(name)
        assert person is not None
        return Actor(person=person)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A workspace of one person."""
    made = Office(tmp_path / "ws")
    yield made
    made.app.close()
