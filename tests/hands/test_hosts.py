"""By hand on hosts behind real sshd: many at once, one of them dead, a session, files both ways."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleets import Hosts
from opsnb.rehearsal.hosts import OPS
from persons import Person
from places import wait_for

pytestmark = pytest.mark.slow
ECHO_SECONDS = 0.06
CTRL_C_SECONDS = 3.0


@pytest.fixture(scope="module")
def hosts(rehearsal: Hosts) -> Hosts:
    """The rehearsal fleet, served."""
    rehearsal.up()
    return rehearsal


@pytest.fixture
def person(hosts: Hosts) -> Iterator[Person]:
    """Somebody in a session on web1."""
    made = Person("ssh", "web1", cwd=hosts.root)
    made.shell()
    yield made
    made.close()


def session(hosts: Hosts) -> tuple[dict[str, object], str]:
    """Return the latest session's result and every byte of its recording."""
    run = hosts.client.get("/api/runs", limit=1, runbook="HST-005")["runs"][0]["run"]
    result = hosts.end(run)
    folder = hosts.record(result) / "files"
    return result, "".join(path.read_text("utf-8") for path in sorted(folder.iterdir()))


def test_a_command_on_all_hosts(hosts: Hosts) -> None:
    """Each host answers with its own name, and a selector chooses among them."""
    found = json.loads(hosts.opsnb("exec", "all", "--json", "--", "hostname").stdout)
    assert {row["host"]: row["stdout"].strip() for row in found["hosts"]} == {
        h["name"]: h["name"] for h in hosts.status
    }
    done = hosts.opsnb("exec", "role=nginx & !web2", "--", "hostname")
    assert "web1 │ web1" in done.stdout
    assert "web2" not in done.stdout


def test_a_dead_host_is_unreachable_and_the_rest_answers(hosts: Hosts) -> None:
    """The dead one is said to be unreachable, the others are ok, the exit code is 1."""
    os.kill(hosts.process("web2").pid, signal.SIGKILL)
    try:
        wait_for(lambda: not hosts.host("web2")["up"], 10)
        done = hosts.opsnb("exec", "web1,web2", "--json", "--", "hostname")
        found = {row["host"]: row["status"] for row in json.loads(done.stdout)["hosts"]}
        assert (done.returncode, found) == (1, {"web1": "ok", "web2": "unreachable"})
    finally:
        hosts.restore()


def test_a_host_that_dies_in_the_middle_is_unknown(hosts: Hosts) -> None:
    """The command had begun, and nobody saw its end: unknown, not failed; the rest is ok."""
    known = {row["run"] for row in hosts.client.get("/api/runs", limit=100, runbook="HST-004")["runs"]}
    work = "echo began; until [ -e /tmp/go ]; do sleep 0.1; done; echo ended"
    person = Person("exec", "web1,web2", "--json", "--", "sh", "-c", work, cwd=hosts.root)

    def new() -> list[str]:
        rows = hosts.client.get("/api/runs", limit=1, runbook="HST-004")["runs"]
        return [row["run"] for row in rows if row["run"] not in known]

    wait_for(lambda: bool(new()), 60)
    hosts.wait_cell(new()[0], "web2 │ began")
    os.kill(hosts.process("web2").pid, signal.SIGKILL)
    hosts.sudo("web1", "touch /tmp/go")
    shown, code = person.end()
    person.close()
    hosts.restore()
    found = {row["host"]: row["status"] for row in json.loads(shown)["hosts"]}
    assert (code, found) == (1, {"web1": "ok", "web2": "unknown"})


