"""Up and down: nothing is left, nobody else is touched, whatever happened in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleets import Hosts
from opsnb.base.errors import UsageError
from opsnb.cli.workspace import make
from opsnb.rehearsal import addresses, state
from places import OPSNB, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="hosts of their own want root")]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Hosts]:
    """A workspace whose path holds what is hard to quote, and no fleet yet."""
    made = Hosts(tmp_path / "a b,c:d'e")
    make(made.root)
    yield made
    made.close()


def about(path: Path) -> list[int]:
    """Return the processes that have a file below ``path`` open, or name it."""
    found = []
    mount = next(place for place in path.parents if place.is_mount())
    own = str(path.relative_to(mount))  # as a file is called that was opened before its host had mounts of its own
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            words = (process / "cmdline").read_bytes().decode("utf-8", "replace")
            files = [os.readlink(file) for file in (process / "fd").iterdir()]  # noqa: PTH115
        except OSError:
            continue
        if str(path) in words or any(f"{own}/" in f"{file}/" for file in files):
            found.append(int(process.name))
    return found


def tree(root: Path) -> list[str]:
    """Return every path below a directory."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_nothing_is_left(fleet: Hosts) -> None:
    """up, status and down on the command line: hosts answer in between; files, mounts and processes are as before."""
    before = tree(fleet.root)
    up = fleet.json("rehearse", "up", "--hosts", "3")
    assert [host["name"] for host in up["hosts"]] == ["web1", "web2", "db1"]
    wait_for(lambda: len(about(fleet.root)) == 3, 20)  # what asked each whether it is there may take a moment to end
    # The fleet's own: others make mounts meanwhile. Of the name, what stands there as it is.
    assert fleet.root.parent.name not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    status = fleet.json("rehearse", "status")
    assert (status["form"], [host["up"] for host in status["hosts"]]) == ("own", [True] * 3)
    assert fleet.ssh("web2", "hostname").stdout == "web2\n"
    assert (fleet.fleet.folder.stat().st_mode & 0o777, fleet.key().stat().st_mode & 0o777) == (0o700, 0o600)
    assert fleet.json("rehearse", "down") == {"ended": 3}
    assert tree(fleet.root) == before
    assert about(fleet.root) == []
    assert not any(addresses.answers(host["address"], host["port"], 1) for host in up["hosts"])
    assert fleet.json("rehearse", "down") == {"ended": 0}
    assert fleet.json("rehearse", "status")["hosts"] == []
    assert tree(fleet.root) == before


def test_two_workspaces_at_once(tmp_path: Path) -> None:
    """Fleets that come up at the same time have other addresses, and one goes down without the other."""
    fleets = [Hosts(tmp_path / name) for name in ("one", "two", "three")]
    try:
        for each in fleets:
            make(each.root)
        started = [
            subprocess.Popen(
                [str(OPSNB), "rehearse", "up", "--hosts", "3", "--json"], cwd=f.root, stdout=subprocess.PIPE
            )
            for f in fleets
        ]
        said = [json.loads(process.communicate(timeout=60)[0]) for process in started]
        places = {(host["address"], host["port"]) for value in said for host in value["hosts"]}
        assert len(places) == 9
        fleets[0].fleet.down()
        assert [host["up"] for host in fleets[1].status + fleets[2].status] == [True] * 6
    finally:
        for each in fleets:
            each.close()


@pytest.mark.parametrize("after", ["fleet.json", "web1.hostkey", "root", "web1.json", "web2.log"])
def test_a_crash_in_the_middle(fleet: Hosts, after: str) -> None:
    """`up` is killed when it has come so far: `down` leaves nothing, or a second `up` finishes what was begun."""
    before = tree(fleet.root)
    for finish in (False, True):
        process = subprocess.Popen(
            [str(OPSNB), "rehearse", "up", "--hosts", "3"], cwd=fleet.root, stderr=subprocess.DEVNULL
        )
        wait_for((fleet.fleet.folder / after).exists, 20, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if finish:
            fleet.fleet.up(3)
            assert [host["up"] for host in fleet.status] == [True] * 3
            assert fleet.ssh("web1", "hostname").stdout == "web1\n"
        assert fleet.opsnb("rehearse", "down").returncode == 0
        assert about(fleet.root) == []
        assert tree(fleet.root) == before


def test_down_kills_nobody_else(fleet: Hosts) -> None:
    """A number that another process has now, or that was written down before a reboot, is left alone."""
    fleet.fleet.up(3)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        for name, value in (("web1", {"start": 1}), ("web2", {"boot": "another"})):
            host = fleet.process(name)
            own = state.process(stranger.pid)
            host.kill()
            state.remember(
                fleet.fleet.folder / f"{name}.json",
                state.Process(pid=own.pid, start=value.get("start", own.start), boot=value.get("boot", own.boot)),
            )
        assert [host["up"] for host in fleet.status] == [False, False, True]
        assert fleet.fleet.down() == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_name_that_is_taken(fleet: Hosts) -> None:
    """A workspace that has a host of that name keeps it: `up` says where it stands and leaves nothing."""
    book = fleet.root / "inventory.yaml"
    book.write_text("hosts:\n  web2: {address: 192.0.2.1}\n", encoding="utf-8")
    before = tree(fleet.root)
    with pytest.raises(UsageError, match=r"inventory\.yaml line 2|rehearsal\.yaml"):
        fleet.fleet.up(3)
    assert tree(fleet.root) == before
    assert about(fleet.root) == []


@pytest.mark.parametrize("count", ["0", "251", "-1"])
def test_a_number_out_of_range(fleet: Hosts, count: str) -> None:
    """`--hosts` takes 1 to 250."""
    done = fleet.opsnb("rehearse", "up", "--hosts", count)
    assert done.returncode == 2
    assert "1 to 250" in done.stderr
