"""Rehearsal hosts as root has them: each a machine of its own as far as a runbook can tell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fleets import Hosts
from opsnb.base.errors import UsageError
from opsnb.fleet.inventory import load
from places import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="hosts of their own want root")]

NAMES = ["web1", "web2", "db1", "app1", "app2", "bastion"]


def test_each_host_knows_who_it_is(rehearsal: Hosts) -> None:
    """Every host has its own name, machine-id and key, and `watch` logs in with the OpenSSH client."""
    assert [host["name"] for host in rehearsal.status] == NAMES
    said = {
        n: rehearsal.ssh(n, "hostname; cat /etc/machine-id; id -un", user="watch", change=False).stdout for n in NAMES
    }
    assert [said[n].split()[::2] for n in NAMES] == [[n, "watch"] for n in NAMES]
    assert len({said[n].split()[1] for n in NAMES}) == len(NAMES)
    assert len({rehearsal.public(n) for n in NAMES}) == len(NAMES)


def test_who_may_do_what(rehearsal: Hosts) -> None:
    """`ops` is root through sudo without a password, `watch` is not, and the key that looks opens `watch` and `ops`."""
    assert rehearsal.sudo("web1", "id -u") == "0\n"
    refused = rehearsal.ssh("web1", "sudo -n id -u", user="watch", change=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert rehearsal.ssh("web1", "id -un", change=False).stdout == "ops\n"
    assert "Permission denied" in rehearsal.ssh("web1", "id", user="watch", change=True).stderr
    assert "Permission denied" in rehearsal.ssh("web1", "id", user="root").stderr


def test_a_change_stays_on_its_host(rehearsal: Hosts, tmp_path: Path) -> None:
    """A file, a user, a kernel setting and a package on one host are not on another, nor on the machine."""
    setting = Path("/proc/sys/kernel/msgmax")
    before = setting.read_text(encoding="utf-8")
    see = "test -e /etc/sysctl.d/90-here.conf; echo $?; id -u newcomer 2>&1; cat /proc/sys/kernel/msgmax; dpkg -s opsnb-here 2>&1"
    rehearsal.sudo(
        "web1", "echo kernel.msgmax=9001 >/etc/sysctl.d/90-here.conf && sysctl -q -p /etc/sysctl.d/90-here.conf"
    )
    rehearsal.sudo("web1", "useradd newcomer")
    package = package_of(tmp_path)
    rehearsal.ssh("web1", "base64 -d >here.deb", stdin=package)
    rehearsal.sudo("web1", "dpkg -i here.deb")
    there, elsewhere = rehearsal.ssh("web1", see).stdout, rehearsal.ssh("web2", see).stdout
    assert there.startswith("0\n")
    assert "9001\n" in there
    assert "Status: install ok installed" in there
    assert elsewhere.startswith("1\n")
    assert "no such user" in elsewhere
    assert before in elsewhere
    assert "not installed" in elsewhere
    assert setting.read_text(encoding="utf-8") == before
    assert not Path("/etc/sysctl.d/90-here.conf").exists()
    assert "newcomer" not in Path("/etc/passwd").read_text(encoding="utf-8")
    assert subprocess.run(["dpkg", "-s", "opsnb-here"], capture_output=True, check=False).returncode == 1


def package_of(folder: Path) -> str:
    """Build an empty Debian package; return it in base64."""
    (folder / "p/DEBIAN").mkdir(parents=True)
    (folder / "p/DEBIAN/control").write_text(
        "Package: opsnb-here\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: nothing\n",
        encoding="utf-8",
    )
    subprocess.run(["dpkg-deb", "-b", folder / "p", folder / "p.deb"], check=True, capture_output=True)
    return subprocess.run(["base64", folder / "p.deb"], check=True, capture_output=True, text=True).stdout


def test_a_host_sees_its_own_processes_only(rehearsal: Hosts) -> None:
    """`ps` on a host shows sshd as process 1 and what was started there: nothing of the machine or another host."""
    rehearsal.ssh("web2", "sleep 987 >/dev/null 2>&1 &")
    assert "sleep 987" in rehearsal.ssh("web2", "ps -eo args").stdout
    shown = rehearsal.ssh("web1", "ps -eo pid=,args=").stdout
    assert "sleep 987" not in shown
    assert shown.split()[:2] == ["1", "sshd:"]
    assert len(shown.splitlines()) < 10
    assert rehearsal.ssh("web2", "pkill -x sleep").returncode == 0
    wait_for(lambda: rehearsal.ssh("web2", "pgrep -x sleep").returncode == 1, 30)  # process 1 collects its orphans


@pytest.mark.parametrize(
    "command",
    [
        "sysctl -w vm.swappiness=$(sysctl -n vm.swappiness)", "echo 1 >/proc/sys/vm/drop_caches", "mount -t tmpfs none /mnt", "hostname other",
        "ip link set lo mtu $(cat /sys/class/net/lo/mtu)", 'date -s "$(date)"', "umount /proc/sys",
        "mknod d b 1 0 && head -c1 d", "cat /sys/kernel/mm/ksm/run >/sys/kernel/mm/ksm/run",
    ],
)  # fmt: skip
def test_root_on_a_host_does_not_reach_the_machine(rehearsal: Hosts, command: str) -> None:
    """What would change the machine itself is refused to root on a host; what is tried would change nothing."""
    done = rehearsal.ssh("app1", f"sudo -n sh -c '{command}'")
    assert done.returncode not in {0, 127, 255}, done.stdout
    assert "denied" in done.stderr or "Read-only" in done.stderr or "permi" in done.stderr or "must be" in done.stderr


def test_what_is_the_machines_is_not_on_a_host(rehearsal: Hosts) -> None:
    """A host has neither the workspace, nor root's files, nor a password, nor a host key but its own."""
    assert sorted(rehearsal.sudo("db1", f"find {rehearsal.root} /root /home -type f").splitlines()) == [
        f"/{'home'}/{user}/.ssh/authorized_keys" for user in ("ops", "watch")
    ]
    shadow = rehearsal.sudo("db1", "cut -d: -f2 /etc/shadow /etc/shadow- /etc/gshadow /etc/gshadow- | sort -u")
    assert shadow == "*\n"
    assert rehearsal.sudo("db1", "ls /etc/ssh").split() == [
        "ssh_host_ed25519_key", "ssh_host_ed25519_key.pub", "sshd_config",
    ]  # fmt: skip


