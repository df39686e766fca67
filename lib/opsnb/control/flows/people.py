"""People, as somebody asks for it: the right to, the rules, the rows, and one entry of the ledger for each change."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from opsnb.base.clock import now as current
from opsnb.base.errors import NotFoundError, RefusedError, UsageError
from opsnb.base.nearest import did_you_mean
from opsnb.control.flows.active import follow
from opsnb.control.flows.people_record import record
from opsnb.control.ledger.store import open_ledger
from opsnb.control.people import identities, importing, store, telling
from opsnb.control.people.builtin import ADMINISTRATOR
from opsnb.control.people.draft import Draft, first_person
from opsnb.control.people.names import login_name, shown
from opsnb.control.people.rules import Directory, decide
from opsnb.control.people.values import PEOPLE_ONLY, Action, Actor, Person, Target
from opsnb.control.people.wanted import User, Wanted

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

Want = Callable[[Wanted], None]
SEVERAL = (
    "there are several people now: changes need another person's approval, and changed files hold when somebody has "
    "activated them (opsnb activate)"
)
ALONE = "one person is left: their own approval counts, and the workspace's files hold as they are"


def arrive(services: Services) -> Person:
    """Return the person who opens this workspace here; while nobody administers it, they do.

    They come by the token in ``.opsnb/``, which its owner alone may read. Their name is the system's, not the
    environment's, which anybody may set.

    Raises:
        RefusedError: If a user is there already who is written alike.
    """
    name = _system_name()
    with services.database.transaction() as connection:
        open_ledger(connection, services.settings.name)
        there = store.directory(connection, to_change=True)
        person = there.named(name) or store.new_person(name)
        if person.name != name:
            raise RefusedError(f"this machine's user '{name}' would be taken for the user '{person.name}'")
        record(connection, first_person(there, person), person.id)
    return person


def permit(directory: Directory, actor: Actor, action: Action, target: Target, now: datetime) -> None:
    """Refuse, with the reason, what the one who acts may not.

    Raises:
        RefusedError: Says why, and whom to ask.
    """
    decision = decide(directory, actor, action, target, now)
    if not decision.ok:
        able = sorted(directory.name(p) for p in directory.holders(ADMINISTRATOR.id))[:5]
        raise RefusedError(decision.reason, hint=f"ask an administrator: {', '.join(able)}" if able else "")


def permit_somewhere(directory: Directory, actor: Actor, action: Action, now: datetime) -> None:
    """Refuse who may do this nowhere; whether they may do it *here* is decided when it is known what is meant.

    Raises:
        RefusedError: Says why, and whom to ask.
    """
    person = actor.person.id
    lenders = directory.stands_for(person, now) if action is Action.APPROVE else ()
    grants = [
        g for p in (person, *lenders) for role in directory.roles_of(p) for g in role.grants if g.action is action
    ]
    bare = decide(directory, actor, action, Target(), now)
    barred = directory.is_bot(person) and action in PEOPLE_ONLY
    if not bare.ok and (barred or not grants or not actor.in_scope(action) or not directory.is_active(person)):
        permit(directory, actor, action, Target(), now)


def permit_looking(directory: Directory, actor: Actor) -> None:
    """Refuse to tell strangers who is who: everybody active may know with whom they work.

    Raises:
        RefusedError: If the one who acts is inactive, or came by a token that is not for reading.
    """
    if not directory.is_active(actor.person.id) or not actor.in_scope(Action.READ):
        raise RefusedError(f"{actor.person.name} is inactive, or this {actor.via} is not good for 'read'")


def change(services: Services, actor: Actor, want: Want, *, dry: bool = False) -> tuple[Directory, Directory]:
    """Make all changes that are wanted, or none; return the directory before and after.

    Raises:
        RefusedError: If the one who acts may not administer, or something stands against a change.
        UsageError: If a change breaks a rule.
    """
    with services.database.transaction() as connection:
        before = store.directory(connection, to_change=True)
        permit(before, actor, Action.ADMINISTER, Target(), current())
        after = _carried_out(connection, before, actor, want, dry=dry)
        follow(services, connection, before, actor.person.id)
        return before, after


# -- what is asked for ---------------------------------------------------------------------------------------------


def add_user(services: Services, actor: Actor, user: User) -> dict[str, Any]:
    """Add a user or a service account."""
    before, after = change(services, actor, lambda wanted: wanted.add(user))
    return _told_user(before, after, user.name)


def set_user(services: Services, actor: Actor, user: User) -> dict[str, Any]:
    """Change somebody's full name, mail, department or roles, or whether they are active."""

    def want(wanted: Wanted) -> None:
        wanted.known(user.name)
        wanted.user(user)

    before, after = change(services, actor, want)
    return _told_user(before, after, user.name)


