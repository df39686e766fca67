"""A file of the inventory as lines: where each entry stands, so that an edit touches nothing else.

Only the entry that changes is written anew (by ruamel.yaml, which keeps the comments in it); every other byte of the
file stays, however large it is. A section written in braces is turned into lines first.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from opsnb.base.canonical import JSON, same
from opsnb.base.errors import InventoryError
from opsnb.base.yaml import read_yaml
from opsnb.fleet.inventory.fields import File
from opsnb.fleet.inventory.written import MAX_BYTES, SECTIONS

WIDTH = 4096  # columns before a line is folded: never
INLINE = ("labels", "credential", "sudo", "groups", "hosts")  # fields that read best on one line
INLINE_WIDTH = 90  # columns up to which they stay there
QUIET = re.compile(r"\s*(#.*)?")  # a line that holds nothing but a comment


@dataclass
class Section:
    """Where one section stands; lines count from 0.

    Args:
        line: The line of its name.
        indent: Column of its entries.
        entries: Name to first line and the line after the last one.
        braces: Whether it is written as ``{...}``.
    """

    line: int
    indent: int = 2
    entries: dict[str, tuple[int, int]] = field(default_factory=dict)
    braces: bool = False


Change = Callable[[Any], Any]
"""An entry's value (ruamel's, or ``None`` when it is not there) to its new value; ``None`` removes it."""


def edited(text: str, path: str, changes: Mapping[tuple[str, str], Change]) -> str:
    """Return the text of a file with some entries changed.

    Args:
        text: What stands in the file.
        path: What errors call it.
        changes: Section and name to what becomes of that entry.

    Raises:
        InventoryError: If the file is no YAML of ours, or the result does not read as what was asked for.
    """
    before = _sections(text, path)
    lines, sections = _laid_out(text, path)
    if any(sections[s].braces for s, _ in changes if s in sections and before.get(s)) or _one_line(text, lines):
        text = _opened(text, {s for s, _ in changes})
        lines, sections = _laid_out(text, path)
    wanted = {name: dict(entries) for name, entries in before.items()}
    new: dict[str, list[str]] = {}
    edits: list[tuple[int, int, list[str]]] = []
    for (section, name), change in changes.items():
        there = sections.get(section)
        at = there.entries.get(name) if there else None
        old = _entry(lines[at[0] : at[1]]) if at else None
        value = change((next(iter(old.values())) or styled({})) if old else None)
        if value is None:
            wanted.get(section, {}).pop(name, None)
        else:
            wanted.setdefault(section, {})[name] = _plain(value)
        written = [] if value is None else _dumped(name, value, old, there.indent if there else 2)
        if at:
            edits.append((at[0], at[1], written))
        elif written:
            new.setdefault(section, []).extend(written)
    result = _spliced(lines, sections, edits, new)
    if not same(_sections(result, path), {k: v for k, v in wanted.items() if v or k in _sections(result, path)}):
        raise InventoryError("cannot be edited without changing something else", path=path, hint="edit it by hand")
    return result


def _spliced(
    lines: list[str],
    sections: Mapping[str, Section],
    edits: list[tuple[int, int, list[str]]],
    new: Mapping[str, list[str]],
) -> str:
    tail: list[str] = []
    for name, written in new.items():
        if name not in sections:
            tail += [f"{name}:", *written]
            continue
        section = sections[name]
        last = max((end for _, end in section.entries.values()), default=section.line + 1)
        if section.braces:
            lines[section.line] = re.sub(r":\s*\{\s*\}", ":", lines[section.line], count=1)
        edits.append((last, last, written))
    for first, end, written in sorted(edits, key=lambda e: (e[0], e[1]), reverse=True):
        lines[first:end] = written
    for name in {s for s in sections if s not in new}:  # a section that lost its last entry
        section = sections[name]
        gone = sum(1 for first, end, written in edits if not written and (first, end) in section.entries.values())
        if section.entries and gone == len(section.entries):
            lines[section.line] = re.sub(r":(\s*(#.*)?)$", r": {}\1", lines[section.line], count=1)
    return "\n".join([*lines, *tail]) + "\n"


def _laid_out(text: str, path: str) -> tuple[list[str], dict[str, Section]]:
    """Return the lines of a file and where its sections stand in them."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    found: dict[str, Section] = {}
    depth, section, key = 0, "", True
    started: list[tuple[str, str, int]] = []  # (section, entry, line)
    events: Iterator[Any] = yaml.parse(text, Loader=loader)
    for event in events:
        kind = type(event).__name__
        if kind in {"MappingStartEvent", "SequenceStartEvent"}:
            depth += 1
            if depth == 2 and section and kind == "MappingStartEvent" and event.flow_style:  # noqa: PLR2004
                found[section].braces = True
            key = True
        elif kind in {"MappingEndEvent", "SequenceEndEvent"}:
            depth -= 1
            key = True
        elif kind == "ScalarEvent" and depth in {1, 2}:
            if key and depth == 1:
                section = event.value
                found[section] = Section(event.start_mark.line)
            elif key:
                started.append((section, event.value, event.start_mark.line))
                found[section].indent = event.start_mark.column
            key = not key
    _ends(lines, found, started, path)
    return lines, found


