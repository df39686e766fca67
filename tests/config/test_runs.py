"""CFG-001, CFG-010, CFG-011 and CFG-012 as runs of a control plane on a web tier: plan, apply, again, undo, failures."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import Any

import pytest

from fleets import Hosts, webtier
from fleetside import STAYS, differences
from places import ROOT, files_below

__all__ = ["webtier"]
pytestmark = pytest.mark.slow
PROD = "(role=nginx | role=app) & env=prod"
WEB = ("web1", "web2", "web3")
APPS = ("app1", "app3")
NGINX = "/etc/nginx/conf.d/shop-settings.conf"
SETTINGS = "/etc/shop/settings.json"
# names, modes and owners of everything in /etc, and the contents of what a service's files could be
SNAPSHOT = rf"""cd /etc; find . {STAYS} -printf '%p %y %m %U %G %l\n' | sort
find nginx shop edge supervisor -type f -exec sha256sum {{}} + 2>/dev/null | sort"""


@pytest.fixture
def tier(webtier: Hosts) -> Hosts:
    """The web tier, and this repository's example of a service in the one place."""
    shutil.rmtree(webtier.root / "configs")
    shutil.copytree(ROOT / "configs", webtier.root / "configs")
    return webtier


def planned(place: Hosts, id_: str, hosts: str, **values: Any) -> dict[str, Any]:
    """Plan a run, or look; return its result."""
    return place.end(place.submit(id_, hosts=hosts, values=values))


def applied(place: Hosts, plan: dict[str, Any]) -> dict[str, Any]:
    """Apply a planned request."""
    assert plan["verdict"] == "PLANNED", plan
    return place.end(place.submit(plan["runbook"], mode="apply", request=plan["request"]))


def again(place: Hosts, run: str, how: str) -> dict[str, Any]:
    """Undo or retry a run."""
    return place.end(str(place.client.post(f"/api/runs/{run}/{how}")["run"]))


def snapshots(place: Hosts, names: tuple[str, ...]) -> dict[str, str]:
    """What hosts are like."""
    return {name: place.sudo(name, SNAPSHOT) for name in names}


def changed(place: Hosts, before: dict[str, str]) -> dict[str, list[str]]:
    """What is not as it was, host by host; hosts without a difference are left out."""
    now = snapshots(place, tuple(before))
    return {name: rows for name in before if (rows := differences(before[name], now[name]))}


def answers(place: Hosts, name: str) -> bool:
    """Whether a web host serves the shop."""
    return place.sudo(name, f"curl -s -o /dev/null -w '%{{http_code}}' {place.url(name, '/health')}") == "200"


def below(place: Hosts) -> dict[str, bytes]:
    """Every file of the one place."""
    folder = place.root / "configs"
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_services_files_are_distributed_and_come_back(tier: Hosts) -> None:
    """Canary first, then the rest; a second plan is empty; the undo leaves every host byte for byte as it was."""
    before = snapshots(tier, (*WEB, *APPS))
    plan = planned(tier, "CFG-010", PROD)
    assert sorted({c["host"] for c in plan["plan"]["changes"]}) == sorted((*WEB, *APPS))
    assert changed(tier, before) == {}
    done = applied(tier, plan)
    assert done["verdict"] == "DONE", done
    assert [check["ok"] for check in done["checks"]] == [True, True]
    assert "keepalive_requests 1000;" in tier.sudo("web3", f"cat {NGINX}")
    assert json.loads(tier.sudo("app3", f"cat {SETTINGS}")) == {
        "environment": "prod", "node": "app3", "level": "warning", "page_size": 50
    }  # fmt: skip
    assert answers(tier, "web1")
    assert planned(tier, "CFG-010", PROD)["plan"]["changes"] == []
    the_odd_hosts_are_named(tier)
    (tier.root / "configs/shop/config.yaml").write_text("broken: [", encoding="utf-8")  # an undo needs it no more
    undone = again(tier, done["run"], "undo")
    assert undone["verdict"] == "DONE", undone
    assert changed(tier, before) == {}
    assert answers(tier, "web1")


def the_odd_hosts_are_named(tier: Hosts) -> None:
    """CFG-001: content and mode, with the difference; environments side by side; the rest is the same."""
    tier.sudo("web2", f"sed -i s/1000/9/ {NGINX}")
    tier.sudo("app3", f"chmod 600 {SETTINGS}")
    seen = planned(
        tier, "CFG-001", PROD, service="shop", environment="prod", against="staging", paths=["/etc/nginx/mime.types"]
    )
    assert seen["verdict"] == "DONE", seen
    odd = {"web2": [f"{NGINX}: differs (content)"], "app3": [f"{SETTINGS}: differs (mode 0600, not 0644)"]}
    assert seen["evidence"]["odd"] == odd
    assert seen["evidence"]["unread"] == {}
    said = (tier.record(seen) / "run.ipynb").read_text(encoding="utf-8")
    assert "-keepalive_requests 1000;" in said
    assert "+keepalive_requests 9;" in said
    tier.sudo("web2", f"sed -i s/9/1000/ {NGINX}")
    tier.sudo("app3", f"chmod 644 {SETTINGS}")


