"""Serves one workspace: ``opsnb up``, or a control plane that lasts as long as the runs given to it.

Started as ``python -m opsnb.web.server ROOT [--until-idle] [--ready-fd N] [--listen HOST:PORT ...]``. The Unix socket
is always there; on TCP everything but loopback wants TLS. With ``--foreground`` somebody looks on, who is told when it
serves, or why it does not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from opsnb.base.errors import OpsnbError, UnavailableError
from opsnb.base.i18n import ENGLISH, retell
from opsnb.base.workspace import Workspace
from opsnb.control.app import App
from opsnb.control.flows.enter import first_code
from opsnb.control.runs.confine import become_subreaper
from opsnb.web.api import create
from opsnb.web.guard import MOST_HEAD, Activity
from opsnb.web.listening import Listening, Protocol

FIRST_SECONDS = 10.0  # how long a transient control plane waits for its first request
LOOK_SECONDS = 2.0  # between two looks whether the workspace is still there
LINGER_SECONDS = 0.3  # and how long after the last one
LOOP_TURNS = 10  # of an event loop, in which who has connected becomes a connection that it knows
LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
LOG = logging.getLogger("opsnb")


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: a signal stops the runs first."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Keep the loop."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def connected(self) -> bool:
        """Whether somebody is connected, also who has not been heard yet; asked from another thread."""

        async def taken() -> bool:
            for _ in range(LOOP_TURNS):  # whoever stood in the queue of the socket is let in meanwhile
                await asyncio.sleep(0)
            return bool(self.server_state.connections)

        if self._loop is None:
            return False
        try:
            return asyncio.run_coroutine_threadsafe(taken(), self._loop).result(LOOK_SECONDS)
        except TimeoutError:  # it has a lot to do
            return True

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # noqa: ANN201  (uvicorn's own signature)
        """Leave the signals to :func:`serve`."""
        yield


class MaskedFormatter(logging.Formatter):
    """Writes nothing into the log that gives a secret of a run away, tracebacks included."""

    def __init__(self, app: App) -> None:
        super().__init__(LOG_FORMAT)
        self._app = app

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, masked for every run that goes on."""
        return self._app.services.masked(super().format(record))


@dataclass(frozen=True, kw_only=True)
class Onlooker:
    """Whoever typed ``opsnb up``: what is said to them, in the ``language`` that they read, or as one JSON document."""

    language: str = ENGLISH
    as_json: bool = False

    def serves(self, workspace: Workspace, listening: Listening | None, first: str) -> None:
        """Say that the workspace is served from now on, and how the ``first`` administrator comes in."""
        if self.as_json:
            listen = listening.place if listening else None
            value = {"workspace": str(workspace.root), "socket": str(workspace.socket), "listen": listen}
            print(json.dumps(value, ensure_ascii=False, indent=1), flush=True)  # noqa: T201  (what was asked for)
        where = f"{workspace.socket}" + (f" and {listening.url}" if listening else "")
        self.say(f"serving {workspace.root} on {where}  (Ctrl-C stops the runs, records them, and ends)")
        if first:
            self.say(first)

    def refused(self, error: OpsnbError) -> None:
        """Say why nothing is served."""
        if self.as_json:
            value = {"message": error.message, "hint": error.hint, "exit": error.exit_code}
            print(json.dumps({"error": value}, ensure_ascii=False), flush=True)  # noqa: T201  (what was asked for)
            return
        self.say(f"error: {retell(error.message, self.language)}")
        if error.hint:
            self.say(f"  → {retell(error.hint, self.language)}")

    @staticmethod
    def say(text: str) -> None:
        """Print a line on the terminal alone, never into the log."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201  (the terminal is where it belongs)


def serve(
    workspace: Workspace, *, until_idle: bool, ready: int = -1, listening: Listening | None = None,
    onlooker: Onlooker | None = None,
) -> None:  # fmt: skip
    """Own the workspace and serve it until a signal, or until nothing is left to do.

    Raises:
        UnavailableError: If another process owns it.
    """
    _log(workspace, quiet=until_idle)
    become_subreaper()  # supervisors stay ours when their zygote is killed
    app = App(workspace)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(MaskedFormatter(app))
    activity = Activity()
    api = create(app, activity, listening.names if listening else ())
    servers = [(Server(_config(api)), _listen(workspace.socket))]
    if listening:
        config = _config(api, listening.certificate or None, listening.key or None)
        servers.append((Server(config), listening.bind()))
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _n, _f: ending.set())
    try:
        app.start()
        each = [server for server, _ in servers]
        threading.Thread(target=_end, args=(app, each, ending, activity, until_idle), daemon=True).start()
        if onlooker:
            onlooker.serves(workspace, listening, _first(app, listening))
        if ready >= 0:
            os.write(ready, b"ready\n")
            os.close(ready)
        asyncio.run(_serve_all(servers))
    finally:
        app.close()


def _end(app: App, servers: list[Server], ending: threading.Event, activity: Activity, until_idle: bool) -> None:  # noqa: FBT001
    """Wait for a signal, for nothing to do, or for the workspace's removal; then stop the runs and end the server."""
    wait = FIRST_SECONDS if until_idle else LOOK_SECONDS
    while not ending.wait(timeout=wait):
        if not app.workspace.lock.exists():
            LOG.error("%s was removed: its control plane ends", app.workspace.root)
            break
        if not until_idle:
            continue
        wait = LINGER_SECONDS
        served = activity.served
        if activity.open or app.busy() or ending.wait(LINGER_SECONDS) or served != activity.served:
            continue
        if _gone_unasked(app.workspace.socket, servers, activity, served):
            break
    app.workspace.socket.unlink(missing_ok=True)
    app.stop_all()
    for server in servers:
        server.should_exit = True


