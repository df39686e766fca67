"""People who are known elsewhere: who in opsnb somebody is that a directory or a provider has vouched for.

The binding decides, never the name. Without one, somebody new is added where the settings say so and nobody here is
called alike; otherwise they are refused and told what to do, for they have shown who they are.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from opsnb.base.clock import now as current
from opsnb.base.errors import NotFoundError, RefusedError, UnavailableError, UsageError
from opsnb.control.flows.active import follow
from opsnb.control.flows.people import permit
from opsnb.control.flows.people_record import record
from opsnb.control.ledger.events_login import Elsewhere, IdentityBound, IdentityUnbound, TokenRevoked
from opsnb.control.ledger.store import append
from opsnb.control.people import identities, store, tokens
from opsnb.control.people.builtin import ROLES
from opsnb.control.people.draft import Draft
from opsnb.control.people.history import Outcome
from opsnb.control.people.identities import Found, Identity, Source
from opsnb.control.people.ldap import Directory
from opsnb.control.people.names import shown
from opsnb.control.people.rules import Directory as People
from opsnb.control.people.tokens import TokenKind
from opsnb.control.people.values import Action, Actor, Kind, Person, Target
from opsnb.control.people.wanted import User, Wanted

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

WHERE = {Source.LDAP: "directory", Source.OIDC: "provider"}
LOG = logging.getLogger("opsnb")


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Who somebody is here, or what stands against it; ``why`` is for them, who have shown who they are elsewhere."""

    outcome: Outcome
    person: Person | None = None
    why: str = ""
    hint: str = ""


def may_sign_in(people: People, person: Person | None) -> bool:
    """Whether this is an active person: service accounts come with tokens alone."""
    return person is not None and people.is_active(person.id) and person.kind is Kind.PERSON


def directory(services: Services) -> Directory | None:
    """Return the directory that the settings name, if they do."""
    there = services.settings.login.ldap
    if there is None:
        return None
    return Directory(
        settings=there, root=services.workspace.root, password=lambda: services.secrets.read(there.password).value
    )


def settle(services: Services, connection: Connection, found: Found, now: datetime) -> Settled:
    """Return who this is here; whoever is new is added where the settings say so."""
    people = store.directory(connection, to_change=True)
    person = people.person(identities.person_of(connection, found.identity) or "-")
    if person is not None:
        may = may_sign_in(people, person)
        return Settled(outcome=Outcome.OK if may else Outcome.INACTIVE, person=person)
    settings = services.settings.login
    source = settings.ldap if found.identity.source is Source.LDAP else settings.oidc
    namesake = people.named(found.name)
    where = WHERE[found.identity.source]
    if source is None or not source.new or namesake is not None:
        who = "somebody here is called so already" if namesake else "nobody here is bound to that"
        return Settled(
            outcome=Outcome.UNBOUND, person=namesake, why=f"the {where} knows you as '{shown(found.name)}', and {who}",
            hint=_bind_hint(found, namesake),
        )  # fmt: skip
    try:
        return _added(services, connection, people, found, now)
    except (UsageError, RefusedError) as error:
        why = f"the {where} knows you as '{shown(found.name)}', which cannot be a name here: {error.message}"
        return Settled(outcome=Outcome.UNBOUND, why=why, hint="ask an administrator: opsnb user add, opsnb user bind")


def follow_groups(connection: Connection, person: Person, found: Found) -> None:
    """Give somebody the roles that their groups mean, and take those that groups could mean and theirs do not."""
    people = store.directory(connection, to_change=True)
    held = {role.name for role in people.roles_of(person.id)}
    gone = tuple(sorted((found.mapped - found.roles) & held))
    wanted = Wanted(Draft(people))
    wanted.user(
        User(name=person.name, give=_known_roles(people, found), take=gone, department=_department(people, found))
    )
    wanted.draft.finish()
    record(connection, wanted.changes, person.id)


def bind(services: Services, actor: Actor, user: str, source: Source, subject: str) -> dict[str, Any]:
    """Have somebody sign in by what they are elsewhere: the directory's entry of a name, or a provider's subject.

    Raises:
        RefusedError: If the one who acts does not administer, or it is bound to somebody else.
        NotFoundError: If nobody is called so, here or there.
        UsageError: If the settings name no such directory or provider, or a subject is missing.
    """
    now = current()
    with services.database.transaction() as connection:
        permit(store.directory(connection), actor, Action.ADMINISTER, Target(), now)
    identity, name = _meant(services, source, subject or user)
    with services.database.transaction() as connection:
        people = store.directory(connection, to_change=True)
        permit(people, actor, Action.ADMINISTER, Target(), now)
        person = _person(people, user)
        if not may_sign_in(people, person):
            raise RefusedError(f"{person.name} is a service account or has left, and signs in nowhere")
        bound = identities.person_of(connection, identity)
        if bound and bound != person.id:
            raise RefusedError(f"{people.name(bound)} signs in by that already", hint="opsnb user unbind takes it away")
        if not bound:
            _bound(connection, identity, person.id, actor.person.id, now)
    return {"user": person.name, "source": source.value, "name": name, "bound": True}


