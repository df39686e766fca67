"""Routes for signing in with a provider, the plain pages on that way, and for binding people to who they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from html import escape
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, StringConstraints

from opsnb.base.errors import OpsnbError
from opsnb.base.i18n import mark, retell, translate
from opsnb.control.app import App
from opsnb.control.flows import lobby, outside, sso
from opsnb.control.flows.lobby import Arrived
from opsnb.control.people.identities import Source
from opsnb.control.people.tokens import LIMITS, TokenKind
from opsnb.web.acting import acting
from opsnb.web.answers import status_of
from opsnb.web.guard import COOKIE, address_of
from opsnb.web.pages import page, reads

Text = Annotated[str, StringConstraints(max_length=4096)]
KEPT = "opsnb_sso"  # what a browser has to bring back from the provider
WAY = "/login/oidc"
MOST_QUERY = 4096  # characters of one value
FORM_FIELDS = 10
SIGNED_IN = mark("You are signed in as {name}.")
GO_ON = mark("Go on")
AGAIN = mark("Begin again")
CODE = mark("The code of your authenticator")
SEND = mark("Sign in with it")
TERMINAL = mark("A terminal wants to act as {name}: {label}")
ONLY = mark("Go on only if you typed opsnb login there yourself, just now. Otherwise somebody else would act as you.")
LET = mark("It is mine: show the code")
TYPE = mark("Type this code into the terminal, within five minutes. Give it to nobody.")


class Typed(BaseModel):
    """What ``POST /api/login/sso`` takes: the code that a person typed into a terminal, and the terminal's secret."""

    model_config = ConfigDict(extra="forbid")

    code: Text
    verifier: Text
    label: Annotated[str, StringConstraints(max_length=80)] = ""


class Bound(BaseModel):
    """What ``POST /api/users/{name}/identity`` takes: where, and who; without ``bound`` it is taken away."""

    model_config = ConfigDict(extra="forbid")

    source: Source
    subject: Annotated[str, StringConstraints(max_length=255)] = ""
    bound: bool = True


def sso_routes(api: FastAPI, app: App) -> None:
    """Add the routes."""
    _api(api, app)
    _there(api, app)
    _here(api, app)


def _api(api: FastAPI, app: App) -> None:
    @api.get("/api/login")
    def ways() -> dict[str, Any]:
        """Say by which ways one may sign in here."""
        login = app.services.settings.login
        return {"password": True, "directory": login.ldap is not None, "provider": login.oidc is not None}

    @api.post("/api/login/sso", status_code=201)
    def typed(request: Request, body: Typed) -> dict[str, Any]:
        """Sign in from a terminal by a code that a browser showed: the answer holds an API token, shown this once."""
        label, address = body.label or "opsnb login", address_of(request.scope)
        secret, token = sso.redeem(app.services, app.lobby, body.code, body.verifier, label, address)
        return {"secret": secret, "id": token.id, "expires": token.expires.isoformat()}

    @api.post("/api/users/{name}/identity")
    def identity(request: Request, name: str, body: Bound) -> dict[str, Any]:
        """Have somebody sign in by what they are in the directory or at the provider, or no more."""
        if body.bound:
            return outside.bind(app.services, acting(request), name, body.source, body.subject)
        return outside.unbind(app.services, acting(request), name, body.source)


def _there(api: FastAPI, app: App) -> None:
    """The way to the provider and back."""

    @api.get(WAY, include_in_schema=False)
    def begin(request: Request) -> Response:
        asked = {name: request.query_params.get(name, "")[:MOST_QUERY] for name in ("next", "terminal", "label")}

        def made() -> Response:
            where, kept = sso.begin(
                app.services, app.lobby, next_=asked["next"], terminal=asked["terminal"], label=asked["label"]
            )
            answer = RedirectResponse(where, 303)
            answer.set_cookie(
                KEPT, kept, max_age=int(sso.BEGUN_SECONDS), path=WAY, httponly=True, samesite="lax",
                secure=_is_secure(app, request),
            )  # fmt: skip
            return answer

        return _said(app, request, made)

    @api.get(f"{WAY}/back", include_in_schema=False)
    def back(request: Request) -> Response:
        given = {name: request.query_params.get(name, "")[:MOST_QUERY] for name in ("state", "code", "iss")}

        def made() -> Response:
            arrived = sso.back(
                app.services, app.lobby, request.cookies.get(KEPT, ""), state=given["state"], code=given["code"],
                issuer=given["iss"], address=address_of(request.scope),
            )  # fmt: skip
            return _arrived(app, request, arrived)

        answer = _said(app, request, made)
        answer.delete_cookie(KEPT, path=WAY)
        return answer


