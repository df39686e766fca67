"""NGX-001 on the rehearsal web tier, through a control plane: the tier, an odd host, a broken file, a back end that is gone."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from fleets import Hosts, webtier

pytestmark = pytest.mark.slow
__all__ = ["webtier"]
UPSTREAM, SITE = "/etc/nginx/conf.d/shop-upstream.conf", "/etc/nginx/sites-available/shop"


def run(place: Hosts, *words: str) -> dict[str, Any]:
    """Run NGX-001; return its document."""
    return place.json("run", "NGX-001", *words)


def printed(place: Hosts, result: dict[str, Any]) -> str:
    """Return all text that a run printed."""
    outputs = [o for cell in place.executed(result)["cells"] for o in cell.get("outputs", [])]
    return "\n".join("".join(o.get("text", [])) + "".join(o.get("data", {}).get("text/plain", [])) for o in outputs)


def test_a_tier_is_surveyed(webtier: Hosts) -> None:
    """Every balancer, its servers and upstreams with file and line, stub_status of each; they are alike."""
    result = run(webtier, "--hosts", "web*")
    assert result["verdict"] == "DONE", (result["reason"], result["checks"])
    kept = result["evidence"]
    assert set(kept["hosts"]) == {"web1", "web2", "web3"}
    assert {row["nginx"] for row in kept["hosts"].values()} == {kept["hosts"]["web1"]["nginx"]}
    assert all(row["running"] and row["workers"] == 2 for row in kept["hosts"].values())
    apps = [f"{webtier.address(app)}:8000" for app in ("app1", "app2", "app3")]
    assert [(row["upstream"], row["server"], row["hosts"]) for row in kept["upstreams"]] == [
        ("shop", app, "web1, web2, web3") for app in apps]  # fmt: skip
    assert all(row["where"].startswith(f"{UPSTREAM}:") for row in kept["upstreams"])
    assert (kept["differences"], kept["unread"], kept["findings_critical"]) == ([], {}, 0)
    text = printed(webtier, result)
    assert "/etc/nginx/sites-enabled/shop:1" in text
    assert SITE in text, "the file behind the link is named"
    assert all(f"http://{webtier.address(web)}:8080/nginx_status" in text for web in ("web1", "web2", "web3"))


def test_the_odd_host_and_what_is_not_loaded(webtier: Hosts) -> None:
    """One balancer was edited and not reloaded: file and line, and what the others say."""
    webtier.sudo("web2", f"sed -i 's/keepalive 16;/keepalive 4;/' {UPSTREAM}")
    try:
        kept = run(webtier, "--hosts", "web*")["evidence"]
        (row,) = kept["differences"]
        assert (row["hosts"], row["says"], row["others"]) == ("web2", "keepalive 4", "keepalive 16")
        assert row["what"].startswith(f"{UPSTREAM}:")
        assert [(f["where"], f["hosts"]) for f in kept["findings"] if f["id"] == "newer"] == [(UPSTREAM, ["web2"])]
    finally:
        webtier.sudo("web2", f"sed -i 's/keepalive 4;/keepalive 16;/' {UPSTREAM}; nginx -s reload")


def test_a_file_that_nginx_cannot_read_is_refused_with_its_line(webtier: Hosts) -> None:
    """That host is named with file, line and reason; the others go on, and the run says that one was not read."""
    webtier.sudo("web3", f"cp {SITE} /tmp/site; sed -i '$d' {SITE}")
    try:
        result = run(webtier, "--hosts", "web*")
        assert result["verdict"] == "FAILED"
        why = result["evidence"]["unread"]["web3"]
        assert why.startswith("refused: /etc/nginx/sites-enabled/shop:")
        assert "found the end of the file, wanted '}' for 'server' of line 1" in why
        assert set(result["evidence"]["hosts"]) == {"web1", "web2"}
    finally:
        webtier.sudo("web3", f"cp /tmp/site {SITE}; nginx -s reload")


def test_a_back_end_that_is_gone_is_counted(webtier: Hosts) -> None:
    """Its errors stand beside its line, by address, from the error log that only root may read."""
    gone = f"{webtier.address('app2')}:8000"
    webtier.sudo("app2", "supervisorctl stop shop")
    try:
        for _ in range(9):
            webtier.ssh("web1", f"curl -s -o /dev/null {webtier.url('web1')}")
        result = run(webtier, "--hosts", "web1")
        rows = {row["server"]: row["errors"] for row in result["evidence"]["upstreams"]}
        assert rows[gone] >= 1
        assert sum(rows.values()) == rows[gone]
        assert "connect failed: Connection refused" in printed(webtier, result)
    finally:
        webtier.sudo("app2", "supervisorctl start shop")


def test_a_search_names_file_and_line(webtier: Hosts) -> None:
    """Which line says it, on which hosts."""
    text = printed(webtier, run(webtier, "--hosts", "web*", "-p", "search=proxy_pass"))
    assert "proxy_pass http://shop" in text
    assert "/etc/nginx/sites-enabled/shop:6" in text


def test_a_wrong_file_is_refused(webtier: Hosts) -> None:
    """A path that is none on the hosts, and one that no declaration lets in."""
    result = run(webtier, "--hosts", "web1", "-p", "conf=/etc/none.conf")
    assert "no such file" in result["evidence"]["unread"]["web1"]
    done = webtier.opsnb("run", "NGX-001", "-p", "conf=nginx.conf")
    assert done.returncode == 2
    assert "parameter 'conf'" in done.stderr


def test_a_host_that_is_gone_is_named_and_the_others_go_on(webtier: Hosts) -> None:
    """It lost its power: unreachable, with the reason; the others are surveyed."""
    os.kill(webtier.process("web3").pid, signal.SIGKILL)
    try:
        result = run(webtier, "--hosts", "web*")
        assert result["verdict"] == "FAILED"
        assert result["evidence"]["unread"]["web3"].startswith("unreachable: ")
        assert set(result["evidence"]["hosts"]) == {"web1", "web2"}
    finally:
        webtier.restore()
