"""The API: what every door uses, over HTTP on a Unix socket. Only JSON crosses it.

Errors are ``{"error": {"type", "message", "hint", "exit"}}``; ``exit`` is the command line's exit code.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from opsnb.base.errors import NotFoundError, OpsnbError, RefusedError, UnavailableError, UsageError
from opsnb.base.version import VERSION
from opsnb.control.app import App
from opsnb.control.flows.seal import Asked
from opsnb.control.flows.trust import trust, trusted
from opsnb.control.records import Mode
from opsnb.web.activation import activation_routes
from opsnb.web.people import people_routes
from opsnb.web.requests import request_routes

STATUS = ((NotFoundError, 404), (RefusedError, 403), (UnavailableError, 503), (UsageError, 422), (OpsnbError, 409))
MAX_BODY = 32 * 1024 * 1024  # bytes of one request
START_LOOK_SECONDS = 0.02  # between two looks whether a run has begun
OPEN = frozenset({"/healthz"})


class RunRequest(BaseModel):
    """What ``POST /api/runs`` takes."""

    model_config = ConfigDict(extra="forbid")

    runbook: str = Field(min_length=1, max_length=4096)
    texts: dict[str, str] = Field(default_factory=dict)
    values: dict[str, Any] = Field(default_factory=dict)
    hosts: str = Field(default="", max_length=4096)
    folder: str = Field(default="", max_length=4096)
    mode: Mode | None = None
    request: str = Field(default="", max_length=80)
    why: str = Field(default="", max_length=4000)
    submission: str = Field(default="", max_length=80)


class TrustRequest(BaseModel):
    """What ``POST /api/hosts/{host}/trust`` takes."""

    model_config = ConfigDict(extra="forbid")

    keys: list[str] = Field(min_length=1, max_length=16)
    instead_of: list[str] = Field(default_factory=list, max_length=16)


class Typed(BaseModel):
    """What ``POST /api/runs/{run}/input`` takes: base64, a window's columns and rows, the wish to end the session."""

    model_config = ConfigDict(extra="forbid")

    data: str = Field(default="", max_length=128 * 1024)
    size: tuple[int, int] | None = None
    end: bool = False


class Activity:
    """Whether anybody is being served: a transient control plane ends when nobody is."""

    def __init__(self) -> None:
        self.open = 0
        self.served = 0


def create(app: App, activity: Activity) -> FastAPI:
    """Return the API of one workspace."""
    api = FastAPI(title="opsnb", version=VERSION, openapi_url=None, docs_url=None, redoc_url=None)
    _errors(api)
    _guard(api, app, activity)
    _run_routes(api, app)
    _host_routes(api, app)
    _terminal_routes(api, app)
    _secret_routes(api, app)
    people_routes(api, app.services, lambda _: app.actor)
    activation_routes(api, app.services, lambda _: app.actor)
    request_routes(api, app, lambda _: app.actor)
    _other_routes(api, app)
    return api


def _guard(api: FastAPI, app: App, activity: Activity) -> None:
    expected = f"Bearer {app.token}".encode()

    @api.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        given = request.headers.get("authorization", "").encode()
        if request.url.path not in OPEN and not hmac.compare_digest(given, expected):
            return _answer(RefusedError("the API wants the bearer token in .opsnb/token"), 401)
        if int(request.headers.get("content-length") or 0) > MAX_BODY:
            return _answer(UsageError(f"a request has at most {MAX_BODY} bytes"), 413)
        activity.open += 1
        activity.served += 1
        try:
            return await call_next(request)
        finally:
            activity.open -= 1


def _run_routes(api: FastAPI, app: App) -> None:
    @api.post("/api/runs", status_code=201)
    def submit(body: RunRequest) -> dict[str, Any]:
        asked = Asked(
            runbook=body.runbook, texts=body.texts, values=body.values, hosts=body.hosts, folder=body.folder,
            mode=body.mode, why=body.why, submission=body.submission,
        )  # fmt: skip
        return app.run(app.submit(asked, request=body.request))

    @api.get("/api/runs")
    def listed(limit: int = 50, runbook: str = "") -> dict[str, Any]:
        return {"runs": app.runs(max(1, min(limit, 1000)), runbook)}

    @api.get("/api/runs/{run}")
    def show(run: str) -> dict[str, Any]:
        return app.run(run)

    @api.get("/api/runs/{run}/events")
    async def events(run: str) -> StreamingResponse:
        feed = await asyncio.to_thread(app.feed, run)

        async def lines() -> AsyncIterator[bytes]:
            async for event in feed.follow():
                yield json.dumps(event, ensure_ascii=True).encode() + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    @api.post("/api/runs/{run}/stop")
    def stop(run: str) -> dict[str, Any]:
        return app.stop(run)

    @api.post("/api/runs/{run}/undo", status_code=201)
    def undo(run: str) -> dict[str, Any]:
        return app.run(app.undo(run))

    @api.post("/api/runs/{run}/retry", status_code=201)
    def retry(run: str) -> dict[str, Any]:
        return app.run(app.retry(run))


