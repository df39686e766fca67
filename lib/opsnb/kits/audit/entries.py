"""Ledger entries and heads, parsed from bytes: rules without I/O.

Forms: ``entries.jsonl`` holds one JSON object a line with ``index`` (from 0), ``at``, ``kind`` and ids; a checkpoint
is a C2SP signed note of origin, size and base64 root; the root is RFC 6962's tree hash over the lines. Signatures are
the verifier's business.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opsnb.base.clock import parse
from opsnb.base.errors import UsageError

MAX_LINE = 2**20  # bytes of one entry
MAX_ENTRIES = 500_000  # what a kernel of the usual size holds; verify.py alone takes more
MAX_NOTE = 2**16  # bytes of a checkpoint
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
ROOT_BYTES = 32
SIZE_DIGITS = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One entry: its place from 0, when (UTC), what happened, the run and request it is about, all its fields."""

    index: int
    at: datetime
    kind: str
    run: str = ""
    request: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Head:
    """A ledger's head: the origin that names the ledger, how many entries, their root as 64 hex digits."""

    origin: str
    size: int
    root: str


@dataclass(frozen=True, kw_only=True)
class Log:
    """What ``entries.jsonl`` holds: entries in order, the exact lines, and what was wrong, in order."""

    entries: tuple[Entry, ...] = ()
    lines: tuple[bytes, ...] = ()
    problems: tuple[str, ...] = ()


def parse_entries(data: bytes) -> Log:
    """Return the entries of a log; a malformed or misplaced line is a problem and left out, a torn last one too.

    Raises:
        UsageError: If the log has over ``MAX_ENTRIES`` lines.
    """
    lines = data.split(b"\n")
    if len(lines) > MAX_ENTRIES + 1:
        raise UsageError(
            f"the ledger has {len(lines) - 1:,} entries, and this runbook reads {MAX_ENTRIES:,}",
            hint="python3 -I outputs/ledger/verify.py outputs   checks a ledger of any size",
        )
    problems = ["the last line is torn"] if lines.pop() else []
    entries = []
    for index, line in enumerate(lines):
        entry = _entry(line, index)
        if entry is None:
            problems.append(f"entry {index} is malformed or out of place")
        else:
            entries.append(entry)
    return Log(entries=tuple(entries), lines=tuple(lines), problems=tuple(problems))


def parse_checkpoint(data: bytes) -> Head:
    """Return the head that a checkpoint states; its signature is not looked at.

    Raises:
        UsageError: If it is not a checkpoint.
    """
    try:
        text, signatures = data[:MAX_NOTE].decode("utf-8").split("\n\n", 1)
        origin, size, root = text.split("\n")[:3]
        digest = base64.b64decode(root, validate=True)
        if not (origin and origin.isprintable() and size.isascii() and size.isdigit() and len(size) <= SIZE_DIGITS):
            raise ValueError(size)  # noqa: TRY301  (the one message below fits)
        if len(digest) != ROOT_BYTES or not signatures.startswith("— "):
            raise ValueError(root)  # noqa: TRY301  (as above)
    except (ValueError, binascii.Error) as error:
        raise UsageError("this is not a checkpoint", hint="one is outputs/ledger/checkpoint, kept elsewhere") from error
    return Head(origin=origin, size=int(size), root=digest.hex())


def merkle_root(lines: Sequence[bytes]) -> str:
    """Return the RFC 6962 tree hash over the exact lines, as hex; the last node of an odd row moves up as it is."""
    if not lines:
        return hashlib.sha256().hexdigest()
    row = [hashlib.sha256(b"\0" + line).digest() for line in lines]
    while len(row) > 1:
        odd = row[len(row) & ~1 :]
        row = [hashlib.sha256(b"\1" + row[i] + row[i + 1]).digest() for i in range(0, len(row) - 1, 2)] + odd
    return row[0].hex()


def _entry(line: bytes, index: int) -> Entry | None:
    try:
        value: Any = json.loads(line) if len(line) <= MAX_LINE else None
        if type(value["index"]) is not int or value["index"] != index or not STAMP.fullmatch(value["at"]):
            return None
        kind, run, request = value["kind"], value.get("run", ""), value.get("request", "")
        if not (isinstance(kind, str) and isinstance(run, str) and isinstance(request, str)):
            return None
        return Entry(index=index, at=parse(value["at"]), kind=kind, run=run, request=request, fields=value)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
