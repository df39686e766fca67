"""What somebody holds to be known by: API tokens, sessions and one-time links, all 32 random bytes.

The database knows their SHA-256 alone, so whoever reads it can use none of them. Each has an end, a list of what it is
good for, and can be revoked; a link is good for one use.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Column, Connection, ForeignKey, Index, Row, String, Table, insert, select, update

from opsnb.base.clock import parse, stamp
from opsnb.base.errors import NotSignedInError, UsageError
from opsnb.base.nearest import did_you_mean
from opsnb.control.database import metadata
from opsnb.control.people.values import Action

PREFIX = "opsnb_"  # by which scanners of leaked secrets know one
MAX_SECRET = 200  # characters of what is looked up
NOTE_SECONDS = 60  # a use is noted at most so often
DAY = 86400.0

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("person", String, ForeignKey("people.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created", String, nullable=False),
    Column("expires", String, nullable=False),
    Column("by", String, nullable=False),
    Column("used", String, nullable=True),
    Column("revoked", String, nullable=True),
    Index("tokens_person", "person"),
)


class TokenKind(StrEnum):
    """What a token is for."""

    API = "api"  # a program's, or a terminal's elsewhere
    SESSION = "session"  # a browser's, after a sign-in
    LINK = "link"  # lets somebody set a password, once


LIMITS = {TokenKind.API: 366 * DAY, TokenKind.SESSION: 12 * 3600.0, TokenKind.LINK: 3600.0}  # seconds, at most


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token as the database knows it: never its secret."""

    id: str
    kind: TokenKind
    person: str
    name: str
    scopes: frozenset[str]
    created: datetime
    expires: datetime
    by: str
    used: datetime | None = None
    revoked: datetime | None = None

    def state(self, now: datetime, idle: float = 0.0) -> str:
        """Return ``valid``, ``revoked``, ``expired``, or ``idle``: a session that nobody used for so many seconds."""
        if self.revoked is not None:
            return "revoked"
        if now >= self.expires:
            return "expired"
        unused = (now - (self.used or self.created)).total_seconds()
        return "idle" if idle and self.kind is TokenKind.SESSION and unused >= idle else "valid"


def read_scopes(words: Iterable[str]) -> frozenset[str]:
    """Return scopes as given: actions, or ``*`` for all that the person may.

    Raises:
        UsageError: Names a word that is no action.
    """
    known = [a.value for a in Action]
    found = frozenset(words)
    for word in sorted(found - {"*", *known}):
        raise UsageError(f"'{word[:40]}' is no scope", hint=did_you_mean(word[:40], known, what="scopes"))
    if not found:
        raise UsageError("a token without a scope is good for nothing", hint="name scopes, or * for all")
    return found


def issue(
    connection: Connection, kind: TokenKind, person: str, *, by: str, now: datetime, name: str = "",
    scopes: frozenset[str] = frozenset({"*"}), seconds: float = 0.0,
) -> tuple[str, Token]:  # fmt: skip
    """Make a token; return its secret, which nobody can read again, and what is known of it.

    Raises:
        UsageError: If it would live longer than its kind may.
    """
    most = LIMITS[kind]
    if not 0 <= seconds <= most:
        raise UsageError(f"a token of kind '{kind}' lives {most / DAY:g} days at most, not {seconds / DAY:g}")
    secret = f"{PREFIX}{secrets.token_urlsafe(32)}"
    token = Token(
        id=f"t-{secrets.token_hex(6)}", kind=kind, person=person, name=name, scopes=scopes, created=now,
        expires=now + timedelta(seconds=seconds or most), by=by,
    )  # fmt: skip
    connection.execute(
        insert(tokens).values(
            id=token.id, kind=kind.value, person=person, name=name, digest=_digest(secret), scopes=sorted(scopes),
            created=stamp(now), expires=stamp(token.expires), by=by,
        )
    )  # fmt: skip
    return secret, token


def known(connection: Connection, secret: str, now: datetime, *kinds: TokenKind, idle: float = 0.0) -> Token:
    """Return the token whose secret this is, when it is good now, and note its use, once a minute at most.

    Args:
        connection: Inside a transaction.
        secret: What somebody holds.
        now: The time.
        kinds: What is looked for.
        idle: Seconds after which a session that nobody used is over; 0 for never.

    Raises:
        NotSignedInError: If there is none, or it is revoked, expired, idle, or of another kind.
    """
    row = None
    if len(secret) <= MAX_SECRET:
        row = connection.execute(select(tokens).where(tokens.c.digest == _digest(secret))).one_or_none()
    token = _token(row) if row is not None else None
    if token is None or token.kind not in kinds:
        raise NotSignedInError("this token is not known here", hint="opsnb login URL, or ask for a new token")
    if (state := token.state(now, idle)) == "idle":
        raise NotSignedInError(
            f"nobody used this session for {idle / 60:g} minutes, so it is over", hint="sign in again"
        )
    if state != "valid":
        raise NotSignedInError(f"this {token.kind} token is {state}", hint="sign in again, or ask for a new token")
    if token.used is None or (now - token.used).total_seconds() >= NOTE_SECONDS:
        connection.execute(update(tokens).where(tokens.c.id == token.id).values(used=stamp(now)))
    return token


def find(connection: Connection, token: str) -> Token | None:
    """Return a token by its id."""
    row = connection.execute(select(tokens).where(tokens.c.id == token)).one_or_none()
    return _token(row) if row is not None else None


def listed(connection: Connection, person: str = "") -> list[Token]:
    """Return the tokens of somebody, or all, newest first."""
    query = select(tokens).order_by(tokens.c.created.desc(), tokens.c.id)
    query = query.where(tokens.c.person == person) if person else query
    return [_token(row) for row in connection.execute(query)]


def revoke(connection: Connection, token: str, now: datetime) -> bool:
    """Revoke a token; return whether it was good until now (a link is used up so, by one alone)."""
    there = (tokens.c.id == token) & tokens.c.revoked.is_(None)
    return bool(connection.execute(update(tokens).where(there).values(revoked=stamp(now))).rowcount)


def revoke_all(connection: Connection, person: str, now: datetime, *kinds: TokenKind) -> list[str]:
    """Revoke somebody's tokens of these kinds that are good until now; return their ids."""
    found = [t for t in listed(connection, person) if t.kind in kinds and t.state(now) == "valid"]
    return [t.id for t in found if revoke(connection, t.id, now)]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id, kind=TokenKind(row.kind), person=row.person, name=row.name, scopes=frozenset(row.scopes),
        created=parse(row.created), expires=parse(row.expires), by=row.by,
        used=parse(row.used) if row.used else None, revoked=parse(row.revoked) if row.revoked else None,
    )  # fmt: skip
