"""The web tier of a rehearsal fleet: real nginx, a shop under Supervisor, each host's own."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import urllib.parse
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fleets import Hosts
from opsnb.cli.workspace import make
from opsnb.fleet.inventory import load
from opsnb.rehearsal.hosts import fleet
from opsnb.rehearsal.tier import Tier, commands, files, missing, services
from places import OPSNB, ROOT, wait_for

TIER = Tier(nginx="/n", supervisord="/s", uwsgi="/u", python="/p", user="www-data", user_id=33)
WEB, APP = ["web1", "web2", "web3"], ["app1", "app2", "app3"]
own = pytest.mark.skipif(os.geteuid() != 0, reason="hosts of their own want root")


def ask(url: str) -> tuple[int, str, str]:
    """Return status, body, and who answered."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), str(answer.getheader("X-Node"))
    connection.close()
    return found


@own
def test_a_request_goes_through_nginx_to_every_node_in_turn(webtier: Hosts) -> None:
    """Each web host balances over all application hosts evenly, and a node answers with its host's name."""
    for web in WEB:
        said = [ask(webtier.url(web)) for _ in range(30)]
        assert Counter(node for _, _, node in said) == dict.fromkeys(APP, 10)
        assert all(status == 200 and body == f"{node}\n" for status, body, node in said)


@own
def test_what_a_node_answers(webtier: Hosts) -> None:
    """The page /health follows a file, /slow waits, /bytes has a length, /client is whom nginx names."""
    assert ask(webtier.url("app1", "/health")) == (200, "well\n", "app1")
    webtier.sudo("app1", "touch /var/lib/shop/unwell")
    assert ask(webtier.url("app1", "/health")) == (503, "unwell\n", "app1")
    webtier.sudo("app1", "rm /var/lib/shop/unwell")
    done = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{time_total}", webtier.url("app1", "/slow?seconds=0.3")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert 0.3 <= float(done.stdout) < 5
    assert len(ask(webtier.url("app2", "/bytes?count=6000"))[1]) == 6000
    assert ask(webtier.url("web1", "/client"))[1] == "127.0.0.1\n"


@own
def test_the_logs_are_as_one_finds_them(webtier: Hosts) -> None:
    """The balancer logs the back end and its time; the node logs too; each host has its own files only."""
    ask(webtier.url("web2", "/only-web2"))
    look = "grep only-web2 /var/log/nginx/access.log || true"
    wait_for(lambda: webtier.sudo("web2", look) != "", 20)  # nginx writes it when it has answered
    line = webtier.sudo("web2", look)
    assert any(f"ua={webtier.address(app)}:8000 urt=0." in line for app in APP)
    assert " rt=0." in line
    assert webtier.sudo("web1", "grep -c only-web2 /var/log/nginx/access.log || true") == "0\n"

    def counts() -> list[int]:
        return [int(webtier.sudo(app, "grep -c only-web2 /var/log/shop/access.log || true")) for app in APP]

    wait_for(lambda: sum(counts()) > 0, 20)
    assert sum(counts()) == 1
    assert not Path("/var/log/shop").exists()


@own
def test_nginx_is_debians(webtier: Hosts) -> None:
    """The configuration is valid where Debian has it, the site is linked, the pid is in /run, the workers are www-data's."""
    assert "test is successful" in webtier.ssh("web1", "sudo nginx -t").stderr
    assert webtier.sudo("web1", "readlink /etc/nginx/sites-enabled/shop") == "/etc/nginx/sites-available/shop\n"
    pid = webtier.sudo("web1", "cat /run/nginx.pid").strip()
    workers = webtier.sudo("web1", f"ps --ppid {pid} -o user=,args=").splitlines()
    assert workers == ["www-data nginx: worker process"] * 2
    assert "Active connections" in ask(webtier.url("web1", "/nginx_status"))[1]
    webtier.sudo("web1", "nginx -s reload")
    assert ask(webtier.url("web1"))[0] == 200


@own
def test_supervisor_is_debians(webtier: Hosts) -> None:
    """Supervisor keeps the shop and the worker on each application host; a node that is killed comes back."""
    before = webtier.sudo("app3", "supervisorctl pid shop")
    assert webtier.sudo("app3", "stat -c %a /run/supervisor.sock") == "700\n"
    webtier.sudo("app3", f"kill -9 {before}")
    wait_for(lambda: webtier.sudo("app3", "supervisorctl pid shop || true") not in {before, "0\n"}, 30)
    wait_for(lambda: "RUNNING" in webtier.sudo("app3", "supervisorctl status shop || true"), 30)
    wait_for(lambda: ask(webtier.url("app3", "/health"))[0] == 200, 20)


@own
def test_status_says_what_a_host_serves(webtier: Hosts) -> None:
    """Each host has its host's services in status, with the program behind each and whether it listens; the inventory has the ports."""
    value = webtier.json("rehearse", "status")
    found = {host["name"]: [(s["name"], s["program"], s["up"]) for s in host["services"]] for host in value["hosts"]}
    assert found == {
        **{web: [("nginx", "nginx", True)] for web in WEB},
        **{app: [("supervisor", "supervisord", True), ("shop", "uwsgi", True)] for app in APP},
        **{other: [] for other in ("db1", "bastion")},
    }
    assert "supervisor, shop (uwsgi) :8000" in webtier.opsnb("rehearse", "status").stdout
    book = load(webtier.root)
    assert [book.row(name).get("variables", {}) for name in ("web1", "app1", "db1")] == [
        {"http_port": 8080}, {"http_port": 8000}, {},
    ]  # fmt: skip
    assert ask(book.services["shop"].health)[:2] == (200, "well\n")
    webtier.sudo("web3", "nginx -s stop")
    wait_for(lambda: not webtier.host("web3")["services"][0]["up"], 30)
    assert "nginx :8080 DOWN" in webtier.opsnb("rehearse", "status").stdout
    webtier.sudo("web3", "nginx")


