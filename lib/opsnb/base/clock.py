"""Time and ids. Every stored time is UTC in ISO 8601 with milliseconds and ``Z``."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no 0, 1, i, l, o: ids are read aloud and typed


def now() -> datetime:
    """Return the current time, UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime | None = None) -> str:
    """Return ``moment`` (now by default) as ``2026-11-23T11:45:01.250Z``."""
    return (moment or now()).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse(text: str) -> datetime:
    """Return the aware datetime that :func:`stamp` wrote."""
    return datetime.fromisoformat(text)


def new_id(moment: datetime | None = None) -> str:
    """Return a sortable id such as ``20261123-114501-k3f9x``: UTC second and five random characters."""
    tail = "".join(secrets.choice(ALPHABET) for _ in range(5))
    return f"{(moment or now()).astimezone(UTC):%Y%m%d-%H%M%S}-{tail}"
