"""How two files differ: a notebook cell by cell, anything else line by line. Rules without I/O."""

from __future__ import annotations

import difflib
import json
from typing import Any, NamedTuple

from opsnb.control.revision import hidden

MAX_LINES = 60  # shown of one cell or file
MAX_COMPARED = 4_000  # lines of a cell or file that are compared one by one


class _Cell(NamedTuple):
    kind: str
    source: str


def notebook(old: bytes, new: bytes) -> tuple[str, ...]:
    """Return how a notebook differs, cell by cell, counted from 0 as runs count them."""
    before, after = _cells(old), _cells(new)
    if before is None or after is None:
        return ("it is no notebook that can be read now" if after is None else "it was no notebook before",)
    said: list[str] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "replace":
            paired = min(b - a, d - c)
            for step in range(paired):
                said += _changed(before[a + step], after[c + step], c + step)
            a, c = a + paired, c + paired  # noqa: PLW2901  (what has no partner has gone or come)
        for cell in before[a:b] if tag in {"delete", "replace"} else ():
            said += [f"a {cell.kind} cell has gone:", *_marked("-", cell.source)]
        for number, cell in enumerate(after[c:d] if tag in {"insert", "replace"} else (), c):
            said += [f"cell {number} ({cell.kind}) is new:", *_marked("+", cell.source)]
    return tuple(said) or ("the cells are the same; outputs, metadata or the file's form differ",)


def text(old: bytes, new: bytes) -> tuple[str, ...]:
    """Return how a file differs, line by line."""
    try:
        return tuple(_lines(old.decode(), new.decode()))
    except UnicodeDecodeError:
        return (f"{len(old)} bytes before, {len(new)} bytes now",)


def _cells(data: bytes) -> list[_Cell] | None:
    try:
        value: Any = json.loads(data)
        return [
            _Cell(str(cell.get("cell_type")), s if isinstance(s := cell.get("source", ""), str) else "".join(s))
            for cell in value["cells"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _changed(old: _Cell, new: _Cell, number: int) -> list[str]:
    if old.kind != new.kind:
        return [f"cell {number} is a {new.kind} cell, was a {old.kind} cell:", *_lines(old.source, new.source)]
    return [f"cell {number} ({new.kind}):", *_lines(old.source, new.source)]


def _lines(old: str, new: str) -> list[str]:
    if hidden.has_key(old + new):
        return [f"  {hidden.NOT_SHOWN}: it holds a private key"]
    before, after = old.splitlines(), new.splitlines()
    if len(before) + len(after) > MAX_COMPARED:
        return [f"  {len(before)} lines before, {len(after)} lines now"]
    rows = [row for row in difflib.unified_diff(before, after, lineterm="", n=1) if row[:3] not in {"---", "+++"}]
    return _shown([f"  {row[0]} {row[1:]}" for row in rows if not row.startswith("@@")])


def _marked(mark: str, source: str) -> list[str]:
    if hidden.has_key(source):
        return [f"  {hidden.NOT_SHOWN}: it holds a private key"]
    return _shown([f"  {mark} {row}" for row in source.splitlines()])


def _shown(rows: list[str]) -> list[str]:
    more = [f"  … {len(rows) - MAX_LINES} more lines"] if len(rows) > MAX_LINES else []
    return [hidden.line(row) for row in rows[:MAX_LINES]] + more
