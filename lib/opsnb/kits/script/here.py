"""A script on this machine: a child process of its own group, without a shell in between."""

from __future__ import annotations

import codecs
import os
import select
import signal
import subprocess
import tempfile
from pathlib import Path

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits.script.targets import PATH, Target, interpreter

LOOK_SECONDS = 0.1  # how often it is looked whether a silent script has ended


def check_interpreter(target: Target) -> None:
    """Refuse a script whose interpreter is not there.

    Raises:
        UsageError: Names it.
    """
    for which in ("script", "undo"):
        text = str(target[which])
        if text and not os.access(interpreter(text)[0], os.X_OK):
            raise UsageError(f"{interpreter(text)[0]}, which runs the {which} of {target['name']}, is not there")


def run(target: Target, text: str) -> int:
    """Run ``text`` with a target's values; print what it says; return its exit code, -9 after signal 9.

    Raises:
        OpsnbError: If it could not be started.
    """
    with tempfile.TemporaryDirectory(prefix="opsnb-script-") as folder:
        script = Path(folder, str(target["name"]))
        script.write_bytes(text.encode())
        argv = [*interpreter(text), str(script), *target["arguments"]]
        home = os.environ.get("HOME", folder)
        environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": home, "TMPDIR": folder, **target["environment"]}
        try:
            process = subprocess.Popen(
                argv, cwd=str(target["directory"]), env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise OpsnbError(f"{target['name']} could not be started: {error.strerror}: {error.filename}") from error
        try:
            _tell(process)
            return process.wait()
        finally:
            if process.poll() is None:  # interrupted: neither it nor what it started goes on unseen
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _tell(process: subprocess.Popen[bytes]) -> None:
    """Print what a process says until it has ended; what it left running in the background is not waited for."""
    assert process.stdout is not None
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with process.stdout as stream:
        while True:
            ended = process.poll() is not None
            readable, _, _ = select.select([stream], [], [], 0 if ended else LOOK_SECONDS)
            data = os.read(stream.fileno(), 64 * 1024) if readable else b""
            if data:
                print(decoder.decode(data), end="", flush=True)  # noqa: T201  (a change tells its reader what it does)
            elif readable or ended:
                return
