"""Users, roles and departments from a file: YAML for all of them, CSV for users.

Rules without I/O, and all or nothing: one wrong line, and nothing of the file is taken. What is not in the file stays
as it is, and what is so already takes no change. Leaving a name out removes nobody: they leave by ``active: false``.

::

    departments: {Web: {parent: Operations, leader: bob}}
    roles: {web-ops: {may: [approve NGX-* in staging]}}
    users: {bob: {display: Bob Li, mail: bob@example.com, department: Web, roles: [web-ops]}}
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.nearest import did_you_mean
from opsnb.base.yaml import read_yaml
from opsnb.control.people.draft import MAX_PEOPLE, Draft
from opsnb.control.people.names import shown
from opsnb.control.people.values import Kind
from opsnb.control.people.wanted import User, Wanted

FORMATS = ("yaml", "csv")
MAX_TEXT = 24 * 1024 * 1024  # characters of a file
MAX_ERRORS = 20  # told at once
SECTIONS = {
    "departments": ("parent", "leader"),
    "roles": ("may",),
    "users": ("display", "mail", "department", "roles", "kind", "active"),
}
TEXTS = ("display", "mail", "department")
COLUMNS = {
    "name": ("user", "username", "login", "account", "用户", "用户名", "账号", "登录名"),
    "display": ("full name", "fullname", "display name", "姓名", "显示名"),
    "mail": ("email", "e-mail", "mail address", "邮箱", "邮件"),
    "department": ("dept", "部门"),
    "roles": ("role", "角色"),
    "kind": ("type", "类型"),
    "active": ("enabled", "启用", "在职"),
}
HEADINGS = {heading: key for key, others in COLUMNS.items() for heading in (key, *others)}
OTHER_MARKS = (";", "\t", "|")  # with which some programs separate cells
YES, NO = frozenset({"true", "yes", "1", "是"}), frozenset({"false", "no", "0", "否"})


@dataclass(frozen=True, kw_only=True)
class Where:
    """A file's name, which makes the errors about it."""

    name: str

    def error(self, message: str, *, line: int | None = None, name: str = "", hint: str = "") -> UsageError:
        """Return the error that says ``message`` about a line or a dotted field."""
        at = shown(self.name) + (f" line {line}" if line is not None else "") + (f" '{shown(name)}'" if name else "")
        return UsageError(f"{at}: {message}", hint=hint)


class Errors:
    """Collects what is wrong with a file, so that it is mended in one go."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self.found: list[UsageError] = []

    @contextlib.contextmanager
    def at(self, line: int | None, name: str) -> Iterator[None]:
        """Keep what is refused inside, with its line."""
        try:
            yield
        except OpsnbError as error:
            self.found.append(self.where.error(error.message, line=line, name=name, hint=error.hint))

    def check(self) -> None:
        """Raise when something was refused.

        Raises:
            UsageError: Names the lines.
        """
        if not self.found:
            return
        if len(self.found) == 1:
            (one,) = self.found
            raise UsageError(one.message, hint=f"{one.hint}; nothing was taken over".removeprefix("; "))
        lines = [f"{e.message} ({e.hint})" if e.hint else e.message for e in self.found[:MAX_ERRORS]]
        lines += [f"and {len(self.found) - MAX_ERRORS} more"] if len(self.found) > MAX_ERRORS else []
        raise UsageError("\n".join(lines), hint="nothing was taken over")


def take(draft: Draft, text: str, kind: str, name: str) -> Wanted:
    """Return what a file wants, tried on a draft.

    Args:
        draft: What it is tried on.
        text: The file's text.
        kind: ``yaml`` or ``csv``.
        name: The file's name, for errors.

    Raises:
        UsageError: Names file, line and field of everything that is wrong.
    """
    where = Where(name=name)
    if len(text) > MAX_TEXT:
        raise where.error(f"has {len(text)} characters, at most {MAX_TEXT} are read")
    errors, wanted = Errors(where), Wanted(draft)
    if kind == "csv":
        _csv(wanted, errors, text)
    elif kind == "yaml":
        _yaml(wanted, errors, text)
    else:
        raise UsageError(f"'{shown(kind)}' is no format", hint=f"one of {', '.join(FORMATS)}")
    errors.check()
    return wanted


# -- YAML ----------------------------------------------------------------------------------------------------------


def _yaml(wanted: Wanted, errors: Errors, text: str) -> None:
    document = read_yaml(text, errors.where, limit=MAX_TEXT)
    lines = document.lines
    sections = {name: dict(_rows(errors, document.value, name, lines)) for name in SECTIONS}
    if unknown := [n for n in document.value if n not in SECTIONS]:
        hint = did_you_mean(unknown[0], SECTIONS, what="sections")
        raise errors.where.error("is no section", line=lines[unknown[0]], name=unknown[0], hint=hint)
    for name in sections["departments"]:  # first all of them, for each may name another
        with errors.at(lines.get(f"departments.{name}"), name):
            wanted.department(name)
    for name, row in sections["roles"].items():
        with errors.at(lines.get(f"roles.{name}"), name):
            wanted.role(name, _texts("may", row.get("may")))
    for name, row in sections["users"].items():
        with errors.at(lines.get(f"users.{name}"), name):
            wanted.user(_user(name, row))
    for name, row in sections["departments"].items():
        with errors.at(lines.get(f"departments.{name}"), name):
            wanted.department(
                name, **{field: _text(field, row[field]) for field in ("parent", "leader") if field in row}
            )


def _rows(errors: Errors, value: JSON, section: str, lines: Mapping[str, int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of one section, each a mapping with known fields."""
    if not isinstance(value, dict):
        raise errors.where.error("holds no mapping", line=1, hint=f"it has the sections {', '.join(SECTIONS)}")
    found = value.get(section)
    if not isinstance(found, dict | None):
        raise errors.where.error("must map names to fields", line=lines.get(section), name=section)
    for name, row in (found or {}).items():
        at, line = f"{section}.{name}", lines.get(f"{section}.{name}")
        if not isinstance(row, dict | None):
            errors.found.append(errors.where.error("must map fields to values", line=line, name=at))
            continue
        for field in row or {}:
            if field not in SECTIONS[section]:
                hint = did_you_mean(field, SECTIONS[section], what="fields")
                line = lines.get(f"{at}.{field}", line)
                errors.found.append(errors.where.error("is no field here", line=line, name=f"{at}.{field}", hint=hint))
        yield name, row or {}


