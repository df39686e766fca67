"""The ground that a change stands on: what is outside the database and must be as it was sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from opsnb.base.errors import OpsnbError, RefusedError
from opsnb.control.approvals.policy import Policies
from opsnb.control.flows.admit import admit
from opsnb.control.flows.hosts import host_changes
from opsnb.control.flows.isolation import unwritable
from opsnb.control.flows.seal import chosen
from opsnb.control.records import Cause
from opsnb.control.runs.confine import landlock_abi

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services


class Ground(Protocol):
    """What a claim asks about the world; tests have one that lies."""

    def policies(self) -> Policies:
        """Return the policies that hold."""

    def moved(self, body: dict[str, Any]) -> tuple[Cause, str] | None:
        """Return what is no longer as a request was sealed with it, and in words; ``None``: nothing."""


class Workspace:
    """The real one: the workspace's files, the toolkit, the inventory, this machine."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def policies(self) -> Policies:
        """Those of the settings."""
        return self._services.policies

    def moved(self, body: dict[str, Any]) -> tuple[Cause, str] | None:
        """Look at notebook, active revision, toolkit, hosts and isolation, in this order."""
        services = self._services
        since = f"has changed since request {body['request']} was sealed"
        try:
            runbook = chosen(services, body["path"])
            if runbook.digest != body["notebook"]:
                return Cause.NOTEBOOK, f"{body['path']} {since}"
            admit(services, runbook, body)
        except RefusedError as error:
            return Cause.REVISION, f"{error.message}; {error.hint}"
        except OpsnbError as error:
            return Cause.NOTEBOOK, f"{body['path']} {since}: {error.message}"
        if services.toolkit.digest() != body["toolkit"]:
            return Cause.TOOLKIT, f"the toolkit {since}"
        return self._unheld(body) or host_changes(services, body)

    def _unheld(self, body: dict[str, Any]) -> tuple[Cause, str] | None:
        """Look at what holds kernels, and at what it keeps them from that they need."""
        if not landlock_abi() and not self._services.settings.allow_unconfined_changes:
            why = "this system cannot isolate kernels (no Landlock), and a change needs isolation"
            return Cause.ISOLATION, why
        if closed := unwritable(self._services, body["writes"]):
            return Cause.WRITES, closed[0]
        return None
