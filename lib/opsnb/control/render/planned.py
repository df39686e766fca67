"""A plan for its reader: what changes on which host, the difference line by line, the command and the undo."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from opsnb.base.plan import state_lines
from opsnb.control.render import visible, words

MAX_LINES = 4000  # lines of one side that are compared; the comparison is quadratic in the worst case
AROUND = 3  # unchanged lines shown around a changed one


@dataclass(frozen=True, kw_only=True)
class ChangeView:
    """One change; ``difference`` holds (class, line) pairs, class being ``add``, ``del``, ``at`` or nothing."""

    number: int
    host: str
    what: str
    difference: list[tuple[str, Markup]]
    command: str
    undo: str


def changes(plan: Mapping[str, Any] | None) -> list[ChangeView]:
    """Return the changes of a plan (``Plan.as_json()``), in order; none where there is no plan."""
    rows = (plan or {}).get("changes")
    return [_change(n, row) for n, row in enumerate(rows) if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _change(number: int, row: Mapping[str, Any]) -> ChangeView:
    return ChangeView(
        number=number,
        host=str(row.get("host", "")),
        what=str(row.get("what", "")),
        difference=difference(row.get("before"), row.get("after")),
        command=words.value_text(row.get("command", "")),
        undo=words.value_text(row.get("undo", "")),
    )


def difference(before: Any, after: Any) -> list[tuple[str, Markup]]:
    """Return a unified difference of two states; a state that is ``None`` does not exist."""
    old, new = state_lines(before), state_lines(after)
    if max(len(old), len(new)) > MAX_LINES:
        old, new = _shortened(old), _shortened(new)
    rows = list(difflib.unified_diff(old, new, "before", "after", n=AROUND, lineterm=""))
    return [(_class(row, place), visible.text(row)) for place, row in enumerate(rows)]


def _class(row: str, place: int) -> str:
    if place < 2 or row.startswith("@@"):  # noqa: PLR2004  (the two heading lines)
        return "at"
    return {"+": "add", "-": "del"}.get(row[:1], "")


def _shortened(lines: list[str]) -> list[str]:
    left = len(lines) - MAX_LINES
    return lines if left <= 0 else [*lines[:MAX_LINES], f"… {left} more lines: run.ipynb and manifest.json hold them"]
