"""Show tables, plots and words, text first, so that a phone, a log and a diff can all read them.

A table becomes one bundle of aligned text and HTML; a figure becomes a PNG with its caption as alternative text,
without pyplot, so that it works on any back end and is never shown twice. Text from machines is made visible first:
a process name with an escape sequence is shown, never obeyed.
"""

from __future__ import annotations

import base64
import io
import math
import unicodedata
from collections.abc import Sequence
from typing import Any

MAX_ROWS = 200  # rows of a table that are shown; the rest is counted
FIGURE_DPI = 140  # dots an inch: 4.8 inches make about 670 pixels, sharp on a phone and small in a record
WIDE = frozenset("WF")  # East Asian widths that take two columns of a terminal
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # Unicode categories that a reader cannot see


def show(value: Any, caption: str = "") -> None:
    """Display ``value`` (a DataFrame, a matplotlib figure, text) under a caption.

    A DataFrame is shown without its index, at most ``MAX_ROWS`` rows, an empty one as "(none)". A figure gets its
    caption as alternative text. Anything else is left to IPython.
    """
    from IPython.display import display

    if caption:
        print(caption)
    if callable(getattr(value, "to_html", None)) and hasattr(value, "columns"):
        _show_table(value)
    elif callable(getattr(value, "savefig", None)):
        data = {"text/plain": f"[plot: {caption}]", "image/png": _png(value)}
        display(data, metadata={"image/png": {"alt": caption}}, raw=True)
    elif isinstance(value, str):
        print(value)
    else:
        display(value)


def visible(text: str) -> str:
    """Return ``text`` with every control, bidi and unassigned character as a Python escape sequence."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in INVISIBLE else c for c in text)


def table_text(headers: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """Return an aligned text table: numbers to the right, words to the left, Chinese counted as two columns."""
    widths = [max(_width(row[i]) for row in (headers, *rows)) for i in range(len(headers))]
    lines = []
    for row in (headers, *rows):
        cells = [_pad(cell, width, right=right) for cell, width, right in zip(row, widths, numeric, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _show_table(frame: Any) -> None:
    from IPython.display import display

    if not len(frame):
        print("(none)")
        return
    left_out = len(frame) - MAX_ROWS
    shown = frame.head(MAX_ROWS)
    numeric = [shown[name].dtype.kind in "iuf" for name in shown.columns]
    columns = [_cells(list(shown[name])) for name in shown.columns]
    headers = [visible(str(name)) for name in shown.columns]
    rows = list(zip(*columns, strict=True))
    html = type(frame)(rows, columns=headers).to_html(index=False, border=0, escape=True)
    display({"text/plain": table_text(headers, rows, numeric), "text/html": html}, raw=True)
    if left_out > 0:
        print(f"... and {left_out} more rows")


def _cells(values: list[Any]) -> list[str]:
    numbers = [abs(v) for v in values if isinstance(v, float) and math.isfinite(v)]
    largest = max(numbers, default=0.0)
    digits = 0 if largest >= 10_000 else 1 if largest >= 10 else 2  # noqa: PLR2004  (three digits or so are read)
    return [_cell(v, digits) for v in values]


def _cell(value: Any, digits: int) -> str:
    if value is None or value != value:  # noqa: PLR0124  (NaN and NaT differ from themselves)
        return "-"
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.{digits}f}" if math.isfinite(value) else "-"
    return visible(str(value))


def _png(figure: Any) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=FIGURE_DPI, bbox_inches="tight", metadata={"Software": None})
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in WIDE else 1 for c in text)


def _pad(text: str, width: int, *, right: bool) -> str:
    blank = " " * (width - _width(text))
    return blank + text if right else text + blank
