"""Fixtures that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opsnb.cli.workspace import make
from places import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A fresh workspace."""
    made = Place(tmp_path / "ws")
    make(made.root)
    made.settings()
    yield made
    made.close()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A workspace that is served by `opsnb up`, shared by the tests of one module."""
    made = Place(tmp_path_factory.mktemp("up") / "ws")
    make(made.root)
    made.settings(cell_timeout="3s", memory="600MiB", output="8MiB")
    made.up()
    yield made
    made.close()
