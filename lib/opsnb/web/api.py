"""The API: what every door uses, over HTTP on a Unix socket and, with ``--listen``, on TCP. Only JSON crosses it."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import logging
from collections.abc import AsyncIterator, Iterable, MutableMapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from opsnb.base.errors import OpsnbError, RefusedError, UnavailableError, UsageError
from opsnb.base.version import VERSION
from opsnb.control.app import App
from opsnb.control.flows import reading
from opsnb.control.flows.allow import permit_trust
from opsnb.control.flows.seal import Asked
from opsnb.control.flows.trust import trust, trusted
from opsnb.control.records import Mode
from opsnb.web.about import about_routes
from opsnb.web.acting import acting
from opsnb.web.activation import activation_routes
from opsnb.web.answers import MEANINGS, Failed, bytes_of, status_of
from opsnb.web.credentials import credential_routes
from opsnb.web.enter import enter_routes
from opsnb.web.guard import Activity, Guard
from opsnb.web.people import people_routes
from opsnb.web.reading import reading_routes
from opsnb.web.requests import WITHOUT_NUL, request_routes
from opsnb.web.sso import sso_routes

LOG = logging.getLogger("opsnb")
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
START_LOOK_SECONDS = 0.02  # between two looks whether a run has begun
MOST_WRONG = 5  # fields that an error names
ABOUT = "Everything that `opsnb` does on the command line. Sign in with a bearer token, or with a session's cookie."


class RunRequest(BaseModel):
    """What ``POST /api/runs`` takes; ``files`` come along in base64, by the name that a file parameter gives."""

    model_config = ConfigDict(extra="forbid")

    runbook: str = Field(min_length=1, max_length=4096)
    texts: dict[str, str] = Field(default_factory=dict)
    values: dict[str, Any] = Field(default_factory=dict)
    hosts: str = Field(default="", max_length=4096)
    folder: str = Field(default="", max_length=4096, pattern=WITHOUT_NUL)
    mode: Mode | None = None
    request: str = Field(default="", max_length=80)
    why: str = Field(default="", max_length=4000)
    submission: str = Field(default="", max_length=80)
    files: dict[str, str] = Field(default_factory=dict, max_length=100)


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


def create(app: App, activity: Activity, names: Iterable[str] = ()) -> FastAPI:
    """Return the API of one workspace.

    Args:
        app: The control plane.
        activity: Is told when somebody is served.
        names: Names by which this machine is reached, besides its addresses.
    """
    api = FastAPI(
        title="opsnb", version=VERSION, openapi_url=None, docs_url=None, redoc_url=None, description=ABOUT,
        responses={code: {"model": Failed, "description": text} for code, text in MEANINGS.items()},
        generate_unique_id_function=lambda route: f"{route.name}_{'_'.join(route.path.split('/')[2:]) or route.name}",
    )  # fmt: skip
    _errors(api)
    api.add_middleware(Guard, app=app, activity=activity, route=lambda scope: _path_of(api, scope), names=names)
    _run_routes(api, app)
    _record_routes(api, app)
    _host_routes(api, app)
    _terminal_routes(api, app)
    _secret_routes(api, app)
    reading_routes(api, app.services, acting)
    people_routes(api, app.services, acting)
    activation_routes(api, app.services, acting)
    request_routes(api, app, acting)
    enter_routes(api, app)
    sso_routes(api, app)
    credential_routes(api, app.services)
    about_routes(api, app)
    _audit_routes(api, app)
    return api


def _path_of(api: FastAPI, scope: MutableMapping[str, Any]) -> str:
    """Return the path, as it is written, of the route that would answer; empty for none."""
    for route in api.router.routes:
        if route.matches(scope)[0] is Match.FULL:
            return str(getattr(route, "path", ""))
    return ""


def _run_routes(api: FastAPI, app: App) -> None:
    @api.post("/api/runs", status_code=201)
    def submit(request: Request, body: RunRequest) -> dict[str, Any]:
        """Ask for a run: it is sealed and queued. Mode apply carries out an approved request."""
        actor = acting(request)
        near = actor.via == "local"
        asked = Asked(
            runbook=body.runbook, texts=body.texts, values=body.values, hosts=body.hosts,
            folder=body.folder if near else "",
            mode=body.mode, why=body.why, submission=body.submission, afar=not near,
            uploads={name: _decoded(text, f"files.{name[:100]}") for name, text in body.files.items()},
        )  # fmt: skip
        return app.run(app.submit(asked, request=body.request, actor=actor), actor)

    @api.get("/api/runs")
    def listed(request: Request, limit: int = 50, runbook: str = "") -> dict[str, Any]:
        """List the latest runs that the caller may see, newest first."""
        return {"runs": app.runs(max(1, min(limit, 1000)), runbook, acting(request))}

    @api.get("/api/runs/{run}")
    def show(request: Request, run: str) -> dict[str, Any]:
        """Show one run: state, verdict, result."""
        return app.run(run, acting(request))

    @api.get("/api/runs/{run}/events")
    async def events(request: Request, run: str) -> StreamingResponse:
        """Follow a run: its events as lines of JSON, from its first to its end."""
        feed = await asyncio.to_thread(app.feed, run, acting(request))

        async def lines() -> AsyncIterator[bytes]:
            async for event in feed.follow():
                yield json.dumps(event, ensure_ascii=True).encode() + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    @api.post("/api/runs/{run}/stop")
    def stop(request: Request, run: str) -> dict[str, Any]:
        """Stop a run: one's own, or another's for who may apply it."""
        return app.stop(run, acting(request))

    @api.post("/api/runs/{run}/undo", status_code=201)
    def undo(request: Request, run: str) -> dict[str, Any]:
        """Queue the undoing of what a run applied."""
        return app.run(app.undo(run, acting(request)), acting(request))

    @api.post("/api/runs/{run}/retry", status_code=201)
    def retry(request: Request, run: str) -> dict[str, Any]:
        """Queue what an application did not finish."""
        return app.run(app.retry(run, acting(request)), acting(request))


def _record_routes(api: FastAPI, app: App) -> None:
    @api.get(
        "/api/runs/{run}/file",
        response_class=FileResponse,
        responses={200: {"content": {"application/octet-stream": {}}}},
    )
    def kept(request: Request, run: str, path: str) -> FileResponse:
        """Return a file of a run's record, as its manifest lists it."""
        return FileResponse(
            app.kept_file(run, path, acting(request)), media_type="application/octet-stream", filename="file",
        )  # fmt: skip


