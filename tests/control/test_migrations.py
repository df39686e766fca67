"""The schema: what the migrations build is what the code expects, and a new database is at the head."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

import opsnb.control.app  # every store registers its tables
import opsnb.control.approvals.store
from opsnb.control import migrations
from opsnb.control.database import Database, metadata, wal_is_safe


def test_the_migrations_build_what_the_code_expects(tmp_path: Path) -> None:
    """Autogenerate finds nothing to add to, change in or drop from a migrated database."""
    assert opsnb.control.app
    assert opsnb.control.approvals.store
    database = Database(tmp_path / "opsnb.db")
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_the_head_is_named() -> None:
    """migrations.HEAD is the newest revision, so that Alembic is imported only when there is work."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


def test_opening_twice_changes_nothing(tmp_path: Path) -> None:
    """An up-to-date database is opened as it is; the file is for its owner only."""
    Database(tmp_path / "opsnb.db").close()
    before = (tmp_path / "opsnb.db").read_bytes()
    database = Database(tmp_path / "opsnb.db")
    assert inspect(database.engine).has_table("runs")
    database.close()
    assert (tmp_path / "opsnb.db").read_bytes() == before


def test_which_sqlite_may_use_wal() -> None:
    """WAL only from the releases on that do not lose data at a reset."""
    safe = [(3, 51, 3), (3, 50, 7), (3, 44, 6), (3, 52, 0)]
    unsafe = [(3, 40, 1), (3, 51, 2), (3, 50, 6), (3, 44, 5), (3, 45, 9)]
    assert [wal_is_safe(v) for v in safe + unsafe] == [True] * 4 + [False] * 5
