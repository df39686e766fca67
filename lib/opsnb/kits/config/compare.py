"""Compares files: between hosts, between the one place and hosts, between environments. Rules only, on what was read.

Rules:

* Contents are compared to the byte, modes and owners beside them. What one host has more often than any other is usual;
  a host with something else is odd. Where two are equally common, both are shown; where each of three or more hosts has
  its own, as ``/etc/hosts``, nobody is odd.
* A sensitive file, and one that is not in the manifest and that not everybody may read, is compared and shown as a
  keyed hash.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opsnb.base.canonical import JSON, digest
from opsnb.base.errors import UsageError
from opsnb.base.plan import state_lines
from opsnb.kits.config import hiding
from opsnb.kits.config.reading import Found
from opsnb.kits.files.states import State

OTHERS_READ = 0o004
MAX_LINES = 120  # lines of one difference that are shown
MAX_SIDE = 4000  # lines of one side that are compared; the comparison is quadratic in the worst case
SAME, DIFFERS, MISSING, REFUSED = "same", "differs", "missing", "refused"
ABSENT, OWN = "absent", "own"  # nobody has it, or nobody should; each host has its own
FINE = frozenset({SAME, ABSENT, OWN})
ENOUGH = 3  # hosts: where so many agree in nothing, the file is made for each host


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What hosts have at some paths.

    Args:
        found: Path to host to what lies there; contents of guarded files are hidden.
        unread: Host to why it was not read.
        expected: Path to host to what the one place says; empty without a service.
        guarded: Paths whose contents are hidden.
    """

    found: Mapping[str, Mapping[str, Found]]
    unread: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, Mapping[str, State]] = field(default_factory=dict)
    guarded: frozenset[str] = frozenset()

    @property
    def hosts(self) -> list[str]:
        """The hosts that were read, in order."""
        return list(dict.fromkeys(host for row in self.found.values() for host in row))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One file on one host, compared.

    Args:
        path: The file.
        host: The host.
        verdict: ``same``, ``differs``, ``missing``, ``refused``, ``absent`` or ``own``.
        how: In what it differs, for the reader.
        against: What it was compared with, for the reader.
        group: Letter of the hosts that have the same content; empty without a file.
    """

    path: str
    host: str
    verdict: str
    how: str = ""
    against: str = ""
    group: str = ""


def guard(path: str, found: Mapping[str, Found], sensitive: Mapping[str, bool]) -> bool:
    """Return whether a path's contents are hidden: as the manifest says, else when some host hides it from others."""
    if path in sensitive:
        return sensitive[path]
    states = [one.state for one in found.values() if one.state is not None]
    return any(not int(state["mode"], 8) & OTHERS_READ for state in states)


def compare(survey: Survey, reference: str = "") -> list[Cell]:
    """Return every file on every host, compared with the one place where it is there, else with what is usual.

    Args:
        survey: What was read.
        reference: The host that is right; empty: what most hosts have.

    Raises:
        UsageError: If the reference was not read.
    """
    if reference and reference not in survey.hosts:
        raise UsageError(f"reference: host '{reference:.100}' was not read", hint=f"one of: {', '.join(survey.hosts)}")
    return [cell for path in survey.found for cell in _row(survey, path, reference)]


def difference(survey: Survey, cell: Cell, cells: Sequence[Cell], reference: str = "") -> str:
    """Return the unified difference of one odd file against what it was compared with; hashes for a guarded one."""
    found = survey.found[cell.path][cell.host]
    if found.refused:
        return f"{cell.host}: {found.refused}"
    wanted, name = _other(survey, cell, cells, reference)
    state = found.state
    if state is not None and wanted is not None:  # what nobody asks for is no difference
        state = {key: value for key, value in state.items() if key in wanted}
    return unified(wanted, state, f"{name}: {cell.path}", f"{cell.host}: {cell.path}")


def unified(one: JSON, other: JSON, first: str, second: str) -> str:
    """Return a unified difference of two states, at most ``MAX_LINES`` lines."""
    old, new = (state_lines(side)[:MAX_SIDE] for side in (one, other))
    rows = list(difflib.unified_diff(old, new, first, second, n=3, lineterm=""))
    left = len(rows) - MAX_LINES
    if not rows and one != other:
        rows = ["(only the ends of lines differ, or lines after the first 4000)"]
    return "\n".join(rows[:MAX_LINES] + ([f"... and {left} more lines"] if left > 0 else []))


