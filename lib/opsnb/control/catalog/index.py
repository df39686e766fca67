"""The catalog: every notebook under ``runbooks/``, by id and by path; a broken one hides no other.

Rules: folders are walked without following symbolic links; ``.ipynb_checkpoints`` and hidden folders are left out; an
id that two files carry belongs to neither; a built-in runbook is found by an id that no file carries. The index reads a
file again only when its inode, size, mtime or ctime has changed; whoever asks for one runbook gets what is on the disk
at that moment. Any number of threads may use a catalog.
"""

from __future__ import annotations

import functools
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import NotebookError, NotFoundError
from opsnb.base.parameters import did_you_mean
from opsnb.control.catalog import builtin
from opsnb.control.catalog.notebook import parse_notebook, read_notebook
from opsnb.control.catalog.runbook import FOLDER, Runbook, read_runbook, runbook_from, shown_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ENDING = ".ipynb"
ID_AT_START = re.compile(r"[A-Za-z]{2,5}-[0-9]{3}")
Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A notebook that cannot run.

    Args:
        path: The file, relative to the workspace.
        error: Why.
        id: The id that it carries, or that its file name promises; empty when neither is known.
        shared: Whether that is because another notebook carries the same id.
    """

    path: str
    error: NotebookError
    id: str = ""
    shared: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what a list shows, as a JSON object."""
        error = self.error
        where = {"cell": error.cell, "line": error.line, "field": error.field}
        return {"id": self.id or None, "path": self.path, "error": error.message, "hint": error.hint, **where}


