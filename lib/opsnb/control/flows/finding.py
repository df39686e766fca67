"""What ``opsnb doctor`` finds, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How a thing is."""

    OK = "ok"
    NOTE = "note"  # worth knowing
    WARNING = "warning"  # works, and will not for long or not safely
    PROBLEM = "problem"  # does not work, or is not safe


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at: how it is, what was found, and what mends it (a command or a sentence; empty when ok)."""

    name: str
    state: State
    found: str
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return asdict(self)
