"""The firm that tests of claims share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from claims.firm import Firm


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    """A workspace with people, whose control plane runs in this process."""
    made = Firm(tmp_path_factory.mktemp("firm") / "ws")
    made.app.start()
    yield made
    made.app.close()
