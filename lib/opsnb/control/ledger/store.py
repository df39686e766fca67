"""The ledger's tables. An entry is appended in the caller's transaction, together with the state change it records.

The next index comes from the head row, locked in that transaction: a sequence would leave gaps when a transaction
rolls back. ``data`` holds the bytes that were hashed; the columns beside it only find entries and prove nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    insert,
    or_,
    select,
    update,
)

from opsnb.base.clock import stamp
from opsnb.base.errors import AlteredError, OpsnbError, UsageError
from opsnb.control.database import metadata
from opsnb.control.ledger.event import Event
from opsnb.control.ledger.events import LedgerOpened, entry_bytes
from opsnb.control.ledger.tree import Frontier, leaf_hash

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("idx", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),  # the entry's exact bytes, without a newline
    Column("leaf", LargeBinary, nullable=False),  # its RFC 6962 leaf hash
    Column("end", BigInteger, nullable=False),  # where its line ends in entries.jsonl, in bytes
    Column("kind", String(40), nullable=False, index=True),
    Column("run", String(80), index=True),
    Column("request", String(80), index=True),
)

ledger_head = Table(
    "ledger_head",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("frontier", Text, nullable=False),  # JSON list of hex, the largest subtree first
    Column("root", LargeBinary, nullable=False),
)

READ_AT_ONCE = 1000  # rows held in memory while entries are streamed
APPENDED = "opsnb.ledger.appended"  # connection.info: the transaction that appended last


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where an entry stands: its index and leaf hash, and the ledger's size and root just after it."""

    index: int
    leaf: bytes
    size: int
    root: bytes


