"""What the ledger says about sign-in: what was handed out to be known by, what was revoked, whose password is another.

No secret, no hash, no address: ids alone. Tries that failed are in the login history.
"""

# ruff: noqa: RUF009 - identifier() and its like are dataclasses.field() with a check, called once, for the class
from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from opsnb.control.ledger.event import Event, digested, identifier, one_of


class Credential(StrEnum):
    """What was handed out."""

    API = "api"  # an API token
    SESSION = "session"  # a session: somebody signed in
    LINK = "link"  # a one-time link to set a password


@dataclass(frozen=True, kw_only=True)
class TokenIssued(Event):
    """Somebody was given a token, a session or a one-time link."""

    kind: ClassVar[str] = "token.issued"
    token: str = identifier()
    credential: Credential = one_of(Credential)
    person: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class TokenRevoked(Event):
    """A token, a session or a link holds no more."""

    kind: ClassVar[str] = "token.revoked"
    token: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class PasswordSet(Event):
    """Somebody's password is another now."""

    kind: ClassVar[str] = "password.set"
    person: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class CodesSet(Event):
    """Somebody's sign-in wants a one-time code from now on."""

    kind: ClassVar[str] = "codes.set"
    person: str = identifier()
    by: str = identifier()


@dataclass(frozen=True, kw_only=True)
class CodesRemoved(Event):
    """Somebody's sign-in wants no code any more."""

    kind: ClassVar[str] = "codes.removed"
    person: str = identifier()
    by: str = identifier()


class Elsewhere(StrEnum):
    """Where somebody is known too."""

    LDAP = "ldap"  # the directory
    OIDC = "oidc"  # the provider


@dataclass(frozen=True, kw_only=True)
class IdentityBound(Event):
    """Somebody signs in by an identity elsewhere from now on. The digest covers who they are there."""

    kind: ClassVar[str] = "identity.bound"
    person: str = identifier()
    source: Elsewhere = one_of(Elsewhere)
    by: str = identifier()
    digest: str = digested()


@dataclass(frozen=True, kw_only=True)
class IdentityUnbound(Event):
    """Somebody signs in by that no more."""

    kind: ClassVar[str] = "identity.unbound"
    person: str = identifier()
    source: Elsewhere = one_of(Elsewhere)
    by: str = identifier()


LOGIN_EVENTS: tuple[type[Event], ...] = (
    TokenIssued, TokenRevoked, PasswordSet, CodesSet, CodesRemoved, IdentityBound, IdentityUnbound,
)  # fmt: skip
