"""Hosts for the tests of the fleet: this machine, an sshd, a container."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dockerd import BUSYBOX, DOCKERD, Dockerd
from opsnb import fleet
from opsnb.fleet import Machine, Result
from sshd import FakeRun, Sshd, keygen, user

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes users and starts sshd: as root")


class Place:
    """One sshd, the key that opens it, and rows that lead there."""

    def __init__(self, root: Path, address: str, **options: object) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.user = root, "root"
        (root / "authorized").write_text(keygen(root / "key") + "\n", encoding="utf-8")
        self.key = {"kind": "key", "key": (root / "key").read_text(encoding="utf-8")}
        self.sshd = Sshd(root / "sshd", [address], authorized=root / "authorized", **options)  # type: ignore[arg-type]
        self.sshd.start()

    def run(self, *rows: dict, **credentials: dict) -> FakeRun:
        """Return a run with these rows, and a credential for each purpose that is not the key."""
        return FakeRun(rows or [self.sshd.row("web1", user=self.user)], {None: self.key, **credentials})


@pytest.fixture(scope="session")
def ssh() -> Iterator[Place]:
    """An sshd with an ed25519 key on 127.0.21.1, in which root and everybody else may log in with one key."""
    if os.geteuid() != 0 or not shutil.which("sshd", path="/usr/sbin"):
        pytest.skip("needs root and sshd")
    root = Path(tempfile.mkdtemp(prefix="opsnb-ssh-"))
    root.chmod(0o755)  # sshd reads authorized keys as the user who logs in
    place = Place(root, "127.0.21.1")
    try:
        with user("opsnbroot", "/bin/sh", "-o", "-u", "0") as name:  # root, without what its own shell does at login
            place.user = name
            yield place
    finally:
        place.sshd.stop()
    shutil.rmtree(root)


@pytest.fixture(scope="session")
def docker() -> Iterator[Dockerd]:
    """A real engine."""
    if os.geteuid() != 0 or not Path(DOCKERD).exists() or not Path(BUSYBOX).exists():
        pytest.skip("needs root, dockerd and a static busybox")
    engine = Dockerd(Path(tempfile.mkdtemp(prefix="opsnb-d")))
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def container(docker: Dockerd) -> dict:
    """The row of a container with busybox in it."""
    return docker.container("box1")


@pytest.fixture(scope="session")
def somebody() -> Iterator[str]:
    """A user who is not root."""
    with user("opsnbuser") as name:
        yield name


@pytest.fixture(params=["local", "ssh", "somebody", "container"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine behind each transport; what holds for one holds for all."""
    if request.param == "local":
        rows = [{"name": "here", "transport": "local"}]
        run = FakeRun(rows, {})
    elif request.param == "ssh":
        run = request.getfixturevalue("ssh").run()
    elif request.param == "somebody":
        place = request.getfixturevalue("ssh")
        run = place.run(place.sshd.row("web1", user=request.getfixturevalue("somebody")))
    else:
        run = FakeRun([request.getfixturevalue("container")], {})
    with fleet.connect(run.rows, run.credential) as hosts:
        yield next(iter(hosts.values()))


@contextmanager
def opened(run: FakeRun) -> Iterator[Machine]:
    """Give the one machine of a run."""
    with fleet.connect(run.rows, run.credential) as hosts:
        yield next(iter(hosts.values()))


def ran(run: FakeRun, *argv: str, **options: object) -> Result:
    """Run a program on the one host of a run."""
    with opened(run) as machine:
        return machine.run(*(argv or ("echo", "there")), **options)  # type: ignore[arg-type]


def row(place: Place, **values: object) -> dict:
    """Return the row of the host that the place is."""
    return place.sshd.row(**{"name": "web1", "user": place.user, **values})
