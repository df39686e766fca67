"""Reads ``configs/<service>/config.yaml`` and the variables' files: text in, values or an error out.

Rules:

* The manifest is a mapping with ``files`` (a list) and ``variables`` (name to rule). Unknown fields are refused.
* Each path stands once. A source is a relative path without ``..``; left out, it is the path without its first ``/``.
* A command is a list of words, never shell text; ``%s`` in a validation command is the staged file.
* Variables are texts, numbers or true and false, each by a name that a template can hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.base.errors import UsageError
from opsnb.base.nearest import did_you_mean
from opsnb.base.yaml import read_yaml
from opsnb.fleet.inventory.selector import parse
from opsnb.kits.config.values import MAX_FILES, MAX_PATH, STAGED, VARIABLE, File, Manifest, Rule, host_path
from opsnb.kits.files.states import MODE, OWNER

MAX_WORDS = 64  # of one command
MAX_WORD = 1000  # characters of one word of a command
TOP = ("files", "variables")
RULE = ("pattern", "choices")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A file and the lines of its fields, for errors."""

    path: str
    lines: Mapping[str, int] = field(default_factory=dict)

    def error(self, message: str, *, line: int | None = None, name: str = "", hint: str = "") -> UsageError:
        """Return the error that says ``message`` about a line, or about a dotted field."""
        at = name
        while at and at not in self.lines:
            at = at.rpartition(".")[0]
        found = line if line is not None else self.lines.get(at)
        where = self.path + (f":{found}" if found is not None else "")
        return UsageError(f"{where}: " + (f"'{name}': " if name else "") + message, hint=hint)


def read_manifest(text: str, service: str, path: str) -> Manifest:
    """Return what a manifest says.

    Args:
        text: The file's content.
        service: The service whose it is.
        path: What errors call the file.

    Raises:
        UsageError: On anything that is not as docs/config.md says; names file and line.
    """
    document = read_yaml(text, Place(path=path))
    place = Place(path=path, lines=document.lines)
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise place.error("wanted a mapping with 'files'", line=1, hint="files: [{path: /etc/shop.conf}]")
    _known(value, TOP, place, "")
    rows = value.get("files") or []
    if not isinstance(rows, list) or len(rows) > MAX_FILES:
        raise place.error(f"wanted a list of at most {MAX_FILES} files", name="files")
    files = tuple(_file(row, f"files.{number}", place) for number, row in enumerate(rows))
    _refuse_twice(files, place)
    return Manifest(service=service, files=files, rules=_rules(value.get("variables"), place), path=path)


def read_variables(text: str, path: str) -> dict[str, str]:
    """Return the variables of one file, as texts that a template gets.

    Raises:
        UsageError: If it is no mapping of names to texts, numbers, true and false; names file and line.
    """
    document = read_yaml(text, Place(path=path))
    place = Place(path=path, lines=document.lines)
    if document.value is None:
        return {}
    if not isinstance(document.value, dict):
        raise place.error("wanted variables, one a line", line=1, hint="workers: 4")
    found = {}
    for name, value in document.value.items():
        if not VARIABLE.fullmatch(name):
            raise place.error("is not a variable's name", name=name, hint="letters, digits and '_'")
        text_of = as_text(value)
        if text_of is None:
            raise place.error(f"found {value!r:.60}, wanted a text, a number, true or false", name=name)
        found[name] = text_of
    return found


