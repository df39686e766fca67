"""HST-010 and SCR-010 as runs of a control plane on rehearsal hosts: plan, apply in batches, undo, as it was."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from fleets import Hosts
from fleetside import SNAPSHOT, differences
from places import ROOT

pytestmark = pytest.mark.slow
WEB = ("web1", "web2")


@pytest.fixture(scope="module")
def served(rehearsal: Hosts) -> Hosts:
    """The rehearsal fleet's workspace with this repository's runbooks, served."""
    shutil.rmtree(rehearsal.root / "runbooks")
    shutil.copytree(ROOT / "runbooks", rehearsal.root / "runbooks")
    rehearsal.settings(cell_timeout="10m", timeout="20m")
    rehearsal.up()
    return rehearsal


def applied(place: Hosts, planned: dict[str, Any]) -> dict[str, Any]:
    """Apply a planned request."""
    argv = ("run", planned["runbook"], "--mode", "apply", "--request", planned["request"])
    return dict(place.json(*argv))


def snapshots(place: Hosts) -> dict[str, str]:
    """What each web host is like."""
    return {name: place.sudo(name, SNAPSHOT) for name in WEB}


def changed(place: Hosts, before: dict[str, str]) -> dict[str, list[str]]:
    """What is not as it was, host by host."""
    return {name: differences(before[name], now) for name, now in snapshots(place).items()}


def test_hosts_are_prepared_and_come_back(served: Hosts) -> None:
    """Plan, apply with a canary, a second plan that is empty, undo: DONE each, and every host is as it was."""
    before = snapshots(served)
    parameters = [
        "-p", "user=deploy", "-p", "uid=2100", "-p", "shell=/bin/bash", "-p", "groups=adm", "-p",
        "timezone=Asia/Shanghai", "-p", "ntp=ntp.example", "-p", "collect=false",
        "-p", "supervisor=false",
    ]  # fmt: skip
    planned = served.json("run", "HST-010", "--hosts", "web*", *parameters)
    assert planned["verdict"] == "PLANNED", planned
    assert changed(served, before) == {name: [] for name in WEB}
    done = applied(served, planned)
    assert done["verdict"] == "DONE", done
    assert [check["ok"] for check in done["checks"]] == [True, True]
    assert len(done["evidence"]["changed"]) == 6
    assert "uid=2100(deploy)" in served.sudo("web2", "id deploy")
    again = served.json("run", "HST-010", "--hosts", "web*", *parameters)
    assert again["verdict"] == "PLANNED"
    assert again["plan"]["changes"] == []
    undone = served.json("runs", "undo", done["run"])
    assert undone["verdict"] == "DONE", undone
    assert changed(served, before) == {name: [] for name in WEB}


def test_this_machine_is_not_prepared(served: Hosts) -> None:
    """On this machine runs are confined: the runbook does not apply, and says what to do."""
    assert served.json("run", "HST-010")["verdict"] == "NOT_APPLICABLE"


def test_a_script_runs_on_hosts_is_proven_and_undone(served: Hosts) -> None:
    """A script kept in git with typed values: DONE on each host, checked, counted, undone; nothing stays."""
    assert served.sudo("web1", "ls -A /var/tmp").split() == []
    texts = [
        "-p", "script=runbooks/scripts/mark.sh", "-p", "undo=runbooks/scripts/mark-undo.sh", "-p",
        "check=runbooks/scripts/mark-check.sh", "-p", "arguments=a mark; $(touch pwned)", "-p",
        'environment={"text": "line 1\\nline 2; `id` 运维"}',
    ]  # fmt: skip
    planned = served.json("run", "SCR-010", "--hosts", "web*", *texts)
    assert planned["verdict"] == "PLANNED", planned
    done = applied(served, planned)
    assert done["verdict"] == "DONE", done
    assert done["evidence"]["exit codes"] == {"web1": 0, "web2": 0}
    for name in WEB:
        assert served.sudo(name, "cat '/var/tmp/a mark; $(touch pwned)'") == "line 1\nline 2; `id` 运维\n"
        assert served.sudo(name, "ls -A /var/tmp").splitlines() == [".opsnb-mark.sh.json", "a mark; $(touch pwned)"]
    undone = served.json("runs", "undo", done["run"])
    assert undone["verdict"] == "DONE", undone
    assert served.sudo("web1", "ls -A /var/tmp").split() == []


def test_a_failing_canary_stops_the_rest_and_can_be_undone(served: Hosts) -> None:
    """The script fails on the first host: FAILED, the second was never started, and the undo cleans the first."""
    script = served.root / "runbooks/scripts/half.sh"
    script.write_text("#!/bin/sh\ntouch half\nexit 7\n", encoding="utf-8")
    undo = served.root / "runbooks/scripts/half-undo.sh"
    undo.write_text("#!/bin/sh\nrm half\n", encoding="utf-8")
    texts = ["-p", "script=runbooks/scripts/half.sh", "-p", "undo=runbooks/scripts/half-undo.sh"]
    planned = served.json("run", "SCR-010", "--hosts", "web*", *texts)
    done = applied(served, planned)
    assert done["verdict"] == "FAILED", done
    assert done["evidence"]["exit codes"] == {"web1": 7, "web2": None}
    assert served.sudo("web1", "ls -A /var/tmp").split() == [".opsnb-half.sh.json", "half"]
    assert served.sudo("web2", "ls -A /var/tmp").split() == []
    assert served.json("runs", "undo", done["run"])["verdict"] == "DONE"
    assert served.sudo("web1", "ls -A /var/tmp").split() == []


def test_without_an_undo_it_is_not_run(served: Hosts) -> None:
    """A change promises an undo; the sentence says which runbook can do without."""
    result = served.json("run", "SCR-010", "--hosts", "web1", "-p", "script=runbooks/scripts/mark.sh")
    assert result["verdict"] == "NOT_APPLICABLE"


def test_a_script_runs_on_this_machine_confined(served: Hosts) -> None:
    """The same runbook without hosts runs here, in a directory that is sealed for writing."""
    folder = served.root / "work"
    folder.mkdir()
    texts = [
        "-p", "script=runbooks/scripts/mark.sh", "-p", "undo=runbooks/scripts/mark-undo.sh", "-p",
        "check=runbooks/scripts/mark-check.sh", "-p", f"directory={folder}",
    ]  # fmt: skip
    done = applied(served, served.json("run", "SCR-010", *texts))
    assert done["verdict"] == "DONE", done
    assert (folder / "mark").read_text(encoding="utf-8") == "marked\n"
    assert served.json("runs", "undo", done["run"])["verdict"] == "DONE"
    assert list(folder.iterdir()) == []
