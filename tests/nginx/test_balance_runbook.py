"""NGX-010 as a run of a control plane on the rehearsal web tier: plan, apply, an empty plan, undo, as it was."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from fleets import Hosts
from places import wait_for

pytestmark = pytest.mark.slow
WEB = ("web1", "web2", "web3")
APPS = ("app1", "app2", "app3")
FILES = (
    "cd /etc/nginx; find . -type f -exec sha256sum {} + | sort; find . ! -name . -printf '%p %y %m %U %G %l\\n' | sort"
)


def servers(tier: Hosts, *words: str) -> list[str]:
    """Return server lines of the application hosts."""
    return [f"{tier.address(name)}:8000 {word}".strip() for name, word in zip(APPS, words, strict=False)]


def planned(tier: Hosts, hosts: str, lines: list[str], **parameters: str) -> dict[str, Any]:
    """Plan NGX-010."""
    given = {"upstream": "shop", "servers": json.dumps(lines), **parameters}
    return dict(
        tier.json("run", "NGX-010", "--hosts", hosts, *(w for k, v in given.items() for w in ("-p", f"{k}={v}")))
    )


def applied(tier: Hosts, plan: dict[str, Any]) -> dict[str, Any]:
    """Apply a planned request."""
    return dict(tier.json("run", "NGX-010", "--mode", "apply", "--request", plan["request"]))


def files(tier: Hosts) -> dict[str, str]:
    """What each balancer's configuration is: bytes, modes, owners, names."""
    return {name: tier.sudo(name, FILES) for name in WEB}


def test_weights_are_planned_applied_proven_and_undone(webtier: Hosts) -> None:
    """On three balancers: the plan shows the difference, 600:200:200 on each, a second plan is empty, the undo restores."""
    before = files(webtier)
    lines = servers(webtier, "weight=3 max_fails=3", "max_fails=3", "max_fails=3")
    plan = planned(webtier, "web*", lines, strategy="weighted", requests="1000")
    assert plan["verdict"] == "PLANNED", plan
    assert [change["host"] for change in plan["plan"]["changes"]] == list(WEB)
    assert files(webtier) == before
    done = applied(webtier, plan)
    assert done["verdict"] == "DONE", done
    assert {check["what"]: check["ok"] for check in done["checks"]}["a second plan is empty"] is True
    want = dict(zip((line.split()[0] for line in lines), (600, 200, 200), strict=True))
    assert done["evidence"]["spread"] == dict.fromkeys(WEB, want)
    undone = webtier.json("runs", "undo", done["run"])
    assert undone["verdict"] == "DONE", undone
    assert files(webtier) == before
    assert set(undone["evidence"]["spread"]["web1"].values()) == {334}


def test_a_new_tier_is_served_and_leaves_nothing_after_the_undo(webtier: Hosts) -> None:
    """A file of its own on one balancer, with a server block, real client address and gzip; answered; undone."""
    before = files(webtier)
    listen = f"{webtier.address('web1')}:8099"
    plan = planned(webtier, "web1", servers(webtier, "", ""), upstream="api", strategy="least_conn", listen=listen,
                   names='["api.example"]', gzip="true", real_ip_from='["127.0.0.0/8"]', status_path="/figures")  # fmt: skip
    assert plan["verdict"] == "PLANNED", plan
    done = applied(webtier, plan)
    assert done["verdict"] == "DONE", done
    assert "Active connections" in webtier.sudo("web1", f"curl -s http://{listen}/figures")
    undone = webtier.json("runs", "undo", done["run"])
    assert undone["verdict"] == "DONE", undone
    assert files(webtier) == before


def test_a_back_end_that_nobody_reaches_fails_and_is_rolled_back(webtier: Hosts) -> None:
    """Not asked before, and seen as 502 through nginx: FAILED, every balancer's files as before, and the shop serves."""
    before = files(webtier)
    plan = planned(webtier, "web*", [f"{webtier.address('app1')}:8999"], requests="0", answering="false")
    assert plan["verdict"] == "PLANNED", plan
    done = applied(webtier, plan)
    assert done["verdict"] == "FAILED", done
    assert files(webtier) == before
    assert webtier.sudo("web1", f"curl -s {webtier.url('web1', '/health')}") == "well\n"


def test_an_edit_after_the_plan_is_drift_and_stays(webtier: Hosts) -> None:
    """Somebody else's edit between plan and change: DRIFTED, nothing is touched."""
    path = "/etc/nginx/conf.d/shop-upstream.conf"
    plan = planned(webtier, "web2", servers(webtier, "weight=2", ""), requests="0")
    webtier.sudo("web2", f"cp -p {path} /var/tmp/kept; echo '# theirs' >> {path}")
    edited = files(webtier)
    done = applied(webtier, plan)
    assert done["verdict"] == "DRIFTED", done
    assert files(webtier) == edited
    webtier.sudo("web2", f"cat /var/tmp/kept > {path}; nginx -s reload")


@pytest.mark.parametrize(
    ("lines", "strategy", "reason"),
    [
        (["127.0.0.1:1", "127.0.0.2:1 backup"], "ip_hash", "nginx refuses 'backup'"),
        (["127.0.0.1:1; } lua_code_cache off;"], "round_robin", "the server line"),
        (["$(id)"], "round_robin", "the server line"),
    ],
)
def test_what_nginx_would_refuse_is_refused_with_the_reason(
    webtier: Hosts, lines: list[str], strategy: str, reason: str
) -> None:
    """Before a host is asked for anything; the record says why."""
    plan = planned(webtier, "web1", lines, strategy=strategy)
    assert plan["verdict"] == "FAILED"
    text = (webtier.root / plan["record"]).read_text(encoding="utf-8")
    assert reason in text.replace("&#39;", "'")


def test_a_host_without_nginx_is_not_the_right_one(webtier: Hosts) -> None:
    """An application host has none that runs: NOT_APPLICABLE, and the runbook that looks is named."""
    plan = planned(webtier, "app1", servers(webtier, ""))
    assert plan["verdict"] == "NOT_APPLICABLE", plan


def test_a_balancer_that_is_dead_is_named_and_the_others_go_on(webtier: Hosts) -> None:
    """It stands in the plan as not planned, with the reason; the others are changed, checked and undone."""
    before = files(webtier)
    os.kill(webtier.process("web3").pid, signal.SIGKILL)
    wait_for(lambda: not webtier.host("web3")["up"], 20)
    try:
        plan = planned(webtier, "web*", servers(webtier, "weight=2", "", ""), requests="40")
        assert plan["verdict"] == "PLANNED", plan
        assert list(plan["plan"]["context"]["unreachable"]) == ["web3"]
        done = applied(webtier, plan)
        assert done["verdict"] == "DONE", done
        assert {host: sorted(n.values()) for host, n in done["evidence"]["spread"].items()} == {
            "web1": [10, 10, 20], "web2": [10, 10, 20],
        }  # fmt: skip
        undone = webtier.json("runs", "undo", done["run"])
        assert undone["verdict"] == "DONE", undone
    finally:
        webtier.restore()
    assert {name: files(webtier)[name] for name in ("web1", "web2")} == {
        name: before[name] for name in ("web1", "web2")
    }
