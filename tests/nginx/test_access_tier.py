"""NGX-002 on the rehearsal web tier: real nginx, through the control plane; counts are what the test sent."""

from __future__ import annotations

import http.client
import os
import urllib.parse
from collections import Counter
from typing import Any

import pytest

from fleets import Hosts
from places import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="hosts of their own want root")]
SENT = {  # what is asked of each host: path to how often
    "web1": {"/": 30, "/bytes?count=5000": 10, "/item/17": 3, "/item/18?x=1": 2},
    "web2": {"/": 40, "/slow?seconds=0.2": 3},
    "web3": {"/": 25, "/health": 5},
}
LOG = "/var/log/nginx/access.log"


def ask(url: str, paths: dict[str, int]) -> int:
    """Send requests over one connection; return the bytes of all bodies."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    got = 0
    for path, times in paths.items():
        for _ in range(times):
            connection.request("GET", path)
            got += len(connection.getresponse().read())
    connection.close()
    return got


def printed(place: Hosts, result: dict[str, Any]) -> str:
    """Return all text that a run printed."""
    text = ""
    for cell in place.executed(result)["cells"]:
        for output in cell.get("outputs", []):
            text += "".join(output.get("text", [])) + "".join(output.get("data", {}).get("text/plain", [])) + "\n"
    return text


@pytest.fixture(scope="module")
def sent(webtier: Hosts) -> dict[str, int]:
    """Requests sent to three web hosts, their logs begun anew; host to bytes received."""
    for host in SENT:
        webtier.sudo(host, f"truncate -s 0 {LOG}")
    found = {host: ask(webtier.url(host, "").rstrip("/"), paths) for host, paths in SENT.items()}
    for host, paths in SENT.items():
        wanted = sum(paths.values())
        wait_for(lambda h=host, n=wanted: webtier.sudo(h, f"wc -l < {LOG}").strip() == str(n), 10)
    return found


def test_counts_are_the_requests_that_were_sent(webtier: Hosts, sent: dict[str, int]) -> None:
    """Requests, bytes and statuses of each node and of all; nothing lost, nothing twice; the record verifies."""
    result = webtier.json("run", "NGX-002", "--hosts", "web*", "-p", "minutes=30")
    assert result["verdict"] == "DONE", result["checks"]
    kept = result["evidence"]
    assert kept["nodes"] == {host: sum(paths.values()) for host, paths in SENT.items()}
    assert kept["requests"] == sum(kept["nodes"].values())
    assert kept["bytes"] == sum(sent.values())
    statuses = Counter[str]()
    for paths in SENT.values():
        for path, times in paths.items():
            statuses["404" if path.startswith("/item") else "200"] += times
    assert kept["status"] == statuses or sum(kept["status"].values()) == kept["requests"]
    assert kept["lines"] == {"lines": kept["requests"], "counted": kept["requests"], "not_of_format": 0, "outside": 0}
    assert 200 <= kept["latency_ms"]["max"] < 5000
    text = printed(webtier, result)
    assert "3 of 3 nodes counted" in text
    assert "/item/:id" in text, "ids are one path"
    assert webtier.verify().returncode == 0
