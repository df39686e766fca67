"""How often somebody may try to sign in: failures are counted by name and address, each makes the next wait.

The rule is :func:`wait_after`. A try is counted before it is judged, so that tries side by side do not all get in
before the first is counted; success takes the name's count back. A name that waits is not locked for longer than
``LONGEST`` seconds, or anybody could lock anybody out.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, Integer, String, Table, delete, insert, select, update

from opsnb.base.clock import parse, stamp
from opsnb.base.errors import RefusedError
from opsnb.control.database import metadata

FREE = {"name": 5, "address": 20}  # failures that cost no wait
LONGEST = 900.0  # seconds of one wait
FORGET = 3600.0  # seconds without a try after which all is forgotten
MOST_KEYS = 10_000  # counts that are kept

throttles = Table(
    "throttles",
    metadata,
    Column("key", String, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last", String, nullable=False),
    Column("until", String, nullable=False),
)


def wait_after(failures: int, free: int) -> float:
    """Return how many seconds the next try has to wait: 1, 2, 4, ... from the first failure that is not free."""
    return 0.0 if failures < free else min(LONGEST, 2.0 ** min(failures - free, 20))


def begin(connection: Connection, now: datetime, **keys: str) -> str:
    """Count a try for each key (``name=``, ``address=``) as failed until it is not.

    Returns:
        Empty, or why it may not be tried now; it is not counted then.
    """
    rows = {kind: _row(connection, kind, value, now) for kind, value in keys.items() if value}
    waits = [(until - now).total_seconds() for _, until in rows.values() if until > now]
    if waits:
        return f"too many sign-ins have failed; wait {math.ceil(max(waits))} s"
    for kind, (failures, _) in rows.items():
        until = now + timedelta(seconds=wait_after(failures + 1, FREE[kind]))
        _write(connection, _key(kind, keys[kind]), failures + 1, now, until)
    _bound(connection, now)
    return ""


def require(refusal: str) -> None:
    """Refuse when :func:`begin` said why not.

    Raises:
        RefusedError: Says how long to wait.
    """
    if refusal:
        raise RefusedError(refusal)


def succeeded(connection: Connection, now: datetime, **keys: str) -> None:
    """Forget a name's failures, and take back the one that the try counted for its address."""
    if name := keys.get("name"):
        connection.execute(delete(throttles).where(throttles.c.key == _key("name", name)))
    if address := keys.get("address"):
        failures, _ = _row(connection, "address", address, now)
        _write(connection, _key("address", address), max(0, failures - 1), now, now)


def undone(connection: Connection, now: datetime, **keys: str) -> None:
    """Take back what one try counted: it could not be judged."""
    for kind, value in keys.items():
        failures, _ = _row(connection, kind, value, now)
        if value and failures:
            _write(connection, _key(kind, value), failures - 1, now, now)


def _key(kind: str, value: str) -> str:
    return f"{kind}:{value.casefold()[:100]}"


def _row(connection: Connection, kind: str, value: str, now: datetime) -> tuple[int, datetime]:
    row = connection.execute(select(throttles).where(throttles.c.key == _key(kind, value))).one_or_none()
    if row is None or (now - parse(row.last)).total_seconds() > FORGET:
        return 0, now
    return row.failures, parse(row.until)


def _write(connection: Connection, key: str, failures: int, now: datetime, until: datetime) -> None:
    values = {"failures": failures, "last": stamp(now), "until": stamp(until)}
    if not connection.execute(update(throttles).where(throttles.c.key == key).values(**values)).rowcount:
        connection.execute(insert(throttles).values(key=key, **values))


def _bound(connection: Connection, now: datetime) -> None:
    connection.execute(delete(throttles).where(throttles.c.last < stamp(now - timedelta(seconds=FORGET))))
    newest = select(throttles.c.key).order_by(throttles.c.last.desc()).limit(MOST_KEYS)
    connection.execute(delete(throttles).where(throttles.c.key.not_in(newest)))
