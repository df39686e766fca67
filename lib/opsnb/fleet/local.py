"""This machine as a transport: a child process, no shell but for sudo, its own process group."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

from opsnb.base.errors import OpsnbError
from opsnb.fleet.boot import Boot, Unveil, boot
from opsnb.fleet.shell import LocalShell
from opsnb.fleet.transport import OnOutput
from opsnb.fleet.values import LEFT_OPEN, PATH, Command, Result, Status, decoded

CHUNK = 65536  # bytes
LINGER = 1.0  # seconds of silence after the program's end for which its output is waited for: a child may hold it open

Credential = Callable[[str, str], dict[str, Any]]


class LocalTransport:
    """Runs programs on the machine on which the kernel runs.

    Args:
        host: The host's name in results.
        sudo: ``none``, ``passwordless`` or ``password``.
        credential: Answers the password for ``sudo``, when it is first needed.
    """

    def __init__(
        self, host: str = "localhost", sudo: str = "passwordless", credential: Credential | None = None
    ) -> None:
        self.host, self._sudo, self._credential = host, sudo, credential
        self._password: str | None = None

    def run(self, command: Command, on_output: OnOutput | None = None) -> Result:
        """Run one command and wait for its end."""
        started = time.monotonic()
        environment = {"PATH": PATH, "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C", **command.environment}
        argv, stdin, root = list(command.argv), command.stdin, None
        if command.sudo and os.geteuid():
            try:
                root = boot(command, sudo=True, password=self._asked())
            except OpsnbError as error:
                return self._never(started, error.message)
            argv, stdin = list(root.argv), root.head + command.stdin
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            code = 127 if isinstance(error, FileNotFoundError) else 126
            why = f"{argv[0]}: {error.strerror}"
            return Result(
                host=self.host, status=Status.FAILED, exit=code, stderr=f"{why}\n".encode(), error=why,
                seconds=time.monotonic() - started,
            )  # fmt: skip
        work = _Work(process, stdin, command.most, on_output, root)
        over = work.communicate(started + command.seconds)
        return self._result(command, work, started, over=over)

    def terminal(self, term: str, columns: int, rows: int) -> LocalShell:
        """Open a login shell on a terminal of this machine."""
        return LocalShell(term, columns, rows)

    def close(self) -> None:
        """There is nothing to give up."""

    def _asked(self) -> str | None:
        if self._sudo == "none":
            raise OpsnbError("sudo may not be used here; inventory: sudo: passwordless, or sudo: {secret: NAME}")
        if self._sudo == "password" and self._password is None:
            assert self._credential
            self._password = str(self._credential(self.host, "sudo")["password"])
        return self._password

    def _never(self, started: float, why: str) -> Result:
        return Result(host=self.host, status=Status.UNREACHABLE, error=why, seconds=time.monotonic() - started)

    def _result(self, command: Command, work: _Work, started: float, *, over: bool) -> Result:
        if work.asked:
            return self._never(started, "sudo does not accept the password")
        if not over and not work.started:
            return self._never(started, f"sudo did not start the program: {work.noise or work.process.returncode}")
        ended = work.process.returncode
        code = None if over else ended if ended >= 0 else 128 - ended
        status = Status.UNKNOWN if over else Status.OK if code == 0 else Status.FAILED
        error = f"{work.cut} bytes of output were cut" if work.cut else LEFT_OPEN if work.left_open else ""
        if over:
            error = f"it took longer than {command.seconds:g} s and was ended"
        return Result(
            host=self.host, status=status, exit=code, stdout=bytes(work.kept["stdout"]),
            stderr=bytes(work.kept["stderr"]), seconds=time.monotonic() - started, error=error,
        )  # fmt: skip


class _Work:
    """A process that is fed and drained."""

    def __init__(
        self, process: subprocess.Popen[bytes], stdin: bytes, most: int, on_output: OnOutput | None, root: Boot | None
    ) -> None:
        self.process, self.cut, self.asked, self.left_open = process, 0, False, False
        self.kept = {"stdout": bytearray(), "stderr": bytearray()}
        self._left, self._most, self._on_output, self._boot = memoryview(stdin), most, on_output, root
        self._unveil = {name: Unveil(root.nonce) for name in self.kept} if root else {}

    @property
    def started(self) -> bool:
        """Whether the program was started: behind sudo its mark was seen."""
        return not self._unveil or any(stream.started for stream in self._unveil.values())

    @property
    def noise(self) -> str:
        """What sudo said."""
        return decoded(self._unveil["stderr"].noise).strip() if self._unveil else ""

    def communicate(self, end: float) -> bool:
        """Feed and drain until the end; return whether its time was over."""
        process = self.process
        assert process.stdin
        assert process.stdout
        assert process.stderr
        with selectors.DefaultSelector() as selector, process:
            selector.register(process.stdout, selectors.EVENT_READ, "stdout")
            selector.register(process.stderr, selectors.EVENT_READ, "stderr")
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE, "stdin")
            over = self._until(end, selector)
            if over or self.asked:
                self._kill()
            return over

    def _until(self, end: float, selector: selectors.BaseSelector) -> bool:
        while selector.get_map() and not self.asked:
            wait = end - time.monotonic()
            if wait <= 0:
                return True
            ready = selector.select(min(wait, LINGER))
            if not ready and self.process.poll() is not None:
                self.left_open = True
                return False
            for key, _ in ready:
                if key.data == "stdin":
                    self._feed(selector)
                elif data := os.read(key.fd, CHUNK):
                    self._take(key.data, data)
                else:
                    selector.unregister(key.fileobj)
        try:
            self.process.wait(max(0.0, end - time.monotonic()) if not self.asked else 0)
        except subprocess.TimeoutExpired:
            return not self.asked
        return False

    def _take(self, stream: str, data: bytes) -> None:
        if self._boot:
            data = self._unveil[stream].feed(data)
            asked = self._boot.prompt and self._unveil[stream].noise.count(self._boot.prompt) > 1
            self.asked = self.asked or bool(asked and not self.started)
        if not data:
            return
        room = max(0, self._most - len(self.kept[stream]))
        self.kept[stream] += data[:room]
        self.cut += max(0, len(data) - room)
        if self._on_output:
            self._on_output(stream, data)

    def _feed(self, selector: selectors.BaseSelector) -> None:
        stdin = self.process.stdin
        assert stdin
        try:
            self._left = self._left[os.write(stdin.fileno(), self._left[:CHUNK]) :] if self._left else self._left
        except BrokenPipeError:  # it does not want to read it all
            self._left = self._left[len(self._left) :]
        if not self._left:
            selector.unregister(stdin)
            stdin.close()

    def _kill(self) -> None:
        """End the process group; what runs as root behind sudo ends by the end of its line."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
