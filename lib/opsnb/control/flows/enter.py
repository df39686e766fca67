"""Coming in: who acts in a call, sign-in by name and password and code, sign-out, and one-time links.

A password is one of opsnb's own, or the directory's (:mod:`.outside`): who has one here and is not bound to an entry
there is never looked for there with it, though the answer takes as long.

A password is judged outside of any transaction, for it takes a tenth of a second; the try is counted before. Whoever
fails is told one and the same thing; the history says what it was.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from opsnb.base.clock import now as current
from opsnb.base.clock import stamp
from opsnb.base.errors import NotSignedInError, UnavailableError
from opsnb.control.flows import codes
from opsnb.control.flows.outside import Settled, directory, follow_groups, may_sign_in, settle
from opsnb.control.ledger.events_login import Credential, PasswordSet, TokenIssued, TokenRevoked
from opsnb.control.ledger.store import append
from opsnb.control.people import history, identities, passwords, store, throttle, tokens
from opsnb.control.people.history import Outcome, Way
from opsnb.control.people.identities import Found, Source
from opsnb.control.people.names import LOGIN
from opsnb.control.people.tokens import Token, TokenKind
from opsnb.control.people.values import Actor, Person

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

WRONG = "name, password or code is wrong"
MAYBE = (
    "whoever has an authenticator gives its code too (--code); for a forgotten password an administrator makes a link"
)
ANOTHER = "ask an administrator for another"
FIRST_SECONDS = 3600.0  # how long the first start's link is good
VIA = {TokenKind.API: "token", TokenKind.SESSION: "session"}


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """What somebody who signs in gives: ``code`` where they have an authenticator; ``address`` is where they are."""

    name: str
    password: str
    code: str = ""
    address: str = ""


class FirstDoor:
    """The one-time code of the first start, with which the first administrator sets a password.

    It is kept in memory alone, ends after an hour, and is good once.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._code, self._until = "", 0.0

    def open(self, now: datetime) -> str:
        """Return a new code; the one before is good for nothing any more."""
        with self._turn:
            self._code, self._until = secrets.token_urlsafe(32), now.timestamp() + FIRST_SECONDS
            return self._code

    def fits(self, code: str, now: datetime) -> bool:
        """Whether this is the code, and still good."""
        there = bool(self._code) and now.timestamp() < self._until
        return there and hmac.compare_digest(self._code.encode(), code.encode("utf-8", "replace"))

    def close(self, code: str, now: datetime) -> bool:
        """Use the code up; return whether it was good."""
        with self._turn:
            good = self.fits(code, now)
            self._code = "" if good else self._code
            return good


def actor_of(services: Services, secret: str, *kinds: TokenKind) -> Actor:
    """Return who acts with a token's or session's secret.

    Raises:
        NotSignedInError: Says what is wrong with it, or that its person has left.
    """
    with services.database.transaction() as connection:
        token = tokens.known(connection, secret, current(), *kinds, idle=services.settings.login.idle)
        person = store.directory(connection).person(token.person)
    if person is None or not person.active:
        raise NotSignedInError(f"{person.name if person else 'whose token this is'} is inactive")
    return Actor(person=person, via=VIA[token.kind], scopes=token.scopes, token=token.id)


def sign_in(services: Services, given: SignIn, kind: TokenKind, name: str = "") -> tuple[str, Token]:
    """Sign somebody in; return the secret of their new session or API token.

    Args:
        services: What the flow needs.
        given: Name, password, code.
        kind: A session for a browser, an API token for a terminal.
        name: What an API token is called in lists.

    Raises:
        NotSignedInError: If something of it is wrong, said in one sentence for all; whoever the directory knows, and
            nobody here is bound to, is told that.
        UnavailableError: If the directory has to be asked, and cannot be.
        RefusedError: If too many sign-ins have failed and this one has to wait.
    """
    now = current()
    with services.database.transaction() as connection:
        person = store.directory(connection).named(given.name)
        refusal = throttle.begin(connection, now, name=given.name, address=given.address)
        kept = passwords.of(connection, person.id) if person else ""
        bound = person is not None and Source.LDAP in identities.sources_of(connection, person.id)
        if refusal:
            _note(connection, now, _id(person), Way.PASSWORD, given.address, Outcome.THROTTLED)
    throttle.require(refusal)
    right = passwords.matches(kept, given.password)
    found = None if right else _in_directory(services, given, now, _id(person), prove=bound or not kept)
    with services.database.transaction() as connection:
        if found is None:
            still = right and passwords.of(connection, _id(person)) == kept
            settled = Settled(person=person, outcome=_outcome(connection, person, right=still))
        else:
            settled = settle(services, connection, found, now)
        settled = _with_code(services, connection, settled, given.code, now)
        way = Way.LDAP if found else Way.PASSWORD
        _note(connection, now, _id(settled.person), way, given.address, settled.outcome)
        if settled.outcome is Outcome.OK and settled.person is not None:
            throttle.succeeded(connection, now, name=given.name, address=given.address)
            if found:
                follow_groups(connection, settled.person, found)
            return issued(connection, kind, settled.person.id, now, name)
    raise NotSignedInError(settled.why or WRONG, hint=settled.hint or ("" if settled.why else MAYBE))


