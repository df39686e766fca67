"""The API's routes for what people hold to come in by: tokens, passwords, links, authenticators, the login history."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from opsnb.control.flows import credentials
from opsnb.control.flows.services import Services
from opsnb.control.people.tokens import DAY
from opsnb.web.acting import acting
from opsnb.web.guard import address_of

Text = Annotated[str, StringConstraints(max_length=4096)]


class Body(BaseModel):
    """Base of what these routes take."""

    model_config = ConfigDict(extra="forbid")


class NewToken(Body):
    """What ``POST /api/tokens`` takes; ``user`` names a service account, for an administrator."""

    name: Text
    user: Text = ""
    scopes: tuple[Text, ...] = Field(default=("*",), max_length=32)
    seconds: float = Field(default=30 * DAY, ge=60, le=366 * DAY)


class NewPassword(Body):
    """What ``POST /api/password`` takes; ``old`` is the one until now, where there is one."""

    password: Text
    old: Text = ""


class Code(Body):
    """What the routes take that want a code of an authenticator."""

    code: Text = ""
    user: Text = ""


def credential_routes(api: FastAPI, services: Services) -> None:
    """Add the routes."""
    _tokens(api, services)
    _passwords(api, services)
    _codes(api, services)


def _tokens(api: FastAPI, services: Services) -> None:
    @api.get("/api/tokens")
    def listed(request: Request, user: str = "", everybody: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  (a query)
        """List tokens and sessions that hold: one's own, or somebody's for an administrator. No secret."""
        return {"tokens": credentials.list_tokens(services, acting(request), user=user, everybody=everybody)}

    @api.post("/api/tokens", status_code=201)
    def create(request: Request, body: NewToken) -> dict[str, Any]:
        """Make an API token; its secret is in this answer and nowhere else."""
        return credentials.create_token(
            services, acting(request), body.name, user=body.user, scopes=body.scopes, seconds=body.seconds
        )

    @api.post("/api/tokens/{token}/revoke")
    def revoke(request: Request, token: str) -> dict[str, Any]:
        """Revoke a token or session."""
        return credentials.revoke_token(services, acting(request), token)


def _passwords(api: FastAPI, services: Services) -> None:
    @api.post("/api/password")
    def password(request: Request, body: NewPassword) -> dict[str, Any]:
        """Set one's own password; one's other sessions end."""
        address = address_of(request.scope)
        return credentials.set_password(services, acting(request), body.password, body.old, address)

    @api.post("/api/users/{name}/link", status_code=201)
    def link(request: Request, name: str) -> dict[str, Any]:
        """Make a one-time link with which somebody sets a password."""
        return credentials.make_link(services, acting(request), name)

    @api.get("/api/logins")
    def logins(request: Request, user: str = "", limit: int = 100) -> dict[str, Any]:
        """Show who signed in and who tried: oneself, or everybody for who may audit."""
        most = max(1, min(limit, 10_000))
        return {"logins": credentials.login_history(services, acting(request), most, user)}


def _codes(api: FastAPI, services: Services) -> None:
    @api.post("/api/codes", status_code=201)
    def begin(request: Request) -> dict[str, Any]:
        """Get a key for an authenticator; it counts when a code of it was confirmed."""
        return credentials.begin_codes(services, acting(request))

    @api.post("/api/codes/confirm")
    def confirm(request: Request, body: Code) -> dict[str, Any]:
        """Confirm the new key with a code of it."""
        return credentials.confirm_codes(services, acting(request), body.code)

    @api.post("/api/codes/remove")
    def remove(request: Request, body: Code) -> dict[str, Any]:
        """Want no codes any more: one's own with a code, somebody's as an administrator."""
        return credentials.remove_codes(services, acting(request), body.user, body.code)
