"""The API's routes for requests and what people do about them. Who acts is asked of the guard, never of the body."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from opsnb.control.app import App
from opsnb.control.approvals.values import ActKind
from opsnb.control.flows import approve, ask, requests, telling
from opsnb.control.flows.glass import break_glass
from opsnb.control.flows.grant import ask_grant
from opsnb.control.flows.seal import Asked
from opsnb.control.people.values import Action, Actor

MOST_NUMBER = 2**63 - 1  # what a column of the database holds
WITHOUT_NUL = r"^[^\x00]*$"  # of a path
Who = Callable[[Request], Actor]


class Body(BaseModel):
    """Base of what these routes take."""

    model_config = ConfigDict(extra="forbid")


class NewRequest(Body):
    """What ``POST /api/requests`` takes: what is to be planned, why, and when to start once it is approved."""

    runbook: str = Field(min_length=1, max_length=4096)
    texts: dict[str, str] = Field(default_factory=dict)
    values: dict[str, Any] = Field(default_factory=dict)
    hosts: str = Field(default="", max_length=4096)
    folder: str = Field(default="", max_length=4096, pattern=WITHOUT_NUL)
    reason: str = Field(min_length=1, max_length=4000)
    start: str = Field(default="asked", min_length=1, max_length=80)
    submission: str = Field(default="", max_length=80)


class AskedFor(Body):
    """What ``POST /api/requests/{request}/ask`` takes."""

    reason: str = Field(min_length=1, max_length=4000)
    start: str = Field(default="asked", min_length=1, max_length=80)


class NewGrant(Body):
    """What ``POST /api/grants`` takes."""

    action: Action
    hosts: str = Field(min_length=1, max_length=4096)
    reason: str = Field(min_length=1, max_length=4000)
    seconds: float = Field(default=1800.0, gt=0, le=8 * 3600)


class Seen(Body):
    """What ``POST /api/notices/seen`` takes: the highest number that was shown."""

    upto: int = Field(ge=0, le=2**53)


class Acted(Body):
    """What ``POST /api/requests/{request}/{act}`` takes; ``plan`` is the beginning of the digest that was read."""

    comment: str = Field(default="", max_length=4000)
    step: str = Field(default="", max_length=200)
    on_behalf_of: str = Field(default="", max_length=200)
    to: str = Field(default="", max_length=200)
    plan: str = Field(default="", max_length=64)


def request_routes(api: FastAPI, app: App, who: Who) -> None:
    """Add the routes.

    Args:
        api: To which.
        app: The control plane.
        who: Says who acts in a request.
    """
    _lists(api, app, who)
    _notices(api, app, who)

    @api.post("/api/requests", status_code=201)
    def new(request: Request, body: NewRequest) -> dict[str, Any]:
        """Plan a change, and ask for its approval once it is planned."""
        near = who(request).via == "local"
        asked = Asked(
            runbook=body.runbook, texts=body.texts, values=body.values, hosts=body.hosts,
            folder=body.folder if near else "", afar=not near, why=body.reason, submission=body.submission,
        )  # fmt: skip
        return app.run(app.submit(asked, start=body.start, actor=who(request)), who(request))

    @api.post("/api/grants", status_code=201)
    def grant(request: Request, body: NewGrant) -> dict[str, Any]:
        """Ask for the right to work by hand on protected hosts for a time, with a reason; or break the glass there."""
        give = partial(break_glass, app.services, who(request))
        if body.action is not Action.BREAK_GLASS:
            give = partial(ask_grant, app.services, who(request), body.action)
        made = give(body.hosts, body.reason, body.seconds)
        return requests.shown(app.services, who(request), made)

    @api.post("/api/requests/{name}/ask", status_code=201)
    def ask_for(request: Request, name: str, body: AskedFor) -> dict[str, Any]:
        """Ask for the approval of what is planned."""
        ask.ask(app.services, who(request), name, body.reason, body.start)
        return requests.shown(app.services, who(request), name)

    @api.post("/api/requests/{name}/{act}")
    def act(request: Request, name: str, act: ActKind, body: Acted) -> dict[str, Any]:
        """Approve, return, reject, veto, withdraw, delegate, escalate or comment on a request."""
        approve.act(app.services, who(request), name, approve.Deed(kind=act, **body.model_dump()))
        return requests.shown(app.services, who(request), name)


def _lists(api: FastAPI, app: App, who: Who) -> None:
    @api.get("/api/requests")
    def listed(
        request: Request,
        status: str = "",
        mine: bool = False,  # noqa: FBT001, FBT002  (a query)
        runbook: str = "",
        before: Annotated[int, Query(ge=0, le=MOST_NUMBER)] | None = None,
        limit: int = 50,
    ) -> dict[str, Any]:
        """List requests, newest first, a page at a time."""
        return requests.listed(
            app.services, who(request), status=status, mine=mine, runbook=runbook, before=before, most=limit
        )

    @api.get("/api/requests/{name}")
    def show(
        request: Request,
        name: str,
        plan: bool = False,  # noqa: FBT001, FBT002  (a query)
    ) -> dict[str, Any]:
        """Show a request: what will change, who has to approve, what was done; ``plan``: before and after."""
        return requests.shown(app.services, who(request), name, whole=plan)


def _notices(api: FastAPI, app: App, who: Who) -> None:
    """Add the routes of one's own notices."""

    @api.get("/api/notices")
    def mine(
        request: Request,
        everything: bool = False,  # noqa: FBT001, FBT002  (a query)
        before: Annotated[int, Query(ge=0, le=MOST_NUMBER)] | None = None,
        limit: int = 50,
    ) -> dict[str, Any]:
        """List one's own notices, newest first: those not seen yet, or all."""
        return telling.mine(app.services, who(request), everything=everything, before=before, most=limit)

    @api.post("/api/notices/seen")
    def see(request: Request, body: Seen) -> dict[str, Any]:
        """Say that one saw one's notices up to a number."""
        return telling.see(app.services, who(request), body.upto)