@dataclass(frozen=True, kw_only=True)
class Head:
    """The ledger's current size, right edge and root (32 bytes)."""

    size: int
    frontier: Frontier
    root: bytes


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One stored entry: ``data`` are its exact bytes, ``end`` where its line ends in ``entries.jsonl``.

    ``kind``, ``run`` and ``request`` are the columns by which it is found; see :meth:`fits`.
    """

    index: int
    data: bytes
    leaf: bytes
    end: int
    kind: str
    run: str | None
    request: str | None

    def fits(self, index: int, start: int) -> bool:
        """Whether this is entry ``index``, its line begins at ``start``, and each column says what its bytes say."""
        try:
            value = self.value
        except ValueError:
            return False
        said = (value.get("index"), value.get("kind"), value.get("run"), value.get("request"))
        return (
            leaf_hash(self.data) == self.leaf
            and said == (self.index, self.kind, self.run, self.request)
            and (self.index, self.end) == (index, start + len(self.data) + 1)
        )

    @property
    def value(self) -> dict[str, Any]:
        """The entry as a JSON object."""
        value = json.loads(self.data)
        return value if isinstance(value, dict) else {}


def append(connection: Connection, event: Event, *, at: str = "") -> Position:
    """Append an entry in the caller's transaction; O(log n).

    Args:
        connection: Inside the transaction of the state change that the event records.
        event: What happened; ``LedgerOpened`` first and only first.
        at: The time to record; now by default.

    Raises:
        UsageError: If the event cannot be recorded, or the ledger's beginning is missing or repeated.
        AlteredError: If the head row does not fit itself.
    """
    return append_all(connection, (event,), at=at)[0]


def append_all(connection: Connection, events: Sequence[Event], *, at: str = "") -> list[Position]:
    """Append entries in this order, as :func:`append` does, with as many statements as for one."""
    if not events:
        return []
    row = _head_row(connection, lock=True)
    before = _head(row)
    frontier, size, end = before.frontier, before.size, end_of(connection, before.size)
    rows: list[dict[str, Any]] = []
    positions: list[Position] = []
    for event in events:
        if (size == 0) != isinstance(event, LedgerOpened):
            raise UsageError(f"'{event.kind}' cannot be entry {size}: a ledger begins, once, with 'ledger.opened'")
        data = entry_bytes(event, size, at or stamp())
        leaf, said = leaf_hash(data), event.as_json()
        frontier, end = frontier.push(leaf), end + len(data) + 1
        rows.append({
            "idx": size, "data": data, "leaf": leaf, "end": end, "kind": event.kind, "run": said.get("run"),
            "request": said.get("request"),
        })  # fmt: skip
        size = frontier.size
        positions.append(Position(index=size - 1, leaf=leaf, size=size, root=frontier.root))
    connection.execute(insert(ledger_entries), rows)
    values = {"size": size, "frontier": json.dumps([n.hex() for n in frontier.nodes]), "root": frontier.root}
    connection.execute(
        insert(ledger_head).values(id=1, **values) if row is None else update(ledger_head).values(**values)
    )
    connection.info[APPENDED] = connection.get_transaction()
    return positions


def open_ledger(connection: Connection, origin: str, *, at: str = "") -> Position | None:
    """Append ``ledger.opened`` to an empty ledger; return ``None`` and do nothing when it has begun."""
    return None if head(connection).size else append(connection, LedgerOpened(origin=origin), at=at)


def head(connection: Connection) -> Head:
    """Return the ledger's head; size 0 when nothing was ever appended.

    Raises:
        AlteredError: If the head row does not fit itself.
    """
    return _head(_head_row(connection, lock=False))


def end_of(connection: Connection, size: int) -> int:
    """Return how many bytes the first ``size`` entries take in ``entries.jsonl``.

    Raises:
        AlteredError: If the last of them is missing.
    """
    if size == 0:
        return 0
    end = connection.execute(select(ledger_entries.c.end).where(ledger_entries.c.idx == size - 1)).scalar()
    if end is None:
        raise AlteredError(f"the ledger's head says {size} entries, and entry {size - 1} is missing")
    return int(end)


def read(connection: Connection, start: int = 0, end: int | None = None) -> Iterator[Entry]:
    """Yield entries ``start`` to ``end`` (exclusive; to the last by default) in order, a few at a time."""
    while end is None or start < end:
        stop = start + READ_AT_ONCE if end is None else min(end, start + READ_AT_ONCE)
        where = (ledger_entries.c.idx >= start) & (ledger_entries.c.idx < stop)
        rows = connection.execute(select(ledger_entries).where(where).order_by(ledger_entries.c.idx)).all()
        yield from (_entry(row) for row in rows)
        if len(rows) < stop - start:
            return
        start = stop


def stray(connection: Connection, size: int) -> int | None:
    """Return the index of a row that is none of the first ``size`` entries, or ``None``."""
    where = (ledger_entries.c.idx < 0) | (ledger_entries.c.idx >= size)
    return connection.execute(select(ledger_entries.c.idx).where(where).order_by(ledger_entries.c.idx)).scalar()


def leaves(connection: Connection, size: int) -> list[bytes]:
    """Return the leaf hashes of the first ``size`` entries."""
    where = select(ledger_entries.c.leaf).where(ledger_entries.c.idx < size).order_by(ledger_entries.c.idx)
    return list(connection.execute(where).scalars())


def about(connection: Connection, *, run: str, request: str) -> list[Entry]:
    """Return the entries that name a run or its request, in order."""
    where = or_(ledger_entries.c.run == run, ledger_entries.c.request == request)
    rows = connection.execute(select(ledger_entries).where(where).order_by(ledger_entries.c.idx))
    return [_entry(row) for row in rows]


def latest(connection: Connection, kind: str, *, run: str = "") -> Entry | None:
    """Return the newest entry of a kind (of one run, when named), or ``None``."""
    where = ledger_entries.c.kind == kind
    if run:
        where &= ledger_entries.c.run == run
    row = connection.execute(
        select(ledger_entries).where(where).order_by(ledger_entries.c.idx.desc()).limit(1),
    ).first()
    return None if row is None else _entry(row)


def require_committed(connection: Connection) -> None:
    """Raise if this transaction has appended: a head that may still be rolled back must never be signed.

    Raises:
        OpsnbError: If it has.
    """
    transaction = connection.get_transaction()
    if transaction is not None and connection.info.get(APPENDED) is transaction:
        raise OpsnbError("a checkpoint was asked for inside the transaction that appends; commit first, then sign")


def _head_row(connection: Connection, *, lock: bool) -> Any:  # Row's type parameters are others in 2.0 than in 2.1
    query = select(ledger_head)
    rows = connection.execute(query.with_for_update() if lock else query).all()
    if len(rows) > 1 or (rows and rows[0].id != 1):  # a database file can be edited past its own constraints
        raise AlteredError("the ledger's head is not one row, of id 1", hint="restore the database from a backup")
    return rows[0] if rows else None


def _head(row: Any) -> Head:
    if row is None:
        empty = Frontier()
        return Head(size=0, frontier=empty, root=empty.root)
    try:
        if type(row.size) is not int:  # SQLite keeps any type in any column
            raise TypeError(row.size)  # noqa: TRY301  (told like the others below)
        frontier = Frontier(size=row.size, nodes=tuple(bytes.fromhex(n) for n in json.loads(row.frontier)))
    except (ValueError, TypeError, UsageError) as error:
        raise AlteredError("the ledger's head row cannot be read", hint="restore the database from a backup") from error
    if frontier.root != row.root or row.frontier != json.dumps([n.hex() for n in frontier.nodes]):
        raise AlteredError("the ledger's head row does not fit itself", hint="restore the database from a backup")
    return Head(size=frontier.size, frontier=frontier, root=frontier.root)


def _entry(row: Row[Any]) -> Entry:
    if not isinstance(row.data, bytes) or not isinstance(row.leaf, bytes):  # SQLite keeps any type in any column
        raise AlteredError(f"ledger entry {row.idx} was altered in the database: it is not bytes")
    return Entry(
        index=row.idx, data=row.data, leaf=row.leaf, end=row.end, kind=row.kind, run=row.run, request=row.request,
    )  # fmt: skip