def _ends(lines: list[str], found: dict[str, Section], started: list[tuple[str, str, int]], path: str) -> None:
    """Fill in where each entry ends: before the next one, less the comments and empty lines in front of that."""
    heads = sorted({*(line for _, _, line in started), *(s.line for s in found.values()), len(lines)})
    following = dict(pairwise(heads))
    for section, name, line in started:
        end = following[line] if line in following else len(lines)
        while end > line + 1 and QUIET.fullmatch(lines[end - 1]):
            end -= 1
        found[section].entries[name] = (line, end)
    if set(found) - set(SECTIONS):
        raise InventoryError(f"holds '{next(iter(set(found) - set(SECTIONS)))}', which is no section", path=path)


def _one_line(text: str, lines: list[str]) -> bool:
    return (
        bool(lines) and next((x for x in lines if not QUIET.fullmatch(x)), "").lstrip().startswith("{") and bool(text)
    )


def _opened(text: str, names: set[str]) -> str:
    """Return the file with the named sections written in lines instead of braces; ruamel keeps the comments."""
    document = _ruamel().load(text)
    if not document:
        return re.sub(r"\{\s*\}", "", text, count=1)
    document.fa.set_block_style()
    for name in names & set(document):
        if document[name]:
            document[name].fa.set_block_style()
    return _written(document)


def _entry(lines: list[str]) -> Any:
    indent = len(lines[0]) - len(lines[0].lstrip())
    return _ruamel().load("\n".join(line[min(indent, len(line) - len(line.lstrip())) :] for line in lines))


def _dumped(name: str, value: Any, old: Any, indent: int) -> list[str]:
    """Return the lines of one entry; comments of the old one stay where its fields stay."""
    from ruamel.yaml.comments import CommentedMap

    document = old if old is not None else CommentedMap()
    key = next(iter(document), name)
    document[key] = value if isinstance(value, CommentedMap) else styled(value)
    return [" " * indent + line if line else line for line in _written(document).rstrip("\n").split("\n")]


def styled(value: JSON) -> Any:
    """Return an entry's value as ruamel writes it best: short lists and labels on one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if not isinstance(value, Mapping):
        return value
    found = CommentedMap()
    for key, inner in value.items():
        made = CommentedMap(inner) if isinstance(inner, dict) else inner
        made = CommentedSeq(inner) if isinstance(inner, list | tuple) else made
        if key in INLINE and isinstance(made, CommentedMap | CommentedSeq) and len(str(inner)) <= INLINE_WIDTH:
            made.fa.set_flow_style()
        found[key] = made
    if not found:
        found.fa.set_flow_style()
    return found


def _ruamel() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _written(document: Any) -> str:
    stream = io.StringIO()
    _ruamel().dump(document, stream)
    return stream.getvalue()


def _plain(value: Any) -> JSON:
    """Return a value of ruamel's as plain JSON, to compare with what is read back."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    return str(value)  # a date: text to us


def _sections(text: str, path: str) -> dict[str, Any]:
    value = read_yaml(text, File(path), limit=MAX_BYTES).value
    return {name: entries or {} for name, entries in (value or {}).items()}
