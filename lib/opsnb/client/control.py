"""Find the control plane, or start one that lasts as long as the runs given to it.

The command that finds nobody at the socket starts a control plane beside itself and is its client like everybody
else: there is one way to run, whether ``opsnb up`` is there or not (docs/decisions/0002).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import OpsnbError, RefusedError, UnavailableError, UsageError
from opsnb.base.interpreter import argv_of
from opsnb.base.workspace import Workspace
from opsnb.client.connection import Client

if TYPE_CHECKING:
    import subprocess

RETRY_SECONDS = 10.0  # how long lock and socket are tried
START_SECONDS = 60.0  # how long a control plane of our own may take to start and to end old runs
BY_EXIT = {2: UsageError, 3: RefusedError, 7: UnavailableError}


def connect(workspace: Workspace) -> Client:
    """Return a client of the workspace's control plane, starting one where there is none.

    Raises:
        UnavailableError: If there is none and none can be started.
    """
    client = Client(workspace)
    if workspace.url:
        return client
    end = time.monotonic() + RETRY_SECONDS
    while True:
        if answers(client):
            return client
        held = _held(workspace.lock)
        if not held:
            start(workspace)  # where somebody else was faster, theirs may serve by the time that ours has given up
        if answers(client):
            return client
        if time.monotonic() > end and not (held and _is_starting(workspace)):
            raise UnavailableError(
                f"another process holds {workspace.lock} and does not answer",
                hint="look at .opsnb/opsnb.log, or stop that process and try again",
            )
        time.sleep(0.1)


def _held(lock: Path) -> bool:
    """Whether a process is seen to hold the owner's lock: then none is started that would find out at some cost.

    It is read, not tried: whoever tries it for a moment keeps it from one that starts in that moment (proc_locks(5)).
    """
    try:
        info = lock.stat()
        known = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return False
    return f" {os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino} " in known


def _is_starting(workspace: Workspace) -> bool:
    """Whether the one that holds the lock took it so recently that it may still be on its way to its socket."""
    try:
        age = time.time() - workspace.lock.stat().st_mtime
    except OSError:
        return False
    return 0 <= age < START_SECONDS and not workspace.socket.exists()


def submit(workspace: Workspace, path: str, body: dict[str, Any]) -> tuple[Client, dict[str, Any]]:
    """Post ``body``, which carries a ``submission`` of its own; return the client and the answer.

    Most of the time a control plane is there, so it is asked at once; asking twice is asking once.

    Raises:
        UnavailableError: If there is none and none can be started.
    """
    client = Client(workspace)
    try:
        return client, client.post(path, body)
    except UnavailableError:
        if workspace.url:
            raise
        client = connect(workspace)
        return client, client.post(path, body)


def answers(client: Client) -> bool:
    """Return whether a control plane serves the workspace."""
    try:
        client.get("/healthz")
    except (UnavailableError, OSError):
        return False
    return True


def start(workspace: Workspace) -> bool:
    """Start a control plane that ends when idle; return whether it is ready (False: somebody else owns the lock).

    Raises:
        OpsnbError: If it says that it cannot work.
    """
    import select
    import subprocess

    reader, writer = os.pipe()
    workspace.state.mkdir(mode=0o700, exist_ok=True)
    log = os.open(workspace.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    process = subprocess.Popen(
        argv_of("opsnb.web.server", str(workspace.root), "--until-idle", "--ready-fd", str(writer)),
        pass_fds=(writer,), start_new_session=True, stdin=subprocess.DEVNULL, stdout=log,
        stderr=log,
    )  # fmt: skip
    os.close(writer)
    os.close(log)
    with os.fdopen(reader, encoding="utf-8") as stream:
        readable, _, _ = select.select([stream], [], [], START_SECONDS)
        text = stream.read() if readable else ""
    if text.startswith("error "):
        _, code, message = text.split(" ", 2)
        raise BY_EXIT.get(int(code), OpsnbError)(message.strip())
    if not text.startswith("ready"):
        _why_not(process, workspace)
        return False
    process.returncode = 0  # it outlives us, and init reaps it
    return True


def _why_not(process: subprocess.Popen[bytes], workspace: Workspace) -> None:
    """Raise if the control plane broke while it started; return if somebody else owns the lock."""
    import subprocess

    try:
        code = process.wait(timeout=RETRY_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    if code != UnavailableError.exit_code:
        raise UnavailableError(
            f"the control plane broke while it started (exit {code})", hint=f"see the end of {workspace.log}"
        )
