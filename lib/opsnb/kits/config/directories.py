"""Directories that a service's files want on a host: which are missing, made with mode 0755, removed when empty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from opsnb.base.canonical import JSON
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote

MODE = "0755"

# for each path "none", or "directory MODE", or "other"
MODES = r"""
for p; do
  if [ -d "$p" ] && [ ! -L "$p" ]; then echo "directory $(stat -c %a -- "$p")"
  elif [ -e "$p" ] || [ -L "$p" ]; then echo other
  else echo none; fi
done
"""

# outermost first; when one cannot be made, those before it are removed again
MAKE = r"""
set -uf
umask 022
count=0
for p; do
  mkdir -- "$p" && chmod 0755 "$p" || {
    left=$count
    while [ "$left" -gt 0 ]; do eval "last=\${$left}"; rmdir -- "$last" 2>/dev/null; left=$((left - 1)); done
    printf '%s could not be made; nothing was changed\n' "$p" >&2
    exit 79
  }
  count=$((count + 1))
done
"""

# innermost first
REMOVE = r"""
for p; do
  rmdir -- "$p" || { printf '%s could not be removed\n' "$p" >&2; exit 79; }
done
"""

INSIDE = r"""find "$@" -mindepth 1 -print0"""


def missing(paths: Iterable[str], there: Iterable[str]) -> list[str]:
    """Return every directory above files that are to be made, outermost first.

    Args:
        paths: Files whose directory is not there.
        there: Directories that are known to be there.
    """
    known = {"/", *there}
    found = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    return sorted(found - known)


def modes(host: str, paths: Sequence[str]) -> dict[str, str]:
    """Return the mode of each directory on a host, empty where nothing is there.

    Raises:
        UsageError: If something else lies there.
    """
    if not paths:
        return {}
    lines = remote.look(host, MODES, *paths).text.splitlines()
    if len(lines) != len(paths):
        raise OpsnbError(f"{host}: the answer about directories was {lines!r:.80}")
    found = {}
    for path, line in zip(paths, lines, strict=True):
        kind, _, mode = line.partition(" ")
        if kind == "other":
            raise UsageError(f"{host}: {path} is in the way: it is no directory")
        found[path] = mode.zfill(4) if kind == "directory" else ""
    return found


def made(mode: str) -> JSON:
    """Return a directory's state."""
    return {"mode": mode} if mode else None


def make(host: str, paths: Sequence[str]) -> None:
    """Make directories, outermost first; all or none.

    Raises:
        OpsnbError: If one cannot be made.
    """
    remote.act(host, MAKE, *paths)


def remove(host: str, paths: Sequence[str]) -> None:
    """Remove empty directories.

    Raises:
        OpsnbError: If one is not empty, or cannot be removed.
    """
    remote.act(host, REMOVE, *sorted(paths, reverse=True))


def only_ours(host: str, paths: Sequence[str], files: Iterable[str]) -> None:
    """Refuse to remove directories that hold more than the files that go too.

    Raises:
        UsageError: If something else lies in one of them.
    """
    ours = {*paths, *files}
    inside = remote.look(host, INSIDE, *paths).stdout.decode("utf-8", "surrogateescape").split("\0")
    foreign = sorted(path for path in inside if path and path not in ours)
    if foreign:
        raise UsageError(
            f"{host}: {foreign[0]!r:.100} was not there when the directory was made; nothing was changed",
            hint="save it elsewhere, then undo again",
        )
