"""Admit: may this run on these files? Asked when a request is sealed, and again before what it planned is applied.

* While one person has the workspace, everything may: its files hold as they are.
* A runbook of the active revision runs as it was activated; when its file differs, nothing runs until somebody who may
  has activated it. So do the scripts beside it, and the manifests of a service's files for a run that reads them.
* A notebook outside the active revision may look at this machine, and gets no host, no credential, no secret, and no
  path besides.
* The runbooks that come with the program are part of the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from opsnb.base.canonical import sha256
from opsnb.base.errors import RefusedError
from opsnb.control.catalog import Runbook, builtin
from opsnb.control.flows.active import activators, active, held
from opsnb.control.flows.hosts import THIS_MACHINE
from opsnb.control.people.store import directory
from opsnb.control.records import Risk
from opsnb.control.revision import cells, store
from opsnb.control.revision.files import beside, read
from opsnb.control.revision.values import CONFIGS, Activated, Part, part_of

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

NAMED = 5  # differences and people named in a message


def marked(services: Services, runbook: Runbook) -> Runbook:
    """Return the runbook with whether it is of the active revision: one that is not is called by its path alone."""
    if _part_of_program(runbook.path):
        return runbook
    holds = active(services)
    return runbook if holds is None or runbook.path in holds.revision.files else replace(runbook, active=False)


def admit(services: Services, runbook: Runbook, body: Mapping[str, Any]) -> None:
    """Refuse a run whose files are not those that were activated.

    Args:
        services: What the flow needs.
        runbook: As it is on the disk now.
        body: The sealed request, or what is about to be.

    Raises:
        RefusedError: Says what differs, and who may activate it.
    """
    with services.database.looking() as connection:
        holds = held(services, connection)
        if holds is None:
            return
        if not _part_of_program(runbook.path):
            wanted = holds.revision.files.get(runbook.path)
            if wanted is None:
                _outside(connection, holds, runbook, body)
            elif wanted != runbook.digest:
                said = _heads(store.content(connection, wanted), runbook.content)
                raise _refusal(connection, f"{runbook.path} differs from the active revision {holds.number}: {said}")
            else:
                _beside(services, connection, holds, runbook.path)
        _manifests(services, connection, holds, body)


def _outside(connection: Connection, holds: Activated, runbook: Runbook, body: Mapping[str, Any]) -> None:
    """Refuse what a notebook that nobody activated may not have."""
    asks = [
        *(["risk " + runbook.risk.value] if runbook.risk is not Risk.READ else []),
        *([f"the secrets {', '.join(body['secrets'])}"] if body["secrets"] else []),
        *([f"to read {', '.join(body['reads'])}"] if body["reads"] else []),
        *([f"to write {', '.join(body['writes'])}"] if body["writes"] else []),
        *(["hosts"] if any(not _bare(row) for row in body["hosts"]) else []),
    ]
    if asks:
        raise _refusal(
            connection,
            f"{runbook.path} is not in the active revision {holds.number}, so it may only look at this machine; "
            f"it asks for {'; '.join(asks)}",
        )


def _bare(row: Mapping[str, Any]) -> bool:
    """Whether a sealed row is this machine without anything to log in with."""
    return row.get("name") == THIS_MACHINE and row.get("transport") == "local" and not row.get("credential")


def _beside(services: Services, connection: Connection, holds: Activated, path: str) -> None:
    """Refuse when a file that lies beside a runbook, where its kernel reads, is not the one that was activated."""
    folder = path.rpartition("/")[0] + "/"
    root = services.workspace.root
    there = {p for p in (*holds.revision.files, *beside(root, folder)) if p.rpartition("/")[0] + "/" == folder}
    _as_activated(root, connection, holds, {p for p in there if part_of(p) is Part.SCRIPT})


def _manifests(services: Services, connection: Connection, holds: Activated, body: Mapping[str, Any]) -> None:
    """Refuse when a manifest that a run reads, and does not keep itself, is not the one that was activated."""
    root = services.workspace.root.resolve()
    kept = [Path(path) for path in body["writes"]]
    folders = [Path(path) for path in body["reads"] if Path(path).is_relative_to(root / CONFIGS)]
    folders = [f for f in folders if not any(f.is_relative_to(k) or k.is_relative_to(f) for k in kept)]
    if not folders:
        return
    known = {p for p in (*holds.revision.files, *beside(root, CONFIGS)) if p.startswith(CONFIGS)}
    read_here = {
        p for p in known if any((root / p).is_relative_to(f) or f.is_relative_to((root / p).parent) for f in folders)
    }
    _as_activated(root, connection, holds, read_here)


def _as_activated(root: Path, connection: Connection, holds: Activated, there: set[str]) -> None:
    for path in sorted(there):
        data = read(root, path)
        if (None if data is None else sha256(data)) != holds.revision.files.get(path):
            raise _refusal(connection, f"{path} differs from the active revision {holds.number}")


def _heads(old: bytes, new: bytes) -> str:
    """Return which cells differ, without what stands in them."""
    heads = [line.rstrip(":") for line in cells.notebook(old, new) if not line.startswith("  ")]
    more = f" and {len(heads) - NAMED} more" if len(heads) > NAMED else ""
    return ", ".join(heads[:NAMED]) + more


def _refusal(connection: Connection, message: str) -> RefusedError:
    able = activators(directory(connection))
    names = ", ".join(able[:NAMED]) or "nobody here"
    return RefusedError(message, hint=f"{names} may activate it: opsnb activate")


def _part_of_program(path: str) -> bool:
    return path.startswith(f"{builtin.PREFIX}/")
