"""A host dies before, during and after its change: the record says so truthfully, and the batch rule holds.

Three hosts in network namespaces of their own; SCR-010 carries the change, by a script that waits until it may end.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from networks import Networks, namespaces, networks
from places import ROOT, text_of, wait_for

__all__ = ["namespaces", "networks"]

pytestmark = pytest.mark.slow


SCRIPTS = {
    "wait.sh": 'touch started\nwhile [ ! -e "go" ]; do sleep 0.05; done\ntouch made\n',
    "wait-undo.sh": "rm -f started made\n",
    "wait-check.sh": "test -e made\n",
}
FOLDER = "/var/tmp"
SECONDS = 60


@pytest.fixture(scope="module")
def served(networks: Networks) -> Networks:
    """The hosts' workspace with SCR-010, served."""
    (networks.root / "runbooks" / "hosts").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "runbooks/hosts/SCR-010-run-a-script.ipynb", networks.root / "runbooks/hosts")
    for name, text in SCRIPTS.items():
        (networks.root / name).write_text(text, encoding="utf-8")
    networks.keys_aside()
    networks.settings(cell_timeout="3m", timeout="10m")
    networks.up()
    return networks


def begun(place: Networks, **values: Any) -> str:
    """Plan the script for every host and begin to apply it; return the run."""
    for name in place.names:
        place.inside(name, "sh", "-c", f"cd {FOLDER} && rm -rf started made go .opsnb-wait.sh.json")
    scripts = {"script": "wait.sh", "undo": "wait-undo.sh", "check": "wait-check.sh"}
    run = place.submit("SCR-010", folder=str(place.root), hosts="web*", values={**scripts, **values})
    planned = place.end(run)
    assert planned["verdict"] == "PLANNED", shown(place, planned)
    return place.submit("SCR-010", mode="apply", request=planned["request"])


def shown(place: Networks, result: dict[str, Any]) -> str:
    """What a run printed, and why its cells failed: for whoever reads a failing test."""
    cells = place.executed(result)["cells"]
    said = [text_of(cell) for cell in cells]
    return "\n".join([*said, *(str(row) for row in result["cells"] if row["state"] == "failed")])


def there(place: Networks, name: str, file: str) -> bool:
    """Whether a file is there on a host."""
    return place.inside(name, "sh", "-c", f"test -e {FOLDER}/{file} && echo yes || true") == "yes\n"


def started(place: Networks, name: str) -> None:
    """Wait until the script has started on a host."""
    wait_for(lambda: there(place, name, "started"), SECONDS)


def go(place: Networks, name: str) -> None:
    """Let the script on a host end."""
    place.inside(name, "touch", f"{FOLDER}/go")


def recorded(place: Networks, run: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Wait for a run's end; return its record, and the state of each host's change in it."""
    record = json.loads((place.record(place.end(run)) / "manifest.json").read_bytes())["record"]
    return record, {row["host"]: row["state"] for row in record["applied"]}


def test_a_host_that_dies_before_its_change(served: Networks, namespaces: Networks) -> None:
    """It is unreachable, and nothing was begun there; its batch is finished; the verdict is FAILED."""
    run = begun(namespaces, canary=1, batch=2)
    started(namespaces, "web1")
    namespaces.kill("web2", silently=False)
    go(namespaces, "web1")
    started(namespaces, "web3")
    go(namespaces, "web3")
    result, states = recorded(served, run)
    assert result["verdict"] == "FAILED", result["reason"]
    assert "could not be reached: web2" in result["reason"]
    assert states == {"web1": "ok", "web2": "unreachable", "web3": "ok"}
    namespaces.restore("web2")
    assert not there(namespaces, "web2", "started")
    undone = served.end(str(served.client.post(f"/api/runs/{run}/undo", {})["run"]))
    assert undone["verdict"] == "DONE", undone
    assert not there(namespaces, "web1", "made")


def test_no_further_batch_is_begun_after_an_unreachable_host(served: Networks, namespaces: Networks) -> None:
    """One host at a time: the one after the dead one is not begun, and the record says which."""
    run = begun(namespaces, canary=1, batch=1)
    started(namespaces, "web1")
    namespaces.kill("web2", silently=False)
    go(namespaces, "web1")
    result, states = recorded(served, run)
    assert result["verdict"] == "FAILED"
    assert states == {"web1": "ok", "web2": "unreachable", "web3": "not begun"}
    assert not there(namespaces, "web3", "started")


@pytest.mark.parametrize("silently", [False, True])
def test_a_host_that_dies_during_its_change(served: Networks, namespaces: Networks, *, silently: bool) -> None:
    """Whether the line breaks or falls silent: unknown, never failed; the verdict is LOST; the rest is not begun."""
    run = begun(namespaces, canary=1, batch=2)
    started(namespaces, "web1")
    namespaces.kill("web1", silently=silently)
    result, states = recorded(served, run)
    assert result["verdict"] == "LOST", result["reason"]
    assert states == {"web1": "unknown", "web2": "not begun", "web3": "not begun"}
    assert not there(namespaces, "web2", "started")


def test_the_batch_of_a_host_that_dies_is_finished(served: Networks, namespaces: Networks) -> None:
    """Its neighbour in the batch ends as it would: ok; the dead one is unknown."""
    run = begun(namespaces, canary=1, batch=2)
    started(namespaces, "web1")
    go(namespaces, "web1")
    for name in ("web2", "web3"):
        started(namespaces, name)
    namespaces.kill("web2", silently=False)
    go(namespaces, "web3")
    result, states = recorded(served, run)
    assert result["verdict"] == "LOST"
    assert states == {"web1": "ok", "web2": "unknown", "web3": "ok"}
    assert there(namespaces, "web3", "made")


def test_a_host_that_dies_after_its_change(served: Networks, namespaces: Networks) -> None:
    """Its change was made and stays so; the rest goes on; the check that cannot look at it fails, so FAILED."""
    run = begun(namespaces, canary=1, batch=1)
    started(namespaces, "web1")
    go(namespaces, "web1")
    started(namespaces, "web2")
    namespaces.kill("web1", silently=False)
    go(namespaces, "web2")
    started(namespaces, "web3")
    go(namespaces, "web3")
    result, states = recorded(served, run)
    assert states == {"web1": "ok", "web2": "ok", "web3": "ok"}
    assert result["verdict"] == "FAILED", result["reason"]
    assert [check["ok"] for check in result["checks"]] == [True, False]
    assert result["checks"][1]["got"] == {"web1": None, "web2": 0, "web3": 0}


def test_a_line_that_breaks_leaves_no_doubt_hidden(served: Networks, namespaces: Networks) -> None:
    """The host lives and its script runs on, but nobody saw its end: unknown, and looking at the host settles it."""
    run = begun(namespaces, canary=1, batch=2)
    started(namespaces, "web1")
    namespaces.cut("web1")
    result, states = recorded(served, run)
    assert result["verdict"] == "LOST"
    assert states["web1"] == "unknown"
