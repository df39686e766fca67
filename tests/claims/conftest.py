"""The firm that tests of claims share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from claims import world
from claims.firm import Firm
from opsnb.control.database import Database


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    """A workspace with people, whose control plane runs in this process."""
    made = Firm(tmp_path_factory.mktemp("firm") / "ws")
    made.app.start()
    yield made
    made.app.close()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database."""
    made = Database(tmp_path_factory.mktemp("db") / "opsnb.db")
    yield made
    made.close()


@pytest.fixture
def connection(database: Database) -> Iterator[Any]:
    """A transaction in a new world."""
    world.empty(database)
    with database.transaction() as connection:
        yield connection
