"""Who is connected to the API is asked of the system: a run's process, another, another machine's, or not to be told."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from opsnb.control.runs.callers import UntoldError, behind_unix, of_tcp, of_unix, place_of, untold

SUPERVISOR = "opsnb.control.runs.supervisor"
CONNECT = """
import socket, sys, time
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), source_address=(sys.argv[3], 0)) if sys.argv[2] else None
if sock is None:
    sock = socket.socket(socket.AF_UNIX); sock.connect(sys.argv[1])
sock.sendall(b"here"); time.sleep(60)
"""
ADDRESSES = [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "127.9.9.9"), ("::1", "::1"), ("::ffff:127.0.0.1", "::")]


@contextlib.contextmanager
def connected(listener: socket.socket, *where: str, below: str) -> Iterator[tuple[socket.socket, int]]:
    """Yield our end of a connection of a process, below another one that is called ``below``; and its pid."""
    argv = ["sh", "-c", '"$@" & echo $!; wait', below, sys.executable, "-c", CONNECT, *where]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        listener.settimeout(20)
        try:
            ours, _ = listener.accept()
            with ours:
                assert ours.recv(4) == b"here"
                yield ours, pid
        finally:
            process.kill()
            os.kill(pid, 9)


@pytest.mark.parametrize(("below", "run"), [("sh", False), (SUPERVISOR, True)])
@pytest.mark.parametrize(("address", "source"), ADDRESSES)
def test_over_tcp(address: str, source: str, below: str, run: bool) -> None:  # noqa: FBT001  (a case)
    """Whatever address it comes from, and in either protocol, it is the process, and a run's when a run is above it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    mapped = address.startswith("::ffff:")
    with socket.create_server(("::" if mapped else address, 0), family=family, dualstack_ipv6=mapped) as listener:
        port = str(listener.getsockname()[1])
        with connected(listener, address, port, source, below=below) as (ours, pid):
            found = of_tcp(place_of(ours.getpeername()), place_of(ours.getsockname()))
            assert found is not None
            assert (found.above[0], found.run) == (pid, run)
            assert os.getpid() in found.above


@pytest.mark.parametrize(("below", "run"), [("sh", False), (SUPERVISOR, True)])
def test_over_the_socket(tmp_path: Path, below: str, run: bool) -> None:  # noqa: FBT001  (a case)
    """The system names the process that connected; once it has ended it is told no more, whoever has its number."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with connected(listener, str(tmp_path / "s"), "", "", below=below) as (ours, pid):
            known = behind_unix(ours)
            found = of_unix(*known)
            assert (found.above[0], found.run) == (pid, run)
        assert select.select([known[1]], [], [], 20)[0]  # the signal has arrived
        with pytest.raises(UntoldError, match="has ended"):
            of_unix(*known)
        os.close(known[1])


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::9", "fe80::9"])
def test_another_machine_is_nobody_here(address: str) -> None:
    """A connection from an address that is not this machine's is not looked for among its processes."""
    assert of_tcp((ip_address(address), 40000), (ip_address(address) + 1, 443)) is None


def own() -> list[str]:
    """Return this machine's addresses besides loopback."""
    done = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=False)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [row[3].partition("/")[0] for row in rows if row[1] != "lo"]


def test_each_address_of_this_machine_is_its_own() -> None:
    """By whatever address of this machine a connection comes, one that nobody holds is not another machine's."""
    taken_for_another = {address for address in own() if not untold_of(address)}
    assert not taken_for_another & set(own())  # one that went meanwhile, with another test's network, is another's


def untold_of(address: str) -> bool:
    """Whether a connection by an address, that nobody holds, is not told."""
    try:
        of_tcp((ip_address(address), 1), (ip_address(address), 443))
    except UntoldError:
        return True
    return False


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_a_connection_that_nobody_holds_is_not_told(address: str) -> None:
    """From this machine and closed at its other end, or never there: it is not taken for another machine's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        client = socket.create_connection(listener.getsockname()[:2], source_address=(address, 0))
        ours, _ = listener.accept()
        with ours:
            client.close()
            for place in (place_of(ours.getpeername()), (ip_address(address), 1)):
                with pytest.raises(UntoldError):
                    of_tcp(place, place_of(ours.getsockname()))


def test_a_user_that_only_runs_have() -> None:
    """A connection of the kernels' user is a run's, whatever is above its process."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        places = place_of(client.getsockname()), place_of(listener.getsockname())
        for users, run in (((), False), ((os.getuid(),), True)):
            found = of_tcp(*places, users)
            assert found is not None
            assert found.run is run


def test_this_system_tells() -> None:
    """What doctor asks: both ways tell who is connected here."""
    assert untold() == []
