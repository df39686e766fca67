"""NGX-010's kit on real nginx processes: what is written where, and how requests then spread."""

from __future__ import annotations

import http.client
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hostile.values import values as hostile
from nearby import carry_out, nearby
from nginx.tiers import Nginx, fetch, nodes
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits.nginx import balance_tables, spread
from opsnb.kits.nginx.balancer import Wanted, plan_balancer, suits, wanted
from opsnb.kits.nginx.render import HEAD
from places import wait_for
from ports import quiet_ports

pytestmark = pytest.mark.slow
HOST = "near1"
EXISTING = """\
# The shop, by hand. 商店
upstream other {{ server 127.0.0.1:9; }}

\tupstream shop {{
\t    # app1 is the large one
\t    server 127.0.0.1:{0} max_fails=2; # rack 4
\t    server 127.0.0.1:{1};
\t    keepalive 4; # few
\t}}
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://shop; }} }}
"""


class Tier:
    """Three back ends and a balancer in front of them."""

    def __init__(self, root: Path, workers: int) -> None:
        root.mkdir()
        self.port, *self.ports = quiet_ports(4)
        self.nodes = nodes(root / "nodes", self.ports)
        self.balancer = Nginx(root / "balancer", workers=workers).start()
        self.conf = str(self.balancer.conf)
        self.own = self.balancer.root / "conf.d/shop.conf"

    def servers(self, *words: str) -> list[str]:
        """Return server lines of the back ends."""
        return [f"127.0.0.1:{port} {word}".strip() for port, word in zip(self.ports, words, strict=False)]

    def want(self, *words: str, strategy: str = "weighted", **values: Any) -> Wanted:
        """Return what is wanted: a new tier, unless ``listen`` is given as empty."""
        options = {"listen": f"127.0.0.1:{self.port}", "names": ["shop.example"], **values}
        return wanted("shop", self.servers(*words), strategy, conf=self.conf, **options)

    def counts(self, requests: int) -> dict[str, int]:
        """Send requests one after the other, each on a connection of its own; return who answered how many."""
        return dict(Counter(fetch(self.port).strip() for _ in range(requests)))

    def stop(self) -> None:
        """End all of them."""
        self.balancer.stop()
        self.nodes.stop()


@pytest.fixture
def tier(tmp_path: Path) -> Iterator[Tier]:
    """A tier whose balancer has one worker."""
    made = Tier(tmp_path / "tier", 1)
    try:
        with nearby():
            yield made
    finally:
        made.stop()


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[Tier]:
    """A tier whose balancer has three workers."""
    made = Tier(tmp_path / "wide", 3)
    try:
        with nearby():
            yield made
    finally:
        made.stop()


def test_weights_are_exact_with_one_worker(tier: Tier) -> None:
    """Weights 3, 1, 1 over 1,000 requests one after the other: 600, 200, 200, counted by the client and by the kit."""
    carry_out(plan_balancer(HOST, tier.want("weight=3", "", "", zone="none")))
    assert tier.counts(1_000) == {"node1": 600, "node2": 200, "node3": 200}
    found = spread.measure([HOST], tier.want("weight=3", "", ""), requests=1_000)[HOST]
    assert dict(found.got) == dict(zip(tier.servers("", "", ""), (600, 200, 200), strict=True))
    assert balance_tables.uneven({HOST: found}, 0.0) == []
    bars = balance_tables.spread_chart({HOST: found}).axes[0].patches
    assert [round(bar.get_width()) for bar in bars] == [60, 60, 20, 20, 20, 20]


def test_weights_are_exact_with_several_workers_that_share_a_zone(wide: Tier) -> None:
    """Three workers, a zone: 600, 200, 200; each request on a connection of its own, so that all workers take part."""
    carry_out(plan_balancer(HOST, wide.want("weight=3", "", "")))
    assert "zone shop 64k;" in wide.own.read_text()
    assert wide.counts(1_000) == {"node1": 600, "node2": 200, "node3": 200}