def test_the_inventory_goes_with_it(rehearsal: Hosts) -> None:
    """Selectors work at once; each host is pinned, and databases are behind the bastion."""
    inventory = load(rehearsal.root)
    assert inventory.select("role=nginx & env=prod") == ("web1", "web2")
    assert inventory.select("env=staging") == ("app2",)
    assert inventory.select("rehearsal & !web*") == ("db1", "app1", "app2", "bastion")
    assert inventory.select("service=shop-db") == ("db1",)
    for name in NAMES:
        row = inventory.row(name)
        assert row["keys"] == [rehearsal.public(name)]
        assert row["credential"] == {"observe": "rehearsal", "change": "rehearsal-change"}
        assert [jump["name"] for jump in row.get("via", [])] == (["bastion"] if name == "db1" else [])


def test_every_host_by_its_name(rehearsal: Hosts) -> None:
    """The OpenSSH client reaches each host by name with the written ssh_config, db1 through the bastion, keys checked."""
    config = str(rehearsal.fleet.folder / "ssh_config")
    for name in NAMES:
        argv = ["ssh", "-F", config, name, "hostname; echo $SSH_CONNECTION"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.startswith(f"{name}\n"), done.stderr
    shown = subprocess.run(["ssh", "-F", config, "-G", "db1"], capture_output=True, text=True, check=True).stdout
    assert "proxyjump bastion" in shown


def test_a_host_with_another_key_is_refused(rehearsal: Hosts, tmp_path: Path) -> None:
    """The written ssh_config pins: a host that shows another key is not talked to."""
    config = (rehearsal.fleet.folder / "ssh_config").read_text(encoding="utf-8")
    known = (rehearsal.fleet.folder / "known_hosts").read_text(encoding="utf-8")
    (tmp_path / "known").write_text(known.replace(rehearsal.public("web1"), rehearsal.public("web2")), encoding="utf-8")
    folder = str(rehearsal.fleet.folder / "known_hosts")
    (tmp_path / "config").write_text(config.replace(folder, str(tmp_path / "known")), encoding="utf-8")
    argv = ["ssh", "-F", str(tmp_path / "config"), "web1", "hostname"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (255, "")
    assert "Host key verification failed" in done.stderr


def test_up_twice_changes_nothing(rehearsal: Hosts) -> None:
    """A second `up` leaves what runs; one for another number of hosts is refused."""
    before = [rehearsal.process(name) for name in NAMES]
    rehearsal.fleet.up()
    rehearsal.fleet.up(len(NAMES))
    assert [rehearsal.process(name) for name in NAMES] == before
    with pytest.raises(UsageError, match=r"6 hosts is here, wanted 2"):
        rehearsal.fleet.up(2)


def test_up_starts_what_died(rehearsal: Hosts) -> None:
    """A host that lost its power is down in `status`; the next `up` starts it with its name and key, and no other."""
    before = {name: rehearsal.process(name) for name in NAMES}
    assert before["app2"].kill()
    assert [h["name"] for h in rehearsal.status if not h["up"]] == ["app2"]
    rehearsal.restore()
    assert rehearsal.ssh("app2", "hostname").stdout == "app2\n"
    assert {n for n in NAMES if rehearsal.process(n) != before[n]} == {"app2"}