def test_a_configuration_that_nginx_refuses_changes_nothing(tier: Hosts) -> None:
    """The canary's file is put back and nginx serves; no further host is begun."""
    source = tier.root / "configs/shop/common/nginx/shop-settings.conf"
    source.write_text("proxy_read_timeout ${read_timeout}; no_such_directive on;\n", encoding="utf-8")
    before = snapshots(tier, WEB)
    done = applied(tier, planned(tier, "CFG-010", "role=nginx"))
    assert done["verdict"] == "FAILED", done
    assert changed(tier, before) == {}
    assert all(answers(tier, name) for name in WEB)
    said = (tier.record(done) / "run.ipynb").read_text(encoding="utf-8")
    assert "no_such_directive" in said
    assert "not touched: web2, web3" in said


def test_a_failed_validation_or_activation_leaves_what_was(tier: Hosts) -> None:
    """A staged file that is no JSON is never put in place; a failed restart puts the old one back."""
    source = tier.root / "configs/shop/common/settings.json"
    before = snapshots(tier, APPS)
    source.write_text('{"level": "${level}"', encoding="utf-8")
    done = applied(tier, planned(tier, "CFG-010", "app1,app3"))
    assert done["verdict"] == "FAILED"
    assert changed(tier, before) == {}
    source.write_text('{"level": "${level}"}\n', encoding="utf-8")
    manifest = tier.root / "configs/shop/config.yaml"
    manifest.write_text(manifest.read_text("utf-8").replace("restart, worker", "restart, nosuch"), encoding="utf-8")
    done = applied(tier, planned(tier, "CFG-010", "app1,app3"))
    assert done["verdict"] == "FAILED"
    assert changed(tier, before) == {}


def test_a_file_that_is_edited_after_the_plan_is_not_touched(tier: Hosts) -> None:
    """Drift on one host ends the run before anything is done on any."""
    plan = planned(tier, "CFG-010", "app1,app3")
    tier.sudo("app3", f"mkdir -p /etc/shop && echo by hand > {SETTINGS}")
    try:
        done = applied(tier, plan)
        assert done["verdict"] == "DRIFTED", done
        assert tier.sudo("app3", f"cat {SETTINGS}") == "by hand\n"
        assert tier.sudo("app1", "ls -d /etc/shop || true") == ""
    finally:
        tier.sudo("app3", "rm -r /etc/shop")


def test_a_lost_host_is_named_and_the_rest_is_retried(tier: Hosts) -> None:
    """One that dies while its canary is changed is unreachable; plans go on without it; the retry does what is left."""
    before = snapshots(tier, APPS)
    manifest = tier.root / "configs/shop/config.yaml"
    manifest.write_text(
        manifest.read_text("utf-8").replace("[supervisorctl, restart, worker]", '[sleep, "2"]'), "utf-8"
    )
    plan = planned(tier, "CFG-010", "app1,app3")
    run = tier.submit("CFG-010", mode="apply", request=plan["request"])
    for event in tier.client.events(run):
        if event["ev"] == "change" and event["state"] == "begun":
            os.kill(tier.process("app3").pid, signal.SIGKILL)
            break
    done = tier.end(run)
    try:
        assert done["verdict"] == "FAILED", done
        assert "app1" in tier.sudo("app1", f"cat {SETTINGS}")
        seen = planned(tier, "CFG-010", "app1,app3")
        assert seen["verdict"] == "PLANNED"
        assert seen["plan"]["changes"] == []
        assert list(seen["plan"]["context"]["unreachable"]) == ["app3"]
    finally:
        tier.restore()
    retried = again(tier, run, "retry")
    assert retried["verdict"] == "DONE", retried
    assert "app3" in tier.sudo("app3", f"cat {SETTINGS}")
    for made in (retried["run"], run):
        assert again(tier, made, "undo")["verdict"] == "DONE"
    assert changed(tier, before) == {}


def test_a_host_of_another_environment_is_refused(tier: Hosts) -> None:
    """A staging host does not get the files of production by mistake; the right runbook is named."""
    result = planned(tier, "CFG-010", "role=app")
    assert result["verdict"] == "NOT_APPLICABLE"


