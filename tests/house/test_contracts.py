"""The contracts of the house: who may import whom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from places import ROOT


def test_the_import_contracts_hold() -> None:
    """Every contract in pyproject.toml is kept: the layers, the two sides, the fences."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(lint), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout
