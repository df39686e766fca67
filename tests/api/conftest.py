"""The control plane that these tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.callers import Callers


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    """A control plane in this process, without workers: what is queued stays queued."""
    made = Callers(tmp_path_factory.mktemp("api") / "ws")
    yield made
    made.app.close()
