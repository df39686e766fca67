"""How two files differ: a notebook cell by cell, anything else line by line. Rules without I/O."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from opsnb.control.revision import hidden

MAX_LINES = 60  # shown of one cell or file
MAX_COMPARED = 4_000  # lines of a cell or file that are compared one by one
CODE = "code"
Shown = Callable[[str], str]  # a line without what looks like a secret


class _Cell(NamedTuple):
    kind: str
    source: str
    tags: tuple[str, ...] = ()  # which cell has the parameters, which is passed over


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
            said += [f"a {cell.kind} cell has gone:", *_tags(cell, _Cell("", "")), *_marked("-", cell)]
        for number, cell in enumerate(after[c:d] if tag in {"insert", "replace"} else (), c):
            said += [f"cell {number} ({cell.kind}) is new:", *_tags(_Cell("", ""), cell), *_marked("+", cell)]
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
            _Cell(
                str(cell.get("cell_type")),
                s if isinstance(s := cell.get("source", ""), str) else "".join(s),
                tuple(map(str, cell.get("metadata", {}).get("tags", ()))),
            )
            for cell in value["cells"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _changed(old: _Cell, new: _Cell, number: int) -> list[str]:
    if old.kind != new.kind:
        head = f"cell {number} is a {new.kind} cell, was a {old.kind} cell:"
    else:
        head = f"cell {number} ({new.kind}):"
    shown = hidden.code if CODE in {old.kind, new.kind} else hidden.line
    return [head, *_tags(old, new), *_lines(old.source, new.source, shown)]


def _tags(old: _Cell, new: _Cell) -> list[str]:
    if old.tags == new.tags:
        return []
    was, now = (", ".join(cell.tags) or "none" for cell in (old, new))
    return [hidden.line(f"  tags: was {was}, is {now}")]


def _lines(old: str, new: str, shown: Shown = hidden.line) -> list[str]:
    if hidden.has_key(old + new):
        return [f"  {hidden.NOT_SHOWN}: it holds a private key"]
    before, after = old.splitlines(), new.splitlines()
    if len(before) + len(after) > MAX_COMPARED:
        return [f"  {len(before)} lines before, {len(after)} lines now"]
    rows = [row for row in difflib.unified_diff(before, after, lineterm="", n=1) if row[:3] not in {"---", "+++"}]
    return _shown([f"  {row[0]} {row[1:]}" for row in rows if not row.startswith("@@")], shown)


def _marked(mark: str, cell: _Cell) -> list[str]:
    if hidden.has_key(cell.source):
        return [f"  {hidden.NOT_SHOWN}: it holds a private key"]
    shown = hidden.code if cell.kind == CODE else hidden.line
    return _shown([f"  {mark} {row}" for row in cell.source.splitlines()], shown)


def _shown(rows: list[str], shown: Shown) -> list[str]:
    more = [f"  … {len(rows) - MAX_LINES} more lines"] if len(rows) > MAX_LINES else []
    return [shown(row) for row in rows[:MAX_LINES]] + more
