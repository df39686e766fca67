"""The fleet: how a runbook reaches machines.

``hosts = fleet.of(run)`` after ``run = opsnb.begin(...)`` gives every sealed host of the run, by name. Connections are
opened on first use, with the credential that the control plane releases for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from opsnb.base.errors import UnknownOutcomeError, UnreachableError, UsageError
from opsnb.fleet.fleet import Fleet
from opsnb.fleet.local import LocalTransport
from opsnb.fleet.machine import Machine
from opsnb.fleet.values import Command, Hidden, Result, Results, Status

__all__ = [
    "THIS_MACHINE", "Command", "Fleet", "Hidden", "Machine", "Result", "Results", "Status", "UnknownOutcomeError",
    "UnreachableError", "machine", "of",
]  # fmt: skip

THIS_MACHINE = "localhost"


class RunOfHosts(Protocol):
    """What the fleet wants of a run: its sealed host rows, and credentials for them."""

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The sealed rows of the run's hosts."""

    def credential(self, host: str, purpose: str) -> dict[str, Any]:
        """Return the credential that is released for ``observe``, ``change`` or ``sudo`` on a host."""


_open: dict[str, Machine] = {}  # the machines of this kernel's one run, for the actuators of kits


def of(run: RunOfHosts) -> Fleet:
    """Return the hosts of a run; actuators reach them through :func:`machine` from here on."""
    fleet = Fleet([_machine(row, run.credential) for row in run.rows])
    _open.update(fleet)
    return fleet


def machine(host: str, *, change: bool = False) -> Machine:
    """Return one host of this kernel's run: what an actuator reaches by the name in a change.

    Args:
        host: The name in a change; ``localhost`` is always there.
        change: Whether to log in with the credential for changes, which is released in apply and undo only.

    Raises:
        UsageError: If it is not one of the run's hosts.
    """
    if host == THIS_MACHINE and host not in _open:
        _open[host] = Machine(host, LocalTransport(host))
    try:
        found = _open[host]
    except KeyError:
        raise UsageError(f"host '{host}' is not one of this run's hosts", hint="fleet.of(run) opens them") from None
    return found.changing if change else found


def _machine(row: Mapping[str, Any], credential: Callable[[str, str], dict[str, Any]]) -> Machine:
    kind = row.get("transport", "local")
    if kind != "local":
        raise UsageError(f"host '{row['name']}': transport '{kind}' is not there yet")
    del credential
    return Machine(str(row["name"]), LocalTransport(str(row["name"])), row)
