"""One-time codes by the clock (RFC 6238: HMAC-SHA-1, 6 digits, 30 seconds). A code is taken once.

A code of the step before or after is taken too, for clocks differ; a step at or before the last one taken never is.
The key must be read to be checked, so it cannot be hashed: it lies encrypted among the secrets (:mod:`..flows.codes`).
"""

from __future__ import annotations

import base64
import hmac
import secrets
from urllib.parse import quote

from sqlalchemy import Boolean, Column, Connection, ForeignKey, Integer, String, Table, delete, insert, select, update

from opsnb.control.database import metadata

STEP_SECONDS = 30
DIGITS = 6
DRIFT_STEPS = 1  # that a clock may be ahead or behind
KEY_BYTES = 20

totps = Table(
    "totps",
    metadata,
    Column("person", String, ForeignKey("people.id"), primary_key=True),
    Column("key", String, nullable=False),  # empty; in base32 where it was kept in the clear, until the next start
    Column("confirmed", Boolean, nullable=False),
    Column("step", Integer, nullable=False),  # the last one that was taken
)


def code_at(key: str, step: int) -> str:
    """Return the code of one step (RFC 4226, 5.3)."""
    digest = hmac.digest(base64.b32decode(key), step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(key: str, code: str, seconds: float, after: int) -> int | None:
    """Return the step whose code this is, when it may be taken now: near the clock, and later than ``after``."""
    here = int(seconds) // STEP_SECONDS
    given = code.replace(" ", "")
    for step in range(here - DRIFT_STEPS, here + DRIFT_STEPS + 1):
        if step > after and hmac.compare_digest(code_at(key, step).encode(), given.encode("utf-8", "replace")):
            return step
    return None


def begin(connection: Connection, person: str) -> str:
    """Give somebody a new key, which counts when a code has confirmed it; return it in base32. It is not kept here."""
    remove(connection, person)
    connection.execute(insert(totps).values(person=person, key="", confirmed=False, step=0))
    return base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode()


def is_on(connection: Connection, person: str) -> bool:
    """Return whether somebody's sign-in wants a code."""
    there = (totps.c.person == person) & totps.c.confirmed
    return connection.execute(select(totps.c.person).where(there)).one_or_none() is not None


def take(
    connection: Connection, person: str, key: str, code: str, seconds: float, *, confirm: bool = False
) -> bool:  # fmt: skip
    """Take a code of somebody's key, once; with ``confirm`` the first one, which makes the key count."""
    row = connection.execute(select(totps).where(totps.c.person == person)).one_or_none()
    if row is None or not key or (not row.confirmed and not confirm):
        return False
    step = step_of(key, code, seconds, row.step)
    if step is None:
        return False
    newer = (totps.c.person == person) & (totps.c.step < step)
    return bool(connection.execute(update(totps).where(newer).values(step=step, confirmed=True)).rowcount)


def remove(connection: Connection, person: str) -> None:
    """Want no code of somebody any more."""
    connection.execute(delete(totps).where(totps.c.person == person))


def in_the_clear(connection: Connection) -> dict[str, str]:
    """Return the keys that are kept in the clear, by person: those of an older version."""
    return {row.person: row.key for row in connection.execute(select(totps).where(totps.c.key != ""))}


def forget_clear(connection: Connection) -> None:
    """Have no key in the clear any more: each is encrypted elsewhere."""
    connection.execute(update(totps).values(key=""))


def address(key: str, name: str, workspace: str) -> str:
    """Return the ``otpauth:`` address that an authenticator reads from a QR code."""
    label = quote(f"opsnb {workspace}:{name}", safe="")
    return f"otpauth://totp/{label}?secret={key}&issuer={quote(f'opsnb {workspace}', safe='')}"
