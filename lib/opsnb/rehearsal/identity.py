"""What makes a copy of this machine another host: name, id, users, keys, sshd. Rules only: text in, files out.

* ``watch`` and ``ops`` are added, each with its public keys; ``ops`` may use sudo without a password.
* No password of the machine goes along, of a group neither: every account but theirs stays, and none has one. The
  backups that the tools for accounts keep (``shadow-``) are the host's own too.
* The host's key is the only one in ``/etc/ssh``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from opsnb.rehearsal.hosts import OPS, SSHD, WATCH

HOMES = "home"
FIRST_USER = 1001
_ID = 2  # field of /etc/passwd: name, password, number
_MEMBERS = 3  # field of /etc/group: name, password, number, members
CONFIG = """\
Port {port}
ListenAddress {listen}
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile /run/sshd.pid
PermitRootLogin no
{alike}Subsystem sftp internal-sftp
"""
SUDOERS = f"{OPS} ALL=(ALL) NOPASSWD: ALL\n"
HOSTS = """\
127.0.0.1 localhost
{address} {name}
::1 localhost ip6-localhost ip6-loopback
"""


@dataclass(frozen=True, kw_only=True)
class File:
    """A file to write on a host: its text, or where it leads when it is a symbolic link, or an empty directory."""

    text: str = ""
    mode: int = 0o644
    owner: int = 0
    link: str = ""
    directory: bool = False


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What is read from this machine for its copies."""

    passwd: str
    group: str
    resolver: str


def user_ids(passwd: str) -> dict[str, int]:
    """Return numbers for the two users that no account of the machine has."""
    taken = {fields[_ID] for line in passwd.splitlines() if len(fields := line.split(":")) > _ID}
    free = (number for number in range(FIRST_USER, 60000) if str(number) not in taken)
    return {OPS: next(free), WATCH: next(free)}


def machine_id(name: str, key: str) -> str:
    """Return a host's machine-id: 32 hex digits that come from its name and its public key."""
    return hashlib.sha256(f"{name}\n{key}".encode()).hexdigest()[:32]


def files(
    name: str, address: str, port: int, *, listen: str, key: str, public: str, authorized: Mapping[str, str],
    machine: Machine,
) -> dict[str, File]:  # fmt: skip
    """Return what a host's own files say, by path from its root, without the leading slash.

    Args:
        name: The host's name.
        address: The address by which it knows itself.
        port: The port on which sshd listens.
        listen: The address on which sshd listens.
        key: The private host key.
        public: The public host key.
        authorized: The ``authorized_keys`` of each of the two users.
        machine: What is read from this machine.
    """
    ids = user_ids(machine.passwd)
    own = {
        "passwd": File(text=_accounts(machine.passwd, ids)),
        "group": File(text=_groups(machine.group, ids)),
        "shadow": File(text=_passwords(_accounts(machine.passwd, ids)), mode=0o600),
        "gshadow": File(text=_group_passwords(_groups(machine.group, ids)), mode=0o600),
        "subuid": File(),
        "subgid": File(),
    }
    made = {f"etc/{file}{backup}": said for file, said in own.items() for backup in ("", "-")} | {
        "etc/hostname": File(text=f"{name}\n"),
        "etc/hosts": File(text=HOSTS.format(address=address, name=name)),
        "etc/machine-id": File(text=machine_id(name, public) + "\n", mode=0o444),
        "etc/resolv.conf": File(text=machine.resolver),
        "etc/ssh/sshd_config": File(text=CONFIG.format(port=port, listen=listen, alike=SSHD)),
        "etc/ssh/ssh_host_ed25519_key": File(text=key, mode=0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": File(text=public + "\n"),
        "etc/sudoers.d/rehearsal": File(text=SUDOERS, mode=0o440),
    }
    for user, text in authorized.items():
        made[f"{HOMES}/{user}/.ssh/authorized_keys"] = File(text=text, mode=0o600, owner=ids[user])
    return made


def _accounts(passwd: str, ids: Mapping[str, int]) -> str:
    ours = [f"{user}:x:{number}:{number}:{user}:/{HOMES}/{user}:/bin/sh" for user, number in ids.items()]
    return _lines([*_others(passwd, ids), *ours])


def _groups(group: str, ids: Mapping[str, int]) -> str:
    return _lines([*_others(group, ids), *(f"{user}:x:{number}:" for user, number in ids.items())])


def _passwords(passwd: str) -> str:
    """Return a shadow file in which nobody has a password and nobody is locked: ``*``, which sshd lets pass."""
    return _lines(f"{line.split(':')[0]}:*:19000:0:99999:7:::" for line in passwd.splitlines() if ":" in line)


def _group_passwords(group: str) -> str:
    """Return a gshadow file in which no group has a password; its members are those of the group file."""
    rows = (line.split(":") for line in group.splitlines() if line.count(":") == _MEMBERS)
    return _lines(f"{row[0]}:*::{row[_MEMBERS]}" for row in rows)


def _others(text: str, ids: Mapping[str, int]) -> list[str]:
    return [line for line in text.splitlines() if line.split(":")[0] not in ids]


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
