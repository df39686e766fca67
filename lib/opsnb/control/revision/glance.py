"""What holds, before anything is opened: read from the SQLite file by who starts a control plane, or looks without one.

A file that is not there, or is older than this, says nothing. Nothing is written and nothing stays open.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from dataclasses import dataclass
from pathlib import Path

from opsnb.base.canonical import sha256
from opsnb.base.errors import AlteredError
from opsnb.control.revision.values import SETTINGS, Revision


@dataclass(frozen=True, kw_only=True)
class Glance:
    """What was seen: how many people there are, the active revision (number 0: none), the settings that hold."""

    people: int
    number: int = 0
    revision: Revision | None = None
    settings: bytes = b""

    @property
    def files_hold(self) -> bool:
        """Whether the files hold as they are: one person, or nothing was ever activated."""
        return self.people <= 1 or self.revision is None


def glance(database: Path) -> Glance | None:
    """Return what the database says; ``None`` where it says nothing.

    Raises:
        AlteredError: If what is kept is not what was activated.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"file:{_quoted(database)}?mode=ro", uri=True, timeout=30)) as opened:
            return _read(opened)
    except sqlite3.Error:
        return None


def _read(opened: sqlite3.Connection) -> Glance:
    people = opened.execute("SELECT count(*) FROM people WHERE active AND kind = 'person'").fetchone()[0]
    row = opened.execute("SELECT number, digest FROM revisions ORDER BY number DESC LIMIT 1").fetchone()
    if row is None:
        return Glance(people=people)
    revision = Revision(files=json.loads(_content(opened, row[1]))["files"])
    settings = revision.files.get(SETTINGS)
    return Glance(
        people=people, number=row[0], revision=revision, settings=_content(opened, settings) if settings else b""
    )


def _content(opened: sqlite3.Connection, digest: str) -> bytes:
    row = opened.execute("SELECT data FROM revision_contents WHERE digest = ?", (digest,)).fetchone()
    try:
        data = zlib.decompress(row[0]) if row else b""
    except zlib.error:
        data = b""
    if sha256(data) != digest:
        raise AlteredError(f"what was activated as {digest[:12]} is not in the database as it was")
    return data


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
