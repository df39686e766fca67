"""Control groups of version 2 that are not there: the protocol of its files, and a system that refuses on demand.

The rules are those of Documentation/admin-guide/cgroup-v2.rst: controllers come from above, no processes in a group that
hands any down (but the root), a group goes only when it is empty. ``test_groups.py`` holds the same contract
against the real thing.
"""

from __future__ import annotations

import errno
import os

NUMBERS = {  # the files of a controller that are written, with what they hold at first
    "memory": {"memory.max": "max", "memory.swap.max": "max", "memory.events": "low 0\noom 0\noom_kill 0\n"},
    "pids": {"pids.max": "max", "pids.events": "max 0\n"}, "cpu": {"cpu.weight": "100"}, "hugetlb": {},
}  # fmt: skip
POINT = "/cg"


def refused(code: int, path: str) -> OSError:
    """Return the system's refusal."""
    return OSError(code, os.strerror(code), path)


class Hierarchy:
    """One hierarchy, mounted at ``POINT``.

    Args:
        controllers: What the root has.
        own: The group of the process that looks at ``/proc/self``.
        delegated: The group below which anything may be written; everything.
        beside: Pids of others in the same group.
    """

    def __init__(
        self, controllers: str, own: str = "/", delegated: str = "/", beside: tuple[int, ...] = ()
    ) -> None:  # fmt: skip
        self.controllers, self.delegated = controllers.split(), delegated
        self.groups: dict[str, set[int]] = {"/": set()}
        self.given: dict[str, list[str]] = {}
        self.values: dict[str, str] = {}
        self.gone: list[str] = []  # files that this system does not have
        self.refusals: dict[str, int] = {}  # end of a path, or path and value: the error with which it is refused
        self.written: list[tuple[str, str]] = []
        for depth in range(1, len(own.strip("/").split("/")) + 1) if own != "/" else ():
            group = "/" + "/".join(own.strip("/").split("/")[:depth])
            self.given[self._above(group)] = list(self.controllers)
            self.groups[group] = set()
        self.groups[own] = {os.getpid(), *beside}

    # -- the six verbs ---------------------------------------------------------------------------------------------

    def read(self, path: str) -> str:
        """Return a file's text."""
        if path == "/proc/self/cgroup":
            return f"0::{next(g for g, pids in self.groups.items() if os.getpid() in pids)}\n"
        if path == "/proc/self/mountinfo":
            return f"30 25 0:26 / {POINT} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
        group, name = self._split(path)
        if not self.there(path):
            raise refused(errno.ENOENT, path)
        if name == "cgroup.controllers":
            return " ".join(self._has(group)) + "\n"
        if name == "cgroup.subtree_control":
            return " ".join(self.given.get(group, ())) + "\n"
        if name == "cgroup.procs":
            return "".join(f"{pid}\n" for pid in sorted(self.groups[group]))
        return self.values.get(path, NUMBERS[name.partition(".")[0]][name])

    def write(self, path: str, text: str) -> None:
        """Do what a write tells the system."""
        group, name = self._split(path)
        self._refuse(path, text)
        if not self.there(path):
            raise refused(errno.ENOENT, path)
        if not self.writable(path):
            raise refused(errno.EACCES, path)
        self.written.append((path.removeprefix(POINT), text))
        if name == "cgroup.procs":
            self._move(int(text) or os.getpid(), group, path)
        elif name == "cgroup.kill":
            for inside in self.groups:
                if inside == group or inside.startswith(f"{group}/"):
                    self.groups[inside].clear()
        elif name == "cgroup.subtree_control":
            self._hand_down(group, text, path)
        else:
            self.values[path] = text

    def there(self, path: str) -> bool:
        """Whether there is such a file or group."""
        if path.removeprefix(POINT) in self.groups:
            return True
        group, name = self._split(path)
        if group not in self.groups or name in self.gone:
            return False
        common = {"cgroup.controllers", "cgroup.subtree_control", "cgroup.procs"}
        below = {"cgroup.type", "cgroup.kill", "cgroup.events"} if group != "/" else set()
        controller = name.partition(".")[0]
        return name in common | below or (
            group != "/" and controller in self._has(group) and name in NUMBERS[controller]
        )  # fmt: skip

    def writable(self, path: str) -> bool:
        """Whether we may write to it."""
        return f"{path.removeprefix(POINT)}/".startswith(f"{self.delegated.rstrip('/')}/")

    def make(self, path: str) -> None:
        """Make a group."""
        group = path.removeprefix(POINT)
        self._refuse(path, "")
        if group in self.groups:
            raise refused(errno.EEXIST, path)
        if not self.writable(path):
            raise refused(errno.EACCES, path)
        self.groups[group] = set()

    def remove(self, path: str) -> None:
        """Remove an empty group."""
        group = path.removeprefix(POINT)
        self._refuse(path, "")
        if group not in self.groups:
            raise refused(errno.ENOENT, path)
        if self.groups[group] or any(g.startswith(f"{group}/") for g in self.groups):
            raise refused(errno.EBUSY, path)
        del self.groups[group]

    # -- the rules -------------------------------------------------------------------------------------------------

    def _refuse(self, path: str, text: str) -> None:
        for what, code in self.refusals.items():
            if f"{path} {text}".endswith(what):
                raise refused(code, path)

    def _has(self, group: str) -> list[str]:
        return self.controllers if group == "/" else self.given.get(self._above(group), [])

    def _move(self, pid: int, group: str, path: str) -> None:
        if group != "/" and self.given.get(group):
            raise refused(errno.EBUSY, path)  # no internal processes
        for pids in self.groups.values():
            pids.discard(pid)
        self.groups[group].add(pid)

    def _hand_down(self, group: str, text: str, path: str) -> None:
        name = text.lstrip("+")
        if name not in self._has(group):
            raise refused(errno.ENOENT, path)
        if group != "/" and self.groups[group]:
            raise refused(errno.EBUSY, path)
        self.given.setdefault(group, []).append(name)

    @staticmethod
    def _above(group: str) -> str:
        return group.rpartition("/")[0] or "/"

    @staticmethod
    def _split(path: str) -> tuple[str, str]:
        group, _, name = path.removeprefix(POINT).rpartition("/")
        return group or "/", name