def apart(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that are not the same, one for each path and group: hosts with the same oddity look alike."""
    seen: set[tuple[str, str, str]] = set()
    found = []
    for cell in cells:
        key = (cell.path, cell.verdict, cell.group if not cell.against.startswith("configs/") else cell.host)
        if cell.verdict not in FINE and key not in seen:
            seen.add(key)
            found.append(cell)
    return found


def _row(survey: Survey, path: str, reference: str) -> list[Cell]:
    groups = _groups(survey.found[path])
    cells = []
    for host, found in survey.found[path].items():
        letter = groups.get(host, "")
        wanted, against = _wanted(survey, path, host, reference)
        if found.refused:
            verdict, how = REFUSED, found.refused
        elif found.state is None:
            verdict, how = (ABSENT, "") if wanted is None and against else (MISSING, "")
        elif not against and _each_its_own(survey.found[path]):
            verdict, how = OWN, "each host has its own"
        elif not against:
            verdict, how = (DIFFERS, "no value is the usual one")
        elif wanted is None:
            verdict, how = DIFFERS, "the others have none"
        else:
            how = _how(found.state, wanted)
            verdict = DIFFERS if how else SAME
        cells.append(Cell(path=path, host=host, verdict=verdict, how=how, against=against, group=letter))
    return cells


def _wanted(survey: Survey, path: str, host: str, reference: str) -> tuple[State | None, str]:
    """Return what a file should be and what that is called; no name where nothing is the usual one."""
    if host in survey.expected.get(path, {}):
        return survey.expected[path][host], "configs/"
    if reference:
        one = survey.found[path][reference]
        return one.state, f"host {reference}"
    states = {h: one.state for h, one in survey.found[path].items() if not one.refused}
    counts = Counter(digest(state) for state in states.values()).most_common(2)
    if not counts or (len(counts) > 1 and counts[0][1] == counts[1][1]):
        return None, ""
    return next(s for s in states.values() if digest(s) == counts[0][0]), f"{counts[0][1]} of {len(states)} hosts"


def _other(survey: Survey, cell: Cell, cells: Sequence[Cell], reference: str) -> tuple[State | None, str]:
    """Return what one odd cell is shown against: where nothing is usual, the first host that has another group."""
    wanted, against = _wanted(survey, cell.path, cell.host, reference)
    if against:
        return wanted, against
    for one in cells:
        if one.path == cell.path and one.group != cell.group and one.verdict != REFUSED:
            return survey.found[cell.path][one.host].state, f"host {one.host}"
    return None, "nothing"


def _each_its_own(found: Mapping[str, Found]) -> bool:
    contents = [_content(one.state) for one in found.values() if one.state is not None]
    return len(contents) >= ENOUGH and len(set(contents)) == len(contents)


def _how(state: State, wanted: State) -> str:
    """Return in what two files differ: content, mode, owner; what is not wanted is not compared."""
    words = ["content" for name in ("content", "hidden") if name in wanted and state.get(name) != wanted[name]]
    if wanted.get("mode", state["mode"]) != state["mode"]:
        words.append(f"mode {state['mode']}, not {wanted['mode']}")
    if wanted.get("owner", state.get("owner")) != state.get("owner"):
        words.append(f"owner {state.get('owner')}, not {wanted['owner']}")
    return "; ".join(words)


def _groups(found: Mapping[str, Found]) -> dict[str, str]:
    """Return host to the letter of its content, the commonest first."""
    contents = {host: _content(one.state) for host, one in found.items() if one.state is not None}
    ranked = [content for content, _ in Counter(contents.values()).most_common()]
    return {host: _letter(ranked.index(content)) for host, content in contents.items()}


def _content(state: State | None) -> str:
    return (state or {}).get("content", (state or {}).get("hidden", ""))


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"A{number}"  # noqa: PLR2004  (letters)


def hidden(found: Mapping[str, Found]) -> dict[str, Found]:
    """Return what was found with its contents as keyed hashes."""
    return {host: Found(state=hiding.hide(f.state), refused=f.refused, directory=f.directory)
            for host, f in found.items()}  # fmt: skip
