"""The needles of a value: the byte strings in which it must never leave, line breaks taken out."""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

from opsnb.base.errors import UsageError

MIN_SECRET = 8  # characters; shorter values stand in too much that is innocent
MIN_NEEDLE = 6  # bytes; and the characters that a line of a value has to have
BREAKS = b"\r\n"  # not looked at: a terminal, a PEM file or base64 puts them anywhere
LINE = re.compile(r"\r\n|\r|\n")
PUBLIC_LINE = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----|\s*")  # says what follows, and is no secret
PERCENT = re.compile(r"%[0-9A-F]{2}")
SHELL_SAFE = re.compile(r"([^\w@%+=:,./-])", re.ASCII)
ENCODE_URI = ";/?:@&=+$,#!'()*-_.~"  # what JavaScript's encodeURI leaves
ENCODE_COMPONENT = "!'()*-_.~"  # and encodeURIComponent


def check_value(name: str, value: str) -> None:
    """Refuse a value that cannot be masked.

    Raises:
        UsageError: If it is too short; never repeats it.
    """
    if len(value.strip()) < MIN_SECRET:
        raise UsageError(
            f"secret '{name}' has fewer than {MIN_SECRET} characters: masking it would mask innocent text, so it is "
            "not taken",
            hint=f"choose a value of {MIN_SECRET} characters or more",
        )


def needles(value: str) -> frozenset[bytes]:
    """Return every byte string that gives ``value`` away, without line breaks, each of at least ``MIN_NEEDLE`` bytes.

    Forms: the value, trimmed, and each line of 6 or more characters; as JSON (plain, ASCII, Go's and PHP's), Python
    ``repr`` of text and bytes, shell (quoted three ways), URL (three sets of safe characters, both cases), HTML (five
    habits), hex (both cases), UTF-16, and base64 (standard and URL-safe, at the three places in a group of three, of
    UTF-8 and of UTF-16 as PowerShell's ``-EncodedCommand`` wants it); JSON, Python and HTML once more over each other.
    """
    lines = [line for line in LINE.split(value) if len(line.strip()) >= MIN_NEEDLE and not PUBLIC_LINE.fullmatch(line)]
    found: set[bytes] = set()
    for part in {value, value.strip(), *lines, *(line.strip() for line in lines)}:
        found.update(_encoded(part))
    stripped = {needle.translate(None, BREAKS) for needle in found}
    return frozenset(needle for needle in stripped if len(needle) >= MIN_NEEDLE)


def _encoded(part: str) -> Iterator[bytes]:
    once = {part, *(text for way in WAYS for text in way(part))}
    twice = {text for one in once for way in OVER for text in way(one)}
    for text in once | twice:
        yield text.encode("utf-8", "surrogatepass")
    data = part.encode("utf-8", "surrogatepass")
    yield data.hex().encode()
    yield data.hex().upper().encode()
    wide = part.encode("utf-16-le", "surrogatepass")
    yield wide
    yield part.encode("utf-16-be", "surrogatepass")
    yield from _base64(data)
    yield from _base64(wide)


def _base64(data: bytes) -> Iterator[bytes]:
    """Base64 of ``data`` wherever it stands in what is encoded: the characters that no neighbour has a part in."""
    for shift in range(3):
        start, end = math.ceil(8 * shift / 6), 8 * (shift + len(data)) // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * shift + data)[start:end]
    wrapped = base64.encodebytes(data).strip()
    yield wrapped.replace(b"\n", b"\\n")  # as Python writes it, which is not a line break any more


def _json(text: str) -> Iterator[str]:
    ascii_only = json.dumps(text)[1:-1]
    yield from (ascii_only, json.dumps(text, ensure_ascii=False)[1:-1], ascii_only.replace("/", "\\/"))
    yield ascii_only.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _python(text: str) -> Iterator[str]:
    for quoted in (
        repr('"' + text)[2:-1],  # with a quotation mark of each kind about, Python escapes the single one
        ascii('"' + text)[2:-1],
        repr(b'"' + text.encode("utf-8", "surrogatepass"))[3:-1],
    ):
        yield quoted
        yield quoted.replace("\\'", "'")


def _shell(text: str) -> Iterator[str]:
    yield text.replace("'", "'\"'\"'")
    yield text.replace("'", "'\\''")
    yield SHELL_SAFE.sub(r"\\\1", text)
    yield re.sub(r'([\\"$`])', r"\\\1", text)


def _url(text: str) -> Iterator[str]:
    data = text.encode("utf-8", "surrogatepass")
    for made in (quote(data, safe=""), quote(data), quote_plus(data), quote(data, safe=ENCODE_URI),
                 quote(data, safe=ENCODE_COMPONENT)):  # fmt: skip
        yield made
        yield PERCENT.sub(lambda match: match[0].lower(), made)


def _html(text: str) -> Iterator[str]:
    bare, full = html.escape(text, quote=False), html.escape(text)
    yield from (bare, full, full.replace("&#x27;", "&#39;"), full.replace("&#x27;", "&apos;"))
    yield full.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    yield bare.replace('"', "&quot;")


WAYS: tuple[Callable[[str], Iterator[str]], ...] = (_json, _python, _shell, _url, _html)
OVER: tuple[Callable[[str], Iterator[str]], ...] = (_json, _python, _html)
