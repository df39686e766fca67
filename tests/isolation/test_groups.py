"""Control groups of version 2: handed down, made, limited, refused and removed, on the files' protocol and on the system.

This machine binds memory, pids and cpu to version 1, so their limits are proved on a hierarchy that is not there; what
is proved on the system's own version 2 says so.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from isolation.hierarchy import POINT, Hierarchy
from opsnb.control.runs import cgroups
from opsnb.control.runs.cgroups import CONTROL, Budget, Group, Home, home, make
from opsnb.control.runs.groupfiles import SYSTEM, Files

SERVICE = "/system.slice/opsnb.service"
BUDGET = Budget(memory=512 * 1024**2, processes=300)
ALL = "cpu memory pids"


def service(controllers: str = ALL, beside: tuple[int, ...] = ()) -> Hierarchy:
    """Return what systemd gives a service with Delegate=yes."""
    return Hierarchy(controllers, own=SERVICE, delegated=SERVICE, beside=beside)


def limits(files: Hierarchy) -> list[tuple[str, str]]:
    """Return what was written into the files of a run's group."""
    return [(path.rpartition("/")[2], text) for path, text in files.written if "opsnb-run-" in path]


def test_a_service_with_delegate() -> None:
    """The control plane moves into a group of its own, hands its controllers down, and a run's group has its limits."""
    files = service()
    where = home(prepare=True, files=files)
    assert where == Home(version=2, folders=dict.fromkeys(("memory", "pids", "cpu"), f"{POINT}{SERVICE}"))
    assert files.groups[f"{SERVICE}/{CONTROL}"] == {os.getpid()}
    group = make(where, "7", BUDGET, files)
    assert group is not None
    assert group.words == "cgroup v2: memory, pids, cpu"
    assert group.entries == (f"{POINT}{SERVICE}/opsnb-run-7/cgroup.procs",)
    assert limits(files) == [
        ("memory.max", str(512 * 1024**2)), ("memory.swap.max", "0"), ("pids.max", "300"), ("cpu.weight", "100"),
    ]  # fmt: skip
    files.write(group.entries[0], "4711")
    files.values[f"{POINT}{SERVICE}/opsnb-run-7/memory.events"] = "oom 2\noom_kill 2\n"
    files.values[f"{POINT}{SERVICE}/opsnb-run-7/pids.events"] = "max 31\n"
    assert group.reached() == [
        "the memory limit: the system killed 2 of the run's processes", "the limit of processes: 31 more were refused",
    ]  # fmt: skip
    group.remove()
    assert set(files.groups) == {"/", "/system.slice", SERVICE, f"{SERVICE}/{CONTROL}"}


def test_a_second_start_in_the_same_service() -> None:
    """A control plane that finds itself in the leaf it moved into, all handed down, does nothing again."""
    files = service()
    first = home(prepare=True, files=files)
    count = len(files.written)
    assert home(prepare=True, files=files) == first == home(files=files)
    assert len(files.written) == count


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (service("memory"), "cgroup v2: memory"),
        (service("pids cpu"), "cgroup v2: pids, cpu"),
        (Hierarchy(ALL), "cgroup v2: memory, pids, cpu"),  # the root, as root: it may have processes and groups
        (service("hugetlb"), None),
        (service(beside=(1,)), None),  # a session, or a service that runs something else: not ours to move
        (Hierarchy(ALL, own="/user.slice", delegated="/elsewhere"), None),
    ],
    ids=["memory alone", "no memory", "the root", "others", "not alone", "not delegated"],
)
def test_what_there_is(files: Hierarchy, words: str | None) -> None:
    """Only controllers that are there and may be handed down are counted on; what is not ours is not touched."""
    before = {group: set(pids) for group, pids in files.groups.items()}
    found = home(prepare=True, files=files)
    assert (found.words if found else None) == words
    assert found is not None or files.groups == before


@pytest.mark.parametrize(
    ("refusals", "words"),
    [
        ({"subtree_control +cpu": errno.EINVAL}, "cgroup v2: memory, pids"),  # real-time processes keep it
        ({"subtree_control +memory": errno.EBUSY}, "cgroup v2: pids, cpu"),
        ({"subtree_control +memory": errno.EACCES, "control +pids": errno.EACCES, "+cpu": errno.EACCES}, None),
        ({f"{CONTROL} ": errno.EACCES}, None),
        ({f"{CONTROL}/cgroup.procs {os.getpid()}": errno.EBUSY}, None),
        ({"memory.max 536870912": errno.EACCES}, "cgroup v2: pids, cpu"),
        ({"memory.swap.max 0": errno.EINVAL}, "cgroup v2: pids, cpu"),  # half a limit is none
        ({"pids.max 300": errno.ENOENT}, "cgroup v2: memory, cpu"),
        ({"opsnb-run-7 ": errno.ENOSPC}, None),  # cgroup.max.descendants
        ({"memory.max 536870912": errno.EBUSY, "pids.max 300": errno.EBUSY, "weight 100": errno.EBUSY}, None),
    ],
)
def test_a_system_that_refuses(refusals: dict[str, int], words: str | None) -> None:
    """Whatever the system refuses, what is said to hold is what it took, and a group that holds nothing is not left."""
    files = service()
    files.refusals = refusals
    where = home(prepare=True, files=files)
    group = make(where, "7", BUDGET, files) if where else None
    assert (group.words if group else None) == words
    assert (f"{SERVICE}/opsnb-run-7" in files.groups) is (group is not None)


