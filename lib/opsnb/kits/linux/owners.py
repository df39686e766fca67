"""What ``ss`` and ``netstat`` print: sockets, and which process owns one, as far as the login may see it.

Known forms: ``ss`` of iproute2 3 to 6 (old ones write ``("sshd",1234,3)``, new ones ``("sshd",pid=1234,fd=3)``; old
ones write ``*:22`` for an IPv4 socket, new ones for one of both families), ``netstat`` of net-tools and of busybox. A
header line is passed over. Other lines are passed over too: an owner that is not understood is not seen, the sockets
themselves come from ``/proc/net``.
"""

from __future__ import annotations

import re

import pandas as pd

from opsnb.kits.linux.sockets import COLUMNS, TCP_STATES

Owners = dict[tuple[str, str, int], str]
"""``tcp`` or ``udp``, local address and port of a listening socket to ``sshd[812]``."""

OWNER = "owner"
STATES = {name.replace("_", "-"): name for name in TCP_STATES.values()} | {
    "ESTAB": "ESTABLISHED", "UNCONN": "UNCONNECTED", "FIN-WAIT-1": "FIN_WAIT1", "FIN-WAIT-2": "FIN_WAIT2",
    "FIN_WAIT_1": "FIN_WAIT1", "FIN_WAIT_2": "FIN_WAIT2", "CLOSED": "CLOSE",
}  # fmt: skip
PROCESS = re.compile(r'\("((?:[^"\\]|\\.)*)",(?:pid=)?(\d+),(?:fd=)?\d+\)')
NO_USER = -1  # neither tool tells a uid in these columns
SS_WORDS, NETSTAT_WORDS = 6, 5


def owners_of(tools: dict[str, str]) -> Owners | None:
    """Return who owns each listening socket from what ``ss`` or ``netstat`` printed; ``None`` where neither did."""
    for name, parse in (("ss", parse_ss), ("netstat", parse_netstat)):
        if tools.get(name):
            rows = parse(tools[name])
            return {
                (r["protocol"].rstrip("6"), r["local_address"], r["local_port"]): r[OWNER]
                for r in rows[rows[OWNER] != ""].to_dict("records")
            }
    return None


def parse_ss(text: str) -> pd.DataFrame:
    """Return one row for each socket of ``ss -tuanp`` or ``ss -tulnp``.

    Columns: those of :func:`opsnb.kits.linux.sockets.parse_sockets` (``uid`` is -1: ss does not tell it) and
    ``owner`` (``nginx[812], nginx[813]``; empty where the login may not see it).
    """
    rows = []
    star = "0.0.0.0" if _old(text) else "::"  # noqa: S104  (an address is read here, nothing listens)
    for line in text.splitlines():
        words = line.split(None, SS_WORDS)
        if len(words) < SS_WORDS or words[0] not in {"tcp", "udp"} or not words[2].isdigit():
            continue
        local, remote = _endpoint(words[4], star), _endpoint(words[5], star)
        if local and remote:
            protocol = words[0] + ("6" if ":" in local[0] else "")
            state = STATES.get(words[1], words[1])
            state = "CONNECTED" if words[0] == "udp" and state == "ESTABLISHED" else state
            rows.append((protocol, *local, *remote, state, NO_USER, int(words[2]), _processes(words[SS_WORDS:])))
    return pd.DataFrame(rows, columns=[*COLUMNS, OWNER])


def parse_netstat(text: str) -> pd.DataFrame:
    """Return one row for each socket of ``netstat -tuanp`` or ``netstat -tulnp``; columns as :func:`parse_ss`."""
    rows = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < NETSTAT_WORDS or words[0] not in {"tcp", "tcp6", "udp", "udp6"} or not words[1].isdigit():
            continue
        local, remote = _endpoint(words[3]), _endpoint(words[4])
        if local and remote:
            rest = line.split(None, NETSTAT_WORDS)[NETSTAT_WORDS:]
            state, owner = _state_and_program(words[0], rest[0] if rest else "")
            protocol = words[0].rstrip("6") + ("6" if ":" in local[0] else "")
            rows.append((protocol, *local, *remote, state, NO_USER, int(words[1]), owner))
    return pd.DataFrame(rows, columns=[*COLUMNS, OWNER])


def _state_and_program(protocol: str, rest: str) -> tuple[str, str]:
    """Take ``LISTEN  812/nginx: master`` apart; UDP has a state only when it is connected."""
    first, _, more = rest.partition(" ")
    known = {*STATES.values(), *STATES}
    state = STATES.get(first, first) if first in known else "UNCONNECTED"
    if protocol.startswith("udp"):
        state = "CONNECTED" if first == "ESTABLISHED" else "UNCONNECTED"
    program = (more if first in known else rest).strip()
    found = re.match(r"(\d+)/(.+)", program)
    return state, f"{found[2].strip()}[{found[1]}]" if found else ""


def _processes(words: list[str]) -> str:
    found = PROCESS.findall(words[0]) if words else []
    return ", ".join(dict.fromkeys(f"{name}[{pid}]" for name, pid in found))


def _old(text: str) -> bool:
    """Whether an ``ss`` wrote this that writes ``*`` for 0.0.0.0 and ``:::22`` for IPv6 (iproute2 before 4.14)."""
    return not any(word in text for word in ("0.0.0.0:", "[::", "Process"))


def _endpoint(word: str, star: str = "::") -> tuple[str, int] | None:
    """Return address and port of ``127.0.0.53%lo:53``, ``[::]:22``, ``:::22`` or ``*:22``."""
    address, colon, port = word.rpartition(":")
    if not colon or not (port == "*" or port.isdigit()):
        return None
    address = address.strip("[]").partition("%")[0].strip("[]")
    mapped = address.lower().removeprefix("::ffff:")
    if mapped != address.lower() and "." in mapped:
        address = mapped
    wild = {"*": star, "": "::"}
    return wild.get(address, address), 0 if port == "*" else int(port)
