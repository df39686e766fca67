"""Changes about people, written down: rows, and one entry of the ledger for each, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from opsnb.base.clock import now as current
from opsnb.base.clock import stamp
from opsnb.control.ledger import events_people as events
from opsnb.control.ledger.event import Event
from opsnb.control.ledger.events_login import TokenRevoked
from opsnb.control.ledger.store import append_all
from opsnb.control.people import changes as made
from opsnb.control.people import store, tokens
from opsnb.control.people.tokens import TokenKind


def record(connection: Connection, changes: Sequence[made.Change], by: str) -> None:
    """Write changes that the rules have let through, and one entry of the ledger for each. ``by`` is an id."""
    if changes:
        digests = store.write_all(connection, changes)
        append_all(connection, [_event(change, by, digest) for change, digest in zip(changes, digests, strict=True)])
    for change in changes:
        if isinstance(change, made.SetActive) and change.active:
            _take_away(connection, change.person, by)


def _take_away(connection: Connection, person: str, by: str) -> None:
    """Revoke what somebody who is back came in by before: nobody knows who has had it meanwhile."""
    revoked = tokens.revoke_all(connection, person, current(), *TokenKind)
    append_all(connection, [TokenRevoked(token=token, by=by) for token in revoked])


def _event(change: made.Change, by: str, digest: str) -> Event:
    match change:
        case made.AddPerson(person=p):
            account = events.Account(p.kind.value)
            return events.PersonAdded(person=p.id, account=account, by=by, digest=digest)
        case made.ChangePerson(person=p):
            return events.PersonChanged(person=p.id, by=by, digest=digest)
        case made.SetActive(person=who, active=active):
            kind = events.PersonActivated if active else events.PersonDeactivated
            return kind(person=who, by=by)
        case made.GiveRole(person=who, role=role) | made.TakeRole(person=who, role=role):
            given = isinstance(change, made.GiveRole)
            return (events.RoleGiven if given else events.RoleTaken)(person=who, role=role, by=by)
        case _:
            return _other_event(change, by, digest)


def _other_event(change: made.Change, by: str, digest: str) -> Event:
    match change:
        case made.SetRole(role=r):
            return events.RoleSet(role=r.id, by=by, digest=digest)
        case made.DropRole(role=role):
            return events.RoleRemoved(role=role, by=by)
        case made.SetDepartment(department=d):
            return events.DepartmentSet(department=d.id, by=by, digest=digest)
        case made.DropDepartment(department=department):
            return events.DepartmentRemoved(department=department, by=by)
        case made.AddDelegate(delegate=d):
            return events.DelegateAdded(
                delegate=d.id, principal=d.from_, person=d.to, begin=stamp(d.begin), end=stamp(d.end), by=by
            )
        case made.EndDelegate(delegate=delegate):
            return events.DelegateRemoved(delegate=delegate, by=by)
    raise AssertionError(change)
