"""HTTP over the workspace's Unix socket, or to the address that somebody signed in to; JSON in and out.

HTTP/1.0, one request a connection: the answer's body is what comes until the server closes, and as long as its
``Content-Length`` says where there is one. The standard library's client would cost every command 14 ms of imports
(docs/decisions/0008).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from opsnb.base.errors import (
    AlteredError,
    NotFoundError,
    NotSignedInError,
    OpsnbError,
    ParameterError,
    RefusedError,
    UnavailableError,
    UsageError,
)
from opsnb.base.workspace import Workspace
from opsnb.client.logins import login_of, place_of

KINDS = (
    AlteredError, NotFoundError, NotSignedInError, OpsnbError, ParameterError, RefusedError, UnavailableError,
    UsageError,
)  # fmt: skip
KNOWN = {cls.__name__: cls for cls in KINDS}
MAX_LINE = 64 * 1024  # bytes of a line of an answer's head
CONNECT_SECONDS = 15.0  # how long a connection may take
ANSWER_SECONDS = 60.0  # how long one answer may take; streams wait without end


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The head of an answer, and its body as a stream. ``length`` is -1 where the server named none.

    ``cookie`` is what the server wants to be sent with the next request.
    """

    status: int
    length: int
    body: BufferedReader
    cookie: str = ""

    def read(self) -> bytes:
        """Return the whole body.

        Raises:
            OSError: If it ended early.
        """
        data = self.body.read()
        if 0 <= self.length != len(data):
            raise ConnectionError(f"the answer broke off after {len(data)} of {self.length} bytes")
        return data


@contextlib.contextmanager
def asked(workspace: Workspace, timeout: float | None, request: bytes) -> Iterator[Answer]:
    """Send one request and yield its answer.

    Raises:
        OSError: If nobody answers, or not in HTTP.
    """
    with contextlib.closing(
        _elsewhere(workspace.url, timeout) if workspace.url else _here(workspace.socket, timeout)
    ) as sock:
        with contextlib.suppress(BrokenPipeError):  # it may refuse a large body before it has all of it
            sock.sendall(request)
        with sock.makefile("rb") as stream:
            yield _answer(stream)


