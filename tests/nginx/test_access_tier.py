"""NGX-002 on the rehearsal web tier: real nginx, through the control plane; counts are what the test sent."""

from __future__ import annotations

import http.client
import json
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


def ask(url: str, paths: dict[str, int]) -> tuple[int, Counter[str]]:
    """Send requests over one connection; return the bytes of all bodies and the statuses."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    got, statuses = 0, Counter[str]()
    for path, times in paths.items():
        for _ in range(times):
            connection.request("GET", path)
            answer = connection.getresponse()
            got += len(answer.read())
            statuses[str(answer.status)] += 1
    connection.close()
    return got, statuses


def printed(place: Hosts, result: dict[str, Any]) -> str:
    """Return all text that a run printed."""
    text = ""
    for cell in place.executed(result)["cells"]:
        for output in cell.get("outputs", []):
            text += "".join(output.get("text", [])) + "".join(output.get("data", {}).get("text/plain", [])) + "\n"
    return text


Sent = dict[str, tuple[int, Counter[str]]]


@pytest.fixture(scope="module")
def sent(webtier: Hosts) -> Sent:
    """Requests sent to three web hosts, their logs begun anew; host to bytes and statuses received."""
    for host in SENT:
        webtier.sudo(host, f"truncate -s 0 {LOG}; chown root:adm {LOG}; chmod 640 {LOG}")
    found = {host: ask(webtier.url(host, ""), paths) for host, paths in SENT.items()}
    for host, paths in SENT.items():
        wanted = sum(paths.values())
        wait_for(lambda h=host, n=wanted: webtier.sudo(h, f"wc -l < {LOG}").strip() == str(n), 30)
    return found


def test_counts_are_the_requests_that_were_sent(webtier: Hosts, sent: Sent) -> None:
    """Requests, bytes, statuses of each node and of all, though only root may read the logs; the record verifies."""
    result = webtier.json("run", "NGX-002", "--hosts", "web*", "-p", "minutes=30")
    assert result["verdict"] == "DONE", result["checks"]
    kept = result["evidence"]
    assert kept["nodes"] == {host: sum(paths.values()) for host, paths in SENT.items()}
    assert kept["requests"] == sum(kept["nodes"].values())
    assert kept["bytes"] == sum(size for size, _ in sent.values())
    assert kept["status"] == sum((statuses for _, statuses in sent.values()), Counter[str]())
    assert kept["lines"] == {"lines": kept["requests"], "counted": kept["requests"], "not_of_format": 0, "outside": 0}
    assert 200 <= kept["latency_ms"]["max"] < 5000
    text = printed(webtier, result)
    assert "3 of 3 nodes counted" in text
    assert "/item/:id" in text, "ids are one path"
    assert "[plot: Requests, errors (5xx) and bandwidth over time" in text
    assert webtier.verify().returncode == 0


def test_logs_and_a_format_may_be_named(webtier: Hosts, sent: Sent) -> None:
    """A rotated, packed log beside the other, with the format pasted in; ids kept apart."""
    webtier.sudo("web1", f"gzip -c {LOG} > {LOG}.2.gz")
    directive = ("log_format ops '$remote_addr - $remote_user [$time_local] $host \"$request\" $status $body_bytes_sent '"
                 "'\"$http_referer\" \"$http_user_agent\" rt=$request_time ua=$upstream_addr urt=$upstream_response_time';")  # fmt: skip
    result = webtier.json("run", "NGX-002", "--hosts", "web1", "-p", "minutes=0", "-p", f'logs=["{LOG}*"]',
                          "-p", f"format={directive}", "-p", "ids=false")  # fmt: skip
    webtier.sudo("web1", f"rm {LOG}.2.gz")
    assert result["verdict"] == "DONE", result["checks"]
    assert result["evidence"]["requests"] == 2 * sum(SENT["web1"].values())
    assert result["evidence"]["bytes"] == 2 * sent["web1"][0]
    text = printed(webtier, result)
    assert "/item/17" in text
    assert ".2.gz" in text


def test_hosts_that_cannot_be_read_are_named_and_the_others_counted(webtier: Hosts, sent: Sent) -> None:
    """A host without power and one whose log nobody may read: their names and why; the third one's counts are there."""
    webtier.sudo("web3", f"mv {LOG} {LOG}.away; mkdir {LOG}")
    os.kill(webtier.process("web2").pid, 9)
    wait_for(lambda: not webtier.host("web2")["up"], 20)
    result = webtier.json("run", "NGX-002", "--hosts", "web*", "-p", "minutes=30")
    webtier.sudo("web3", f"rmdir {LOG}; mv {LOG}.away {LOG}")
    webtier.restore()
    assert result["verdict"] == "FAILED"
    assert [check["what"] for check in result["checks"] if not check["ok"]] == [
        "every node was read", "every log was read to its end",
    ]  # fmt: skip
    assert result["evidence"]["nodes"] == {"web1": sum(SENT["web1"].values()), "web3": 0}
    assert result["evidence"]["bytes"] == sent["web1"][0]
    assert set(result["evidence"]["unread"]) == {"web2"}
    assert result["evidence"]["unread"]["web2"].startswith("unreachable: ")
    assert "no regular file" in printed(webtier, result)


@pytest.mark.parametrize(("parameters", "why"), [
    (["format=combined"], "no logs to read"),
    (['logs=["relative.log"]'], "no absolute path"),
    (['logs=["/x.log"]', "format=$status$request"], "side by side"),
    (["since=tomorrow"], "no time"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_in_words(webtier: Hosts, parameters: list[str], why: str) -> None:
    """Before any host is touched: what was given, and what is wanted; no traceback."""
    options = [word for parameter in parameters for word in ("-p", parameter)]
    result = webtier.json("run", "NGX-002", "--hosts", "web1", *options)
    assert result["verdict"] == "FAILED"
    text = json.dumps(webtier.executed(result))
    assert why in text
