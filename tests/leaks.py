"""Who looks for a secret in what was said, knowing nothing of needles: undoes every encoding and searches.

``FORMS`` are the ways in which a value leaves; ``finds`` says whether a text still gives it away.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import random
import re
import shlex
import string
import urllib.parse
from collections.abc import Callable, Iterator

from hypothesis import strategies as st

ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[0-Z\\^-~])")
FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda t: t,
    "json": lambda t: json.dumps({"v": t}),
    "json unicode": lambda t: json.dumps([t], ensure_ascii=False),
    "repr": lambda t: repr([t]),
    "repr of bytes": lambda t: repr(t.encode()),
    "shell": lambda t: f"echo {shlex.quote(t)}",
    "url": lambda t: "http://x/?q=" + urllib.parse.quote(t, safe=""),
    "url lower": lambda t: re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), urllib.parse.quote_plus(t)),
    "html": lambda t: f"<b>{html.escape(t)}</b>",
    "html bare": lambda t: f"<b>{html.escape(t, quote=False)}</b>",
    "hex": lambda t: t.encode().hex(),
    "hex upper": lambda t: t.encode().hex().upper(),
    "base64": lambda t: base64.b64encode(t.encode()).decode(),
    "base64 url": lambda t: base64.urlsafe_b64encode(t.encode()).decode(),
    "base64 wrapped": lambda t: base64.encodebytes(t.encode()).decode(),
    "powershell": lambda t: base64.b64encode(t.encode("utf-16-le")).decode(),
    "utf-16": lambda t: t.encode("utf-16-le").decode("latin-1") if t.isascii() else t,
    "json in html": lambda t: html.escape(json.dumps({"v": t})),
    "json in json": lambda t: json.dumps(json.dumps({"v": t})),
    "repr of json": lambda t: repr(json.dumps([t])),
}


def finds(value: str, text: str) -> str:
    """Return how ``value`` is read in ``text``; empty when nobody reads it there.

    A value is read when it is there with all of its characters, line breaks aside.
    """
    wanted = _flat(value.strip())
    for way, seen in _undone(text):
        if wanted in _flat(seen):
            return way
    return ""


def _flat(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")


def _undone(text: str) -> Iterator[tuple[str, str]]:
    for how, view in (("", text), ("escapes out, ", ESCAPE.sub("", text))):
        yield f"{how}as it is", view
        for way, undo in UNDO.items():
            once = undo(view)
            yield f"{how}{way}", once
            for way2, undo2 in UNDO.items():
                yield f"{how}{way2} of {way}", undo2(once)
        yield f"{how}hex", " ".join(_hex(_flat(view)))
        yield f"{how}base64", " ".join(_base64(_flat(view)))


def _backslashes(text: str) -> str:
    """Undo what JSON and Python write with backslashes."""

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "ux" and len(code) > 1:
            return chr(int(code[1:], 16))
        return {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}.get(code, code)

    text = re.sub(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", one, text, flags=re.DOTALL)
    with_pairs = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    try:
        return with_pairs + "\n" + text.encode("latin-1").decode("utf-8")  # \xe4\xb8\xad of bytes
    except UnicodeError:
        return with_pairs


UNDO: dict[str, Callable[[str], str]] = {
    "backslashes": _backslashes,
    "html": html.unescape,
    "url": lambda t: urllib.parse.unquote(t, errors="replace"),
    "url plus": lambda t: urllib.parse.unquote_plus(t, errors="replace"),
    "shell": lambda t: t.replace("'\"'\"'", "'").replace("'\\''", "'"),
    "nul": lambda t: t.replace("\0", ""),
}


def _hex(text: str) -> Iterator[str]:
    for run in re.findall(r"[0-9a-fA-F]{12,}", text):
        for start in (0, 1):
            part = run[start:]
            yield binascii.unhexlify(part[: len(part) // 2 * 2]).decode("utf-8", "replace")


def _base64(text: str) -> Iterator[str]:
    for run in re.findall(r"[A-Za-z0-9+/_-]{8,}", text.replace("\\n", "")):
        plain = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            part = plain[start:]
            data = base64.b64decode(
                part[: len(part) // 4 * 4]
                + ("" if len(part) % 4 < 2 else part[len(part) // 4 * 4 :] + "=" * (4 - len(part) % 4))
            )
            yield data.decode("utf-8", "replace")
            yield data.decode("utf-16-le", "replace")
            yield data[1:].decode("utf-16-le", "replace")


HARD = "'\"\\$`&<>;|/+=%#?!@ {}[]()*~^:,._-"
WIDE = "密码口令éüßñ€😀Ж"
ALPHABETS = (string.ascii_letters + string.digits, string.ascii_letters + string.digits + HARD, string.digits,
             string.ascii_letters + WIDE + HARD, "ab", HARD)  # fmt: skip

SECRETS = st.one_of(*(st.text(alphabet=a, min_size=8, max_size=40) for a in ALPHABETS)).filter(
    lambda v: len(v.strip()) >= 8
)


def random_secret(dice: random.Random) -> str:
    """Return a random value; one in six has several lines."""
    while True:
        alphabet = dice.choice(ALPHABETS)
        lines = dice.randint(2, 4) if dice.random() < 1 / 6 else 1
        value = "\n".join("".join(dice.choices(alphabet, k=dice.randint(8, 40))) for _ in range(lines))
        if len(value.strip()) >= 8:
            return value


def random_text(dice: random.Random, most: int = 30) -> str:
    """Return text that a program might print around a secret."""
    return "".join(dice.choices(string.ascii_letters + string.digits + " .:=-_/\n", k=dice.randint(0, most)))
