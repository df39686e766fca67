"""Reading: ``outputs/`` once, in an order that a control plane which is writing meanwhile cannot upset.

The checkpoint is read first and counts: entries behind it are not signed yet. A folder may be there a moment before
the entry that covers it, so :func:`read_trail` looks again when something seems uncovered, and what was in
``.incoming/`` before or after counts as being written.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits.audit.coverage import coverage_of
from opsnb.kits.audit.entries import MAX_NOTE, Head, Log, merkle_root, parse_checkpoint, parse_entries
from opsnb.kits.audit.manifests import MAX_MANIFEST, Recorded, parse_manifest
from opsnb.kits.audit.trail import Trail
from opsnb.runbook.show import visible

CHECKPOINT, ENTRIES, STAGING = "ledger/checkpoint", "ledger/entries.jsonl", ".incoming"
MAX_LOG = 2**29  # bytes of entries.jsonl
MAX_FOLDERS = 200_000  # record folders
LEVELS = (r"\d{4}", r"\d\d", r"\d\d", r".+")  # YYYY/MM/DD/RUN
LOOKS, PAUSE = 4, 0.5  # times, seconds between two looks


def suits(outputs: str) -> tuple[bool, str]:
    """Return whether there is a ledger to look at, and a sentence that says so."""
    there = bool(outputs) and (Path(outputs) / CHECKPOINT).is_file()
    place = visible(outputs) or "outputs (not given)"
    return there, f"{place} holds {CHECKPOINT}" if there else f"{place} holds no {CHECKPOINT}"


def read_head(path: str) -> Head | None:
    """Return the head in a file that was kept; ``None`` when no file is named.

    Raises:
        UsageError: If the file cannot be read or is not a checkpoint.
    """
    if not path:
        return None
    try:
        return parse_checkpoint(_read(Path(path), MAX_NOTE))
    except (OSError, UsageError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.message
        raise UsageError(f"head {visible(path)}: {reason}", hint="give a copy of ledger/checkpoint") from error


def read_trail(outputs: str, head: str = "") -> Trail:
    """Read ledger, folders and manifests; without a ledger the trail is empty.

    Args:
        outputs: A workspace's outputs/ folder.
        head: File with a kept checkpoint; empty means none.

    Raises:
        UsageError: If the kept head is not one, or the ledger is larger than this kit takes.
    """
    kept = read_head(head)
    if not suits(outputs)[0]:
        return Trail(outputs=outputs, kept=kept)
    manifests: dict[str, Recorded] = {}
    for look in range(LOOKS):
        trail = _look(Path(outputs), kept, manifests)
        found = coverage_of(trail.entries, trail.folders, trail.staging)
        if look == LOOKS - 1 or not (found.uncovered or found.abandoned):
            break
        time.sleep(PAUSE)
    return trail


def _look(root: Path, kept: Head | None, manifests: dict[str, Recorded]) -> Trail:
    staging = frozenset(_names(root / STAGING))
    problems: list[str] = []
    head = _head(root, problems)
    log = _log(root, problems)
    size = head.size if head else 0
    folders, staging = tuple(_folders(root)), staging | frozenset(_names(root / STAGING))
    for folder in folders:
        if folder not in manifests:
            _manifest(root, folder, manifests, problems)
    return Trail(
        outputs=str(root), head=head, entries=tuple(e for e in log.entries if e.index < size),
        root=merkle_root(log.lines[:size]), kept=kept, unsigned=max(0, len(log.lines) - size),
        kept_root=merkle_root(log.lines[: kept.size]) if kept and kept.size <= min(size, len(log.lines)) else "",
        folders=folders, staging=staging, manifests=manifests, problems=(*problems, *log.problems),
    )  # fmt: skip


def _head(root: Path, problems: list[str]) -> Head | None:
    try:
        return parse_checkpoint(_read(root / CHECKPOINT, MAX_NOTE))
    except (OSError, OpsnbError) as error:
        problems.append(f"{CHECKPOINT}: {_why(error)}")
        return None


def _log(root: Path, problems: list[str]) -> Log:
    try:
        return parse_entries(_read(root / ENTRIES, MAX_LOG))
    except OSError as error:
        problems.append(f"{ENTRIES}: {_why(error)}")
        return Log()


def _manifest(root: Path, folder: str, manifests: dict[str, Recorded], problems: list[str]) -> None:
    try:
        manifests[folder] = parse_manifest(_read(root / folder / "manifest.json", MAX_MANIFEST))
    except (OSError, OpsnbError) as error:
        problems.append(f"{visible(folder)}/manifest.json: {_why(error)}")


def _why(error: OSError | OpsnbError) -> str:
    return error.message if isinstance(error, OpsnbError) else str(error.strerror)


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise UsageError(f"{path.name} is over {limit:,} bytes")
    return data


def _folders(root: Path) -> list[str]:
    """Return every ``YYYY/MM/DD/RUN``, in order; a link is not followed."""
    found = [""]
    for pattern in LEVELS:
        found = [f"{at}{name}/" for at in found for name in _names(root / at) if re.fullmatch(pattern, name)]
    if len(found) > MAX_FOLDERS:
        raise UsageError(f"{root} holds {len(found):,} record folders, and this runbook reads {MAX_FOLDERS:,}")
    return [path.rstrip("/") for path in found]


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as rows:
            return sorted(row.name for row in rows if row.is_dir(follow_symlinks=False))
    except OSError:
        return []
