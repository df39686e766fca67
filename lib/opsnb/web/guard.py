"""The guard in front of every route: where a request comes from, how large it is, who acts, and whether they may.

In this order, and the first that says no answers:

1. The ``Host`` header names this machine by address, as ``localhost``, or by a name given with ``--name``: a page of
   another site that had its own name resolved to this machine (DNS rebinding) gets nothing.
2. The route is in the table (:mod:`.table`); nothing else is there for anybody.
3. Whose process it is: a run asks the API for nothing, with whatever token (:mod:`.peers`); that is written down.
4. Who acts: the bearer token in ``.opsnb/``, an API token, or a session's cookie. A cookie is good for a change only
   with this site's ``Origin`` or the header ``X-Opsnb``, which another site's page can not send.
5. Whether they may, by :mod:`opsnb.control.people.rules`.
6. The body, as it comes: no more bytes and no more seconds than allowed.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from opsnb.base.clock import now
from opsnb.base.errors import NotFoundError, NotSignedInError, OpsnbError, RefusedError, UsageError
from opsnb.control.app import App
from opsnb.control.flows.enter import actor_of
from opsnb.control.flows.people import permit, permit_somewhere
from opsnb.control.flows.refuse import refuse_run
from opsnb.control.people.store import directory
from opsnb.control.people.tokens import TokenKind
from opsnb.control.people.values import Action, Actor, Target
from opsnb.control.runs.callers import UntoldError
from opsnb.web.answers import bytes_of, status_of
from opsnb.web.peers import STATE
from opsnb.web.table import TABLE, Door, Needs

COOKIE = "opsnb_session"
HEADER = "x-opsnb"
MOST_HEAD = 32 * 1024  # bytes of headers
BODY_SECONDS = 60.0  # how long a body may take to arrive
SAFE = frozenset({"GET", "HEAD"})
POLICY = b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)  # fmt: skip
STRICT = (b"strict-transport-security", b"max-age=31536000")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
Route = Callable[[Scope], str]  # returns the path of the route that would answer, as it is written; empty for none


class Activity:
    """Whether anybody is being served: a transient control plane ends when nobody is."""

    def __init__(self) -> None:
        self.open = 0
        self.served = 0


class Guard:
    """The guard, around an ASGI application.

    Args:
        inner: The routes.
        app: The control plane.
        activity: Is told when somebody is served.
        route: Says which route would answer.
        names: Names by which this machine is reached, besides its addresses.
    """

    def __init__(self, inner: Asgi, *, app: App, activity: Activity, route: Route, names: Iterable[str] = ()) -> None:
        self._inner, self._app, self._activity, self._route = inner, app, activity, route
        self._names = frozenset(name.casefold() for name in names) | {"localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
        if scope["type"] != "http":
            return
        self._activity.open += 1
        self._activity.served += 1
        try:
            await self._serve(scope, receive, _Hardened(scope, send))
        finally:
            self._activity.open -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: _Hardened) -> None:
        try:
            needs = await asyncio.to_thread(self._let_in, scope)
            body = await _whole(receive, _headers(scope).get("content-length", ""), needs.body)
            await self._inner(scope, body, send)
        except TooLargeError as error:
            await send.refuse(error, error.status)
        except OpsnbError as error:
            await send.refuse(error, status_of(error))

    def _let_in(self, scope: Scope) -> Needs:
        """Return what the route needs, when that is given; the actor then stands in the request's state."""
        headers = _headers(scope)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEAD:
            raise TooLargeError(MOST_HEAD, "head", 431)
        if not is_unix(scope):
            self._check_host(headers.get("host", ""))
        method, path = scope["method"], self._route(scope)
        needs = TABLE.get(f"{method} {path}")
        if needs is None or not _harmless(needs, method):
            self._refuse_runs(scope, headers, f"{method} {path or 'what is not there'}")
        if needs is not None and (needs.door is Door.ANYBODY or (needs.door is Door.NEAR and is_near(scope))):
            if method not in SAFE and COOKIE in headers.get("cookie", ""):
                _check_origin(scope, headers)
            return needs
        actor = self._actor(scope, headers)
        if needs is None:
            raise NotFoundError(f"the API has no {method} {scope['path'][:200]}", hint="see /api")
        self._permit(actor, needs)
        scope.setdefault("state", {})["actor"] = actor
        return needs

    def _check_host(self, host: str) -> None:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name.casefold() in self._names or _is_address(name.strip("[]")):
            return
        raise RefusedError(
            f"this control plane is not called '{name[:100]}'", hint="use its address, or start it with --name NAME"
        )

    def _refuse_runs(self, scope: Scope, headers: dict[str, str], asked: str) -> None:
        """Refuse what a run asks, also with a token that holds: it is somebody's, and none of a run's."""
        peer = scope.get("state", {}).get(STATE)
        if peer is None:
            return
        user = self._app.services.launcher.user
        try:
            caller = peer.caller({user.uid} if user else ())
        except UntoldError as error:
            raise RefusedError(
                f"it cannot be told that this is no run: {error}",
                hint="keep the connection open until the answer is there; over a tunnel, connect to the Unix socket",
            ) from None
        if caller is not None and caller.run:
            refuse_run(self._app.services, caller.above, asked, self._whose(scope, headers))

    def _whose(self, scope: Scope, headers: dict[str, str]) -> str:
        """Return whose token a request carries, empty where it has none that holds."""
        try:
            return self._actor(scope, headers).person.name
        except OpsnbError:
            return ""

    def _actor(self, scope: Scope, headers: dict[str, str]) -> Actor:
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind.casefold() == "bearer":
            if hmac.compare_digest(secret.strip().encode("utf-8", "replace"), self._app.token.encode()):
                return self._app.actor
            return actor_of(self._app.services, secret.strip(), TokenKind.API)
        if secret := _cookie(headers.get("cookie", "")):
            if scope["method"] not in SAFE:
                _check_origin(scope, headers)
            return actor_of(self._app.services, secret, TokenKind.SESSION)
        raise NotSignedInError(
            "the API wants a bearer token, or a session",
            hint="on this machine it lies in .opsnb/token; from elsewhere: opsnb login URL",
        )

    def _permit(self, actor: Actor, needs: Needs) -> None:
        with self._app.services.database.transaction() as connection:
            there = directory(connection)
        if not there.is_active(actor.person.id):
            raise NotSignedInError(f"{actor.person.name} is inactive")
        action = Action.READ if needs.door is Door.NEAR else needs.action
        if action is None:
            return
        if needs.here:
            permit(there, actor, action, Target(), now())
        else:
            permit_somewhere(there, actor, action, now())


