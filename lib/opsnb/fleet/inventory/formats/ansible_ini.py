"""Ansible's INI inventories: ``[group]``, ``[group:children]``, ``[group:vars]``, host ranges, values as Python."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
import string
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.base.errors import InventoryError, UsageError
from opsnb.fleet.inventory.formats import lenient
from opsnb.fleet.inventory.formats.ansible import MAX_HOSTS, UNGROUPED, Source
from opsnb.fleet.inventory.formats.exchange import Imported

HEADING = re.compile(r"\[(?P<name>[^\]:]+)(?::(?P<kind>children|vars))?\]\s*(?:[#;].*)?")
RANGE = re.compile(r"\[(\w+):(\w+)(?::(\d+))?\]")
PORT = re.compile(r"(?P<host>[^:\s]+|\[[^\]]+\]):(?P<port>\d+)")
ADDRESS = re.compile(r"\[[0-9A-Fa-f:.]+\](:\d+)?(\s|$)")  # IPv6 with a port
VARIABLE = re.compile(r"(?P<name>[^\s=]+?)\s*=\s*(?P<value>.*)")
SECTION_HINT = "[group], [group:children] or [group:vars]"


def parse(text: str, path: str, imported: Imported) -> Source:
    """Read the text of an INI inventory.

    Raises:
        InventoryError: Names file and line.
    """
    del imported  # every line is read or refused
    source, group, kind = Source(), UNGROUPED, ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        try:
            heading = _heading(line)
            if heading:
                group, kind = heading["name"].strip(), heading["kind"] or ""
                source.group(group)
            else:
                _line(source, group, kind, line)
        except (UsageError, ValueError) as error:
            raise InventoryError(getattr(error, "message", str(error)), path=path, line=number) from None
    return source


def _heading(line: str) -> re.Match[str] | None:
    heading = HEADING.fullmatch(line)
    if heading is None and line.startswith("[") and not RANGE.match(line) and not ADDRESS.match(line):
        raise UsageError(f"'{line[:60]}' is no heading, wanted {SECTION_HINT}")
    return heading


def _line(source: Source, group: str, kind: str, line: str) -> None:
    if kind == "vars":
        match = VARIABLE.fullmatch(line)
        if match is None:
            raise UsageError(f"'{line[:60]}' is no variable, wanted name=value")
        source.group(group).variables[match["name"]] = value_of(match["value"].strip())
        return
    words = shlex.split(line, comments=True)
    if kind == "children":
        for name in words[:1]:
            source.group(name)
            source.group(group).children[name] = None
        return
    variables = {}
    for word in words[1:]:
        name, sign, value = word.partition("=")
        if not sign:
            raise UsageError(f"'{word[:60]}' is no variable, wanted name=value")
        variables[name] = value_of(value)
    for host in expand(words[0]):
        match = PORT.fullmatch(host)
        name = match["host"].strip("[]") if match else host.strip("[]")
        mine = source.host(name)
        if match:
            mine["ansible_port"] = int(match["port"])
        mine.update(variables)
        source.group(group).hosts[name] = None


def value_of(text: str) -> JSON:
    """Return a value as Ansible reads it: a Python literal, or else the text."""
    try:
        value: Any = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return lenient.bounded(value)


def expand(pattern: str) -> list[str]:
    """Return the hosts of a pattern with ranges: ``web[01:20]``, ``db[a:f]``, ``n[0:10:2]``.

    Raises:
        UsageError: If a range runs backwards or gives more hosts than are read.
    """
    pieces: list[list[str]] = []
    at = total = 0
    for match in RANGE.finditer(pattern):
        values = _values(*match.groups())
        total = max(total, 1) * len(values)
        if total > MAX_HOSTS:
            raise UsageError(f"'{pattern[:60]}' names more than {MAX_HOSTS} hosts")
        pieces += [[pattern[at : match.start()]], values]
        at = match.end()
    return ["".join(parts) for parts in itertools.product(*pieces, [pattern[at:]])]


def _values(first: str, last: str, step: str | None) -> list[str]:
    by = int(step or 1)
    if by < 1:
        raise UsageError(f"the range [{first}:{last}:{step}] does not go on")
    if first.isdecimal() and last.isdecimal():
        if int(last) - int(first) > MAX_HOSTS * by:
            raise UsageError(f"the range [{first}:{last}] names more than {MAX_HOSTS} hosts")
        width = len(first) if first.startswith("0") else 0
        found = [str(n).rjust(width, "0") for n in range(int(first), int(last) + 1, by)]
    else:
        letters = string.ascii_letters
        if first not in letters or last not in letters or len(first) != 1 or len(last) != 1:
            raise UsageError(f"the range [{first}:{last}] is neither of numbers nor of letters")
        found = list(letters[letters.index(first) : letters.index(last) + 1 : by])
    if not found:
        raise UsageError(f"the range [{first}:{last}] runs backwards")
    return found
