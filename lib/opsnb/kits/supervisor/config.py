"""Which file and line says what: the program sections of Supervisor's configuration files. Pure: text in, values out.

The form is that of Python's ConfigParser as supervisord uses it: ``name = value`` or ``name: value``, continuation
lines are indented, ``;`` and ``#`` begin a comment at the start of a line or after white space.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SECTION = re.compile(r"\[(?P<name>[^]]+)\]")
OPTION = re.compile(r"(?P<name>[^=:\s][^=:]*?)\s*[=:]\s*(?P<value>.*)")
COMMENT = re.compile(r"(?:^|\s)[;#].*$")
KINDS = ("program", "fcgi-program", "eventlistener")  # what makes processes
HIDDEN = ("environment", "command")  # options that may hold a password: compared, and not shown


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of a configuration file.

    Args:
        name: What stands in the brackets: ``program:shop``.
        file: The file.
        line: Its line, from 1.
        options: Names to values, comments cut off.
    """

    name: str
    file: str
    line: int
    options: Mapping[str, str]

    @property
    def kind(self) -> str:
        """What stands before the colon: ``program``."""
        return self.name.partition(":")[0]

    @property
    def label(self) -> str:
        """What stands behind the colon: ``shop``."""
        return self.name.partition(":")[2].strip()


def parse_sections(text: str, file: str) -> list[Section]:
    """Return the sections of one file, in their order; what stands before the first is passed over."""
    found: list[tuple[str, int, dict[str, str]]] = []
    last = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = COMMENT.sub("", raw).rstrip()
        if not line:
            continue
        if match := SECTION.match(line):
            found.append((match["name"].strip(), number, {}))
            last = ""
        elif not found:
            continue
        elif line[0].isspace() and last:
            found[-1][2][last] += "\n" + line.strip()
        elif match := OPTION.match(line.strip()):
            last = match["name"].lower()
            found[-1][2][last] = match["value"]
    return [Section(name=name, file=file, line=line, options=options) for name, line, options in found]


def programs(files: Mapping[str, str]) -> dict[str, Section]:
    """Return the program sections of all files by program; of two with one name the one that is read last."""
    found = [section for file, text in files.items() for section in parse_sections(text, file)]
    return {section.label: section for section in found if section.kind in KINDS}


def group_of(program: str, files: Mapping[str, str]) -> str:
    """Return the name of the ``[group:...]`` that a program is in; the program's own where it is in none."""
    for file, text in files.items():
        for section in parse_sections(text, file):
            members = [name.strip() for name in section.options.get("programs", "").replace("\n", ",").split(",")]
            if section.kind == "group" and program in members:
                return section.label
    return program


def program_of(process: str, found: Mapping[str, Section]) -> str:
    """Return the program that a process ``group:name`` comes from; empty when none of these.

    Supervisor names a process by ``process_name``, which is the program's name, or that and a number.
    """
    group, _, name = process.rpartition(":")
    for wanted in (name, group):
        if wanted in found:
            return wanted
    fitting = [program for program in found if re.fullmatch(re.escape(program) + r"[_-]?\d+", name)]
    return max(fitting, key=len, default="")
