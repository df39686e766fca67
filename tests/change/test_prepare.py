"""HST-010's kit on rehearsal hosts: everything planned, made, proven and undone; the host is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleets import Hosts
from fleetside import SNAPSHOT, differences, opened
from nearby import carry_out, nearby
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import prepare
from opsnb.kits.prepare import clock, kernel, keys, software, users

pytestmark = pytest.mark.slow
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1Zb0l1m3C6q6b9nF1V5xCkqg4m1hL6Yk3b2a1c0d9e somebody@example"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA else@example"


@pytest.fixture(scope="module")
def host(rehearsal: Hosts) -> str:
    """One rehearsal host, reached by SSH with its two credentials."""
    opened(rehearsal.root, "web1", "web2")
    return "web1"


def test_a_host_is_prepared_proven_and_as_it_was_after_the_undo(rehearsal: Hosts, host: str) -> None:
    """All at once, in plan, apply and undo: a second plan is empty, and /etc, packages and homes come back exactly."""
    value = Path("/proc/sys/vm/swappiness").read_text(encoding="ascii").strip()  # rehearsal hosts share our kernel
    wanted = prepare.Wanted(
        user="deploy", uid=2100, shell="/bin/bash", groups=["adm"], key=KEY, timezone="Asia/Shanghai",
        ntp=["ntp.example"], sysctl={"vm.swappiness": value}, collect=True, supervisor=True,
    )  # fmt: skip
    before = rehearsal.sudo(host, SNAPSHOT)
    plan = prepare.plan_hosts([host], wanted)
    assert differences(before, rehearsal.sudo(host, SNAPSHOT)) == []
    assert {c.verb for c in plan.changes} == {
        "prepare.software", "prepare.user", "prepare.key", "prepare.timezone", "prepare.ntp", "prepare.sysctl"
    }  # fmt: skip
    assert prepare.plan_hosts([host], wanted).digest == plan.digest
    assert len(prepare.astray(plan)) == len(plan.changes)
    carry_out(plan)
    assert prepare.astray(plan) == []
    assert prepare.plan_hosts([host], wanted).changes == ()
    said = rehearsal.sudo(
        host, "id deploy; date +%Z; cat /etc/sysctl.d/60-opsnb.conf; dpkg -s supervisor | grep Status"
    )
    assert "uid=2100(deploy)" in said
    assert "adm" in said
    assert "CST" in said
    assert f"vm.swappiness = {value}" in said
    assert "install ok installed" in said
    carry_out(plan.inverse())
    assert differences(before, rehearsal.sudo(host, SNAPSHOT)) == []


def test_the_key_opens_the_door(rehearsal: Hosts, host: str) -> None:
    """With a key of its own the account can be logged in to, and after the undo not any more."""
    public = " ".join(rehearsal.key().with_suffix(".pub").read_text(encoding="utf-8").split()[:2])
    wanted = prepare.Wanted(user="guest", uid=2200, shell="/bin/sh", key=public)
    plan = prepare.plan_hosts(host, wanted)
    carry_out(plan)
    assert rehearsal.ssh(host, "id -un", user="guest", change=False).stdout == "guest\n"
    carry_out(plan.inverse())
    assert rehearsal.ssh(host, "id -un", user="guest", change=False).returncode == 255


def test_what_was_there_stays(rehearsal: Hosts, host: str) -> None:
    """Groups and keys that an account has besides, and packages that were there, are in the state, and come back."""
    rehearsal.sudo(host, "useradd -m -u 2300 -G mail elder; install -d -m 700 -o elder ~elder/.ssh")
    rehearsal.sudo(host, f"echo '{OTHER}' > ~elder/.ssh/authorized_keys; chown elder ~elder/.ssh/authorized_keys")
    before = rehearsal.sudo(host, SNAPSHOT)
    wanted = prepare.Wanted(
        user="elder", uid=2300, shell="/bin/bash", groups=["adm"], key=KEY, packages=["coreutils", "bash"]
    )
    plan = prepare.plan_hosts(host, wanted)
    assert [c.what for c in plan.changes] == ["user elder", "key of elder"]
    assert plan.changes[0].after["groups"] == ["adm", "mail"]
    carry_out(plan)
    assert rehearsal.sudo(host, "cat ~elder/.ssh/authorized_keys") == f"{OTHER}\n{KEY}\n"
    carry_out(plan.inverse())
    assert differences(before, rehearsal.sudo(host, SNAPSHOT)) == []


def test_an_account_that_is_in_use_is_not_removed(rehearsal: Hosts, host: str) -> None:
    """A file in its home, or another shell since, and the undo leaves everything alone and says why."""
    plan = prepare.plan_hosts(host, prepare.Wanted(user="used", uid=2400))
    carry_out(plan)
    rehearsal.sudo(host, "echo work > ~used/work.txt")
    with pytest.raises(UsageError, match="holds files that were not there"):
        carry_out(plan.inverse())
    assert "work" in rehearsal.sudo(host, "cat ~used/work.txt")
    rehearsal.sudo(host, "rm ~used/work.txt; usermod -s /bin/dash used")
    with pytest.raises(AssertionError):  # what a run calls drifted
        carry_out(plan.inverse())
    rehearsal.sudo(host, "usermod -s /bin/sh used")
    carry_out(plan.inverse())
    assert prepare.plan_hosts(host, prepare.Wanted(user="used", uid=2400)).changes != ()


def test_links_in_a_home_are_not_followed(rehearsal: Hosts, host: str) -> None:
    """Somebody who links their .ssh elsewhere gets no file of root's written or read."""
    rehearsal.sudo(host, "useradd -m -u 2500 sly; ln -s /etc ~sly/.ssh")
    with pytest.raises(UsageError, match="links are not followed"):
        keys.plan(host, "sly", KEY)
    rehearsal.sudo(host, "rm ~sly/.ssh; install -d -m 700 -o sly ~sly/.ssh")
    rehearsal.sudo(host, "ln -s /etc/shadow ~sly/.ssh/authorized_keys")
    with pytest.raises(UsageError, match="links are not followed"):
        keys.plan(host, "sly", KEY)
    rehearsal.sudo(host, "userdel -r sly 2>/dev/null")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"user": "root", "uid": 2000}, "uid 0, wanted 2000"),
        ({"user": "new", "uid": 2600, "groups": ["nogroupofthisname"]}, "no group 'nogroupofthisname'"),
        ({"user": "new", "uid": 2600, "shell": "/bin/nosuchshell"}, "is not there"),
        ({"user": "new", "uid": 0}, "wanted 1000 to 60000"),
        ({"key": KEY}, "no user whose it is"),
        ({"user": "new", "uid": 2600, "key": f'command="id" {KEY}'}, "wanted one line"),
        ({"timezone": "Mars/Olympus"}, "no time zone Mars/Olympus"),
        ({"sysctl": {"vm.nosuchsetting": "1"}}, "this kernel has no vm.nosuchsetting"),
        ({"packages": ["no-such-package-anywhere"]}, "cannot be installed"),
    ],
)
def test_what_stands_in_the_way_is_said_before_anything_is_done(host: str, wanted: dict, reason: str) -> None:
    """The plan ends with host and reason."""
    with pytest.raises(OpsnbError, match=reason):
        prepare.plan_hosts(host, prepare.Wanted(**wanted))