def _host_routes(api: FastAPI, app: App) -> None:
    @api.post("/api/hosts/{host}/trust", status_code=201)
    def pin(request: Request, host: str, body: TrustRequest) -> dict[str, Any]:
        """Pin a host's keys."""
        permit_trust(app.services, acting(request), host)
        return trust(app.services, host, body.keys, body.instead_of, acting(request).person)

    @api.get("/api/hosts/{host}/trust")
    def pinned(request: Request, host: str) -> dict[str, Any]:
        """Show who trusted which keys of a host that one may see."""
        reading.host(app.services, acting(request), host)
        return {"host": host, "trusted": trusted(app.services, host)}


def _terminal_routes(api: FastAPI, app: App) -> None:
    @api.post("/api/runs/{run}/input")
    def typed(request: Request, run: str, body: Typed) -> dict[str, Any]:
        """Type into a session that one asked for."""
        terminal = app.terminal(run, acting(request))
        if terminal is None:
            raise UnavailableError(f"run {run} has not begun", hint="type when its terminal is there")
        data = _decoded(body.data, "data")
        terminal.type(data, body.size, end=body.end)
        return {"taken": len(data)}

    @api.get("/api/runs/{run}/terminal")
    async def shown(run: str, request: Request) -> StreamingResponse:
        """Follow what a session that one asked for shows."""
        while (terminal := await asyncio.to_thread(app.terminal, run, acting(request))) is None:
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
    def put(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        """Store a secret's value."""
        name, value, rotate = _text(body, "name"), _text(body, "value"), body.get("rotate") is True
        return app.set_secret(name, value, rotate=rotate, actor=acting(request))

    @api.get("/api/secrets")
    def listed() -> dict[str, Any]:
        """List what is stored; no value."""
        return {"secrets": app.secrets()}

    @api.post("/api/secrets/remove")
    def remove(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        """Delete a stored secret."""
        return app.remove_secret(_text(body, "name"), acting(request))

    @api.post("/api/secrets/rotate-key")
    def rotate_key(request: Request) -> dict[str, Any]:
        """Encrypt every stored secret anew under a new key."""
        return app.rotate_key(acting(request))


def _decoded(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise UsageError(f"'{name}' is not base64") from None


def _text(body: dict[str, Any], name: str) -> str:
    """Return a field of a body; read by hand, for a schema's errors repeat what they refuse."""
    value = body.get(name)
    if not isinstance(value, str):
        raise UsageError(f"'{name}' must be text")
    return value


def _audit_routes(api: FastAPI, app: App) -> None:
    @api.post("/api/audit/checkpoint")
    def checkpoint() -> dict[str, Any]:
        """Publish the ledger and return its newest signed head."""
        return app.checkpoint()

    @api.get("/api/audit/entries")
    def entries(run: str = "", limit: int = 100) -> dict[str, Any]:
        """Show ledger entries: those of one run, or the latest."""
        return app.entries(run, max(1, min(limit, 10_000)))

    @api.get("/api/audit/export/{run}")
    def export(run: str) -> Response:
        """Return one run as a zip that anyone verifies offline."""
        return Response(app.export(run), media_type="application/zip")

    @api.get("/api/audit/verify")
    def verify() -> dict[str, Any]:
        """Hash every entry in the database and compare with the head that was signed last."""
        return app.verify_database()


def _errors(api: FastAPI) -> None:
    @api.exception_handler(RequestValidationError)
    async def shape(request: Request, error: RequestValidationError) -> Response:
        """Say which field is wrong and how, never what it held: it may be a secret."""
        wrong = [f"{'.'.join(str(part) for part in row['loc'])[:100]}: {row['msg'][:200]}" for row in error.errors()]
        plain = request.method == "POST" and "json" not in request.headers.get("content-type", "")
        hint = "send JSON, with Content-Type: application/json" if plain else "/api/openapi.json says what it takes"
        return _answer(UsageError("; ".join(wrong[:MOST_WRONG]), hint=hint))

    @api.exception_handler(HTTPException)
    async def framework(_: Request, error: HTTPException) -> Response:
        """Give what the framework refuses (a body that is no text, say) our form."""
        return Response(bytes_of(UsageError(str(error.detail)[:200])), error.status_code, media_type="application/json")

    @api.exception_handler(OpsnbError)
    async def ours(_: Request, error: OpsnbError) -> Response:
        return _answer(error)

    @api.exception_handler(OperationalError)
    async def stopped(_: Request, error: OperationalError) -> Response:
        """The database does not do what it is told, of a full disk as a rule; the transaction is rolled back."""
        return _unwritable("the database could not record it", str(error.orig))

    @api.exception_handler(OSError)
    async def full(_: Request, error: OSError) -> Response:
        if error.errno not in FULL:
            raise error
        return _unwritable("a file of the workspace could not be written", str(error.strerror))


def _unwritable(what: str, why: str) -> Response:
    LOG.error("%s: %s", what, why)
    return _answer(UnavailableError(f"{what}: {why}", hint="opsnb doctor   says where space is missing"))


def _answer(error: OpsnbError) -> Response:
    return Response(bytes_of(error), status_of(error), media_type="application/json")
