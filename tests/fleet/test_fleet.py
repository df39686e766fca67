"""Many hosts at once: order, bounds, partial failure as a value, and nothing that stays when the run ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from fleet.conftest import Place, row
from opsnb import fleet
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.fleet import Fleet, Machine, Result, Results, Status
from opsnb.fleet.ssh.connection import OPENINGS
from opsnb.fleet.values import Command
from sshd import Sshd


@pytest.fixture(scope="module")
def many(ssh: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict]]:
    """The rows of 20 hosts."""
    addresses = [f"127.0.23.{n}" for n in range(1, 17)]
    server = Sshd(tmp_path_factory.mktemp("many"), addresses, authorized=ssh.root / "authorized").start()
    yield [server.row(f"h{n}", address=addresses[n % 16], user=ssh.user) for n in range(20)]
    server.stop()


def test_one_that_fails_leaves_the_others_alone(ssh: Place, many: list[dict]) -> None:
    """Ok, failed, unreachable and unknown stand side by side, in the order of the hosts."""
    rows = [*many[:2], {**many[2], "port": 1}, {**many[3], "keys": []}, *many[4:6]]
    run = ssh.run(*rows)
    with fleet.connect(run.rows, run.credential) as hosts:
        script = "case $SSH_CONNECTION in *23.5*) exit 4;; *23.6*) kill -KILL $PPID;; esac; echo fine"
        results = hosts.run("sh", "-c", script)
    assert list(results) == [r["name"] for r in rows]
    assert [r.status for r in results.values()] == [
        Status.OK, Status.OK, Status.UNREACHABLE, Status.UNREACHABLE, Status.FAILED, Status.UNKNOWN,
    ]  # fmt: skip
    assert (list(results.ok), list(results.failed)) == (["h0", "h1"], ["h4"])
    assert (list(results.unreachable), list(results.unknown)) == (["h2", "h3"], ["h5"])


def test_progress_comes_as_hosts_end(ssh: Place, many: list[dict]) -> None:
    """Each result is told once when it is there; each() gives values and errors by host."""
    run = ssh.run(*many)
    told: list[Result] = []
    with fleet.connect(run.rows, run.credential) as hosts:
        results = hosts.run("true", progress=told.append)
        assert sorted(r.host for r in told) == sorted(hosts)
        assert list(results) == list(hosts)

        def size(machine: Machine) -> int:
            if machine.name == "h3":
                raise OpsnbError("no")
            return len(machine.run("echo", "hi").stdout)

        values = hosts.each(size)
    assert [isinstance(v, OpsnbError) for v in values.values()] == [n == 3 for n in range(20)]
    assert values["h4"] == 3


def test_no_thread_and_no_connection_stays(ssh: Place, many: list[dict]) -> None:
    """When a fleet is closed, or nobody holds it any more, its threads have ended."""
    before = set(threading.enumerate())
    run = ssh.run(*many)
    with fleet.connect(run.rows, run.credential) as hosts:
        assert len(hosts.run("true").ok) == 20
        assert len(set(threading.enumerate()) - before) == 20
    assert set(threading.enumerate()) - before == set()
    hosts = fleet.connect(run.rows[:3], run.credential)
    hosts.run("true")
    del hosts
    assert set(threading.enumerate()) - before == set()


def test_connections_are_kept(ssh: Place, many: list[dict]) -> None:
    """A host is logged in to once, whatever is run; from several threads too."""
    run = ssh.run(many[0])
    with fleet.connect(run.rows, run.credential) as hosts:
        machine = hosts["h0"]
        results: list[Result] = []
        threads = [threading.Thread(target=lambda: results.append(machine.run("echo", "x"))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [r.text for r in results] == ["x\n"] * 6
    assert run.asked == [("h0", "observe")]


class Counting:
    """A transport that counts how many are at work."""

    now = most = 0
    lock = threading.Lock()

    ran = 0

    def __init__(self, host: str, stays: float = 0.01) -> None:
        self.host, self.stays = host, stays

    def run(self, command: Command, _on_output: object = None) -> Result:
        """Stay until somebody else came, or a moment."""
        with Counting.lock:
            Counting.now += 1
            Counting.ran += 1
            Counting.most = max(Counting.most, Counting.now)
        threading.Event().wait(self.stays)
        with Counting.lock:
            Counting.now -= 1
        return Result(host=self.host, status=Status.OK, exit=0, stdout=str(command.most).encode())

    def close(self) -> None:
        """Nothing."""


def test_at_most_so_many_at_once() -> None:
    """Of many hosts no more than the bound are at work, and the memory for outputs is shared among them."""
    hosts = Fleet([Machine(f"h{n}", Counting(f"h{n}")) for n in range(200)], at_once=7)
    results = hosts.run("true")
    assert (len(results), Counting.most) == (200, 7)
    assert int(results["h0"].text) * 2 * 200 <= 256 * 1024 * 1024
    assert OPENINGS < 50


def test_who_gives_up_begins_nothing_more() -> None:
    """When the caller is interrupted in the middle, hosts whose turn had not come are left alone."""
    hosts = Fleet([Machine(f"h{n}", Counting(f"h{n}", stays=0.2)) for n in range(200)], at_once=5)
    before = Counting.ran

    def interrupted(_: Result) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hosts.run("true", progress=interrupted)
    assert Counting.ran - before < 50


def test_of_a_run(ssh: Place) -> None:
    """fleet.of(run) opens nothing by itself, answers the same fleet again, and actuators find its machines."""
    run = ssh.run(row(ssh, credential={"observe": "a", "change": "b"}), {"name": "localhost", "transport": "local"})
    hosts = fleet.of(run)
    assert fleet.of(run) is hosts
    assert run.asked == []
    assert fleet.machine("web1") is hosts["web1"]
    assert fleet.machine("web1", change=True) is hosts["web1"].changing
    assert hosts["web1"].changing is not hosts["web1"]
    assert fleet.machine("localhost", change=True) is hosts["localhost"]
    with pytest.raises(UsageError, match="not one of this run's hosts"):
        fleet.machine("web2")
    hosts.close()


def test_no_hosts_no_results() -> None:
    """A fleet of no hosts answers with nothing."""
    assert dict(Fleet([]).run("true")) == {}
    assert dict(Results({})) == {}


def test_an_unknown_transport() -> None:
    """A row with another transport is refused by name."""
    with pytest.raises(UsageError, match="transport 'telnet' is not known"):
        fleet.connect([{"name": "old", "transport": "telnet"}], lambda *_: {})


def test_importing_the_fleet_is_light() -> None:
    """``import opsnb.fleet`` loads neither paramiko nor docker; a local host needs neither."""
    program = (
        "import sys; from opsnb import fleet\n"
        "m = next(iter(fleet.connect([{'name': 'l', 'transport': 'local'}], None).values())); assert m.run('true').ok\n"
        "print([m for m in ('paramiko', 'docker', 'cryptography', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