@pytest.mark.usefixtures("host")
def test_several_hosts_become_one_plan() -> None:
    """Each host has its own changes and digest."""
    plan = prepare.plan_hosts(["web1", "web2"], prepare.Wanted(timezone="Europe/Berlin"))
    assert plan.hosts == ("web1", "web2")
    assert prepare.overview(plan)["what"].tolist() == ["time zone", "time zone"]
    assert set(prepare.read_hosts(["web1", "web2"])["init"]) == {"not systemd"}
    carry_out(plan)
    carry_out(plan.inverse())


def test_this_machine_is_not_prepared() -> None:
    """Runs are confined here; the sentence says what to do."""
    with nearby(("near1",)):
        fits, why = prepare.suits(["near1"])
    assert not fits
    assert "address in the inventory" in why


APT = """Reading package lists...
Inst libsensors-config (1:3.6.0-7.1 Debian:12.5/stable [all])
Inst libc6 [2.36-9] (2.36-9+deb12u4 Debian:12.5/stable [amd64]) []
Inst sysstat (12.6.1-1 Debian:12.5/stable [amd64])
Remv old-thing [1.0]
Conf sysstat (12.6.1-1 Debian:12.5/stable [amd64])
"""
DNF = """Last metadata expiration check: 0:10:11 ago on Mon Nov 23 10:00:00 2026.
Dependencies resolved.
================================================================================
 Package             Arch     Version             Repository               Size
================================================================================
Installing:
 sysstat             x86_64   12.5.4-7.el9        appstream               472 k
Upgrading:
 pcp-conf            x86_64   6.2.0-1.el9         appstream                32 k
Installing dependencies:
 a-package-whose-name-is-longer-than-its-column
                     x86_64   3.6.0-10.el9        appstream                42 k

Transaction Summary
================================================================================
Install  2 Packages
Upgrade  1 Package

Total download size: 546 k
Operation aborted.
"""


def test_what_would_be_installed_is_read_from_apt_and_dnf() -> None:
    """New packages, and what would change besides, which no undo could bring back."""
    assert software.parse_apt(APT) == (["libsensors-config", "sysstat"], ["libc6", "old-thing"])
    new, other = software.parse_dnf(DNF)
    assert new == ["a-package-whose-name-is-longer-than-its-column", "sysstat"]
    assert other == ["pcp-conf"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: users.observe("near1", {"user": "-G"}),
        lambda: users.observe("near1", "x"),
        lambda: keys.observe("near1", {"user": "a b"}),
        lambda: software.observe("near1", {"packages": ["--purge"], "services": []}),
        lambda: software.observe("near1", {"packages": [], "services": ["ssh"]}),
        lambda: clock.observe_ntp("near1", {"path": "/etc/passwd"}),
        lambda: clock.plan_zone("near1", "../../etc/passwd"),
        lambda: clock.plan_ntp("near1", ["a b"]),
        lambda: kernel.observe("near1", {"keys": ["../etc.passwd"]}),
        lambda: kernel.plan("near1", {"vm.swappiness": "1\n2; id\0"}),
    ],
)
def test_a_target_that_is_none_is_refused(call) -> None:
    """A plan that was tampered with becomes neither an option, nor a path, nor a traceback."""
    with nearby(("near1",)), pytest.raises(UsageError):
        call()
