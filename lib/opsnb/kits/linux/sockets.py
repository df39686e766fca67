"""Sockets: ``/proc/net/{tcp,tcp6,udp,udp6}``: what listens, and in which states the connections are.

Format: ``Documentation/networking/proc_net_tcp.rst``; states: ``include/net/tcp_states.h``. An address is printed as
32-bit words in the byte order of the machine.
"""

from __future__ import annotations

import ipaddress
import sys
from functools import lru_cache
from typing import Literal

import pandas as pd

from opsnb.base.errors import UsageError

TCP_STATES = {
    0x01: "ESTABLISHED", 0x02: "SYN_SENT", 0x03: "SYN_RECV", 0x04: "FIN_WAIT1", 0x05: "FIN_WAIT2", 0x06: "TIME_WAIT",
    0x07: "CLOSE", 0x08: "CLOSE_WAIT", 0x09: "LAST_ACK", 0x0A: "LISTEN", 0x0B: "CLOSING", 0x0C: "SYN_RECV",
}  # fmt: skip  # 0x0C is NEW_SYN_RECV, which ss calls SYN-RECV too
UDP_STATES = {0x01: "CONNECTED", 0x07: "UNCONNECTED"}
PROTOCOLS = ("tcp", "tcp6", "udp", "udp6")
COLUMNS = ["protocol", "local_address", "local_port", "remote_address", "remote_port", "state", "uid", "receive_queue"]
LISTENING = {"tcp": "LISTEN", "udp": "UNCONNECTED"}
NOT_VISIBLE = "not visible to this login"
ByteOrder = Literal["little", "big"]


def parse_sockets(texts: dict[str, str], byteorder: ByteOrder = sys.byteorder) -> pd.DataFrame:
    """Return one row for each socket.

    Args:
        texts: Protocol (``tcp``, ``tcp6``, ``udp``, ``udp6``) to the text of ``/proc/net/<protocol>``.
        byteorder: Byte order of the machine that printed it.

    Returns:
        Columns: ``protocol``, ``local_address``, ``local_port``, ``remote_address``, ``remote_port``, ``state``
        (``LISTEN``, ``ESTABLISHED``, ...; UDP: ``UNCONNECTED``, ``CONNECTED``), ``uid`` (who made it),
        ``receive_queue`` (bytes; of a listening TCP socket: connections that wait to be accepted).

    Raises:
        UsageError: If a line has another form, with the protocol and the line.
    """
    rows = []
    for protocol, text in texts.items():
        for number, line in enumerate(text.splitlines()[1:], 2):
            try:
                rows.append(_socket(protocol, line.split(), byteorder))
            except (ValueError, IndexError) as error:
                raise UsageError(f"/proc/net/{protocol} line {number} is not a socket: {line[:100]!r}") from error
    return pd.DataFrame(rows, columns=COLUMNS)


def listening_ports(
    sockets: pd.DataFrame,
    users: dict[int, str] | None = None,
    owners: dict[tuple[str, str, int], str] | None = None,
) -> pd.DataFrame:
    """Return what accepts connections or datagrams, by port.

    Args:
        sockets: Of :func:`parse_sockets`.
        users: User names by uid.
        owners: Which process owns a socket, of :func:`opsnb.kits.linux.owners.owners_of`; ``None`` where nobody asked.

    Columns: ``protocol``, ``port``, ``address``, ``reach`` (``this machine only`` for loopback, else ``network``),
    ``user`` (whose socket it is, not which process), ``waiting`` (bytes, or connections not yet accepted), and with
    ``owners`` also ``process`` (``nginx[812]``, or ``not visible to this login``).
    """
    kinds = sockets["protocol"].str.rstrip("6").map(LISTENING)
    found = sockets[(sockets["state"] == kinds) & (sockets["remote_port"] == 0)].sort_values(["local_port", "protocol"])
    names = users or {}
    rows = [
        (s["protocol"], s["local_port"], s["local_address"], _reach(s["local_address"]),
         names.get(s["uid"], str(s["uid"])), s["receive_queue"])
        for s in found.to_dict("records")
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["protocol", "port", "address", "reach", "user", "waiting"])
    if owners is not None:
        keys = zip(frame["protocol"].str.rstrip("6"), frame["address"], frame["port"], strict=True)
        frame.insert(2, "process", [owners.get(key, NOT_VISIBLE) for key in keys])
    return frame


def connection_states(sockets: pd.DataFrame) -> pd.DataFrame:
    """Return how many TCP sockets are in each state, most first: columns ``state``, ``connections``."""
    tcp = sockets[sockets["protocol"].isin(["tcp", "tcp6"])]
    counts = tcp["state"].value_counts(sort=False).rename_axis("state").reset_index(name="connections")
    return counts.sort_values(["connections", "state"], ascending=[False, True], ignore_index=True)


def top_peers(sockets: pd.DataFrame, limit: int = 10) -> pd.DataFrame:
    """Return the remote addresses with most TCP connections: columns ``remote_address``, ``connections``."""
    tcp = sockets[sockets["protocol"].isin(["tcp", "tcp6"]) & (sockets["remote_port"] != 0)]
    counts = (
        tcp["remote_address"].value_counts(sort=False).rename_axis("remote_address").reset_index(name="connections")
    )
    ordered = counts.sort_values(["connections", "remote_address"], ascending=[False, True], ignore_index=True)
    return ordered.head(limit)


def _socket(protocol: str, words: list[str], byteorder: ByteOrder) -> tuple[object, ...]:
    local, local_port = _address(words[1], byteorder)
    remote, remote_port = _address(words[2], byteorder)
    states = TCP_STATES if protocol.startswith("tcp") else UDP_STATES
    code = int(words[3], 16)
    receive_queue = int(words[4].split(":")[1], 16)
    state = states.get(code, f"state {code:#04x}")
    return protocol, local, local_port, remote, remote_port, state, int(words[7]), receive_queue


def _address(word: str, byteorder: ByteOrder) -> tuple[str, int]:
    text, port = word.split(":")
    return _host(text, byteorder), int(port, 16)


@lru_cache(maxsize=65536)  # a busy host has few addresses and many connections
def _host(text: str, byteorder: ByteOrder) -> str:
    raw = bytes.fromhex(text)
    if byteorder == "little":
        raw = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _reach(address: str) -> str:
    return "this machine only" if ipaddress.ip_address(address).is_loopback else "network"
