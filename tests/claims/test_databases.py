"""Both databases: one schema, and of many who claim the same thing exactly one wins."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

import opsnb.control.app  # every store registers its tables
from claims import postgres
from opsnb.base.clock import now
from opsnb.control.database import Database, metadata
from opsnb.control.records import Mode, RunState
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
    """Sixteen threads, each with a connection of its own, reach for each run at once; one gets it, every time."""
    with database.transaction() as connection:
        for number in range(ROUNDS):
            store.add_run(
                connection, store.NewRun(id=f"r{number}", request=f"q{number}", runbook="x", title="", mode=Mode.APPLY)
            )
    won: list[list[int]] = [[] for _ in range(ROUNDS)]
    barrier, broken = threading.Barrier(CLAIMERS), []

    def claimer(me: int) -> None:
        own = type(database).__new__(type(database))  # without the turn that one process's threads take
        own.engine, own._turn = database.engine, threading.RLock()
        try:
            for number in range(ROUNDS):
                barrier.wait(60)
                if _claimed(own, number):
                    won[number].append(me)
        except Exception as error:
            broken.append(error)
            barrier.abort()
            raise

    threads = [threading.Thread(target=claimer, args=(me,)) for me in range(CLAIMERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken
    assert [len(winners) for winners in won] == [1] * ROUNDS
    with database.transaction() as connection:
        assert {store.run_row(connection, f"r{n}").fence for n in range(ROUNDS)} == {1}


def _claimed(database: Database, number: int) -> bool:
    """Take run ``number`` if it is still queued, and claim its slot."""
    with database.transaction() as connection:
        row = store.run_row(connection, f"r{number}")
        if row.state != RunState.QUEUED:
            return False
        store.take(connection, row)
        claims.add(
            connection, run=row.id, request=row.request, mode=Mode.APPLY,
            slot=claims.slot_of(row.request, Mode.APPLY, "", 0), by="u-1", at=now(), approvals=[],
        )  # fmt: skip
        return True


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