def test_files_are_taken_into_the_one_place_and_back(tier: Hosts) -> None:
    """A new service: sources, manifest; the host is only read; distributing it changes nothing; undo leaves no trace."""
    before, host = below(tier), snapshots(tier, ("web1",))
    paths = ["/etc/nginx/nginx.conf", "/etc/nginx/sites-available/shop"]
    plan = planned(tier, "CFG-012", "web1", service="edge", paths=paths)
    assert below(tier) == before
    assert {c["host"] for c in plan["plan"]["changes"]} == {"localhost"}
    done = applied(tier, plan)
    assert done["verdict"] == "DONE", done
    for path in paths:
        assert (tier.root / f"configs/edge/prod{path}").read_text("utf-8") == tier.sudo("web1", f"cat {path}")
    assert planned(tier, "CFG-010", "web1", service="edge")["plan"]["changes"] == []
    seen = planned(tier, "CFG-001", "web1,web2", service="edge", environment="prod")
    assert seen["verdict"] == "DONE"
    assert seen["evidence"]["odd"] == {"web2": [f"{paths[1]}: differs (content)"]}
    assert again(tier, done["run"], "undo")["verdict"] == "DONE"
    assert below(tier) == before
    assert changed(tier, host) == {}


def test_a_guarded_file_is_in_no_record(tier: Hosts) -> None:
    """Refused first; hidden it is taken and distributed, and nobody reads it in a record, a page or a plan."""
    tier.sudo("web1", "mkdir /etc/edge && echo 'password = hunter2' > /etc/edge/db.conf && chmod 640 /etc/edge/db.conf")
    try:
        refused = planned(tier, "CFG-012", "web1", service="edge", paths=["/etc/edge/db.conf"])
        assert refused["verdict"] == "FAILED"
        taken = planned(tier, "CFG-012", "web1", service="edge", paths=["/etc/edge/db.conf"], guarded="hide")
        done = applied(tier, taken)
        assert done["verdict"] == "DONE", done
        moved = applied(tier, planned(tier, "CFG-010", "web2", service="edge"))
        assert moved["verdict"] == "DONE", moved
        assert tier.sudo("web2", "cat /etc/edge/db.conf; stat -c %a /etc/edge/db.conf") == "password = hunter2\n640\n"
        seen = planned(tier, "CFG-001", "web1,web2", service="edge", environment="prod")
        assert seen["evidence"]["odd"] == {}
        for run in (moved, done):
            assert again(tier, run["run"], "undo")["verdict"] == "DONE"
        assert tier.sudo("web2", "ls -d /etc/edge || true") == ""
    finally:
        tier.sudo("web1", "rm -r /etc/edge")
    found = [path for path, data in files_below(tier.root / "outputs") if b"hunter2" in data]
    assert found == []


def test_files_move_to_another_host(tier: Hosts) -> None:
    """What one host has, with the named texts replaced; what still speaks of it is listed; undone byte for byte."""
    before = snapshots(tier, ("web2", "web3"))
    tier.sudo("web1", "mkdir /etc/edge && hostname > /etc/edge/who && echo 'is web1' >> /etc/edge/who")
    try:
        plan = planned(
            tier, "CFG-011", "web1,web2,web3", source="web1", paths=["/etc/edge/who"], substitute={"is web1": "is new"}
        )
        done = applied(tier, plan)
        assert done["verdict"] == "DONE", done
        assert tier.sudo("web3", "cat /etc/edge/who") == "web1\nis new\n"
        said = (tier.record(plan) / "run.ipynb").read_text(encoding="utf-8")
        assert "the name of web1" in said
        assert again(tier, done["run"], "undo")["verdict"] == "DONE"
    finally:
        tier.sudo("web1", "rm -r /etc/edge")
    assert changed(tier, before) == {}


def test_files_move_to_another_environment(tier: Hosts) -> None:
    """Production's source becomes staging's, rendered with its variables, in configs/ and on its host; both undone."""
    source = tier.root / "configs/shop/prod/settings.json"
    source.write_text('{"level": "${level}", "made for": "prod"}\n', encoding="utf-8")
    before, place = snapshots(tier, ("app2",)), below(tier)
    plan = planned(tier, "CFG-011", "app2", environment="staging", from_environment="prod")
    assert [c["host"] for c in plan["plan"]["changes"]] == ["localhost", "app2"]
    done = applied(tier, plan)
    assert done["verdict"] == "DONE", done
    assert json.loads(tier.sudo("app2", f"cat {SETTINGS}")) == {"level": "debug", "made for": "prod"}
    assert (tier.root / "configs/shop/staging/settings.json").read_bytes() == source.read_bytes()
    assert again(tier, done["run"], "undo")["verdict"] == "DONE"
    assert changed(tier, before) == {}
    assert below(tier) == place
