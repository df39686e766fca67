"""Execute: one claimed run from its supervisor's start to its record in outputs/."""

from __future__ import annotations

import contextlib
import logging
import selectors
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsnb.base.canonical import digestible
from opsnb.base.errors import OpsnbError
from opsnb.base.runlink import MAX_LINE
from opsnb.control.flows.claim import LEAVE, REFUSED
from opsnb.control.flows.converse import Conversation, sealed_body
from opsnb.control.flows.record import finish
from opsnb.control.flows.seal import blob_path
from opsnb.control.flows.watch import Watch
from opsnb.control.records import CellState, Mode, RunState
from opsnb.control.runs import store
from opsnb.control.runs.launcher import Launched
from opsnb.control.runs.terminal import SESSION
from opsnb.control.runs.wire import Closed, Lines

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

LOG = logging.getLogger("opsnb")
START_SECONDS = 90.0  # how long a kernel may take to be ready on a slow machine
EARLY = "ended early"  # a supervisor's word for a run that it was ordered to end after a cell
LOST_SECONDS = 30.0  # how long after its limits a silent supervisor is waited for


@dataclass
class Ended:
    """How the cells of a run ended: the supervisor's words, or ours when it has none.

    ``cells`` are rows as in :class:`opsnb.control.records.Cell`; ``files`` are ``{"path", "size", "sha256"}``;
    ``quarantined`` are what a secret stood in, as words.
    """

    end: str
    why: str
    cells: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    isolation: str = "none"
    holds: list[str] = field(default_factory=list)
    cut_for_space: bool = False


@dataclass
class Held:
    """An answer that waits until the supervisor masks what it holds: ``masks`` are the numbers of what was sent."""

    answer: dict[str, Any]
    masks: set[int]


