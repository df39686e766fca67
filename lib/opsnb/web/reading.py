"""The API's routes for what there is: the hosts and runbooks that hold, each to who may see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request

from opsnb.control.flows import reading
from opsnb.control.flows.examine import examined
from opsnb.control.flows.services import Services
from opsnb.control.people.values import Actor


def reading_routes(api: FastAPI, services: Services, who: Callable[[Request], Actor]) -> None:
    """Add the routes.

    Args:
        api: To which.
        services: What the flows need.
        who: Says who acts in a request.
    """

    @api.get("/api/hosts")
    def hosts(
        request: Request, selector: Annotated[str, Query(max_length=4096)] = "", after: str = "",
        limit: int = reading.PAGE,
    ) -> dict[str, Any]:  # fmt: skip
        """List the hosts that hold and that the caller may see, a page at a time: all, or those of a selector.

        `next` is what `after` has to be for the next page. No secret is among it; credentials are names.
        """
        return reading.hosts(services, who(request), selector=selector, after=after, most=limit)

    @api.get("/api/hosts/{host}")
    def host(request: Request, host: str) -> dict[str, Any]:
        """Show a host that holds: all that it inherits, from which group, and what refers to it."""
        return reading.host(services, who(request), host)

    @api.get("/api/runbooks")
    def runbooks(request: Request) -> dict[str, Any]:
        """List the runbooks that hold and that the caller may see, those that come with opsnb, and broken ones."""
        return reading.runbooks(services, who(request))

    @api.get("/api/runbooks/{runbook}")
    def runbook(request: Request, runbook: str) -> dict[str, Any]:
        """Show a runbook by its id: its facts, its parameters as JSON Schema and in words."""
        return reading.runbook(services, who(request), runbook)

    @api.get("/api/notebook")
    def notebook(request: Request, path: str) -> dict[str, Any]:
        """Show a runbook by its path, as the list of runbooks has it: for one without an id."""
        return reading.runbook(services, who(request), path)

    @api.get("/api/doctor")
    def doctor() -> dict[str, Any]:
        """Look at the control plane's machine and workspace: what is missing, stale or unsafe, and what mends it."""
        return examined(services.workspace, up=True)
