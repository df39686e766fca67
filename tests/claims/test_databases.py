"""Both databases: one schema, and of many who claim the same thing exactly one wins."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

import opsnb.control.app  # every store registers its tables
from claims import postgres, world
from opsnb.base.clock import now
from opsnb.control.approvals.values import ActKind
from opsnb.control.database import Database, metadata
from opsnb.control.flows.approve import Deed, act_in
from opsnb.control.flows.claim import begin_next
from opsnb.control.flows.submit import queue
from opsnb.control.records import Mode
from opsnb.control.runs import claims, store

ROUNDS = 10_000 if os.environ.get("OPSNB_PROVE") else 60
CLAIMERS = 16
assert opsnb.control.app


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A new database of each kind."""
    if request.param == "sqlite":
        made = Database(tmp_path_factory.mktemp("db") / "opsnb.db")
        yield made
        made.close()
        return
    if not postgres.there():
        pytest.skip("no PostgreSQL here: tests/install-system-packages")
    with postgres.server() as url:
        made = Database(url)
        yield made
        made.close()


def test_the_schema_is_the_same(database: Database) -> None:
    """The migrations build, on either database, exactly what the code expects."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []


def test_what_was_done_stays(database: Database) -> None:
    """Acts are only ever added: the database itself refuses to change or delete one."""
    import sqlalchemy as sa

    from opsnb.control.approvals.store import acts

    with database.transaction() as connection:
        row = {c.name: "x" for c in acts.columns if c.name != "number"}
        connection.execute(sa.insert(acts).values(**row))
    for change in (sa.update(acts).values(person="y"), sa.delete(acts)):
        with pytest.raises(sa.exc.DBAPIError, match="only ever added"), database.transaction() as connection:
            connection.execute(change)


def test_of_sixteen_claimers_one_wins(database: Database) -> None:
    """Sixteen threads, each with a connection of its own, reach for each approved change at once; one gets it."""
    world.empty(database)
    ground, started = world.MovedGround(), iter(range(ROUNDS))
    won: list[list[int]] = [[] for _ in range(ROUNDS)]
    broken: list[Exception] = []

    def next_round() -> None:
        """Queue the application of a request that was asked for and approved, past every earlier look."""
        number = next(started, None)
        if number is None:
            return
        with database.transaction() as connection:
            world.seal(connection, ground, f"q{number}", "dora", frozenset())
            world.put(connection, ground, f"q{number}", "dora", "asked", world.ZERO)
            bob, yes = world.actor(connection, "bob"), Deed(kind=ActKind.APPROVE)
            act_in(connection, ground.policies(), bob, f"q{number}", yes, world.ZERO)
            queue(connection, f"q{number}", "TST-100", "t", Mode.APPLY, "dora")

    barrier = threading.Barrier(CLAIMERS, action=next_round)

    def claimer(me: int) -> None:
        own = copy.copy(database)  # without the turn that one process's threads take
        own._turn = threading.RLock()
        try:
            for number in range(ROUNDS):
                barrier.wait(120)
                with own.transaction() as connection:
                    if begin_next(connection, ground, world.at(1)) is not None:
                        won[number].append(me)
        except Exception as error:  # noqa: BLE001  (told by the test itself)
            broken.append(error)
            barrier.abort()

    threads = [threading.Thread(target=claimer, args=(me,)) for me in range(CLAIMERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    with database.transaction() as connection:
        found = connection.execute(select(claims.claims.c.request)).scalars().all()
        fences = set(connection.execute(select(store.runs.c.fence)).scalars())
    assert sorted(found) == sorted(f"q{n}" for n in range(ROUNDS))
    assert (sum(len(w) for w in won), fences) == (ROUNDS, {1})


def test_the_database_itself_lets_one_claim_through(database: Database) -> None:
    """Even code that looks at nothing cannot claim the same thing twice."""
    claim = {"request": "q", "mode": Mode.APPLY, "slot": "q:apply", "by": "u-1", "at": now(), "approvals": []}
    with database.transaction() as connection:
        claims.add(connection, run="first", **claim)
    with pytest.raises(IntegrityError), database.transaction() as connection:
        claims.add(connection, run="second", **claim)


def test_url_and_file(tmp_path: Path) -> None:
    """A path is SQLite's file, for its owner only."""
    made = Database(tmp_path / "x.db")
    made.close()
    assert (tmp_path / "x.db").stat().st_mode & 0o777 == 0o600
