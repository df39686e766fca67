"""What a rehearsal fleet is to be: written down before anything of it exists, and the same at every later look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opsnb.rehearsal import hosts
from opsnb.rehearsal.hosts import Host
from opsnb.rehearsal.own import Start
from opsnb.rehearsal.tier import EMPTY, Service, Tier, commands, files, missing, services

OWN, SHARED = "own", "shared"  # a file system and processes of its own for each host, or the machine's for all
NO_TIER = "no web tier: nginx, the shop and Supervisor want hosts with a file system of their own, which needs root"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a fleet is to be; written down before anything of it exists.

    Args:
        form: ``own`` or ``shared``.
        why: Why it is not ``own``.
        network: The first three numbers of its addresses.
        port: The port on which every host listens.
        count: How many hosts.
        token: What marks its sessions.
        sudo: Whether ``ops`` can use sudo.
        user: The login name in its inventory.
        separation: Whether it made the directory that an sshd run by root wants.
        programs: What its hosts serve with, a :class:`Tier`; empty where they serve nothing.
    """

    form: str
    why: str
    network: str
    port: int
    count: int
    token: str
    sudo: bool
    user: str
    separation: bool = False
    programs: dict[str, Any] = field(default_factory=dict)

    @property
    def hosts(self) -> list[Host]:
        """Its hosts."""
        return hosts.fleet(self.count, self.network, self.port)

    @property
    def tier(self) -> Tier | None:
        """What its hosts serve with; None where they serve nothing."""
        return Tier(**self.programs) if self.programs else None

    def services(self, host: Host) -> list[Service]:
        """Return what a host serves."""
        return services(host, self.tier) if self.tier else []

    def start_of(self, host: Host) -> Start:
        """Return how a host with a file system of its own is started."""
        if self.tier is None or not (started := commands(host, self.tier)):
            return Start(host=host, listen=host.address)
        own_files = files(host, self.hosts, self.tier)
        return Start(host=host, listen=host.address, files=own_files, commands=started, hide=EMPTY)

    @property
    def ports(self) -> dict[str, int]:
        """The port on which each host serves HTTP, for those that do."""
        return {host.name: each.port for host in self.hosts for each in self.services(host) if each.port}

    @property
    def missing(self) -> list[str]:
        """Which services its hosts cannot have on this machine, and why."""
        if self.form == SHARED:
            return [NO_TIER]
        return missing(self.tier) if self.tier else []
