"""The active revision: what the control plane acts on while more than one person shares the workspace.

With one person the files hold as they are, and nothing here costs more than a count. When a second person comes, the
files of that moment become the active revision, in the same transaction; from then on only an activation changes it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from opsnb.base.clock import now
from opsnb.base.settings import Settings
from opsnb.base.settings import parse as parse_settings
from opsnb.base.settings import read as read_settings
from opsnb.base.workspace import SETTINGS_FILE, Workspace
from opsnb.control.approvals.policy import Policies
from opsnb.control.approvals.written import read_policies
from opsnb.control.ledger.events_activation import RevisionActivated
from opsnb.control.ledger.store import append
from opsnb.control.people.builtin import ADMINISTRATOR
from opsnb.control.people.ldap import check_sign_in
from opsnb.control.people.rules import Directory, may
from opsnb.control.people.store import count, directory
from opsnb.control.people.values import Action, Target
from opsnb.control.revision import git, store
from opsnb.control.revision.files import Taken, take
from opsnb.control.revision.glance import glance
from opsnb.control.revision.values import SETTINGS, Activated, Part, Revision
from opsnb.fleet.inventory import Inventory, loads_all

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services


Files = tuple[tuple[str, str], ...]  # paths and digests


@dataclass
class Kept:
    """What was read last, so that nothing is parsed twice. Each value is replaced as a whole: any thread may read it.

    Args:
        revision: The active revision.
        inventory: Its inventory, with the files that it is made of.
        proposed: That of the workspace's files, as it was when somebody looked at a difference.
        settings_of: The number of the revision whose settings are in use.
    """

    revision: Activated | None = None
    inventory: tuple[Files, Inventory] | None = None
    proposed: tuple[Files, Inventory] | None = None
    settings_of: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def settings_of(workspace: Workspace) -> Settings:
    """Return the settings that hold: the active revision's, or the file's where files hold as they are.

    Raises:
        SettingsError: If they are wrong.
    """
    path = workspace.root / SETTINGS_FILE
    seen = glance(workspace.database)
    return read_settings(path) if seen is None or seen.files_hold else parse_settings(seen.settings, path)


def active(services: Services) -> Activated | None:
    """Return the active revision; ``None`` while the workspace has one person, and its files hold as they are."""
    with services.database.looking() as connection:
        return held(services, connection)


def held(services: Services, connection: Connection) -> Activated | None:
    """Return the active revision, as :func:`active`, in the caller's transaction."""
    if count(connection) <= 1:
        return None
    newest = store.latest(connection)
    if newest[0] == 0:  # nothing was activated when the second person came: they came some other way
        return found(services, connection, _first(directory(connection)))
    kept = services.kept.revision
    if kept is None or (kept.number, kept.revision.digest) != newest:
        kept = services.kept.revision = store.read(connection, newest[0])
    return kept


def inventory_of(services: Services, revision: Revision) -> Inventory:
    """Return the inventory that a revision holds.

    Raises:
        InventoryError: If it is wrong.
    """
    files = revision.inventory
    kept = next((k for k in (services.kept.inventory, services.kept.proposed) if k and k[0] == files), None)
    if kept is None:
        with services.database.looking() as connection:
            texts = {path: text_of(store.content(connection, digest)) for path, digest in files}
        kept = (files, loads_all(texts))  # 10,000 hosts take a second or more: no transaction waits for it
    services.kept.inventory = kept
    return kept[1]


def text_of(data: bytes) -> str:
    """Return a file of the inventory as its reader reads it; what is not UTF-8 it refuses as unprintable."""
    return data.decode("utf-8-sig", "replace")


def follow(services: Services, connection: Connection, before: Directory, by: str) -> None:
    """Make the files the active revision when this transaction brings a second person; ``by`` is who brought them.

    Raises:
        SettingsError: If the settings of that moment are wrong: the workspace could not be opened again.
    """
    if len(before.persons) <= 1 < count(connection):
        found(services, connection, by)


def found(services: Services, connection: Connection, by: str) -> Activated:
    """Activate the files as they are, without a question; what holds already stays as it is."""
    root = services.workspace.root
    have = store.known(connection)
    taken = take(root, have.__contains__)
    number, digest = store.latest(connection)
    if number and digest == taken.revision.digest:
        return store.read(connection, number)
    settings, policies = checked_settings(taken, connection, root)
    mails = git.last_authors(root, changed_notebooks(connection, taken.revision))
    made = written(connection, taken, by, mails, automatic=True)
    take_up(services, made, settings, policies)
    return made


def written(
    connection: Connection, taken: Taken, by: str, mails: dict[str, frozenset[str]], *, automatic: bool
) -> Activated:
    """Keep what was taken as the active revision, and say so in the ledger, in one transaction."""
    made, digest = store.keep(connection, taken, by, mails, automatic=automatic)
    append(connection, RevisionActivated(revision=made.number, digest=digest, by=by, automatic=automatic))
    return made


def take_up(services: Services, made: Activated, settings: Settings, policies: Policies) -> None:
    """Act on a revision from here on. How many runs at a time, and how they start, holds from the next start."""
    with services.kept.lock:
        if made.number > services.kept.settings_of:  # of two that come at once the later one stays
            services.kept.settings_of = made.number
            services.settings, services.policies = settings, policies


def checked_settings(taken: Taken, connection: Connection, root: Path) -> tuple[Settings, Policies]:
    """Return the settings and policies that were taken.

    Raises:
        SettingsError: If one is wrong.
    """
    settings = parse_settings(content_of(taken, connection, SETTINGS), root / SETTINGS_FILE)
    check_sign_in(settings.login)
    return settings, read_policies(settings.policies)


def content_of(taken: Taken, connection: Connection, path: str) -> bytes:
    """Return the bytes of a file that was taken; none where it is not there."""
    digest = taken.revision.files.get(path)
    if digest is None:
        return b""
    fresh = taken.contents.get(digest)
    return store.content(connection, digest) if fresh is None else fresh


def changed_notebooks(connection: Connection, revision: Revision) -> list[str]:
    """Return the notebooks that are not as in the revision that is active now."""
    number, _ = store.latest(connection)
    before = store.read(connection, number).revision if number else Revision(files={})
    notebooks = revision.of(Part.NOTEBOOK)
    return [path for path in before.differing(revision) if path in notebooks]


def activators(there: Directory) -> list[str]:
    """Return the names of those who may activate."""
    able = (p for p in there.persons if may(there, p, Action.ACTIVATE, Target(), now()).ok)
    return sorted(there.name(person) for person in able)


def authors(connection: Connection, digest: str) -> frozenset[str]:
    """Return the ids of those who wrote a notebook with this digest: they never approve a run of it.

    Whoever activated the revision that brought it, and whoever git names as the author of its last commit then, where
    an e-mail address is that of somebody here. What was there in the very first revision has the latter only.
    """
    people, mails = store.wrote(connection, digest)
    there = directory(connection)
    return people | {p.id for p in there.people.values() if p.mail and p.mail.casefold() in mails}


def _first(there: Directory) -> str:
    return min(there.holders(ADMINISTRATOR.id) or {person.id for person in there.people.values()})
