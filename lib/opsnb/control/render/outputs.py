"""What a cell left behind, as fragments that are safe to show: a MIME allow-list, everything long cut in its middle.

Rules:

* Of one output the best form that the list allows is shown; what it leaves out is named ("not shown: ...").
* Text is text: it is escaped, and its control characters are shown. HTML and Markdown pass the sanitiser.
* Over ``MAX_OUTPUT`` bytes the first and the last part are shown, and how many bytes more ``run.ipynb`` holds.
* A scrap is evidence: it stands in the record's table already, so only one that does not is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from opsnb.control.render import sanitize, visible, words
from opsnb.control.render.visible import NOTHING

MAX_OUTPUT = 200_000  # bytes of one output shown in HTML, half from its start and half from its end
MAX_PIECE = 2000  # characters of a broken line that are left out rather than shown in part
MAX_OUTPUTS = 200  # outputs of one cell shown, half from the start and half from the end
PICTURES = ("image/png", "image/jpeg", "image/svg+xml")
ORDER = (*PICTURES, "text/html", "text/markdown", "application/json", "text/plain", "text/latex")
LESSER = {"text/plain", "text/latex", *ORDER}  # forms that are left out without a word beside a better one
SCRAP = "application/scrapbook.scrap."


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """One thing to show.

    Args:
        kind: ``text``, ``stderr``, ``error``, ``html``, ``picture``, ``scrap``, ``note``.
        body: Safe HTML; for a picture its ``data:`` URI as text.
        alt: A picture's alternative text.
        width: A picture's width in CSS pixels as its metadata says, or 0.
        height: The same for its height.
        name: A scrap's name.
        more: Bytes that are left out in the middle, 0 when all is there.
        tail: Safe HTML of the last part where ``more`` is not 0.
    """

    kind: str
    body: Markup = NOTHING
    alt: str = ""
    width: int = 0
    height: int = 0
    name: str = ""
    more: int = 0
    tail: Markup = NOTHING


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the fragments of one cell need to know.

    Args:
        alt: Alternative text for pictures that bring none.
        markdown: Markdown to unsanitised HTML.
        known: Names of the evidence that the record's table shows.
        not_shown: The words for a type that is not shown.
    """

    alt: str
    markdown: Callable[[str], str]
    known: frozenset[str]
    not_shown: str


def fragments(rows: list[Any], context: Context) -> list[Fragment]:
    """Return what to show of a cell's outputs (nbformat 4); whatever is malformed is named and left out."""
    rows = _coalesced(rows, context)
    half = MAX_OUTPUTS // 2
    if len(rows) <= MAX_OUTPUTS:
        return [f for row in rows for f in _output(row, context)]
    left = rows[half:-half]
    size = sum(len(words.json_text(row)) for row in left)
    gap = Fragment(kind="gap", more=size, body=Markup(len(left)))  # noqa: S704  (a number)
    first = [f for row in rows[:half] for f in _output(row, context)]
    return [*first, gap, *(f for row in rows[-half:] for f in _output(row, context))]


def rows_of(cell: dict[str, Any]) -> list[Any]:
    """Return a cell's outputs; none where they are no list."""
    found = cell.get("outputs")
    return found if isinstance(found, list) else []


def _coalesced(rows: list[Any], context: Context) -> list[Any]:
    """Return the rows with known scraps left out and neighbouring pieces of one stream joined."""
    made: list[Any] = []
    for row in rows:
        if isinstance(row, dict) and _known_scrap(row, context):
            continue
        name = _stream(row)
        if name is None:
            made.append(row)
        elif made and _stream(made[-1]) == name:
            made[-1]["text"].append(joined(row.get("text")))
        else:
            made.append({**row, "text": [joined(row.get("text"))]})
    return made


def _stream(row: object) -> str | None:
    """Return the name of a stream output's stream, ``None`` for anything else."""
    return str(row.get("name")) if isinstance(row, dict) and row.get("output_type") == "stream" else None


def _known_scrap(row: dict[str, Any], context: Context) -> bool:
    data = row.get("data")
    found = data.values() if isinstance(data, dict) and data and all(str(m).startswith(SCRAP) for m in data) else ()
    return bool(found) and all(isinstance(s, dict) and str(s.get("name", "")) in context.known for s in found)


def joined(value: object) -> str:
    """Return nbformat's multi-line text, a string or a list of strings, as one string."""
    if isinstance(value, list):
        return "".join(str(v) for v in value)
    return value if isinstance(value, str) else "" if value is None else str(value)


def halves(value: str) -> tuple[str, str, int]:
    """Return the first and the last part of a long text and the bytes between them; all of a short one."""
    if len(value) <= MAX_OUTPUT // 4:  # even four bytes a character fit
        return value, "", 0
    data = value.encode("utf-8", "surrogatepass")
    if len(data) <= MAX_OUTPUT:
        return value, "", 0
    half = MAX_OUTPUT // 2
    head = _whole_lines(data[:half].decode("utf-8", "ignore"), last=True)
    tail = _whole_lines(data[-half:].decode("utf-8", "ignore"), last=False)
    kept = len(head.encode("utf-8", "surrogatepass")) + len(tail.encode("utf-8", "surrogatepass"))
    return head, tail, len(data) - kept