@own
def test_a_host_that_died_serves_again(webtier: Hosts) -> None:
    """A web host that lost its power serves after the next `up`, and the others were not touched."""
    before = webtier.process("web1")
    assert webtier.process("web2").kill()
    webtier.restore()
    assert ask(webtier.url("web2"))[0] == 200
    assert webtier.process("web1") == before


@own
def test_down_ends_the_services_too(tmp_path: Path) -> None:
    """After `down` nothing listens where nginx and the shop were, and no process of theirs is left."""
    made = Hosts(tmp_path / "ws")
    make(made.root)
    try:
        hosts = made.fleet.up(5)["hosts"]
        urls = [made.url(name) for name in ("web1", "app1")]
        assert [ask(url)[0] for url in urls] == [200, 200]
        ours = listeners(hosts)
        assert len(ours) >= len(hosts)
    finally:
        made.close()
    assert ours & listeners(hosts) == set()  # another fleet may have come up at the same addresses
    assert not made.fleet.folder.exists()


def listeners(hosts: list[dict[str, Any]]) -> set[str]:
    """The processes that listen at the addresses of hosts."""
    argv = ["ss", "-Hltnp", *" or ".join(f"src {host['address']}" for host in hosts).split()]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True)
    return set(re.findall(r"pid=\d+", listed.stdout))


@own
def test_a_fleet_may_be_bare(tmp_path: Path) -> None:
    """--bare: hosts that serve nothing, which the inventory shows, and an `up` later does not change that."""
    made = Hosts(tmp_path / "ws")
    make(made.root)
    try:
        value = made.json("rehearse", "up", "--hosts", "4", "--bare")
        assert [host["services"] for host in value["hosts"]] == [[]] * 4
        assert made.json("rehearse", "up")["missing"] == []
        assert "http_port" not in made.fleet.book.path.read_text(encoding="utf-8")
        assert made.ssh("web1", "pgrep nginx").returncode == 1
    finally:
        made.close()


@own
@pytest.mark.parametrize(
    ("hidden", "said", "status"),
    [
        ("/usr/sbin/nginx", "no nginx: web hosts serve nothing", {"web1": [], "app1": ["supervisord", "uwsgi"]}),
        ("/usr/bin/supervisord", "no supervisord", {"web1": ["nginx"], "app1": []}),
        ("/usr/bin/uwsgi", "the shop runs under wsgiref", {"web1": ["nginx"], "app1": ["supervisord", "wsgiref"]}),
    ],
)
def test_a_machine_without(tmp_path: Path, hidden: str, said: str, status: dict[str, list[str]]) -> None:
    """Where a program is not installed hosts come up without it, status says so, and the rest serves."""
    make(tmp_path / "ws")
    script = (
        'mount --bind /dev/null "$1" && "$2" rehearse up --hosts 4 --json && '
        'curl -s "$(sed -n "s/ *health: //p" inventory/rehearsal.yaml | head -1)"; "$2" rehearse down >&2'
    )
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", hidden, str(OPSNB)]
    done = subprocess.run(words, cwd=tmp_path / "ws", capture_output=True, text=True, timeout=60, check=False)
    value, end = json.JSONDecoder().raw_decode(done.stdout)
    assert [said in line for line in value["missing"]] == [True]
    found = {h["name"]: [s["program"] for s in h["services"] if s["up"]] for h in value["hosts"]}
    assert {name: found[name] for name in status} == status
    assert done.stdout[end:].strip() == ("well" if status["app1"] else "this fleet has no application hosts"), (
        done.stderr
    )


def test_what_is_missing() -> None:
    """Each program that is not there is named with its package and what comes of it."""
    bare = Tier(nginx="", supervisord="", uwsgi="", python="", user="nobody", user_id=65534)
    assert missing(TIER) == []
    assert [line.split(":")[0] for line in missing(bare)] == ["no nginx", "no supervisord"]
    alone = Tier(nginx="/n", supervisord="/s", uwsgi="", python="", user="nobody", user_id=65534)
    assert missing(alone) == ["no uwsgi: there is no shop (apt-get install uwsgi-core uwsgi-plugin-python3)"]


@pytest.mark.parametrize("count", [1, 2, 4, 8, 50])
def test_the_files_of_a_tier(count: int) -> None:
    """Every web host's upstream has all application hosts of the fleet, none a server too many; others have no files."""
    hosts = fleet(count, "127.0.9", 20022)
    apps = [host.address for host in hosts if host.role == "app"]
    for host in hosts:
        made = files(host, hosts, TIER)
        assert bool(made) == bool(commands(host, TIER)) == bool(services(host, TIER)) == (host.role in {"web", "app"})
        if host.role == "web":
            upstream = made["etc/nginx/conf.d/shop-upstream.conf"].text if apps else ""
            assert [line.split()[1] for line in upstream.splitlines() if "server" in line.split()] == [
                f"{address}:8000" for address in apps
            ]  # fmt: skip
            assert f"listen {host.address}:8080;" in made["etc/nginx/sites-available/shop"].text
        assert not [name for name in made if name.startswith("/")]


def test_the_shop_needs_nothing_of_ours() -> None:
    """The application compiles by itself for any Python 3.6 and imports only the standard library's."""
    text = (ROOT / "lib/opsnb/rehearsal/shop/app.py").read_text(encoding="utf-8")
    assert "opsnb" not in [word for line in text.splitlines() if "import" in line for word in line.split()]
