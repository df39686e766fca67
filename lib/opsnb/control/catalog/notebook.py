"""Read a notebook as JSON, within limits: bytes in, a checked value out.

Rules: a regular file, never a symbolic link, at most 20 MiB; UTF-8; one JSON object without NaN or a key that stands
twice or a character that is none; nbformat 4; cells of the shapes of the nbformat 4 schema. The digest covers the
bytes that were read.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opsnb.base.canonical import JSON, sha256
from opsnb.base.errors import NotebookError

if TYPE_CHECKING:
    from pathlib import Path

NBFORMAT = 4
PARAMETERS_TAG = "parameters"
HALF = re.compile(r"\\u[dD][89a-fA-F]")  # an escape that needs a second one to be a character
NOT_A_NOTEBOOK = "a notebook is JSON; was the file truncated, or is it something else?"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on a notebook file."""

    size: int = 20 * 1024 * 1024  # bytes
    nesting: int = 100  # levels; rich outputs reach about 20
    cells: int = 5000  # cells of one notebook


LIMITS = Limits()


@dataclass(frozen=True, kw_only=True)
class NotebookCell:
    """One cell.

    Args:
        index: Its position, from 0.
        kind: ``code``, ``markdown`` or ``raw``.
        source: Its text.
        id: Its id (nbformat 4.5); empty where it has none, or one that is no text.
        tags: Its tags.
        outputs: How many outputs it carries.
        execution_count: Its execution count, if it has one.
    """

    index: int
    kind: str
    source: str
    id: str = ""
    tags: tuple[str, ...] = ()
    outputs: int = 0
    execution_count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Notebook:
    """A notebook that was read.

    Args:
        path: The file, as the reader knows it: relative to the workspace where it is inside.
        content: Its bytes.
        digest: SHA-256 of ``content``.
        cells: Its cells, in order.
        language: The kernel's language as the metadata names it; empty where they do not.
        kernel: The kernel's name as the metadata names it; empty where they do not.
        minor: The minor version of its format; cells have ids from 5 on.
    """

    path: str
    content: bytes = field(repr=False)
    digest: str
    cells: tuple[NotebookCell, ...] = field(repr=False)
    language: str = ""
    kernel: str = ""
    minor: int = 5

    @property
    def parameters_cells(self) -> tuple[NotebookCell, ...]:
        """The code cells tagged ``parameters``."""
        return tuple(c for c in self.cells if c.kind == "code" and PARAMETERS_TAG in c.tags)


def read_notebook(file: Path, *, path: str = "") -> Notebook:
    """Read a notebook file.

    Args:
        file: Where it is.
        path: What errors and the result call it; the file itself by default.

    Raises:
        NotebookError: If it breaks one of the rules in the module's docstring.
    """
    path = path or str(file)
    return parse_notebook(_read(file, path), path)


def parse_notebook(content: bytes, path: str) -> Notebook:
    """Return the notebook that ``content`` holds.

    Raises:
        NotebookError: If it breaks one of the rules in the module's docstring.
    """
    value = _json(content, path)
    if not isinstance(value, dict):
        raise NotebookError(f"found a JSON {_name(value)}, wanted an object", path=path, hint=NOT_A_NOTEBOOK)
    _check_nesting(value, path)
    if value.get("nbformat") != NBFORMAT or not _whole(value.get("nbformat_minor")):
        found = f"nbformat {value.get('nbformat')!r:.20}, minor {value.get('nbformat_minor')!r:.20}"
        hint = "jupyter nbconvert --to notebook --nbformat 4"
        raise NotebookError(f"found {found}, wanted nbformat 4", path=path, field="nbformat", hint=hint)
    cells = value.get("cells")
    if not isinstance(cells, list) or len(cells) > LIMITS.cells:
        raise NotebookError(f"wanted a list of at most {LIMITS.cells} cells", path=path, field="cells")
    return Notebook(
        path=path,
        content=content,
        digest=sha256(content),
        cells=tuple(_cell(cell, index, path) for index, cell in enumerate(cells)),
        language=_named(value.get("metadata"), path, ("kernelspec", "language"), ("language_info", "name")),
        kernel=_named(value.get("metadata"), path, ("kernelspec", "name")),
        minor=value["nbformat_minor"],
    )


