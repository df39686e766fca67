"""The trail: what ``outputs/`` holds, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from opsnb.kits.audit.entries import Entry, Head
from opsnb.kits.audit.manifests import Recorded


@dataclass(frozen=True, kw_only=True)
class Trail:
    """What ``outputs/`` holds.

    Args:
        outputs: The folder.
        head: The checkpoint's head; ``None`` without a ledger.
        entries: The entries that the head covers.
        root: Root over those entries, computed here.
        kept: The kept head, if one was given.
        kept_root: Root over as many entries as the kept head covers, computed here; empty when there are fewer.
        unsigned: Entries behind the head.
        folders: Record folders, ``YYYY/MM/DD/RUN``.
        staging: Names in ``.incoming/``: runs that are being written.
        manifests: By folder.
        problems: What could not be read, in words.
        read_at: When it was read, UTC.
    """

    outputs: str
    head: Head | None = None
    entries: tuple[Entry, ...] = ()
    root: str = ""
    kept: Head | None = None
    kept_root: str = ""
    unsigned: int = 0
    folders: tuple[str, ...] = ()
    staging: frozenset[str] = frozenset()
    manifests: Mapping[str, Recorded] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    read_at: datetime = field(default_factory=lambda: datetime.now(UTC))
