"""Limits that the system keeps: a control group for each run, where there are any (version 2, or 1).

A look at /proc every quarter of a second sees a memory hog late and a fork bomb hardly; a cgroup refuses the page or
the process itself. Where none can be made, the looks are all there is, and ``doctor`` and the record say so. Files and
their meaning: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of Linux.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "opsnb-run-"
CONTROL = "opsnb-control"  # version 2: a group has processes or groups, so the control plane moves into one of its own
CONTROLLERS = ("memory", "pids", "cpu")
REMOVE_SECONDS = 2.0  # how long a group may stay busy after its last process was reaped


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a run's processes may use together: bytes, processes and threads; of CPU they share one usual share."""

    memory: int
    processes: int

    def rows(self, version: int, controller: str) -> tuple[tuple[str, int], ...]:
        """Return the files of a controller and what to write into each, in order."""
        return {
            (2, "memory"): (("memory.max", self.memory), ("memory.swap.max", 0)),
            (1, "memory"): (("memory.limit_in_bytes", self.memory), ("memory.memsw.limit_in_bytes", self.memory)),
            (2, "cpu"): (("cpu.weight", 100),),
            (1, "cpu"): (("cpu.shares", 1024),),
        }.get((version, controller), (("pids.max", self.processes),))


@dataclass(frozen=True, kw_only=True)
class Home:
    """Where groups can be made: the directory for each controller; of version 2, one for all of them."""

    version: int
    folders: Mapping[str, str]

    @property
    def words(self) -> str:
        """What it holds, for people: ``cgroup v2: memory, pids, cpu``."""
        return f"cgroup v{self.version}: {', '.join(self.folders)}"


@dataclass(frozen=True, kw_only=True)
class Group:
    """The control group of one run: a directory for each controller."""

    version: int
    folders: Mapping[str, str]

    @property
    def entries(self) -> tuple[str, ...]:
        """The files into which a process writes 0 to be in the group."""
        return tuple(dict.fromkeys(f"{folder}/cgroup.procs" for folder in self.folders.values()))

    def reached(self) -> list[str]:
        """Return which limits were reached, as words."""
        memory, pids = self.folders.get("memory"), self.folders.get("pids")
        words = []
        if memory:
            events = "memory.events" if self.version == 2 else "memory.oom_control"  # noqa: PLR2004
            killed = _count(f"{memory}/{events}", "oom_kill")
            words += [f"the memory limit: the system killed {killed} of the run's processes"] if killed else []
        if pids:
            refused = _count(f"{pids}/pids.events", "max")
            words += [f"the limit of processes: {refused} more were refused"] if refused else []
        return words

    def remove(self) -> None:
        """Remove the group; its processes are gone, but the system may take a moment to notice."""
        end = time.monotonic() + REMOVE_SECONDS
        for folder in dict.fromkeys(self.folders.values()):
            while Path(folder).exists():
                try:
                    Path(folder).rmdir()
                except OSError:
                    if time.monotonic() > end:
                        break
                    time.sleep(0.01)


def home(*, prepare: bool = False, proc: str = "/proc/self") -> Home | None:
    """Return where groups can be made, ``None`` where they cannot.

    Args:
        prepare: Whether to hand controllers down where version 2 wants that first; moves this process.
        proc: The process whose groups are looked at.
    """
    found = _second(prepare=prepare, proc=proc) or _first(proc)
    if found is not None and prepare:
        for folder in dict.fromkeys(found.folders.values()):
            for stale in Path(folder).glob(f"{PREFIX}*"):  # of a supervisor that was killed
                with contextlib.suppress(OSError):  # somebody lives in it
                    stale.rmdir()
    return found


def make(where: Home, name: str, budget: Budget) -> Group | None:
    """Make a run's group; ``None`` if the system refuses, and then nothing is left of it."""
    folders = {controller: f"{folder}/{PREFIX}{name}" for controller, folder in where.folders.items()}
    group = Group(version=where.version, folders=folders)
    try:
        for folder in dict.fromkeys(folders.values()):
            Path(folder).mkdir()
        for controller, folder in folders.items():
            for file, value in budget.rows(where.version, controller):
                path = Path(folder, file)
                if path.exists():  # no swap accounting, as a rule
                    path.write_text(str(value), encoding="ascii")
    except OSError:
        group.remove()
        return None
    return group


