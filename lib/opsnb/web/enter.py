"""The API's routes for coming in: sign-in, sign-out, one-time links, and the one plain page that a link leads to."""

from __future__ import annotations

import asyncio
from html import escape
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from opsnb.base.errors import OpsnbError, RefusedError
from opsnb.base.i18n import mark, retell, translate
from opsnb.control.app import App
from opsnb.control.flows import enter
from opsnb.control.flows.credentials import who_am_i
from opsnb.control.flows.enter import SignIn
from opsnb.control.people.passwords import LENGTHS
from opsnb.control.people.tokens import LIMITS, TokenKind
from opsnb.web.acting import acting
from opsnb.web.answers import status_of
from opsnb.web.guard import COOKIE, address_of
from opsnb.web.pages import page, reads

Text = Annotated[str, StringConstraints(max_length=4096)]
ONCE = mark("Set your password. This link works once.")
LEAST = mark("Password, {least} characters or more")
SET = mark("Set the password")
DONE = mark("The password of {name} is set. Sign in with it.")


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
    def form(request: Request, code: str = "") -> Response:
        return page(app, request, _form(reads(app, request), code))

    @api.post("/enter", include_in_schema=False)
    async def sent(request: Request) -> Response:
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
        code, password = (fields.get(name, [""])[0] for name in ("code", "password"))
        return await asyncio.to_thread(_set, app, request, code, password)


def _set(app: App, request: Request, code: str, password: str) -> Response:
    """Set a password by a one-time link, and return the page that says so, or why not."""
    language = reads(app, request)
    try:
        person = enter.enter(app.services, app.first, app.person, code, password, address_of(request.scope))
    except OpsnbError as error:
        again = "" if isinstance(error, RefusedError) else _form(language, code)
        hint = f"<p>{escape(retell(error.hint, language))}" if error.hint else ""
        why = f"<p><strong>{escape(retell(error.message, language))}</strong>{hint}"
        return page(app, request, why + again, status_of(error))
    return page(app, request, f"<p>{escape(translate(DONE, language, name=person.name))}")


def _form(language: str, code: str) -> str:
    once, least, done = (escape(translate(text, language, least=str(LENGTHS[0]))) for text in (ONCE, LEAST, SET))
    return (
        f'<form method="post" action="/enter"><p>{once}</p>'
        f'<input type="hidden" name="code" value="{escape(code[:200])}">'
        f'<label>{least}<input type="password" name="password" autocomplete="new-password" minlength="{LENGTHS[0]}" '
        f"required autofocus></label><button>{done}</button></form>"
    )


def _given(request: Request, body: Credentials) -> SignIn:
    return SignIn(name=body.name, password=body.password, code=body.code, address=address_of(request.scope))
