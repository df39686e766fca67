"""The papermill engine ``opsnb``: ``papermill --engine opsnb IN OUT`` works for anyone; our supervisor uses it too.

It mends what the stock engine gets wrong: a killed kernel or a timeout leaves no cell "completed" that did not
complete, no message is lost under flood, files are written whole or not at all, and saving is bounded in time.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from papermill.engines import Engine, NotebookExecutionManager
from papermill.exceptions import PapermillException
from papermill.iorw import write_ipynb

from opsnb.base.masking import Masker
from opsnb.control.files import write_atomic
from opsnb.control.records import Cell, CellState
from opsnb.control.runs import kernel
from opsnb.control.runs.client import KernelClient, open_pidfd
from opsnb.control.runs.executor import End, Execution, Limits, Observer, Silent, exit_text
from opsnb.control.runs.notebooks import notebook_bytes

SAVE_EVERY = 2.0  # seconds between two saves in the middle of a run; the last save always happens
PAPERMILL_STATUS = {
    CellState.COMPLETED: "completed",
    CellState.TEXT: "completed",
    CellState.FAILED: "failed",
    CellState.INTERRUPTED: "failed",
    CellState.KILLED: "failed",
    CellState.SKIPPED: "pending",
    CellState.NOT_EXECUTED: "pending",
}


@dataclass(frozen=True, kw_only=True)
class Session:
    """A kernel that is ready, and how to run cells on it."""

    client: KernelClient
    limits: Limits
    observer: Observer
    interrupt: Any  # (signal number) -> None
    exit_text: Any  # () -> str
    masker: Masker = field(default_factory=Masker)


class TruthfulManager(NotebookExecutionManager):  # type: ignore[misc]  # papermill ships no types
    """papermill's bookkeeping, with states that are true and saves that are atomic and few."""

    last_save = 0.0

    def save(self, *, final: bool = False, **_: Any) -> None:
        """Save the notebook if the last save is long enough ago, or if this is the final one."""
        if not self.output_path or (not final and time.monotonic() - self.last_save < SAVE_EVERY):
            return
        path = str(self.output_path)
        if "://" in path:
            write_ipynb(self.nb, path)
        else:
            write_atomic(Path(path), notebook_bytes(self.nb), durable=final)
        self.last_save = time.monotonic()

    def apply(self, cell: Any, result: Cell) -> None:
        """Write what became of a cell into its metadata, papermill's words and ours."""
        data = cell.metadata.papermill
        data["status"] = PAPERMILL_STATUS[result.state]
        data["exception"] = result.state in {CellState.FAILED, CellState.INTERRUPTED, CellState.KILLED}
        data["duration"] = result.seconds
        cell.metadata["opsnb"] = nbformat.from_dict({"state": result.state.value, "why": result.why})
        if data["exception"]:
            self.nb.metadata.papermill["exception"] = True

    def notebook_complete(self, *, save: bool = True, **_: Any) -> None:
        """Close the notebook's own times and save; no cell is called completed that is not."""
        self.end_time = self.now()
        papermill = self.nb.metadata.papermill
        papermill["end_time"] = self.end_time.isoformat()
        papermill["duration"] = (self.end_time - self.start_time).total_seconds()
        if not papermill["exception"]:
            self.complete_pbar()  # text cells count too
        self.cleanup_pbar()
        if save:
            self.save(final=True)