def _here(path: Path, timeout: float | None) -> socket.socket:
    """Connect to the Unix socket, through its directory, so that long paths work too."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sock.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
    except OSError:
        sock.close()
        raise
    return sock


def _elsewhere(url: str, timeout: float | None) -> socket.socket:
    """Connect to an address; with TLS its certificate must be good for it."""
    host, port, secure = place_of(url)
    context = None
    if secure:
        from opsnb.client.unanswered import context_of

        context = context_of(url)
    sock = socket.create_connection((host, port), CONNECT_SECONDS)
    try:
        sock.settimeout(timeout)
        return context.wrap_socket(sock, server_hostname=host) if context else sock
    except OSError:
        sock.close()
        raise


def _answer(stream: BufferedReader) -> Answer:
    first = stream.readline(MAX_LINE).split()
    if len(first) < 2 or not first[0].startswith(b"HTTP/1") or not first[1].isdigit():  # noqa: PLR2004  (version, status)
        raise ConnectionError("the answer is not HTTP" if first else "the connection was closed without an answer")
    length, cookie = -1, ""
    while (line := stream.readline(MAX_LINE).strip()) != b"":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
        if name.lower() == b"set-cookie":
            cookie = value.partition(b";")[0].strip().decode("latin-1")
    return Answer(status=int(first[1]), length=length, body=stream, cookie=cookie)


class Client:
    """The API of one workspace.

    Args:
        workspace: Here, or elsewhere by its address.
        secret: The token to use; the one that is kept for the workspace where there is none.
        cookie: A session's, instead of a token.
    """

    def __init__(self, workspace: Workspace, secret: str | None = None, cookie: str = "") -> None:
        self.workspace, self._secret, self._cookie = workspace, secret, cookie

    def session(self, name: str, password: str, code: str) -> Client:
        """Sign in as a browser does, and return the API as that session has it: a token may not do everything."""
        _, cookie = self._call("POST", "/api/session", {"name": name, "password": password, "code": code}, {})
        return Client(self.workspace, "", cookie)

    def _token(self) -> str:
        if self._secret is not None:
            return self._secret
        if not self.workspace.url:
            return self.workspace.token.read_text(encoding="ascii").strip()
        login = login_of(self.workspace.url)
        if login is None or not login.secret:
            raise NotSignedInError(
                f"nobody is signed in to {self.workspace.url}", hint=f"opsnb login {self.workspace.url}"
            )
        return login.secret

    def get(self, path: str, /, **query: Any) -> Any:
        """Return the JSON answer of a GET."""
        return self._json("GET", path, None, query)

    def post(self, path: str, body: Any = None) -> Any:
        """Return the JSON answer of a POST."""
        return self._json("POST", path, body, {})

    def download(self, path: str) -> bytes:
        """Return the bytes of a GET."""
        return self._call("GET", path, None, {})[0]

    def kept(self, run: str, path: str) -> bytes:
        """Return a file of a run's record."""
        return self._call("GET", f"/api/runs/{quote(run)}/file", None, {"path": path})[0]

    def events(self, run: str) -> Iterator[dict[str, Any]]:
        """Yield a run's events from its first to its end.

        Raises:
            UnavailableError: If the control plane ends before the run does.
        """
        try:
            with self._ask("GET", f"/api/runs/{quote(run)}/events", None, None) as answer:
                if answer.status >= 300:  # noqa: PLR2004  (HTTP; nothing of ours leads elsewhere)
                    raise self._error(answer.status, answer.read())
                while line := answer.body.readline():
                    yield json.loads(line)
        except (OSError, ValueError) as error:  # also in the middle of a line
            raise UnavailableError(f"the control plane went away: {error}") from error

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[BufferedReader]:
        """Yield the body of a GET as it comes.

        Raises:
            UnavailableError: If the control plane is not there.
        """
        try:
            with self._ask("GET", path, None, None) as answer:
                if answer.status >= 300:  # noqa: PLR2004  (HTTP; nothing of ours leads elsewhere)
                    raise self._error(answer.status, answer.read())
                yield answer.body
        except OSError as error:
            raise UnavailableError(f"the control plane went away: {error}") from error

    def _call(self, method: str, path: str, body: Any, query: dict[str, Any]) -> tuple[bytes, str]:
        """Return the body of an answer, and its cookie."""
        target = path + (f"?{urlencode(query)}" if query else "")
        try:
            with self._ask(method, target, body, ANSWER_SECONDS) as answer:
                data = answer.read()
        except OSError as error:
            from opsnb.client.unanswered import nobody

            raise nobody(self.workspace, error) from error
        if answer.status >= 300:  # noqa: PLR2004  (HTTP; nothing of ours leads elsewhere)
            raise self._error(answer.status, data)
        return data, answer.cookie

    def _json(self, method: str, path: str, body: Any, query: dict[str, Any]) -> Any:
        data, _ = self._call(method, path, body, query)
        try:
            return json.loads(data)
        except ValueError:
            raise self._error(200, data) from None

    def _error(self, status: int, data: bytes) -> OpsnbError:
        if (error := error_of(data)) is not None:
            return error
        from opsnb.client.unanswered import stranger

        return stranger(self.workspace, status, data)

    def _ask(
        self, method: str, target: str, body: Any, timeout: float | None
    ) -> contextlib.AbstractContextManager[Answer]:
        token, host = self._token(), self.workspace.url.partition("://")[2] or "localhost"
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {target} HTTP/1.0\r\nHost: {host}\r\n"
        head += f"Authorization: Bearer {token}\r\n" if token else ""
        head += f"Cookie: {self._cookie}\r\nX-Opsnb: 1\r\n" if self._cookie else ""
        if body is not None:
            head += "Content-Type: application/json\r\n"
        if method == "POST":
            head += f"Content-Length: {len(data)}\r\n"
        return asked(self.workspace, timeout, head.encode("ascii") + b"\r\n" + data)


def error_of(data: bytes) -> OpsnbError | None:
    """Return the exception that an error answer describes; nothing where the answer is none of ours."""
    try:
        value = json.loads(data)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    found = value.get("error")
    if isinstance(found, dict) and found.keys() >= {"type", "message", "hint", "exit"}:
        error = KNOWN.get(found["type"], OpsnbError)(found["message"], hint=found["hint"])
        error.exit_code = int(found["exit"])
        return error
    if "detail" in value:
        return UsageError(f"the control plane refused the request: {json.dumps(value['detail'])[:500]}")
    return None
