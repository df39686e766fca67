"""Whose connection to the API this is: of a run's process tree, or of somebody else. A token does not say.

A run can read what somebody left where it may read it, a token in another process's arguments for one. So the server
asks the system who is connected:

* A Unix socket names the process that connected (``SO_PEERCRED``, held by ``SO_PEERPIDFD`` where there is one, so that
  no other process takes its number meanwhile).
* A TCP connection from this machine stands in ``/proc/net/tcp`` with its socket's number and owner, and the process
  that holds the socket has it among its descriptors.

From that process the way up through its parents leads to a run's supervisor or it does not: a supervisor and the zygote
are subreapers, so no orphan leaves the tree, and a kernel can neither become nor start a process elsewhere
(:mod:`.confine`, :mod:`.syscalls`); what both leave behind is the control plane's own. Who is gone, or holds its socket
and cannot be seen, is not told apart from a run, and is refused. Numbers: asm-generic/socket.h, proc_pid_net(5).
"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from opsnb.control.runs.confine import is_subreaper

SO_PEERPIDFD = 77  # Linux 6.5
CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid
MODULES = (b"opsnb.control.runs.zygote", b"opsnb.control.runs.supervisor")  # a run has one of them above it
MOST_PARENTS = 4096  # a chain that is longer is none
LOOKS = 3  # at all descriptors of this machine: a socket is handed on by a fork between two looks at most

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Place = tuple[Address, int]


class UntoldError(Exception):
    """Who is connected cannot be told; ``str()`` says why."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A process that is connected to the API, of this machine.

    Args:
        above: Its own pid and its parents', nearest first.
        run: Whether it is of a run's tree.
    """

    above: tuple[int, ...]
    run: bool


def behind_unix(sock: socket.socket) -> tuple[int, int]:
    """Return pid and pidfd of who connected to a Unix socket; pid 0 for one whose processes are not seen from here.

    Call it when the connection is made, and close the pidfd. -1 where the process is gone.
    """
    pid, _, _ = CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    if pid == 0:
        return 0, -1
    try:
        return pid, sock.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError:  # an older system, or gone
        try:
            return pid, os.pidfd_open(pid)
        except OSError:
            return pid, -1


def of_unix(pid: int, pidfd: int) -> Caller:
    """Return who is connected to a Unix socket.

    Raises:
        UntoldError: If it is gone.
    """
    if pid == 0:  # of a process namespace beside ours, and a run is never there
        return Caller(above=(), run=False)
    caller = _caller(pid)
    if caller is None or pidfd < 0 or select.select([pidfd], [], [], 0)[0]:
        raise UntoldError("the process that connected has ended")
    return caller


def of_tcp(client: Place, server: Place, others: Collection[int] = ()) -> Caller | None:
    """Return who is connected over TCP; ``None`` for another machine.

    Args:
        client: The connection's address and port at their side.
        server: The same at ours.
        others: Users that are nobody but runs (``kernel_user``).

    Raises:
        UntoldError: If it is this machine and nobody is seen to hold the connection.
    """
    if not _of_this_machine(client[0]):
        return None
    found = _socket(client, server)
    if found is None:
        raise UntoldError("the connection was closed at its other end")
    inode, owner = found
    for _ in range(LOOKS):
        seen = [_caller(pid) for pid in _holders(inode)]
        if known := [caller for caller in seen if caller is not None]:
            ours = next((caller for caller in known if caller.run), known[0])
            if ours.run or len(known) == len(seen):
                return ours if owner not in others else Caller(above=ours.above, run=True)
    if inode and os.geteuid() not in {0, owner} and owner not in others:
        return Caller(above=(), run=False)  # somebody else's, whose descriptors are not ours to see: a run's are
    raise UntoldError("no process of this machine is seen to hold the connection")


def untold() -> list[str]:
    """Return the ways to the API on which this system does not tell who is connected, as words; tried on ourselves."""
    return [way for way, told in (("the Unix socket", _tells_unix), ("TCP of this machine", _tells_tcp)) if not told()]


def _tells_unix() -> bool:
    here, there = socket.socketpair()
    with here, there:
        pid, pidfd = behind_unix(here)
        try:
            return of_unix(pid, pidfd).above[:1] == (os.getpid(),)
        except UntoldError:
            return False
        finally:
            if pidfd >= 0:
                os.close(pidfd)


def _tells_tcp() -> bool:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
            found = of_tcp(place_of(client.getsockname()), place_of(server.getsockname()))
        return found is not None and found.above[:1] == (os.getpid(),)
    except (UntoldError, OSError):
        return False


def _caller(pid: int) -> Caller | None:
    """Return who a process is, ``None`` if it or one above it ended meanwhile."""
    chain: list[int] = []
    run, orphans = False, os.getpid() if is_subreaper() and os.getpid() != 1 else -1
    while pid > 0 and len(chain) < MOST_PARENTS:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            parent = _parent(pid)
        except OSError:
            return None
        chain.append(pid)
        run = run or any(module in words for module in MODULES) or (len(chain) > 1 and pid == orphans)
        pid = parent
    return Caller(above=tuple(chain), run=run)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


def _holders(inode: int) -> Iterator[int]:
    """Yield the processes that hold a socket, of those whose descriptors we may see."""
    wanted = f"socket:[{inode}]"
    for process in os.scandir("/proc") if inode else ():
        if process.name.isdigit():
            try:
                with os.scandir(f"{process.path}/fd") as entries:
                    held = any(_reads(entry.path) == wanted for entry in entries)
            except OSError:
                continue
            if held:
                yield int(process.name)


def _reads(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115  (thousands of them, one after the other)
    except OSError:
        return ""


def _socket(client: Place, server: Place) -> tuple[int, int] | None:
    """Return number and owner of the socket at the other end of a connection, where that is on this machine."""
    for file in ("tcp", "tcp6"):
        try:
            rows = Path(f"/proc/self/net/{file}").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for ours in _written(*client, file):
            for theirs in _written(*server, file):
                for row in rows:
                    if f" {ours} {theirs} " in row:
                        words = row.split()
                        return int(words[9]), int(words[7])
    return None


def _written(address: Address, port: int, file: str) -> list[str]:
    """Return how an address stands in a file: words of four bytes in the machine's order."""
    if file == "tcp":
        forms = [address.packed] if address.version == 4 else []  # noqa: PLR2004  (the protocol's)
    else:
        forms = [address.packed] if address.version == 6 else [b"\0" * 10 + b"\xff\xff" + address.packed]  # noqa: PLR2004
    return ["".join(f"{word:08X}" for word in struct.unpack(f"={len(f) // 4}I", f)) + f":{port:04X}" for f in forms]


def _of_this_machine(address: Address) -> bool:
    """Whether an address is ours: it can be bound; where any address can, the way to it begins at itself."""
    if address.is_loopback:
        return True
    if address.is_link_local and address.version == 6:  # noqa: PLR2004  (bound on an interface only)
        return address.packed.hex() in Path("/proc/self/net/if_inet6").read_text(encoding="ascii")
    four = address.version == 4  # noqa: PLR2004  (the protocol's)
    with socket.socket(socket.AF_INET if four else socket.AF_INET6, socket.SOCK_DGRAM) as probe:  # nothing is sent
        try:
            probe.bind((str(address), 0))
            if Path(f"/proc/sys/net/ipv{address.version}/ip_nonlocal_bind").read_bytes().strip() == b"0":
                return True
        except OSError:
            return False
    with socket.socket(socket.AF_INET if four else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
        except OSError:
            return False
        return ipaddress.ip_address(str(probe.getsockname()[0]).partition("%")[0]) == address


def place_of(pair: tuple[str, int]) -> Place:
    """Return what a socket says of an address and a port; IPv4 in IPv6 as IPv4."""
    address = ipaddress.ip_address(str(pair[0]).partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address, int(pair[1])
