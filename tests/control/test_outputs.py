"""Outputs of a cell: joined, counted, cut with a note, never lost without one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opsnb.control.runs.client import Message
from opsnb.control.runs.outputs import Budget, CellOutputs


def message(kind: str, size: int = 10, **content: Any) -> Message:
    """Return a message of the kernel."""
    return Message(channel="iopub", kind=kind, parent="p", content=content, metadata={}, size=size)


def collected(limit: int, budget: int | None = None) -> CellOutputs:
    """Return a collector with limits in bytes."""
    left = limit if budget is None else budget
    return CellOutputs(budget=Budget(left=left, limit=left), limit=limit)


STREAMS = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(max_size=20)), max_size=30)


@given(STREAMS)
def test_nothing_is_lost_below_the_limit(pieces: list[tuple[str, str]]) -> None:
    """Pieces of a stream are joined in order; pieces of two streams keep their turns."""
    outputs = collected(10**6)
    for name, text in pieces:
        outputs.add(message("stream", name=name, text=text))
    rows = outputs.finish()
    assert [r["name"] for r in rows] == [n for i, (n, t) in enumerate(p for p in pieces if p[1])
                                         if i == 0 or [p for p in pieces if p[1]][i - 1][0] != n]  # fmt: skip
    assert "".join(r["text"] for r in rows) == "".join(t for _, t in pieces)
    assert outputs.cut == 0


@given(STREAMS, st.integers(0, 60), st.integers(0, 60))
def test_what_is_cut_is_counted(pieces: list[tuple[str, str]], limit: int, budget: int) -> None:
    """Kept and cut bytes together are what arrived, within both limits; a cut is said."""
    outputs = collected(limit, budget)
    for name, text in pieces:
        outputs.add(message("stream", name=name, text=text))
    rows = outputs.finish()
    arrived = sum(len(t.encode("utf-8", "surrogatepass")) for _, t in pieces)
    said = bool(rows) and "bytes of output were cut here" in rows[-1]["text"]
    kept = sum(len(r["text"].encode()) for r in (rows[:-1] if said else rows))
    assert kept + outputs.cut == arrived
    assert kept <= min(limit, budget)
    assert said == (outputs.cut > 0)


def test_clear_output_waits_for_the_next() -> None:
    """clear_output(wait=True) clears when the next output comes, not before."""
    outputs = collected(1000)
    outputs.add(message("stream", name="stdout", text="old"))
    outputs.add(message("clear_output", wait=True))
    assert outputs.finish()[0]["text"] == "old"
    outputs.add(message("stream", name="stdout", text="new"))
    assert [r["text"] for r in outputs.finish()] == ["new"]


def test_a_display_is_updated() -> None:
    """update_display_data changes the display that it names and adds none."""
    outputs = collected(1000)
    outputs.add(message("display_data", data={"text/plain": "1"}, transient={"display_id": "d"}))
    outputs.add(message("update_display_data", data={"text/plain": "2"}, transient={"display_id": "d"}))
    assert [r["data"] for r in outputs.finish()] == [{"text/plain": "2"}]


def test_a_huge_picture_is_cut_whole() -> None:
    """A display over the limit is left out and counted; a traceback over it keeps its message."""
    outputs = collected(100)
    outputs.add(message("display_data", size=500, data={"image/png": "x"}))
    outputs.add(message("error", size=500, ename="E", evalue="v", traceback=["t"] * 9))
    rows = outputs.finish()
    assert outputs.cut == 1000
    assert rows[0]["traceback"][0] == "E: v"
    assert "1,000 bytes" in rows[-1]["text"]
