"""Keeps what a run leaves: its notebook and its files, each scanned once more for secrets before it is kept.

What gives a secret away does not enter ``outputs/``: it goes to ``.opsnb/quarantine/``, and the record says so.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from opsnb.base.canonical import sha256
from opsnb.base.masking import Masker
from opsnb.control.files import write_atomic
from opsnb.control.runs.notebooks import notebook_bytes, without_outputs
from opsnb.control.runs.wire import Lines

MAX_FILES = 1000  # files kept of one run
MAX_FILE_BYTES = 256 * 1024**2  # bytes kept of one run's files together
MAX_UNPACKED = 256 * 1024**2  # bytes of one packed file that are looked at
MAX_MEMBERS = 10_000  # members of one archive that are looked at


class Keeper:
    """Keeps what one run leaves.

    Args:
        staging: Where the record is put together.
        quarantine: Where what gives a secret away goes instead.
        masker: Knows the run's secrets.
    """

    def __init__(self, staging: Path, quarantine: Path, masker: Masker) -> None:
        self._staging, self._quarantine, self._masker = staging, quarantine, masker
        self.notes: list[str] = []
        self.quarantined: list[str] = []

    def notebook(self, nb: Any, data: bytes, control: Lines) -> str:
        """Write ``run.ipynb`` and return its digest; without outputs where a secret is left in it."""
        if names := self._masker.hits(data) or self._masker.holds(nb):
            self._put_aside("run.ipynb", data, names)
            data = notebook_bytes(without_outputs(nb))
            if self._masker.hits(data):  # in its metadata or sources: then the text itself is masked
                data = self._masker.data(data)
        path = self._staging / "run.ipynb"
        digest, note = write_or_cut(path, data, lambda: notebook_bytes(without_outputs(nb)), control)
        self.notes += [note] if note else []
        return digest

    def files(self, source: Path) -> list[dict[str, Any]]:
        """Copy the run's files and return a row ``{"path", "size", "sha256"}`` for each that is kept."""
        try:
            return self._collect(source, self._staging / "files")
        except OSError as error:
            shutil.rmtree(self._staging / "files", ignore_errors=True)
            self.notes.append(f"the run's files could not be kept: {error.strerror}")
            return []

    def _collect(self, source: Path, target: Path) -> list[dict[str, Any]]:
        """Copy the regular files within the limits; links and special files are named and left out.

        The folder is what a hostile notebook made of it, and who copies is not confined: no link is followed, the
        folder itself being one either.
        """
        rows: list[dict[str, Any]] = []
        if not stat.S_ISDIR(source.lstat().st_mode):
            self.notes.append("files not kept: the run put a link or something else in place of its folder files")
            return rows
        room = MAX_FILE_BYTES
        for folder, _, names, descriptor in os.fwalk(source):
            for name in sorted(names):
                relative = (Path(folder) / name).relative_to(source)
                info = os.lstat(name, dir_fd=descriptor)
                if not stat.S_ISREG(info.st_mode) or len(rows) >= MAX_FILES or info.st_size > room:
                    self.notes.append(f"file not kept: {self._masker.text(str(relative))} ({info.st_size} bytes)")
                    continue
                room -= info.st_size
                data = _read(name, descriptor)
                if found := self._masker.hits(os.fsencode(relative)) or hits(self._masker, data):
                    self._put_aside(f"files/{relative}", data, found)
                    continue
                goal = target / relative
                goal.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(goal, data)
                rows.append({"path": f"files/{relative}", "size": len(data), "sha256": sha256(data)})
        return sorted(rows, key=lambda r: str(r["path"]))

    def _put_aside(self, name: str, data: bytes, names: list[str]) -> None:
        quarantine(self._quarantine, f"{len(self.quarantined)}", data)
        said = f"{self._masker.text(name)} holds the value of secret {', '.join(names)}"
        self.notes.append(f"quarantined: {said}; it is kept in .opsnb/quarantine/ and not in this record")
        self.quarantined.append(said)


def _read(name: str, folder: int) -> bytes:
    """Read a file of a directory that is open, and of no other."""
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), "rb") as stream:
        return stream.read()


def quarantine(folder: Path, name: str, data: bytes) -> None:
    """Keep something for the workspace's owner only; its name may be a secret too, so it is a number."""
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    write_atomic(folder / name, data, mode=0o600)


def hits(masker: Masker, data: bytes) -> list[str]:
    """Return the names of the secrets that a file gives away, also packed as zip (xlsx, docx, jar) or gzip."""
    if not masker:
        return []
    found = set(masker.hits(data))
    for part in _unpacked(data):
        found.update(masker.hits(part))
    return sorted(found)


def _unpacked(data: bytes) -> Iterator[bytes]:
    room = MAX_UNPACKED
    try:
        if data.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield archive.comment
                for member in archive.infolist()[:MAX_MEMBERS]:
                    with archive.open(member) as stream:
                        part = stream.read(room)
                    room -= len(part)
                    yield member.filename.encode("utf-8", "surrogateescape")
                    yield part
        elif data.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
                yield stream.read(room)
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, zipfile.BadZipFile):
        return  # not what it looks like, or encrypted: its bytes were looked at as they are


def write_or_cut(path: Path, data: bytes, smaller: Callable[[], bytes], control: Lines) -> tuple[str, str]:
    """Write ``data``; when the disk is full, ask for the reserve and write ``smaller()`` instead.

    Returns:
        The digest of what was written, and a note that says what was cut (empty when all is there).
    """
    try:
        write_atomic(path, data)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        control.send({"ev": "space"})
        while (answer := control.next()) and answer["op"] != "space":
            continue  # an order that came too late
        less = smaller()
        write_atomic(path, less)
        return sha256(less), f"the disk was full: {path.name} was cut from {len(data)} to {len(less)} bytes"
    return sha256(data), ""
