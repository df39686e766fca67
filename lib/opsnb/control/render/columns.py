"""Columns of numbers in a cleaned table: right-aligned, as a reader compares them. Rules without I/O."""

from __future__ import annotations

import re

_TABLE = re.compile(r"<table>(?:(?!<table).)*?</table>", re.DOTALL)
_ROW = re.compile(r"<tr>(.*?)</tr>", re.DOTALL)
_CELL = re.compile(r"<(t[dh])([^>]*)>(.*?)</\1>", re.DOTALL)
_NUMBER = re.compile(
    r"\s*(?:[-+\u2212]?(?:[0-9][0-9,]*)?\.?[0-9]+(?:e[-+]?[0-9]+)?\s?%?|nan|inf|-inf|none|<na>|)\s*", re.IGNORECASE
)


def aligned(html: str) -> str:
    """Return HTML as the cleaner wrote it, the class ``num`` on the cells and headings of its columns of numbers."""
    return _TABLE.sub(lambda m: _table(m[0]), html) if "<td" in html else html


def _table(html: str) -> str:
    rows = [_CELL.findall(row) for row in _ROW.findall(html)]
    if "span=" in html or len({len(row) for row in rows}) != 1:
        return html  # columns that do not line up
    numbers = {n for n in range(len(rows[0])) if _numeric([row[n] for row in rows])}
    return _ROW.sub(lambda m: _marked(m[0], numbers), html) if numbers else html


def _numeric(column: list[tuple[str, str, str]]) -> bool:
    values = [text for tag, _, text in column if tag == "td"]
    return any(v.strip() for v in values) and all(_NUMBER.fullmatch(v) for v in values)


def _marked(row: str, numbers: set[int]) -> str:
    places = iter(range(len(row)))
    return _CELL.sub(lambda m: _cell(m, next(places) in numbers), row)


def _cell(match: re.Match[str], number: bool) -> str:  # noqa: FBT001  (what its column is)
    tag, attributes, text = match.groups()
    return f'<{tag}{attributes} class="num">{text}</{tag}>' if number else match[0]
