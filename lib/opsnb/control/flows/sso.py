"""Signing in with a provider: a browser goes there and comes back; a code of opsnb where one is set; a terminal, too.

A terminal elsewhere has no browser of its own, as a rule. It makes a secret and shows an address that holds the
secret's digest. Whoever signs in there is asked whether they want this terminal to act as them, and is then shown a
code, which they type into it; the code is of no use without the secret (docs/decisions/0023).
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from opsnb.base.clock import ALPHABET
from opsnb.base.clock import now as current
from opsnb.base.errors import NotSignedInError, UnavailableError, UsageError
from opsnb.control.flows import codes
from opsnb.control.flows.enter import WRONG, issued
from opsnb.control.flows.lobby import AGAIN, Arrived, Begun, Lobby, Waiting
from opsnb.control.flows.outside import follow_groups, may_sign_in, settle
from opsnb.control.people import history, store, throttle, totp
from opsnb.control.people.asking import AskingError
from opsnb.control.people.history import Outcome, Way
from opsnb.control.people.identities import Found
from opsnb.control.people.names import shown
from opsnb.control.people.oidc import WrongError, challenge_of
from opsnb.control.people.tokens import Token, TokenKind
from opsnb.control.people.values import Person

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from opsnb.control.flows.services import Services

TYPED = 10  # characters of what a person types into a terminal: 49 bits, for five minutes, worth nothing alone
BEGUN_SECONDS = 600.0  # how long somebody may take at the provider
PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,500}")  # on this very server
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
LOG = logging.getLogger("opsnb")


def begin(services: Services, lobby: Lobby, *, next_: str = "", terminal: str = "", label: str = "") -> tuple[str, str]:
    """Return where a browser goes to sign in, and what it keeps until it is back.

    Raises:
        NotFoundError: If the settings name no provider.
        UnavailableError: If the provider cannot be asked.
        UsageError: If where to go afterwards is not a path here, or the terminal's digest is none.
    """
    provider = lobby.provider(services)
    if next_ and not PATH.fullmatch(next_):
        raise UsageError("'next' is a path on this server, like /api")
    if terminal and not CHALLENGE.fullmatch(terminal):
        raise UsageError("'terminal' is a SHA-256 in base64url", hint="opsnb login URL --sso prints the address")
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    until = current().timestamp() + BEGUN_SECONDS
    begun = Begun(
        state=state, nonce=nonce, verifier=verifier, until=until, next=next_, terminal=terminal, label=shown(label)
    )
    try:
        return provider.address(state, nonce, verifier), lobby.seal(begun)
    except AskingError as error:
        raise _away(error) from error


def back(
    services: Services, lobby: Lobby, cookie: str, *, state: str, code: str, issuer: str = "", address: str = ""
) -> Arrived:  # fmt: skip
    """Take somebody back from the provider.

    Args:
        services: What the flow needs.
        lobby: Where the sign-in was begun.
        cookie: What the browser kept.
        state: What the provider gave it back.
        code: The same; empty where the provider did not let them in.
        issuer: Who the provider says that it is (RFC 9207).
        address: Where the browser is.

    Raises:
        NotSignedInError: If it proves nothing, or whoever it is may not come in here.
        UnavailableError: If the provider cannot be asked.
        RefusedError: If too many have failed from this address.
    """
    now = current()
    begun = lobby.open(cookie, state, now)
    provider = lobby.provider(services)
    with services.database.transaction() as connection:
        refusal = throttle.begin(connection, now, address=address)
    throttle.require(refusal)
    try:
        provider.check_issuer(issuer)
        found = provider.redeem(code, begun.nonce, begun.verifier, now.timestamp())
    except AskingError as error:
        _noted(services, now, Outcome.AWAY, address)
        raise _away(error) from error
    except WrongError as error:
        LOG.warning("the provider: %s", error)
        _noted(services, now, Outcome.WRONG, address)
        raise NotSignedInError("the provider did not sign you in", hint=AGAIN) from error
    return _come(services, lobby, found, begun, address, now)


def _come(services: Services, lobby: Lobby, found: Found, begun: Begun, address: str, now: datetime) -> Arrived:
    """Let somebody in whom the provider has vouched for, or ask for the code that they have here besides."""
    with services.database.transaction() as connection:
        settled = settle(services, connection, found, now)
        person = settled.person
        if settled.outcome is Outcome.OK and person is not None:
            throttle.succeeded(connection, now, address=address)
            waiting = Waiting(person=person, found=found, begun=begun, address=address)
            if not totp.is_on(connection, person.id):
                return _done(lobby, connection, waiting, now)
            ticket = lobby.waiting.put(replace(waiting, code=True), now)
            return Arrived(person=person, ticket=ticket, code=True)
        history.note(connection, now, person.id if person else "", Way.OIDC, address, settled.outcome)
    raise NotSignedInError(settled.why or WRONG, hint=settled.hint)


def give_code(services: Services, lobby: Lobby, ticket: str, code: str, address: str = "") -> Arrived:
    """Take the code of an authenticator from somebody whom the provider has vouched for.

    Raises:
        NotSignedInError: If it is none, or the ticket is; then all of it begins anew.
        RefusedError: If too many have failed.
    """
    now = current()
    waiting = lobby.waiting.take(ticket, now)
    if waiting is None or not waiting.code:
        raise NotSignedInError("this took too long, or was used already", hint=AGAIN)
    person = waiting.person
    with services.database.transaction() as connection:
        refusal = throttle.begin(connection, now, name=person.name, address=address)
    throttle.require(refusal)
    with services.database.transaction() as connection:
        right = codes.satisfied(services, connection, person.id, code, now)
        if right:
            throttle.succeeded(connection, now, name=person.name, address=address)
            return _done(lobby, connection, waiting, now)
        history.note(connection, now, person.id, Way.OIDC, address, Outcome.CODE)
    raise NotSignedInError(WRONG, hint=AGAIN)


def _done(lobby: Lobby, connection: Connection, waiting: Waiting, now: datetime) -> Arrived:
    """Hand out a session, or a ticket with which a terminal is let in."""
    person, begun = waiting.person, waiting.begun
    if not may_sign_in(store.directory(connection), person):
        raise NotSignedInError(WRONG)
    follow_groups(connection, person, waiting.found)
    history.note(connection, now, person.id, Way.OIDC, waiting.address, Outcome.OK)
    if begun.terminal:
        ticket = lobby.waiting.put(replace(waiting, code=False), now)
        return Arrived(person=person, ticket=ticket, label=begun.label)
    secret, token = issued(connection, TokenKind.SESSION, person.id, now, "")
    return Arrived(person=person, next=begun.next, secret=secret, token=token)


def let_terminal_in(lobby: Lobby, ticket: str) -> tuple[Person, str]:
    """Return the code that somebody types into their terminal, once they said that it is theirs.

    Raises:
        NotSignedInError: If the ticket is none.
    """
    now = current()
    waiting = lobby.waiting.take(ticket, now)
    if waiting is None or waiting.code or not waiting.begun.terminal:
        raise NotSignedInError("this took too long, or was used already", hint=AGAIN)
    code = "".join(secrets.choice(ALPHABET) for _ in range(TYPED))
    lobby.terminals.put(waiting, now, code)
    return waiting.person, "-".join(code[n : n + 5] for n in range(0, TYPED, 5))


def redeem(
    services: Services, lobby: Lobby, code: str, verifier: str, label: str, address: str = ""
) -> tuple[str, Token]:  # fmt: skip
    """Return an API token for a terminal: for the code that a person typed, and the secret that it made itself.

    Raises:
        NotSignedInError: If they do not go together; the code is used up then too.
        RefusedError: If too many have failed.
    """
    now = current()
    with services.database.transaction() as connection:
        refusal = throttle.begin(connection, now, address=address)
    throttle.require(refusal)
    waiting = lobby.terminals.take(re.sub(r"[\s-]", "", code).lower(), now)
    fits = waiting is not None and hmac.compare_digest(challenge_of(verifier), waiting.begun.terminal)
    with services.database.transaction() as connection:
        if waiting is None or not fits or not may_sign_in(store.directory(connection), waiting.person):
            history.note(connection, now, "", Way.OIDC, address, Outcome.WRONG)
        else:
            throttle.succeeded(connection, now, address=address)
            return issued(connection, TokenKind.API, waiting.person.id, now, label)
    raise NotSignedInError("this is no code, or not of this terminal", hint="opsnb login URL --sso")


def _noted(services: Services, now: datetime, outcome: Outcome, address: str) -> None:
    with services.database.transaction() as connection:
        if outcome is Outcome.AWAY:
            throttle.undone(connection, now, address=address)
        history.note(connection, now, "", Way.OIDC, address, outcome)


def _away(error: AskingError) -> UnavailableError:
    LOG.warning("the provider: %s", error)
    return UnavailableError("the provider cannot be asked who you are", hint="try again; the log says why")
