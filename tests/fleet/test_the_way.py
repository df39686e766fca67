"""What goes wrong on the way to a host: each has its clear result, its words, and the next move."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from fleet.conftest import Place, ran, row
from fleet.lines import slow, talker
from opsnb import fleet
from opsnb.fleet import Status
from sshd import Sshd


def test_nothing_listens(ssh: Place) -> None:
    """A closed port, an unknown name: unreachable, with the address and what to look at."""
    result = ran(ssh.run(row(ssh, port=1)))
    assert (result.status, "127.0.21.1 port 1" in result.error) == (Status.UNREACHABLE, True)
    assert "nothing listens there" in result.error
    assert "name is not found" in ran(ssh.run(row(ssh, address="no-such-host.invalid"))).error


def test_a_host_that_says_nothing(ssh: Place) -> None:
    """A host that accepts and stays silent is unreachable when the time is over, not later."""
    with talker(lambda sock: sock.recv(1000) and sock.recv(1000)) as port:
        began = time.monotonic()
        result = ran(ssh.run(row(ssh, address="127.0.21.9", port=port)), seconds=1.5)
        assert time.monotonic() - began < 4
    assert result.status is Status.UNREACHABLE


def test_a_flood_instead_of_a_greeting(ssh: Place) -> None:
    """Endless text before the greeting is cut off, with memory and time bounded."""

    def flood(sock: socket.socket) -> None:
        while True:
            sock.sendall(b"x" * 65536)

    with talker(flood) as port:
        result = ran(ssh.run(row(ssh, address="127.0.21.9", port=port)), seconds=20)
    assert result.status is Status.UNREACHABLE
    assert "more than 65536 bytes before the greeting" in result.error
    assert result.seconds < 10


def test_a_long_banner_is_no_output(ssh: Place, tmp_path: Path) -> None:
    """What sshd says before the login is not in the output."""
    (tmp_path / "banner").write_text("Authorised use only!\n" * 800)
    settings = {"Banner": str(tmp_path / "banner")}
    server = Sshd(tmp_path / "s", ["127.0.21.2"], settings=settings, authorized=ssh.root / "authorized").start()
    try:
        result = ran(ssh.run(server.row("web1", user=ssh.user)))
    finally:
        server.stop()
    assert (result.stdout, result.stderr) == (b"there\n", b"")


@pytest.mark.slow
def test_a_slow_login(ssh: Place) -> None:
    """A login that takes two seconds is waited for when there is time, and unreachable when there is not."""
    with slow(ssh.sshd, after=1500, pause=2.0) as port:
        where = row(ssh, address="127.0.21.8", port=port)
        assert ran(ssh.run(where), seconds=20).ok
        late = ran(ssh.run(where), seconds=1)
    assert late.status is Status.UNREACHABLE
    assert late.seconds < 3


def test_too_many_at_once_is_tried_again(ssh: Place, tmp_path: Path) -> None:
    """Where sshd drops new connections (MaxStartups), the openings are spread until every host is reached."""
    settings = {"MaxStartups": "2:100:2"}
    server = Sshd(tmp_path, ["127.0.21.6"], settings=settings, authorized=ssh.root / "authorized").start()
    try:
        rows = [server.row(f"h{n}", user=ssh.user) for n in range(8)]
        run = ssh.run(*rows)
        with fleet.connect(run.rows, run.credential) as hosts:
            results = hosts.run("true")
    finally:
        server.stop()
    assert [r.error for r in results.values() if not r.ok] == []


@pytest.mark.slow
def test_another_service_on_the_port(ssh: Place) -> None:
    """Something that closes without a greeting is unreachable after a bounded number of attempts."""
    calls = []

    def close(sock: socket.socket) -> None:
        calls.append(sock.recv(100))

    with talker(close) as port:
        result = ran(ssh.run(row(ssh, address="127.0.21.9", port=port)), seconds=4)
    assert result.status is Status.UNREACHABLE
    assert "closes new connections before it greets" in result.error
    assert 2 <= len(calls) <= 6
