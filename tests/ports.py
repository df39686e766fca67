"""Ports that no connection of this machine takes by chance while a test is about to listen on them."""

from __future__ import annotations

import random
import socket
from contextlib import closing

LOW, HIGH = 18_000, 32_000  # below the range from which the kernel takes a connection's own port


def quiet_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, on any address of either family."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(LOW, HIGH)  # noqa: S311  (only to keep out of each other's way)
        if port not in found and _free(port):
            found.append(port)
    return found


def free_port() -> int:
    """Return such a port."""
    return quiet_ports(1)[0]


def _free(port: int) -> bool:
    try:
        with closing(socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)):
            return True
    except OSError:
        return False
