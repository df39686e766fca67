"""The shop of a rehearsal fleet: says which host answered. For uwsgi, or by itself: ``python3 app.py HOST PORT``.

    /                  the host's name, and a newline
    /health            "well" and a newline; 503 "unwell" while /var/lib/shop/unwell is there
    /slow?seconds=S    the host's name after S seconds, 30 at most
    /bytes?count=N     N bytes of text, 10,000,000 at most
    /client            the address that X-Real-IP names, else the one that asked

Every answer has the header X-Node with the host's name, and leaves a line in the file that SHOP_LOG names. It stands
alone, without anything of opsnb, since it runs with whatever Python a host has.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import parse_qs

MOST_SECONDS, MOST_BYTES = 30.0, 10_000_000
NODE = socket.gethostname()
UNWELL = Path("/var/lib/shop/unwell")

Environ = dict[str, object]


def application(environ: Environ, start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """Answer one request (PEP 3333)."""
    began = time.monotonic()
    path = str(environ.get("PATH_INFO", "/"))
    status, body = answer(path, parse_qs(str(environ.get("QUERY_STRING", ""))), environ)
    start_response(
        status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("X-Node", NODE)]
    )  # fmt: skip
    note(f"{client(environ)} {environ.get('REQUEST_METHOD')} {path} {status[:3]} {time.monotonic() - began:.3f}")
    return [body]


def answer(path: str, query: dict[str, list[str]], environ: Environ) -> tuple[str, bytes]:
    """Return the status line and the body for a path."""
    if path == "/health":
        return ("503 Service Unavailable", b"unwell\n") if UNWELL.exists() else ("200 OK", b"well\n")
    if path == "/slow":
        time.sleep(min(number(query, "seconds"), MOST_SECONDS))
    elif path == "/bytes":
        return "200 OK", b"opsnb\n" * (int(min(number(query, "count"), MOST_BYTES)) // 6)
    elif path == "/client":
        return "200 OK", f"{client(environ)}\n".encode()
    return "200 OK", f"{NODE}\n".encode()


def number(query: dict[str, list[str]], name: str) -> float:
    """Return a number from the query, 1 where there is none."""
    try:
        return max(0.0, float(query[name][0]))
    except (KeyError, ValueError):
        return 1.0


def client(environ: Environ) -> str:
    """Return the address of whoever asked, as the balancer says."""
    return str(environ.get("HTTP_X_REAL_IP") or environ.get("REMOTE_ADDR", ""))


def note(line: str) -> None:
    """Leave a line in the log."""
    log = os.environ.get("SHOP_LOG")
    if log:
        with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123  (one call, whatever the host's Python is)
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")


def main() -> None:
    """Serve on an address and a port, with a thread for each request."""
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Threads(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name that http.server gives it)
            """Say nothing: the application has a log of its own."""

    host, port = sys.argv[1], int(sys.argv[2])
    with make_server(host, port, application, server_class=Threads, handler_class=Quiet) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
