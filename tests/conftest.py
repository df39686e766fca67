"""Fixtures and settings that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from fleets import rehearsal, webtier
from networks import namespaces, networks
from opsnb.cli.workspace import make
from places import Place

__all__ = ["namespaces", "networks", "rehearsal", "webtier"]  # fixtures from elsewhere, for all tests

# How long an example takes says something about the machine, not about the promise.
settings.register_profile("opsnb", deadline=None)
settings.load_profile("opsnb")

ENGINE = "tests/fleet/"  # one dockerd, on one bridge, for all of them

# Left out of `make check`: these start programs, draw pages or walk through every byte. `make test` runs them all.
SLOW = (
    "api/", "catalog/test_authoring", "catalog/test_explain", "catalog/test_lint_rules", "catalog/test_runbook_commands",
    "catalog/test_script_kit", "change/", "fleet/", "ledger/test_export", "ledger/test_publish", "ledger/test_verify",
    "login/", "rehearsal/", "render/", "runbooks/",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by where it lies."""
    root = Path(__file__).parent
    for item in items:
        if str(item.path.relative_to(root)).startswith(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Give a file of tests to one process; those that share an engine of containers, to the same one."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return ENGINE if path.startswith(ENGINE) else path

    return ByFile(config, log)


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
