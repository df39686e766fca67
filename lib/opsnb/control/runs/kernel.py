"""The kernel process of one run: confined before its first thread, one run long, dead with its supervisor.

It is forked by its supervisor (or, as the fallback, started as ``python -m opsnb.control.runs.kernel FD``), takes a
:class:`Slot` and becomes an ipykernel on a Unix socket directory. Nothing of the control plane's state is in it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from opsnb.base.runlink import LINK_VARIABLE
from opsnb.control.runs import cgroups
from opsnb.control.runs.account import become
from opsnb.control.runs.confine import Confinement, Held, confine, die_with_parent

TERMINAL_VARIABLE = "OPSNB_TERMINAL"  # two descriptors' numbers; opsnb.fleet.shell reads it
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
PRELOAD = (
    "pdb", "faulthandler", "IPython", "IPython.core.debugger", "IPython.core.completer", "IPython.core.completerlib",
    "IPython.core.oinspect", "IPython.extensions.storemagic", "IPython.utils.wildcard", "ipykernel.kernelapp",
    "ipykernel.ipkernel", "ipykernel.debugger", "ipykernel.zmqshell", "tornado.locks", "tornado.queues",
    "tornado.platform.asyncio", "pandas", "matplotlib.pyplot", "matplotlib.figure", "matplotlib.backends.backend_agg",
    "matplotlib_inline.backend_inline", "PIL.Image", "opsnb.runbook", "opsnb.kits.linux", "opsnb.kits.capacity",
    "opsnb.kits.files", "opsnb.kits.hands", "opsnb.kits.prepare", "opsnb.kits.script", "concurrent.futures.thread",
    "paramiko", "opsnb.fleet.ssh.transport",
)  # fmt: skip  # imported before the fork; what is missing is left out
PLAIN = "--plain"  # the first argument of a kernel for plain papermill
NOT_IN_A_RUN = "debugpy"  # nobody attaches a debugger to a run, and it costs 70 ms and 9 MiB of each kernel


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Where one kernel lives.

    Args:
        folder: Its 0700 scratch directory; ``work`` and ``files`` and the sockets lie in it.
        key: The session's HMAC key, hex.
        link: Descriptor of the run link, -1 for none.
        ready: Descriptor to which it reports that it is ready.
        parent: Its supervisor's pid.
        confinement: What it may read and write.
    """

    folder: str
    key: str
    link: int
    ready: int
    parent: int
    confinement: Confinement

    @property
    def connection(self) -> dict[str, Any]:
        """The Jupyter connection info: IPC sockets ``<folder>/s/k-1`` to ``k-5``."""
        info: dict[str, Any] = {f"{name}_port": number for number, name in enumerate(CHANNELS, 1)}
        return {
            **info, "transport": "ipc", "ip": f"{self.folder}/s/k", "key": self.key,
            "signature_scheme": "hmac-sha256", "kernel_name": "opsnb",
        }  # fmt: skip

    def as_json(self) -> str:
        """Return the slot as JSON text, for a spawned kernel."""
        return json.dumps({**asdict(self), "confinement": self.confinement.as_json()})

    @classmethod
    def from_json(cls, text: str) -> Slot:
        """Read what :meth:`as_json` wrote."""
        value = json.loads(text)
        return cls(**{**value, "confinement": Confinement.from_json(value["confinement"])})


def preload() -> None:
    """Import what runbooks use, before any thread exists; a module that is missing is left out."""
    import importlib

    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    sys.modules[NOT_IN_A_RUN] = None  # type: ignore[assignment]  # the import system reads this as "cannot be imported"
    for name in PRELOAD:
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def boot(slot: Slot) -> None:
    """Become the kernel of ``slot``; returns only when the kernel has shut down."""
    die_with_parent(slot.parent)
    _own_group()
    cgroups.enter(slot.confinement.groups)
    if slot.confinement.user is not None:
        become(slot.confinement.user)
        die_with_parent(slot.parent)  # becoming somebody else made the system forget
    _environment(slot)
    sys.modules[NOT_IN_A_RUN] = None  # type: ignore[assignment]
    _open_terminal()
    held = confine(slot.confinement)
    _reseed()
    with _nothing_past_the_supervisor():
        app = _application(slot)
    _report(slot.ready, held)
    app.start()


@contextlib.contextmanager
def _nothing_past_the_supervisor() -> Iterator[None]:
    """Close the way to the control plane's log: ipykernel passes on to the streams it finds what it captures from them.

    What is written to descriptors 1 and 2 arrives as output of the cell, masked, and nowhere else. An error at the
    start is still said where it can be read.
    """
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    try:
        yield
    except BaseException:
        for descriptor, former in enumerate(kept, 1):
            os.dup2(former, descriptor)
        raise
    finally:
        for former in kept:
            os.close(former)


def _own_group() -> None:
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")  # the kernel goes first, never the control plane


