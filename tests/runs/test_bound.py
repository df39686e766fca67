"""A policy's batch: a runbook that wants more hosts at a time changes fewer, and one that tries anyway is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opsnb.cli.workspace import make
from places import Place
from runs.test_batches import FRONT, PARAMETERS, PROPOSE

SETUP = """import pathlib
import threading
import time
import opsnb
from opsnb.base.plan import Change, Plan
from opsnb.runbook.actuators import Actuator, register
from opsnb.runbook.changing import Changing
run = opsnb.begin("TST-090")
going, most, lock = set(), [0], threading.Lock()

def observe(host, target):
    path = pathlib.Path(directory, host)
    return path.read_text() if path.exists() else None

def apply(host, target, before, after):
    with lock:
        going.add(host)
        most[0] = max(most[0], len(going))
    time.sleep(0.5)
    pathlib.Path(directory, host).write_text(after)
    with lock:
        going.discard(host)

register(Actuator(verb="test.mark", observe=observe, apply=apply))"""
CHANGE = "done = run.change(plan, canary=3, batch=4)"
ANYWAY = "done = run.mode == 'apply' and Changing(plan, run._link).carry_out(canary=1, batch=4)"
CHECK = "run.evidence('most', most[0])\nrun.check('it was looked at', True, True)\nrun.finish()"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A workspace with five hosts, whose policy lets two be changed at a time."""
    made = Place(tmp_path_factory.mktemp("bound") / "ws")
    make(made.root)
    made.settings(policies={"all": {"batch": 2}})
    hosts = "".join(f"  {name}: {{transport: local}}\n" for name in "abcde")
    (made.root / "inventory.yaml").write_text(f"hosts:\n{hosts}", encoding="utf-8")
    made.up()
    yield made
    made.close()


def applied(place: Place, folder: Path, change: str) -> dict:
    """Plan and apply a runbook that makes its changes in some way, and return the application's result."""
    place.add("TST-090", SETUP, PROPOSE, change, CHECK, front=FRONT, parameters=PARAMETERS)
    plan = place.end(place.submit("TST-090", values={"directory": str(folder)}))
    assert plan["verdict"] == "PLANNED", plan["reason"]
    return place.end(place.submit("TST-090", mode="apply", request=plan["request"]))


@pytest.mark.slow
def test_fewer_are_changed_at_a_time(fleet: Place, tmp_path: Path) -> None:
    """The canary and the batch are cut to the bound, all hosts are changed, and the record says so."""
    done = applied(fleet, tmp_path, CHANGE)
    assert (done["verdict"], done["evidence"]["most"]) == ("DONE", 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == list("abcde")
    assert "the policy lets 2 hosts be changed at a time" in (fleet.root / done["record"]).read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_notebook_that_goes_around_it_is_refused(fleet: Place, tmp_path: Path) -> None:
    """The control plane lets no third change be begun while two go on."""
    done = applied(fleet, tmp_path, ANYWAY)
    assert done["verdict"] == "FAILED"
    assert len(list(tmp_path.iterdir())) <= 3
    assert "the policy lets 2 hosts be changed at a time" in (fleet.root / done["record"]).read_text(encoding="utf-8")
