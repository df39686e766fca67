"""YAML as this project reads it: the values of YAML's 1.2 core schema, each with its line, and nothing else.

Refused: anchors and aliases (they make bombs), tags, keys that stand twice, keys that are not text, more than one
document, deep nesting. Plain ``yes``, ``on``, ``012``, ``10:30`` and ``2026-11-23`` are text, which is what people
mean. PyYAML only cuts the text into events; it constructs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsnb.base.canonical import JSON
    from opsnb.base.errors import UsageError

MAX_TEXT = 64 * 1024  # characters
MAX_NESTING = 12  # levels
CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
NUMERIC = frozenset("+-.0123456789")  # what a number begins with
INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14})")  # 012 is text: YAML 1.1 reads 10, 1.2 reads 12
FLOAT = re.compile(r"[+-]?(?:[0-9]{1,20}\.[0-9]{0,20}|\.[0-9]{1,20}|[0-9]{1,20}(?=[eE]))(?:[eE][+-]?[0-9]{1,3})?")


class Where(Protocol):
    """Where a document stands: it makes the errors about it."""

    def error(self, message: str, *, line: int | None = None, name: str = "", hint: str = "") -> UsageError:
        """Return the error that says ``message`` about a line or a dotted field."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document's value and where its fields stand.

    Args:
        value: JSON.
        lines: Dotted field name, list items as ``.0``, to its line, from 1.
    """

    value: JSON
    lines: dict[str, int] = field(default_factory=dict)


def read_yaml(text: str, place: Where, *, first_line: int = 1, limit: int = MAX_TEXT) -> Document:
    """Return the one document of ``text``.

    Args:
        text: The YAML.
        place: Where it stands, for errors.
        first_line: The line on which ``text`` begins there.
        limit: How many characters are read.

    Raises:
        UsageError: Made by ``place``: on what the module's docstring refuses, and on what is not YAML; names the line.
    """
    import yaml  # 20 ms that `opsnb --help` does not pay

    if len(text) > limit:
        raise place.error(f"has {len(text)} characters, at most {limit} are read", line=first_line)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is ten times as fast
    reader = _Reader(place, first_line)
    try:
        return reader.document(iter(loader(text).get_event, None))  # yaml.parse() without its generator
    except UnicodeEncodeError:
        raise place.error("holds half a character (a lone surrogate)", line=first_line) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        line = first_line + mark.line if mark else first_line
        raise place.error(f"not YAML: {problem}", line=line, hint="quote text that holds ': ' or '#'") from None


class _Reader:
    """Builds values out of PyYAML's events (``yaml/events.py``), told apart by class name: C and Python share them."""

    def __init__(self, place: Where, first_line: int) -> None:
        self._place = place
        self._first = first_line
        self._lines: dict[str, int] = {}
        self._events: Iterator[Any] = iter(())

    def document(self, events: Iterator[Any]) -> Document:
        self._events = events
        value: JSON = None
        documents = 0
        for event in events:
            if _is(event, "DocumentStart"):
                documents += 1
                if documents > 1:
                    raise self._error("a second document begins here, wanted one", event)
                value = self._value(next(events), "", 0)
        return Document(value=value, lines=self._lines)

    def _value(self, event: Any, at: str, depth: int) -> JSON:
        kind = type(event).__name__
        if kind == "AliasEvent" or event.anchor:
            raise self._error("anchors (&) and aliases (*) are not read", event, at, "write the value out")
        if event.tag and event.tag != "!":  # "!" is what the Python parser says of quoted text
            raise self._error("tags (!) are not read", event, at, "write the plain value")
        if depth > MAX_NESTING:
            raise self._error(f"nested more than {MAX_NESTING} levels deep", event, at)
        if kind == "ScalarEvent":
            return _scalar(event.value) if event.implicit[0] else event.value
        if kind == "SequenceStartEvent":
            return self._sequence(at, depth)
        return self._mapping(at, depth)

    def _sequence(self, at: str, depth: int) -> list[JSON]:
        items: list[JSON] = []
        while type(event := next(self._events)).__name__ != "SequenceEndEvent":
            name = _joined(at, str(len(items)))
            self._lines[name] = self._line(event)
            items.append(self._value(event, name, depth + 1))
        return items

    def _mapping(self, at: str, depth: int) -> dict[str, JSON]:
        fields: dict[str, JSON] = {}
        while (kind := type(event := next(self._events)).__name__) != "MappingEndEvent":
            if kind != "ScalarEvent":
                raise self._error("a field's name is text", event, at)
            if event.anchor or event.tag:
                self._value(event, at, depth)  # refuses them; "!" is what quoted text has
            key, name = event.value, _joined(at, event.value)
            if key in fields:
                raise self._error(f"stands twice, first on line {self._lines[name]}", event, name, "keep one")
            self._lines[name] = self._line(event)
            fields[key] = self._value(next(self._events), name, depth + 1)
        return fields

    def _line(self, event: Any) -> int:
        return self._first + int(event.start_mark.line)

    def _error(self, message: str, event: Any, name: str = "", hint: str = "") -> UsageError:
        return self._place.error(message, line=self._line(event), name=name[:100], hint=hint)


def _is(event: Any, name: str) -> bool:
    return type(event).__name__ == f"{name}Event"


def _joined(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _scalar(text: str) -> JSON:
    if text in CONSTANTS:
        return CONSTANTS[text]
    if text[0] not in NUMERIC:
        return text
    if INTEGER.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text):
        return float(text)
    return text
