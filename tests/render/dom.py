"""A page as its parser sees it: elements with attributes and text, and what makes a page unsafe."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "col", "input"}
FORBIDDEN = {
    "script", "iframe", "object", "embed", "form", "input", "button", "base", "svg", "math", "video", "audio", "source",
    "template", "textarea", "select", "frame", "frameset", "applet", "marquee", "bdo", "bdi", "noscript", "canvas",
}  # fmt: skip
ATTRIBUTES = {
    "href", "src", "alt", "class", "id", "lang", "rel", "name", "content", "charset", "http-equiv", "role", "tabindex",
    "scope", "open", "width", "height", "title", "colspan", "rowspan", "start", "data-label",
}  # fmt: skip


@dataclass
class Element:
    """One element: its tag, attributes, the text in it, and the tags and classes around it."""

    tag: str
    attributes: dict[str, str]
    inside: tuple[str, ...]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """All elements of a page, in order."""

    elements: list[Element] = field(default_factory=list)
    stack: list[Element] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag, attrs):  # noqa: D102  (HTMLParser's)
        if len({name for name, _ in attrs}) != len(attrs):
            self.wrong.append(f"{tag} has an attribute twice")
        inside = tuple(x for e in self.stack for x in (e.tag, *e.attributes.get("class", "").split()))
        element = Element(tag, {name: value or "" for name, value in attrs}, inside)
        self.elements.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_endtag(self, tag):  # noqa: D102  (HTMLParser's)
        if not self.stack or self.stack[-1].tag != tag:
            self.wrong.append(f"</{tag}> closes {self.stack[-1].tag if self.stack else 'nothing'}")
            return
        self.stack.pop()

    def handle_data(self, data):  # noqa: D102  (HTMLParser's)
        for element in self.stack:
            element.text += data

    def handle_comment(self, data):  # noqa: D102  (HTMLParser's)
        self.wrong.append(f"a comment: {data!r}")

    def all(self, tag: str = "", cls: str = "") -> list[Element]:
        """Return the elements of a tag and class."""
        return [
            e for e in self.elements if tag in ("", e.tag) and (not cls or cls in e.attributes.get("class", "").split())
        ]

    def one(self, tag: str = "", cls: str = "", ident: str = "") -> Element:
        """Return the only such element."""
        found = [e for e in self.all(tag, cls) if not ident or e.attributes.get("id") == ident]
        assert len(found) == 1, f"{len(found)} × {tag}.{cls}#{ident}"
        return found[0]

    @property
    def ids(self) -> list[str]:
        """All ids."""
        return [e.attributes["id"] for e in self.elements if "id" in e.attributes]


def parse(html: bytes) -> Page:
    """Return the parsed page."""
    page = Page()
    page.feed(html.decode())
    page.close()
    return page


def unsafe(html: bytes) -> list[str]:
    """Return everything about a page that must not be: nothing, for a safe one."""
    page = parse(html)
    found = list(page.wrong) + [f"left open: {e.tag}" for e in page.stack]
    for e in page.elements:
        if e.tag in FORBIDDEN:
            found.append(f"<{e.tag}>")
        found += [f"{e.tag} {n}={v!r}" for n, v in e.attributes.items() if not _fine(e, n, v)]
    found += [f"id twice: {i}" for i in set(page.ids) if page.ids.count(i) > 1]
    css = page.one("style").text
    policy = next(e.attributes["content"] for e in page.all("meta") if "http-equiv" in e.attributes)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    if f"style-src 'sha256-{digest}'" not in policy or "default-src 'none'" not in policy:
        found.append("the policy does not name the style sheet")
    if re.search(r"url\(|@import|https?:", css):
        found.append("the style sheet loads something")
    return found


def _fine(element: Element, name: str, value: str) -> bool:
    if name.startswith("aria-"):
        return True
    if name not in ATTRIBUTES:
        return False
    if name == "href":
        prose = "prose" in element.inside and re.match(r"(https?://|mailto:)", value)
        return value.startswith("#") or bool(prose) or (element.tag == "link" and value == "data:,")
    if name == "src":
        return bool(re.fullmatch(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=]+", value))
    if name in {"width", "height", "colspan", "rowspan", "start"}:
        return value.isdigit()
    return True