def _whole_lines(part: str, *, last: bool) -> str:
    """Return a part without the piece of a line at its cut end, where that line is not overlong."""
    place = part.rfind("\n") if last else part.find("\n")
    if place < 0 or (len(part) - place if last else place) > MAX_PIECE:
        return part
    return part[: place + 1] if last else part[place + 1 :]


def _output(row: object, context: Context) -> list[Fragment]:
    if not isinstance(row, dict):
        return [_note(context, type(row).__name__)]
    kind = row.get("output_type")
    if kind == "stream":
        shown = "stderr" if row.get("name") == "stderr" else "text"
        value = joined(row.get("text"))
        return [_words(shown, value, visible.text)] if value else []
    if kind == "error":
        return [_error(row)]
    if kind in {"display_data", "execute_result"}:
        return _bundle(row, context)
    return [_note(context, str(kind))]


def _words(kind: str, value: str, show: Callable[[str], Markup]) -> Fragment:
    head, tail, more = halves(value)
    return Fragment(kind=kind, body=show(head), tail=show(tail), more=more)


def _error(row: dict[str, Any]) -> Fragment:
    """Return the traceback; its last line is the exception, which is also said where there is no traceback."""
    trace = row.get("traceback")
    lines = [str(line) for line in trace] if isinstance(trace, list) else [joined(trace)]
    said = f"{joined(row.get('ename'))}: {joined(row.get('evalue'))}"
    return _words("error", "\n".join(line for line in lines if line) or said, visible.coloured)


def _bundle(row: dict[str, Any], context: Context) -> list[Fragment]:
    data = row.get("data")
    bundle: dict[str, Any] = data if isinstance(data, dict) else {}
    metadata = row.get("metadata")
    facts: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    scraps = [mime for mime in bundle if str(mime).startswith(SCRAP)]
    if scraps:
        return _scraps(bundle, scraps, context)
    made: list[Fragment] = []
    shown = ""
    for mime in ORDER:
        fragment = _form(mime, bundle[mime], facts, context) if mime in bundle else None
        if fragment:
            made, shown = [fragment], mime
            break
    rest = [str(mime) for mime in bundle if mime not in LESSER or (mime in bundle and not shown)]
    return [*made, *(_note(context, mime) for mime in rest)]


def _form(mime: str, value: object, facts: dict[str, Any], context: Context) -> Fragment | None:
    """Return one form of an output, or ``None`` where nothing of it may be shown."""
    if mime in PICTURES:
        return _picture(mime, joined(value), facts, context)
    if mime == "text/html":
        return _markup(joined(value), context, str)
    if mime == "text/markdown":
        return _markup(joined(value), context, context.markdown)
    if mime == "application/json":
        return _words("text", words.json_text(value, indent=1), visible.text)
    return _words("text", joined(value), visible.text)


def _markup(value: str, context: Context, read: Callable[[str], str]) -> Fragment | None:
    head, tail, more = halves(value)
    body = sanitize.fragment(read(head), alt=context.alt)
    end = sanitize.fragment(_rows(tail) if read is str else read(tail), alt=context.alt) if more else Markup()
    if not (body.striptags().strip() or "<img" in body or more):
        return None  # a script's shell, of which nothing is left: another form says more
    return Fragment(kind="html", body=body, tail=end, more=more)


def _rows(tail: str) -> str:
    """Return the last part of cut HTML from where it reads well again: from a table row, else from a tag."""
    row = tail.lower().find("<tr")
    return f"<table>{tail[row:]}" if row >= 0 else tail[max(0, tail.find("<")) :]


def _picture(mime: str, data: str, facts: dict[str, Any], context: Context) -> Fragment | None:
    uri = sanitize.picture(mime, data)
    if uri is None:
        return None
    own = facts.get(mime)
    about: dict[str, Any] = own if isinstance(own, dict) else facts
    alt = about.get("alt")
    return Fragment(
        kind="picture",
        body=Markup(uri),  # noqa: S704  (sanitize returned it: a data: URI of base64)
        alt=visible.plain(alt) if isinstance(alt, str) and alt.strip() else context.alt,
        width=_pixels(about.get("width")),
        height=_pixels(about.get("height")),
    )


def _pixels(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10_000 else 0  # noqa: PLR2004


def _scraps(bundle: dict[str, Any], mimes: list[str], context: Context) -> list[Fragment]:
    made = []
    for mime in mimes:
        scrap = bundle[mime]
        name = str(scrap.get("name", "")) if isinstance(scrap, dict) else ""
        value = scrap.get("data") if isinstance(scrap, dict) else scrap
        if name in context.known:
            continue
        made.append(Fragment(kind="scrap", name=visible.plain(name), body=visible.text(words.value_text(value))))
    return made


def _note(context: Context, what: str) -> Fragment:
    return Fragment(kind="note", body=Markup("{} {}").format(context.not_shown, visible.text(what[:200])))