def test_a_session_on_a_host(hosts: Hosts, person: Person) -> None:
    """The shell is the host's, the window's size arrives, Ctrl-C overtakes a flood, echo is prompt, all is recorded."""
    assert "\r\nweb1\r\n" in person.run(b"hostname")
    assert "30 100" in person.run(b"stty size")
    times = []
    for number in range(40):
        key = b"abcdefgh"[number % 8 : number % 8 + 1]
        started = time.perf_counter()
        person.type(key)
        person.wait(key)
        times.append(time.perf_counter() - started)
    assert sorted(times)[20] < ECHO_SECONDS
    person.type(b"\x03")
    person.wait(rb"P> \Z")
    person.type(b"yes\r")
    person.wait(rb"(y\r\n){20000}")
    started = time.monotonic()
    person.type(b"\x03")
    person.wait(rb"P> \Z")
    assert time.monotonic() - started < CTRL_C_SECONDS
    person.type(b"exit 7\r")
    _, code = person.end()
    result, recorded = session(hosts)
    assert (code, result["verdict"], result["evidence"]["exit"]) == (0, "DONE", 7)  # type: ignore[index]
    assert "P> hostname\nweb1\n" in recorded


def test_what_logs_in_is_masked_in_the_recording(hosts: Hosts, person: Person) -> None:
    """Somebody who shows the key that this run logged in with sees it, and the record has its name instead."""
    line = hosts.key().read_text(encoding="ascii").splitlines()[2]
    assert line in person.run(b"echo " + line.encode() + b"; true").replace("\r\n", "")
    person.type(b"exit\r")
    person.end()
    result, recorded = session(hosts)
    assert result["verdict"] == "DONE"
    assert line not in recorded.replace("\n", "")
    assert "«secret credential of web1»" in recorded


def test_a_line_that_is_cut_ends_the_session_as_cut(hosts: Hosts) -> None:
    """When the host dies the person gets the terminal back, the run says that the connection was lost, the rest is kept."""
    person = Person("ssh", "web2", cwd=hosts.root)
    try:
        person.shell()
        person.run(b"echo before the end")
        os.kill(hosts.process("web2").pid, signal.SIGKILL)
        shown, code = person.end()
    finally:
        person.close()
        hosts.restore()
    result, recorded = session(hosts)
    assert (code, result["evidence"]["ended"]) == (1, "the connection to the host was lost"), shown  # type: ignore[index]
    assert "before the end" in recorded


def test_files_to_and_from_hosts(hosts: Hosts, tmp_path: Path) -> None:
    """Up: every host, its digest checked, undone again. Down: a folder for each host, large files whole."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "tool.bin").write_bytes(os.urandom(1_000_000))
    assert hosts.opsnb("exec", "all", "--", "mkdir", "-p", "/tmp/by hand").returncode == 0
    done = hosts.opsnb("cp", "--yes", "--json", "--mode", "0755", str(folder / "tool.bin"), "all:/tmp/by hand")
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"]) == (0, "DONE"), done.stderr
    assert hosts.ssh("web2", "stat -c '%a %s' '/tmp/by hand/tool.bin'", user=OPS).stdout == "755 1000000\n"
    hosts.sudo(
        "web1", "head -c 40000000 /dev/urandom > '/tmp/by hand/large'; sha256sum '/tmp/by hand/large' > /tmp/sum"
    )
    assert hosts.opsnb("cp", "web1,web2:/tmp/by hand/tool.bin", str(tmp_path)).returncode == 0
    assert (tmp_path / "web1/tool.bin").read_bytes() == (tmp_path / "web2/tool.bin").read_bytes()
    assert (tmp_path / "web1/tool.bin").read_bytes() == (folder / "tool.bin").read_bytes()
    done = hosts.opsnb("cp", "web1:/tmp/by hand/large", str(tmp_path), "--json")
    (row,) = json.loads(done.stdout)["files"]
    assert (tmp_path / "large").stat().st_size == 40_000_000
    assert hosts.ssh("web1", "cat /tmp/sum", user=OPS).stdout.split()[0] == row["sha256"]
    assert hosts.opsnb("runs", "undo", found["run"]).returncode == 0
    assert hosts.ssh("web2", "ls '/tmp/by hand'", user=OPS).stdout == ""