def sign_out(services: Services, actor: Actor) -> None:
    """Revoke the session or token by which somebody came in."""
    with services.database.transaction() as connection:
        if actor.token and tokens.revoke(connection, actor.token, current()):
            append(connection, TokenRevoked(token=actor.token, by=actor.person.id))


def enter(
    services: Services, first: FirstDoor, local: Person, code: str, password: str, address: str = ""
) -> Person:  # fmt: skip
    """Set a password by a one-time link: the first start's, or one that an administrator made.

    Args:
        services: What the flow needs.
        first: The first start's code.
        local: Who comes in by the first start's code.
        code: What the link holds.
        password: The new password.
        address: Where they are.

    Raises:
        NotSignedInError: If the link is none, used up or expired.
        UsageError: If it is no password.
        RefusedError: If too many have failed.
    """
    now = current()
    with services.database.transaction() as connection:
        refusal = throttle.begin(connection, now, address=address)
    throttle.require(refusal)
    person, token = _of_code(services, first, local, code, now, address)
    kept = passwords.hashed(password, person.name)
    with services.database.transaction() as connection:
        used = tokens.revoke(connection, token, now) if token else first.close(code, now)
        if not used:
            raise NotSignedInError("this link was used already", hint=ANOTHER)
        set_hash(connection, person, kept, now, by=person.id)
        throttle.succeeded(connection, now, address=address)
        history.note(connection, now, person.id, Way.LINK, address, Outcome.OK)
    return person


def set_hash(connection: Connection, person: Person, kept: str, now: datetime, *, by: str, but: str = "") -> None:
    """Keep somebody's new password; their other sessions and links end."""
    passwords.keep(connection, person.id, kept, stamp(now))
    append(connection, PasswordSet(person=person.id, by=by))
    for token in tokens.listed(connection, person.id):
        mine = token.kind is not TokenKind.API and token.id != but and token.state(now) == "valid"
        if mine and tokens.revoke(connection, token.id, now):
            append(connection, TokenRevoked(token=token.id, by=by))


def first_code(services: Services, first: FirstDoor) -> str:
    """Return a one-time code while nobody has a password; empty from then on."""
    with services.database.transaction() as connection:
        return "" if passwords.anybody(connection) else first.open(current())


def _of_code(
    services: Services, first: FirstDoor, local: Person, code: str, now: datetime, address: str
) -> tuple[Person, str]:  # fmt: skip
    """Return whose link it is, and its token's id (empty for the first start's)."""
    if first.fits(code, now):
        return local, ""
    with services.database.transaction() as connection:
        try:
            token = tokens.known(connection, code, now, TokenKind.LINK)
        except NotSignedInError:
            problem = NotSignedInError("this link is not valid: it was used, or its time is over", hint=ANOTHER)
        else:
            people = store.directory(connection)
            person = people.person(token.person)
            if person is not None and may_sign_in(people, person):
                return person, token.id
            problem = NotSignedInError("whose link this is has left")
        history.note(connection, now, "", Way.LINK, address, Outcome.UNKNOWN)
    raise problem


def _in_directory(
    services: Services, given: SignIn, now: datetime, person: str, *, prove: bool
) -> Found | None:  # fmt: skip
    """Return who the directory says this is, where there is one. Who has a password here alone is not tried there.

    Raises:
        UnavailableError: If it cannot be asked. The try counts: a password of opsnb may have been guessed with it, and
            who has one must not show by what counts.
    """
    there = directory(services)
    if there is None or not LOGIN.fullmatch(given.name):
        return None
    try:
        return there.sign_in(given.name, given.password, prove=prove)
    except UnavailableError:
        with services.database.transaction() as connection:
            _note(connection, now, person, Way.LDAP, given.address, Outcome.AWAY)
        raise


def _outcome(connection: Connection, person: Person | None, *, right: bool) -> Outcome:
    if person is None:
        return Outcome.UNKNOWN
    if not may_sign_in(store.directory(connection), person):
        return Outcome.INACTIVE
    return Outcome.OK if right else Outcome.WRONG


def _with_code(services: Services, connection: Connection, settled: Settled, code: str, now: datetime) -> Settled:
    """Return the same, once the code was taken where somebody's sign-in wants one."""
    if settled.outcome is not Outcome.OK or codes.satisfied(services, connection, _id(settled.person), code, now):
        return settled
    return Settled(person=settled.person, outcome=Outcome.CODE)


def _note(connection: Connection, now: datetime, person: str, way: Way, address: str, outcome: Outcome) -> None:
    history.note(connection, now, person, way, address, outcome)


def _id(person: Person | None) -> str:
    return person.id if person else ""


def issued(connection: Connection, kind: TokenKind, person: str, now: datetime, name: str) -> tuple[str, Token]:
    """Hand somebody who signed in a session, or an API token that is called ``name``, and say so in the ledger."""
    seconds = 30 * tokens.DAY if kind is TokenKind.API else 0.0
    secret, token = tokens.issue(connection, kind, person, by=person, now=now, name=name, seconds=seconds)
    append(connection, TokenIssued(token=token.id, credential=Credential(kind.value), person=person, by=person))
    return secret, token
