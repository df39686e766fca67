"""Foreign HTML and SVG, reduced to what a record may hold: an allow-list of tags and attributes, kept by nh3.

Rules:

* No script, form, frame, style, class, id, name, event handler or direction override survives; so nothing runs, nothing
  imitates the page around it, nothing moves what stands beside it.
* A picture is a ``data:`` picture or none. A link survives only in prose that was sealed with the runbook.
* An SVG is cleaned too, and then shown as a picture, where a browser runs and loads nothing.
* Markup nested so deeply that reading it would take seconds is shown as text.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import cache
from typing import Any

from markupsafe import Markup, escape

from opsnb.control.render import columns, nesting, visible
from opsnb.control.render.allowed import (
    ATTRIBUTES,
    CODE_CLASSES,
    DROPPED_WHOLE,
    SVG_ATTRIBUTES,
    SVG_TAGS,
    TEXT_TAGS,
)

NAMESPACES = {"xmlns": "http://www.w3.org/2000/svg", "xmlns:xlink": "http://www.w3.org/1999/xlink"}
MAX_PICTURE = 12_000_000  # characters of base64: about 9 MB
RULES = {
    "href": re.compile(r"(?:https?://|mailto:|#)\S*", re.IGNORECASE),
    "width": re.compile(r"[1-9][0-9]{0,3}"),
    "height": re.compile(r"[1-9][0-9]{0,3}"),
    "colspan": re.compile(r"[0-9]{1,2}"),
    "rowspan": re.compile(r"[0-9]{1,3}"),
    "start": re.compile(r"[0-9]{1,6}"),
    "scope": re.compile(r"row|col|rowgroup|colgroup"),
}

_RASTER = re.compile(r"data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})")
_SVG_URI = re.compile(r"data:image/svg\+xml;base64,([A-Za-z0-9+/]+={0,2})")
# What a parser drops or replaces, and lone surrogates, which have no UTF-8 form.
_C0 = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")
_HEADING = re.compile(r"<(/?)h([1-6])(?=[ >])")
_IMAGE = re.compile(r"<img([^>]*)>")  # the cleaner writes ">" inside an attribute as "&gt;"
_ALT = re.compile(r' alt="([^"]*)"')
_FOREIGN_URL = re.compile(r"url\((?!\s*[\"']?#)|\\|@|expression|javascript:", re.IGNORECASE)


def fragment(html: str, *, links: bool = False, heading_shift: int = 3, alt: str = "") -> Markup:
    """Return foreign HTML reduced to the allow-list, its hidden characters shown.

    Args:
        html: Any text; a browser's own parser rules decide what it means.
        links: Whether ``<a href>`` may stay (http, https, mailto, fragments).
        heading_shift: How many levels its headings move down, so that the page keeps one ``<h1>``.
        alt: The alternative text of pictures that bring none.
    """
    shown = _C0.sub(lambda m: visible.symbol(m[0]), html)  # before the parser can drop or replace them
    if nesting.costly(shown):
        return Markup("<pre>{}</pre>").format(visible.text(html))
    clean = _cleaner(links).clean(shown)
    clean = _HEADING.sub(lambda m: f"<{m[1]}h{min(6, int(m[2]) + heading_shift)}", clean)
    clean = _IMAGE.sub(lambda m: _image(m[1], str(escape(visible.plain(alt)))), clean)
    return visible.in_html(columns.aligned(clean))


def _image(attributes: str, alt: str) -> str:
    """Return an ``<img>`` with its alternative text, or words where its picture may not be shown."""
    own = _ALT.search(attributes)
    words = (own[1] if own else "") or alt
    if " src=" not in attributes:
        return f'<span class="gone">[{words or "picture"}]</span>'
    return f'<img alt="{words}"{_ALT.sub("", attributes)}>'


def picture(mime: str, data: str) -> str | None:
    """Return the ``data:`` URI of a picture, or ``None`` where it is not what its type says.

    Args:
        mime: ``image/png``, ``image/jpeg``, ``image/gif``, ``image/webp``, or ``image/svg+xml``.
        data: base64; for SVG its text.
    """
    if mime == "image/svg+xml":
        return svg_uri(data)
    return _raster_uri(f"data:{mime};base64,{''.join(data.split())}") if len(data) <= MAX_PICTURE else None


def svg_uri(source: str) -> str | None:
    """Return an SVG's text, cleaned, as a ``data:`` URI; ``None`` if no SVG is left of it."""
    if len(source) > MAX_PICTURE:
        return None
    clean = _svg_cleaner().clean(_C0.sub("", source))
    start, end = clean.find("<svg"), clean.rfind("</svg>")
    if start < 0 or end < start:
        return None
    xml = clean[start : end + len("</svg>")].replace("&nbsp;", "&#160;")  # the one named entity that XML lacks
    return "data:image/svg+xml;base64," + base64.b64encode(xml.encode("utf-8", "replace")).decode()


def _raster_uri(uri: str) -> str | None:
    match = _RASTER.fullmatch(uri)
    if not match or len(match[2]) % 4:
        return None
    head = base64.b64decode(match[2][:32] if len(match[2]) >= 32 else match[2])  # noqa: PLR2004  (24 bytes are enough)
    return uri if _looks_like(match[1], head) else None


def _looks_like(kind: str, head: bytes) -> bool:
    """Whether the first bytes are those of the format (its signature)."""
    if kind == "webp":
        return head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    signature = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "gif": b"GIF8"}[kind]
    return head.startswith(signature)


def _source(uri: str) -> str | None:
    """Return a picture's URI if it may stay in foreign HTML."""
    svg = _SVG_URI.fullmatch(uri)
    if not svg:
        return _raster_uri(uri)
    try:
        return svg_uri(base64.b64decode(svg[1]).decode("utf-8", "replace"))
    except binascii.Error:
        return None


def _attribute(_tag: str, name: str, value: str) -> str | None:
    """Return the value that an allowed attribute may have, or ``None`` to drop it. nh3 asks for each one."""
    if name == "src":
        return _source(value)
    rule = RULES.get(name)
    if rule is None:
        return visible.plain(value)
    return value if rule.fullmatch(value) and not visible.HIDDEN.search(value) else None


def _svg_attribute(_tag: str, name: str, value: str) -> str | None:
    if name in {"href", "xlink:href"}:
        return value if re.fullmatch(r"#[\w.:-]+", value) else None
    if name in {"xmlns", "xmlns:xlink"}:
        return value
    return None if _FOREIGN_URL.search(value) else _C0.sub("", value)


@cache
def _cleaner(links: bool) -> Any:  # noqa: FBT001  (a cache key)
    import nh3

    attributes = {tag: set(names) for tag, names in ATTRIBUTES.items() if links or tag != "a"}
    return nh3.Cleaner(
        tags=TEXT_TAGS - (set() if links else {"a"}),
        clean_content_tags=DROPPED_WHOLE,
        attributes=attributes,
        attribute_filter=_attribute,
        allowed_classes={"span": CODE_CLASSES, "div": {"highlight"}} if links else {},
        url_schemes={"http", "https", "mailto", "data"},
        link_rel="noopener noreferrer nofollow",
    )


@cache
def _svg_cleaner() -> Any:
    import nh3

    return nh3.Cleaner(
        tags=SVG_TAGS,
        clean_content_tags={"script", "style", "foreignObject", "iframe", "metadata"},
        attributes={"*": SVG_ATTRIBUTES},
        attribute_filter=_svg_attribute,
        set_tag_attribute_values={"svg": NAMESPACES},
        url_schemes=set(),
        link_rel=None,
    )