def _environment(slot: Slot) -> None:
    folder = slot.folder
    os.environ.update({  # the folder was made for this run alone
        "HOME": f"{folder}/work", "TMPDIR": f"{folder}/temporary", "IPYTHONDIR": f"{folder}/ipython",
        "MPLCONFIGDIR": f"{folder}/matplotlib", "JUPYTER_RUNTIME_DIR": f"{folder}/jupyter", "LC_ALL": "C.UTF-8",
        "JUPYTER_DATA_DIR": f"{folder}/jupyter", "JUPYTER_CONFIG_DIR": f"{folder}/jupyter", "PYTHONUNBUFFERED": "1",
    })  # fmt: skip
    os.environ.pop(LINK_VARIABLE, None)
    if slot.link >= 0:
        os.environ[LINK_VARIABLE] = str(slot.link)
    os.umask(0o022)
    os.chdir(f"{folder}/work")
    import tempfile

    tempfile.tempdir = None  # it remembers the parent's


def _open_terminal() -> None:
    """Open a terminal for a session on this machine: a confined kernel can open none. It costs 30 microseconds."""
    os.environ.pop(TERMINAL_VARIABLE, None)
    with contextlib.suppress(OSError):
        os.environ[TERMINAL_VARIABLE] = ",".join(map(str, os.openpty()))


def _reseed() -> None:
    random.seed()
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed(int.from_bytes(os.urandom(4), "little"))  # noqa: NPY002  (the legacy state is what is shared)


class _WithoutModules:
    """``sys`` without modules: ipykernel asks each for its file, for a debugger that no run has.

    Asking touches them all, and what is touched after a fork is a kernel's own memory: 12 MiB of each.
    """

    modules: ClassVar[dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


def _application(slot: Slot) -> Any:
    from ipykernel import ipkernel
    from ipykernel.ipkernel import IPythonKernel
    from ipykernel.kernelapp import IPKernelApp
    from traitlets.config import Config

    class Kernel(IPythonKernel):  # type: ignore[misc]  # the same
        """A kernel whose process ends as soon as it is asked to: it lives for one run, and nobody waits for answers."""

        def __init__(self, **options: Any) -> None:
            ipkernel.sys = _WithoutModules()
            try:
                super().__init__(**options)
            finally:
                ipkernel.sys = sys

        async def shutdown_request(self, *_: Any) -> None:
            with contextlib.suppress(BaseException):  # what it does wrong must not keep its kernel alive
                atexit._run_exitfuncs()  # noqa: SLF001  (only what the notebook registered is left in there)
            os._exit(0)

    class KernelApp(IPKernelApp):  # type: ignore[misc]  # it ships no types we follow
        """ipykernel without limits on what it may queue: a flood of messages is slowed down, never dropped."""

        def init_iopub(self, context: Any) -> None:
            context.sndhwm = 0
            super().init_iopub(context)

        def init_connection_file(self) -> None:
            """Leave no file: the supervisor already knows the sockets."""

        def write_connection_file(self, **_: Any) -> None:
            """Leave no file."""

        def init_poller(self) -> None:
            """Start no thread that polls for the parent: PR_SET_PDEATHSIG does it."""

    config = Config()
    config.Session.key = slot.key.encode()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.IPKernelApp.log_level = 50
    config.IPKernelApp.ignore_cwd = True  # where a run's files are staged: files are read, and are no modules
    connection = slot.connection
    names = {f"{name}_port": connection[f"{name}_port"] for name in CHANNELS}
    app = KernelApp(config=config, kernel_class=Kernel, transport="ipc", ip=connection["ip"], quiet=True, **names)
    app.initialize([])
    atexit._clear()  # noqa: SLF001  (nothing of this process is wound down: it ends)
    _inline_plots(app.shell)
    return app


def _inline_plots(shell: Any) -> None:
    if "matplotlib" in sys.modules:
        from matplotlib_inline.backend_inline import configure_inline_support

        configure_inline_support(shell, "module://matplotlib_inline.backend_inline")


def _report(ready: int, held: Held) -> None:
    os.write(ready, held.line().encode() + b"\n")
    os.close(ready)


def plain() -> None:
    """Be ipykernel for plain papermill, started with ipykernel's own arguments; it queues without limit, too."""
    from ipykernel.kernelapp import IPKernelApp

    class Lossless(IPKernelApp):  # type: ignore[misc]  # it ships no types we follow
        """The stock kernel drops what goes over 1000 waiting messages."""

        def init_iopub(self, context: Any) -> None:
            context.sndhwm = 0
            super().init_iopub(context)

    Lossless.launch_instance()


def _main() -> None:
    """Entry of a spawned kernel: its slot comes as one JSON line on the descriptor named in argv."""
    if sys.argv[1] == PLAIN:
        del sys.argv[1]
        plain()
        return
    with os.fdopen(int(sys.argv[1]), encoding="utf-8") as stream:
        slot = Slot.from_json(stream.readline())
    sys.argv = sys.argv[:1]
    boot(slot)


if __name__ == "__main__":
    _main()
