"""HST-001, HST-002 and HST-003 on real sshd hosts, through the control plane, and drift on hosts with their own network."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from opsnb import fleet
from opsnb.kits import linux
from places import ROOT, wait_for

NAMES = {"web1", "web2", "db1", "app1", "app2", "bastion"}
FILES = ["/etc/motd", "/etc/shadow", "/etc/profile"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hosts(rehearsal):
    """The rehearsal fleet, with the three runbooks and a control plane."""
    folder = rehearsal.root / "runbooks" / "hosts"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("HST-001-triage", "HST-002-facts", "HST-003-drift"):
        shutil.copy(ROOT / "runbooks" / "hosts" / f"{name}.ipynb", folder)
    rehearsal.settings(cell_timeout="60s")
    rehearsal.up()
    return rehearsal


def printed(place, result):
    """Return all text that a run printed."""
    text = ""
    for cell in place.executed(result)["cells"]:
        for output in cell.get("outputs", []):
            text += "".join(output.get("text", [])) + "".join(output.get("data", {}).get("text/plain", [])) + "\n"
    return text


def test_triage_reads_every_host_of_a_selector(hosts):
    """All sections of all six hosts, one row each, the rule for the odd one, and figures by host in the record."""
    result = hosts.json("run", "HST-001", "--hosts", "rehearsal", "-p", "seconds=0.3")
    assert result["verdict"] == "DONE", result["checks"]
    kept = result["evidence"]
    assert set(kept["hosts"]) == NAMES
    assert all(set(row) == {"cpus", "load_1min", "cpu_busy_percent", "memory_total_mib", "memory_available_mib", "processes",
                            "listening"} for row in kept["hosts"].values())  # fmt: skip
    assert all(row["processes"] < 30 for row in kept["hosts"].values()), "each host has its own processes"
    assert kept["unread"] == {}
    text = printed(hosts, result)
    assert "6 of 6 hosts were read" in text
    assert "6 hosts compared in 16 figures" in text
    assert "NIST e-Handbook" in text
    assert hosts.verify().returncode == 0


def test_triage_of_one_remote_host_is_in_detail_and_names_owners_of_sockets(hosts):
    """One host is shown as this machine is: each CPU, each process; a process of the login is named with its port."""
    code = "import socket,time; s=socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); time.sleep(600)"
    hosts.ssh("web1", f'''nohup python3 -c "{code}" >port 2>/dev/null </dev/null & echo $! >pid
                      until [ -s port ]; do sleep 0.1; done''')
    port = hosts.ssh("web1", "cat port").stdout.strip()
    result = hosts.json("run", "HST-001", "--hosts", "web1", "-p", "seconds=0.3")
    hosts.ssh("web1", "kill $(cat pid)")
    assert result["verdict"] == "DONE", result["checks"]
    text = printed(hosts, result)
    assert "CPU model" in text
    assert "not visible to this login" in text
    row = next(line for line in text.splitlines() if line.startswith("tcp") and f" {port} " in line)
    assert "python3[" in row
    assert result["evidence"]["cpus"] == result["evidence"]["hosts"]["web1"]["cpus"]


def test_facts_are_told_by_every_host_and_are_their_own(hosts):
    """Names, addresses, users and clocks are those of each host; the record holds them by host."""
    result = hosts.json("run", "HST-002", "--hosts", "rehearsal")
    assert result["verdict"] == "DONE", result["checks"]
    facts = result["evidence"]["facts"]
    assert {f["hostname"] for f in facts.values()} == NAMES == set(facts)
    assert all(abs(f["time_offset_s"]) <= f["time_uncertain_s"] + 0.05 for f in facts.values()), "one clock, in truth"
    for f in facts.values():
        assert f["not_read"] == []
        assert f["kernel"] == Path("/proc/sys/kernel/osrelease").read_text().strip()
        assert "ops" in {u["name"] for u in f["users"]}
        assert f["memory_mib"] > 0


def test_drift_finds_exactly_what_was_planted(hosts):
    """First nothing; then a file, a mode, a user, a group, a package and a time zone, each on its host and no more."""
    # They share the machine's network: what another test's hosts listen on comes and goes while these are read.
    settings = ("run", "HST-003", "--hosts", "rehearsal", "-p", f"files={json.dumps(FILES)}", "-p", 'ignore=["services: *"]')
    before = hosts.json(*settings)
    assert (before["verdict"], before["evidence"]["odd"]) == ("DONE", {}), before["evidence"]
    hosts.sudo("web2", "echo changed >>/etc/motd; chmod 600 /etc/profile")
    hosts.sudo("app1", "useradd -M -s /bin/sh mallory; usermod -aG sudo mallory")
    hosts.sudo("db1", "sed -i '/^Package: gzip$/,/^$/s/^Version: .*/Version: 9.9-9/' /var/lib/dpkg/status")
    hosts.sudo("app2", "ln -sf /usr/share/zoneinfo/Asia/Shanghai /etc/localtime")
    after = hosts.json(*settings)
    assert after["verdict"] == "DONE", after["checks"]
    odd = {host: sorted(row.partition(";")[0] for row in rows) for host, rows in after["evidence"]["odd"].items()}
    assert set(odd) == {"web2", "app1", "db1", "app2"}, odd
    assert len(odd["web2"]) == 2
    assert odd["web2"][1] == "files: /etc/profile: 600 root:root regular file unreadable"
    assert odd["web2"][0].startswith("files: /etc/motd: sha256 ")
    assert [row.partition(": uid")[0].partition(": gid")[0] for row in odd["app1"]] == [
        "groups: mallory", "groups: sudo", "users: mallory"]  # fmt: skip
    assert odd["db1"] == ["packages: gzip:amd64: 9.9-9"]
    assert odd["app2"] == ["time: time zone: CST +0800"]
    text = printed(hosts, after)
    assert "6 hosts compared with what most hosts have: 4 odd" in text


def test_a_host_without_power_is_named_first_and_the_rest_is_read(hosts):
    """The run fails truthfully, says unreachable, and five hosts are read all the same; facts too."""
    hosts.process("web1").kill()
    try:
        for runbook in ("HST-001", "HST-002"):
            result = hosts.json("run", runbook, "--hosts", "rehearsal")
            assert result["verdict"] == "FAILED"
            assert [c["got"] for c in result["checks"] if not c["ok"]] == [["web1"]]
            assert result["evidence"]["unread"]["web1"].startswith("unreachable: ")
            known = result["evidence"].get("hosts") or result["evidence"].get("facts")
            assert known is None or set(known) == NAMES - {"web1"}
    finally:
        hosts.restore()


def test_a_saved_file_of_sar_is_shown_instead(hosts, tmp_path):
    """A binary file of sar is staged for the confined kernel, which reads it with this machine's sadf."""
    if not (shutil.which("sadf") and Path("/usr/lib/sysstat/sadc").exists()):
        pytest.skip("sysstat is not installed")
    saved = tmp_path / "sa25"
    subprocess.run(["/usr/lib/sysstat/sadc", "-S", "XDISK", "1", "3", str(saved)], check=True)
    result = hosts.json("run", "HST-001", "-p", f"sar={saved}", "-p", "seconds=0.2")
    assert result["verdict"] == "DONE", result["checks"]
    text = printed(hosts, result)
    assert "(saved file)" in text
    assert "CPU busy, %" in text
    assert "lo packets/s in" in text