def test_least_conn_favours_who_is_idle(tier: Tier) -> None:
    """Beside a back end that takes its time, the others get nearly everything; under round robin it gets its third."""
    slow, entered = Slow.start()
    with_slow = [f"127.0.0.1:{slow.server_port}", *tier.servers("", "")]
    shares = {}
    for strategy in ("round_robin", "least_conn"):
        want = wanted("shop", with_slow, strategy, conf=tier.conf, listen=f"127.0.0.1:{tier.port}")
        carry_out(plan_balancer(HOST, want))
        entered.clear()
        with_threads = [threading.Thread(target=_many, args=(tier.port, 20)) for _ in range(6)]
        for thread in with_threads:
            thread.start()
        for thread in with_threads:
            thread.join()
        shares[strategy] = len(entered) / 120
    slow.shutdown()
    slow.server_close()
    assert 0.28 <= shares["round_robin"] <= 0.39, shares
    assert shares["least_conn"] < shares["round_robin"] / 2, shares


def test_ip_hash_keeps_one_client_at_one_back_end(tier: Tier) -> None:
    """All requests of one address meet one back end, and the check for the spread says nothing against it."""
    carry_out(plan_balancer(HOST, tier.want("weight=3", "", "", strategy="ip_hash")))
    assert len(tier.counts(30)) == 1
    found = spread.measure([HOST], tier.want("", "", "", strategy="ip_hash"), requests=20)
    assert sum(1 for n in found[HOST].got.values() if n) == 1
    assert [bar.get_width() for bar in balance_tables.spread_chart(found).axes[0].patches].count(100.0) == 1
    assert balance_tables.uneven(found, 0.0) == []


def test_a_new_tier_gets_a_file_of_its_own_and_the_undo_removes_it(tier: Tier) -> None:
    """In the folder that http includes; a second plan is empty; a change of it replaces it; the undo leaves nothing."""
    before = tier.balancer.files()
    plan = plan_balancer(HOST, tier.want("", "", ""))
    assert tier.balancer.files() == before
    carry_out(plan)
    assert tier.own.read_text().startswith(HEAD)
    assert plan_balancer(HOST, tier.want("", "", "")).changes == ()
    again = plan_balancer(HOST, tier.want("", "", "", gzip=True, status_path="/nginx_status"))
    carry_out(again)
    assert "Active connections" in fetch(tier.port, "/nginx_status")
    carry_out(again.inverse())
    carry_out(plan.inverse())
    assert tier.balancer.files() == before


def test_an_upstream_that_is_there_is_changed_where_it_stands(tier: Tier) -> None:
    """Only its block: every other byte, comments of what stays, and the mode stay; the undo brings the rest back."""
    text = EXISTING.format(*tier.ports, port=tier.port)
    path = tier.balancer.add("site.conf", text)
    path.chmod(0o640)
    tier.balancer.stop()
    tier.balancer.start()
    before = tier.balancer.files()[str(path)]
    plan = plan_balancer(HOST, tier.want("max_fails=2", "weight=4", "", strategy="least_conn", listen=""))
    carry_out(plan)
    block = text[text.index("\tupstream") : text.index("server { listen")]
    lines = tier.servers("max_fails=2", "weight=4", "")
    expected = (
        f"\tupstream shop {{\n\t    least_conn;\n\t    # app1 is the large one\n\t    server {lines[0]}; # rack 4\n"
        f"\t    server {lines[1]};\n\t    server {lines[2]};\n\t    keepalive 4; # few\n\t}}\n"
    )
    assert path.read_text() == text.replace(block, expected)
    assert not tier.own.exists()
    assert plan_balancer(HOST, tier.want("max_fails=2", "weight=4", "", strategy="least_conn", listen="")).changes == ()
    carry_out(plan.inverse())
    assert tier.balancer.files()[str(path)][:4] == before[:4]


@pytest.mark.parametrize(
    ("name", "text", "options", "reason"),
    [
        ("shop.conf", "# mine\n", {}, "was not written by opsnb"),
        ("a.conf", "upstream shop { server 127.0.0.1:9; sticky; }\n", {"listen": ""}, "a.conf:1: 'sticky'"),
        ("a.conf", "server { listen 127.0.0.1:PORT; server_name shop.example; }\n", {}, "answers to shop.example"),
        ("a.conf", "server { listen 127.0.0.1:9; broken; }\n", {}, 'unknown directive "broken"'),
    ],
)
def test_what_stands_in_the_way_is_named_with_file_and_line(
    tier: Tier, name: str, text: str, options: dict[str, Any], reason: str
) -> None:
    """A file of somebody else, a line that is not understood, a name that is taken, a configuration that is broken."""
    tier.balancer.add(name, text.replace("PORT", str(tier.port)))
    before = tier.balancer.files()
    with pytest.raises(UsageError) as caught:
        plan_balancer(HOST, tier.want("", "", "", **options))
    assert reason in caught.value.message
    assert tier.balancer.files() == before


