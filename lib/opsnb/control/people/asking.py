"""One question over HTTP to a server that is not ours, and its JSON answer: bounded in bytes and seconds, no redirects.

The standard library's client with a last moment for all of it: a server that sends a byte now and then costs no more
than one that is silent.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from opsnb.base.signin import is_near

MOST_BYTES = 512 * 1024  # of an answer
PORTS = {"https": 443, "http": 80}


class AskingError(Exception):
    """Nobody answers, or not with what can be read. The text is for the log."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered: HTTP's status, and a JSON object."""

    status: int
    value: Mapping[str, Any]


def ask(
    url: str, *, ca: str, seconds: float, form: Mapping[str, str] | None = None, login: tuple[str, str] | None = None
) -> Answer:  # fmt: skip
    """Return the answer to a GET, or to the POST of a form.

    Args:
        url: Where; TLS, or this machine.
        ca: File of the certificates to trust; empty: the system's.
        seconds: How long all of it may take.
        form: What is posted.
        login: Name and secret for HTTP's basic authentication.

    Raises:
        AskingError: If there is no answer that can be read.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and is_near(host)):
        raise AskingError(f"{url}: wanted https")
    headers = {"accept": "application/json", "user-agent": "opsnb"}
    if login:
        text = ":".join(quote(part, safe="") for part in login)  # RFC 6749, 2.3.1
        headers["authorization"] = "Basic " + base64.b64encode(text.encode()).decode()
    body = None if form is None else urlencode(form)
    if body is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(host, parts.port or PORTS[parts.scheme], timeout=seconds)
    try:
        connection.sock = _line(host, connection.port, ca if parts.scheme == "https" else None, seconds)
        with _until(connection.sock, seconds):
            connection.request("GET" if body is None else "POST", target, body, headers)
            with connection.getresponse() as answer:  # it holds the connection, and not all of it may have been read
                return Answer(status=answer.status, value=_read(url, answer))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AskingError(f"{url}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _line(host: str, port: int, ca: str | None, seconds: float) -> socket.socket:
    """Return a connection; with TLS unless ``ca`` is None."""
    sock = socket.create_connection((host, port), seconds)
    if ca is None:
        return sock
    try:
        return ssl.create_default_context(cafile=ca or None).wrap_socket(sock, server_hostname=host)
    except OSError:
        sock.close()
        raise


@contextlib.contextmanager
def _until(sock: socket.socket, seconds: float):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Hang up when the time is over, whatever goes on then."""

    def end() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _read(url: str, answer: http.client.HTTPResponse) -> Mapping[str, Any]:
    data = answer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise AskingError(f"{url}: the answer has more than {MOST_BYTES} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AskingError(f"{url}: answers {answer.status}, and not in JSON") from error
    if not isinstance(value, dict):
        raise AskingError(f"{url}: answers {answer.status} with no JSON object")
    return value
