"""How much a parameters cell and its values may hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on what is read and passed; wide for people, narrow for mischief."""

    cell: int = 64 * 1024  # characters of a parameters cell
    count: int = 200  # parameters of one runbook
    nesting: int = 16  # levels of lists and objects inside one value
    total: int = 256 * 1024  # bytes of all values together, as canonical JSON
    matched: int = 4096  # characters of a text that is matched against a pattern
    label: int = 500  # characters of a label
    text: int = 512 * 1024  # characters of one value given as text on a command line


LIMITS = Limits()