class Catalog:
    """What can run in one workspace. Read it with :meth:`load`; :meth:`refresh` looks again."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace.resolve()
        self._entries: tuple[Runbook | Broken, ...] = ()  # replaced as a whole, so that a reader never sees half of it
        self._read: dict[str, tuple[Stamp, Runbook | Broken]] = {}
        self._lock = threading.Lock()  # held while the files are looked at

    @classmethod
    def load(cls, workspace: Path) -> Catalog:
        """Return the catalog of a workspace; empty when it has no ``runbooks/``."""
        catalog = cls(workspace)
        catalog.refresh()
        return catalog

    @property
    def entries(self) -> tuple[Runbook | Broken, ...]:
        """Every notebook, by path."""
        return self._entries

    @property
    def runbooks(self) -> tuple[Runbook, ...]:
        """Everything that can run, by path."""
        return tuple(e for e in self._entries if isinstance(e, Runbook))

    @property
    def broken(self) -> tuple[Broken, ...]:
        """Everything that cannot, by path."""
        return tuple(e for e in self._entries if isinstance(e, Broken))

    @property
    def built_in(self) -> tuple[Runbook, ...]:
        """The runbooks that come with the program and have no file of their id in the workspace."""
        own = {entry.id for entry in self._entries}
        return tuple(runbook for runbook in _came_with() if runbook.id not in own)

    def as_of(self, files: Mapping[str, str], content: Callable[[str], bytes]) -> Catalog:
        """Return what could run if the notebooks were these files; what is the same on the disk is not read again.

        Args:
            files: Path to SHA-256.
            content: Returns the bytes of a SHA-256.
        """
        known = {entry.path: entry for _, entry in self._read.values()}
        made = Catalog(self.workspace)
        entries = []
        for path, digest in files.items():
            there = known.get(path)
            same = isinstance(there, Runbook) and there.digest == digest
            read = functools.partial(_from, path, digest, content)
            entries.append(there if there is not None and same else _entry_of(path, read))
        made._entries = tuple(_without_duplicates(entries))
        return made

    def as_json(self) -> dict[str, Any]:
        """Return what a list shows, as a JSON object."""
        return {
            "runbooks": [r.summary() for r in self.runbooks],
            "built_in": [r.summary() for r in self.built_in],
            "broken": [b.as_json() for b in self.broken],
        }

    def refresh(self) -> bool:
        """Look at the files again; return whether anything has changed."""
        with self._lock:
            read = {path: self._entry(path, stamp) for path, stamp in _files(self.workspace)}
            if read == self._read:
                return False
            self._entries = tuple(_without_duplicates([entry for _, entry in read.values()]))
            self._read = read
            return True

    def find(self, name: str, folder: str = "") -> Runbook:
        """Return the runbook with this id or path, read from the disk now.

        Args:
            name: An id in any case, or a path ending in ``.ipynb``; a notebook outside the catalog will do.
            folder: Where a relative path begins, the asker's working directory; the workspace is tried after it.

        Raises:
            NotFoundError: If there is none; the hint holds the nearest.
            NotebookError: If there is one and it is broken, or shares its id with another.
        """
        self.refresh()
        file = self.locate(name, folder)
        notebook = read_notebook(file, path=self._shown(file))
        known = next((e for e in self._entries if e.path == notebook.path), None)
        if isinstance(known, Broken) and known.shared:
            raise known.error
        if isinstance(known, Runbook) and known.digest == notebook.digest:
            return known
        runbook = runbook_from(notebook)
        if known and known.id and runbook.id != known.id:
            raise NotebookError("was changed while it was read", path=notebook.path, hint="ask again")
        return runbook

    def locate(self, name: str, folder: str = "") -> Path:
        """Return the file of this id or path, whether it can run or not; see :meth:`find`.

        Raises:
            NotFoundError: If there is none; the hint holds the nearest.
        """
        if name in builtin.files():
            return builtin.files()[name]
        if name.endswith(ENDING):
            places = [Path(base, name) for base in (folder, self.workspace) if base]
            found = next((place for place in places if os.path.lexists(place)), None)
            if found:
                return found.absolute()
        entries = sorted(self._entries, key=lambda e: isinstance(e, Broken))  # an id in use before one promised
        for entry in entries:
            if entry.id and entry.id == name.upper():
                return self.workspace / entry.path
        if file := builtin.by_id(name.upper()):
            return file
        names = [e.id or e.path for e in entries] if "/" not in name else [e.path for e in entries]
        near = did_you_mean(name, names, what="runbooks", also=builtin.ids())
        hint = near or f"there are no notebooks under {FOLDER}/"
        raise NotFoundError(f"no runbook is called {name!r:.120}", hint=hint)

    def _shown(self, file: Path) -> str:
        path = shown_path(file, self.workspace)
        return (builtin.shown(file) or path) if path.startswith("/") else path

    def _entry(self, path: str, stamp: Stamp) -> tuple[Stamp, Runbook | Broken]:
        known = self._read.get(path)
        if known and known[0] == stamp:
            return known
        return stamp, _entry_of(path, lambda: read_runbook(self.workspace / path, self.workspace))


def _entry_of(path: str, read: Callable[[], Runbook]) -> Runbook | Broken:
    try:
        path.encode()
        return read()
    except UnicodeEncodeError:  # bytes that no terminal, page or JSON document could show
        path = path.encode("utf-8", "backslashreplace").decode()
        return Broken(path=path, error=NotebookError("its name is not UTF-8", path=path, hint="rename it"))
    except NotebookError as error:
        promised = ID_AT_START.match(PurePosixPath(path).name)
        return Broken(path=path, error=error, id=promised[0].upper() if promised else "")


@functools.cache
def _came_with() -> tuple[Runbook, ...]:
    """The runbooks that come with the program: they change only with it."""
    return tuple(runbook_from(read_notebook(file, path=path)) for path, file in builtin.files().items())


def _from(path: str, digest: str, content: Callable[[str], bytes]) -> Runbook:
    return runbook_from(parse_notebook(content(digest), path))


def _files(workspace: Path) -> Iterator[tuple[str, Stamp]]:
    """The notebooks, by path; a folder that cannot be read is passed over, a link is left for the reader to refuse."""
    found: list[tuple[str, Stamp]] = []
    for folder, folders, files in os.walk(workspace / FOLDER, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.endswith(ENDING) and not name.startswith("."):
                file = Path(folder, name)
                found.append((file.relative_to(workspace).as_posix(), _stamp(file)))
    return iter(sorted(found))


def _stamp(file: Path) -> Stamp:
    try:
        status = file.lstat()
    except OSError:  # deleted since the folder was listed; reading it says so
        return (0, 0, 0, 0)
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def _without_duplicates(entries: list[Runbook | Broken]) -> list[Runbook | Broken]:
    owners: dict[str, list[str]] = {}
    for entry in entries:
        if isinstance(entry, Runbook) and entry.id:
            owners.setdefault(entry.id, []).append(entry.path)
    return [_unless_shared(entry, owners) for entry in entries]


def _unless_shared(entry: Runbook | Broken, owners: dict[str, list[str]]) -> Runbook | Broken:
    paths = owners.get(entry.id or "", [])
    if isinstance(entry, Broken) or len(paths) <= 1:
        return entry
    place = entry.front.place if entry.front else None
    error = NotebookError(
        f"the id {entry.id} is carried by {' and '.join(paths)}",
        path=entry.path,
        cell=0,
        line=place.line_of("id") if place else None,
        field="id",
        hint="give one of them an id of its own",
    )
    return Broken(path=entry.path, error=error, id=entry.id or "", shared=True)
