"""The cells of a notebook as a reader sees them: their state, code, prose and outputs, all of it safe to show.

A notebook is taken as it was found: what does not have nbformat's shape is left out, never raised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from opsnb.base.i18n import retell, translate
from opsnb.control.records import Cell, CellState, Record
from opsnb.control.render import exporter, outputs, visible, words
from opsnb.control.render.outputs import Fragment
from opsnb.control.render.visible import NOTHING

OPEN_STATES = frozenset({CellState.FAILED, CellState.INTERRUPTED, CellState.KILLED})  # their code is shown unfolded
ALT_WORDS = 14  # words of the sentence before a cell that describe its picture

_MARKS = re.compile(r"[*_`#>]+|!?\[([^\]]*)\]\([^)]*\)|<[^>]*>")


@dataclass(frozen=True, kw_only=True)
class CellView:
    """One cell, ready to be laid out.

    Args:
        index: Its place among all cells, from 0; its anchor is ``cell-<index>``.
        kind: ``markdown``, ``code``, ``raw`` or ``facts`` (the front matter).
        state: Its state as one word without spaces, for a class name.
        label: Its state in words.
        symbol: Its state as a symbol.
        took: How long it took, in words, or nothing.
        why: Why it is in this state, or nothing.
        cut: How many bytes of its output were cut, in words, or nothing.
        role: ``parameters``, ``injected-parameters`` or nothing.
        lines: Lines of code.
        unfolded: Whether its code is shown without a click.
        body: Safe HTML of its prose or code.
        fragments: What it left behind.
    """

    index: int
    kind: str
    state: str = "text"
    label: str = ""
    symbol: str = ""
    took: str = ""
    why: str = ""
    cut: str = ""
    role: str = ""
    lines: int = 0
    unfolded: bool = False
    body: Markup = NOTHING
    fragments: list[Fragment] = field(default_factory=list)


def cells_of(notebook: object) -> list[dict[str, Any]]:
    """Return the cells of a notebook; one that is no object counts as an empty one."""
    found = notebook.get("cells") if isinstance(notebook, Mapping) else None
    return [c if isinstance(c, dict) else {} for c in found] if isinstance(found, list) else []


def views(record: Record, notebook: Mapping[str, Any], language: str) -> list[CellView]:
    """Return all cells of the executed notebook, in order."""
    states = {cell.index: cell for cell in record.cells}
    kernel = _kernel_language(notebook)
    made: list[CellView] = []
    before = ""
    for index, cell in enumerate(cells_of(notebook)):
        kind, source = cell.get("cell_type"), outputs.joined(cell.get("source"))
        if kind == "markdown":
            before = source
            made.append(CellView(index=index, kind="markdown", body=exporter.prose(source, cell.get("attachments"))))
        elif kind == "code":
            context = _context(record, index, before, language)
            made.append(_code(index, cell, source, states.get(index), kernel, context, language))
            before = ""
        else:
            facts = bool(record.facts) and index == 0 and source.lstrip().startswith("---")
            body = Markup() if facts else visible.text(source)
            made.append(CellView(index=index, kind="facts" if facts else "raw", body=body))
    return made


def _code(
    index: int,
    cell: dict[str, Any],
    source: str,
    known: Cell | None,
    kernel: str,
    context: outputs.Context,
    language: str,
) -> CellView:
    symbol, word = words.CELL_STATES[known.state] if known else words.NOT_RECORDED
    seconds = known.seconds if known else None
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    roles = [r for r in ("injected-parameters", "parameters") if isinstance(tags, list) and r in tags]
    cut = known.cut_bytes if known else 0
    return CellView(
        index=index,
        kind="code",
        state=known.state.value.replace(" ", "-") if known else "unknown",
        label=translate(word, language),
        symbol=symbol,
        took="" if seconds is None else words.duration(seconds, language),
        why=retell(known.why, language) if known else "",
        cut=words.size(cut, language) if cut else "",
        role=roles[0] if roles else "",
        lines=len(source.splitlines()),
        unfolded=bool(known and known.state in OPEN_STATES),
        body=exporter.highlighted(source, kernel) if source.strip() else Markup(),
        fragments=outputs.fragments(outputs.rows_of(cell), context),
    )


def _context(record: Record, index: int, before: str, language: str) -> outputs.Context:
    return outputs.Context(
        alt=first_words(before) or translate("output of cell {n}", language, n=index),
        markdown=exporter.markdown,
        known=frozenset(record.evidence),
        not_shown=translate("not shown:", language),
    )


def first_words(prose: str) -> str:
    """Return the first words of the last paragraph of some Markdown, without its marks."""
    paragraphs = [p for p in re.split(r"\n\s*\n", prose[-4000:].strip()) if p.strip()]
    text = _MARKS.sub(lambda m: m[1] or "", paragraphs[-1]) if paragraphs else ""
    found = visible.plain(" ".join(text.split()))
    short = " ".join(found.split()[:ALT_WORDS])
    return short if len(short) <= 160 else f"{short[:159]}…"  # noqa: PLR2004  (Chinese has no spaces: by length)


def _kernel_language(notebook: Mapping[str, Any]) -> str:
    metadata = notebook.get("metadata") if isinstance(notebook, Mapping) else None
    for name, key in (("language_info", "name"), ("kernelspec", "language")):
        found = metadata.get(name) if isinstance(metadata, dict) else None
        if isinstance(found, dict) and isinstance(found.get(key), str):
            return str(found[key]).lower()
    return "python"


def check_cells(record: Record, notebook: Mapping[str, Any]) -> list[int | None]:
    """Return for each check the index of the cell that printed its line, or ``None``.

    ``run.check`` prints ``PASS  what: got ...`` or ``FAIL  what: got ...``; equal checks are matched in order.
    """
    printed = [
        (index, line)
        for index, cell in enumerate(cells_of(notebook))
        for row in outputs.rows_of(cell)
        if isinstance(row, dict) and row.get("output_type") == "stream"
        for line in outputs.joined(row.get("text")).splitlines()
        if line.startswith(("PASS  ", "FAIL  "))
    ]
    found: list[int | None] = []
    for check in record.checks:
        first = check.what.splitlines()[0] if check.what else ""
        begin = f"{'PASS' if check.ok else 'FAIL'}  {first}"
        place = next((n for n, (_, line) in enumerate(printed) if line.startswith(begin)), None)
        found.append(None if place is None else printed.pop(place)[0])
    return found
