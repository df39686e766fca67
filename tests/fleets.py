"""Hosts to test with: the rehearsal fleet of a workspace, and what a test needs to know of one."""

from __future__ import annotations

import os
import shutil
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
from places import ROOT, Place, wait_for

HOSTS, TIER_HOSTS = 6, 8
START_SECONDS = 20


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

    def address(self, name: str) -> str:
        """Return a host's address."""
        plan = self.fleet.plan()
        assert plan is not None
        return next(host.address for host in plan.hosts if host.name == name)

    def url(self, name: str, path: str = "/") -> str:
        """Return the URL of a page that a web host or an application host serves."""
        plan = self.fleet.plan()
        assert plan is not None
        return f"http://{self.address(name)}:{plan.ports[name]}{path}"

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
    """A workspace with six rehearsal hosts that serve nothing, shared by the tests of one module, down at its end."""
    made = Hosts(tmp_path_factory.mktemp("rehearsal") / "ws")
    make(made.root)
    made.settings(cell_timeout="30s")
    try:
        made.fleet.up(HOSTS, services=False)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def webtier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Eight hosts with nginx, a shop and Supervisor, this repository's runbooks, served; shared by a module's tests.

    web1 to web3 balance over app1 to app3; ``webtier.url("web1")``. Every program of Supervisor is RUNNING.
    """
    if os.geteuid() != 0:
        pytest.skip("hosts with services of their own want root")
    made = Hosts(tmp_path_factory.mktemp("webtier") / "ws")
    make(made.root)
    made.settings(cell_timeout="60s")
    try:
        made.fleet.up(TIER_HOSTS)
        assert made.fleet.status()["missing"] == []
        shutil.rmtree(made.root / "runbooks")
        shutil.copytree(ROOT / "runbooks", made.root / "runbooks")
        made.up()
        for name in ("app1", "app2", "app3"):
            wait_for(
                lambda name=name: made.sudo(name, "supervisorctl status || true").count("RUNNING") == 2, START_SECONDS
            )
        yield made
    finally:
        made.close()
