"""What every entry of the ledger is made of: the base of all events, and the only kinds of fields that they may have.

A field is an id, an enum, a whole number, a time, true or false, or a digest. There is none for text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar

from opsnb.base.canonical import MAX_SAFE_INTEGER
from opsnb.base.errors import UsageError

IDENT = re.compile(r"[A-Za-z0-9._:-]{1,80}")
HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")

Check = Callable[[Any], bool]


def checked(check: Check, want: str, *, name: str = "") -> Any:
    """Return a field that is checked when its event is made; ``name`` is what it is called in the entry."""
    return field(metadata={"check": check, "want": want, "name": name})


def pattern(form: re.Pattern[str], want: str) -> Any:
    """Return a field for text of one form."""
    return checked(lambda v: isinstance(v, str) and form.fullmatch(v) is not None, want)


def identifier() -> Any:
    """Return a field for an id."""
    return pattern(IDENT, "an id of 1 to 80 of A-Z a-z 0-9 . _ : -")


def digested() -> Any:
    """Return a field for a SHA-256."""
    return pattern(HEX_DIGEST, "64 lower-case hex digits")


def moment() -> Any:
    """Return a field for a time."""
    return pattern(STAMP, "a UTC time with milliseconds")


def one_of(kind: type[StrEnum]) -> Any:
    """Return a field for a member of an enum."""
    return checked(lambda v: isinstance(v, kind), f"a {kind.__name__}: {', '.join(kind)}")


def number() -> Any:
    """Return a field for a whole number from 0."""
    return checked(lambda v: type(v) is int and 0 <= v <= MAX_SAFE_INTEGER, "a whole number from 0")


def flag(*, name: str = "") -> Any:
    """Return a field for true or false."""
    return checked(lambda v: isinstance(v, bool), "true or false", name=name)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of every event: checks its fields when it is made.

    Raises:
        UsageError: Names the event, the field and what was wanted; never repeats a value that may be a secret.
    """

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        for f in fields(self):
            if not f.metadata["check"](getattr(self, f.name)):
                raise UsageError(f"ledger event {self.kind}: '{f.name}' must be {f.metadata['want']}")

    def as_json(self) -> dict[str, Any]:
        """Return the event's own fields as JSON values."""
        return {f.metadata["name"] or f.name: _plain(getattr(self, f.name)) for f in fields(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    return dict(value) if isinstance(value, Mapping) else value
