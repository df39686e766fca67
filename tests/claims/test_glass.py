"""A claim under a broken glass, at its edges; who may break it, for how long, and who reviews it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from claims import world
from claims.glass import MINUTES, Ground, seconds, smash
from opsnb.control.database import Database
from opsnb.control.flows.claim import begin_next
from opsnb.control.flows.submit import queue
from opsnb.control.records import Mode, Verdict
from opsnb.control.runs import store

END = MINUTES * 60.0


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


def tried(connection: Any, ground: Any, glass: str, at: float, who: str = "anna", by: str = "") -> str:
    """Queue an application under a glass past every look, and claim it; return the cause, or ``claimed``."""
    number = len(store.listed(connection, 100))
    request = f"q{number}"
    world.seal(connection, ground, request, who, frozenset())
    run = queue(connection, request, "TST-100", "t", Mode.APPLY, by or who, under=glass)
    assert begin_next(connection, ground, seconds(at)) == run
    refused = store.noted(connection, run, "refused")
    world.end(connection, run, Verdict.ABORTED if refused else Verdict.DONE)
    return str(refused[-1]["cause"]) if refused else "claimed"


def test_it_begins_and_ends(connection: Any) -> None:
    """Not a second before it was broken; from that moment; to its last second, and not at its end."""
    ground = Ground()
    glass = smash(connection, ground)
    found = [tried(connection, ground, glass, at) for at in (-1, 0, END - 1, END, END + 1)]
    assert found == ["glass", "claimed", "claimed", "glass", "glass"]


def test_through_a_freeze(connection: Any) -> None:
    """It goes through a freeze, and nothing else does."""
    ground = Ground(freezes={"now": {"from": "2026-11-26 07:00", "to": "2026-11-26 18:00"}}, approvals=0)
    glass = smash(connection, ground)
    assert tried(connection, ground, "", 1) == "freeze"
    assert tried(connection, ground, glass, 1) == "claimed"
