"""NGX-011 and NGX-013 as runs of a control plane on rehearsal hosts: plan, apply, an empty second plan, undo."""

from __future__ import annotations

from typing import Any

import pytest

from fleets import Hosts, webtier

__all__ = ["webtier"]

pytestmark = pytest.mark.slow
WEB = ("web1", "web2", "web3")
FILE = "/etc/nginx/conf.d/shop-upstream.conf"


def files(place: Hosts) -> dict[str, str]:
    """The upstream's file on every balancer, with mode, owner and digest of all of /etc/nginx."""
    look = f"cat {FILE}; stat -c '%a %U:%G' {FILE}; find /etc/nginx -type f -exec sha256sum {{}} + | sort"
    return {name: place.sudo(name, look) for name in WEB}


def apply(place: Hosts, planned: dict[str, Any]) -> dict[str, Any]:
    """Apply a planned request."""
    assert planned["verdict"] == "PLANNED", planned
    return dict(place.json("run", planned["runbook"], "--mode", "apply", "--request", planned["request"]))


def asked(place: Hosts, runbook: str, **values: object) -> dict[str, Any]:
    """Plan a runbook for the balancers."""
    hosts = str(values.pop("hosts", "web*"))
    words = [word for name, value in values.items() for word in ("-p", f"{name}={value}")]
    return dict(place.json("run", runbook, "--hosts", hosts, *words))


def checks(result: dict[str, Any]) -> list[bool]:
    """Which checks of a run held."""
    return [check["ok"] for check in result["checks"]]


def test_a_back_end_is_drained_returned_and_everything_undone(webtier: Hosts) -> None:
    """Drain on three balancers, a second plan that is empty, return in steps with a watch, both undone to the byte."""
    before, app = files(webtier), f"{webtier.address('app2')}:8000"
    planned = asked(webtier, "NGX-011", action="drain", server=app)
    assert files(webtier) == before
    drained = apply(webtier, planned)
    assert (drained["verdict"], checks(drained)) == ("DONE", [True] * 3), drained
    for name in WEB:
        assert f"    server {app} max_fails=3 fail_timeout=10s down;\n" in webtier.sudo(name, f"cat {FILE}")
        assert app not in drained["evidence"]["answered"][name]
        assert sum(drained["evidence"]["answered"][name].values()) == 60
    assert asked(webtier, "NGX-011", action="drain", server=app)["plan"]["changes"] == []
    steps = asked(webtier, "NGX-011", action="return", server=app, steps="1", weight=4, pause=1, batch=3)
    assert [c["verb"] for c in steps["plan"]["changes"]] == ["nginx.files", "nginx.step"] * 3
    returned = apply(webtier, steps)
    assert (returned["verdict"], checks(returned)) == ("DONE", [True] * 3), returned
    assert returned["evidence"]["answered"]["web3"] == {app: 40, **dict.fromkeys(
        (f"{webtier.address(name)}:8000" for name in ("app1", "app3")), 10)}  # fmt: skip
    for run in (returned, drained):
        undone = webtier.json("runs", "undo", run["run"])
        assert undone["verdict"] == "DONE", undone
    assert files(webtier) == before


def test_a_spare_comes_in_and_goes_out_again(webtier: Hosts) -> None:
    """Taken out by the name of its host, brought in again with a weight, both undone to the byte."""
    before, app = files(webtier), f"{webtier.address('app3')}:8000"
    gone = apply(webtier, asked(webtier, "NGX-013", action="out", server="app3", hosts="web* | app3"))
    assert (gone["verdict"], checks(gone)) == ("DONE", [True] * 2), gone
    assert gone["evidence"]["changed"] == list(WEB)
    assert app not in webtier.sudo("web2", f"cat {FILE}")
    back = apply(webtier, asked(webtier, "NGX-013", action="in", server="app3", hosts="web* | app3", weight=2))
    assert (back["verdict"], checks(back)) == ("DONE", [True] * 2), back
    assert f"    server {app} weight=2 max_fails=3 fail_timeout=10s;\n" in webtier.sudo("web1", f"cat {FILE}")
    assert back["evidence"]["answered"]["web1"][app] == 30
    for run in (back, gone):
        assert webtier.json("runs", "undo", run["run"])["verdict"] == "DONE"
    assert files(webtier) == before


def test_what_would_leave_too_few_is_refused_with_its_reason(webtier: Hosts) -> None:
    """Too few left, an unknown one: nothing is changed, and the words say why."""
    before = files(webtier)
    app = f"{webtier.address('app1')}:8000"
    unknown = asked(webtier, "NGX-011", action="drain", server=app.replace("8000", "8001"))
    assert unknown["verdict"] == "NOT_APPLICABLE"
    assert unknown["plan"] is None or unknown["plan"]["changes"] == []
    few = asked(webtier, "NGX-013", action="out", server=app, at_least=3)
    assert few["verdict"] == "FAILED"
    assert "2 back ends of shop would be up without" in few["reason"], few["reason"]
    assert files(webtier) == before