def _host_routes(api: FastAPI, app: App) -> None:
    @api.post("/api/hosts/{host}/trust", status_code=201)
    def pin(host: str, body: TrustRequest) -> dict[str, Any]:
        return trust(app.services, host, body.keys, body.instead_of, app.person)

    @api.get("/api/hosts/{host}/trust")
    def pinned(host: str) -> dict[str, Any]:
        return {"host": host, "trusted": trusted(app.services, host)}


def _terminal_routes(api: FastAPI, app: App) -> None:
    @api.post("/api/runs/{run}/input")
    def typed(run: str, body: Typed) -> dict[str, Any]:
        terminal = app.terminal(run)
        if terminal is None:
            raise UnavailableError(f"run {run} has not begun", hint="type when its terminal is there")
        try:
            data = base64.b64decode(body.data, validate=True)
        except ValueError:
            raise UsageError("'data' is not base64") from None
        terminal.type(data, body.size, end=body.end)
        return {"taken": len(data)}

    @api.get("/api/runs/{run}/terminal")
    async def shown(run: str, request: Request) -> StreamingResponse:
        while (terminal := await asyncio.to_thread(app.terminal, run)) is None:
            if await request.is_disconnected():
                break
            await asyncio.sleep(START_LOOK_SECONDS)

        if terminal and terminal.attached:
            raise RefusedError(f"somebody is attached to run {run} already")

        async def there() -> bool:
            return not await request.is_disconnected()

        pieces = terminal.follow(there) if terminal else _nothing()
        return StreamingResponse(pieces, media_type="application/octet-stream")


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


def _secret_routes(api: FastAPI, app: App) -> None:
    """Secrets are written here and never read: no route returns a value, and no error repeats one."""

    @api.post("/api/secrets", status_code=201)
    def put(body: dict[str, Any]) -> dict[str, Any]:
        return app.set_secret(_text(body, "name"), _text(body, "value"), rotate=body.get("rotate") is True)

    @api.get("/api/secrets")
    def listed() -> dict[str, Any]:
        return {"secrets": app.secrets()}

    @api.post("/api/secrets/remove")
    def remove(body: dict[str, Any]) -> dict[str, Any]:
        return app.remove_secret(_text(body, "name"))

    @api.post("/api/secrets/rotate-key")
    def rotate_key() -> dict[str, Any]:
        return app.rotate_key()


def _text(body: dict[str, Any], name: str) -> str:
    """Return a field of a body; read by hand, for a schema's errors repeat what they refuse."""
    value = body.get(name)
    if not isinstance(value, str):
        raise UsageError(f"'{name}' must be text")
    return value


def _other_routes(api: FastAPI, app: App) -> None:
    @api.get("/healthz")
    def health() -> dict[str, Any]:
        return {"ok": True, "version": VERSION}

    @api.post("/api/audit/checkpoint")
    def checkpoint() -> dict[str, Any]:
        return app.checkpoint()

    @api.get("/api/audit/entries")
    def entries(run: str = "", limit: int = 100) -> dict[str, Any]:
        return app.entries(run, max(1, min(limit, 10_000)))

    @api.get("/api/audit/export/{run}")
    def export(run: str) -> Response:
        return Response(app.export(run), media_type="application/zip")

    @api.get("/api/audit/verify")
    def verify() -> dict[str, Any]:
        return app.verify_database()


def _errors(api: FastAPI) -> None:
    @api.exception_handler(RequestValidationError)
    async def shape(request: Request, error: RequestValidationError) -> JSONResponse:
        if request.url.path.startswith("/api/secrets"):  # its details repeat the body
            return _answer(UsageError("the body must be a JSON object"), 422)
        return await request_validation_exception_handler(request, error)

    @api.exception_handler(OpsnbError)
    async def ours(_: Request, error: OpsnbError) -> JSONResponse:
        return _answer(error, next(code for kind, code in STATUS if isinstance(error, kind)))


def _answer(error: OpsnbError, status: int) -> JSONResponse:
    value = {
        "type": type(error).__name__, "message": error.message, "hint": error.hint, "exit": error.exit_code,
    }  # fmt: skip
    return JSONResponse({"error": value}, status_code=status)
