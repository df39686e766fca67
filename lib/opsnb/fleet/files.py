"""Files on machines, read and written by running programs there: one implementation for every transport and for sudo.

Names and contents are data: a name is an argument, contents go over stdin or stdout. A file is written beside its place
under another name, compared with its digest on the far side, given its mode and owner, synced, and only then renamed;
whatever fails before that leaves the old file as it was.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat as modes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.fleet.values import LEFT_OPEN, MissingFileError, Result, Status

PIECE = 4 * 1024 * 1024  # bytes that are moved at a time
READ_MOST = 16 * 1024 * 1024  # bytes that read() returns unless it is told otherwise
PIECE_SECONDS = 120.0  # for one piece, and for a digest
NO_SUCH_FILE = ("No such file or directory", "Not a directory")  # how programs say it under LC_ALL=C
OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?")

PUT = r"""
set -u; umask 077
p=$1; t=; what=$3
drop() { rm -f "$t"; [ -z "$2" ] || echo "$2" >&2; exit "$1"; }
if [ -L "$p" ]; then p=$(readlink -f "$p" && echo x) || drop 70 "the link leads nowhere"; p=${p%?x}; fi
d=${p%/*}; t=$d/.opsnb-$2
[ ! -d "$p" ] || drop 71 "it is a directory"
[ -d "${d:-/}" ] || drop 72 "its directory is not there"
case $what in *stage*) cat >> "$t" || drop 73 "" ;; esac
case $what in *commit*) ;; *) exit 0 ;; esac
h=$(sha256sum < "$t") || drop 74 ""
[ "${h%% *}" = "$4" ] || drop 75 "what arrived is not what was sent"
m=$5; o=$6
if [ -e "$p" ]; then
  s=$(stat -c '%a %u:%g' "$p") || drop 76 ""
  [ -n "$m" ] || m=${s% *}
  [ -n "$o" ] || o=${s#* }
fi
if [ -n "$o" ] && [ "$o" != "$(stat -c %u:%g "$t")" ]; then chown "$o" "$t" || drop 77 ""; fi
chmod "${m:-644}" "$t" || drop 78 ""
dd if=/dev/null of="$t" conv=notrunc,fsync 2>/dev/null || drop 79 "it cannot be synced to the disk"
mv -f "$t" "$p" || drop 80 ""
sync "${d:-/}" 2>/dev/null || sync
"""
"""Arguments: path, token, what to do (``stage``, ``commit``, both), digest, mode or nothing, owner or nothing."""

DROP = 'd=$1; [ ! -L "$1" ] || d=$(readlink -f "$1"); rm -f "${d%/*}/.opsnb-$2"'
DIGEST = 'head -c "$2" "$1" | sha256sum'
CUT = 'exec dd bs=1048576 skip="$2" count="$3" 2>/dev/null < "$1"'

Progress = Callable[[int, int], None]
"""Called with the bytes that were moved, and how many there are."""


class Runs(Protocol):
    """Runs a program on a machine: what :meth:`opsnb.fleet.machines.Machine.run` does."""

    name: str

    def run(self, *argv: str, stdin: bytes = b"", seconds: float = 60.0, sudo: bool = False) -> Result:
        """Run one program."""


@dataclass(frozen=True, kw_only=True)
class FileStat:
    """What a machine says about a name; of a link, about the link itself.

    Args:
        kind: ``file``, ``directory``, ``link`` or ``other``.
        size: Bytes.
        mode: Permission bits, for example ``0o644``.
        owner: User name, or its number when it has no name.
        group: The same for the group.
        uid: User number.
        gid: Group number.
        modified: Seconds since 1970.
        target: Where a link leads, as it is written in the link.
    """

    kind: str
    size: int
    mode: int
    owner: str
    group: str
    uid: int
    gid: int
    modified: int
    target: str = ""


def absolute(path: str) -> str:
    """Return a path on a machine after a look at it.

    Raises:
        UsageError: If it is not absolute, holds a NUL, or names no file.
    """
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"{path!r:.100} is not an absolute path on a machine", hint="it begins with / and has no NUL")
    return path


def read(machine: Runs, path: str, most: int, *, sudo: bool) -> bytes:
    """Return a file's contents.

    Raises:
        MissingFileError: If it is not there.
        OpsnbError: If it cannot be read, or is larger than ``most``.
    """
    result = machine.run("head", "-c", str(most + 1), absolute(path), sudo=sudo, seconds=PIECE_SECONDS)
    data = _done(machine, result, path, "read").stdout
    if len(data) > most:
        raise OpsnbError(f"{machine.name}: {path} has more than {most} bytes", hint="fetch() takes files of any size")
    return data


def stat(machine: Runs, path: str, *, sudo: bool) -> FileStat | None:
    """Return what is known of a name; ``None`` where nothing has it."""
    result = machine.run("stat", "-c", "%f %s %u %g %U %G %Y", absolute(path), sudo=sudo)
    if result.status is Status.FAILED and any(words in result.errors for words in NO_SUCH_FILE):
        return None
    fields = _done(machine, result, path, "looked at").text.split()
    raw, size, uid, gid, modified = int(fields[0], 16), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[-1])
    kinds = {modes.S_IFREG: "file", modes.S_IFDIR: "directory", modes.S_IFLNK: "link"}
    kind = kinds.get(modes.S_IFMT(raw), "other")
    target = ""
    if kind == "link":
        link = _done(machine, machine.run("readlink", path, sudo=sudo), path, "looked at").stdout
        target = os.fsdecode(link[:-1])
    names = fields[4:-1]
    owner, group = (names[0], names[1]) if len(names) == 2 else (str(uid), str(gid))  # noqa: PLR2004 - user and group
    return FileStat(
        kind=kind, size=size, mode=modes.S_IMODE(raw), owner=owner, group=group, uid=uid, gid=gid, modified=modified,
        target=target,
    )  # fmt: skip


def remove(machine: Runs, path: str, *, sudo: bool) -> None:
    """Remove a file or a link; where nothing has the name, all is well."""
    _done(machine, machine.run("rm", "-f", absolute(path), sudo=sudo), path, "removed")


def put(
    machine: Runs,
    path: str,
    source: BinaryIO,
    size: int,
    *,
    mode: int | None = None,
    owner: str = "",
    sudo: bool = False,
    progress: Progress | None = None,
) -> str:
    """Write a file atomically.

    Args:
        machine: Where.
        path: Its absolute path; where that is a link, what it leads to is replaced.
        source: The contents.
        size: How many bytes there are, for ``progress``.
        mode: Permission bits; ``None``: as they were, 0644 for a new file.
        owner: ``user`` or ``user:group``; empty: as it was.
        sudo: Whether as root.
        progress: Told what was moved.

    Returns:
        The SHA-256 digest of the contents, which the machine computed too.

    Raises:
        UnreachableError: If the machine cannot be reached; nothing was changed.
        UnknownOutcomeError: If the line was lost: the old file or the new one is there, never a part.
        OpsnbError: If it cannot be written; the old file is as it was.
    """
    if owner and not OWNER.fullmatch(owner):
        raise UsageError(f"{owner!r:.60} is not an owner", hint="user or user:group")
    token, digest, moved = secrets.token_hex(8), hashlib.sha256(), 0
    last = ("" if mode is None else f"{mode:o}", owner)
    script = ("/bin/sh", "-c", PUT, "opsnb", absolute(path), token)
    pieces = _pieces(source)
    piece = next(pieces, b"")
    begun = False
    while True:
        following = next(pieces, None)
        digest.update(piece)
        what = "stage" if following is not None else "stage commit"
        result = machine.run(*script, what, digest.hexdigest(), *last, stdin=piece, sudo=sudo, seconds=PIECE_SECONDS)
        if begun and not result.ok:
            _drop(machine, path, token, sudo=sudo)
        _done(machine, result, path, "written")
        begun, moved = True, moved + len(piece)
        if progress:
            progress(moved, size)
        if following is None:
            return digest.hexdigest()
        piece = following


def fetch(machine: Runs, path: str, target: Path, *, sudo: bool, progress: Progress | None) -> str:
    """Copy a machine's file to this machine, of any size; see :meth:`opsnb.fleet.machines.Machine.fetch`."""
    found = stat(machine, path, sudo=sudo)
    if found is None:
        raise MissingFileError(f"{machine.name}: {path} is not there")
    if found.kind == "link":
        return fetch(machine, _resolved(machine, path, sudo=sudo), target, sudo=sudo, progress=progress)
    if found.kind != "file":
        raise OpsnbError(f"{machine.name}: {path} is a {found.kind}, not a file")
    said = machine.run("/bin/sh", "-c", DIGEST, "opsnb", path, str(found.size), sudo=sudo, seconds=PIECE_SECONDS * 5)
    expected = _done(machine, said, path, "read").text.split()[0]
    digest, moved = hashlib.sha256(), 0
    beside = target.with_name(f".{target.name}.opsnb-{secrets.token_hex(4)}")
    try:
        with beside.open("xb") as out:
            while moved < found.size:
                argv = ("/bin/sh", "-c", CUT, "opsnb", path, str(moved // 1048576), str(PIECE // 1048576))
                piece = _done(machine, machine.run(*argv, sudo=sudo, seconds=PIECE_SECONDS), path, "read").stdout
                piece = piece[: found.size - moved]
                if not piece:
                    break
                out.write(piece)
                digest.update(piece)
                moved += len(piece)
                if progress:
                    progress(moved, found.size)
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != expected:
            raise OpsnbError(f"{machine.name}: {path} changed while it was copied", hint="copy it once more")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return expected


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(PIECE):
        yield piece


def _resolved(machine: Runs, path: str, *, sudo: bool) -> str:
    result = machine.run("readlink", "-f", path, sudo=sudo)
    if result.status is Status.FAILED:
        raise MissingFileError(f"{machine.name}: {path} is a link that leads nowhere")
    return os.fsdecode(_done(machine, result, path, "read").stdout[:-1])


def _drop(machine: Runs, path: str, token: str, *, sudo: bool) -> None:
    """Remove what was staged; when that fails too there is nothing more to do than to say what failed first."""
    machine.run("/bin/sh", "-c", DROP, "opsnb", path, token, sudo=sudo)


def _done(machine: Runs, result: Result, path: str, what: str) -> Result:
    """Return a result that is ok, or raise what it means for the file."""
    if result.ok:
        if result.error and result.error != LEFT_OPEN:
            raise OpsnbError(f"{machine.name}: {path}: {result.error}")
        return result
    if result.status is not Status.FAILED:
        return result.require()
    if any(words in result.errors for words in NO_SUCH_FILE):
        raise MissingFileError(f"{machine.name}: {path} is not there")
    said = (result.errors.strip().splitlines() or [f"exit {result.exit}"])[-1]
    hint = ""
    if "No space left" in said or "quota" in said:
        hint = "the old file is as it was; free space there (df), then run it again"
    elif "ermission denied" in said or "not permitted" in said:
        hint = "as root: sudo=True, and 'sudo' in the host's row"
    raise OpsnbError(f"{machine.name}: {path} cannot be {what}: {said}", hint=hint)
