"""The API's routes for the active revision. Who acts is asked of the guard, never of the body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from opsnb.control.flows import activate
from opsnb.control.flows.services import Services
from opsnb.control.people.values import Actor


class Seen(BaseModel):
    """What ``POST /api/revision`` takes: the files and the active revision that its sender saw the difference of."""

    model_config = ConfigDict(extra="forbid")

    files: str = Field(pattern="^[0-9a-f]{64}$")
    active: int = Field(ge=0)


def activation_routes(api: FastAPI, services: Services, who: Callable[[Request], Actor]) -> None:
    """Add the routes of the active revision."""

    @api.get("/api/revision")
    def show(request: Request) -> dict[str, Any]:
        """Show which revision holds, who activated it, and the ones before."""
        return activate.show(services, who(request))

    @api.get("/api/revision/difference")
    def difference(request: Request) -> dict[str, Any]:
        """Show how the workspace's files differ from those that hold."""
        return activate.differing(services, who(request))

    @api.post("/api/revision", status_code=201)
    def activated(request: Request, body: Seen) -> dict[str, Any]:
        """Have the workspace's files hold, when they are still those that were seen."""
        return activate.activate(services, who(request), files=body.files, active=body.active)
