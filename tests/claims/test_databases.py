"""Both databases: one schema, and of many who claim the same thing exactly one wins."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

import opsnb.control.app  # every store registers its tables
from claims import claimers, postgres
from claims.evidence import keep
from opsnb.base.clock import now
from opsnb.base.errors import NotFoundError, UsageError
from opsnb.control.database import Database, metadata
from opsnb.control.records import Mode
from opsnb.control.runs import claims, store

PROVE = bool(os.environ.get("OPSNB_PROVE"))
ROUNDS = int(os.environ.get("OPSNB_ROUNDS", "10000" if PROVE else "24"))
FEWER = int(os.environ.get("OPSNB_ROUNDS", "2000" if PROVE else "8"))  # between processes
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


def test_a_text_that_cannot_be_kept(database: Database) -> None:
    """A NUL character in what somebody sends is kept, or refused as wrong: it is no failure of ours."""
    with contextlib.suppress(UsageError), database.transaction() as connection:
        store.request_of_submission(connection, "a\0b")
    wanted = NotFoundError if database.engine.name == "sqlite" else UsageError
    with pytest.raises(wanted), database.transaction() as connection:
        store.request_row(connection, "a\0b")


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("processes", [False, True], ids=["threads", "processes"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_of_sixteen_claimers_one_wins(kind: str, tmp_path: Path, *, processes: bool) -> None:
    """Sixteen, each with a connection of its own, reach for each approved change at once; one gets it."""
    rounds = FEWER if processes else ROUNDS
    with where(kind, tmp_path) as place:
        began = time.monotonic()
        claimers.race(place, rounds, processes=processes)
        took = time.monotonic() - began
        made = Database(place)
        claimers.check(made, rounds)
        made.close()
    keep(kind=kind, claimers="16 processes" if processes else "16 threads", rounds=rounds, seconds=round(took))
    print(f"{rounds} of {rounds} rounds, {claimers.CLAIMERS} claimers, {took:.0f} s")  # noqa: T201  (pytest -s)


@contextmanager
def where(kind: str, folder: Path) -> Iterator[Path | str]:
    """Return where a new database is."""
    if kind == "sqlite":
        shm = Path("/dev/shm")
        path = (shm if shm.is_dir() else folder) / f"opsnb-claimers-{os.getpid()}.db"
        path.unlink(missing_ok=True)
        yield path
        path.unlink()
        return
    if not postgres.there():
        pytest.skip("no PostgreSQL here: tests/install-system-packages")
    with postgres.server() as url:
        yield url


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
