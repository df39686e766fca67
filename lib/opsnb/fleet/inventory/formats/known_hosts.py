"""``known_hosts`` as OpenSSH keeps it (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): which keys a name is known by.

Hashed names are HMAC-SHA1 of the name under the salt in front of it: ``|1|salt|hash``.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from opsnb.fleet.inventory.inventory import Inventory
from opsnb.fleet.inventory.keys import key_line
from opsnb.fleet.inventory.values import DEFAULT_PORT

HASHED = "|1|"


@dataclass(kw_only=True)
class KnownHosts:
    """The lines of one or more files.

    Args:
        entries: Names or hashed name, and the key line.
        revoked: Keys that nobody may use.
        notes: What was passed over, in sentences.
    """

    entries: list[tuple[str, str]] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def keys_of(self, address: str, port: int = DEFAULT_PORT) -> list[str]:
        """Return the key lines of a host, in the order of the file, each once; revoked keys are left out."""
        name = address.lower() if port == DEFAULT_PORT else f"[{address.lower()}]:{port}"
        found = dict.fromkeys(line for names, line in self.entries if _matches(names, name))
        return [line for line in found if line not in self.revoked]


def parse(text: str, path: str = "known_hosts") -> KnownHosts:
    """Read a ``known_hosts`` file; lines that pin nothing are passed over with a note."""
    found = KnownHosts()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        marker, _, rest = line.partition(" ") if line.startswith("@") else ("", "", line)
        names, _, key = rest.strip().partition(" ")
        if marker == "@cert-authority":
            found.notes.append(f"{path} line {number}: certificate authorities are not pinned")
            continue
        try:
            checked = key_line(key)
        except ValueError as error:
            found.notes.append(f"{path} line {number}: passed over, the key {error}")
            continue
        if marker == "@revoked":
            found.revoked.add(checked)
        else:
            found.entries.append((names, checked))
    return found


def joined(files: Iterable[KnownHosts]) -> KnownHosts:
    """Return several files as one."""
    found = KnownHosts()
    for one in files:
        found.entries += one.entries
        found.revoked |= one.revoked
        found.notes += one.notes
    return found


def write(inventory: Inventory) -> str:
    """Return the pinned keys of every host as a ``known_hosts`` file."""
    lines = []
    for host in inventory.hosts.values():
        name = host.address if host.port == DEFAULT_PORT else f"[{host.address}]:{host.port}"
        lines += [f"{name} {line}" for line in host.keys]
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def _matches(names: str, name: str) -> bool:
    if names.startswith(HASHED):
        return _hashed(names, name)
    matched = False
    for pattern in names.lower().split(","):
        if fnmatchcase(name, _glob(pattern.removeprefix("!"))):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _glob(pattern: str) -> str:
    """Return a pattern of OpenSSH (``*`` and ``?``) as one of fnmatch; brackets stand for themselves."""
    return pattern.replace("[", "[[]")


def _hashed(names: str, name: str) -> bool:
    parts = names.split("|")
    try:
        salt, wanted = (base64.b64decode(part, validate=True) for part in parts[2:4])
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), wanted)  # OpenSSH's choice, not ours