def import_people(services: Services, actor: Actor, text: str, kind: str, name: str, *, dry: bool) -> dict[str, Any]:
    """Take users, roles and departments from a file: all of it, or nothing; ``dry`` only says what would change."""

    def want(wanted: Wanted) -> None:
        wanted.changes += importing.take(wanted.draft, text, kind, name).changes

    before, after = change(services, actor, want, dry=dry)
    return {"dry_run": dry, "changes": telling.differences(before, after), "notes": _turn(before, after)}


def users(services: Services, actor: Actor, *, everybody: bool) -> list[dict[str, Any]]:
    """Return the users by name; those who have left only with ``everybody``."""
    there, now = looked(services, actor), current()
    return [telling.user(there, person, now) for person in there.people.values() if person.active or everybody]


def user(services: Services, actor: Actor, name: str) -> dict[str, Any]:
    """Return one user, with what they may do.

    Raises:
        NotFoundError: Holds the nearest name.
    """
    there = looked(services, actor)
    person = there.named(name)
    if person is None:
        hint = did_you_mean(name, [p.name for p in there.people.values()], what="users")
        raise NotFoundError(f"no user is called '{shown(name)}'", hint=hint)
    grants = {str(grant): role.name for role in there.roles_of(person.id) for grant in role.grants}
    with services.database.transaction() as connection:
        elsewhere = [source.value for source in identities.sources_of(connection, person.id)]
    return {
        **telling.user(there, person, current()),
        "elsewhere": elsewhere,
        "may": [{"what": g, "role": r} for g, r in grants.items()],
    }


def set_role(services: Services, actor: Actor, name: str, may: tuple[str, ...], *, new: bool) -> dict[str, Any]:
    """Make an own role, or give one other grants."""

    def want(wanted: Wanted) -> None:
        found = wanted.draft.before.role(name)
        if new and found is not None:
            raise UsageError(f"role '{found.name}' is there already", hint=f"opsnb role set {found.name} --may ...")
        if not new and found is None:
            wanted.drop_role(name)  # says that there is none
        wanted.role(name, may)

    before, after = change(services, actor, want)
    found = after.role(name)
    assert found is not None
    return {"role": telling.role(after, found), "changes": telling.differences(before, after)}


def drop_role(services: Services, actor: Actor, name: str) -> dict[str, Any]:
    """Remove an own role that nobody holds."""
    before, after = change(services, actor, lambda wanted: wanted.drop_role(name))
    return {"changes": telling.differences(before, after)}


def roles(services: Services, actor: Actor) -> list[dict[str, Any]]:
    """Return the roles, built-in ones first."""
    there = looked(services, actor)
    return [telling.role(there, found) for found in telling.all_roles(there)]


def set_department(
    services: Services,
    actor: Actor,
    name: str,
    *,
    parent: str | None,
    leader: str | None,
    rename: str | None,
    new: bool,
) -> dict[str, Any]:
    """Make a department, or change one."""

    def want(wanted: Wanted) -> None:
        found = wanted.draft.before.department(name)
        if new and found is not None:
            raise UsageError(f"department '{found.name}' is there already", hint="opsnb department set ...")
        if not new and found is None:
            wanted.drop_department(name)  # says that there is none
        wanted.department(name, parent=parent, leader=leader, rename=rename)

    before, after = change(services, actor, want)
    found = after.department(rename or name)
    assert found is not None
    return {"department": telling.department(after, found), "changes": telling.differences(before, after)}