def _read(file: Path, path: str) -> bytes:
    """Read a regular file; neither a link nor a pipe, which would block, is opened."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if file.is_symlink():
            raise NotebookError("is a symbolic link", path=path, hint="a runbook is a regular file") from None
        raise NotebookError(f"cannot be read: {error.strerror}", path=path) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotebookError("is not a regular file", path=path, hint="a runbook is a regular file")
    with os.fdopen(descriptor, "rb") as handle:
        content = handle.read(LIMITS.size + 1)
    if len(content) > LIMITS.size:
        hint = "clear its outputs: jupyter nbconvert --clear-output --inplace"
        raise NotebookError(f"is larger than {LIMITS.size // 2**20} MiB", path=path, hint=hint)
    return content


def _json(content: bytes, path: str) -> JSON:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NotebookError(f"is not UTF-8: byte {error.start}, file line {line}", path=path) from None
    if text.startswith("\ufeff"):
        raise NotebookError("starts with a byte order mark", path=path, hint="save it as UTF-8 without one")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        if HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
        return value  # noqa: TRY300  (what follows are its errors)
    except UnicodeEncodeError:
        hint = "write the character itself, or U+FFFD"
        raise NotebookError("holds half a character (a lone surrogate)", path=path, hint=hint) from None
    except json.JSONDecodeError as error:
        where = f"file line {error.lineno} column {error.colno}"
        raise NotebookError(f"is not JSON: {error.msg}, {where}", path=path, hint=NOT_A_NOTEBOOK) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise NotebookError(f"is not a notebook's JSON: {reason}", path=path, hint=NOT_A_NOTEBOOK) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):  # two readers could see two different notebooks
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r:.60} stands twice in one object")
    return result


def _constant(name: str) -> JSON:
    raise ValueError(f"{name} is not JSON")


def _check_nesting(value: JSON, path: str) -> None:
    level = [value]
    for _ in range(LIMITS.nesting):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise NotebookError(f"is nested more than {LIMITS.nesting} levels deep", path=path)


def _inside(value: JSON) -> list[JSON]:
    items = value.values() if isinstance(value, dict) else value
    return [item for item in items if isinstance(item, dict | list)]


def _cell(value: JSON, index: int, path: str) -> NotebookCell:
    if not isinstance(value, dict):
        raise NotebookError(f"found a {_name(value)}, wanted an object", path=path, cell=index)
    kind = value.get("cell_type")
    if kind not in ("code", "markdown", "raw"):
        message = f"found {kind!r:.40}, wanted code, markdown or raw"
        raise NotebookError(message, path=path, cell=index, field="cell_type")
    outputs, count = value.get("outputs", []), value.get("execution_count")
    if not isinstance(outputs, list):
        raise NotebookError("wanted a list", path=path, cell=index, field="outputs")
    if count is not None and not _whole(count):
        raise NotebookError("wanted a whole number or null", path=path, cell=index, field="execution_count")
    return NotebookCell(
        index=index,
        kind=kind,
        source=_source(value.get("source"), index, path),
        id=value["id"] if isinstance(value.get("id"), str) else "",
        tags=_tags(value.get("metadata"), index, path),
        outputs=len(outputs),
        execution_count=count,
    )


def _source(value: JSON, index: int, path: str) -> str:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    if not isinstance(value, str):
        raise NotebookError("wanted text or a list of lines", path=path, cell=index, field="source")
    return value


def _tags(metadata: JSON, index: int, path: str) -> tuple[str, ...]:
    tags = metadata.get("tags", []) if isinstance(metadata, dict) else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        message = "wanted an object whose 'tags', if any, is a list of text"
        raise NotebookError(message, path=path, cell=index, field="metadata")
    return tuple(tags)


def _named(metadata: JSON, path: str, *places: tuple[str, str]) -> str:
    """Return the first text that stands at one of these places of the metadata."""
    if not isinstance(metadata, dict):
        raise NotebookError("wanted an object", path=path, field="metadata")
    for section, name in places:
        part = metadata.get(section)
        if isinstance(part, dict) and isinstance(part.get(name), str):
            return str(part[name])
    return ""


def _whole(value: JSON) -> bool:
    return type(value) is int and value >= 0


def _name(value: JSON) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "list", dict: "object"}
    return names.get(type(value), "null")