def test_the_only_upstream_is_meant_when_none_is_named(tier: Tier) -> None:
    """With several, it asks which; with none, a new one is made; what belongs to a server block is not dropped silently."""
    lines = tier.servers("weight=2", "")
    path = tier.balancer.add("a.conf", f"upstream shop {{ server {tier.servers('')[0]}; }}\n")
    plan = plan_balancer(HOST, wanted("", lines, conf=tier.conf))
    assert list(plan.changes[0].after["files"]) == [str(path)]
    tier.balancer.add("b.conf", "upstream api { server 127.0.0.1:9; }\n")
    with pytest.raises(UsageError, match=r"which upstream is meant: api, shop\?"):
        plan_balancer(HOST, wanted("", lines, conf=tier.conf))
    with pytest.raises(UsageError, match="gzip say what a new server block is like"):
        wanted("shop", lines, gzip=True)


def test_what_a_reader_should_know_stands_in_the_plan(wide: Tier) -> None:
    """No zone with several workers, a name, one server, keepalive that does nothing; a name nobody knows is refused."""
    wide.balancer.add("site.conf", EXISTING.format(*wide.ports, port=wide.port))
    plan = plan_balancer(HOST, wanted("shop", [f"localhost:{wide.ports[0]}"], conf=wide.conf))
    text = " ".join(plan.context["notes"])
    for words in (
        "each of the 3 workers counts for itself",
        "looks a name up when it loads",
        "with one server",
        "site.conf:10",
    ):
        assert words in text, text
    own = plan_balancer(HOST, wanted("api", wide.servers(""), conf=wide.conf))
    assert "no location passes to api yet" in " ".join(own.context["notes"])
    with pytest.raises(UsageError, match="host not found in upstream"):
        plan_balancer(HOST, wanted("shop", ["nobody.invalid:80"], conf=wide.conf))


def test_without_an_include_that_fits_it_says_which_to_add(tier: Tier) -> None:
    """A new file would be read by nobody."""
    tier.balancer.conf.write_text(tier.balancer.conf.read_text().replace("*.conf", "x.conf"))
    tier.balancer.add("x.conf", "")
    with pytest.raises(UsageError, match=r"no include in http .* takes a new file shop.conf") as caught:
        plan_balancer(HOST, tier.want("", "", ""))
    assert f"include {tier.balancer.root}/conf.d/*.conf;" in caught.value.hint


def test_back_ends_that_do_not_answer_roll_the_change_back(tier: Tier) -> None:
    """Asked before: nothing is touched. Not asked: nginx says 502, and the files are as before, byte for byte."""
    carry_out(plan_balancer(HOST, tier.want("", "", "")))
    before = tier.balancer.files()
    (dead,) = quiet_ports(1)
    for answering, words in ((True, f"nothing was changed.*127.0.0.1:{dead} 000"), (False, "put back.* 502, .* 502")):
        want = wanted("shop", [f"127.0.0.1:{dead}"], conf=tier.conf, answering=answering)
        with pytest.raises(OpsnbError, match=re.compile(words, re.DOTALL)):
            carry_out(plan_balancer(HOST, want))
        assert tier.balancer.files() == before
    assert set(tier.counts(6)) == {"node1", "node2", "node3"}


def test_real_client_addresses_are_believed_from_proxies_only(tier: Tier) -> None:
    """From 127.0.0.1, which is named, the header counts; what it names before an address that is not named does not."""
    log = tier.balancer.root / "seen.log"
    tier.balancer.conf.write_text(tier.balancer.conf.read_text().replace("access_log off;", f"access_log {log};"))
    carry_out(plan_balancer(HOST, tier.want("", "", "", real_ip_from=["127.0.0.1", "10.0.0.0/8"])))
    line = http.client.HTTPConnection("127.0.0.1", tier.port, timeout=5)
    line.request("GET", "/real", headers={"X-Forwarded-For": "1.1.1.1, 203.0.113.9, 10.1.2.3", "Connection": "close"})
    line.getresponse().read()
    line.close()
    wait_for(lambda: "/real" in log.read_text(), 5)  # a line is written when the answer is on its way
    assert [row.split()[0] for row in log.read_text().splitlines() if "/real" in row] == ["203.0.113.9"]


