"""Executes the cells of one notebook on one kernel and tells the truth about each of them.

No thread and no event loop: one poller waits for messages, for the kernel's death, for whatever else the caller
watches, and for the clock. A cell is complete when its reply and its ``idle`` have both arrived.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from opsnb.base.masking import Masker
from opsnb.control.records import Cell, CellState
from opsnb.control.runs.client import KernelClient, KernelDiedError, Message
from opsnb.control.runs.outputs import Budget, CellOutputs

SKIP_TAG = "skip-execution"
TICK = 0.25  # seconds between two looks at the limits


class End(StrEnum):
    """Why the cells stopped executing."""

    COMPLETED = "completed"  # every cell ran
    CELL_FAILED = "cell failed"  # a cell raised
    EARLY = "ended early"  # the control plane ended the run after a cell: planned, not applicable, drifted
    STOPPED = "stopped"  # somebody asked for it
    CELL_TIMEOUT = "cell timed out"
    RUN_TIMEOUT = "run timed out"
    MEMORY = "memory limit"
    KERNEL_DIED = "kernel died"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one run may use.

    Args:
        run_seconds: Wall clock of the whole run.
        cell_seconds: Wall clock of one cell.
        memory_bytes: Resident memory of the kernel and everything it started.
        output_bytes: Output kept of the whole run; ``cell_output_bytes`` of one cell.
        grace_seconds: Time between interrupt, TERM and KILL.
    """

    run_seconds: float = 3600.0
    cell_seconds: float = 3600.0
    memory_bytes: int = 2 * 1024**3
    output_bytes: int = 32 * 1024**2
    cell_output_bytes: int = 16 * 1024**2
    grace_seconds: float = 3.0

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Limits:
        """Read limits from a JSON object."""
        return cls(**value)


class Observer(Protocol):
    """Who is told about a run while it happens."""

    def cell_started(self, index: int) -> None:
        """A cell starts."""

    def cell_ended(self, cell: Cell) -> None:
        """A cell has ended; its outputs are in the notebook."""

    def text(self, index: int, stream: str, text: str) -> None:
        """A piece of text arrived."""

    def order(self) -> tuple[End, str] | None:
        """Return the order to end now (``STOPPED``) or after the current cell (``EARLY``), with its reason."""

    def memory(self) -> int:
        """Return the bytes resident in the kernel and everything it started."""

    def ended(self, execution: Execution) -> None:
        """Everything has been executed that will be."""


class Silent:
    """An observer that neither listens nor orders: for plain papermill."""

    def cell_started(self, index: int) -> None:
        """Say nothing."""

    def cell_ended(self, cell: Cell) -> None:
        """Say nothing."""

    def text(self, index: int, stream: str, text: str) -> None:
        """Say nothing."""

    def order(self) -> tuple[End, str] | None:
        """Order nothing."""
        return None

    def memory(self) -> int:
        """Measure nothing."""
        return 0

    def ended(self, execution: Execution) -> None:
        """Say nothing."""


@dataclass
class Execution:
    """The cells of one notebook, executing.

    Args:
        client: Subscribed to the kernel.
        cells: The notebook's cells; outputs and counts are written into them.
        limits: What the run may use.
        observer: Who is told.
        interrupt: Sends a signal to the kernel's process group.
        exit_text: Says how the kernel died.
        masker: Masks outputs before they enter a cell; what it learns later, earlier cells are masked for again.
    """

    client: KernelClient
    cells: list[dict[str, Any]]
    limits: Limits
    observer: Observer
    interrupt: Callable[[int], None]
    exit_text: Callable[[], str]
    masker: Masker = field(default_factory=Masker)
    results: list[Cell] = field(default_factory=list)
    end: End = End.COMPLETED
    why: str = ""
    collected: dict[str, tuple[dict[str, Any], CellOutputs]] = field(default_factory=dict)

    def run(self) -> End:
        """Execute the cells in order; afterwards ``results`` holds one :class:`Cell` for each."""
        deadline = time.monotonic() + self.limits.run_seconds
        budget = Budget(left=self.limits.output_bytes, limit=self.limits.output_bytes)
        for index, cell in enumerate(self.cells):
            if self.end is End.COMPLETED and (order := self.observer.order()):
                self.stop(*order)
            if cell["cell_type"] != "code":
                self.results.append(Cell(index=index, state=CellState.TEXT))
            elif self.end is not End.COMPLETED:
                self.results.append(Cell(index=index, state=CellState.NOT_EXECUTED, why=self.why))
            elif SKIP_TAG in cell.get("metadata", {}).get("tags", []):
                self.results.append(Cell(index=index, state=CellState.SKIPPED, why=f"tagged {SKIP_TAG}"))
            elif not "".join(cell["source"]).strip():
                self.results.append(Cell(index=index, state=CellState.COMPLETED, seconds=0.0))
            else:
                self._cell(index, cell, deadline, budget)
        while messages := self.client.receive():
            self.late(messages)
        self.settle()
        return self.end

    def late(self, messages: list[Message]) -> None:
        """Give output that arrives after its cell (from a thread that goes on) to the cell that started it."""
        for message in messages:
            found = self.collected.get(message.parent)
            if found is not None and message.channel == "iopub" and message.kind != "status":
                found[1].add(message)

    def settle(self) -> None:
        """Write outputs into cells: what came late, and once more what was masked before a secret was known."""
        for cell, outputs in self.collected.values():
            if outputs.stale:
                cell["outputs"] = outputs.finish()

    def _cell(self, index: int, cell: dict[str, Any], deadline: float, budget: Budget) -> None:
        self.observer.cell_started(index)
        started = time.monotonic()
        outputs = CellOutputs(
            budget=budget,
            limit=self.limits.cell_output_bytes,
            masker=self.masker,
            on_text=lambda stream, text: self.observer.text(index, stream, text),
        )
        state, why = _Attempt(self, cell, outputs, deadline).run()
        if state is CellState.KILLED:
            evalue = f"the kernel died: {why}"
            trace = [f"KernelDied: {evalue}"]
            outputs.rows.append({"output_type": "error", "ename": "KernelDied", "evalue": evalue, "traceback": trace})
        cell["outputs"] = outputs.finish()
        self.settle()
        seconds = round(time.monotonic() - started, 3)
        result = Cell(index=index, state=state, seconds=seconds, why=why, cut_bytes=outputs.cut)
        self.results.append(result)
        self.observer.cell_ended(result)

    def stop(self, end: End, why: str) -> None:
        """Let no further cell start."""
        if self.end is End.COMPLETED:
            self.end, self.why = end, why


