"""A file whose times were set back is read again; and no kernel reads what holds the state."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from opsnb.base.workspace import Workspace
from opsnb.control.flows.isolation import reads_of
from opsnb.control.runs.toolkit import PACKAGES, Toolkit
from opsnb.fleet.inventory import Watched

ONE = "hosts:\n  web1: {address: 192.0.2.1}\n"


def test_nothing_that_holds_the_state_is_read_by_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder around the state is on no kernel's list, though Python looks there or a link leads there."""
    workspace, toolkit = Workspace(tmp_path / "home" / "ws"), Toolkit()
    workspace.state.mkdir(parents=True)
    workspace.runbooks.mkdir()
    workspace.outputs.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "home"))
    usual = set(reads_of(workspace, toolkit))
    assert str(workspace.runbooks) in usual
    assert not {p for p in usual if workspace.state.is_relative_to(p)}
    workspace.runbooks.rmdir()
    for goal in (tmp_path, workspace.root, workspace.state, workspace.outputs, Path("/")):
        workspace.runbooks.symlink_to(goal)
        assert set(reads_of(workspace, toolkit)) == usual - {str(workspace.runbooks)}
        workspace.runbooks.unlink()


def set_back(file: Path, times: os.stat_result) -> None:
    """Set a file's times to what they were; the clock of the file system has gone on by then."""
    while file.stat().st_ctime_ns == times.st_ctime_ns:
        os.utime(file)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_the_toolkit(tmp_path: Path) -> None:
    """One byte of the toolkit is another, with the time of before: its digest is another."""
    toolkit = Toolkit()
    for name in PACKAGES:
        shutil.copytree(toolkit.root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    toolkit.root = tmp_path
    before, file = toolkit.digest(), tmp_path / "base" / "plan.py"
    times = file.stat()
    file.write_bytes(file.read_bytes()[:-1] + b" ")
    set_back(file, times)
    assert file.stat().st_mtime_ns == times.st_mtime_ns
    assert toolkit.digest() != before


def test_the_inventory(tmp_path: Path) -> None:
    """One byte of an address is another, with the time of before: the host is another."""
    file, watched = tmp_path / "inventory.yaml", Watched(tmp_path)
    file.write_text(ONE, encoding="utf-8")
    assert watched.now().hosts["web1"].address == "192.0.2.1"
    times = file.stat()
    with file.open("r+", encoding="utf-8") as stream:
        stream.write(ONE.replace("192.0.2.1", "192.0.2.9"))
    set_back(file, times)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (times.st_mtime_ns, times.st_ino)
    assert watched.now().hosts["web1"].address == "192.0.2.9"
