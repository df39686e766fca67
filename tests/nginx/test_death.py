"""A balancer dies, or its line is lost, between the new file and the reload: unknown, and a retry finishes what is left.

Three hosts with a network of their own and a real nginx each; their back ends are on this machine's end of the bridge.
The program that a host finds as its nginx is a script that hands on to the real one, and that waits where the test says
so: at the ``nginx -t`` which looks at the new files in their places, after the swap and before the reload.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from networks import Networks, namespaces, networks
from nginx.tier import BACKEND, answers
from opsnb.rehearsal import shared
from places import ROOT, wait_for

__all__ = ["namespaces", "networks"]

pytestmark = pytest.mark.slow
PORTS = {"a": 18001, "b": 18002}
NGINX = "/opt/nginx/nginx"
FILE = "/etc/nginx/conf.d/shop.conf"
SECONDS = 60
HOLD, HELD = "/var/tmp/hold", "/var/tmp/held"
WRAPPER = f"""\
#!/bin/sh
case " $* " in *" -t "*" -c /etc/nginx/nginx.conf "*)
  if [ -e {HOLD} ]; then touch {HELD}; while [ -e {HOLD} ]; do sleep 0.05; done; fi ;;
esac
exec /usr/sbin/nginx "$@"
"""
SITE = """\
upstream shop {{
    zone shop 64k;
    server {network}.254:18001;  # a
    server {network}.254:18002;  # b
}}
server {{
    listen 8080;
    location / {{ proxy_pass http://shop; }}
}}
"""


@pytest.fixture(scope="module")
def backends(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two back ends that every host reaches."""
    folder, made = tmp_path_factory.mktemp("backends"), []
    try:
        for name, port in PORTS.items():
            listen = f"{networks.network}.254:{port}"
            made.append(subprocess.Popen([sys.executable, str(BACKEND), name, listen, str(folder / name)]))
            wait_for(lambda listen=listen: answers(listen), SECONDS, made[-1])
        yield
    finally:
        for process in made:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def served(networks: Networks, backends: None) -> Networks:  # noqa: ARG001  (the hosts balance over them)
    """The hosts' workspace with NGX-011, served; nginx on every host."""
    (networks.root / "runbooks" / "nginx").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "runbooks/nginx/NGX-011-drain-weight-return.ipynb", networks.root / "runbooks/nginx")
    networks.keys_aside()
    networks.settings(cell_timeout="3m", timeout="10m")
    for name in networks.names:
        shell(networks, name, "rm -f /etc/nginx/sites-enabled/* /etc/nginx/modules-enabled/*; mkdir -p /opt/nginx")
        shell(networks, name, f"cat >{FILE} <<'END'\n{SITE.format(network=networks.network)}END")
        boot(networks, name)
    networks.up()
    return networks


@pytest.fixture
def fresh(served: Networks, namespaces: Networks) -> Networks:  # noqa: ARG001  (each host well)
    """Every host with both back ends, nginx running, nothing held."""
    for name in served.names:
        shell(served, name, f"rm -f {HOLD} {HELD}; sed -i 's/ down;/;/' {FILE}")
        boot(served, name)
    return served


def shell(place: Networks, name: str, script: str) -> str:
    """Run a script on a host without its network."""
    return place.inside(name, "sh", "-c", script)


def boot(place: Networks, name: str) -> None:
    """Start a host's nginx as its init would; a running one begins anew."""
    end = "[ ! -s /run/nginx.pid ] || { kill -QUIT $(cat /run/nginx.pid); while [ -e /run/nginx.pid ]; do sleep 0.05; done; }"
    # The master is a copy of nginx, so that the program under its name can be replaced while it runs.
    start = f"rm -f {NGINX} && cp /usr/sbin/nginx {NGINX} && {NGINX} -c /etc/nginx/nginx.conf"
    gone = "[ -d /proc/$(cat /run/nginx.pid 2>/dev/null || echo none) ] || rm -f /run/nginx.pid"
    shell(place, name, f"{gone}; {end}; {start}; rm {NGINX}; cat >{NGINX} <<'END'\n{WRAPPER}END\nchmod 755 {NGINX}")
    wait_for(lambda: workers(place, name) != [], SECONDS)  # the master starts them when it has gone into the background
    count = shell(place, name, "sed -n 's/^worker_processes *\\(.*\\);/\\1/p' /etc/nginx/nginx.conf").strip()
    all_of_them = int(count) if count.isdigit() else len(os.sched_getaffinity(0))  # auto
    wait_for(lambda: len(workers(place, name)) == all_of_them, SECONDS)


def begun(place: Networks, held: str) -> str:
    """Plan a drain of b on every host, hold one host in the middle, begin to apply; return the run once it is held."""
    server = f"{place.network}.254:18002"
    values = {"action": "drain", "server": server, "requests": 20, "path": "/n/1", "wait": 20, "batch": 1}
    planned = place.end(place.submit("NGX-011", hosts="web*", values=values))
    assert planned["verdict"] == "PLANNED", planned
    shell(place, held, f"touch {HOLD}")
    run = place.submit("NGX-011", mode="apply", request=planned["request"])
    wait_for(lambda: shell(place, held, f"test -e {HELD} && echo yes || true") == "yes\n", SECONDS)
    return run


def applied(place: Networks, result: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """What a run's record says of each host's change: its state, and why."""
    record = json.loads((place.record(result) / "manifest.json").read_bytes())["record"]
    return {row["host"]: (row["state"], row["why"]) for row in record["applied"]}


def states(place: Networks, result: dict[str, Any]) -> dict[str, str]:
    """The state of each host's change."""
    return {host: state for host, (state, _) in applied(place, result).items()}


def workers(place: Networks, name: str) -> list[str]:
    """The numbers of a host's workers that accept connections: not of those that only finish what they began."""
    look = "p=$(cat /run/nginx.pid); for w in $(cat /proc/$p/task/$p/children); do echo $w $(tr '\\0' ' ' </proc/$w/cmdline); done"
    rows = (line.split(" ", 1) for line in shell(place, name, f"{look} 2>/dev/null; true").splitlines())
    return sorted(row[0] for row in rows if row[1:] == ["nginx: worker process"])


def masters(place: Networks) -> dict[str, tuple[str, list[str]]]:
    """Each host's master and its workers: of another generation once it has loaded its configuration again."""
    return {name: (shell(place, name, "cat /run/nginx.pid").strip(), workers(place, name)) for name in place.names}


def serving(place: Networks, name: str) -> set[str]:
    """Which back ends answer through a host's nginx."""
    url = f"http://{place.hosts[name].address}:8080/n/1"
    return {shell(place, name, f"curl -s {url}").split()[0] for _ in range(6)}


def retried(place: Networks, run: str) -> dict[str, Any]:
    """Retry a run; return the retry's result."""
    return place.end(str(place.client.post(f"/api/runs/{run}/retry", {})["run"]))


def test_a_host_that_dies_between_swap_and_reload(fresh: Networks) -> None:
    """Unknown, the one before it done, the one after it not begun; back again, the retry leaves both first as they are."""
    run = begun(fresh, "web2")
    fresh.kill("web2", silently=False)
    lost = fresh.end(run)
    assert lost["verdict"] == "LOST", lost["reason"]
    assert states(fresh, lost) == {"web1": "ok", "web2": "unknown", "web3": "not begun"}
    fresh.restore("web2")
    assert "18002 down;" in shell(fresh, "web2", f"cat {FILE}")  # new, and nobody has loaded it
    shell(fresh, "web2", f"rm -f {HOLD}")
    boot(fresh, "web2")
    before = masters(fresh)
    again = retried(fresh, run)
    assert again["verdict"] == "DONE", again["reason"]
    found = applied(fresh, again)
    assert {host: state for host, (state, _) in found.items()} == {"web2": "ok", "web3": "ok"}
    assert "it was so already" in found["web2"][1]
    assert not found["web3"][1]
    after = masters(fresh)
    assert [after[name] == before[name] for name in ("web1", "web2", "web3")] == [True, True, False]
    assert [serving(fresh, name) for name in fresh.names] == [{"a"}] * 3


def test_a_change_that_is_ended_between_swap_and_reload(fresh: Networks) -> None:
    """Its nginx runs on with what it had: unknown; the retry loads what lies there already, and makes the rest."""
    run = begun(fresh, "web2")
    fresh.cut("web2")
    for process in shared.descendants(fresh.process("web2").pid):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if b"opsnb-old" in Path(f"/proc/{process.pid}/cmdline").read_bytes():  # the script, amid its work
                process.kill()
    lost = fresh.end(run)
    assert lost["verdict"] == "LOST", lost["reason"]
    assert states(fresh, lost) == {"web1": "ok", "web2": "unknown", "web3": "not begun"}
    shell(fresh, "web2", f"rm -f {HOLD}")
    assert "18002 down;" in shell(fresh, "web2", f"cat {FILE}")
    assert serving(fresh, "web2") == {"a", "b"}  # on disk, and not loaded
    before = masters(fresh)
    again = retried(fresh, run)
    assert again["verdict"] == "DONE", again["reason"]
    assert applied(fresh, again) == {"web2": ("ok", ""), "web3": ("ok", "")}
    after = masters(fresh)
    assert after["web1"] == before["web1"]
    assert after["web2"][0] == before["web2"][0]  # the same master
    assert after["web2"][1] != before["web2"][1]  # with workers of a new generation
    assert [serving(fresh, name) for name in fresh.names] == [{"a"}] * 3
    assert "opsnb" not in shell(fresh, "web2", "ls -A /etc/nginx/conf.d")


def test_a_line_that_is_lost_and_a_host_that_goes_on(fresh: Networks) -> None:
    """Unknown to the record, made on the host: the retry takes it as made and makes only the rest; all is undone."""
    run = begun(fresh, "web2")
    fresh.cut("web2")
    lost = fresh.end(run)
    assert states(fresh, lost) == {"web1": "ok", "web2": "unknown", "web3": "not begun"}
    shell(fresh, "web2", f"rm -f {HOLD}")
    wait_for(lambda: serving(fresh, "web2") == {"a"}, SECONDS)
    before = masters(fresh)
    again = retried(fresh, run)
    assert again["verdict"] == "DONE", again["reason"]
    found = applied(fresh, again)
    assert "it was so already" in found["web2"][1]
    assert masters(fresh)["web2"] == before["web2"]
    for each in (again["run"], run):
        undone = fresh.end(str(fresh.client.post(f"/api/runs/{each}/undo", {})["run"]))
        assert undone["verdict"] == "DONE", undone["checks"]
    for name in fresh.names:
        assert shell(fresh, name, f"cat {FILE}") == SITE.format(network=fresh.network)
        assert serving(fresh, name) == {"a", "b"}
