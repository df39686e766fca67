"""Contents that no plan, difference or record may show: keyed hashes instead, and the contents for this kernel alone.

The key is of the request (``run.hiding_key``), so that plan and apply agree, and nobody who reads a record can try
guesses. What is hidden is kept in this process until it ends, because an apply writes what its own plan rendered.
"""

from __future__ import annotations

import hmac
import re
import secrets

from opsnb.base.canonical import JSON
from opsnb.kits.files.states import State

SHOWN = 32  # hex digits of a hash: 128 bits
WORD = re.compile(r"[^\s\"'=:;,(){}\[\]<>]{4,}")  # what of a hidden content is worth masking in a message
MASK = "***"

_held: dict[str, str] = {}
_key: list[bytes] = [secrets.token_bytes(32)]  # of this process alone, until a run says its own


def use(key: bytes) -> None:
    """Hash under this key from here on; see ``run.hiding_key``."""
    _key[0] = key
    _held.clear()


def digest_of(content: str) -> str:
    """Return the keyed hash that stands for a content, and hold the content."""
    found = hmac.new(_key[0], content.encode(), "sha256").hexdigest()[:SHOWN]
    _held[found] = content
    return found


def hide(state: State | None) -> State | None:
    """Return a file's state with ``hidden``, a keyed hash, instead of its content."""
    if state is None or "content" not in state:
        return state
    return {"hidden": digest_of(state["content"]), **{k: v for k, v in state.items() if k != "content"}}


def hidden(state: JSON) -> bool:
    """Return whether a state hides its content."""
    return isinstance(state, dict) and "hidden" in state


def held(state: State) -> str | None:
    """Return the content behind a hidden state, where this process has read or rendered it."""
    return _held.get(state["hidden"])


def shown(state: State, content: str) -> State:
    """Return a hidden state with its content, as it is written to a host."""
    return {"content": content, **{k: v for k, v in state.items() if k != "hidden"}}


def masked(text: str, contents: list[str]) -> str:
    """Return a message without the words of hidden contents: a program that refuses a file may quote it."""
    words = {word for content in contents for word in WORD.findall(content)}
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, MASK)
    return text
