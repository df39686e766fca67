"""Filters of LDAP (RFC 4515): read once from the settings, and the name of whoever signs in put in as a value.

Rules without I/O. A name never becomes part of the filter's text: the text is taken apart first, and the name then
stands where a value stands, length first, as the wire wants it. Nothing in it can be escaped wrongly, then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from opsnb.base.errors import SettingsError
from opsnb.control.people.ldap_ber import OCTETS, SEQUENCE, tlv, truth

PLACE = "{name}"
MOST_DEPTH = 20
ITEM = re.compile(
    r"(?P<attribute>[A-Za-z0-9.;-]*)(?P<dn>:dn)?(?::(?P<rule>[A-Za-z0-9.-]+))?(?P<kind>:=|>=|<=|~=|=)(?P<value>.*)",
    re.DOTALL,
)
ESCAPE = re.compile(r"\\([0-9A-Fa-f]{2})")
AND, OR, NOT, EQUAL, PIECES, PRESENT, RULE = 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0x87, 0xA9
COMPARED = {">=": 0xA5, "<=": 0xA6, "~=": 0xA8, "=": EQUAL}
FIRST, BETWEEN, LAST = 0x80, 0x81, 0x82

Made = Callable[[bytes], bytes]  # a name in, the filter's bytes out


@dataclass(frozen=True)
class Filter:
    """A filter with a place for a name."""

    text: str
    made: Made

    def of(self, name: str) -> bytes:
        """Return the filter that looks for this name."""
        return self.made(name.encode("utf-8", "surrogatepass"))


def parse(text: str) -> Filter:
    """Return a filter as settings write it: ``(&(objectClass=person)(uid={name}))``.

    Raises:
        SettingsError: If it is none.
    """
    try:
        made, rest = _filter(text.strip(), 0)
    except ValueError as error:
        raise SettingsError(f"setting 'login': ldap.user_filter: {error}", hint="like (uid={name})") from error
    if rest:
        raise SettingsError(
            f"setting 'login': ldap.user_filter: '{rest[:40]}' follows its end", hint="like (uid={name})"
        )
    return Filter(text, made)


def _filter(text: str, depth: int) -> tuple[Made, str]:
    if depth > MOST_DEPTH:
        raise ValueError(f"it is nested deeper than {MOST_DEPTH}")
    if not text.startswith("("):
        raise ValueError(f"found '{text[:40]}', wanted '('")
    mark = text[1:2]
    if mark in {"&", "|"}:
        return _several(text[2:], AND if mark == "&" else OR, depth)
    if mark == "!":
        inside, rest = _filter(text[2:], depth + 1)
        return (lambda name: tlv(NOT, inside(name))), _closed(rest)
    end = text.find(")")
    if end < 0:
        raise ValueError(f"'{text[:40]}' has no end")
    return _item(text[1:end]), text[end + 1 :]


def _several(rest: str, tag: int, depth: int) -> tuple[Made, str]:
    parts: list[Made] = []
    while rest.startswith("("):
        part, rest = _filter(rest, depth + 1)
        parts.append(part)
    if not parts:
        raise ValueError("'&' and '|' are about at least one filter")
    return (lambda name: tlv(tag, *(part(name) for part in parts))), _closed(rest)


def _closed(rest: str) -> str:
    if not rest.startswith(")"):
        raise ValueError(f"found '{rest[:40]}', wanted ')'")
    return rest[1:]


def _item(text: str) -> Made:
    match = ITEM.fullmatch(text)
    if not match or "(" in match["value"]:
        raise ValueError(f"'{text[:40]}' compares nothing")
    attribute, value, kind = match["attribute"].encode(), match["value"], match["kind"]
    if kind == ":=":
        return _by_rule(match)
    if not attribute or match["dn"] or match["rule"]:
        raise ValueError(f"'{text[:40]}' names no attribute")
    if kind == "=" and value == "*":
        return lambda _: tlv(PRESENT, attribute)
    if kind == "=" and "*" in value:
        return _pieces(attribute, value)
    filled = _value(value)
    return lambda name: tlv(COMPARED[kind], tlv(OCTETS, attribute), tlv(OCTETS, filled(name)))


def _pieces(attribute: bytes, value: str) -> Made:
    texts = value.split("*")
    tags = [FIRST, *[BETWEEN] * (len(texts) - 2), LAST]
    pieces = [(tag, _value(text)) for tag, text in zip(tags, texts, strict=True) if text]
    if not pieces:
        raise ValueError(f"'{value[:40]}' compares nothing")

    def made(name: bytes) -> bytes:
        found = (tlv(tag, piece(name)) for tag, piece in pieces)
        return tlv(PIECES, tlv(OCTETS, attribute), tlv(SEQUENCE, *found))

    return made


def _by_rule(match: re.Match[str]) -> Made:
    if not match["attribute"] and not match["rule"]:
        raise ValueError(f"'{match[0][:40]}' names neither attribute nor rule")
    filled = _value(match["value"])
    rule = tlv(0x81, match["rule"].encode()) if match["rule"] else b""
    attribute = tlv(0x82, match["attribute"].encode()) if match["attribute"] else b""
    names = truth(value=True, tag=0x84) if match["dn"] else b""
    return lambda name: tlv(RULE, rule, attribute, tlv(0x83, filled(name)), names)


def _value(text: str) -> Made:
    parts = [_unescaped(part) for part in text.split(PLACE)]
    return lambda name: name.join(parts)


def _unescaped(text: str) -> bytes:
    if "\\" in ESCAPE.sub("", text):
        raise ValueError(f"'{text[:40]}': a backslash is followed by two hex digits")
    pieces = ESCAPE.split(text)  # text, hex, text, hex, ...
    return b"".join(bytes.fromhex(p) if n % 2 else p.encode() for n, p in enumerate(pieces))
