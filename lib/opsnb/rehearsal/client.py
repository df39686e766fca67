"""What lets a plain ``ssh`` reach a fleet by name: an ssh_config and the known host keys. Rules only, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from opsnb.rehearsal.hosts import Host, Login

CONFIG, KNOWN = "ssh_config", "known_hosts"
ALL = """\
# Written by `opsnb rehearse up`: ssh -F THIS web1
Host *
  User {user}
  IdentityFile {observe}
  IdentityFile {change}
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile {known}
  GlobalKnownHostsFile none
"""


def ssh_config(hosts: Sequence[Host], login: Login, known: Path) -> str:
    """Return the configuration of a plain ssh: every host by its name, jump hosts included (man 5 ssh_config).

    Args:
        hosts: The hosts.
        login: How one logs in to them.
        known: Where :func:`known_hosts` lies.
    """
    observe, change, keys = _quoted(login.observe_key), _quoted(login.change_key), _quoted(str(known))
    made = [ALL.format(user=login.user, observe=observe, change=change, known=keys)]
    for host in hosts:
        made.append(f"Host {host.name}\n  HostName {host.address}\n  Port {host.port}\n  HostKeyAlias {host.name}\n")
        if host.via:
            made.append(f"  ProxyJump {host.via}\n")
    return "".join(made)


def known_hosts(hosts: Sequence[Host], keys: Mapping[str, str]) -> str:
    """Return the host keys as ssh reads them, by name."""
    return "".join(f"{host.name} {keys[host.name]}\n" for host in hosts)


def _quoted(path: str) -> str:
    return '"' + path.replace("%", "%%") + '"'
