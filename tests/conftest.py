"""Fixtures and settings that tests share."""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
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


# These begin first, the longest before the others, so that no process is left alone with one at the end; then the files
# with the most tests. `make test` prints what took longest.
LONGEST = (
    "nginx/test_death.py", "fleet_failures/test_change.py", "supervisor/test_hosts.py", "nginx/test_shift_runbooks.py",
    "runs/test_truth.py", "runbooks/test_own_engine.py", "nginx/test_balance_runbook.py", "runbooks/test_audit.py",
    "fleet/test_contract.py", "supervisor/test_runbooks.py", "runbooks/test_first_runbooks.py", "config/test_runs.py",
    "people/test_commands.py", "nginx/test_access_files.py", "cli/test_commands.py", "rehearsal/test_tier.py",
    "runs/test_batches.py", "prove/test_tamper_database.py", "prove/test_tamper_entries.py", "prove/test_tamper.py",
    "nginx/test_access_counts.py", "claims/test_machine.py", "rehearsal/test_lifecycle.py", "runbooks/test_hosts.py",
    "rehearsal/test_walk.py", "nginx/test_shift_hostile.py", "fleet_failures/test_command.py", "nginx/test_balance.py",
    "nginx/test_survey_runbook.py", "render/test_hostile.py", "render/test_browser.py", "hands/test_ssh.py",
    "hostile/test_machines.py", "hostile/test_runs.py", "hands/test_exec.py", "nginx/test_access_formats.py",
    "fleet_failures/test_record.py", "rehearsal/test_fleet.py", "nginx/test_access_tier.py", "runs/test_change.py",
    "nginx/test_iphash_runbook.py", "api/test_table.py", "api/test_tcp.py", "api/test_schema.py",
    "secrets/test_command.py",
)  # fmt: skip

TESTS = Path(__file__).parent
UNIT = "not slow"  # how the expression of `make check` begins
LINES = 30  # of a failure, told at once


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what `make check` leaves out."""
    if not str(config.option.markexpr).startswith(UNIT):
        return None
    return str(collection_path.relative_to(TESTS).with_suffix("")).startswith(SLOW) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by where it lies, and put the files that take longest first."""
    places = {item: str(item.path.relative_to(TESTS)) for item in items}
    for item, place in places.items():
        if place.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    order = {place: at for at, place in enumerate(LONGEST)}
    tests = Counter(places.values())
    items.sort(key=lambda item: (order.get(places[item], len(LONGEST)), -tests[places[item]], places[item]))


def pytest_collection_finish() -> None:
    """Take what was imported out of the sight of the garbage collector: it stays until the end."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say at once which test failed, and how: a run that is ended early has told it."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        crash = getattr(report.longrepr, "reprcrash", None)
        said = str(crash.message).splitlines()[:LINES] if crash else []
        text = report.longreprtext.splitlines()[-LINES:]
        sys.stderr.write("\n".join(["", f"FAILED {report.nodeid} ({report.when})", *said, "...", *text, ""]))
        sys.stderr.flush()


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
