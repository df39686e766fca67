"""HTTP over the workspace's Unix socket, JSON in and out."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from opsnb.base.errors import (
    AlteredError,
    NotFoundError,
    OpsnbError,
    ParameterError,
    RefusedError,
    UnavailableError,
    UsageError,
)
from opsnb.base.workspace import Workspace

KNOWN = {
    cls.__name__: cls
    for cls in (AlteredError, NotFoundError, OpsnbError, ParameterError, RefusedError, UnavailableError, UsageError)
}
ANSWER_SECONDS = 60.0  # how long one answer may take; streams wait without end


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, reached through its directory so that long paths work too."""

    def __init__(self, workspace: Workspace, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._workspace = workspace

    def connect(self) -> None:
        """Connect to the socket."""
        path = self._workspace.socket
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)


class Client:
    """The API of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON answer of a GET."""
        return json.loads(self._call("GET", path, None, query))

    def post(self, path: str, body: Any = None) -> Any:
        """Return the JSON answer of a POST."""
        return json.loads(self._call("POST", path, body, {}))

    def download(self, path: str) -> bytes:
        """Return the bytes of a GET."""
        return self._call("GET", path, None, {})

    def events(self, run: str) -> Iterator[dict[str, Any]]:
        """Yield a run's events from its first to its end.

        Raises:
            UnavailableError: If the control plane ends before the run does.
        """
        connection = UnixConnection(self.workspace, None)
        try:
            answer = self._send(connection, "GET", f"/api/runs/{quote(run)}/events", None)
            if answer.status >= 400:  # noqa: PLR2004  (HTTP)
                raise error_of(answer.read())
            while line := answer.readline():
                yield json.loads(line)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"the control plane went away: {error}") from error
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: Any, query: dict[str, Any]) -> bytes:
        connection = UnixConnection(self.workspace, ANSWER_SECONDS)
        try:
            answer = self._send(connection, method, path + (f"?{urlencode(query)}" if query else ""), body)
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(
                f"no control plane answers in {self.workspace.root}: {error}", hint="start it with: opsnb up"
            ) from error
        finally:
            connection.close()
        if answer.status >= 400:  # noqa: PLR2004  (HTTP)
            raise error_of(data)
        return data

    def _send(self, connection: UnixConnection, method: str, path: str, body: Any) -> http.client.HTTPResponse:
        token = self.workspace.token.read_text(encoding="ascii").strip()
        headers = {"Authorization": f"Bearer {token}"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        connection.request(method, path, body=data, headers=headers)
        return connection.getresponse()


def error_of(data: bytes) -> OpsnbError:
    """Return the exception that an error answer describes."""
    try:
        value = json.loads(data)
    except ValueError:
        return OpsnbError(
            f"the control plane failed: {data[:200].decode('utf-8', 'replace')}", hint="see .opsnb/opsnb.log"
        )
    if "error" in value:
        found = value["error"]
        error = KNOWN.get(found["type"], OpsnbError)(found["message"], hint=found["hint"])
        error.exit_code = int(found["exit"])
        return error
    return UsageError(f"the control plane refused the request: {json.dumps(value.get('detail', value))[:500]}")
