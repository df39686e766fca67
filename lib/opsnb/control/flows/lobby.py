"""Where people wait who sign in with a provider: on their way there, and behind it.

What a browser has to bring back with it (``state``, ``nonce``, the verifier of PKCE) lies in a cookie that this process
has signed, so nobody fills our memory by beginning. What comes after the provider has vouched for somebody lies in
memory under one-time names, for minutes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from opsnb.base.errors import NotFoundError, NotSignedInError
from opsnb.control.people.identities import Found
from opsnb.control.people.oidc import Provider
from opsnb.control.people.tokens import Token
from opsnb.control.people.values import Person

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

TICKET_SECONDS = 300.0  # how long somebody may take behind the provider
MOST_KEPT = 10_000
MOST_COOKIE = 4096
AGAIN = "begin again"
Kept = TypeVar("Kept")


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A sign-in that went to the provider.

    Args:
        state: Comes back with the browser.
        nonce: Comes back inside the ID token.
        verifier: What PKCE says last.
        until: When it is too late, in seconds since 1970.
        next: Where the browser wants to go afterwards.
        terminal: The digest of a terminal's secret; empty for a browser's own session.
        label: What that terminal calls itself.
    """

    state: str
    nonce: str
    verifier: str
    until: float
    next: str = ""
    terminal: str = ""
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Somebody whom the provider has vouched for, and who is not done yet."""

    person: Person
    found: Found
    begun: Begun
    code: bool = False  # whether a code of opsnb is still wanted
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """How it goes on: a session's secret; or a ticket for the code of an authenticator, or for a terminal."""

    person: Person
    next: str = ""
    secret: str = ""
    token: Token | None = None
    ticket: str = ""
    code: bool = False
    label: str = ""


class Drawer(Generic[Kept]):
    """Values under random names, for a while, each to be taken out once."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Kept]] = OrderedDict()

    def put(self, value: Kept, now: datetime, name: str = "") -> str:
        """Keep a value; return the name that takes it out."""
        name = name or secrets.token_urlsafe(24)
        with self._turn:
            self._tidy(now)
            self._kept[_digest(name)] = (now.timestamp() + TICKET_SECONDS, value)
        return name

    def take(self, name: str, now: datetime) -> Kept | None:
        """Return a value, and forget it."""
        with self._turn:
            self._tidy(now)
            found = self._kept.pop(_digest(name), None)
        return found[1] if found else None

    def _tidy(self, now: datetime) -> None:
        while self._kept:
            until, _ = next(iter(self._kept.values()))
            if until > now.timestamp() and len(self._kept) < MOST_KEPT:
                return
            self._kept.popitem(last=False)


@dataclass
class Lobby:
    """Where those are who sign in with a provider. It lasts as long as its process."""

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    spent: OrderedDict[str, float] = field(default_factory=OrderedDict)  # states that came back, until they are old
    waiting: Drawer[Waiting] = field(default_factory=Drawer)
    terminals: Drawer[Waiting] = field(default_factory=Drawer)
    kept: Provider | None = None
    turn: threading.Lock = field(default_factory=threading.Lock)

    def seal(self, begun: Begun) -> str:
        """Return what a browser keeps."""
        data = base64.urlsafe_b64encode(json.dumps(asdict(begun)).encode()).decode()
        return f"{data}.{self._mac(data)}"

    def open(self, text: str, state: str, now: datetime) -> Begun:
        """Return what a browser kept, once.

        Raises:
            NotSignedInError: If it is none of ours, too old, of another sign-in, or came back already.
        """
        data, _, mac = text[:MOST_COOKIE].partition(".")
        if not hmac.compare_digest(mac.encode("utf-8", "replace"), self._mac(data).encode()):
            raise NotSignedInError("this browser has begun no sign-in here", hint=AGAIN)
        begun = Begun(**json.loads(base64.urlsafe_b64decode(data)))
        if now.timestamp() >= begun.until:
            raise NotSignedInError("this sign-in was begun too long ago", hint=AGAIN)
        if not hmac.compare_digest(state.encode("utf-8", "replace"), begun.state.encode()):
            raise NotSignedInError("this is the answer to another sign-in", hint=AGAIN)
        with self.turn:
            while self.spent and next(iter(self.spent.values())) <= now.timestamp():
                self.spent.popitem(last=False)
            if begun.state in self.spent:
                raise NotSignedInError("this sign-in was used already", hint=AGAIN)
            self.spent[begun.state] = begun.until
        return begun

    def provider(self, services: Services) -> Provider:
        """Return the provider that the settings name.

        Raises:
            NotFoundError: If they name none.
        """
        there = services.settings.login.oidc
        if there is None:
            raise NotFoundError("no provider is set here", hint="docs/login.md: login: oidc: in opsnb.yaml")
        with self.turn:
            if self.kept is None or self.kept.settings != there:
                root, reference = services.workspace.root, there.client_secret
                self.kept = Provider(there, root, lambda: services.secrets.read(reference).value)
            return self.kept

    def _mac(self, data: str) -> str:
        return hmac.new(self.key, data.encode("utf-8", "replace"), "sha256").hexdigest()


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
