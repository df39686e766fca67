"""Histories of people, policies, delegates, requests, approvals, claims, freezes and clocks, against the oracle."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from claims import postgres, world
from claims.evidence import keep
from claims.history import SEEN
from claims.machine import MUST, Machine
from opsnb.control.database import Database

HISTORIES = int(os.environ.get("OPSNB_HISTORIES", "10000" if os.environ.get("OPSNB_PROVE") else "40"))
ENOUGH = 5_000  # histories that have to come to everything
STEPS = 22
PHASES = (Phase.generate, Phase.shrink)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of each kind; in memory's file system where there is one, for nothing here is about a crash."""
    if request.param == "sqlite":
        shm = Path("/dev/shm")
        path = (shm if shm.is_dir() else tmp_path_factory.mktemp("db")) / f"opsnb-{os.getpid()}.db"
        made = Database(path)
        made.close()
        yield world.hasty(made)
        made.close()
        path.unlink()
        return
    if not postgres.there():
        pytest.skip("no PostgreSQL here: tests/install-system-packages")
    with postgres.server() as url:
        made = Database(url)
        yield made
        made.close()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_change_without_enough_approvals(database: Database) -> None:
    """Never a change without enough distinct, entitled, timely approvals of exactly it; never a second claim."""
    SEEN.clear()
    kind = type("Machine", (Machine,), {"database": database})
    how = settings(
        max_examples=HISTORIES, phases=PHASES, stateful_step_count=STEPS, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), print_blob=True,
    )  # fmt: skip
    began = time.monotonic()
    run_state_machine_as_test(kind, settings=how)
    keep(database=database.engine.dialect.name, seconds=round(time.monotonic() - began), **SEEN)
    wanted = MUST if HISTORIES >= ENOUGH else ("act approve", "granted: apply")
    missing = [what for what in wanted if not SEEN[what]]
    for what, count in sorted(SEEN.items()):
        print(f"{count:8} {what}")  # noqa: T201  (shown by pytest -s: what the histories came to)
    assert not missing, f"never came to: {', '.join(missing)}"
