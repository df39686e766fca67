"""Limits that the system keeps: a control group for each run, where there are any (version 2, or 1).

A look at /proc every quarter of a second sees a memory hog late and a fork bomb hardly; a cgroup refuses the page or
the process itself. Where none can be made, the looks are all there is, and ``doctor`` and the record say so. Files and
their meaning: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of Linux.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsnb.control.runs.groupfiles import SYSTEM, Files

LOG = logging.getLogger("opsnb")
PREFIX = "opsnb-run-"
CONTROL = "opsnb-control"  # version 2: a group has processes or groups, so the control plane moves into one of its own
CONTROLLERS = ("memory", "pids", "cpu")
SWAP = ("memory.swap.max", "memory.memsw.limit_in_bytes")
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
    files: Files = field(default=SYSTEM, repr=False, compare=False)

    @property
    def words(self) -> str:
        """Which limits it holds, for people: ``cgroup v2: memory, pids, cpu``."""
        return f"cgroup v{self.version}: {', '.join(self.folders)}"

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
            killed = _count(self.files, f"{memory}/{events}", "oom_kill")
            words += [f"the memory limit: the system killed {killed} of the run's processes"] if killed else []
        if pids:
            refused = _count(self.files, f"{pids}/pids.events", "max")
            words += [f"the limit of processes: {refused} more were refused"] if refused else []
        return words

    def remove(self) -> None:
        """End what is left in the group, where the system does that (version 2, Linux 5.14), and remove it.

        Its processes are gone as a rule, but the system may take a moment to notice.
        """
        end = time.monotonic() + REMOVE_SECONDS
        for folder in dict.fromkeys(self.folders.values()):
            with contextlib.suppress(OSError):
                self.files.write(f"{folder}/cgroup.kill", "1")
            while self.files.there(folder):
                try:
                    self.files.remove(folder)
                except OSError:
                    if time.monotonic() > end:
                        break
                    time.sleep(0.01)


def home(*, prepare: bool = False, proc: str = "/proc/self", files: Files = SYSTEM) -> Home | None:
    """Return where groups can be made, ``None`` where they cannot.

    Args:
        prepare: Whether to hand controllers down where version 2 wants that first; moves this process.
        proc: The process whose groups are looked at.
        files: The system's files.
    """
    found = _second(files, proc, prepare=prepare) or _first(files, proc)
    if found is not None and prepare:
        for folder in dict.fromkeys(found.folders.values()):
            _remove_stale(folder, proc, files)
    return found


def _remove_stale(folder: str, proc: str, files: Files) -> None:
    """Remove the groups of supervisors that were killed; one that lives may have made its own only just now."""
    for stale in Path(folder).glob(f"{PREFIX}*"):
        if files.there(str(Path(proc).with_name(stale.name.removeprefix(PREFIX)))):
            continue
        with contextlib.suppress(OSError):  # somebody lives in it
            files.remove(str(stale))


def make(where: Home, name: str, budget: Budget, files: Files = SYSTEM) -> Group | None:
    """Make a run's group, with those limits that the system takes; ``None`` if it takes none, and nothing is left then.

    A limit that is only half set (memory without the memory of swap) counts as none: nobody should rely on it.
    """
    wanted = {controller: f"{folder}/{PREFIX}{name}" for controller, folder in where.folders.items()}
    made, holding = set(), {}
    for controller, folder in wanted.items():
        try:
            if folder not in made:
                files.make(folder)
                made.add(folder)
            for file, value in budget.rows(where.version, controller):
                if not file.endswith(SWAP) or files.there(f"{folder}/{file}"):  # no swap accounting, as a rule
                    files.write(f"{folder}/{file}", str(value))
            holding[controller] = folder
        except OSError as error:
            LOG.warning("control group %s: %s: %s", folder, controller, error)
    for folder in made - set(holding.values()):
        Group(version=where.version, folders={"": folder}, files=files).remove()
    return Group(version=where.version, folders=holding, files=files) if holding else None


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


def _first(files: Files, proc: str) -> Home | None:
    """Version 1: each controller has a hierarchy of its own."""
    own = {name: path for _, names, path in _own(files, proc) for name in names.split(",")}
    folders = {}
    for kind, root, point, options in _mounts(files, proc):
        for controller in set(CONTROLLERS) & set(options) if kind == "cgroup" else ():
            folder = _below(point, root, own.get(controller, "/"))
            if files.writable(folder) and files.there(f"{folder}/cgroup.procs"):
                folders[controller] = folder
    found = {controller: folders[controller] for controller in CONTROLLERS if controller in folders}
    return Home(version=1, folders=found) if {"memory", "pids"} & set(found) else None


def _second(files: Files, proc: str, *, prepare: bool) -> Home | None:
    """Version 2: one hierarchy, and a group hands its controllers down."""
    own = next((path for number, _, path in _own(files, proc) if number == "0"), None)
    mount = next(((root, point) for kind, root, point, _ in _mounts(files, proc) if kind == "cgroup2"), None)
    if own is None or mount is None:
        return None
    folder = _below(mount[1], mount[0], own.removesuffix(f"/{CONTROL}") or "/")
    wanted = [name for name in CONTROLLERS if name in _words(files, f"{folder}/cgroup.controllers")]
    if not wanted or not files.writable(f"{folder}/cgroup.subtree_control"):
        return None
    if prepare:
        _hand_down(files, folder, [n for n in wanted if n not in _words(files, f"{folder}/cgroup.subtree_control")])
    given = [name for name in wanted if name in _words(files, f"{folder}/cgroup.subtree_control")]
    return Home(version=2, folders=dict.fromkeys(given, folder)) if given else None


def _hand_down(files: Files, folder: str, wanted: list[str]) -> None:
    """Give a group's controllers to the groups in it; only where this process is alone in it (a service of its own).

    Each by itself: one that the system keeps for now (cpu, while real-time processes run) spares the others.
    """
    if not wanted:
        return
    try:
        if files.there(f"{folder}/cgroup.type"):  # not the root, which may have both
            if set(_words(files, f"{folder}/cgroup.procs")) - {str(os.getpid())}:
                return
            if not files.there(f"{folder}/{CONTROL}"):
                files.make(f"{folder}/{CONTROL}")
            files.write(f"{folder}/{CONTROL}/cgroup.procs", str(os.getpid()))
    except OSError as error:
        LOG.warning("control group %s: %s", folder, error)
        return
    for name in wanted:
        try:
            files.write(f"{folder}/cgroup.subtree_control", f"+{name}")
        except OSError as error:
            LOG.warning("control group %s: %s is not handed down: %s", folder, name, error)


def _own(files: Files, proc: str) -> list[tuple[str, str, str]]:
    """Return (number, controllers, path) of each hierarchy that a process is in."""
    with contextlib.suppress(OSError):
        lines = files.read(f"{proc}/cgroup").splitlines()
        return [(a, b, c) for a, b, c in (line.split(":", 2) for line in lines)]
    return []


def _mounts(files: Files, proc: str) -> list[tuple[str, str, str, list[str]]]:
    """Return (type, root, mount point, super options) of each cgroup mount (proc_pid_mountinfo(5))."""
    rows = []
    with contextlib.suppress(OSError):
        for line in files.read(f"{proc}/mountinfo").splitlines():
            left, _, right = line.partition(" - ")
            words, (kind, _, options) = left.split(), right.split(" ", 2)
            if kind in {"cgroup", "cgroup2"}:
                rows.append((kind, words[3], words[4], options.split(",")))
    return rows


def _below(point: str, root: str, own: str) -> str:
    """Return where a group's directory is, of a mount that may begin below the hierarchy's root."""
    inside = own[len(root) :] if root != "/" and own.startswith(root) else own
    return point + inside.rstrip("/") if inside != "/" else point


def _words(files: Files, path: str) -> list[str]:
    try:
        return files.read(path).split()
    except OSError:
        return []


def _count(files: Files, path: str, name: str) -> int:
    try:
        match = re.search(rf"^{name} (\d+)$", files.read(path), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0