def sysctl(namespaces, name, *pairs):
    """Set kernel settings of one host's network, from outside: inside, they can only be read."""
    pid = namespaces.process(name).pid
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "sysctl", "-qw", *pairs], check=True)


def test_drift_of_services_and_kernel_settings_on_hosts_with_their_own_network(namespaces):
    """A kernel setting and a listening program of one host are found there, and nothing else anywhere."""
    machines = fleet.connect(namespaces.rows, namespaces.credential)
    try:
        settings, unread = linux.read_settings(machines, ["/etc/motd"])
        assert unread == {}
        assert linux.odd_hosts(settings, linux.differences(settings)) == {}
        sysctl(namespaces, "web2", "net.ipv4.ip_forward=1", "net.ipv4.tcp_fin_timeout=17")
        code = "import socket,time; s=socket.create_server(('0.0.0.0', 8080)); time.sleep(600)"
        namespaces.inside("web3", "sh", "-c", f'''setsid python3 -c "{code}" >/dev/null 2>&1 </dev/null &
                          until grep -q ":{8080:04X} " /proc/net/tcp; do sleep 0.1; done''')
        settings, _ = linux.read_settings(machines, ["/etc/motd"])
        odd = linux.odd_hosts(settings, linux.differences(settings))
    finally:
        machines.close()
        sysctl(namespaces, "web2", "net.ipv4.ip_forward=0", "net.ipv4.tcp_fin_timeout=60")
    assert set(odd) == {"web2", "web3"}
    rows = {row.partition(";")[0] for row in odd["web2"]}
    assert {"kernel settings: net.ipv4.ip_forward: 1", "kernel settings: net.ipv4.tcp_fin_timeout: 17"} <= rows
    assert [row.partition(";")[0] for row in odd["web3"]] == ["services: tcp port 8080: a process of another user"]


def test_a_host_whose_line_breaks_in_the_middle_is_unknown(namespaces):
    """The sessions of one host die while its script sleeps between the samples: unknown there, and the others are read."""
    machines = fleet.connect(namespaces.rows, namespaces.credential)

    def breaks():
        wait_for(lambda: namespaces.running("web2", "sleep 4"), 20)
        namespaces.cut("web2")

    breaker = threading.Thread(target=breaks)
    try:
        breaker.start()
        seen = linux.triage(machines, seconds=4)
        breaker.join()
    finally:
        machines.close()
    assert set(seen.readings) == {"web1", "web3"}
    assert seen.unread["web2"][0] == "unknown", seen.unread
    assert linux.all_findings(seen)[0][0] == "web2"
