"""NGX-012 through a control plane: without any host, and on a web tier with ip_hash, where nginx is seen to do it."""

from __future__ import annotations

import pytest

from fleets import Hosts, webtier

pytestmark = pytest.mark.slow
__all__ = ["webtier"]
WEBS = ("web1", "web2", "web3")
LINES = ["10.0.0.1:8080 weight=2", "10.0.0.2:8080 down", "10.0.0.3:8080"]
FILE = "/etc/nginx/conf.d/shop-upstream.conf"


def run(place: Hosts, *words: str) -> dict:
    """Run NGX-012; return its document."""
    return place.json("run", "NGX-012", *words)


@pytest.fixture(scope="module")
def hashed(webtier: Hosts) -> Hosts:
    """The web tier with ip_hash, loaded on every balancer, one server down."""
    for web in WEBS:
        webtier.sudo(
            web, f"sed -i 's/zone shop 64k;/ip_hash;/; s/ max_fails=3 fail_timeout=10s;/ max_fails=0;/' {FILE}"
        )
        webtier.sudo(
            web,
            f"sed -i '0,/server .*max_fails=0;/s/max_fails=0;/weight=2 max_fails=0;/' {FILE}; nginx -s reload",
        )
    return webtier


def test_server_lines_are_enough(webtier: Hosts) -> None:
    """No host is asked: the evidence maps each address to a server."""
    result = run(
        webtier,
        "-p",
        'addresses=["203.0.113.7","203.0.113.200","2001:db8::1"]',
        "-p",
        f"servers={LINES!r}".replace("'", '"'),
    )
    assert result["verdict"] == "DONE", (result["reason"], result["checks"])
    predicted = result["evidence"]["predicted"]
    assert set(predicted) == {"203.0.113.7", "203.0.113.200", "2001:db8::1"}
    assert set(predicted.values()) <= {"10.0.0.1:8080", "10.0.0.3:8080"}
    assert predicted["203.0.113.7"] == predicted["203.0.113.200"]
    assert [check["ok"] for check in result["checks"]] == [True, True, True]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (['addresses=["10.0.0.0/24"]'], "parameter 'addresses"),
        (['addresses=["10.0.0.1:80"]', f'servers=["{LINES[0]}"]'], "it is one IPv4 or IPv6 address"),
        (['addresses=["10.0.0.1"]', 'servers=["10.0.0.1","10.0.0.2 backup"]'], "nginx refuses 'backup'"),
    ],
)
def test_what_is_wrong_is_refused_in_words(webtier: Hosts, words: list[str], why: str) -> None:
    """A network, an address with a port, a backup."""
    done = webtier.opsnb("run", "NGX-012", *[word for given in words for word in ("-p", given)])
    assert done.returncode in {1, 2}
    assert why in done.stdout + done.stderr


def test_another_method_is_not_applicable(webtier: Hosts) -> None:
    """Before ip_hash is there: the runbook says so, with file and line, and names the survey."""
    result = run(webtier, "--hosts", "app1", "-p", 'addresses=["10.0.0.1"]')
    assert result["verdict"] == "NOT_APPLICABLE"
    assert "NGX-001" in result["reason"]


def test_nginx_is_seen_to_do_it(hashed: Hosts) -> None:
    """On three balancers: 60 addresses, requests from each, the logs compared, and all hosts agree."""
    asked = [f"127.{n}.{n * n * 31 % 251}.9" for n in range(1, 61)]  # a linear series can fall on one server
    result = run(hashed, "--hosts", "web*", "-p", f"addresses={asked!r}".replace("'", '"'), "-p", "upstream=shop")
    assert result["verdict"] == "DONE", (result["reason"], result["checks"])
    kept = result["evidence"]
    assert [row["host"] for row in kept["compared"]] == list(WEBS)
    assert all((row["answered"], row["otherwise"]) == (60, 0) for row in kept["compared"])
    apps = {f"{hashed.address(app)}:8000" for app in ("app1", "app2", "app3")}
    assert set(kept["predicted"].values()) == apps
    assert "nginx did as predicted" in result["checks"][-1]["what"]
    assert kept["servers"]["web1"] == kept["servers"]["web2"]


def test_hosts_that_do_not_agree_are_named(hashed: Hosts) -> None:
    """Another order of the lines on one balancer: its clients go elsewhere, and the check says which."""
    hashed.sudo(
        "web3",
        f"cp {FILE} /tmp/before; grep -v 'server ' {FILE} | head -n -1 > /tmp/new; grep 'server ' {FILE} | tac >> /tmp/new; echo }} >> /tmp/new; cp /tmp/new {FILE}",
    )
    try:
        asked = [f"203.{n * n % 251}.{n}.9" for n in range(30)]
        result = run(hashed, "--hosts", "web*", "-p", f"addresses={asked!r}".replace("'", '"'), "-p", "prove=false")
        assert result["verdict"] == "FAILED"
        assert result["evidence"]["apart"]
        assert not next(c for c in result["checks"] if c["what"] == "all hosts give an address the same server")["ok"]
    finally:
        hashed.sudo("web3", f"cp /tmp/before {FILE}")
