"""What people hold to come in by, as somebody asks for it: API tokens, passwords, links, authenticators, the history.

Nobody gets at somebody else's account by administering it: an administrator makes a one-time link, with which its owner
sets a password, and tokens for service accounts; both are in the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opsnb.base.clock import now as current
from opsnb.base.clock import stamp
from opsnb.base.errors import NotFoundError, RefusedError
from opsnb.base.nearest import did_you_mean
from opsnb.control.flows import codes
from opsnb.control.flows.enter import set_hash
from opsnb.control.flows.outside import may_sign_in
from opsnb.control.flows.people import permit
from opsnb.control.ledger.events_login import CodesRemoved, CodesSet, Credential, TokenIssued, TokenRevoked
from opsnb.control.ledger.store import append
from opsnb.control.notify import store as notices
from opsnb.control.people import history, passwords, store, throttle, tokens, totp
from opsnb.control.people.names import full_text, shown
from opsnb.control.people.rules import Directory
from opsnb.control.people.tokens import Token, TokenKind
from opsnb.control.people.values import Action, Actor, Kind, Person, Target

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services


def create_token(
    services: Services, actor: Actor, name: str, *, user: str = "", scopes: tuple[str, ...] = ("*",),
    seconds: float = 30 * tokens.DAY,
) -> dict[str, Any]:  # fmt: skip
    """Make an API token for oneself, or, as an administrator, for a service account. Its secret is shown once.

    Raises:
        RefusedError: If it is for somebody else, or would be good for more than what its maker came in by.
        UsageError: If a scope is none, or it would live too long.
    """
    found, called = tokens.read_scopes(scopes), full_text(name, "name of a token")
    now = current()
    with services.database.transaction() as connection:
        directory = store.directory(connection)
        person = _meant(directory, actor, user)
        if person.id != actor.person.id:
            permit(directory, actor, Action.ADMINISTER, Target(), now)
            if person.kind is not Kind.SERVICE:
                raise RefusedError(f"a token of {person.name} acts as {person.name}, so they alone make one")
        elif "*" not in actor.scopes and not found <= actor.scopes:
            raise RefusedError(
                f"this {actor.via} is good for {', '.join(sorted(actor.scopes))}, and gives no more away"
            )
        seconds = _bounded(tokens.find(connection, actor.token), seconds, now.timestamp())
        secret, token = tokens.issue(
            connection, TokenKind.API, person.id, by=actor.person.id, now=now, name=called, scopes=found,
            seconds=seconds,
        )  # fmt: skip
        append(connection, TokenIssued(
            token=token.id, credential=Credential.API, person=person.id, by=actor.person.id,
        ))  # fmt: skip
        return {"token": _told(directory, token), "secret": secret}


def list_tokens(services: Services, actor: Actor, *, user: str = "", everybody: bool = False) -> list[dict[str, Any]]:
    """Return one's tokens and sessions that are good; somebody else's, or all, as an administrator. No secret."""
    now, idle = current(), services.settings.login.idle
    with services.database.transaction() as connection:
        directory = store.directory(connection)
        person = _meant(directory, actor, user)
        if everybody or person.id != actor.person.id:
            permit(directory, actor, Action.ADMINISTER, Target(), now)
        rows = tokens.listed(connection, "" if everybody else person.id)
        return [_told(directory, token) for token in rows if token.state(now, idle) == "valid"]


def revoke_token(services: Services, actor: Actor, token: str) -> dict[str, Any]:
    """Revoke a token or session: one's own, or anybody's as an administrator."""
    now = current()
    with services.database.transaction() as connection:
        directory = store.directory(connection)
        found = tokens.find(connection, token)
        if found is None or found.person != actor.person.id:
            permit(directory, actor, Action.ADMINISTER, Target(), now)
        if found is None:
            raise NotFoundError(f"no token has the id '{shown(token)}'", hint="opsnb user token list")
        if tokens.revoke(connection, token, now):
            append(connection, TokenRevoked(token=token, by=actor.person.id))
        return {"token": _told(directory, found), "revoked": True}


def set_password(services: Services, actor: Actor, password: str, old: str, address: str = "") -> dict[str, Any]:
    """Set one's own password. Who has one says the old one, unless they come by the token in ``.opsnb/``.

    Raises:
        RefusedError: If the old one is wrong, or they came by an API token.
    """
    if actor.via == "token" or actor.person.kind is not Kind.PERSON:
        raise RefusedError("an API token sets no password, and a service account has none", hint="sign in, then set it")
    now, person = current(), actor.person
    with services.database.transaction() as connection:
        kept = passwords.of(connection, person.id)
        refusal = throttle.begin(connection, now, name=person.name, address=address)
    throttle.require(refusal)
    if actor.via != "local" and kept and not passwords.matches(kept, old):
        raise RefusedError("the old password is wrong")
    new = passwords.hashed(password, person.name)
    with services.database.transaction() as connection:
        permit_present(store.directory(connection), actor)
        set_hash(connection, person, new, now, by=person.id, but=actor.token)
        throttle.succeeded(connection, now, name=person.name, address=address)
    return {"user": person.name, "password": "set"}


def make_link(services: Services, actor: Actor, user: str) -> dict[str, Any]:
    """Make a one-time link with which somebody sets a password, as an administrator.

    Raises:
        RefusedError: If they are no active person.
    """
    now = current()
    with services.database.transaction() as connection:
        directory = store.directory(connection)
        permit(directory, actor, Action.ADMINISTER, Target(), now)
        person = _meant(directory, actor, user)
        if not may_sign_in(directory, person):
            raise RefusedError(f"{person.name} is a service account or has left, and signs in nowhere")
        secret, token = tokens.issue(connection, TokenKind.LINK, person.id, by=actor.person.id, now=now)
        append(connection, TokenIssued(
            token=token.id, credential=Credential.LINK, person=person.id, by=actor.person.id,
        ))  # fmt: skip
    return {"user": person.name, "code": secret, "expires": stamp(token.expires)}


def begin_codes(services: Services, actor: Actor) -> dict[str, Any]:
    """Give somebody a key for their authenticator; it counts when :func:`confirm_codes` was given a code of it.

    Raises:
        RefusedError: If one counts already: take it away first.
    """
    person = _person_alone(actor)
    with services.database.transaction() as connection:
        permit_present(store.directory(connection), actor)
        if totp.is_on(connection, person.id):
            raise RefusedError("an authenticator is set already", hint="opsnb user codes --remove")
        key = codes.begin(services, connection, person.id)
    return {"key": key, "address": totp.address(key, person.name, services.settings.name)}


def confirm_codes(services: Services, actor: Actor, code: str) -> dict[str, Any]:
    """Have codes count from now on, when this is one.

    Raises:
        RefusedError: If it is none.
    """
    person, now = _person_alone(actor), current()
    with services.database.transaction() as connection:
        refusal = throttle.begin(connection, now, name=f"codes {person.id}")
    throttle.require(refusal)
    with services.database.transaction() as connection:
        if not codes.take(services, connection, person.id, code, now, confirm=True):
            raise RefusedError("this is no code of the new key, or not of now", hint="is the clock right?")
        throttle.succeeded(connection, now, name=f"codes {person.id}")
        append(connection, CodesSet(person=person.id, by=person.id))
    return {"user": person.name, "codes": True}


def remove_codes(services: Services, actor: Actor, user: str, code: str) -> dict[str, Any]:
    """Want no codes any more: with a code for oneself, without one for somebody else as an administrator."""
    now = current()
    with services.database.transaction() as connection:
        person = _meant(store.directory(connection), actor, user)
        own = person.id == actor.person.id and actor.via != "local"
        refusal = throttle.begin(connection, now, name=f"codes {person.id}") if own else ""
    throttle.require(refusal)
    with services.database.transaction() as connection:
        if not own:
            permit(store.directory(connection), actor, Action.ADMINISTER, Target(), now)
        elif not codes.take(services, connection, person.id, code, now):
            raise RefusedError("that needs a code of the authenticator", hint="or ask an administrator")
        else:
            throttle.succeeded(connection, now, name=f"codes {person.id}")
        codes.remove(services, connection, person.id)
        append(connection, CodesRemoved(person=person.id, by=actor.person.id))
    return {"user": person.name, "codes": False}


def login_history(services: Services, actor: Actor, most: int, user: str = "") -> list[dict[str, Any]]:
    """Return who signed in and who tried: one's own tries, or anybody's for who may audit."""
    with services.database.transaction() as connection:
        directory = store.directory(connection)
        person = _meant(directory, actor, user) if user else None
        if person is None or person.id != actor.person.id:
            permit(directory, actor, Action.AUDIT, Target(), current())
        rows = history.listed(connection, most, person.id if person else "")
    return [{**row, "person": directory.name(row["person"]) if row["person"] else ""} for row in rows]


def who_am_i(services: Services, actor: Actor) -> dict[str, Any]:
    """Return who acts, how they came in, and what they may."""
    with services.database.transaction() as connection:
        directory = store.directory(connection)
        token = tokens.find(connection, actor.token) if actor.token else None
        has = {
            "password": bool(passwords.of(connection, actor.person.id)),
            "codes": totp.is_on(connection, actor.person.id),
            "notices": notices.unseen(connection, actor.person.id),
        }
    return {
        "user": actor.person.name, "display": actor.person.display, "kind": actor.person.kind.value, "via": actor.via,
        "scopes": sorted(actor.scopes), "roles": [role.name for role in directory.roles_of(actor.person.id)],
        "expires": stamp(token.expires) if token else None, "workspace": services.settings.name, **has,
    }  # fmt: skip


def permit_present(directory: Directory, actor: Actor) -> None:
    """Refuse somebody who has left meanwhile.

    Raises:
        RefusedError: If they did.
    """
    if not directory.is_active(actor.person.id):
        raise RefusedError(f"{actor.person.name} is inactive")


def _person_alone(actor: Actor) -> Person:
    """Return who acts, when it is a person who did not come by an API token."""
    if actor.via == "token" or actor.person.kind is not Kind.PERSON:
        raise RefusedError("codes belong to a person's sign-in; an API token sets none", hint="sign in first")
    return actor.person


def _meant(directory: Directory, actor: Actor, user: str) -> Person:
    if not user:
        return actor.person
    person = directory.named(user)
    if person is None:
        hint = did_you_mean(user, [p.name for p in directory.people.values()], what="users")
        raise NotFoundError(f"no user is called '{shown(user)}'", hint=hint)
    return person


def _bounded(came_by: Token | None, seconds: float, now: float) -> float:
    """Return how long a token may live that is made by one who came by another: no longer than that one."""
    if came_by is None or came_by.kind is not TokenKind.API:
        return seconds
    return min(seconds, came_by.expires.timestamp() - now)


def _told(directory: Directory, token: Token) -> dict[str, Any]:
    return {
        "id": token.id, "kind": token.kind.value, "user": directory.name(token.person), "name": token.name,
        "scopes": sorted(token.scopes), "created": stamp(token.created), "expires": stamp(token.expires),
        "used": stamp(token.used) if token.used else None, "by": directory.name(token.by),
    }  # fmt: skip
