"""Prepare a host: software, an account, its key, time and kernel settings, each as a change that can be undone.

Rules:

* Everything is a state that is read, planned and compared: what is right already is no change, so a second plan is
  empty; and what somebody changed after the plan is not touched.
* An undo restores what was: it removes what was installed or made, and leaves what was there before.
* It works on hosts of the run that are reached with root, by ``sudo`` or as root; on this machine runs are confined.
* Without systemd (containers, hosts for rehearsal) services are enabled for the next start, and words say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsnb import fleet
from opsnb.base.canonical import same
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change, Plan
from opsnb.kits import remote
from opsnb.kits.prepare import clock, kernel, keys, software, users
from opsnb.kits.prepare.shell import COMMON
from opsnb.runbook.actuators import find

if TYPE_CHECKING:
    import pandas as pd

TITLE = "prepare hosts"
LOOK = (
    COMMON
    + r"""
name=$(sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' /etc/os-release 2>/dev/null)
echo "system ${name:-unknown}"
for m in apt-get dnf yum; do command -v $m >/dev/null && { echo "packages $m"; break; }; done
[ -d /run/systemd/system ] && echo "init systemd" || echo "init not systemd"
echo "zone $(readlink /etc/localtime | sed 's|.*/zoneinfo/||')"
"""
)
FACTS = ("system", "packages", "init", "zone")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a host is to be like; what is left empty is left alone.

    Args:
        user: An account, with ``uid``, ``shell``, ``groups`` and ``key`` (one public key line).
        uid: Its number.
        shell: Its login shell.
        groups: Groups that it is in; others stay.
        key: Who may log in as it.
        packages: Packages that are there.
        timezone: ``Asia/Shanghai``.
        ntp: Time servers.
        sysctl: Kernel settings.
        collect: Whether sysstat collects.
        supervisor: Whether Supervisor is there and starts with the machine.
    """

    user: str = ""
    uid: int = 0
    shell: str = "/bin/sh"
    groups: Sequence[str] = ()
    key: str = ""
    packages: Sequence[str] = ()
    timezone: str = ""
    ntp: Sequence[str] = ()
    sysctl: Mapping[str, str] = field(default_factory=dict)
    collect: bool = False
    supervisor: bool = False


def suits(hosts: Sequence[str]) -> tuple[bool, str]:
    """Return whether hosts can be prepared, and why, as a sentence for ``run.applicable``."""
    for host in hosts:
        if fleet.machine(host).row.get("transport", "ssh") == "local" or host == fleet.THIS_MACHINE:
            return False, f"on {host} runs are confined and never root; give it an address in the inventory"
    return True, f"{len(hosts)} host(s) that are reached from here"


def read_hosts(hosts: Sequence[str]) -> pd.DataFrame:
    """Return what there is to know beforehand, a row a host: system, package manager, init, time zone, or why not."""
    import pandas as pd

    def one(host: str) -> dict[str, str]:
        try:
            text = remote.look(host, LOOK).text
        except OpsnbError as error:
            return {"host": host, "system": error.message}
        found = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
        return {"host": host, **{name: found.get(name, "") for name in FACTS}}

    return pd.DataFrame(list(remote.over(hosts, one).values()), columns=["host", *FACTS]).fillna("")


def plan_hosts(hosts: str | Sequence[str], wanted: Wanted) -> Plan:
    """Return the plan that makes every host as wanted; reads only, and is empty where all is so.

    Raises:
        UnreachableError: If no host can be reached.
        UsageError: If something is wrong with what is wanted, or stands in its way on a host.
    """
    if wanted.key and not wanted.user:
        raise UsageError("a key is given and no user whose it is")
    return remote.plan_each(TITLE, hosts, lambda host: Plan(title=TITLE, changes=tuple(_changes(host, wanted))))


def overview(plan: Plan) -> pd.DataFrame:
    """Return a plan as a table, a row a change: host, what, what is done, how it is undone."""
    import pandas as pd

    rows = [(c.host, c.what, c.command, c.undo) for c in plan.changes]
    return pd.DataFrame(rows, columns=["host", "what", "does", "undone by"])


def astray(plan: Plan) -> list[str]:
    """Return what is not as a plan says it is to be, ``HOST: WHAT`` each; everything is read again."""

    def one(change: Change) -> str:
        try:
            found = find(change.verb).observe(change.host, change.target)
        except OpsnbError as error:
            return f"{change.host}: {change.what}: {error.message}"
        return "" if same(found, change.after) else f"{change.host}: {change.what}"

    by_host = {h: [c for c in plan.changes if c.host == h] for h in plan.hosts}
    found = remote.over(by_host, lambda host: [one(change) for change in by_host[host]])
    return [words for host in by_host for words in found[host] if words]


def _changes(host: str, wanted: Wanted) -> list[Change]:
    services = ["supervisor"] * wanted.supervisor + ["sysstat", software.COLLECTING] * wanted.collect
    changes = [software.plan(host, wanted.packages, services)]
    if wanted.user:
        changes.append(users.plan(host, wanted.user, uid=wanted.uid, shell=wanted.shell, groups=wanted.groups))
    if wanted.key:
        changes.append(keys.plan(host, wanted.user, wanted.key))
    if wanted.timezone:
        changes.append(clock.plan_zone(host, wanted.timezone))
    if wanted.ntp:
        changes.append(clock.plan_ntp(host, wanted.ntp, chrony="chrony" in wanted.packages))
    changes.append(kernel.plan(host, wanted.sysctl))
    return [change for change in changes if change]