def unbind(services: Services, actor: Actor, user: str, source: Source) -> dict[str, Any]:
    """Take somebody's binding away; their sessions end with it."""
    now = current()
    with services.database.transaction() as connection:
        people = store.directory(connection, to_change=True)
        permit(people, actor, Action.ADMINISTER, Target(), now)
        person = _person(people, user)
        if identities.unbind(connection, source, person.id):
            by = actor.person.id
            append(connection, IdentityUnbound(person=person.id, source=Elsewhere(source.value), by=by))
            for token in tokens.revoke_all(connection, person.id, now, TokenKind.SESSION):
                append(connection, TokenRevoked(token=token, by=by))
    return {"user": person.name, "source": source.value, "name": "", "bound": False}


def _added(services: Services, connection: Connection, people: People, found: Found, now: datetime) -> Settled:
    """Add somebody who came for the first time, by themselves."""
    wanted = _newcomer(people, found)
    wanted.draft.finish()
    person = wanted.known(found.name)
    record(connection, wanted.changes, person.id)
    _bound(connection, found.identity, person.id, person.id, now)
    follow(services, connection, people, person.id)
    return Settled(outcome=Outcome.OK, person=person)


def _newcomer(people: People, found: Found) -> Wanted:
    """Return what it takes to add somebody; a full name or mail address that cannot be one here is left out."""
    problem: UsageError | None = None
    for display, mail in ((found.display, found.mail), (found.display, ""), ("", found.mail), ("", "")):
        wanted = Wanted(Draft(people))
        try:
            wanted.user(User(
                name=found.name, display=display, mail=mail, give=_known_roles(people, found),
                department=_department(people, found),
            ))  # fmt: skip
        except UsageError as error:
            problem = error
        else:
            return wanted
    assert problem is not None
    raise problem


def _bound(connection: Connection, identity: Identity, person: str, by: str, now: datetime) -> None:
    digest = identities.bind(connection, identity, person, now)
    append(connection, IdentityBound(person=person, source=Elsewhere(identity.source.value), by=by, digest=digest))


def _known_roles(people: People, found: Found) -> tuple[str, ...]:
    known = {role.name for role in (*ROLES.values(), *people.roles.values())}
    if strange := found.roles - known:
        LOG.warning("login: groups elsewhere mean roles that are not there: %s", ", ".join(sorted(strange)))
    return tuple(sorted(found.roles & known))


def _department(people: People, found: Found) -> str | None:
    if not found.department or people.department(found.department) is None:
        return None
    return found.department


def _bind_hint(found: Found, namesake: Person | None) -> str:
    """Return what an administrator is to type; a provider's subject is told, for nobody else here can know it."""
    name = namesake.name if namesake else "NAME"
    subject = found.identity.subject
    readable = subject.isascii() and subject.isprintable()
    how = "--ldap" if found.identity.source is Source.LDAP else f"--oidc {quote(subject) if readable else 'SUBJECT'}"
    return f"if that is you, ask an administrator: opsnb user bind {name} {how}"


def _meant(services: Services, source: Source, text: str) -> tuple[Identity, str]:
    """Return the identity that an administrator means, and what it is called there."""
    provider = services.settings.login.oidc
    if source is Source.OIDC:
        if provider is None:
            raise UsageError("the settings name no provider", hint="docs/login.md: login: oidc: in opsnb.yaml")
        return Identity(source=source, authority=provider.issuer, subject=text), text
    there = directory(services)
    if there is None:
        raise UsageError("the settings name no directory", hint="docs/login.md: login: ldap: in opsnb.yaml")
    try:
        found = there.find(text)
    except UnavailableError as error:
        raise UnavailableError(f"nobody can be bound now: {error.message}", hint="see .opsnb/opsnb.log") from error
    if found is None:
        raise NotFoundError(f"the directory has no entry, or more than one, for '{shown(text)}'")
    return found.identity, found.name


def _person(people: People, user: str) -> Person:
    person = people.named(user)
    if person is None:
        raise NotFoundError(f"no user is called '{shown(user)}'", hint="opsnb user list")
    return person