def _gone_unasked(path: Path, servers: list[Server], activity: Activity, served: int) -> bool:
    """Take the socket's name away, and give it back if somebody connected just before: they were let in."""
    aside = path.with_name(f"{path.name}.ending")
    with contextlib.suppress(OSError):  # it was removed with its workspace
        path.rename(aside)
        if any(server.connected() for server in servers) or activity.open or served != activity.served:
            aside.rename(path)
            return False
        aside.unlink()
    return True


def _config(api: FastAPI, certificate: str | None = None, key: str | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        api, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5, http=Protocol, ws="none",
        loop="asyncio", proxy_headers=False, server_header=False, h11_max_incomplete_event_size=MOST_HEAD,
        ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip


async def _serve_all(servers: list[tuple[Server, socket.socket]]) -> None:
    await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in servers))


def _first(app: App, listening: Listening | None) -> str:
    """Return how the first administrator comes in; empty where somebody has a password. It is for no log."""
    code = first_code(app.services, app.first)
    if not code:
        return ""
    said = f"nobody has a password yet. {app.person.name} sets one here with: opsnb user password"
    if listening:
        return f"{said}\nor once, within an hour, at: {listening.url}/enter?code={code}"
    return f"{said}\nor once, within an hour, with opsnb user password --code, by this code: {code}"


def _listen(path: Path) -> socket.socket:
    """Bind the socket through its directory's descriptor: a path over 107 bytes could not be bound by its name."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    path.chmod(0o600)
    listener.listen(128)
    return listener


def _log(workspace: Workspace, *, quiet: bool) -> None:
    workspace.state.mkdir(mode=0o700, exist_ok=True)
    handlers: list[logging.Handler] = [
        RotatingFileHandler(workspace.log, maxBytes=4 * 1024**2, backupCount=3, encoding="utf-8")
    ]
    if not quiet:
        handlers.append(logging.StreamHandler())
    logging.basicConfig(level=logging.WARNING, handlers=handlers, format=LOG_FORMAT)
    LOG.setLevel(logging.INFO)


def main(argv: list[str] | None = None) -> int:
    """Entry of the control plane's process."""
    parser = argparse.ArgumentParser(prog="opsnb up")
    parser.add_argument("root", type=Path)
    parser.add_argument("--until-idle", action="store_true")
    parser.add_argument("--ready-fd", type=int, default=-1)
    parser.add_argument("--listen", default="")
    parser.add_argument("--tls-cert", default="")
    parser.add_argument("--tls-key", default="")
    parser.add_argument("--name", action="append", default=[])
    parser.add_argument("--foreground", action="store_true")
    parser.add_argument("--language", default=ENGLISH)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    onlooker = Onlooker(language=options.language, as_json=options.json) if options.foreground else None
    try:
        listening = None
        if options.listen:
            listening = Listening.of(options.listen, options.tls_cert, options.tls_key, tuple(options.name))
        serve(
            Workspace(options.root), until_idle=options.until_idle, ready=options.ready_fd, listening=listening,
            onlooker=onlooker,
        )  # fmt: skip
    except OpsnbError as error:
        if onlooker:
            onlooker.refused(error)
        else:
            LOG.error("%s", error)  # noqa: TRY400  (the message says it all)
        if options.ready_fd >= 0 and not isinstance(error, UnavailableError):
            os.write(options.ready_fd, f"error {error.exit_code} {error}\n".encode())
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
