"""Where something stands in a notebook, so that an error can say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsnb.base.errors import NotebookError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Place:
    """A file, a cell in it, and the lines of the fields in that cell.

    Args:
        path: The notebook, as the reader knows it.
        cell: Index of the cell, from 0.
        lines: Dotted field name (``parameters.batch.min``) to its line in the cell, from 1.
    """

    path: str = ""
    cell: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict)

    def line_of(self, name: str) -> int | None:
        """Return the line of a dotted field, or of the nearest field around it."""
        while name and name not in self.lines:
            name = name.rpartition(".")[0]
        return self.lines.get(name)

    def error(self, message: str, *, line: int | None = None, name: str = "", hint: str = "") -> NotebookError:
        """Return the error that says ``message`` about this place; the caller raises it."""
        found = self.line_of(name) if line is None else line
        return NotebookError(message, path=self.path, cell=self.cell, line=found, field=name, hint=hint)
