"""Jump hosts: one connection each, shared, with a bound of openings, and the same truth about the host behind."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.conftest import Place, ran, row
from opsnb import fleet
from opsnb.fleet import Status
from opsnb.fleet.ssh.connection import OPENINGS_THROUGH
from sshd import Sshd, keygen


@pytest.fixture
def bastion(ssh: Place, tmp_path: Path) -> Iterator[Sshd]:
    """A jump host with sshd's own bound of connections that are not logged in."""
    settings = {"MaxStartups": "10:30:100", "LogLevel": "VERBOSE", "MaxSessions": "10"}
    server = Sshd(tmp_path / "b", ["127.0.22.1"], settings=settings, authorized=ssh.root / "authorized").start()
    yield server
    server.stop()


def behind(ssh: Place, *jumps: Sshd, name: str = "web1", **values: object) -> dict:
    """Return the row of a host behind jump hosts."""
    via = [jump.row(f"jump{number}", user=ssh.user) for number, jump in enumerate(jumps)]
    return row(ssh, **{"name": name, "via": via, **values})


def test_through_one_and_through_two(ssh: Place, bastion: Sshd, tmp_path: Path) -> None:
    """A host is reached through one jump host and through two, each asked for its own credential."""
    run = ssh.run(behind(ssh, bastion))
    assert ran(run, "sh", "-c", 'echo "${SSH_CLIENT%% *}"').ok
    assert run.asked == [("jump0", "observe"), ("web1", "observe")]
    inner = Sshd(tmp_path / "i", ["127.0.22.2"], authorized=ssh.root / "authorized").start()
    try:
        run = ssh.run(behind(ssh, bastion, inner))
        assert ran(run).ok
        assert run.asked == [("jump0", "observe"), ("jump1", "observe"), ("web1", "observe")]
    finally:
        inner.stop()


def test_one_connection_for_all_behind_it(ssh: Place, bastion: Sshd) -> None:
    """Forty hosts behind one jump host share one connection, and it drops none."""
    run = ssh.run(*(behind(ssh, bastion, name=f"h{n}") for n in range(40)))
    with fleet.connect(run.rows, run.credential) as hosts:
        results = hosts.run("echo", "there")
        assert [r.error for r in results.values() if not r.ok] == []
        assert list(results) == [f"h{n}" for n in range(40)]
    log = (bastion.root / "log").read_text(encoding="utf-8")
    assert len(re.findall("Accepted publickey", log)) == 1
    assert OPENINGS_THROUGH == 8


def test_few_openings_at_once_through_it(ssh: Place, bastion: Sshd) -> None:
    """Behind a jump host at most eight logins are under way at a time, without one more."""
    run = ssh.run(*(behind(ssh, bastion, name=f"h{n}") for n in range(40)))
    lock, under_way, most = threading.Lock(), set(), 0

    def credential(host: str, purpose: str) -> dict:
        nonlocal most
        if host == "jump0":
            return run.credential(host, purpose)
        with lock:
            under_way.add(host)
            most = max(most, len(under_way))
        threading.Event().wait(0.05)  # so that logins meet
        with lock:
            under_way.remove(host)
        return run.credential(host, purpose)

    with fleet.connect(run.rows, credential) as hosts:
        assert len(hosts.run("true").ok) == 40
    assert 1 < most <= OPENINGS_THROUGH


def test_keys_are_checked_behind_a_jump_host_too(ssh: Place, bastion: Sshd, tmp_path: Path) -> None:
    """The jump host's key and the key of the host behind it are checked, each under its own name."""
    other = keygen(tmp_path / "other")
    run = ssh.run(behind(ssh, bastion, keys=[other]))
    assert "opsnb host trust web1" in ran(run).error
    assert ("web1", "observe") not in run.asked
    via = [bastion.row("jump0", user=ssh.user, keys=[other])]
    run = ssh.run(row(ssh, via=via))
    result = ran(run)
    assert "opsnb host trust jump0" in result.error
    assert result.status is Status.UNREACHABLE
    assert run.asked == []


def test_what_a_jump_host_cannot_reach(ssh: Place, bastion: Sshd) -> None:
    """A closed port behind a jump host is unreachable, and the jump host is named."""
    result = ran(ssh.run(behind(ssh, bastion, port=1)))
    assert result.status is Status.UNREACHABLE
    assert "jump host jump0 cannot reach 127.0.21.1 port 1" in result.error


def test_a_jump_host_that_dies(ssh: Place, bastion: Sshd) -> None:
    """When the jump host's connection is lost in the middle the answer is unknown; the next program goes a new way."""
    run = ssh.run(behind(ssh, bastion))
    with fleet.connect(run.rows, run.credential) as hosts:
        machine = hosts["web1"]
        began = time.monotonic()
        result = machine.run("sh", "-c", "echo begun; sleep 60", on_output=lambda *_: bastion.cut())
        assert (result.status, time.monotonic() - began < 20) == (Status.UNKNOWN, True)
        assert machine.run("echo", "again").text == "again\n"
