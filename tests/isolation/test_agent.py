"""An SSH agent is for the runs whose hosts are reached by it: others are not told where it listens."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opsnb.cli.workspace import make
from opsnb.control.flows.examine import examine
from opsnb.control.flows.examine_isolation import isolation
from opsnb.control.flows.login import agent_for
from opsnb.fleet.inventory import loads
from places import Place

SOCKET = "/run/agent"
INVENTORY = loads("""
credentials:
  ops: {kind: key, secret: keys/ops}
  own: {kind: agent}
hosts:
  by_key: {address: 192.0.2.1, credential: ops}
  by_agent: {address: 192.0.2.2, credential: {observe: ops, change: own}}
  bare: {address: 192.0.2.3}
  behind: {address: 192.0.2.4, credential: ops, via: by_agent}
  here: {transport: local}
""")


@pytest.mark.parametrize(("hosts", "told"), [
    (["here"], ""), (["by_key", "here"], ""), ([], ""),
    (["by_agent"], SOCKET), (["bare"], SOCKET), (["behind"], SOCKET), (["here", "by_key", "bare"], SOCKET),
])  # fmt: skip
def test_who_is_told(monkeypatch: pytest.MonkeyPatch, hosts: list[str], told: str) -> None:
    """A run with a host, or a jump host on the way, that is reached with an agent's keys; nobody where there is none."""
    services: Any = SimpleNamespace(inventory=lambda: INVENTORY)
    rows = [INVENTORY.row(name) for name in hosts]
    monkeypatch.setenv("SSH_AUTH_SOCK", SOCKET)
    assert agent_for(services, rows) == told
    monkeypatch.delenv("SSH_AUTH_SOCK")
    assert agent_for(services, rows) == ""


def test_the_doctor_warns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where an agent signs for the user of kernels, whoever looks is told."""
    place = Place(tmp_path / "ws")
    make(place.root)
    for value, names in ((SOCKET, ["SSH agent"]), ("", [])):
        monkeypatch.setenv("SSH_AUTH_SOCK", value)
        found = [finding for finding in isolation(place.workspace) if finding.name == "SSH agent"]
        assert [finding.name for finding in found] == names


@pytest.mark.parametrize(
    ("mode", "group", "told"),
    [
        (0o755, "root", 0), (0o775, "root", 0), (0o775, "daemon", 1), (0o755, "daemon", 0), (0o757, "root", 1),
        (0o1777, "daemon", 0),
    ],
)  # fmt: skip
def test_the_doctor_tells_who_may_replace_the_state(tmp_path: Path, mode: int, group: str, told: int) -> None:
    """Whoever may write to a workspace's folder may put another state there: that is told; the sticky bit keeps it."""
    place = Place(tmp_path / "ws")
    make(place.root)
    place.workspace.state.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(place.root, group=group)
    elif mode & 0o020:
        pytest.skip("only root gives a folder to another group")
    place.root.chmod(mode)
    assert sum(finding.name == "workspace" for finding in examine(place.workspace, up=False)) == told
