"""Real sshd on loopback addresses, and the rows of hosts that lead there: for tests and benchmarks."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ports import free_port

SSHD = "/usr/sbin/sshd"
ADDRESSES = 16  # that one sshd listens on at most
SETTINGS = {
    "StrictModes": "no", "UsePAM": "no", "UseDNS": "no", "MaxStartups": "300:30:400", "PermitRootLogin": "yes",
    "PasswordAuthentication": "no", "PrintMotd": "no", "LogLevel": "ERROR", "MaxSessions": "64",
}  # fmt: skip


def keygen(path: Path, *options: str, kind: str = "ed25519") -> str:
    """Make a key pair without a passphrase unless one is given; return the public line without its comment."""
    argv = ["ssh-keygen", "-q", "-t", kind, "-f", str(path), "-C", "test", *options]
    if "-N" not in options:
        argv += ["-N", ""]
    subprocess.run(argv, check=True)
    return " ".join(path.with_suffix(".pub").read_text(encoding="utf-8").split()[:2])


class Sshd:
    """One sshd.

    Args:
        root: Its folder.
        addresses: Where it listens.
        port: On which port; a free one when it is not given.
        settings: Lines of sshd_config; they replace those of ``SETTINGS``.
        more: Further lines at the end (``Match`` blocks).
        host_keys: Types of its host keys.
        authorized: A file with public keys that may log in as anybody.
    """

    def __init__(
        self,
        root: Path,
        addresses: Sequence[str],
        *,
        port: int = 0,
        settings: Mapping[str, str] | None = None,
        more: str = "",
        host_keys: Sequence[str] = ("ed25519",),
        authorized: Path | None = None,
    ) -> None:
        self.root, self.addresses, self.port = root, list(addresses), port or free_port()
        root.mkdir(parents=True, exist_ok=True)
        self.public: list[str] = []
        for kind in host_keys:
            if not (root / f"host_{kind}").exists():
                keygen(root / f"host_{kind}", kind=kind)
            self.public.append(" ".join((root / f"host_{kind}.pub").read_text(encoding="utf-8").split()[:2]))
        rows = {**SETTINGS, "PidFile": str(root / "pid"), **(settings or {})}
        lines = [f"ListenAddress {address}:{self.port}" for address in addresses]
        lines += [f"HostKey {root / f'host_{kind}'}" for kind in host_keys]
        lines += [f"{name} {value}" for name, value in rows.items()]
        lines.append(f"AuthorizedKeysFile {authorized or root / 'authorized'}")
        (root / "sshd_config").write_text("\n".join(lines) + "\n" + more, encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Sshd:
        """Start it and wait until it listens."""
        Path("/run/sshd").mkdir(exist_ok=True)
        with (self.root / "log").open("ab") as log:
            argv = [SSHD, "-D", "-e", "-f", str(self.root / "sshd_config")]
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while not self._listens():
            assert self.process.poll() is None, (self.root / "log").read_text(encoding="utf-8")
            assert time.monotonic() < end, "sshd does not listen"
            time.sleep(0.01)
        return self

    def _listens(self) -> bool:
        try:
            for address in self.addresses:
                socket.create_connection((address, self.port), 1).close()
        except OSError:
            return False
        return True

    def sessions(self) -> list[int]:
        """Return the pids of the processes that serve connections, theirs and their children's."""
        assert self.process
        found, level = [], [self.process.pid]
        while level:
            level = [pid for parent in level for pid in _children(parent)]
            found += level
        return found

    def cut(self) -> None:
        """Kill what serves connections, not the listener: a line that is lost."""
        for pid in self.sessions():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def stop(self) -> None:
        """End it, and the connections that it serves."""
        if self.process is None:
            return
        self.cut()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.process = None

    def row(self, name: str, **values: Any) -> dict[str, Any]:
        """Return the sealed row of a host that lives here."""
        return {
            "name": name, "transport": "ssh", "address": self.addresses[0], "port": self.port, "user": "root",
            "keys": self.public, **values,
        }  # fmt: skip


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class FakeRun:
    """What the fleet wants of a run, with credentials kept here; counts who asked for what.

    Args:
        rows: The sealed rows.
        credentials: By (host, purpose), by purpose, or for everybody under ``None``.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], credentials: Mapping[Any, dict[str, Any]]) -> None:
        self.rows = list(rows)
        self.asked: list[tuple[str, str]] = []
        self._credentials = credentials

    def credential(self, host: str, purpose: str) -> dict[str, Any]:
        """Answer as the control plane does."""
        self.asked.append((host, purpose))
        for key in ((host, purpose), purpose, None):
            if key in self._credentials:
                return dict(self._credentials[key])
        raise AssertionError(f"no credential for {host} {purpose}")


@contextmanager
def user(prefix: str, shell: str = "/bin/sh", *options: str, password: str = "") -> Iterator[str]:
    """A system user for one test, with a home; needs root.

    Args:
        prefix: What its name begins with; the rest makes it the test's own.
        shell: Its login shell.
        options: Further options of useradd.
        password: Its password; without one only keys log in.
    """
    name = f"{prefix}{secrets.token_hex(3)}"
    home = Path(tempfile.mkdtemp(prefix=f"home-{name}-"))
    subprocess.run(["useradd", "-M", "-d", str(home), "-s", shell, *options, name], check=True)
    try:
        if password:
            subprocess.run(["chpasswd"], input=f"{name}:{password}".encode(), check=True)
        else:
            subprocess.run(["usermod", "-p", "*", name], check=True)  # not locked: sshd refuses locked ones
        entry = pwd.getpwnam(name)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        yield name
    finally:
        subprocess.run(["userdel", "-f", name], check=True, stderr=subprocess.DEVNULL)
        shutil.rmtree(home, ignore_errors=True)
