"""The outputs of one cell as they arrive: joined where they belong together, counted, cut where they are too much.

What arrived stays in memory as it is; :meth:`CellOutputs.finish` masks it, so that a secret in pieces is seen whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opsnb.base.masking import Masker
from opsnb.control.runs.client import Message

MAX_NAME = 500  # characters of an exception's name
CUT_NOTE = "\n[opsnb: {cut} bytes of output were cut here; the limit is {limit} bytes]\n"


@dataclass
class Budget:
    """How many bytes of output a run may still keep; shared by its cells."""

    left: int
    limit: int


@dataclass
class CellOutputs:
    """Collects the iopub messages of one cell into notebook outputs (nbformat 4.5).

    Args:
        budget: What the whole run may keep.
        limit: Bytes that this cell may keep.
        on_text: Told every piece of text as it arrives (stream name, text).
        masker: Masks what :meth:`finish` returns.
    """

    budget: Budget
    limit: int
    on_text: Callable[[str, str], None] = lambda _s, _t: None
    masker: Masker = field(default_factory=Masker)
    rows: list[dict[str, Any]] = field(default_factory=list)
    kept: int = 0
    cut: int = 0
    failed: bool = False
    _error_said: str = ""
    _changed: bool = False
    _masked_at: int = 0  # the masker's generation at the last finish
    _pieces: dict[int, list[str]] = field(default_factory=dict)
    _displays: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _clear_on_next: bool = False

    @property
    def error(self) -> str:
        """The exception of a cell that failed, masked, as one line."""
        return self.masker.text(self._error_said)[:500]

    @property
    def stale(self) -> bool:
        """Whether what :meth:`finish` returned last is no longer all there is, or not masked as it would be now."""
        return self._changed or (bool(self.rows) and self._masked_at != self.masker.generation)

    def add(self, message: Message) -> None:
        """Take one iopub message."""
        self._changed = True
        kind, content = message.kind, message.content
        if kind == "clear_output":
            self._clear(wait=bool(content.get("wait")))
        elif kind == "stream":
            self._stream(str(content.get("name", "stdout")), str(content.get("text", "")))
        elif kind in {"display_data", "execute_result", "update_display_data"}:
            self._display(kind, content, message.size)
        elif kind == "error":
            self._error(content, message.size)

    def finish(self) -> list[dict[str, Any]]:
        """Return the outputs, masked, streams joined, with a note where something was cut."""
        self._changed, self._masked_at = False, self.masker.generation
        for index, pieces in self._pieces.items():
            self.rows[index]["text"] = "".join(pieces)
        rows = self._masked() if self.masker else list(self.rows)
        if not self.cut:
            return rows
        text = CUT_NOTE.format(cut=f"{self.cut:,}", limit=f"{min(self.limit, self.budget.limit):,}")
        return [*rows, {"output_type": "stream", "name": "stderr", "text": text}]

    def _masked(self) -> list[dict[str, Any]]:
        """Return the rows masked; a stream as a whole, wherever other outputs stand in between."""
        texts: dict[int, str] = {}
        for name in ("stdout", "stderr"):
            rows = [n for n, row in enumerate(self.rows) if row["output_type"] == "stream" and row["name"] == name]
            said = self.masker.pieces([self.rows[n]["text"] for n in rows])
            if self.cut and said:
                said[-1] = self.masker.cut_end(said[-1])
            texts.update(zip(rows, said, strict=True))
        made = []
        for number, row in enumerate(self.rows):
            if number in texts:
                made.append({**row, "text": texts[number]})
            elif "data" in row:
                made.append({
                    **row, "data": self.masker.bundle(row["data"]), "metadata": self.masker.value(row["metadata"]),
                })  # fmt: skip
            else:
                made.append(self.masker.value(row))
        return [row for row in made if row["output_type"] != "stream" or row["text"]]

    def _stream(self, name: str, text: str) -> None:
        self._clear_if_due()
        self.on_text(name, text)
        size = len(text.encode("utf-8", "surrogatepass"))
        room = min(self.limit - self.kept, self.budget.left)
        if size > room:
            kept = text.encode("utf-8", "surrogatepass")[: max(room, 0)].decode("utf-8", "ignore")
            self.cut += size - len(kept.encode("utf-8"))
            text, size = kept, len(kept.encode("utf-8"))
        if not text:
            return
        self._take(size)
        last = len(self.rows) - 1
        if last >= 0 and self.rows[last]["output_type"] == "stream" and self.rows[last]["name"] == name:
            self._pieces[last].append(text)
        else:
            self.rows.append({"output_type": "stream", "name": name, "text": ""})
            self._pieces[last + 1] = [text]

    def _display(self, kind: str, content: dict[str, Any], size: int) -> None:
        self._clear_if_due()
        data, metadata = content.get("data", {}), content.get("metadata", {})
        display = str((content.get("transient") or {}).get("display_id", ""))
        if kind == "update_display_data":
            for row in self._displays.get(display, []):
                row["data"], row["metadata"] = data, metadata
            return
        if not self._fits(size):
            return
        row = {"output_type": kind, "data": data, "metadata": metadata}
        if kind == "execute_result":
            row["execution_count"] = content.get("execution_count")
        self.rows.append(row)
        text = data.get("text/plain")
        if isinstance(text, str):
            self.on_text("display", text + "\n")
        if display:
            self._displays.setdefault(display, []).append(row)

    def _error(self, content: dict[str, Any], size: int) -> None:
        self._clear_if_due()
        self.failed = True
        name, value = str(content.get("ename", "")), str(content.get("evalue", ""))
        self._error_said = f"{name}: {value}"
        trace = [str(line) for line in content.get("traceback", [])]
        if not self._fits(size):
            value = self.masker.cut_end(self.masker.text(value)[:2000])
            trace = [f"{self.masker.text(name)[:MAX_NAME]}: {value}", "(the traceback was cut)"]
        row = {"output_type": "error", "ename": self.masker.text(name)[:MAX_NAME], "evalue": value, "traceback": trace}
        self.rows.append(row)

    def _fits(self, size: int) -> bool:
        if size > min(self.limit - self.kept, self.budget.left):
            self.cut += size
            return False
        self._take(size)
        return True

    def _take(self, size: int) -> None:
        self.kept += size
        self.budget.left -= size

    def _clear(self, *, wait: bool) -> None:
        if wait:
            self._clear_on_next = True
            return
        self.rows.clear()
        self._pieces.clear()
        self._displays.clear()

    def _clear_if_due(self) -> None:
        if self._clear_on_next:
            self._clear_on_next = False
            self._clear(wait=False)
