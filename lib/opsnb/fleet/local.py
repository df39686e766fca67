"""This machine as a transport: a child process, no shell, its own process group."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time

from opsnb.fleet.shell import LocalShell
from opsnb.fleet.transport import OnOutput
from opsnb.fleet.values import MAX_OUTPUT, Command, Result, Status

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CHUNK = 65536  # bytes

Kept = dict[str, bytearray]


class LocalTransport:
    """Runs programs on the machine on which the kernel runs.

    Args:
        host: The host's name in results.
    """

    def __init__(self, host: str = "localhost") -> None:
        self.host = host

    def run(self, command: Command, on_output: OnOutput | None = None) -> Result:
        """Run one command and wait for its end."""
        started = time.monotonic()
        argv = ["sudo", "-n", "--", *command.argv] if command.sudo and os.geteuid() else list(command.argv)
        environment = {"PATH": PATH, "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C", **command.environment}
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            code = 127 if isinstance(error, FileNotFoundError) else 126
            return self._result(started, Status.FAILED, code, error=f"{argv[0]}: {error.strerror}")
        kept, cut, over = _communicate(process, command, on_output, started)
        if over:
            why = f"it took longer than {command.seconds:g} s and was ended"
            return self._result(started, Status.UNKNOWN, None, kept, error=why)
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        status = Status.OK if code == 0 else Status.FAILED
        return self._result(started, status, code, kept, error=f"{cut} bytes of output were cut" if cut else "")

    def terminal(self, term: str, columns: int, rows: int) -> LocalShell:
        """Open a login shell on a terminal of this machine."""
        return LocalShell(term, columns, rows)

    def close(self) -> None:
        """There is nothing to give up."""

    def _result(
        self,
        started: float,
        status: Status,
        code: int | None,
        kept: dict[str, bytearray] | None = None,
        error: str = "",
    ) -> Result:
        out = kept or {}
        return Result(
            host=self.host, status=status, exit=code, stdout=bytes(out.get("stdout", b"")),
            stderr=bytes(out.get("stderr", b"")), seconds=time.monotonic() - started, error=error,
        )  # fmt: skip


def _communicate(
    process: subprocess.Popen[bytes], command: Command, on_output: OnOutput | None, started: float
) -> tuple[Kept, int, bool]:
    """Feed and drain a process; return what it wrote, how many bytes were cut, whether its time was over."""
    kept = {"stdout": bytearray(), "stderr": bytearray()}
    cut, left = 0, memoryview(command.stdin)
    assert process.stdin
    assert process.stdout
    assert process.stderr
    end = started + command.seconds
    with selectors.DefaultSelector() as selector, process:
        selector.register(process.stdout, selectors.EVENT_READ, "stdout")
        selector.register(process.stderr, selectors.EVENT_READ, "stderr")
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE, "stdin")
        while selector.get_map():
            wait = end - time.monotonic()
            if wait <= 0:
                os.killpg(process.pid, signal.SIGKILL)
                return kept, cut, True
            for key, _ in selector.select(wait):
                if key.data == "stdin":
                    left = _feed(process, left, selector)
                    continue
                data = os.read(key.fd, CHUNK)
                if not data:
                    selector.unregister(key.fileobj)
                    continue
                room = MAX_OUTPUT - len(kept[key.data])
                kept[key.data] += data[:room]
                cut += max(0, len(data) - room)
                if on_output:
                    on_output(key.data, data)
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return kept, cut, True
    return kept, cut, False


def _feed(process: subprocess.Popen[bytes], left: memoryview, selector: selectors.BaseSelector) -> memoryview:
    assert process.stdin
    try:
        left = left[os.write(process.stdin.fileno(), left[:CHUNK]) :] if left else left
    except BrokenPipeError:  # it does not want to read it all
        left = left[len(left) :]
    if not left:
        selector.unregister(process.stdin)
        process.stdin.close()
    return left
