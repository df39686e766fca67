"""Loopback addresses that nobody uses: a network of its own for each fleet, and one port that is free in all of it.

While a fleet comes up, an abstract Unix socket stands for its network, so that two that come up at once choose two;
from then on the listening hosts do.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from opsnb.base.errors import OpsnbError

FIRST_NETWORK, NETWORKS = 10, 240  # 127.0.10 to 127.0.249
FIRST_PORT, PORTS = 20022, 10000  # below the ports that the kernel gives to clients
PORT_TRIES = 50
LISTEN = "0A"  # TCP_LISTEN, include/net/tcp_states.h


def free(network: str, count: int, port: int) -> bool:
    """Whether nobody listens on a port of the first ``count`` addresses of a network."""
    for number in range(1, count + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((f"{network}.{number}", port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return False
                raise
    return True


@contextlib.contextmanager
def reserve(workspace: Path, count: int) -> Iterator[tuple[str, int]]:
    """Hold a network such as ``127.0.23``, in which nobody listens, and a port that is free on ``count`` addresses.

    Hosts serve more than this port: that of a web server is the same on each, in every fleet. The same workspace finds
    the same ones while they are free.

    Raises:
        OpsnbError: If no network is free.
    """
    wish = zlib.crc32(bytes(workspace))
    for step in range(NETWORKS):
        network = f"127.0.{FIRST_NETWORK + (wish + step) % NETWORKS}"
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                claim.bind(f"\0opsnb-rehearsal-{network}")
            except OSError:
                continue  # another fleet is coming up there
            if any(address.startswith(f"{network}.") for address, _ in listening()):
                continue  # or is there
            for number in range(PORT_TRIES):
                port = FIRST_PORT + (wish // NETWORKS + number) % PORTS
                if free(network, count, port):
                    yield network, port
                    return
    raise OpsnbError(
        f"none of {NETWORKS} loopback networks has {count} free addresses", hint="take down other rehearsal fleets"
    )


def listening() -> set[tuple[str, int]]:
    """Return every IPv4 address and port on which something listens (proc(5), ``/proc/net/tcp``)."""
    found = set()
    for line in Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == LISTEN:
            number, _, port = local.partition(":")
            found.add((socket.inet_ntoa(struct.pack("=I", int(number, 16))), int(port, 16)))
    return found


def answers(address: str, port: int, seconds: float) -> bool:
    """Whether an SSH server says its name on an address."""
    try:
        with socket.create_connection((address, port), timeout=seconds) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
