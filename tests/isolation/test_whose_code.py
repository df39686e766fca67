"""Whose code runs: the program's own, wherever somebody stands who starts it, and never a file that lies about."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from opsnb.cli.workspace import make
from opsnb.control.revision.git import last_authors
from places import Place

pytestmark = pytest.mark.slow
NAMES = ("yaml", "uvicorn", "pandas", "papermill", "nbformat", "IPython", "sqlalchemy", "json", "opsnb")
LOUD = "import pathlib\npathlib.Path({mark!r}).open('a').write(__name__ + chr(10))\nraise ImportError(__name__)\n"
FRONT = """
id: TST-001
title: Look
promise: Looks.
risk: read
owner: tests
parameters:
  file: {kind: file, required: true}
"""
LOOK = """
try:
    print(open({secret!r}).read())
except PermissionError:
    print("NOT READ")
try:
    import staged_module
except ImportError:
    print("NOT IMPORTED")
import os, matplotlib
print("LINES", matplotlib.rcParams["lines.linewidth"])
print(os.environ.get("SSH_AUTH_SOCK"), b"SSH_AUTH" in open("/proc/self/environ", "rb").read(), "ABOUT THE AGENT")
"""


@pytest.mark.parametrize("kernel", ["fork", "spawn"])
def test_no_code_comes_from_where_somebody_stands(tmp_path: Path, kernel: str) -> None:
    """A file that is called like a module is no code of ours, nor is one that came along; no kernel reads that folder.

    Nor is it told of an SSH agent that its hosts are not reached by.

    The control plane, what forks kernels, supervisors and kernels all begin in the folder where a command was typed.
    """
    home, mark, secret = tmp_path / "home", tmp_path / "ran", tmp_path / "home" / "secret.txt"
    place = Place(home / "ws")
    make(place.root)
    place.settings(kernel=kernel)
    for name in NAMES:
        (home / f"{name}.py").write_text(LOUD.format(mark=str(mark)), encoding="utf-8")
    secret.write_text("VERY PRIVATE", encoding="utf-8")
    (home / "matplotlibrc").write_text("lines.linewidth: 42\n", encoding="utf-8")
    (home / "staged_module.py").write_text("print('STAGED CODE RAN')\n", encoding="utf-8")
    place.add(
        "look", "import opsnb\nrun = opsnb.begin('TST-001')", LOOK.format(secret=str(secret)), "run.finish()",
        parameters='file: str = ""  # a file', front=FRONT,
    )  # fmt: skip
    argv = ("-w", str(place.root), "run", "TST-001", "-p", "file=staged_module.py")
    done = place.opsnb(*argv, cwd=home, env={"SSH_AUTH_SOCK": "/run/agent", "SSH_AGENT_PID": "1"})
    assert not mark.exists(), mark.read_text(encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT READ" in done.stdout + done.stderr
    assert "NOT IMPORTED" in done.stdout + done.stderr
    assert "LINES 1.5" in done.stdout + done.stderr
    assert "None False ABOUT THE AGENT" in done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_clone_has_git_run_no_program(tmp_path: Path) -> None:
    """A workspace's clone that lacks something names who brings it; asking who wrote a file asks nobody there."""
    source, clone, mark = tmp_path / "source", tmp_path / "clone", tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\ntouch {mark}\nexec git-upload-pack "$@"\n', encoding="utf-8")
    program.chmod(0o755)

    def git(*words: str) -> None:
        who = ("-c", "user.name=dora", "-c", "user.email=dora@example.com")
        subprocess.run(["git", *who, *words], check=True, capture_output=True)

    git("init", str(source))
    (source / "x.ipynb").write_text("1", encoding="utf-8")
    git("-C", str(source), "add", ".")
    git("-C", str(source), "commit", "-m", "x")
    assert last_authors(source, ["x.ipynb"]) == {"x.ipynb": frozenset({"dora@example.com"})}
    git("-C", str(source), "config", "uploadpack.allowFilter", "true")
    git("clone", "--filter=tree:0", "--no-checkout", source.as_uri(), str(clone))
    git("-C", str(clone), "config", "remote.origin.uploadpack", str(program))
    git("-C", str(clone), "config", "protocol.file.allow", "always")
    last_authors(clone, ["x.ipynb"])
    assert not mark.exists()
