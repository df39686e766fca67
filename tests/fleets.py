"""Hosts to test with: the rehearsal fleet of a workspace, and what a test needs to know of one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsnb.cli.workspace import make
from opsnb.rehearsal import state
from opsnb.rehearsal.fleet import Rehearsal
from opsnb.rehearsal.hosts import OPS
from opsnb.rehearsal.keys import CHANGE_KEY, OBSERVE_KEY
from places import Place

HOSTS = 6


class Hosts(Place):
    """A workspace with a rehearsal fleet: everything of a :class:`Place`, and its hosts.

    ``inventory/rehearsal.yaml`` is there, so selectors work: ``all``, ``web*``, ``role=nginx & env=prod``, ``rehearsal``.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.fleet = Rehearsal(self.workspace)

    @property
    def status(self) -> list[dict[str, Any]]:
        """Each host's name, address, port, role, environment, whether it is up, its memory."""
        return list(self.fleet.status()["hosts"])

    def host(self, name: str) -> dict[str, Any]:
        """Return one host's status."""
        return next(host for host in self.status if host["name"] == name)

    def key(self, *, change: bool = False) -> Path:
        """Return the private key file of the credential that looks, or of the one that changes."""
        return self.fleet.folder / (CHANGE_KEY if change else OBSERVE_KEY)

    def public(self, name: str) -> str:
        """Return a host's public key line."""
        words = (self.fleet.folder / f"{name}.hostkey.pub").read_text(encoding="utf-8").split()
        return " ".join(words[:2])

    def process(self, name: str) -> state.Process:
        """Return a host's first process, seen from this machine; when it ends, the host has lost its power."""
        found = state.recall(self.fleet.folder / f"{name}.json")
        assert found is not None, f"{name} was never started"
        return found

    def restore(self) -> None:
        """Start again whatever does not run."""
        self.fleet.up()

    def ssh(
        self, name: str, command: str, *, user: str = "", change: bool = True, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host with the OpenSSH client, as an operator would; the host key is checked."""
        plan = self.fleet.plan()
        assert plan is not None
        host = next(host for host in plan.hosts if host.name == name)
        known = self.root / f"known-{name}"
        known.write_text(f"[{host.address}]:{host.port} {self.public(name)}\n", encoding="utf-8")
        argv = [
            "ssh", "-F", "/dev/null", "-i", str(self.key(change=change)), "-p", str(host.port), "-o", "IdentitiesOnly=yes",
            "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", f'UserKnownHostsFile="{known}"',
            "-o", "LogLevel=ERROR", "-l", user or plan.user, host.address, command,
        ]  # fmt: skip
        try:
            return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        finally:
            known.unlink()

    def sudo(self, name: str, command: str) -> str:
        """Change something on a host as root, through ``ops``; return what was printed."""
        done = self.ssh(name, f"sudo -n sh -c {_quoted(command)}", user=OPS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        """End the control planes, then the hosts."""
        try:
            super().close()
        finally:
            self.fleet.down()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """A workspace with six rehearsal hosts, shared by the tests of one module, down at its end whatever happens."""
    made = Hosts(tmp_path_factory.mktemp("rehearsal") / "ws")
    make(made.root)
    made.settings(cell_timeout="30s")
    try:
        made.fleet.up(HOSTS)
        yield made
    finally:
        made.close()
