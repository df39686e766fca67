"""Host keys: which are pinned, how they are shown, and what a host has.

A host without a pin is not connected to; another key than a pinned one ends the connection before a login is tried.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from paramiko import SSHException
from paramiko.ssh_exception import IncompatiblePeer

from opsnb.base.errors import UnreachableError, UsageError
from opsnb.fleet.ssh.wire import SIGNATURES, Wire

SCAN_SECONDS = 10.0


def parse(line: str) -> tuple[str, bytes]:
    """Return the type and the bytes of a public key line (``ssh-ed25519 AAAA... comment``).

    Raises:
        UsageError: If it is not one of a type that is used here.
    """
    kind, _, rest = line.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split()[0], validate=True) if rest.split() else b""
    except binascii.Error:
        blob = b""
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != kind.encode() or not length:
        raise UsageError(f"not a public host key: {line.strip()!r:.80}", hint="it looks like: ssh-ed25519 AAAAC3Nz...")
    if kind not in SIGNATURES:
        raise UsageError(f"host keys of type {kind} are not used", hint=f"pin one of {', '.join(SIGNATURES)}")
    return kind, blob


def line(kind: str, blob: bytes) -> str:
    """Return a key as its public key line."""
    return f"{kind} {base64.b64encode(blob).decode()}"


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as ``ssh-keygen -l`` shows it: ``SHA256:...``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


class Pins:
    """The keys that one host may show.

    Args:
        host: Its name in the inventory.
        lines: Its pinned public key lines.

    Raises:
        UnreachableError: If there are none.
        UsageError: If one is not a public key.
    """

    def __init__(self, host: str, lines: Sequence[str]) -> None:
        if not lines:
            raise UnreachableError(f"{host}: no host key is pinned", hint=f"opsnb host trust {host}")
        self.host = host
        self._keys = [parse(text) for text in lines]

    @property
    def types(self) -> list[str]:
        """The pinned types; a host is asked for no other."""
        return list(dict.fromkeys(kind for kind, _ in self._keys))

    def check(self, kind: str, blob: bytes) -> None:
        """Compare the key that a host shows.

        Raises:
            UnreachableError: If it is none of the pinned ones.
        """
        if (kind, blob) not in self._keys:
            raise self.changed([(kind, blob)])

    def changed(self, shown: Sequence[tuple[str, bytes]]) -> UnreachableError:
        """Return the refusal of a host that shows other keys than the pinned ones."""
        pinned = ", ".join(f"{kind} {fingerprint(blob)}" for kind, blob in self._keys)
        seen = ", ".join(f"{kind} {fingerprint(blob)}" for kind, blob in shown) or "none of the pinned types"
        return UnreachableError(
            f"{self.host}: the host key is not the pinned one: it shows {seen}; pinned is {pinned}. "
            "Somebody may be in between, or the host was set up anew",
            hint=f"compare with the host's own console (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub); "
            f"if it is right: opsnb host trust {self.host}",
        )


def scan(address: str, port: int, via: Any = None, seconds: float = SCAN_SECONDS) -> list[str]:
    """Return the public key lines of a host, one for each type that it has. Nobody logs in.

    Args:
        address: Host name or address.
        port: Port of sshd.
        via: Returns a socket through jump hosts, as ``Connections.through`` does, for an address, a port and seconds;
            ``None``: directly.
        seconds: For all types together.

    Raises:
        UnreachableError: If nothing answers there, or it does not speak SSH.
    """
    end = time.monotonic() + seconds
    found: list[str] = []
    problem = ""
    for kind in SIGNATURES:
        left = end - time.monotonic()
        if left <= 0:
            problem = f"no complete answer within {seconds:g} s"
            break
        try:
            sock = via(address, port, left) if via else socket.create_connection((address, port), left)
        except OSError as error:
            problem = error.strerror or str(error)
            break
        try:
            found.append(line(*_shown(sock, kind, left)))
        except IncompatiblePeer:
            continue
        except (SSHException, EOFError, OSError) as error:
            problem = str(error) or "the connection ended during the handshake"
            break
    if found:
        return found
    why = problem or "it offers no host key of a type that is used here"
    raise UnreachableError(
        f"{address} port {port}: {why}", hint=f"check that sshd answers there: ssh -p {port} {address}"
    )


def _shown(sock: Any, kind: str, seconds: float) -> tuple[str, bytes]:
    wire = Wire(sock, types=[kind], legacy=True, handshake=seconds)
    try:
        wire.start_client(timeout=seconds)
        key = wire.get_remote_server_key()
        return key.get_name(), key.asbytes()
    finally:
        wire.end()


def shown_by(row: Mapping[str, Any], seconds: float = SCAN_SECONDS) -> list[tuple[str, bytes]]:
    """Return the keys that a host reached directly shows; empty when it shows none in time."""
    try:
        return [parse(text) for text in scan(str(row["address"]), int(row.get("port", 22)), seconds=seconds)]
    except UnreachableError:
        return []
