"""Three hosts with a network each, and one that dies before, during and after a command: every result is true."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from networks import Networks
from opsnb import fleet
from opsnb.fleet import Fleet, Results, Status
from places import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces want root")]

BEGUN = "/var/tmp/begun"
GO = "/var/tmp/go"
# Says that it has begun, works until it may end, and says that it has ended; both words stay on the host's disk.
WORK = f"echo begun >{BEGUN}; while [ ! -e {GO} ]; do sleep 0.05; done; echo ended >>{BEGUN}"
BY_NAME = 'case "$(hostname)" in web3) exit 3;; esac; hostname'
SECONDS = 3.0  # what a command is given; a host that is lost costs this much

Way = Callable[[Networks, str], None]
WAYS: dict[str, Way] = {
    "link dropped": Networks.unplug,
    "frozen": Networks.freeze,
    "power lost": Networks.kill,
    "killed": lambda hosts, name: hosts.kill(name, silently=False),
}


@pytest.fixture
def hosts(namespaces: Networks) -> Iterator[Fleet]:
    """A fleet without connections; no host has begun anything."""
    for name in namespaces.names:
        namespaces.inside(name, "rm", "-f", BEGUN, GO)
    with fleet.connect(namespaces.rows, namespaces.credential) as made:
        yield made


def statuses(results: Results) -> dict[str, Any]:
    """Return each host's status as a word."""
    return {host: result.status.value for host, result in results.items()}


def errors(results: Results) -> dict[str, str]:
    """Return what each host's result says is wrong, for whoever reads a failure."""
    return {host: f"{result.error} after {result.seconds:.1f} s" for host, result in results.items()}


def test_all_well(hosts: Fleet) -> None:
    """Nobody dies: every host's own answer."""
    results = hosts.run("hostname", seconds=SECONDS)
    assert {host: result.text for host, result in results.items()} == {h: f"{h}\n" for h in ("web1", "web2", "web3")}
    assert set(results.ok) == {"web1", "web2", "web3"}


@pytest.mark.parametrize("way", WAYS)
def test_dies_before(namespaces: Networks, hosts: Fleet, way: str) -> None:
    """Lost before: unreachable, and nothing began on it; one that ran and failed is failed; the third is ok."""
    WAYS[way](namespaces, "web2")
    results = hosts.run("sh", "-c", BY_NAME, seconds=SECONDS)
    assert statuses(results) == {"web1": "ok", "web2": "unreachable", "web3": "failed"}, errors(results)
    assert (results["web1"].text, results["web3"].exit, results["web2"].exit) == ("web1\n", 3, None)
    assert results["web2"].error
    assert list(results.unreachable) == ["web2"]


@pytest.mark.parametrize("way", [*WAYS, "session cut"])
def test_dies_during(namespaces: Networks, hosts: Fleet, way: str) -> None:
    """Lost while it works: unknown, not failed; the other two are ok, whatever became of the work on the lost one."""
    assert len(hosts.run("true").ok) == len(namespaces.names)  # the login takes what it takes
    for name in ("web1", "web3"):
        namespaces.inside(name, "touch", GO)
    held: list[Results] = []
    asking = threading.Thread(target=lambda: held.append(hosts.run("sh", "-c", WORK, seconds=SECONDS, sudo=True)))
    asking.start()
    wait_for(lambda: begun(namespaces, "web2") == ["begun"], 30)
    (WAYS | {"session cut": Networks.cut})[way](namespaces, "web2")
    if namespaces.process("web2").alive():  # from here on it ends, and would say so if it were not lost
        namespaces.inside("web2", "touch", GO)
    asking.join(60)
    assert statuses(held[0]) == {"web1": "ok", "web2": "unknown", "web3": "ok"}
    assert (held[0]["web2"].exit, bool(held[0]["web2"].error)) == (None, True)
    namespaces.restore("web2")
    assert begun(namespaces, "web1") == ["begun", "ended"]
    assert begun(namespaces, "web2")[0] == "begun"
    if way == "link dropped":  # nobody saw it, and it was done all the same: this is what unknown means
        wait_for(lambda: begun(namespaces, "web2") == ["begun", "ended"], 30)
    if way in {"power lost", "killed"}:
        assert begun(namespaces, "web2") == ["begun"]


@pytest.mark.parametrize("way", ["link dropped", "killed"])
def test_dies_after(namespaces: Networks, hosts: Fleet, way: str) -> None:
    """Lost after: what was ok stays ok. The next command has not begun there, says so, and runs on the others."""
    first = hosts.run("hostname", seconds=SECONDS)
    for name in namespaces.names:
        namespaces.inside(name, "touch", GO)
    WAYS[way](namespaces, "web2")
    second = hosts.run("sh", "-c", WORK, seconds=SECONDS, sudo=True)
    assert statuses(first) == {"web1": "ok", "web2": "ok", "web3": "ok"}
    assert {h: s for h, s in statuses(second).items() if h != "web2"} == {"web1": "ok", "web3": "ok"}
    assert second["web2"].status in {Status.UNREACHABLE, Status.UNKNOWN}
    namespaces.restore("web2")
    assert begun(namespaces, "web2") == []
    if way == "killed":  # the host hung up, so it is known that nothing was begun
        assert second["web2"].status is Status.UNREACHABLE


def test_back_again(namespaces: Networks, hosts: Fleet) -> None:
    """A host that was lost and came back is reached again by the same fleet, on a new connection."""
    assert statuses(hosts.run("hostname", seconds=SECONDS))["web2"] == "ok"
    namespaces.kill("web2", silently=False)
    assert statuses(hosts.run("hostname", seconds=SECONDS))["web2"] == "unreachable"
    namespaces.restore("web2")
    assert statuses(hosts.run("hostname", seconds=SECONDS)) == {"web1": "ok", "web2": "ok", "web3": "ok"}


def begun(namespaces: Networks, name: str) -> list[str]:
    """Return what the work on a host has written down."""
    return namespaces.inside(name, "sh", "-c", f"cat {BEGUN} 2>/dev/null || true").split()
