"""Brings ``outputs/ledger/`` up to date: what an auditor needs, and nothing that a run could have written.

Rules:

* ``entries.jsonl`` only grows: one entry's exact bytes a line, appended and synced. What stands behind the last
  published checkpoint is trusted only where it equals the database; a torn line from a crash is cut off and written
  again. A file that is shorter than what was published is written anew from the database.
* ``vkey``, ``verify.py`` and ``README.txt`` are covered by the entry ``site.published``, which the caller appends when
  :func:`site_event` returns one, before it publishes.
* The checkpoint is replaced last, in one step. A reader that saw the old one starts over.
* Unfinished files stand in ``outputs/.incoming``, which ``verify.py`` passes over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from opsnb.base.canonical import sha256
from opsnb.base.errors import AlteredError, UsageError
from opsnb.control.ledger import store
from opsnb.control.ledger.events import SitePublished
from opsnb.control.ledger.files import read_if_there, replace_file, sync
from opsnb.control.ledger.note import Checkpoint, verify_checkpoint
from opsnb.control.ledger.signer import Signer

STAGING = ".incoming"
ENTRIES = "ledger/entries.jsonl"
CHECKPOINT = "ledger/checkpoint"


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What was published: the signed note, its checkpoint, how many entries were written, whether damage was mended.

    ``repaired`` is true when ``entries.jsonl`` lacked or contradicted what had been published, or ended in a torn line.
    """

    note: bytes
    checkpoint: Checkpoint
    written: int
    repaired: bool


@cache
def source(name: str) -> bytes:
    """Return the bytes of ``verify.py`` or ``README.txt`` as this package ships them."""
    return Path(__file__).with_name(name).read_bytes()


def site_contents(vkey: str) -> dict[str, bytes]:
    """Return the ledger's own public files: path under ``outputs/`` to bytes."""
    return {
        "ledger/README.txt": source("README.txt"),
        "ledger/verify.py": source("verify.py"),
        "ledger/vkey": vkey.encode() + b"\n",
    }


def site_digests(vkey: str) -> dict[str, str]:
    """Return path to SHA-256 of the ledger's own public files, as ``site.published`` names them."""
    return {path: sha256(data) for path, data in site_contents(vkey).items()}


def site_event(connection: Connection, signer: Signer) -> SitePublished | None:
    """Return the event to append before publishing, or ``None`` when the latest one still holds.

    Files of others that the latest ``site.published`` names (index, dashboards) stay in it.
    """
    entry = store.latest(connection, SitePublished.kind)
    known = dict(entry.value["files"]) if entry else {}
    wanted = {**known, **site_digests(signer.vkey)}
    return None if wanted == known else SitePublished(files=wanted)


def publish(connection: Connection, signer: Signer, outputs: Path) -> Publication:
    """Publish the committed ledger under ``outputs/ledger/``; serialised by the caller's lock.

    Args:
        connection: Outside the transaction that appended.
        signer: Signs the head.
        outputs: The ``outputs`` directory.

    Raises:
        AlteredError: If the database is not what was signed before.
        OSError: If a file cannot be written; what was published before still stands.
    """
    folder, staging = outputs / "ledger", outputs / STAGING
    for directory in (outputs, folder, staging):
        directory.mkdir(exist_ok=True)
    note = signer.checkpoint(connection)
    new = verify_checkpoint(note, signer.verifier)
    written, repaired = _bring_entries(connection, outputs, _published(outputs, signer, new.size), new.size)
    for path, data in {**site_contents(signer.vkey), CHECKPOINT: note}.items():  # the checkpoint is the last of them
        if read_if_there(outputs / path) != data:
            replace_file(outputs / path, [data], staging=staging)
    return Publication(note=note, checkpoint=new, written=written, repaired=repaired)


def _published(outputs: Path, signer: Signer, limit: int) -> int:
    """How many entries the checkpoint that stands in ``outputs`` covers; 0 when it says nothing we signed."""
    note = read_if_there(outputs / CHECKPOINT)
    try:
        old = verify_checkpoint(note or b"", signer.verifier).size
    except (UsageError, AlteredError):
        return 0
    return old if old <= limit else 0


def _bring_entries(connection: Connection, outputs: Path, old: int, new: int) -> tuple[int, bool]:
    path = outputs / ENTRIES
    start = store.end_of(connection, old)
    end = store.end_of(connection, new)
    have = path.stat().st_size if path.is_file() and not path.is_symlink() else -1
    if have < start or not _last_line_stands(connection, path, old):
        lines = _lines(connection, 0, new)
        replace_file(path, lines, staging=outputs / STAGING)
        return new, old > 0
    with path.open("r+b") as stream:
        kept = _common(connection, stream, old, new)
        at = store.end_of(connection, kept)
        if have == at == end:
            return 0, False
        stream.truncate(at)
        stream.seek(at)
        for line in _lines(connection, kept, new):
            stream.write(line)
        stream.flush()
        sync(stream.fileno())
    return new - kept, have > at


def _last_line_stands(connection: Connection, path: Path, size: int) -> bool:
    """Whether the last published line is where it was written: a file that was shifted is not appended to."""
    if size == 0:
        return path.exists() and not path.is_symlink()
    (entry,) = store.read(connection, size - 1, size)
    with path.open("rb") as stream:
        stream.seek(entry.end - len(entry.data) - 1)
        return stream.read(len(entry.data) + 1) == entry.data + b"\n"


def _common(connection: Connection, stream: BinaryIO, start: int, end: int) -> int:
    """How many entries stand in the file, from ``start`` (known to stand) as far as it equals the database."""
    stream.seek(store.end_of(connection, start), os.SEEK_SET)
    for index, line in enumerate(_lines(connection, start, end), start):
        if stream.read(len(line)) != line:
            return index
    return end


def _lines(connection: Connection, start: int, end: int) -> Iterator[bytes]:
    for entry in store.read(connection, start, end):
        yield entry.data + b"\n"