def as_text(value: JSON) -> str | None:
    """Return what a template gets for a value: booleans as YAML writes them; ``None`` where it is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _file(row: JSON, at: str, place: Place) -> File:
    if not isinstance(row, dict):
        raise place.error(f"found {row!r:.60}, wanted a file's fields", name=at, hint="- path: /etc/shop.conf")
    _known(row, READERS, place, at)
    if "path" not in row:
        raise place.error("has no path", name=at, hint="path: where the file lies on its hosts")
    values: dict[str, Any] = {}
    for name, value in row.items():
        try:
            values[name] = READERS[name](value)
        except UsageError as error:
            raise place.error(error.message, name=f"{at}.{name}", hint=error.hint) from None
    values.setdefault("source", values["path"].lstrip("/"))
    return File(**values, line=place.lines.get(at, 0))


def _known(value: Mapping[str, Any], names: Any, place: Place, at: str) -> None:
    for name in value:
        if name not in names:
            full = f"{at}.{name}" if at else name
            raise place.error("is not a field", name=full, hint=did_you_mean(name, names, what="fields"))


def _refuse_twice(files: tuple[File, ...], place: Place) -> None:
    for number, file in enumerate(files):
        for earlier in files[:number]:
            if earlier.path == file.path:
                raise place.error(f"{file.path} stands already on line {earlier.line}", name=f"files.{number}.path")


def _rules(value: JSON, place: Place) -> dict[str, Rule]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise place.error("wanted a rule for each name", name="variables", hint='port: {pattern: "[0-9]{2,5}"}')
    found = {}
    for name, rule in value.items():
        at = f"variables.{name}"
        if not VARIABLE.fullmatch(name):
            raise place.error("is not a variable's name", name=at, hint="letters, digits and '_'")
        if not isinstance(rule, dict):
            raise place.error("wanted pattern or choices", name=at, hint='{pattern: "[0-9]{2,5}"}')
        _known(rule, RULE, place, at)
        found[name] = Rule(pattern=_pattern(rule, at, place), choices=_choices(rule, at, place))
    return found


def _pattern(rule: Mapping[str, JSON], at: str, place: Place) -> str:
    pattern = rule.get("pattern", "")
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise place.error(f"is not a regular expression: {error}", name=f"{at}.pattern") from None
    return str(pattern)


def _choices(rule: Mapping[str, JSON], at: str, place: Place) -> tuple[str, ...]:
    rows = rule.get("choices", [])
    texts = [as_text(row) for row in rows] if isinstance(rows, list) else [None]
    if None in texts:
        raise place.error(f"found {rows!r:.60}, wanted a list of values", name=f"{at}.choices")
    return tuple(text for text in texts if text is not None)


def _text(value: JSON) -> str:
    if not isinstance(value, str) or not value.isprintable() or not value:
        raise UsageError(f"found {value!r:.60}, wanted one line of text")
    return value


def _selector(value: JSON) -> str:
    text = _text(value)
    parse(text)
    return text


def _path(value: JSON) -> str:
    return host_path(_text(value))


def _source(value: JSON) -> str:
    text = _text(value)
    pure = PurePosixPath(text)
    if pure.is_absolute() or ".." in pure.parts or str(pure) != text or text == "." or len(text) > MAX_PATH:
        raise UsageError(f"found {text!r:.80}, wanted a relative path without '..'", hint="etc/nginx/snippets/x.conf")
    return text


def _mode(value: JSON) -> str:
    if not isinstance(value, str) or not MODE.fullmatch(value):
        raise UsageError(f"found {value!r:.60}, wanted four octal digits in quotes", hint='mode: "0644"')
    return value


def _owner(value: JSON) -> str:
    if not isinstance(value, str) or not OWNER.fullmatch(value):
        raise UsageError(f"found {value!r:.60}, wanted USER:GROUP", hint="owner: root:root")
    return value


def _flag(value: JSON) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"found {value!r:.60}, wanted true or false")
    return value


def _argv(value: JSON) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_WORDS:
        raise UsageError(f"found {value!r:.60}, wanted a command as a list of words", hint="[nginx, -t]")
    words = [as_text(word) for word in value]
    if any(not word or "\0" in word or len(word) > MAX_WORD for word in words):
        raise UsageError(f"found {value!r:.60}, wanted a command as a list of words", hint="[nginx, -t]")
    argv = tuple(str(word) for word in words)
    if argv[0].startswith("-") or STAGED in argv[0]:
        raise UsageError(f"found {argv[0]!r:.60}, wanted a program first")
    if any(STAGED in word.removesuffix(STAGED) for word in argv):
        raise UsageError(f"'{STAGED}' stands at the end of a word: it becomes the staged file's path")
    return argv


def _activate(value: JSON) -> tuple[str, ...]:
    argv = _argv(value)
    if any(STAGED in word for word in argv):
        raise UsageError(f"'{STAGED}' stands for the staged file, in validation commands only")
    return argv


READERS: dict[str, Callable[[JSON], Any]] = {
    "path": _path, "source": _source, "hosts": _selector, "mode": _mode, "owner": _owner, "template": _flag,
    "sensitive": _flag, "validate": _argv, "activate": _activate,
}  # fmt: skip
