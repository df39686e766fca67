"""Write notebooks: cells as plain text in, a notebook's JSON out.

The text is one file for all cells; a line ``%% KIND ID TAG...`` begins a cell::

    %% markdown check-text
    You should see PASS.

    %% code check
    run.check("the disk is there", found, True)

Empty lines around a cell's source are dropped. Templates of ``opsnb runbook new`` and the examples of the lint codes
are written so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

HEADER = re.compile(r"%% (?P<kind>raw|markdown|code) (?P<id>[A-Za-z0-9_-]{1,64})(?P<tags>(?: [A-Za-z0-9_-]+)*)")
SLOT = re.compile(r"«([a-z_]+)»")  # what a template leaves open; no language of a cell uses these
OPTIONAL = "optional"  # a tag of templates only
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
          "language_info": {"name": "python"}}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NewCell:
    """A cell to be written.

    Args:
        kind: ``code``, ``markdown`` or ``raw``.
        id: Its id.
        tags: Its tags.
        source: Its text.
    """

    kind: str
    id: str
    tags: tuple[str, ...] = ()
    source: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the cell as it stands in a notebook."""
        lines = self.source.splitlines(keepends=True)
        metadata = {"tags": list(self.tags)} if self.tags else {}
        body: dict[str, Any] = {"cell_type": self.kind, "id": self.id, "metadata": metadata, "source": lines}
        return {**body, "outputs": [], "execution_count": None} if self.kind == "code" else body


def parse_cells(text: str) -> tuple[NewCell, ...]:
    """Return the cells that ``text`` describes.

    Raises:
        ValueError: If it does not begin with a header.
    """
    found: list[tuple[re.Match[str], list[str]]] = []
    for line in text.splitlines():
        header = HEADER.fullmatch(line)
        if header:
            found.append((header, []))
        elif found:
            found[-1][1].append(line)
        elif line.strip():
            raise ValueError(f"wanted a line such as '%% code check', found {line[:60]!r}")
    return tuple(
        NewCell(kind=h["kind"], id=h["id"], tags=tuple(h["tags"].split()), source="\n".join(lines).strip("\n"))
        for h, lines in found
    )


def filled(cells: Iterable[NewCell], values: Mapping[str, str]) -> tuple[NewCell, ...]:
    """Return the cells with every ``«name»`` replaced, once; an ``optional`` one goes when all its values are empty.

    Raises:
        KeyError: If a value is missing.
    """
    kept = []
    for cell in cells:
        optional = OPTIONAL in cell.tags
        if not optional or any(values[name] for name in SLOT.findall(cell.source)):
            source = SLOT.sub(lambda found: values[found[1]], cell.source).rstrip("\n")
            kept.append(replace(cell, source=source, tags=tuple(tag for tag in cell.tags if tag != OPTIONAL)))
    return tuple(kept)


def notebook_bytes(cells: Iterable[NewCell]) -> bytes:
    """Return a notebook (nbformat 4.5, cleared) with these cells, as Jupyter would save it."""
    document = {"cells": [c.as_json() for c in cells], "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