class OpsnbEngine(Engine):  # type: ignore[misc]  # papermill ships no types
    """Executes a notebook and tells the truth about each cell."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        *,
        progress_bar: Any = True,
        log_output: bool = False,
        session: Session | None = None,
        **options: Any,
    ) -> Any:
        """Execute ``nb`` on ``session``, or on a kernel started for it, and return it.

        Raises:
            PapermillException: If it was ended without an error in a cell (papermill itself raises for those).
        """
        manager = TruthfulManager(nb, output_path=output_path, progress_bar=progress_bar, log_output=log_output)
        manager.notebook_start()
        end, why = End.COMPLETED, ""
        try:
            if session is not None:
                end, why = cls.execute_managed_notebook(manager, kernel_name, session=session)
            else:
                with _started(kernel_name, options) as own:
                    end, why = cls.execute_managed_notebook(manager, kernel_name, session=own)
        finally:
            manager.notebook_complete(save=session is None)  # a supervisor writes what it keeps itself
        if session is None and end not in {End.COMPLETED, End.EARLY, End.CELL_FAILED} and not _has_error(nb):
            raise PapermillException(f"{end.value}: {why}")
        return manager.nb

    @classmethod
    def execute_managed_notebook(  # papermill names the arguments
        cls,
        nb_man: TruthfulManager,
        kernel_name: str,  # noqa: ARG003
        *,
        session: Session,
        **_: Any,
    ) -> tuple[End, str]:
        """Execute the cells; return why they stopped."""
        execution = Execution(
            client=session.client,
            cells=nb_man.nb.cells,
            limits=session.limits,
            observer=_Bookkeeper(nb_man, session.observer),
            interrupt=session.interrupt,
            exit_text=session.exit_text,
            masker=session.masker,
        )
        execution.run()
        for result in execution.results:
            manager_cell = nb_man.nb.cells[result.index]
            nb_man.apply(manager_cell, result)
            manager_cell["outputs"] = nbformat.from_dict(manager_cell.get("outputs", []))
            if manager_cell["cell_type"] != "code":
                del manager_cell["outputs"]
        nb_man.nb.metadata["opsnb"] = nbformat.from_dict({"end": execution.end.value, "why": execution.why})
        session.observer.ended(execution)
        return execution.end, execution.why


class _Bookkeeper:
    """Keeps papermill's book and passes everything on."""

    def __init__(self, manager: TruthfulManager, inner: Observer) -> None:
        self.manager, self.inner = manager, inner
        self.text, self.order, self.memory, self.ended = inner.text, inner.order, inner.memory, inner.ended

    def cell_started(self, index: int) -> None:
        self.manager.cell_start(self.manager.nb.cells[index], index)
        self.inner.cell_started(index)

    def cell_ended(self, cell: Cell) -> None:
        node = self.manager.nb.cells[cell.index]
        self.manager.apply(node, cell)
        node.metadata.papermill["end_time"] = self.manager.now().isoformat()
        if self.manager.pbar:
            self.manager.pbar.update(1)
        self.inner.cell_ended(cell)
        self.manager.save()


def _has_error(nb: Any) -> bool:
    return any(o.get("output_type") == "error" for c in nb.cells for o in c.get("outputs", []))


def _ours(python: str) -> bool:
    """Whether a kernel's interpreter is this one, so that it can import us."""
    return python in {"python", "python3"} or Path(python).absolute() == Path(sys.executable).absolute()


class _started:  # noqa: N801  (a context manager, used as a function)
    """A kernel of ``kernel_name`` for plain papermill: own process group, Unix sockets, gone afterwards."""

    def __init__(self, kernel_name: str, options: dict[str, Any]) -> None:
        self.kernel_name = kernel_name
        seconds = options.get("execution_timeout")
        self.limits = Limits(cell_seconds=float(seconds)) if seconds else Limits()
        self.start_timeout = float(options.get("start_timeout") or 60)

    def __enter__(self) -> Session:
        from jupyter_client.manager import KernelManager

        self.manager = KernelManager(kernel_name=self.kernel_name, transport="ipc")
        argv = self.manager.kernel_spec.argv
        if argv[1:3] == ["-m", "ipykernel_launcher"] and _ours(argv[0]):  # the stock kernel drops output under flood
            argv[2:3] = ["opsnb.control.runs.kernel", kernel.PLAIN]
        self.manager.start_kernel()
        pid = self.manager.provisioner.pid
        pidfd = open_pidfd(pid)
        self.client = KernelClient(self.manager.get_connection_info(), pidfd)
        self.client.subscribe(self.start_timeout)
        return Session(
            client=self.client, limits=self.limits, observer=Silent(),
            interrupt=lambda number: os.killpg(pid, signal.Signals(number)), exit_text=self._exit_text,
        )  # fmt: skip

    def _exit_text(self) -> str:
        process = self.manager.provisioner.process
        code = process.wait(timeout=5)
        return exit_text(-code if code < 0 else code << 8)

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        if self.client.pidfd >= 0:
            os.close(self.client.pidfd)
