"""Hosts of a run that are this machine under other names: every way of a kit to a remote host, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opsnb import fleet
from opsnb.base.plan import Plan
from opsnb.runbook import actuators

NAMES = ("near1", "near2", "near3")


class RunOfNames:
    """A run whose hosts are reached as child processes."""

    def __init__(self, names: tuple[str, ...] = NAMES) -> None:
        self.rows: list[dict[str, Any]] = [{"name": name, "transport": "local"} for name in names]

    def credential(self, host: str, purpose: str) -> dict[str, Any]:
        """No host here asks for one."""
        raise AssertionError(f"{host} asked for a credential for {purpose}")


@contextmanager
def nearby(names: tuple[str, ...] = NAMES) -> Iterator[tuple[str, ...]]:
    """Let the kits reach this machine under these names."""
    fleet.of(RunOfNames(names))
    yield names


def carry_out(plan: Plan) -> None:
    """Apply a plan as a run does: observe, compare, apply."""
    for change in plan.changes:
        actuator = actuators.find(change.verb)
        found = actuator.observe(change.host, change.target)
        assert found == change.before, (change.what, found, change.before)
        actuator.apply(change.host, change.target, change.before, change.after)