@dataclass
class Conductor:
    """Leads one run: hears its supervisor and its kernel, tells those who watch."""

    services: Services
    run: str
    request: str
    mode: Mode
    body: dict[str, Any]
    launched: Launched
    conversation: Conversation = field(init=False)
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)
    ended: Ended | None = None
    deadline: float = 0.0
    held: list[Held] = field(default_factory=list)
    masks: int = 0
    executing: bool = False
    under: str = ""  # the grant that it began under
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(
            self.services, self.run, self.body, self.under, notice=self._notice, end=self._wind_up,
            stop=lambda why: self._order("stop", why),
        )  # fmt: skip
        self.conversation = Conversation(
            services=self.services, run=self.run, mode=self.mode, request=self.request, body=self.body,
            end=lambda why: self._order("end", why), tell=self.services.feed(self.run).tell,
            masker=self.services.masker(self.run),
        )  # fmt: skip

    def lead(self) -> Ended:
        """Wait for the kernel, have the notebook executed, and return how it ended."""
        control, link = self.launched.control, self.launched.link
        terminal = self.services.terminals[self.run] = self.conversation.terminal
        self.deadline = time.monotonic() + START_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(control, selectors.EVENT_READ, self._hear)
            selector.register(link, selectors.EVENT_READ, self._answer)
            selector.register(terminal.signal, selectors.EVENT_READ, self._wake)
            while self.ended is None:
                for key, _ in selector.select(timeout=1.0):
                    key.data(key.fileobj)
                    lines = key.fileobj
                    if isinstance(lines, Lines) and lines.closed:
                        selector.unregister(lines)
                if self.executing and self.ended is None:
                    self.watch.turn()
                if control.closed and self.ended is None:
                    self.ended = Ended("supervisor died", "the run's supervisor died")
                elif time.monotonic() > self.deadline and self.ended is None:
                    self.ended = Ended("supervisor died", "the run's supervisor did not answer")
        if not self.ended.cells:
            self.ended.cells = [self.cells[i] for i in sorted(self.cells)]
        self.ended.isolation, self.ended.holds = self.conversation.isolation, self.conversation.holds
        return self.ended

    def _hear(self, control: Lines) -> None:
        for message in control.arrived():
            getattr(self, f"_on_{message['ev']}")(message)

    def _answer(self, link: Lines) -> None:
        try:
            messages = link.arrived()
        except ValueError:  # not JSON: this kernel is not talked to any more
            LOG.warning("run %s: its kernel sent something that is not JSON", self.run)
            link.close()
            return
        if len(link._buffer) > MAX_LINE:  # noqa: SLF001  (the limit of this line is ours to keep)
            link.close()
            return
        for message in messages:
            try:
                answer = self.conversation.answer(message)
                if not self._hold(answer):
                    link.send(answer)
            except Closed:
                return

    def _wake(self, _: object) -> None:
        """Tell a kernel in a terminal session that there is something for it: ``{"wake": true}``, unasked."""
        try:
            if self.conversation.terminal.due():
                self.launched.link.send({"wake": True})
        except Closed:
            return

    def _hold(self, answer: dict[str, Any]) -> bool:
        """Have the supervisor mask what an answer reveals; return whether the answer has to wait for that."""
        masks = set()
        for name, value in self.conversation.to_mask if answer["ok"] else ():
            self.masks += 1
            masks.add(self.masks)
            self.launched.control.send({"op": "mask", "id": self.masks, "name": name, "value": value})
        if masks:
            self.held.append(Held(answer, masks))
        return bool(masks)

    def _on_masked(self, message: dict[str, Any]) -> None:
        for held in self.held:
            held.masks.discard(int(message["id"]))
        ready = [held.answer for held in self.held if not held.masks]
        self.held = [held for held in self.held if held.masks]
        with contextlib.suppress(Closed):
            for answer in ready:
                self.launched.link.send(answer)

    def _on_ready(self, message: dict[str, Any]) -> None:
        self.conversation.folder = message["folder"]
        self.conversation.isolation, self.conversation.holds = message["isolation"], message["holds"]
        with self.services.database.transaction() as connection:
            store.move(connection, self.run, RunState.RUNNING, supervisor=message["pid"])
        self.services.feed(self.run).tell({"ev": "state", "run": self.run, "state": RunState.RUNNING.value})
        if stopped_by := _stopped_by(self.services, self.run):
            self.ended = Ended("stopped", f"stopped by {stopped_by} before its first cell")
            return
        limits = self.body["limits"]
        self.deadline = time.monotonic() + float(limits["run_seconds"]) + LOST_SECONDS
        self.launched.control.send({
            "op": "execute", "notebook": str(blob_path(self.services, self.body["notebook"])),
            "digest": self.body["notebook"], "parameters": self._parameters(), "limits": _limits(limits),
            "name": self.body["path"], "staging": str(self.services.workspace.incoming / self.run),
            "quarantine": str(quarantine(self.services, self.run)),
            "stage": [{k: f[k] for k in ("source", "name", "sha256")} for f in self.body["files"]],
            "stage_all": self.mode is not Mode.UNDO,  # what was applied can be undone when a file is here no more
        })  # fmt: skip
        self.executing = True

    def _parameters(self) -> dict[str, Any]:
        with self.services.database.transaction() as connection:
            values = dict(store.request_row(connection, self.request).parameters)
        if digestible(values) != self.body["parameters"]:
            raise OpsnbError("the stored parameters are not the sealed ones")
        return values

    def _on_cell(self, message: dict[str, Any]) -> None:
        row = {k: message.get(k) for k in ("index", "state", "seconds", "why")}
        running = row["state"] == "running"
        state = CellState.KILLED.value if running else row["state"]  # until we hear that it ended
        self.cells[int(message["index"])] = {**row, "why": row["why"] or "", "state": state}
        self.services.feed(self.run).tell(message)

    def _on_text(self, message: dict[str, Any]) -> None:
        self.services.feed(self.run).tell(message)

    def _on_space(self, _: dict[str, Any]) -> None:
        self.services.give_up_reserve()
        self.launched.control.send({"op": "space"})

    def _on_executed(self, message: dict[str, Any]) -> None:
        cut = self.watch.over and message["end"] == EARLY
        self.ended = Ended(
            end="stopped" if cut else message["end"], why=message["why"], cells=message["cells"],
            files=message["files"], notes=message["notes"], quarantined=message["quarantined"],
            cut_for_space=any("disk was full" in n for n in message["notes"]),
        )  # fmt: skip

    def _on_failed(self, message: dict[str, Any]) -> None:
        self.ended = Ended("not started", message["why"])

    def _notice(self, text: str) -> None:
        """Tell the person something: in the session's terminal, and those who watch."""
        self.conversation.terminal.say(text)
        self.services.feed(self.run).tell({"ev": "notice", "text": text})

    def _wind_up(self, why: str) -> None:
        """End what is done by hand: a session closes its shell and keeps what was shown, all else is interrupted."""
        session = self.body["id"] == SESSION
        self._order("end" if session else "stop", why)
        if session:
            self.conversation.terminal.finish(why)

    def _order(self, op: str, why: str) -> None:
        try:
            self.launched.control.send({"op": op, "why": why})
        except Closed:
            return


