"""The files of a workspace that a revision is made of, each read once: its digest is that of the very bytes kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from opsnb.base.canonical import sha256
from opsnb.base.errors import UsageError
from opsnb.control.revision.values import CONFIGS, INVENTORY, INVENTORY_FOLDER, RUNBOOKS, SCHEDULES, SETTINGS, Revision

MAX_FILE = 64 * 1024**2  # bytes; the inventory's own bound
MAX_FILES = 50_000
MANIFEST = "config.yaml"  # of a folder under configs/
YAML = ".yaml"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was found: the revision, and by digest the bytes of what was not known before."""

    revision: Revision
    contents: dict[str, bytes] = field(repr=False)


def take(root: Path, known: Callable[[str], bool]) -> Taken:
    """Read every file of a revision once.

    Args:
        root: The workspace.
        known: Whether the bytes of a digest are kept already; they are not held then.

    Raises:
        UsageError: If a file cannot be read or is too large, or there are too many.
    """
    files: dict[str, str] = {}
    contents: dict[str, bytes] = {}
    for path in paths(root):
        data = read(root, path)
        if data is None:
            continue
        found = sha256(data)
        files[path] = found
        if found not in contents and not known(found):
            contents[found] = data
    return Taken(revision=Revision(files=files), contents=contents)


def paths(root: Path) -> Iterator[str]:
    """Return the paths of a revision's files, relative to the workspace, sorted within each part.

    Raises:
        UsageError: If there are too many, or one has a name that is not UTF-8.
    """
    found = [path for path in (SETTINGS, INVENTORY) if os.path.lexists(root / path)]
    found += [p for p in _walked(root, INVENTORY_FOLDER, deep=False) if p.endswith(YAML)]
    found += _walked(root, SCHEDULES)
    found += _walked(root, RUNBOOKS)
    found += beside(root, CONFIGS)
    if len(found) > MAX_FILES:
        raise UsageError(f"the workspace has {len(found)} files to activate, at most {MAX_FILES} are")
    for path in found:
        try:
            path.encode()
        except UnicodeEncodeError:
            shown = path.encode("utf-8", "backslashreplace").decode()
            raise UsageError(f"{shown}: its name is not UTF-8", hint="rename it") from None
    return iter(found)


def beside(root: Path, folder: str) -> list[str]:
    """Return the paths of a revision's files right in a folder of ``runbooks/``; the manifests below ``configs/``."""
    if folder == CONFIGS:
        return [p for p in _walked(root, CONFIGS) if p.rpartition("/")[2] == MANIFEST]
    return _walked(root, folder, deep=False)


def read(root: Path, path: str) -> bytes | None:
    """Return a file's bytes; ``None`` where it is not there, or is no part: a link or a pipe under ``runbooks/``.

    Raises:
        UsageError: If it cannot be read, or is too large.
    """
    follow = path in {SETTINGS, INVENTORY} or path.startswith(INVENTORY_FOLDER)  # as their readers do
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(root / path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        if (root / path).is_symlink():
            return None
        raise UsageError(f"{path}: cannot be read: {error.strerror}", hint="mend that, or move it away") from None
    with os.fdopen(descriptor, "rb") as handle:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = handle.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise UsageError(f"{path}: is larger than {MAX_FILE // 1024**2} MiB", hint="keep it elsewhere")
    return data


def _walked(root: Path, folder: str, *, deep: bool = True) -> list[str]:
    found = []
    for place, folders, names in os.walk(root / folder, followlinks=False):
        folders[:] = sorted(n for n in folders if not n.startswith(".")) if deep else []
        base = os.path.relpath(place, root)  # without the slash at the end of ``folder``
        found += [f"{base}/{n}" for n in names if not n.startswith(".")]
    return sorted(found)