def drop_department(services: Services, actor: Actor, name: str) -> dict[str, Any]:
    """Remove an empty department."""
    before, after = change(services, actor, lambda wanted: wanted.drop_department(name))
    return {"changes": telling.differences(before, after)}


def departments(services: Services, actor: Actor) -> list[dict[str, Any]]:
    """Return the departments, each below the one that it is part of."""
    there = looked(services, actor)
    return sorted((telling.department(there, d) for d in there.departments.values()), key=lambda d: d["path"])


def add_delegate(
    services: Services, actor: Actor, from_: str, to: str, begin: datetime | None, end: datetime
) -> dict[str, Any]:
    """Have somebody stand in for somebody: for oneself, or for anybody as an administrator."""
    now = current()
    with services.database.transaction() as connection:
        before = store.directory(connection, to_change=True)
        principal = before.named(from_)
        if principal is None or principal.id != actor.person.id or not actor.in_scope(Action.APPROVE):
            permit(before, actor, Action.ADMINISTER, Target(), now)
        found = []

        def want(wanted: Wanted) -> None:
            found.append(wanted.delegate(from_, to, begin or now, end, by=actor.person.id, now=now))

        after = _carried_out(connection, before, actor, want)
    return telling.delegate(after, found[0], now)


def end_delegate(services: Services, actor: Actor, delegate: str) -> dict[str, Any]:
    """End a delegation: the two whom it is about may, and an administrator."""
    now = current()
    with services.database.transaction() as connection:
        before = store.directory(connection, to_change=True)
        found = next((d for d in before.delegates if d.id == delegate), None)
        own = found is not None and actor.person.id in {found.from_, found.to} and actor.in_scope(Action.APPROVE)
        if not own or not before.is_active(actor.person.id):
            permit(before, actor, Action.ADMINISTER, Target(), now)
        after = _carried_out(connection, before, actor, lambda wanted: wanted.end_delegate(delegate, now))
    return next(telling.delegate(after, d, now) for d in after.delegates if d.id == delegate)


def delegates(services: Services, actor: Actor, *, everything: bool) -> list[dict[str, Any]]:
    """Return the delegations that hold or are to come; those that are over only with ``everything``."""
    there, now = looked(services, actor), current()
    told = [telling.delegate(there, d, now) for d in there.delegates]
    return [d for d in told if everything or d["state"] != "over"]


def _system_name() -> str:
    number = os.getuid()
    try:
        return login_name(pwd.getpwuid(number).pw_name)
    except (KeyError, UsageError):
        return f"uid-{number}"


def looked(services: Services, actor: Actor) -> Directory:
    """Return everybody, for somebody who may know."""
    with services.database.transaction() as connection:
        there = store.directory(connection)
    permit_looking(there, actor)
    return there


def _carried_out(
    connection: Connection, before: Directory, actor: Actor, want: Want, *, dry: bool = False
) -> Directory:
    wanted = Wanted(Draft(before))
    want(wanted)
    after = wanted.draft.finish()
    if not dry:
        record(connection, wanted.changes, actor.person.id)
    return after


def _told_user(before: Directory, after: Directory, name: str) -> dict[str, Any]:
    person = after.named(name)
    if person is None:
        raise NotFoundError(f"no user is called '{name}'")
    return {
        "user": telling.user(after, person, current()), "changes": telling.differences(before, after),
        "notes": _turn(before, after),
    }  # fmt: skip


def _turn(before: Directory, after: Directory) -> list[str]:
    """Return what is otherwise from now on, where a second person came, or only one is left."""
    was, now = len(before.persons), len(after.persons)
    return [SEVERAL] if was <= 1 < now else [ALONE] if now <= 1 < was else []
