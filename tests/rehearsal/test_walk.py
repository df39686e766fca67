"""docs/rehearsal.md: what a new user is told to type works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from places import OPSNB, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="the walk-through is for root")]


def steps() -> list[tuple[str, str]]:
    """Return the commands of the walk-through, each with the output that the page shows."""
    page = (ROOT / "docs/rehearsal.md").read_text(encoding="utf-8")
    block = re.search(r"```console\n(.*?)```", page, re.DOTALL)
    assert block is not None
    found: list[tuple[str, str]] = []
    for line in block[1].splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        else:
            found[-1] = (found[-1][0], found[-1][1] + line + "\n")
    return found


def test_the_walk_through(tmp_path: Path) -> None:
    """Every command succeeds, and prints what the page shows where it shows something."""
    environment = {**os.environ, "PATH": f"{OPSNB.parent}:{os.environ['PATH']}"}
    place = tmp_path
    shown = steps()
    assert len(shown) > 8
    try:
        for command, wanted in shown:
            if command.startswith("cd "):
                place /= command.removeprefix("cd ")
                continue
            done = subprocess.run(
                command, shell=True, cwd=place, env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, f"{command}: {done.stderr}"
            assert not wanted or done.stdout == wanted, command
    finally:
        subprocess.run([str(OPSNB), "rehearse", "down"], cwd=place, check=False, capture_output=True)
