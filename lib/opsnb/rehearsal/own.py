"""Hosts with namespaces and a file system of their own: what root gets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from opsnb.base.errors import OpsnbError
from opsnb.rehearsal.hosts import OPS, WATCH, Host
from opsnb.rehearsal.identity import File
from opsnb.rehearsal.keys import Keys

BOOT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Start:
    """One host to start.

    Args:
        host: The host.
        listen: The address on which its sshd listens.
        network: Whether it has a network of its own too; whoever started it brings that up.
        disk: A directory on disk for what it changes; in memory when empty.
        files: Further files of its own, by path from its root.
        commands: What starts its services.
        hide: Directories of the machine of which it sees nothing.
    """

    host: Host
    listen: str
    network: bool = False
    disk: str = ""
    files: Mapping[str, File] = field(default_factory=dict)
    commands: Sequence[Sequence[str]] = ()
    hide: Sequence[str] = ()


def start(folder: Path, starts: Sequence[Start], *, keys: Keys, sshd: str, hide: Sequence[Path], lock: int) -> None:
    """Start hosts; each is written down in ``folder`` before it does anything.

    Args:
        folder: The fleet's state directory.
        starts: The hosts to start.
        keys: The fleet's keys.
        sshd: Path of sshd.
        hide: Directories of the machine that no host may see.
        lock: The fleet's lock, which is held until all are started.

    Raises:
        OpsnbError: If one does not start, with why.
    """
    (folder / "root").mkdir(exist_ok=True)
    authorized = {WATCH: f"{keys.observe}\n", OPS: f"{keys.observe}\n{keys.change}\n"}
    plan = {
        "folder": str(folder), "hide": [str(path) for path in hide], "lock": lock, "authorized": authorized,
        "hosts": [_row(start, sshd, keys.private, keys.public) for start in starts],
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-I", "-m", "opsnb.rehearsal.boot"], input=json.dumps(plan), pass_fds=[lock],
        capture_output=True, text=True, timeout=BOOT_SECONDS, check=False, cwd="/",
    )  # fmt: skip
    if done.returncode != 0:
        raise OpsnbError(f"hosts did not start: {done.stderr.strip() or 'no word why'}", hint="opsnb rehearse down")


def _row(start: Start, sshd: str, private: Mapping[str, str], public: Mapping[str, str]) -> dict[str, object]:
    host = start.host
    return {
        "name": host.name, "address": host.address, "port": host.port, "listen": start.listen, "sshd": sshd,
        "key": private[host.name], "public": public[host.name], "network": start.network, "disk": start.disk,
        "files": {name: asdict(file) for name, file in start.files.items()}, "hide": list(start.hide),
        "commands": [list(command) for command in start.commands],
    }  # fmt: skip