def execute(services: Services, run: str) -> None:
    """Carry one claimed run to its end. Whatever happens, the run ends with a verdict."""
    with services.database.transaction() as connection:
        row = store.run_row(connection, run)
        request = store.request_row(connection, row.request)
        body, mode = sealed_body(request), Mode(row.mode)
        refused, leave = store.noted(connection, run, REFUSED), store.noted(connection, run, LEAVE)
    if refused:
        finish(services, run, Ended("not started", f"nothing was touched: {refused[-1]['why']}"), None)
        return
    if stopped_by := _stopped_by(services, run):
        finish(services, run, Ended("stopped", f"stopped by {stopped_by} before it started"), None)
        return
    services.feed(run).tell({"ev": "state", "run": run, "state": RunState.STARTING.value})
    launched: Launched | None = None
    try:
        if services.toolkit.digest() != body["toolkit"]:
            raise OpsnbError("the toolkit has changed since the request was sealed: ask again")  # noqa: TRY301
        changing = mode.changes  # what may be written then may be read before
        reads = (*body["reads"], *(() if changing else body["writes"]))
        launched = services.launcher.launch(reads=reads, writes=tuple(body["writes"]) if changing else ())
        services.running[run] = launched
        if services.ending:
            stop(services, run, services.ending)
        under = str(leave[-1]["source"]) if leave else ""
        ended = Conductor(services, run, row.request, mode, body, launched, under=under).lead()
    except Exception as error:
        LOG.exception("run %s could not be executed", run)
        ended = Ended("not started", f"it could not be executed: {error}")
    finally:
        services.running.pop(run, None)
        if terminal := services.terminals.pop(run, None):
            terminal.close()
            terminal.release()
    try:
        finish(services, run, ended, launched)
    finally:
        services.maskers.pop(run, None)
        if launched is not None:
            dismiss(launched)


def quarantine(services: Services, run: str) -> Path:
    """Return where what gives a secret away is kept of a run: for the workspace's owner only, never in outputs/."""
    return services.workspace.state / "quarantine" / run


def stop(services: Services, run: str, why: str) -> bool:
    """Order a running run to end now; return whether it was running."""
    launched = services.running.get(run)
    if launched is None:
        return False
    try:
        launched.control.send({"op": "stop", "why": why})
    except Closed:
        return False
    return True


def dismiss(launched: Launched) -> None:
    """Let a supervisor go; its zygote sweeps what it should leave."""
    try:
        launched.control.send({"op": "exit"})
        launched.control.sock.settimeout(10.0)
        while launched.control.next():
            continue
    except (Closed, OSError, ValueError):
        pass
    launched.control.close()
    launched.link.close()


def _stopped_by(services: Services, run: str) -> str:
    with services.database.transaction() as connection:
        return str((store.noted(connection, run, "stop") or [""])[-1])


def _limits(limits: dict[str, Any]) -> dict[str, Any]:
    return {k: float(v) if k.endswith("_seconds") else int(v) for k, v in limits.items()}