class _Attempt:
    """One cell, from its request to its last message."""

    def __init__(self, execution: Execution, cell: dict[str, Any], outputs: CellOutputs, deadline: float) -> None:
        self.execution, self.cell, self.outputs = execution, cell, outputs
        self.deadline = min(deadline, time.monotonic() + execution.limits.cell_seconds)
        self.run_deadline = deadline
        self.replied = self.idle = False
        self.signals = iter((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        self.next_signal: float | None = None  # when the next one is due; None while nothing is wrong

    def run(self) -> tuple[CellState, str]:
        """Return what became of the cell, and why."""
        execution, client = self.execution, self.execution.client
        request = client.execute("".join(self.cell["source"]))
        execution.collected[request] = (self.cell, self.outputs)
        look = time.monotonic() + TICK
        while not (self.replied and self.idle):
            ready = client.wait(TICK)
            self._take(request, client.receive(ready))
            now = time.monotonic()
            self._orders()
            if now >= look:
                look = now + TICK
                self._limits(now)
            if self.next_signal is not None and now >= self.next_signal:
                self._signal(now)
            if client.died(ready) and not self._drained(request):
                return self._dead()
        return self._ended()

    def _drained(self, request: str) -> bool:
        """Take what a dead kernel left in the sockets; return whether the cell completed after all."""
        while messages := self.execution.client.receive():
            self._take(request, messages)
        return self.replied and self.idle

    def _take(self, request: str, messages: list[Message]) -> None:
        for message in messages:
            if message.parent != request:
                self.execution.late([message])
            elif message.channel == "shell":
                self.replied = True
                self.cell["execution_count"] = message.content.get("execution_count")
            elif message.kind == "status":
                self.idle = message.content.get("execution_state") == "idle"
            else:
                self.outputs.add(message)

    def _orders(self) -> None:
        order = self.execution.observer.order()
        if order is None or self.execution.end is not End.COMPLETED:
            return
        end, why = order
        self.execution.stop(end, why)
        if end is not End.EARLY:
            self.next_signal = 0.0

    def _limits(self, now: float) -> None:
        if self.next_signal is not None:
            return
        limits = self.execution.limits
        if now >= self.deadline:
            if now >= self.run_deadline:
                self.execution.stop(End.RUN_TIMEOUT, f"the run took longer than {limits.run_seconds:g} s")
            else:
                self.execution.stop(End.CELL_TIMEOUT, f"the cell took longer than {limits.cell_seconds:g} s")
            self.next_signal = 0.0
        elif (used := self.execution.observer.memory()) > limits.memory_bytes:
            mib = 1024**2
            why = f"it used {used // mib} MiB of memory, the limit is {limits.memory_bytes // mib} MiB"
            self.execution.stop(End.MEMORY, why)
            self.signals = iter((signal.SIGKILL,))
            self.next_signal = 0.0

    def _signal(self, now: float) -> None:
        number = next(self.signals, signal.SIGKILL)
        self.execution.interrupt(number)
        self.next_signal = now + self.execution.limits.grace_seconds

    def _dead(self) -> tuple[CellState, str]:
        how = self.execution.exit_text()
        if self.execution.end in {End.COMPLETED, End.EARLY}:
            self.execution.end = End.COMPLETED
            self.execution.stop(End.KERNEL_DIED, f"the kernel died: {how}")
        return CellState.KILLED, how if self.execution.why.endswith(how) else f"{self.execution.why}; {how}"

    def _ended(self) -> tuple[CellState, str]:
        if self.next_signal is not None and self.outputs.failed:
            return CellState.INTERRUPTED, self.execution.why
        if self.outputs.failed:
            self.execution.end = End.COMPLETED if self.execution.end is End.EARLY else self.execution.end
            self.execution.stop(End.CELL_FAILED, self.outputs.error)
            return CellState.FAILED, self.outputs.error
        return CellState.COMPLETED, ""


def exit_text(status: int) -> str:
    """Return a wait status in words: ``killed by SIGKILL`` or ``exit code 3``."""
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"


__all__ = ["End", "Execution", "KernelDiedError", "Limits", "Observer", "Silent", "exit_text"]
