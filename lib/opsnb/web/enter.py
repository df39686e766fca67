"""The API's routes for coming in: sign-in, sign-out, one-time links, and the one plain page that a link leads to."""

from __future__ import annotations

from html import escape
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from opsnb.base.errors import OpsnbError, RefusedError
from opsnb.control.app import App
from opsnb.control.flows import enter
from opsnb.control.flows.credentials import who_am_i
from opsnb.control.flows.enter import SignIn
from opsnb.control.people.passwords import LENGTHS
from opsnb.control.people.tokens import LIMITS, TokenKind
from opsnb.web.acting import acting
from opsnb.web.answers import status_of
from opsnb.web.guard import COOKIE, address_of

Text = Annotated[str, StringConstraints(max_length=4096)]
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>opsnb</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:26em;margin:3em auto;padding:0 1em}}
input,button{{font:inherit;width:100%;box-sizing:border-box;padding:.5em;margin:.2em 0 1em}}</style>
<h1>opsnb</h1>{inside}</html>"""
FORM = """<form method="post" action="/enter"><p>Set your password. This link works once.</p>
<input type="hidden" name="code" value="{code}"><label>Password, {least} characters or more
<input type="password" name="password" autocomplete="new-password" minlength="{least}" required autofocus></label>
<button>Set the password</button></form>"""


class Credentials(BaseModel):
    """What ``POST /api/session`` and ``POST /api/login`` take."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    password: Text
    code: Text = ""
    label: Annotated[str, StringConstraints(max_length=80)] = ""


class Link(BaseModel):
    """What ``POST /api/enter`` takes: what a one-time link holds, and the new password."""

    model_config = ConfigDict(extra="forbid")

    code: Text
    password: Text


def enter_routes(api: FastAPI, app: App) -> None:
    """Add the routes."""
    _sign_in(api, app)
    _pages(api, app)


def _sign_in(api: FastAPI, app: App) -> None:
    @api.post("/api/session", status_code=201)
    def session(request: Request, response: Response, body: Credentials) -> dict[str, Any]:
        """Sign in from a browser: the answer sets a session's cookie."""
        secret, token = enter.sign_in(app.services, _given(request, body), TokenKind.SESSION)
        response.set_cookie(
            COOKIE, secret, max_age=int(LIMITS[TokenKind.SESSION]), path="/", httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return {"signed_in": True, "expires": token.expires.isoformat()}

    @api.post("/api/session/end")
    def end(request: Request, response: Response) -> dict[str, Any]:
        """Sign out: the session or token by which one came in holds no more."""
        enter.sign_out(app.services, acting(request))
        response.delete_cookie(COOKIE, path="/")
        return {"signed_in": False}

    @api.post("/api/login", status_code=201)
    def login(request: Request, body: Credentials) -> dict[str, Any]:
        """Sign in from a terminal: the answer holds an API token, shown this once."""
        secret, token = enter.sign_in(app.services, _given(request, body), TokenKind.API, body.label or "opsnb login")
        return {"secret": secret, "id": token.id, "expires": token.expires.isoformat()}

    @api.post("/api/enter")
    def by_link(request: Request, body: Link) -> dict[str, Any]:
        """Set a password by a one-time link."""
        address = address_of(request.scope)
        person = enter.enter(app.services, app.first, app.person, body.code, body.password, address)
        return {"user": person.name, "password": "set"}

    @api.get("/api/whoami")
    def me(request: Request) -> dict[str, Any]:
        """Say who the caller is, how they came in, and what they may."""
        return who_am_i(app.services, acting(request))


def _pages(api: FastAPI, app: App) -> None:
    @api.get("/enter", include_in_schema=False)
    def form(code: str = "") -> Response:
        return _page(FORM.format(code=escape(code[:200]), least=LENGTHS[0]))

    @api.post("/enter", include_in_schema=False)
    async def sent(request: Request) -> Response:
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
        return await _in_thread(app, request, fields)


async def _in_thread(app: App, request: Request, fields: dict[str, list[str]]) -> Response:
    import asyncio

    code, password = (fields.get(name, [""])[0] for name in ("code", "password"))
    address = address_of(request.scope)
    try:
        person = await asyncio.to_thread(enter.enter, app.services, app.first, app.person, code, password, address)
    except OpsnbError as error:
        again = "" if isinstance(error, RefusedError) else FORM.format(code=escape(code[:200]), least=LENGTHS[0])
        return _page(f"<p><strong>{escape(str(error))}</strong></p>{again}", status_of(error))
    return _page(f"<p>The password of <strong>{escape(person.name)}</strong> is set. Sign in with it.</p>")


def _page(inside: str, status: int = 200) -> Response:
    return Response(PAGE.format(inside=inside), status, media_type="text/html")


def _given(request: Request, body: Credentials) -> SignIn:
    return SignIn(name=body.name, password=body.password, code=body.code, address=address_of(request.scope))
