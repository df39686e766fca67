"""Hosts, and how much of the product is tried here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleets import Hosts, rehearsal
from fleetside import opened
from hostile.values import executed
from nearby import RunOfNames
from opsnb import fleet

__all__ = ["rehearsal"]


@pytest.fixture(params=["local", "ssh"])
def machine(request: pytest.FixtureRequest, rehearsal: Hosts) -> Iterator[fleet.Machine]:
    """A host of this process's run, as a child process and behind sshd; no value was carried out here afterwards."""
    if request.param == "local":
        yield fleet.of(RunOfNames(("near1",)))["near1"]
    else:
        yield opened(rehearsal.root, "web1")["web1"]
    assert executed(Path.cwd(), Path.home(), Path("/")) == []