def _user(name: str, row: dict[str, Any]) -> User:
    texts = {field: _text(field, row[field]) if field in row else None for field in TEXTS}
    active = row.get("active")
    if not isinstance(active, bool | None):
        raise UsageError(f"'active' is {shown(str(active))}, wanted true or false")
    roles = _texts("roles", row["roles"]) if "roles" in row else None
    return User(
        name=name, display=texts["display"], mail=texts["mail"], department=texts["department"], roles=roles,
        kind=_kind(row.get("kind")), active=active,
    )  # fmt: skip


def _text(field: str, value: JSON) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageError(f"'{field}' is {type(value).__name__}, wanted text", hint="quote it")
    return value


def _texts(field: str, value: JSON) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"'{field}' must be a list of texts", hint=f"{field}: [one, two]")
    return tuple(value)


def _kind(value: JSON) -> Kind | None:
    if value in {None, ""}:
        return None
    if value not in set(Kind):
        raise UsageError(f"'kind' is '{shown(str(value))}', wanted person or service")
    return Kind(str(value))


# -- CSV -----------------------------------------------------------------------------------------------------------


def _csv(wanted: Wanted, errors: Errors, text: str) -> None:
    if "\0" in text:
        raise errors.where.error("holds a NUL", hint="it is no table of text")
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    columns: list[str] = []
    names: dict[str, int] = {}
    for row in _lines(reader, errors):
        line = reader.line_num
        if not any(cell.strip() for cell in row):
            continue
        if not columns:
            columns = _columns(row, errors, line)
            continue
        if len(names) >= MAX_PEOPLE:
            raise errors.where.error(f"has more than {MAX_PEOPLE} users", line=line)
        cells = dict(zip(columns, (cell.strip() for cell in row), strict=False))
        with errors.at(line, cells.get("name", "")):
            if len(row) != len(columns):
                raise UsageError(f"has {len(row)} cells, wanted {len(columns)}", hint="quote cells that hold commas")
            _csv_row(wanted, cells, names, line)
    if not columns:
        raise errors.where.error("is empty", hint=f"the first row names columns: {', '.join(COLUMNS)}")


def _lines(reader: Any, errors: Errors) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise errors.where.error(
            f"is no CSV: {error}", line=reader.line_num, hint="quote cells that hold quotes"
        ) from None


def _columns(row: list[str], errors: Errors, line: int) -> list[str]:
    """Return which field each column holds."""
    found = [HEADINGS.get(" ".join(cell.lower().split()), "") for cell in row]
    if unknown := [cell for cell, key in zip(row, found, strict=True) if not key]:
        hint = did_you_mean(unknown[0], COLUMNS, what="columns")
        if len(row) == 1 and any(mark in row[0] for mark in OTHER_MARKS):
            hint = f"commas separate the columns: {','.join(COLUMNS)}"
        raise errors.where.error("is no column", line=line, name=unknown[0], hint=hint)
    if twice := [key for key in COLUMNS if found.count(key) > 1]:
        raise errors.where.error("two columns hold it", line=line, name=twice[0])
    if "name" not in found:
        raise errors.where.error("no column is called 'name'", line=line, hint=f"columns: {', '.join(COLUMNS)}")
    return found


def _csv_row(wanted: Wanted, cells: dict[str, str], names: dict[str, int], line: int) -> None:
    """Take one user; an empty cell is 'as it is'."""
    name = cells["name"]
    if name.casefold() in names:
        raise UsageError(f"stands twice, first on line {names[name.casefold()]}")
    names[name.casefold()] = line
    given = cells.get("roles", "").replace(",", ";")
    roles = tuple(part.strip() for part in given.split(";") if part.strip()) if given else None
    active = _flag(cells.get("active", ""))
    wanted.user(User(
        name=name, display=cells.get("display") or None, mail=cells.get("mail") or None,
        department=cells.get("department") or None, roles=roles, kind=_kind(cells.get("kind")), active=active,
    ))  # fmt: skip


def _flag(text: str) -> bool | None:
    if text and text.lower() not in YES | NO:
        raise UsageError(f"'active' is '{shown(text)}', wanted yes or no")
    return text.lower() in YES if text else None
