"""The one place that opens the database. SQLite embedded by default, one owning process at a time; or PostgreSQL.

Every store defines its tables on :data:`metadata`. A transaction on SQLite starts with ``BEGIN IMMEDIATE``, so that two
writers never deadlock on an upgrade of their locks. On PostgreSQL it starts by taking the database's one advisory lock,
which says the same between processes: what a transaction has read is so until it commits.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import DataError

from opsnb.base.errors import UnavailableError, UsageError

metadata = MetaData()

# A WAL reset can lose data in 3.7.0 to 3.51.2 (fixed there and in these patch releases); use WAL only from them on.
WAL_SAFE = {(3, 50): 7, (3, 44): 6}
WAL_SAFE_FROM = (3, 51, 3)
TURN = 7_062_910_337  # the advisory lock of PostgreSQL; any number that nobody else takes in our database


def wal_is_safe(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Return whether this SQLite can be trusted with ``journal_mode=WAL``."""
    patch = WAL_SAFE.get(version[:2])
    return version >= WAL_SAFE_FROM or (patch is not None and version[2] >= patch)


def open_engine(path: Path) -> Engine:
    """Open (and create) the SQLite database at ``path``, durable and with foreign keys on."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": 30})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            f"journal_mode={'WAL' if wal_is_safe() else 'DELETE'}",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def open_postgresql(url: str) -> Engine:
    """Open the PostgreSQL database at ``url`` (``postgresql+psycopg://...``); its driver is the extra ``postgresql``.

    Raises:
        UnavailableError: If the driver is not installed.
    """
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except ImportError as error:
        raise UnavailableError(
            f"PostgreSQL needs a driver that is not installed: {error}", hint="pip install 'opsnb[postgresql]'"
        ) from error

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TURN})")

    @event.listens_for(engine, "handle_error")
    def _not_kept(context: Any) -> UsageError | None:
        if not isinstance(context.sqlalchemy_exception, DataError):
            return None
        return UsageError("the database keeps no such value: it holds a NUL character, say")  # whoever asks sent it

    return engine


class Database:
    """The state of one workspace; its one owner's threads take turns here instead of polling SQLite's lock.

    Args:
        where: The file of an SQLite database, or the URL of a PostgreSQL one.
    """

    def __init__(self, where: Path | str) -> None:
        from opsnb.control.migrations import upgrade

        self.engine = open_engine(where) if isinstance(where, Path) else open_postgresql(where)
        self._turn = threading.RLock()
        self._here = threading.local()  # the transaction that this thread is in
        if isinstance(where, Path):
            where.touch(mode=0o600, exist_ok=True)
        upgrade(self.engine)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One atomic change: commits at the end, rolls back on any exception."""
        with self._turn, self.engine.begin() as connection:
            outer, self._here.connection = getattr(self._here, "connection", None), connection
            try:
                yield connection
            finally:
                self._here.connection = outer

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """The transaction that this thread is in, else one of its own: for what only reads, whoever calls it."""
        there: Connection | None = getattr(self._here, "connection", None)
        if there is not None:
            yield there
            return
        with self.transaction() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
