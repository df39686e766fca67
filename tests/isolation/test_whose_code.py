"""Whose code runs: the program's own, wherever somebody stands who starts it, and never a file that lies about."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsnb.cli.workspace import make
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
"""


@pytest.mark.parametrize("kernel", ["fork", "spawn"])
def test_no_code_comes_from_where_somebody_stands(tmp_path: Path, kernel: str) -> None:
    """A file that is called like a module is no code of ours, nor is one that came along; no kernel reads that folder.

    The control plane, what forks kernels, supervisors and kernels all begin in the folder where a command was typed.
    """
    home, mark, secret = tmp_path / "home", tmp_path / "ran", tmp_path / "home" / "secret.txt"
    place = Place(home / "ws")
    make(place.root)
    place.settings(kernel=kernel)
    for name in NAMES:
        (home / f"{name}.py").write_text(LOUD.format(mark=str(mark)), encoding="utf-8")
    secret.write_text("VERY PRIVATE", encoding="utf-8")
    (home / "staged_module.py").write_text("print('STAGED CODE RAN')\n", encoding="utf-8")
    place.add(
        "look", "import opsnb\nrun = opsnb.begin('TST-001')", LOOK.format(secret=str(secret)), "run.finish()",
        parameters='file: str = ""  # a file', front=FRONT,
    )  # fmt: skip
    argv = ("-w", str(place.root), "run", "TST-001", "-p", "file=staged_module.py")
    done = place.opsnb(*argv, cwd=home)
    assert not mark.exists(), mark.read_text(encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT READ" in done.stdout + done.stderr
    assert "NOT IMPORTED" in done.stdout + done.stderr
