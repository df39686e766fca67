"""Which hosts a rehearsal fleet has, and the inventory that goes with them. Rules only, no files.

* The first hosts are web1, web2, db1, app1, app2, bastion; then web3, app3, db2, web4 ... until there are enough.
* Every host has its own address in the network of its fleet; all listen on one port.
* Everything is in production but app2, and then every fourth host: staging.
* Databases are behind the bastion where there is one.
* A service stands only where the fleet has its hosts; where these serve HTTP, it has a health page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FIRST = ("web1", "web2", "db1", "app1", "app2", "bastion")
NEXT = ("web", "app", "db", "web")  # the roles of the hosts after the first
ROLES = {"web": "nginx", "app": "app", "db": "mysql", "bastion": "bastion"}
MOST = 250  # hosts of one fleet: its addresses are 127.0.X.1 to 127.0.X.250
WATCH, OPS = "watch", "ops"  # the two users of a host: one that looks, one that may use sudo
OBSERVE, CHANGE = "rehearsal", "rehearsal-change"  # the two credentials
SSHD = """\
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
MaxStartups 300:30:400
PrintMotd no
AcceptEnv LANG LC_*
"""  # what every host's sshd is told, whatever the host shares with this machine


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host of a rehearsal fleet."""

    name: str
    role: str
    environment: str
    address: str
    port: int
    via: str = ""  # the jump host's name


@dataclass(frozen=True, kw_only=True)
class Login:
    """How one logs in to the hosts of a fleet: user, key files, and whether that user may use sudo."""

    user: str
    observe_key: str
    change_key: str
    sudo: bool


def names(count: int) -> list[str]:
    """Return the names of the first ``count`` hosts."""
    made = list(FIRST[:count])
    seen = {"web": 2, "db": 1, "app": 2}
    while len(made) < count:
        kind = NEXT[(len(made) - len(FIRST)) % len(NEXT)]
        seen[kind] += 1
        made.append(f"{kind}{seen[kind]}")
    return made


def fleet(count: int, network: str, port: int) -> list[Host]:
    """Return the hosts of a fleet.

    Args:
        count: How many, 1 to 250.
        network: The first three numbers of their addresses, such as ``127.0.23``.
        port: The port on which each listens.
    """
    made = names(count)
    bastion = "bastion" if "bastion" in made else ""
    return [
        Host(
            name=name,
            role=name.rstrip("0123456789"),
            environment="staging" if number % 4 == 0 and number else "prod",
            address=f"{network}.{number + 1}",
            port=port,
            via=bastion if name.startswith("db") else "",
        )
        for number, name in enumerate(made)
    ]


def inventory(
    hosts: Sequence[Host], keys: Mapping[str, str], *, login: Login, ports: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Return the inventory of a fleet, as it goes into a file.

    Args:
        hosts: The hosts.
        keys: The public host key of each, by name.
        login: How one logs in to them.
        ports: The port on which each serves HTTP, for those that do.
    """
    ports = ports or {}
    roles = {host.role for host in hosts}
    return {
        "credentials": {
            OBSERVE: {"kind": "key", "file": login.observe_key},
            CHANGE: {"kind": "key", "file": login.change_key},
        },
        "hosts": {host.name: _row(host, keys[host.name], login, ports.get(host.name)) for host in hosts},
        "groups": {role: {"select": f"role={ROLES[role]}"} for role in ROLES if role in roles and role != "bastion"}
        | {"rehearsal": {"hosts": [host.name for host in hosts]}},
        "services": _services(hosts, ports),
    }


def _row(host: Host, key: str, login: Login, port: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "address": host.address,
        "port": host.port,
        "user": login.user,
        "environment": host.environment,
        "labels": {"role": ROLES[host.role], "rehearsal": "yes"},
        "credential": {"observe": OBSERVE, "change": CHANGE},
        "sudo": "passwordless" if login.sudo else "none",
        "keys": [key],
    }
    serves = {"variables": {"http_port": port}} if port else {}
    return row | serves | ({"via": host.via} if host.via else {})


def _services(hosts: Sequence[Host], ports: Mapping[str, int]) -> dict[str, Any]:
    there = {(host.role, host.environment) for host in hosts}
    services: dict[str, Any] = {}
    if ("db", "prod") in there:
        services["shop-db"] = {"owner": "db-ops", "hosts": {"prod": "role=mysql & env=prod"}}
    apps = [environment for role, environment in there if role == "app"]
    if apps:
        chosen = {environment: f"role=app & env={environment}" for environment in sorted(apps)}
        services["shop-app"] = {"owner": "app-ops", "hosts": chosen} | _depends(services, "shop-db")
        services["shop-app"] |= _health(hosts, "app", ports)
    if ("web", "prod") in there:
        services["shop"] = {"owner": "web-ops", "hosts": {"prod": "role=nginx & env=prod"}}
        services["shop"] |= _depends(services, "shop-app", "shop-db") | _health(hosts, "web", ports)
    return services


def _depends(there: Mapping[str, Any], *names: str) -> dict[str, Any]:
    found = [name for name in names if name in there]
    return {"depends": found} if found else {}


def _health(hosts: Sequence[Host], role: str, ports: Mapping[str, int]) -> dict[str, Any]:
    """Return the health page of the first host of a role in production."""
    first = next((h for h in hosts if h.role == role and h.environment == "prod" and h.name in ports), None)
    return {"health": f"http://{first.address}:{ports[first.name]}/health"} if first else {}
