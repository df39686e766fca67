"""Coverage: every run that ended is recorded, every record is there, and every folder is covered. Rules without I/O.

* ``run.finished`` is followed by ``run.recorded`` or ``run.unrecorded``; the latter alone ends a run as well.
* The folder that ``run.recorded`` names is there, and no folder is there that none names.
* A run that was claimed and has not ended is open. While ``.incoming/`` holds its folder it is being worked on, this
  run among them; without one nobody works on it. A run that is still being written is not a gap.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from opsnb.kits.audit.entries import Entry
from opsnb.kits.audit.trail import Trail


@dataclass(frozen=True, kw_only=True)
class RunLife:
    """What the ledger says of one run; times are UTC, ``None`` for what did not happen.

    ``changes`` maps a change's number to its outcome; an empty one was begun and has none.
    """

    run: str
    request: str = ""
    mode: str = ""
    claimed: datetime | None = None
    finished: datetime | None = None
    verdict: str = ""
    path: str = ""
    recorded: int | None = None  # the entry's index
    unrecorded: bool = False
    changes: dict[int, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether the ledger knows its end."""
        return self.finished is not None or self.unrecorded


@dataclass(frozen=True, kw_only=True)
class Uncovered:
    """One thing that is not covered: the run or folder, what is missing, and since when."""

    about: str
    what: str
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Every run in its place.

    Args:
        ended: Runs that ended.
        covered: Ended runs whose record is there, or of which the ledger says that it could not be kept.
        unrecorded: Of these, the ones without a record.
        working: Runs that are not over and are being worked on, this one among them.
        abandoned: Runs that were claimed, have no end, and nobody works on.
        uncovered: What is not covered.
    """

    ended: tuple[RunLife, ...] = ()
    covered: tuple[RunLife, ...] = ()
    unrecorded: tuple[RunLife, ...] = ()
    working: tuple[RunLife, ...] = ()
    abandoned: tuple[RunLife, ...] = ()
    uncovered: tuple[Uncovered, ...] = ()


def run_lives(entries: Iterable[Entry]) -> dict[str, RunLife]:
    """Return what the entries say of each run, in the order of their first mention."""
    lives: dict[str, RunLife] = {}
    for entry in entries:
        if entry.run:
            life = lives.get(entry.run) or RunLife(run=entry.run)
            lives[entry.run] = _with(life, entry)
    return lives


def coverage(trail: Trail) -> Coverage:
    """Return which runs of a trail are covered, open, or not covered."""
    return coverage_of(trail.entries, trail.folders, trail.staging)


def coverage_of(entries: Iterable[Entry], folders: Collection[str], staging: Collection[str]) -> Coverage:
    """Return the coverage of these entries by these folders; ``staging`` names the runs that are being written."""
    lives, there = run_lives(entries), set(folders)
    ended: list[RunLife] = []
    working: list[RunLife] = []
    abandoned: list[RunLife] = []
    covered: list[RunLife] = []
    uncovered: list[Uncovered] = []
    for life in lives.values():
        missing = _missing(life, there)
        if not life.ended:
            (working if life.run in staging else abandoned).append(life)
        elif missing and life.run in staging:
            working.append(life)
        else:
            ended.append(life)
            if missing:
                uncovered.append(Uncovered(about=life.run, what=missing, at=life.finished))
            else:
                covered.append(life)
    known = {life.path for life in lives.values()}
    extra = (folder for folder in sorted(there - known) if folder.rpartition("/")[2] not in staging)
    uncovered += [Uncovered(about=folder, what="no entry covers this folder") for folder in extra]
    return Coverage(
        ended=tuple(ended), covered=tuple(covered), unrecorded=tuple(r for r in covered if not r.path),
        working=tuple(working), abandoned=tuple(abandoned), uncovered=tuple(uncovered),
    )  # fmt: skip


def _missing(life: RunLife, folders: set[str]) -> str:
    if life.path:
        return "" if life.path in folders else "its folder is missing"
    return "" if life.unrecorded else "finished, and neither run.recorded nor run.unrecorded"


def _with(life: RunLife, entry: Entry) -> RunLife:
    said = entry.fields
    found: dict[str, Any] = {}
    if entry.kind == "run.claimed":
        found = {"claimed": entry.at, "request": entry.request, "mode": str(said.get("mode", ""))}
    elif entry.kind == "run.finished":
        found = {
            "finished": entry.at, "request": entry.request, "mode": str(said.get("mode", "")),
            "verdict": str(said.get("verdict", "")),
        }  # fmt: skip
    elif entry.kind == "run.recorded":
        found = {"path": str(said.get("path", "")), "recorded": entry.index}
    elif entry.kind == "run.unrecorded":
        found = {"unrecorded": True}
    elif entry.kind in {"intent.opened", "intent.closed"} and isinstance(number := said.get("change"), int):
        found = {"changes": {**life.changes, number: str(said.get("outcome", ""))}}
    return replace(life, **found) if found else life