def test_a_system_without_swap_or_kill() -> None:
    """Where swap is not counted and no group can be killed, the rest holds and the group still goes."""
    files = service()
    files.gone = ["memory.swap.max", "cgroup.kill"]
    where = home(prepare=True, files=files)
    assert where is not None
    group = make(where, "7", BUDGET, files)
    assert group is not None
    assert group.words == "cgroup v2: memory, pids, cpu"
    group.remove()
    assert f"{SERVICE}/opsnb-run-7" not in files.groups


def test_a_group_that_stays_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that the system does not let go is given up after a time, and the run ends all the same."""
    monkeypatch.setattr(cgroups, "REMOVE_SECONDS", 0.05)
    files = service()
    where = home(prepare=True, files=files)
    assert where is not None
    group = make(where, "7", BUDGET, files)
    assert group is not None
    files.refusals = {"opsnb-run-7 ": errno.EBUSY}
    begun = time.monotonic()
    group.remove()
    assert time.monotonic() - begun < 1


# -- one contract, held by the files that are not there and by the system's own ------------------------------------


def unified() -> Path | None:
    """Return where this machine has a version 2 hierarchy that we may write to."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 ") and os.access(left.split()[4], os.W_OK) and os.geteuid() == 0:
            return Path(left.split()[4])
    return None


@contextlib.contextmanager
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that does nothing."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def holds_the_contract(files: Files, folder: str, pid: int) -> None:
    """What this module relies on: a group with a process stays, one that hands down takes none, an empty one goes."""
    files.make(folder)
    with pytest.raises(OSError, match="exists"):
        files.make(folder)
    files.write(f"{folder}/cgroup.procs", str(pid))
    assert files.read(f"{folder}/cgroup.procs").split() == [str(pid)]
    with pytest.raises(OSError) as caught:  # noqa: PT011  (its number is looked at)
        files.remove(folder)
    assert caught.value.errno == errno.EBUSY
    assert files.there(f"{folder}/cgroup.type")
    with pytest.raises(OSError) as caught:  # noqa: PT011
        files.write(f"{folder}/memory.max", "1")  # a controller that it was not given
    assert caught.value.errno == errno.ENOENT


def hands_down(files: Files, folder: str, controller: str, pid: int) -> None:
    """No internal processes: a group hands down what it has once it is empty, and takes no process from then on."""
    control = f"{folder}/cgroup.subtree_control"
    assert controller in files.read(f"{folder}/cgroup.controllers").split()
    with pytest.raises(OSError) as caught:  # noqa: PT011
        files.write(control, f"+{controller}")
    assert caught.value.errno == errno.EBUSY
    files.make(f"{folder}/leaf")
    files.write(f"{folder}/leaf/cgroup.procs", str(pid))
    files.write(control, f"+{controller}")
    assert files.read(control).split() == [controller]
    with pytest.raises(OSError) as caught:  # noqa: PT011
        files.write(f"{folder}/cgroup.procs", str(pid))
    assert caught.value.errno == errno.EBUSY


def test_the_contract_where_it_is_not_there() -> None:
    """The stand-in keeps the rules that the code relies on."""
    files = Hierarchy("hugetlb")
    files.given["/"] = ["hugetlb"]
    files.groups["/"].add(4711)
    holds_the_contract(files, f"{POINT}/opsnb-test", 4711)
    hands_down(files, f"{POINT}/opsnb-test", "hugetlb", 4711)


@pytest.mark.skipif(unified() is None, reason="no version 2 hierarchy that may be written to")
def test_the_contract_on_the_system() -> None:
    """The system's own version 2 keeps them too; a run's group there is entered, killed with all in it, and removed."""
    root = unified()
    assert root is not None
    folder = f"{root}/opsnb-test-{os.getpid()}"
    given = "hugetlb" in (root / "cgroup.subtree_control").read_text(encoding="ascii").split()
    group = Group(version=2, folders={"none": folder})
    with sleeping() as process:
        try:
            holds_the_contract(SYSTEM, folder, process.pid)
            if "hugetlb" in (root / "cgroup.controllers").read_text(encoding="ascii").split():
                SYSTEM.write(f"{root}/cgroup.subtree_control", "+hugetlb")
                hands_down(SYSTEM, folder, "hugetlb", process.pid)
                SYSTEM.write(f"{folder}/cgroup.kill", "1")
                process.wait(10)
                Group(version=2, folders={"none": f"{folder}/leaf"}).remove()
            group.remove()
            assert process.wait(10) == -9
            assert not Path(folder).exists()
        finally:
            if not given:
                with contextlib.suppress(OSError):
                    SYSTEM.write(f"{root}/cgroup.subtree_control", "-hugetlb")
