"""What an inventory holds, as values: hosts, groups, services, credentials by reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.fleet.inventory.keys import keys_digest

THIS_MACHINE = "localhost"
EVERY = "all"  # every listed host; also the group whose settings they all inherit
DEFAULT_PORT = 22
TRANSPORTS = ("ssh", "local", "container")
SUDO = ("none", "passwordless", "password")
PURPOSES = ("observe", "change")
SETTINGS = ("user", "port", "via", "environment", "labels", "variables", "credential", "sudo")
"""What a host inherits from its groups."""


@dataclass(frozen=True, kw_only=True)
class Credential:
    """How to log in, by reference: no secret stands here.

    Args:
        name: Its name in the inventory.
        kind: ``key``, ``password`` or ``agent``.
        secret: Name of the private key or password in the secret store.
        file: A private key's file, read by the control plane; instead of ``secret``.
        passphrase: Name of the key's passphrase in the secret store.
        certificate: Name of the key's OpenSSH certificate in the secret store.
        user: Who logs in with it; empty: the host's user.
    """

    name: str
    kind: str
    secret: str = ""
    file: str = ""
    passphrase: str = ""
    certificate: str = ""
    user: str = ""


@dataclass(frozen=True, kw_only=True)
class Host:
    """One machine, with what it inherits.

    Args:
        name: Its name in the inventory.
        transport: ``ssh``, ``local`` or ``container``.
        address: Name or IP address; the host's name where the inventory says none.
        port: TCP port.
        user: Login name; empty: whoever the control plane is.
        via: The jump host's name; empty: reached directly.
        environment: ``prod``, ``test``, ...
        labels: What selectors look at.
        variables: What runbooks read; JSON.
        credential: ``observe`` and ``change`` to a credential's name.
        sudo: ``none``, ``passwordless`` or ``password``.
        sudo_secret: Name of sudo's password in the secret store.
        keys: Pinned public key lines without comments.
        legacy: Whether it is an old sshd that needs SHA-1.
        container: Name of the container, for that transport.
        engine: Where the container engine listens.
        groups: Every group that it is in, nearest first.
        own: What stands at the host itself, as it was written.
        origins: Inherited field (``user``, ``labels.role``) to the group that it comes from.
        path: The file in which it stands.
        line: The line there.
    """

    name: str
    transport: str = "ssh"
    address: str = ""
    port: int = DEFAULT_PORT
    user: str = ""
    via: str = ""
    environment: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, JSON] = field(default_factory=dict)
    credential: Mapping[str, str] = field(default_factory=dict)
    sudo: str = "none"
    sudo_secret: str = ""
    keys: tuple[str, ...] = ()
    legacy: bool = False
    container: str = ""
    engine: str = ""
    groups: tuple[str, ...] = ()
    own: Mapping[str, JSON] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    line: int = 0

    def row(self) -> dict[str, Any]:
        """Return its sealed row, without the jump hosts: JSON; what is empty is left out."""
        ssh = self.transport == "ssh"
        found: dict[str, Any] = {
            "name": self.name, "transport": self.transport,
            "address": self.address if ssh else "", "port": self.port if ssh else None, "user": self.user,
            "environment": self.environment, "labels": dict(self.labels), "groups": list(self.groups),
            "variables": dict(self.variables), "keys": list(self.keys),
            "key": keys_digest(self.keys) if self.keys else "", "credential": dict(self.credential),
            "sudo": self.sudo if ssh or self.sudo != SUDO[0] else "",
            "legacy": self.legacy or None, "container": self.container, "engine": self.engine,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value not in (None, "", [], {})}


@dataclass(frozen=True, kw_only=True)
class Group:
    """Hosts that belong together, and what they inherit.

    Args:
        name: Its name.
        hosts: Hosts listed in it.
        groups: Groups listed in it.
        select: The selector whose hosts are in it too.
        settings: What its hosts inherit, as it was written: fields of ``SETTINGS``.
        members: Every host in it, in the inventory's order.
        path: The file in which it stands.
        line: The line there.
    """

    name: str
    hosts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    select: str = ""
    settings: Mapping[str, JSON] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    path: str = ""
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class Service:
    """What several hosts do together.

    Args:
        name: Its name.
        owner: Who answers for it.
        hosts: Environment to the selector of its hosts there.
        depends: Services that it needs.
        links: Title to URL.
        files: Where its files lie in the workspace.
        health: URL that says whether it is well.
        runbooks: Ids of the runbooks made for it.
        path: The file in which it stands.
        line: The line there.
    """

    name: str
    owner: str = ""
    hosts: Mapping[str, str] = field(default_factory=dict)
    depends: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    files: str = ""
    health: str = ""
    runbooks: tuple[str, ...] = ()
    path: str = ""
    line: int = 0
