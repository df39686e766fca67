"""Starts supervisors: forked from the zygote, or spawned where there is none; both give the same record."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsnb.base.errors import UnavailableError
from opsnb.base.interpreter import argv_of
from opsnb.control.runs.account import Account
from opsnb.control.runs.confine import Confinement
from opsnb.control.runs.wire import Lines

# Libraries that start threads when they are imported (OpenBLAS, pyarrow's jemalloc), told not to.
AGENT = "SSH_AUTH_SOCK"
NO_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
ZYGOTE_SECONDS = 60.0  # how long the imports of a zygote may take on a slow machine


@dataclass(frozen=True, kw_only=True)
class Launched:
    """A supervisor that was started: its control line, the control plane's end of the run link, its pid."""

    control: Lines
    link: Lines
    pid: int


def without_agent(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment that names no SSH agent: it signs for whoever asks, and most runs have no use for it."""
    return {name: value for name, value in environment.items() if name not in {AGENT, "SSH_AGENT_PID"}}


class Zygote:
    """One zygote process and the line to it; safe to use from several threads."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {**without_agent(os.environ), **NO_THREADS}
        self._process = subprocess.Popen(
            argv_of("opsnb.control.runs.zygote", str(theirs.fileno())), pass_fds=(theirs.fileno(),),
            start_new_session=True, env=environment, stdin=subprocess.DEVNULL, cwd="/",  # matplotlib reads a file there
        )  # fmt: skip
        theirs.close()
        self._sock = ours
        self._sock.settimeout(ZYGOTE_SECONDS)
        self._lock = threading.Lock()
        self._number = 0
        self._ready = False
        self.broken = ""

    @property
    def pid(self) -> int:
        """The zygote's pid."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it can still fork."""
        return not self.broken and self._process.poll() is None

    def wait_ready(self) -> None:
        """Wait for the imports.

        Raises:
            UnavailableError: If it could not start; says why.
        """
        with self._lock:
            self._await_ready()

    def fork(self, start: dict[str, Any], control: socket.socket, link: socket.socket) -> int:
        """Fork a supervisor that owns ``control`` and ``link``; return its pid.

        Raises:
            UnavailableError: If the zygote is gone.
        """
        with self._lock:
            self._await_ready()
            self._number += 1
            message = json.dumps({"op": "fork", "id": self._number, "start": start}).encode()
            try:
                socket.send_fds(self._sock, [message], [control.fileno(), link.fileno()])
                while True:
                    answer = self._receive()
                    if answer.get("id") == self._number:
                        return int(answer["pid"])
            except OSError as error:
                self.broken = str(error)
                raise UnavailableError(f"the zygote is gone: {error}") from error

    def close(self, seconds: float = 20.0) -> None:
        """Let it end its supervisors and itself."""
        self._sock.close()
        self.broken = self.broken or "closed"
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_ready(self) -> None:
        if self._ready:
            return
        try:
            answer = self._receive()
        except OSError as error:
            self.broken = str(error)
            raise UnavailableError(f"the zygote did not start: {error}") from error
        if "ready" not in answer:
            self.broken = str(answer.get("failed", answer))
            raise UnavailableError(f"the zygote cannot be used: {self.broken}")
        self._ready = True

    def _receive(self) -> dict[str, Any]:
        data = self._sock.recv(1 << 16)
        if not data:
            raise OSError("it ended")
        return dict(json.loads(data))


class Launcher:
    """Starts one supervisor for each run.

    Args:
        scratch: Directory for scratch folders, on this machine's temporary storage.
        reads: What every kernel reads besides the system: the interpreter, the toolkit, ``runbooks/``.
        fork: Whether to use a zygote; without one, every run spawns its own interpreter.
        ahead: How many supervisors with plain kernels are kept ready ahead of need.
        user: Who kernels are; ``None``: who the control plane is.
        groups: Where a run's control group is made, and what it may use; ``None``: nowhere.
        toolkit: Returns the digest of the toolkit's sources; when it changes, the zygote is replaced.
    """

    def __init__(
        self, *, scratch: Path, reads: tuple[str, ...], fork: bool, toolkit: Callable[[], str], ahead: int = 0,
        user: Account | None = None, groups: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.user, self._groups = user, groups
        self._scratch, self._reads, self._fork, self._toolkit = scratch, reads, fork, toolkit
        self._lock = threading.Lock()
        self._zygote: Zygote | None = None
        self._built_from = ""
        self._spawned: list[subprocess.Popen[bytes]] = []
        self._ahead = ahead if fork else 0
        self._ready: deque[tuple[str, Launched]] = deque()  # with the toolkit's digest that each was forked from
        self._refilling = threading.Lock()
        self._closed = False

    def warm(self) -> None:
        """Start the zygote, and kernels, ahead of need; returns before they are ready."""
        if self._fork:
            self._current()
            self.refill()

    def refill(self) -> None:
        """Bring the number of kernels that are ready back to what it should be; returns at once."""
        if len(self._ready) < self._ahead:
            threading.Thread(target=self._refill, daemon=True).start()

    def zygote_pid(self) -> int:
        """Return the zygote's pid, 0 where there is none."""
        return self._zygote.pid if self._zygote else 0

    def launch(self, *, kernel: bool = True, reads: tuple[str, ...] = (), writes: tuple[str, ...] = ()) -> Launched:
        """Start a supervisor; with ``kernel`` it starts a kernel confined to the given paths at once.

        One that was forked ahead of need is taken where it fits: plain paths, the toolkit as it is now.
        """
        if kernel and not reads and not writes:
            ready = self._take_ready()
            if ready is not None:
                return ready
        return self._launch(kernel=kernel, reads=reads, writes=writes)

    def _launch(self, *, kernel: bool, reads: tuple[str, ...] = (), writes: tuple[str, ...] = ()) -> Launched:
        confinement = Confinement(reads=(*self._reads, *reads), writes=writes, user=self.user)
        start = {
            "kernel": kernel, "confinement": confinement.as_json(), "scratch": str(self._scratch),
            "groups": self._groups,
        }  # fmt: skip
        for _ in range(2 if self._fork else 0):
            try:
                return _connected(lambda a, b: self._current().fork({**start, "fork": True}, a, b))
            except UnavailableError:
                time.sleep(0.05)  # it was killed, or the toolkit was caught half written: once more, then spawn
        return _connected(lambda a, b: self._spawn({**start, "fork": False}, a, b))

    def close(self) -> None:
        """End the zygote and reap what was spawned."""
        self._closed = True
        with self._refilling, self._lock:
            zygote, self._zygote = self._zygote, None
        while self._ready:
            _, launched = self._ready.popleft()
            launched.control.close()
            launched.link.close()
        if zygote:
            zygote.close()
        for process in self._spawned:
            process.wait()

    def _take_ready(self) -> Launched | None:
        """Return a supervisor that is ready, dropping those that died or were forked from another toolkit."""
        digest = self._toolkit()
        while self._ready:
            try:
                built_from, launched = self._ready.popleft()
            except IndexError:
                return None
            if built_from == digest and not launched.control.ended():
                return launched
            launched.control.close()
            launched.link.close()
        return None

    def _refill(self) -> None:
        if not self._refilling.acquire(blocking=False):
            return
        try:
            while len(self._ready) < self._ahead and not self._closed:
                digest = self._toolkit()
                self._ready.append((digest, self._launch(kernel=True)))
        except (UnavailableError, OSError):
            return  # the next run starts its own, and says what is wrong
        finally:
            self._refilling.release()

    def _current(self) -> Zygote:
        with self._lock:
            digest = self._toolkit()
            if self._zygote is not None and (not self._zygote.alive() or digest != self._built_from):
                old, self._zygote = self._zygote, None
                threading.Thread(target=old.close, daemon=True).start()
            if self._zygote is None:
                self._zygote, self._built_from = Zygote(), digest
            return self._zygote

    def _spawn(self, start: dict[str, Any], control: socket.socket, link: socket.socket) -> int:
        numbers = (control.fileno(), link.fileno())
        process = subprocess.Popen(
            argv_of("opsnb.control.runs.supervisor", *map(str, numbers), json.dumps(start)),
            pass_fds=numbers, start_new_session=True, stdin=subprocess.DEVNULL, env=without_agent(os.environ),
            cwd="/",
        )  # fmt: skip
        self._spawned = [p for p in self._spawned if p.poll() is None] + [process]
        return process.pid


def _connected(start: Callable[[socket.socket, socket.socket], int]) -> Launched:
    """Start a supervisor on sockets of its own: one that was started and not heard of shares them with nobody."""
    ours, theirs = socket.socketpair()
    link_ours, link_theirs = socket.socketpair()
    try:
        with theirs, link_theirs:
            pid = start(theirs, link_theirs)
    except BaseException:
        ours.close()
        link_ours.close()
        raise
    return Launched(control=Lines(ours), link=Lines(link_ours), pid=pid)