def _harmless(needs: Needs, method: str) -> bool:
    """Whether a route gives nothing away and changes nothing, so that it need not be told who asks."""
    return needs.door is Door.NEAR or (needs.door is Door.ANYBODY and method in SAFE)


class TooLargeError(UsageError):
    """The body or the head of a request has too many bytes. ``status`` is HTTP's."""

    def __init__(self, most: int, part: str = "body", status: int = 413) -> None:
        super().__init__(f"the {part} of this request has at most {most} bytes")
        self.status = status


async def _whole(receive: Receive, length: str, most: int) -> Receive:
    """Return what hands on a request's body, once all of it is there, counted and timed."""
    if length.isdigit() and len(length) < 20 and int(length) > most:  # noqa: PLR2004  (digits)
        raise TooLargeError(most)
    data, more = bytearray(), True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                data += message.get("body", b"")
                more = message.get("more_body", False)
                if len(data) > most:
                    raise TooLargeError(most)
    except TimeoutError:
        raise UsageError(f"the body did not arrive within {BODY_SECONDS:g} s") from None
    waiting: list[Message] = [{"type": "http.request", "body": bytes(data), "more_body": False}]

    async def handed() -> Message:
        return waiting.pop() if waiting else await receive()

    return handed


class _Hardened:
    """Adds the headers that every answer carries, and answers for the guard."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send, self._secure, self._begun = send, scope.get("scheme") == "https", False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            there = {name for name, _ in message.get("headers", ())}
            more = [pair for pair in HEADERS if pair[0] not in there] + ([STRICT] if self._secure else [])
            message["headers"] = [*message.get("headers", ()), *more]
        await self._send(message)

    async def refuse(self, error: OpsnbError, status: int) -> None:
        """Answer with an error, unless an answer has begun."""
        if self._begun:
            raise error
        data = bytes_of(error)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
        headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []  # noqa: PLR2004  (HTTP)
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": data})


def is_unix(scope: Scope) -> bool:
    """Whether a request came through the Unix socket, which its owner alone may open."""
    server = scope.get("server")
    return server is not None and server[1] is None


def is_near(scope: Scope) -> bool:
    """Whether a request comes from this machine."""
    if is_unix(scope):
        return True
    client = scope.get("client")
    return client is not None and _is_address(client[0]) and ipaddress.ip_address(client[0]).is_loopback


def address_of(scope: Scope) -> str:
    """Return the address that a request comes from; empty for the Unix socket."""
    client = scope.get("client")
    return "" if is_unix(scope) or client is None else str(client[0])


def _check_origin(scope: Scope, headers: dict[str, str]) -> None:
    own = f"{scope.get('scheme', 'http')}://{headers.get('host', '')}"
    if headers.get(HEADER) or headers.get("origin") == own:
        return
    raise RefusedError(
        "a session's cookie changes nothing without this site's Origin or the header X-Opsnb",
        hint="another site's page may have sent this",
    )


def _cookie(text: str) -> str:
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
