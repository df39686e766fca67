"""What a file's state may be, and what is refused wherever the file lies."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from opsnb.base.canonical import JSON
from opsnb.base.errors import UsageError

MAX_BYTES = 256 * 1024  # of one file; a plan carries its content twice
DEFAULT_MODE = "0644"
MAX_PATH, MAX_NAME = 4095, 255  # bytes that Linux takes
MODE = re.compile(r"[0-7]{4}")
OWNER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}:[A-Za-z_][A-Za-z0-9_.-]{0,31}")

State = dict[str, str]


def checked(state: JSON, path: str) -> State:
    """Return a state that may be written.

    Raises:
        UsageError: If it is none, or too large, or not text.
    """
    if not isinstance(state, dict) or set(state) - {"owner"} != {"content", "mode"}:
        raise UsageError(f"the state of {path} is 'content' and 'mode', found {state!r:.80}")
    mode = state["mode"]
    if not isinstance(mode, str) or not MODE.fullmatch(mode):
        raise UsageError(f"the mode of {path} is {mode!r}; it is four octal digits", hint="0644")
    owner = state.get("owner", "")
    if owner and not (isinstance(owner, str) and OWNER.fullmatch(owner)):
        raise UsageError(f"the owner of {path} is {owner!r:.80}; it is USER:GROUP", hint="root:root")
    content = content_of(state["content"], path)
    return {"content": content, "mode": mode, **({"owner": owner} if owner else {})}


def content_of(content: JSON, path: str) -> str:
    """Return text that may be a file's content.

    Raises:
        UsageError: If it is not text, or too large.
    """
    if not isinstance(content, str) or "\0" in content:
        raise UsageError(f"the content of {path} is not text")
    try:
        size = len(content.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"the content of {path} holds a lone surrogate, which has no UTF-8 form") from error
    if size > MAX_BYTES:
        raise UsageError(f"the content of {path} is {size} bytes; at most {MAX_BYTES} are written")
    return content


def text_of(data: bytes, path: str) -> str:
    """Return the bytes that were read as text.

    Raises:
        UsageError: If they are too many, or not plain text.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path} is larger than {MAX_BYTES} bytes, and a plan carries the whole file")
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error
    if "\0" in content:
        raise UsageError(f"{path} is binary: it holds a NUL")
    return content


def plain(path: str) -> PurePosixPath:
    """Return a path that is one name for one place.

    Raises:
        UsageError: If it is not absolute, or climbs, or has no UTF-8 form.
    """
    pure = PurePosixPath(path)
    if not pure.is_absolute() or ".." in pure.parts or str(pure) != path or not pure.name or "\0" in path:
        raise UsageError(f"the path is {path!r:.200}; it is absolute and has no '..', '//' or '/' at its end")
    data = path.encode("utf-8", "replace")
    if data.decode() != path:
        raise UsageError(f"the path is {path!r:.200}; a lone surrogate has no UTF-8 form")
    if len(data) > MAX_PATH or len(pure.name.encode()) > MAX_NAME:
        raise UsageError(
            f"the path is {path!r:.200}; at most {MAX_PATH} bytes, and {MAX_NAME} in its last part, are taken"
        )
    return pure
