"""Activate: what differs between the files and the active revision, and making the files the ones that hold.

Who activates has seen a difference: between this active revision and exactly these files. When either has changed
since, nothing is activated, and they look again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from opsnb.base.clock import now
from opsnb.base.errors import InventoryError, OpsnbError, RefusedError, SettingsError, UsageError
from opsnb.base.workspace import SETTINGS_FILE
from opsnb.base.yaml import read_yaml
from opsnb.control.flows.active import (
    activators,
    changed_notebooks,
    checked_settings,
    inventory_of,
    take_up,
    text_of,
    written,
)
from opsnb.control.flows.examine_policies import policies
from opsnb.control.flows.finding import State
from opsnb.control.flows.people import permit, permit_looking
from opsnb.control.flows.record import publish_ledger
from opsnb.control.people.rules import Directory
from opsnb.control.people.store import count, directory
from opsnb.control.people.values import Action, Actor, Target
from opsnb.control.revision import difference, git, store
from opsnb.control.revision.files import Taken, take
from opsnb.control.revision.values import SETTINGS, Activated, Part, Revision, part_of
from opsnb.fleet.inventory import Inventory, loads_all

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

HISTORY = 20  # revisions that are shown


def show(services: Services, actor: Actor) -> dict[str, Any]:
    """Return the active revision, who may activate another, and which files differ from it."""
    with services.database.transaction() as connection:
        there = directory(connection)
        permit_looking(there, actor)
        alone = count(connection) <= 1
        active = _latest(connection)
        history = [{**row, "by": there.name(row["by"])} for row in store.listed(connection, HISTORY)]
    taken = take(services.workspace.root, lambda _: True)
    return {
        "holds": "files" if alone else "revision", "active": history[0] if active else None,
        "files": taken.revision.digest, "number_of_files": len(taken.revision.files),
        "differs": list(_files(active).differing(taken.revision)) if active else [],
        "may_activate": activators(there), "history": history,
    }  # fmt: skip


def differing(services: Services, actor: Actor) -> dict[str, Any]:
    """Return what differs, in words, with what :func:`activate` wants to be told: ``active`` and ``files``."""
    with services.database.transaction() as connection:
        there = directory(connection)
        permit_looking(there, actor)
        active = _latest(connection)
        have = store.known(connection)
    taken = take(services.workspace.root, have.__contains__)
    rows = _rows(services, _files(active), taken)
    return {
        "active": active.number if active else 0, "files": taken.revision.digest,
        "changes": [_masked(services, row.as_json()) for row in rows], "may_activate": activators(there),
        "notes": _notes(services, taken) if rows else [],
    }  # fmt: skip


def _notes(services: Services, taken: Taken) -> list[str]:
    """Return what speaks against having the files hold: settings that are wrong, policies that mean nobody."""
    try:
        with services.database.transaction() as connection:
            checked_settings(taken, connection, services.workspace.root)
    except SettingsError as error:
        return [f"{error.message}; {error.hint}".removesuffix("; ")]
    return [one.found for one in policies(services.workspace) if one.state is State.WARNING]


def activate(services: Services, actor: Actor, *, files: str, active: int) -> dict[str, Any]:
    """Make the files the active revision.

    Args:
        services: What the flow needs.
        actor: Who activates.
        files: The digest of the files that they saw.
        active: The number of the active revision that they saw.

    Raises:
        RefusedError: If they may not, or either has changed since they looked.
        SettingsError: If the settings or policies are wrong.
        InventoryError: If the inventory is wrong.
    """
    root = services.workspace.root
    with services.database.transaction() as connection:
        permit(directory(connection), actor, Action.ACTIVATE, Target(), now())
        have = store.known(connection)
    taken = take(root, have.__contains__)
    if taken.revision.digest != files:
        raise _meanwhile("the files have changed")
    _inventory(services, taken)
    with services.database.transaction() as connection:
        settings, rules = checked_settings(taken, connection, root)
        changed = changed_notebooks(connection, taken.revision)
    mails = git.last_authors(root, changed)
    with services.database.transaction() as connection:
        there = directory(connection)
        permit(there, actor, Action.ACTIVATE, Target(), now())
        _unless_another(there, connection, active)
        if store.latest(connection)[1] == taken.revision.digest:
            return {"revision": active, "digest": files, "activated": False}
        try:
            made = written(connection, taken, actor.person.id, mails, automatic=False)
        except IntegrityError:  # on PostgreSQL, where two owners come to the same number
            raise _meanwhile("somebody else has activated a revision") from None
        several = count(connection) > 1
    if several:
        take_up(services, made, settings, rules)
    publish_ledger(services)
    return {"revision": made.number, "digest": files, "activated": True}


def _unless_another(there: Directory, connection: Connection, seen: int) -> None:
    latest = _latest(connection)
    if latest and latest.number != seen:
        raise _meanwhile(f"{there.name(latest.by)} has activated revision {latest.number}")


def _meanwhile(what: str) -> RefusedError:
    return RefusedError(f"{what} since you looked; nothing was activated", hint="look again: opsnb activate")


def _latest(connection: Connection) -> Activated | None:
    number, _ = store.latest(connection)
    return store.read(connection, number) if number else None


def _files(active: Activated | None) -> Revision:
    return active.revision if active else Revision(files={})


def _rows(services: Services, old: Revision, taken: Taken) -> list[difference.Row]:
    new = taken.revision
    paths = old.differing(new)

    def content(digest: str) -> bytes:
        return _content(services, taken, digest)

    rows: list[difference.Row] = []
    if SETTINGS in paths:
        rows += _settings_rows(*(content(r.files[SETTINGS]) if SETTINGS in r.files else b"" for r in (old, new)))
    if old.inventory != new.inventory:
        rows += _inventory_rows(services, old, taken)
    others = [path for path in paths if part_of(path) not in {Part.SETTINGS, Part.INVENTORY}]
    return rows + difference.files(others, old.files, new.files, content)


def _content(services: Services, taken: Taken, digest: str) -> bytes:
    fresh = taken.contents.get(digest)
    if fresh is not None:
        return fresh
    with services.database.looking() as connection:
        return store.content(connection, digest)


def _settings_rows(old: bytes, new: bytes) -> list[difference.Row]:
    try:
        rows = difference.settings(_written(old), _written(new))
    except OpsnbError as error:
        return [difference.Row(kind="setting", name=SETTINGS_FILE, what="changed", lines=(error.message,))]
    return rows or [_same_meaning("setting", SETTINGS_FILE)]


def _inventory_rows(services: Services, old: Revision, taken: Taken) -> list[difference.Row]:
    try:
        rows = difference.inventory(inventory_of(services, old), _inventory(services, taken))
    except InventoryError as error:
        return [difference.Row(kind="inventory", name="inventory", what="changed", lines=(str(error),))]
    return rows or [_same_meaning("inventory", "inventory")]


def _inventory(services: Services, taken: Taken) -> Inventory:
    """Return the inventory that was taken; parsed once for the difference and the activation after it."""
    files = taken.revision.inventory
    kept = services.kept.proposed
    if kept is None or kept[0] != files:
        texts = {path: text_of(_content(services, taken, digest)) for path, digest in files}
        kept = services.kept.proposed = (files, loads_all(texts))
    return kept[1]


def _same_meaning(kind: str, name: str) -> difference.Row:
    return difference.Row(kind=kind, name=name, what="changed", lines=("it means the same: comments or form differ",))


class _Settings:
    """Where the settings stand; makes the errors about them."""

    @staticmethod
    def error(message: str, *, line: int | None = None, name: str = "", hint: str = "") -> UsageError:
        del name
        return SettingsError(f"{SETTINGS_FILE}" + (f" line {line}" if line else "") + f": {message}", hint=hint)


def _written(data: bytes) -> dict[str, Any]:
    value = read_yaml(data.decode("utf-8", "replace"), _Settings()).value or {}
    return value if isinstance(value, dict) else {}


def _masked(services: Services, row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "lines": [services.masked(line) for line in row["lines"]]}
