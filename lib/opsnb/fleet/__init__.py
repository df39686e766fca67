"""The fleet: how a runbook reaches machines.

``hosts = fleet.of(run)`` after ``run = opsnb.begin(...)`` gives every sealed host of the run, by name. Connections are
opened on first use, with the credential that the control plane releases for it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsnb.base.errors import UnknownOutcomeError, UnreachableError
    from opsnb.fleet.files import FileStat
    from opsnb.fleet.fleet import Fleet
    from opsnb.fleet.machines import Machine
    from opsnb.fleet.reach import THIS_MACHINE, RunOfHosts, connect, machine, of
    from opsnb.fleet.values import Command, Hidden, MissingFileError, Result, Results, Status

__all__ = [
    "THIS_MACHINE", "Command", "FileStat", "Fleet", "Hidden", "Machine", "MissingFileError", "Result", "Results",
    "RunOfHosts", "Status", "UnknownOutcomeError", "UnreachableError", "connect", "machine", "of",
]  # fmt: skip

_HOMES = {
    "opsnb.base.errors": ("UnknownOutcomeError", "UnreachableError"),
    "opsnb.fleet.files": ("FileStat",),
    "opsnb.fleet.fleet": ("Fleet",),
    "opsnb.fleet.machines": ("Machine",),
    "opsnb.fleet.reach": ("THIS_MACHINE", "RunOfHosts", "connect", "machine", "of"),
    "opsnb.fleet.values": ("Command", "Hidden", "MissingFileError", "Result", "Results", "Status"),
}


def __getattr__(name: str) -> Any:
    """Import on first use: the inventory lies in this package too, and `opsnb host list` starts at once (PEP 562)."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'opsnb.fleet' has no attribute '{name}'")
