"""The zygote: a process that has imported everything and holds nothing, so that a run starts by forking it.

It has no key, connection, thread or event loop. It forks supervisors on request, and supervisors fork their own
kernels (so each has its kernel's exit status, death signal and descriptors). It is a subreaper: what a killed
supervisor leaves behind comes to it, and is ended.

``{"op": "fork", "id": n, "start": {...}}`` with two descriptors (control, link) → ``{"pid": p, "id": n}``;
a supervisor that ended → ``{"ended": pid}``.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

THREADS_WANTED = 1
PRELOAD = (
    "papermill.engines", "papermill.execute", "papermill.iorw", "papermill.parameterize", "papermill.translators",
    "nbformat.v4", "jupyter_client.session", "zmq", "opsnb.control.runs.engine", "opsnb.control.runs.job",
    "opsnb.control.runs.translator", "opsnb.control.render",
)  # fmt: skip


def main() -> None:
    """Entry: ``python -m opsnb.control.runs.zygote FD``."""
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.argv = sys.argv[:1]
    _preload()
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208  (names are wanted)
    if threads != THREADS_WANTED:
        control.sendall(json.dumps({"failed": f"{threads} threads after the imports"}).encode())
        return
    gc.collect()
    gc.freeze()
    from opsnb.control.runs.confine import become_subreaper

    become_subreaper()
    control.sendall(json.dumps({"ready": os.getpid()}).encode())
    _serve(control)


def _preload() -> None:
    from opsnb.control.runs import kernel

    kernel.preload()
    for name in PRELOAD:
        importlib.import_module(name)
    from opsnb.control.render import preload

    preload()


def _serve(control: socket.socket) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the control plane's business
    supervisors: set[int] = set()
    watched: list[Any] = [control, reader]
    while True:
        readable = select.select(watched, [], [])[0]
        if reader in readable:
            _drain(reader)
            _bury(control, supervisors)
        if control in readable:
            data, descriptors = _receive(control)
            if not data:
                break
            supervisors.add(_fork(control, json.loads(data), descriptors, (reader, writer)))
    _last(supervisors)


def _fork(control: socket.socket, message: dict[str, Any], descriptors: list[int], pipe: tuple[int, int]) -> int:
    pid = os.fork()
    if pid:
        for descriptor in descriptors:
            os.close(descriptor)
        _tell(control, {"pid": pid, "id": message["id"]})
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        for descriptor in pipe:
            os.close(descriptor)
        from opsnb.control.runs import supervisor

        channel = socket.socket(fileno=descriptors[0])
        supervisor.main(channel, descriptors[1], supervisor.Start.from_json(message["start"]))
        code = 0
    except BaseException:  # noqa: BLE001  (a forked child must never return into its parent's stack)
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    try:
        data, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 4)
    except OSError:  # reset: the control plane was killed
        return b"", []
    return data, descriptors


def _bury(control: socket.socket, supervisors: set[int]) -> None:
    """Reap what ended, and end what a killed supervisor left behind."""
    from opsnb.control.runs.processes import sweep

    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        if pid in supervisors:
            supervisors.discard(pid)
            sweep(frozenset(supervisors))
            _tell(control, {"ended": pid})


def _last(supervisors: set[int]) -> None:
    """The control plane is gone: let the supervisors end their runs, then end whatever is left."""
    import time

    from opsnb.control.runs.processes import sweep

    end = time.monotonic() + 15.0
    while supervisors and time.monotonic() < end:
        for pid in list(supervisors):
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    supervisors.discard(pid)
            except ChildProcessError:
                supervisors.discard(pid)
        time.sleep(0.02)
    sweep()


def _tell(control: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        control.sendall(json.dumps(message).encode())


def _drain(reader: int) -> None:
    try:
        while os.read(reader, 4096):
            pass
    except BlockingIOError:
        pass


if __name__ == "__main__":
    main()
