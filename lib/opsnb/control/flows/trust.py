"""Trust a host's keys: pin them in the inventory, and say in the ledger who trusted which.

The ledger holds salted digests only. What they are digests of, with the salt, is one line in ``.opsnb/trust.jsonl``;
deleting that line redacts the entry. The entry is there before the key is pinned: a crash in between leaves an entry
about a key that is not used, never a key that nobody is on record for.
"""

from __future__ import annotations

import json
import os
import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from opsnb.base.canonical import canonical, salted
from opsnb.base.clock import stamp
from opsnb.base.errors import NotFoundError, RefusedError, UsageError
from opsnb.control.flows.record import publish_ledger
from opsnb.control.ledger.events import HostTrusted
from opsnb.control.ledger.store import append, read
from opsnb.control.people.store import Person
from opsnb.fleet.inventory import Inventory, key_line, load
from opsnb.fleet.inventory.edit import set_keys

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

FILE = "trust.jsonl"
MAX_KEYS = 16


def trust(services: Services, host: str, keys: list[str], instead_of: list[str], person: Person) -> dict[str, Any]:
    """Pin a host's keys and record it.

    Args:
        services: What the flow needs.
        host: The host's name.
        keys: Public key lines to pin.
        instead_of: The key lines that are pinned now, as the person saw them.
        person: Who trusts them.

    Returns:
        ``host``, ``keys``, ``file`` and ``by``; under ``ledger`` the entry's ``index`` and the root after it.

    Raises:
        UsageError: If a line is no public key, or the host has none.
        NotFoundError: If there is no such host.
        RefusedError: If other keys are pinned by now than the person saw.
    """
    lines = _checked(host, keys)
    root = services.workspace.root
    with services.publishing:
        known = _host(load(root), host)
        if sorted(known) != sorted(instead_of):
            raise RefusedError(
                f"the pinned keys of host '{host}' have changed meanwhile; nothing was written",
                hint=f"look again: opsnb host trust {host}",
            )
        said = {"host": host, "keys": sorted(lines), "before": sorted(known)}
        salt = secrets.token_hex(32)
        event = HostTrusted(
            by=person.id, host=salted(salt, host.encode()), keys=salted(salt, canonical(said["keys"])),
            before=salted(salt, canonical(said["before"])), replaced=bool(known),
        )  # fmt: skip
        with services.database.transaction() as connection:
            position = append(connection, event)
            _remember(services, {**said, "by": person.name, "at": stamp(), "salt": salt, "entry": position.index})
        file = set_keys(root, host, lines)
    publish_ledger(services)
    return {
        "host": host, "keys": lines, "file": file, "by": person.name,
        "ledger": {"index": position.index, "root": position.root.hex()},
    }  # fmt: skip


def trusted(services: Services, host: str) -> list[dict[str, Any]]:
    """Return who trusted which keys of a host, oldest first, without the salts; what the ledger bears out."""
    path = services.workspace.state / FILE
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with services.database.transaction() as connection:
        return [
            {key: value for key, value in row.items() if key != "salt"}
            for row in rows
            if row["host"] == host and _borne_out(connection, row)
        ]


def _borne_out(connection: Connection, row: dict[str, Any]) -> bool:
    entry = next(iter(read(connection, row["entry"])), None)
    wanted = {
        "host": salted(row["salt"], row["host"].encode()), "keys": salted(row["salt"], canonical(row["keys"])),
        "before": salted(row["salt"], canonical(row["before"])),
    }  # fmt: skip
    return entry is not None and all(entry.value.get(name) == digest for name, digest in wanted.items())


def _checked(host: str, keys: list[str]) -> list[str]:
    if not keys or len(keys) > MAX_KEYS:
        raise UsageError(f"host '{host}': found {len(keys)} keys to trust, wanted 1 to {MAX_KEYS}")
    try:
        return list(dict.fromkeys(key_line(line) for line in keys))
    except ValueError as error:
        raise UsageError(f"host '{host}': not a public key: it {error}") from None


def _host(inventory: Inventory, name: str) -> tuple[str, ...]:
    if name not in inventory.hosts:
        raise NotFoundError(f"no host is called '{name}' in the inventory", hint=f"opsnb host add {name}")
    host = inventory.hosts[name]
    if host.transport != "ssh":
        raise UsageError(f"host '{name}' is reached by '{host.transport}', which has no keys to trust")
    return host.keys


def _remember(services: Services, row: dict[str, Any]) -> None:
    path = services.workspace.state / FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "ab") as stream:
        stream.write(canonical(row) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
