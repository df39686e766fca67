"""YAML as Ansible reads it: 1.1 values, tags (a vault's text is hidden), anchors within bounds."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.base.errors import InventoryError

MAX_BYTES = 64 * 1024 * 1024
MAX_NODES = 1_000_000  # values, aliases counted each time: a bomb ends here
MAX_DEPTH = 40
MAX_INTEGER = 10**15  # the inventory reads longer ones as text
HIDDEN = "<hidden>"  # stands for what a vault holds, until it is left out


class Hidden(str):
    """A value that is not taken over."""

    __slots__ = ()


def text_of(path: Path) -> str:
    """Return a file's text.

    Raises:
        InventoryError: If it cannot be read, is too large, or is not UTF-8.
    """
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise InventoryError(f"is no file of at most {MAX_BYTES} bytes", path=str(path))
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InventoryError(f"cannot be read: {error.strerror}", path=str(path)) from None
    except UnicodeDecodeError:
        raise InventoryError("is not UTF-8", path=str(path)) from None


def load(text: str, path: str) -> JSON:
    """Return the value of a document; a vault's text, or any other tag, becomes :class:`Hidden`.

    Raises:
        InventoryError: If it is no YAML, or larger than is read once its aliases are written out.
    """
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """Knows no tag but hides what has one."""

    Loader.add_multi_constructor("!", lambda *_: Hidden(HIDDEN))
    try:
        value = yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader with one harmless constructor
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise InventoryError(f"not YAML: {problem}", path=path, line=mark.line + 1 if mark else None) from None
    return bounded(value, path)


def hidden(value: JSON) -> bool:
    """Return whether something in a value is hidden."""
    if isinstance(value, dict):
        return any(hidden(inner) for inner in value.values())
    return any(hidden(inner) for inner in value) if isinstance(value, list) else isinstance(value, Hidden)


def bounded(value: Any, path: str = "") -> JSON:
    """Return a value as JSON: dates, bytes and what is no JSON number as text.

    Raises:
        InventoryError: If it is larger than is read.
    """
    return _plain(value, [MAX_NODES], path, 0)


def _plain(value: Any, left: list[int], path: str, depth: int) -> JSON:
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        raise InventoryError("is too large once its aliases are written out", path=path)
    if isinstance(value, dict):
        return {str(key): _plain(inner, left, path, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner, left, path, depth + 1) for inner in value]
    return _scalar(value)


def _scalar(value: Any) -> JSON:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int) and abs(value) < MAX_INTEGER:
        return value
    return value.isoformat() if isinstance(value, dt.date) else str(value)
