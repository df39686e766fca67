"""What differs between two revisions, as rows for people: settings, policies, hosts, groups, notebooks, files.

Rules without I/O: texts and values in, rows out. Host keys are shown by their fingerprints; what looks like a secret is
not shown at all (:mod:`.hidden`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

from opsnb.control.revision import cells, hidden
from opsnb.control.revision.values import Part, part_of
from opsnb.fleet.inventory import Inventory, fingerprint

MAX_LINES = 200  # shown of one row
UNSAID = frozenset({"name", "path", "line", "own", "origins", "members"})  # what follows from the rest, or is no fact
KEYS = "keys"
REFERENCES = frozenset({"secret", "passphrase", "certificate", "credential", "sudo_secret"})  # names, never values


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that differs.

    Args:
        kind: ``setting``, ``policy``, ``host``, ``group``, ``service``, ``credential``, ``notebook``, ``script``,
            ``schedules``, ``configs``, or ``inventory`` where it cannot be read.
        name: What it is called.
        what: ``new``, ``gone`` or ``changed``.
        lines: How, in words.
    """

    kind: str
    name: str
    what: str
    lines: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Row]:
    """Return which settings and policies differ, given what the two files hold."""
    rows = _named("setting", {k: v for k, v in old.items() if k != "policies"},
                  {k: v for k, v in new.items() if k != "policies"})  # fmt: skip
    before, after = (_mapping(v.get("policies")) for v in (old, new))
    rows += _named("policy", before, after)
    order = [name for name in after if name in before]
    if order != [name for name in before if name in after]:
        rows.append(Row(kind="policy", name="policies", what="changed", lines=(f"their order is {', '.join(after)}",)))
    return rows


def inventory(old: Inventory, new: Inventory) -> list[Row]:
    """Return which hosts, groups, services and credentials differ."""
    return [
        *_named("host", old.hosts, new.hosts), *_named("group", old.groups, new.groups),
        *_named("service", old.services, new.services), *_named("credential", old.credentials, new.credentials),
        *_twins(old, new),
    ]  # fmt: skip


def _twins(old: Inventory, new: Inventory) -> list[Row]:
    """Return the machines that have come to stand in several environments under several names: a policy each."""
    before = set(_places(old))
    said = [f"{' and '.join(names)} are one machine" for names in _places(new) if names not in before]
    return [Row(kind="inventory", name="one machine in several environments", what="changed", lines=_bounded(said))] * (
        said != []
    )


def _places(found: Inventory) -> list[tuple[str, ...]]:
    """Return the names, with their environments, of each machine that has several of both: by address, or by key."""
    known: dict[Any, dict[str, str]] = {}
    for host in found.hosts.values():
        marks: list[Any] = [("local",)] if host.transport == "local" else list(host.keys)
        if host.transport == "ssh":
            marks.append((host.address.casefold() or host.name, host.port, host.via))
        for mark in marks:
            known.setdefault(mark, {})[host.name] = f"{host.name} ({host.environment or 'no environment'})"
    places = {name: host.environment for name, host in found.hosts.items()}
    several = [names for names in known.values() if len({places[name] for name in names}) > 1]
    return list(dict.fromkeys(tuple(sorted(names.values())) for names in several))


def files(
    paths: Iterable[str], old: Mapping[str, str], new: Mapping[str, str], content: Callable[[str], bytes]
) -> list[Row]:
    """Return how files differ.

    Args:
        paths: Those that do.
        old: Path to digest before.
        new: Path to digest now.
        content: Digest to bytes.
    """
    rows = []
    for path in paths:
        part = part_of(path)
        if path not in old or path not in new:
            rows.append(Row(kind=part.value, name=path, what="gone" if path in old else "new"))
            continue
        compare = cells.notebook if part is Part.NOTEBOOK else cells.text
        said = compare(content(old[path]), content(new[path]))
        rows.append(Row(kind=part.value, name=path, what="changed", lines=_bounded(said)))
    return rows


def _named(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Row]:
    rows = []
    for name in (*new, *(n for n in old if n not in new)):
        if name in old and name in new and old[name] == new[name]:
            continue
        what = "new" if name not in old else "gone" if name not in new else "changed"
        said = tuple(_said(kind, name, old.get(name), new.get(name)))
        if said or what != "changed":
            rows.append(Row(kind=kind, name=name, what=what, lines=_bounded(said)))
    return rows


def _said(kind: str, name: str, old: Any, new: Any) -> Iterable[str]:
    bare = old is None or new is None  # then what is as it is by default goes without saying
    before, after = (_flat(_plain(v, bare=bare)) for v in (old, new))
    for key in dict.fromkeys((*before, *after)):
        one, other = before.get(key), after.get(key)
        if one == other:
            continue
        if key == KEYS:
            yield from _keys(one or (), other or ())
            continue
        shown = key.split(".", 1)[0] in REFERENCES and kind in {"host", "group", "credential"}
        at = "" if shown else f"{name}.{key}" if kind == "setting" else key
        was, now = hidden.value(at, one), hidden.value(at, other)
        label = f"{key}: " if key else ""
        if old is None:
            yield f"{label}{now}"
        elif new is not None:
            yield f"{label}was {was}, is {now}" if was != now else f"{label}changed {hidden.NOT_SHOWN}"


def _keys(old: Iterable[str], new: Iterable[str]) -> Iterable[str]:
    before, after = list(old), list(new)
    yield from (f"key {_print(key)} is no longer trusted" for key in before if key not in after)
    yield from (f"key {_print(key)} is trusted" for key in after if key not in before)


def _print(key: str) -> str:
    return f"{fingerprint(key)} ({key.split(maxsplit=1)[0]})"


def _plain(value: Any, *, bare: bool) -> Any:
    if not is_dataclass(value) or isinstance(value, type):
        return value
    usual = {f.name: f.default for f in fields(value)} if bare else {}
    said = {k: v for k, v in vars(value).items() if k not in UNSAID and v not in ("", (), {}, None)}
    return {k: v for k, v in said.items() if k not in usual or v != usual[k]}


def _flat(value: Any, at: str = "") -> dict[str, Any]:
    """Return leaves by dotted name; a list of plain values is one leaf."""
    if isinstance(value, Mapping):
        inside = [(str(key), found) for key, found in value.items()]
    elif isinstance(value, list | tuple) and any(isinstance(v, Mapping | list | tuple) for v in value):
        inside = [(str(number), found) for number, found in enumerate(value, 1)]
    else:
        return {} if value is None and not at else {at: value}
    found: dict[str, Any] = {}
    for key, leaf in inside:
        found |= _flat(leaf, f"{at}.{key}" if at else key)
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _bounded(lines: Iterable[str]) -> tuple[str, ...]:
    rows = tuple(lines)
    return rows if len(rows) <= MAX_LINES else (*rows[:MAX_LINES], f"… {len(rows) - MAX_LINES} more lines")