def _here(api: FastAPI, app: App) -> None:
    """What is still to be done here."""

    @api.post(f"{WAY}/code", include_in_schema=False)
    async def code(request: Request) -> Response:
        fields = await _fields(request)

        def made() -> Response:
            address = address_of(request.scope)
            arrived = sso.give_code(app.services, app.lobby, fields["ticket"], fields["code"], address)
            return _arrived(app, request, arrived)

        return await asyncio.to_thread(_said, app, request, made)

    @api.post(f"{WAY}/terminal", include_in_schema=False)
    async def terminal(request: Request) -> Response:
        fields = await _fields(request)

        def made() -> Response:
            _, shown = sso.let_terminal_in(app.lobby, fields["ticket"])
            words = translate(TYPE, reads(app, request))
            return page(app, request, f"<p>{escape(words)}<code>{escape(shown)}</code>")

        return await asyncio.to_thread(_said, app, request, made)


async def _fields(request: Request) -> dict[str, str]:
    found = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=FORM_FIELDS)
    return {name: found.get(name, [""])[0][:MOST_QUERY] for name in ("ticket", "code")}


def _arrived(app: App, request: Request, arrived: Arrived) -> Response:
    """Return the page that says how it goes on; with a session's cookie where that was all."""
    language, name = reads(app, request), arrived.person.name

    def say(text: str, **values: str) -> str:
        return escape(translate(text, language, **values))

    if arrived.code:
        field = (
            f'<label>{say(CODE)}<input name="code" inputmode="numeric" autocomplete="one-time-code" required autofocus>'
        )
        return page(app, request, _form("code", arrived.ticket, field + "</label>", say(SEND)))
    if arrived.ticket:
        words = f"<p><strong>{say(TERMINAL, name=name, label=arrived.label or '?')}</strong><p>{say(ONLY)}"
        return page(app, request, words + _form("terminal", arrived.ticket, "", say(LET)))
    where = escape(arrived.next)
    link = f'<p><a href="{where}">{say(GO_ON)}</a>' if where else ""
    answer = page(app, request, f"<p>{say(SIGNED_IN, name=name)}{link}")
    answer.set_cookie(
        COOKIE, arrived.secret, max_age=int(LIMITS[TokenKind.SESSION]), path="/", httponly=True, samesite="strict",
        secure=_is_secure(app, request),
    )  # fmt: skip
    return answer


def _form(action: str, ticket: str, inside: str, button: str) -> str:
    hidden = f'<input type="hidden" name="ticket" value="{escape(ticket)}">'
    return f'<form method="post" action="{WAY}/{action}">{hidden}{inside}<button>{button}</button></form>'


def _said(app: App, request: Request, made: Callable[[], Response]) -> Response:
    """Return an answer, or the page that says why there is none."""
    try:
        return made()
    except OpsnbError as error:
        language = reads(app, request)
        hint = f"<p>{escape(retell(error.hint, language))}" if error.hint not in {"", lobby.AGAIN} else ""
        again = f'<p><a href="{WAY}">{escape(translate(AGAIN, language))}</a>'
        inside = f"<p><strong>{escape(retell(error.message, language))}</strong>{hint}{again}"
        return page(app, request, inside, status_of(error))


def _is_secure(app: App, request: Request) -> bool:
    """Whether cookies go by TLS alone: this is TLS, or the provider sends people back by it (a proxy in front)."""
    there = app.services.settings.login.oidc
    return request.url.scheme == "https" or (there is not None and there.redirect.startswith("https://"))