def enter(entries: tuple[str, ...]) -> None:
    """Put this process, and all that it will start, into a group."""
    for path in entries:
        Path(path).write_text("0", encoding="ascii")


def as_json(where: Home | None, budget: Budget) -> dict[str, Any] | None:
    """Return a home and a budget as a JSON object, for a supervisor."""
    if where is None:
        return None
    return {"version": where.version, "folders": dict(where.folders), "memory": budget.memory,
            "processes": budget.processes}  # fmt: skip


def from_json(value: dict[str, Any]) -> tuple[Home, Budget]:
    """Read what :func:`as_json` wrote."""
    where = Home(version=value["version"], folders=value["folders"])
    return where, Budget(memory=value["memory"], processes=value["processes"])


def _first(proc: str) -> Home | None:
    """Version 1: each controller has a hierarchy of its own."""
    own = {name: path for _, names, path in _own(proc) for name in names.split(",")}
    folders = {}
    for kind, root, point, options in _mounts(proc):
        for controller in set(CONTROLLERS) & set(options) if kind == "cgroup" else ():
            folder = _below(point, root, own.get(controller, "/"))
            if os.access(folder, os.W_OK) and Path(folder, "cgroup.procs").exists():
                folders[controller] = folder
    found = {controller: folders[controller] for controller in CONTROLLERS if controller in folders}
    return Home(version=1, folders=found) if {"memory", "pids"} & set(found) else None


def _second(*, prepare: bool, proc: str) -> Home | None:
    """Version 2: one hierarchy, and a group hands its controllers down."""
    own = next((path for number, _, path in _own(proc) if number == "0"), None)
    mount = next(((root, point) for kind, root, point, _ in _mounts(proc) if kind == "cgroup2"), None)
    if own is None or mount is None:
        return None
    folder = Path(_below(mount[1], mount[0], own.removesuffix(f"/{CONTROL}") or "/"))
    wanted = [name for name in CONTROLLERS if name in _words(folder / "cgroup.controllers")]
    if not wanted or not os.access(folder / "cgroup.subtree_control", os.W_OK):
        return None
    if prepare and not set(wanted) <= set(_words(folder / "cgroup.subtree_control")):
        _hand_down(folder, wanted)
    given = [name for name in wanted if name in _words(folder / "cgroup.subtree_control")]
    return Home(version=2, folders=dict.fromkeys(given, str(folder))) if given else None


def _hand_down(folder: Path, wanted: list[str]) -> None:
    """Give a group's controllers to the groups in it; only where this process is alone in it (a service of its own)."""
    with contextlib.suppress(OSError):
        if Path(folder, "cgroup.type").exists():  # not the root, which may have both
            if set(_words(folder / "cgroup.procs")) - {str(os.getpid())}:
                return
            leaf = folder / CONTROL
            leaf.mkdir(exist_ok=True)
            (leaf / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted), encoding="ascii")


def _own(proc: str) -> list[tuple[str, str, str]]:
    """Return (number, controllers, path) of each hierarchy that a process is in."""
    with contextlib.suppress(OSError):
        lines = Path(proc, "cgroup").read_text(encoding="utf-8").splitlines()
        return [(a, b, c) for a, b, c in (line.split(":", 2) for line in lines)]
    return []


def _mounts(proc: str) -> list[tuple[str, str, str, list[str]]]:
    """Return (type, root, mount point, super options) of each cgroup mount (proc_pid_mountinfo(5))."""
    rows = []
    with contextlib.suppress(OSError):
        for line in Path(proc, "mountinfo").read_text(encoding="utf-8").splitlines():
            left, _, right = line.partition(" - ")
            words, (kind, _, options) = left.split(), right.split(" ", 2)
            if kind in {"cgroup", "cgroup2"}:
                rows.append((kind, words[3], words[4], options.split(",")))
    return rows


def _below(point: str, root: str, own: str) -> str:
    """Return where a group's directory is, of a mount that may begin below the hierarchy's root."""
    inside = own[len(root) :] if root != "/" and own.startswith(root) else own
    return point + inside.rstrip("/") if inside != "/" else point


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []


def _count(path: str, name: str) -> int:
    match = re.search(rf"^{name} (\d+)$", "\n".join(_lines(path)), re.MULTILINE)
    return int(match[1]) if match else 0


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return []
