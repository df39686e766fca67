"""What a supervisor does with one sealed request: execute its notebook, keep its files, render its record."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsnb.base.canonical import canonical, sha256
from opsnb.base.errors import OpsnbError
from opsnb.base.masking import Stream
from opsnb.control.files import write_atomic
from opsnb.control.records import Cell, CellState, Record
from opsnb.control.runs.executor import End, Execution, Limits
from opsnb.control.runs.keep import Keeper, write_or_cut
from opsnb.control.runs.notebooks import notebook_bytes, without_outputs
from opsnb.control.runs.processes import resident, sweep
from opsnb.control.runs.wire import Closed, Lines

if TYPE_CHECKING:
    from opsnb.control.runs.supervisor import Supervisor

LIVE_BYTES = 64 * 1024  # text of one cell that is streamed to those who watch; the record has it all
LAST_WORDS = "end.json"  # how the cells ended; for an owner of the state that comes later
LIVE_EVERY = 0.1  # seconds between two pieces of streamed text


class Watch:
    """Tells the control plane what happens and takes its orders (an executor's observer)."""

    def __init__(self, control: Lines, supervisor: Supervisor) -> None:
        self.control, self.supervisor = control, supervisor
        self.execution: Execution | None = None
        early = supervisor.stopped
        self._order: tuple[End, str] | None = None if early is None else (End.STOPPED, early)
        self._buffer: list[tuple[str, str]] = []
        self._sent = 0
        self._index = 0
        self._last = 0.0
        self._streams: dict[str, Stream] = {}

    def cell_started(self, index: int) -> None:
        """Tell that a cell starts."""
        self._sent, self._index = 0, index
        self._tell({"ev": "cell", "index": index, "state": "running"})

    def cell_ended(self, cell: Cell) -> None:
        """Tell what became of a cell."""
        self._buffer += [(name, stream.flush()) for name, stream in self._streams.items()]
        self._flush()
        self._tell({
            "ev": "cell", "index": cell.index, "state": cell.state.value, "seconds": cell.seconds, "why": cell.why,
        })  # fmt: skip

    def text(self, index: int, stream: str, text: str) -> None:
        """Pass on text for those who watch, in bounded amounts; a little at a time, and never late."""
        del index  # a cell's text is told before its end
        if self._sent > LIVE_BYTES:
            return
        if stream not in self._streams:
            self._streams[stream] = self.supervisor.masker.stream()
        text = self._streams[stream].feed(text)
        self._sent += len(text)
        self._buffer.append((stream, text))
        if time.monotonic() - self._last > LIVE_EVERY:
            self._flush()

    def order(self) -> tuple[End, str] | None:
        """Return what the control plane ordered; its silence for ever is the order to stop."""
        if self._buffer and time.monotonic() - self._last > LIVE_EVERY:
            self._flush()
        for message in self.control.arrived():
            if message["op"] == "stop":
                self._order = (End.STOPPED, message["why"])
            elif message["op"] == "end" and self._order is None:
                self._order = (End.EARLY, message["why"])
            elif message["op"] == "mask":
                with contextlib.suppress(Closed):
                    self.supervisor.mask(message)
        if self.control.closed and (self._order is None or self._order[0] is not End.STOPPED):
            self._order = (End.STOPPED, "the control plane ended")
            assert self.supervisor.client is not None
            self.supervisor.client.unwatch(self.control.fileno())
        return self._order

    def memory(self) -> int:
        """Return the bytes resident in the kernel and everything it started."""
        return resident(os.getpid())

    def ended(self, execution: Execution) -> None:
        """Take the finished execution."""
        self.execution = execution

    def _flush(self) -> None:
        joined: list[tuple[str, str]] = []
        for stream, text in self._buffer:
            if joined and joined[-1][0] == stream:
                joined[-1] = (stream, joined[-1][1] + text)
            else:
                joined.append((stream, text))
        self._buffer.clear()
        self._last = time.monotonic()
        for stream, text in joined:
            if text:
                self._tell({"ev": "text", "index": self._index, "stream": stream, "text": text[:LIVE_BYTES]})

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(Closed):
            self.control.send(message)


def execute(supervisor: Supervisor, order: dict[str, Any]) -> None:
    """Execute a sealed notebook and write ``run.ipynb``, ``files/`` and ``end.json`` into its staging folder.

    ``order`` holds ``notebook`` (path of the sealed bytes), ``digest``, ``parameters``, ``limits``, ``staging``,
    ``stage`` (files to copy into the scratch folder: ``{"source", "name", "sha256"}``), ``stage_all`` (whether each of
    them must be there as it was sealed).
    """
    staging = Path(order["staging"])
    staging.mkdir(parents=True, exist_ok=True)
    watch = Watch(supervisor.control, supervisor)
    try:
        nb = prepare(order, supervisor.folder)
    except (OSError, OpsnbError) as error:
        supervisor.control.send({"ev": "failed", "why": str(error)})
        return
    nb = _run_cells(supervisor, watch, nb, order)
    execution = watch.execution
    assert execution is not None
    supervisor.ask_to_end()  # the kernel ends while its notebook is written out
    data = notebook_bytes(nb)
    supervisor.end_kernel()
    left = sweep()
    notes = [f"{len(left)} processes could not be ended: {left}"] if left else []
    notes += [f"the run reached {what}" for what in (supervisor.group.reached() if supervisor.group else ())]
    keeper = Keeper(staging, Path(order["quarantine"]), supervisor.masker)
    digest = keeper.notebook(nb, data, supervisor.control)
    files = keeper.files(supervisor.folder / "files")
    ended = {
        "end": execution.end.value, "why": execution.why, "cells": [_cell_json(c) for c in execution.results],
        "notebook": digest, "files": files, "notes": [*notes, *keeper.notes], "isolation": supervisor.isolation,
        "quarantined": keeper.quarantined,
    }  # fmt: skip
    with contextlib.suppress(OSError):
        write_atomic(staging / LAST_WORDS, canonical_json(ended))
    with contextlib.suppress(Closed):
        supervisor.control.send({"ev": "executed", **ended})


def prepare(order: dict[str, Any], folder: Path) -> Any:
    """Read the sealed notebook, check its digest, stage its files, and inject its parameters."""
    from papermill.execute import prepare_notebook_metadata
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook
    from papermill.translators import papermill_translators

    from opsnb.control.runs.translator import OpsnbTranslator

    path = Path(order["notebook"])
    if sha256(path.read_bytes()) != order["digest"]:
        raise OpsnbError("the sealed notebook is not the one that was sealed")
    for row in order["stage"]:
        _stage(row, folder, needed=order["stage_all"])
    papermill_translators.register("python", OpsnbTranslator)
    nb = load_notebook_node(str(path))
    if order["parameters"]:
        language = nb.metadata.get("kernelspec", {}).get("language") or "python"
        nb = parameterize_notebook(nb, order["parameters"], kernel_name="python3", language=language)
    return prepare_notebook_metadata(nb, order["name"], None)


def _stage(row: dict[str, str], folder: Path, *, needed: bool) -> None:
    try:
        data = Path(row["source"]).read_bytes()
    except OSError:
        if needed:
            raise
        return
    if sha256(data) != row["sha256"]:
        if not needed:
            return
        raise OpsnbError(f"{row['source']} has changed since the request was sealed")
    (folder / "work" / row["name"]).write_bytes(data)


def _run_cells(supervisor: Supervisor, watch: Watch, nb: Any, order: dict[str, Any]) -> Any:
    from papermill.engines import papermill_engines

    from opsnb.control.runs.engine import OpsnbEngine, Session

    assert supervisor.client is not None
    papermill_engines.register("opsnb", OpsnbEngine)
    supervisor.client.watch(supervisor.control.fileno())
    session = Session(
        client=supervisor.client, limits=Limits.from_json(order["limits"]), observer=watch,
        interrupt=supervisor.interrupt, exit_text=supervisor.exit_words, masker=supervisor.masker,
    )  # fmt: skip
    return papermill_engines.execute_notebook_with_engine(
        "opsnb", nb, kernel_name="python3", session=session, progress_bar=False,
        output_path=str(Path(order["staging"]) / "run.ipynb"),
    )  # fmt: skip


def render_record(control: Lines, order: dict[str, Any]) -> None:
    """Render ``run.html`` beside ``run.ipynb`` and report its digest and size."""
    import json

    from opsnb.control.render import render

    staging = Path(order["staging"])
    record = Record.from_json(order["record"])
    nb = json.loads((staging / "run.ipynb").read_bytes())
    page = render(record, nb, language=order["language"])
    digest, note = write_or_cut(
        staging / "run.html", page, lambda: render(record, without_outputs(nb), language=order["language"]), control
    )
    size = (staging / "run.html").stat().st_size
    control.send({"ev": "rendered", "html": digest, "size": size, "notes": [note] if note else []})


def canonical_json(value: dict[str, Any]) -> bytes:
    """Return canonical bytes of a value that may hold floats."""
    from opsnb.base.canonical import digestible

    return canonical(digestible(value))


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {
        "index": cell.index, "state": CellState(cell.state).value, "seconds": cell.seconds, "why": cell.why,
        "cut_bytes": cell.cut_bytes,
    }  # fmt: skip