def test_the_access_log_tells_who_answered_when_answers_do_not(tier: Tier) -> None:
    """Bodies are alike, the format holds the upstream's address: counted from the log; without it, said and not guessed."""
    for number in (1, 2, 3):
        path = tier.nodes.root / f"conf.d/node{number}.conf"
        path.write_text(path.read_text().replace(f'return 200 "node{number}\\n"', 'return 200 "alike\\n"'))
    tier.nodes.stop()
    tier.nodes.start()
    carry_out(plan_balancer(HOST, tier.want("weight=2", "", "")))
    untold = spread.measure([HOST], tier.want("", "", ""), requests=40)
    assert "nothing tells the back ends apart" in balance_tables.spread(untold)["told by"][0]
    by_header = spread.measure([HOST], tier.want("", "", ""), requests=40, header="X-Node")[HOST]
    assert sorted(by_header.got.values()) == [10, 10, 20]
    log = tier.balancer.root / "who.log"
    form = f"log_format who '$http_user_agent|$upstream_addr|$status'; access_log {log} who;"
    tier.balancer.conf.write_text(tier.balancer.conf.read_text().replace("access_log off;", form))
    carry_out(plan_balancer(HOST, tier.want("weight=2", "", "", gzip=True)))
    by_log = spread.measure([HOST], tier.want("", "", ""), requests=40)[HOST]
    assert by_log.how == f"the access log {log}"
    assert dict(by_log.got) == dict(zip(tier.servers("", "", ""), (20, 10, 10), strict=True))


def test_answers_of_nginx_itself_are_not_counted_as_a_spread(tier: Tier) -> None:
    """A location that lets nobody in answers 403: no back end is credited or blamed, and that is said."""
    text = EXISTING.format(*tier.ports, port=tier.port).replace("proxy_pass", "deny all; proxy_pass")
    tier.balancer.add("site.conf", text)
    tier.balancer.stop()
    tier.balancer.start()
    found = spread.measure([HOST], tier.want("", "", ""), requests=10)
    assert dict(found[HOST].statuses) == {403: 10}
    assert balance_tables.counts(found) == {HOST: {}}
    assert "nothing tells the back ends apart" in balance_tables.spread(found)["told by"][0]


def test_hostile_values_are_refused_or_are_data(tier: Tier) -> None:
    """Through every value of the kit: what is let through is in a plan that nginx itself takes; nothing is changed."""
    before = tier.balancer.files()
    base: dict[str, Any] = {"upstream": "shop", "servers": tier.servers("", ""), "strategy": "weighted", "conf": tier.conf,
                            "listen": f"127.0.0.1:{tier.port}"}  # fmt: skip
    through = 0
    for value in (
        *hostile(),
        "a; }",
        "a {",
        "a\nlua_code_cache off;",
        "${host}",
        "~.*",
        "#",
        "10.0.0.1; include /etc/passwd",
    ):
        for name in (
            "upstream",
            "strategy",
            "zone",
            "real_ip_header",
            "path",
            "status_path",
            "connect_timeout",
            "listen",
        ):
            through += _tried({**base, name: value})
        for name in ("servers", "names", "real_ip_from", "gzip_types"):
            through += _tried({**base, name: [value]})
    assert through < 100
    assert tier.balancer.files() == before


def test_this_machine_is_refused_and_an_nginx_that_does_not_run_is_named(tier: Tier) -> None:
    """The first question of the runbook."""
    assert suits([HOST], tier.conf) == (True, "nginx runs on 1 host(s), or they are named below")
    tier.balancer.stop()
    assert suits([HOST], tier.conf) == (False, f"{HOST}: no nginx runs with {tier.conf}")


def _tried(values: dict[str, Any]) -> int:
    try:
        want = wanted(**values)
    except UsageError:
        return 0
    plan_balancer(HOST, want) if want.tier.name != "shop" else None
    return 1


def _many(port: int, count: int) -> None:
    for _ in range(count):
        fetch(port)


class Slow(BaseHTTPRequestHandler):
    """A back end that takes its time, and counts."""

    entered: list[str]

    @classmethod
    def start(cls) -> tuple[ThreadingHTTPServer, list[str]]:
        """Start one on a port of its own."""
        entered: list[str] = []
        handler = type("Handler", (cls,), {"entered": entered})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server, entered

    def do_GET(self) -> None:
        """Answer after a while."""
        self.entered.append(self.path)
        threading.Event().wait(0.2)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"slow\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""
