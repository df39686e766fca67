"""The supervisor of one run: it starts the kernel, executes, records what happened, and leaves no process behind.

It is told what to do by the control plane over one socket (``wire.Lines``), and ends the run when that closes:

* ``{"op": "execute", ...}`` → ``{"ev": "executed", ...}``  (see :class:`Job`)
* ``{"op": "render", "record": {...}}`` → ``{"ev": "rendered", ...}``
* ``{"op": "mask", "id": n, "name": name, "value": value}`` → ``{"ev": "masked", "id": n}``: from then on nothing that
  the run says holds the value
* ``{"op": "stop" | "end", "why": text}`` end now, or after the current cell
* ``{"op": "exit"}``
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from opsnb.base.interpreter import argv_of
from opsnb.base.masking import Masker
from opsnb.control.runs import cgroups, scratch
from opsnb.control.runs import kernel as kernels
from opsnb.control.runs.client import KernelClient, KernelDiedError, open_pidfd
from opsnb.control.runs.confine import Confinement, become_subreaper
from opsnb.control.runs.executor import exit_text
from opsnb.control.runs.processes import sweep
from opsnb.control.runs.wire import Closed, Lines

KERNEL_EXIT_SECONDS = 1.0  # how long a kernel may take to end in an orderly way
SCRATCH_FOLDERS = ("s", "work", "files", "temporary", "ipython", "matplotlib", "jupyter")


@dataclass(frozen=True, kw_only=True)
class Start:
    """How a supervisor starts.

    Args:
        kernel: Whether it has a kernel; one that only renders has none.
        fork: Whether the kernel is forked (everything is imported) or spawned.
        confinement: What the kernel may read and write besides its scratch folder.
        scratch: Directory in which the scratch folder is made.
        groups: Where the run's control group is made, and what it may use (``cgroups.as_json``).
    """

    kernel: bool
    fork: bool
    confinement: Confinement
    scratch: str
    groups: dict[str, Any] | None = None

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Start:
        """Read a JSON object."""
        return cls(**{**value, "confinement": Confinement.from_json(value["confinement"])})


@dataclass
class Supervisor:
    """The state of one supervisor process."""

    control: Lines
    link: int
    start: Start
    folder: Path = field(init=False)
    pid: int = -1  # of the kernel
    pidfd: int = -1
    status: int | None = None  # wait status of the kernel, once it has ended
    client: KernelClient | None = None
    isolation: str = "none"
    holds: list[str] = field(default_factory=list)  # what holds the kernel besides, as words
    group: cgroups.Group | None = None
    asked: bool = False  # the kernel to end
    stopped: str | None = None  # why the run was ordered to end before its notebook came
    masker: Masker = field(default_factory=Masker)

    def serve(self) -> None:
        """Do what the control plane says until it says exit or is gone; then leave nothing behind."""
        become_subreaper()
        self.folder, _ = scratch.make(self.start.scratch)
        try:
            if self.start.kernel and not self._ready():
                return
            while message := self.control.next():
                if not self._do(message):
                    return
        except Closed:
            pass
        except Exception as error:  # noqa: BLE001  (whatever it is, the run must end with words)
            self._say_last(error)
        finally:
            self.end_kernel()
            sweep()
            if self.group is not None:
                self.group.remove()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _say_last(self, error: Exception) -> None:
        import traceback

        sys.stderr.write(self.masker.text("".join(traceback.format_exception(error))))
        why = self.masker.text(f"the supervisor failed: {type(error).__name__}: {error}")
        with contextlib.suppress(Closed):
            self.control.send({"ev": "failed", "why": why})

    def _do(self, message: dict[str, Any]) -> bool:
        op = message["op"]
        if op == "execute":
            from opsnb.control.runs.job import execute

            execute(self, message)
        elif op == "render":
            from opsnb.control.runs.job import render_record

            render_record(self.control, message)
        elif op == "mask":
            self.mask(message)
        elif op == "stop":  # one that comes after the notebook changes nothing
            self.stopped = message["why"]
        return bool(op != "exit")

    def mask(self, order: dict[str, Any]) -> None:
        """Take a secret into the masker and say so; the kernel gets it afterwards."""
        self.masker.register(order["name"], order["value"])
        self.control.send({"ev": "masked", "id": order["id"]})

    # -- the kernel ------------------------------------------------------------------------------------------------

    def _ready(self) -> bool:
        for name in SCRATCH_FOLDERS:
            (self.folder / name).mkdir(mode=0o700)
        self._prepare()
        try:
            self._start_kernel()
            assert self.client is not None
            self.client.subscribe()
        except (KernelDiedError, OSError) as error:
            self.control.send({"ev": "failed", "why": f"the kernel did not start: {error}"})
            return False
        self.control.send({
            "ev": "ready", "pid": os.getpid(), "kernel": self.pid, "folder": str(self.folder),
            "isolation": self.isolation, "holds": self.holds,
        })  # fmt: skip
        return True

    def _prepare(self) -> None:
        """Give the folders to the kernel's user, and make its control group; the folder around them stays ours."""
        user = self.start.confinement.user
        if user is not None:
            for name in SCRATCH_FOLDERS:
                os.chown(self.folder / name, user.uid, user.gid)
            self.folder.chmod(0o711)
            self.holds.append(f"user {user.name}")
        if self.start.groups is not None:
            where, budget = cgroups.from_json(self.start.groups)
            self.group = cgroups.make(where, str(os.getpid()), budget)
        self.holds.append(self.group.words if self.group is not None else "no cgroup")

    def _start_kernel(self) -> None:
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)  # noqa: FBT003  (the standard library's own signature)
        slot = kernels.Slot(
            folder=str(self.folder),
            key=secrets.token_hex(16),
            link=self.link,
            ready=writer,
            parent=os.getpid(),
            confinement=replace(
                self.start.confinement, writes=(str(self.folder), *self.start.confinement.writes),
                groups=self.group.entries if self.group is not None else (),
            ),
        )  # fmt: skip
        self.pid = self._fork(slot, reader) if self.start.fork else self._spawn(slot)
        os.close(writer)
        os.close(self.link)  # the kernel alone holds it: the control plane sees its end
        self.pidfd = open_pidfd(self.pid)
        with os.fdopen(reader, encoding="ascii") as stream:
            words = stream.readline().split()  # ends at once when the kernel dies before it is ready
        if not words:
            self._reap()
            raise KernelDiedError(exit_text(self.status or 0))
        self.isolation, self.holds = words[0], [*words[1:], *self.holds]
        self.client = KernelClient(slot.connection, self.pidfd)

    def _fork(self, slot: kernels.Slot, reader: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            os.close(reader)
            self.control.sock.close()
            kernels.boot(slot)
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0
        except BaseException:  # noqa: BLE001  (a forked child must never return into its parent's stack)
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)

    def _spawn(self, slot: kernels.Slot) -> int:
        reader, writer = os.pipe()
        os.write(writer, slot.as_json().encode() + b"\n")
        os.close(writer)
        process = subprocess.Popen(
            argv_of("opsnb.control.runs.kernel", str(reader)),
            pass_fds=(reader, slot.link, slot.ready), cwd=self.folder / "work", start_new_session=True,
        )  # fmt: skip
        os.close(reader)
        process.returncode = 0  # we reap it ourselves, by its pid
        return process.pid

    def interrupt(self, number: int) -> None:
        """Send a signal to the kernel's process group."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, number)

    def exit_words(self) -> str:
        """Say how the kernel ended."""
        self._reap()
        how = exit_text(self.status) if self.status is not None else "unknown"
        return "; ".join([how, *(self.group.reached() if self.group is not None else ())])

    def ask_to_end(self) -> None:
        """Ask the kernel to end; :meth:`end_kernel` waits for it."""
        if self.client is not None and self.status is None and not self.asked:
            self.asked = True
            self.client.shutdown()

    def end_kernel(self) -> None:
        """End the kernel, orderly if it lets itself, and everything that it started."""
        if self.pid > 0 and self.status is None:
            if self.client is not None:
                self.ask_to_end()
                self.client.wait_for_death(KERNEL_EXIT_SECONDS)
            self.interrupt(9)
            self._reap()
        if self.client is not None:
            self.client.close()
            self.client = None

    def _reap(self) -> None:
        if self.status is None and self.pid > 0:
            try:
                self.status = os.waitpid(self.pid, 0)[1]
            except ChildProcessError:
                self.status = 0


def main(control: socket.socket, link: int, start: Start) -> None:
    """Run one supervisor on an inherited control socket and link descriptor."""
    os.setsid()
    Supervisor(control=Lines(control), link=link, start=start).serve()


def _spawned() -> None:
    """Entry of a spawned supervisor: ``python -m opsnb.control.runs.supervisor CONTROL LINK START``."""
    import json

    control = socket.socket(fileno=int(sys.argv[1]))
    link = int(sys.argv[2])
    start = Start.from_json(json.loads(sys.argv[3]))
    sys.argv = sys.argv[:1]
    Supervisor(control=Lines(control), link=link, start=start).serve()


if __name__ == "__main__":
    _spawned()
