"""SUP-001, SUP-010 and SUP-011 as runs of a control plane on rehearsal hosts."""

from __future__ import annotations

from typing import Any

import pytest

from fleets import Hosts
from places import text_of, wait_for

pytestmark = pytest.mark.slow
URL = ("-p", "url=http://{address}:8000/health")
TWO = ("--hosts", "app1 | app2")
ADD = ("-p", "name=extra", "-p", 'command=["/bin/sleep", "1000"]', "-p", "startsecs=1")


def states(place: Hosts, host: str) -> dict[str, str]:
    """Return the state of each process by supervisorctl itself."""
    rows = [line.split() for line in place.sudo(host, "supervisorctl status || true").splitlines()]
    return {row[0]: row[1] for row in rows}


def applied(place: Hosts, planned: dict[str, Any]) -> dict[str, Any]:
    """Apply a planned request."""
    assert planned["verdict"] == "PLANNED", planned
    return dict(place.json("run", planned["runbook"], "--mode", "apply", "--request", planned["request"]))


def printed(place: Hosts, result: dict[str, Any]) -> str:
    """Return everything that a run's cells printed."""
    return "\n".join(text_of(cell) for cell in place.executed(result)["cells"])


def test_every_host_is_looked_at(webtier: Hosts) -> None:
    """SUP-001 over all hosts, one of them without power: the others are read, a crash is counted, and the record says so."""
    before = webtier.sudo("app1", "supervisorctl pid shop")
    webtier.sudo("app1", f"kill -9 {before}")
    wait_for(lambda: webtier.sudo("app1", "supervisorctl pid shop || true") not in {before, "0\n"}, 30)
    wait_for(lambda: states(webtier, "app1").get("shop") == "RUNNING", 30)
    result = webtier.json("run", "SUP-001", "--hosts", "role=app | db1")
    assert result["verdict"] == "DONE", result
    assert result["evidence"]["processes"]["app1 shop"] == {"state": "RUNNING", "restarts": 1, "unexpected": 1}
    assert result["evidence"]["processes"]["app3 worker"] == {"state": "RUNNING", "restarts": 0, "unexpected": 0}
    assert list(result["evidence"]["silent"]) == ["db1"]
    webtier.process("app3").kill()
    try:
        lost = webtier.json("run", "SUP-001", "--hosts", "app2 | app3")
    finally:
        webtier.restore()
    assert lost["verdict"] == "FAILED"
    assert [check["ok"] for check in lost["checks"]] == [False, True]
    assert "app2 worker" in lost["evidence"]["processes"]
    wait_for(lambda: states(webtier, "app3") == {"shop": "RUNNING", "worker": "RUNNING"}, 30)


def test_a_program_is_stopped_everywhere_and_started_again(webtier: Hosts) -> None:
    """SUP-010 stop: planned, applied canary first, a second plan is empty, undone: every host is as it was."""
    stop = ("-p", "action=stop", "-p", 'programs=["worker"]')
    planned = webtier.json("run", "SUP-010", *TWO, *stop)
    assert states(webtier, "app1")["worker"] == "RUNNING"
    done = applied(webtier, planned)
    assert done["verdict"] == "DONE", done
    assert [states(webtier, name)["worker"] for name in ("app1", "app2", "app3")] == ["STOPPED", "STOPPED", "RUNNING"]
    assert webtier.json("run", "SUP-010", *TWO, *stop)["plan"]["changes"] == []
    undone = webtier.json("runs", "undo", done["run"])
    assert undone["verdict"] == "DONE", undone
    assert [states(webtier, name)["worker"] for name in ("app1", "app2")] == ["RUNNING"] * 2


def test_a_restart_is_drift_once_it_has_happened(webtier: Hosts) -> None:
    """SUP-010 restart: a process that restarted after the plan is drift and nothing is touched; planned anew it is done."""
    planned = webtier.json("run", "SUP-010", *TWO, "-p", 'programs=["shop"]', *URL)
    webtier.sudo("app2", "supervisorctl restart shop")
    before = webtier.sudo("app1", "supervisorctl pid shop")
    assert applied(webtier, planned)["verdict"] == "DRIFTED"
    assert webtier.sudo("app1", "supervisorctl pid shop") == before
    done = applied(webtier, webtier.json("run", "SUP-010", *TWO, "-p", 'programs=["shop"]', *URL))
    assert done["verdict"] == "DONE", done
    assert done["evidence"]["changed"] == ["app1: process shop", "app2: process shop"]
    assert webtier.sudo("app1", "supervisorctl pid shop") != before


def test_a_failing_canary_stops_the_rest_and_a_retry_restarts_nothing_twice(webtier: Hosts) -> None:
    """The first host's page is not 200: FAILED, the second was not touched; once it is, a retry restarts the second only."""
    webtier.sudo("app1", "touch /var/lib/shop/unwell")
    before = webtier.sudo("app2", "supervisorctl pid shop")
    try:
        planned = webtier.json("run", "SUP-010", *TWO, "-p", 'programs=["shop"]', *URL, "-p", "seconds=3")
        done = applied(webtier, planned)
    finally:
        webtier.sudo("app1", "rm /var/lib/shop/unwell")
    assert done["verdict"] == "FAILED"
    assert "was answered with 503, wanted 200" in printed(webtier, done)
    assert webtier.sudo("app2", "supervisorctl pid shop") == before
    first = webtier.sudo("app1", "supervisorctl pid shop")
    again = webtier.json("runs", "retry", done["run"])
    assert again["verdict"] == "DONE", again
    assert webtier.sudo("app1", "supervisorctl pid shop") == first
    assert webtier.sudo("app2", "supervisorctl pid shop") != before


def test_a_program_is_added_and_removed(webtier: Hosts) -> None:
    """SUP-011: planned, applied, a second plan is empty, undone: no file and no process of it is left."""
    planned = webtier.json("run", "SUP-011", *TWO, *ADD)
    done = applied(webtier, planned)
    assert done["verdict"] == "DONE", done
    assert [check["ok"] for check in done["checks"]] == [True, True]
    assert [states(webtier, name)["extra"] for name in ("app1", "app2")] == ["RUNNING"] * 2
    undone = webtier.json("runs", "undo", done["run"])
    assert undone["verdict"] == "DONE", undone
    for name in ("app1", "app2"):
        assert "extra" not in states(webtier, name)
        assert webtier.sudo(name, "ls /etc/supervisor/conf.d") == "shop.conf\nworker.conf\n"


def test_a_command_that_daemonizes_itself_is_refused(webtier: Hosts) -> None:
    """SUP-011 says why Supervisor cannot keep it and which flag is wanted, and plans nothing."""
    result = webtier.json("run", "SUP-011", *TWO, "-p", "name=n", "-p", 'command=["/usr/sbin/nginx"]')
    assert result["verdict"] == "FAILED"
    assert "nginx goes into the background; add the words -g 'daemon off;'" in str(webtier.executed(result))


@pytest.mark.parametrize(("runbook", "needs"), [("SUP-010", ("-p", 'programs=["shop"]')), ("SUP-011", ADD)])
def test_this_machine_is_not_changed(webtier: Hosts, runbook: str, needs: tuple[str, ...]) -> None:
    """On this machine runs are confined: the runbook does not apply, and names the one that only looks."""
    assert webtier.json("run", runbook, *needs)["verdict"] == "NOT_APPLICABLE"
