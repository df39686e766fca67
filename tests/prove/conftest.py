"""What the tamper tests share: one workspace of the real program, and a tally of what was found."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from places import Place
from prove.scene import Scene, Tally, build


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A closed workspace after a day's work. It is never changed: tests work on copies."""
    base = tmp_path_factory.mktemp("scene")
    place = Place(base / "ws")
    try:
        yield build(place, base / "aside")
    finally:
        place.close()


@pytest.fixture(scope="session")
def tally() -> Iterator[Tally]:
    """Counts all changes of this session; OPSNB_EVIDENCE names a file to write the table to."""
    counted = Tally()
    yield counted
    path = os.environ.get("OPSNB_EVIDENCE")
    if path:
        seconds = f"\n{time.monotonic() - counted.started:.0f} s\n"
        Path(path).write_text(counted.table() + "\n" + seconds, encoding="utf-8")
