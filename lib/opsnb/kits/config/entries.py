"""Adds entries to a manifest without touching anything else in it: comments, order and line ends stay.

What comes out is read again, and must say what was said before and the new entries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from opsnb.base.errors import UsageError
from opsnb.base.yaml import read_yaml
from opsnb.kits.config.manifest import Place, read_manifest
from opsnb.kits.config.values import File, Manifest

NEW = """\
# The files of {service}, and where they go: docs/config.md
files:
"""
EMPTY = re.compile(r"files:[ \t]*(?:\[\]|~|null)?[ \t]*(#.*)?")
ITEM = re.compile(r"([ ]*)-[ ]")


def add(text: str | None, service: str, path: str, files: Sequence[File]) -> str:
    """Return a manifest with more entries.

    Args:
        text: The manifest; ``None`` makes one.
        service: The service.
        path: What errors call the manifest.
        files: The new entries.

    Raises:
        UsageError: If the manifest is written in a way that nothing can be added to; says what to add by hand.
    """
    if not files:
        return text or ""
    old = text if text is not None else NEW.format(service=service)
    lines = old.splitlines()
    at, indent = _end(old, lines, path)
    added = [line for file in files for line in entry(file, indent)]
    new = "\n".join([*lines[:at], *added, *lines[at:]]) + "\n"
    before = read_manifest(text, service, path) if text else Manifest(service=service, path=path)
    try:
        after = read_manifest(new, service, path)
    except UsageError:
        after = before
    if _said(after) != [*_said(before), *(replace(file, line=0) for file in files)] or after.rules != before.rules:
        raise UsageError(f"{path} is written in a way that nothing can be added to", hint="\n".join(["add:", *added]))
    return new


def entry(file: File, indent: str = "  ") -> list[str]:
    """Return the lines of one entry."""
    values: dict[str, object] = {"path": file.path}
    if file.source != file.path.lstrip("/"):
        values["source"] = file.source
    for name in ("hosts", "mode", "owner", "template", "sensitive", "validate", "activate"):
        if value := getattr(file, name):
            values[name] = list(value) if isinstance(value, tuple) else value
    rows = [f"{name}: {_plain(value)}" for name, value in values.items()]
    return [f"{indent}- {rows[0]}", *(f"{indent}  {row}" for row in rows[1:])]


def _end(text: str, lines: list[str], path: str) -> tuple[int, str]:
    """Return the index of the line before which an entry goes, and the indentation of entries."""
    document = read_yaml(text, Place(path=path))
    if not isinstance(document.value, dict) or "files" not in document.value:
        lines.append("files:")
        return len(lines), "  "
    start = document.lines["files"]  # from 1
    following = [line for name, line in document.lines.items() if "." not in name and line > start]
    stop = min(following, default=len(lines) + 1) - 1
    if not document.value["files"]:
        if EMPTY.fullmatch(lines[start - 1]):
            lines[start - 1] = "files:"
        return start, "  "
    while stop > start and not (lines[stop - 1].strip() and not lines[stop - 1].lstrip().startswith("#")):
        stop -= 1
    first = ITEM.match(lines[document.lines["files.0"] - 1])
    return stop, first[1] if first else "  "


def _said(manifest: Manifest) -> list[File]:
    return [replace(file, line=0) for file in manifest.files]


def _plain(value: object) -> str:
    """Return a value as YAML that our reader reads back the same."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z/_][\w./@+-]*(?::[\w.-]+)?", value) and value not in WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


WORDS = {"true", "false", "null", "True", "False", "Null", "TRUE", "FALSE", "NULL"}
