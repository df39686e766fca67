"""Random trials: a random secret, form, surroundings, cuts and way out; nobody who looks reads it afterwards.

The ways out are the real ones (a cell's outputs, the live stream, the run link, the files that are kept), without a
kernel between. A sample here; ``OPSNB_PROVE=1`` makes it 24,000, and ``OPSNB_EVIDENCE`` names a file for the figures.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leaks import FORMS, finds, random_secret, random_text
from opsnb.base.masking import Masker
from opsnb.control.runs.client import Message
from opsnb.control.runs.keep import Keeper
from opsnb.control.runs.outputs import Budget, CellOutputs

PROVE = bool(os.environ.get("OPSNB_PROVE"))
SEED = 20261125
TRIALS = 24_000 if PROVE else 600


def message(kind: str, **content: Any) -> Message:
    """Return a message of a kernel."""
    return Message(channel="iopub", kind=kind, parent="p", content=content, metadata={}, size=10)


def pieces(dice: random.Random, text: str) -> list[str]:
    """Cut text: at every character, at a few places, or not at all."""
    if dice.random() < 0.3:
        return list(text)
    places = sorted({0, len(text), *(dice.randint(0, len(text)) for _ in range(dice.randint(0, 5)))})
    return [text[a:b] for a, b in itertools.pairwise(places)]


def cell(masker: Masker) -> CellOutputs:
    """Return a cell's outputs."""
    return CellOutputs(budget=Budget(left=10**7, limit=10**7), limit=10**7, masker=masker)


def stream(masker: Masker, dice: random.Random, said: str, _: Path) -> str:
    """A stream of a cell, in pieces, now and then with another output in between."""
    outputs = cell(masker)
    name = dice.choice(["stdout", "stderr"])
    for piece in pieces(dice, said):
        outputs.add(message("stream", name=name, text=piece))
        if dice.random() < 0.1:
            outputs.add(message("display_data", data={"text/plain": "1"}, metadata={}))
    rows = outputs.finish()
    return "".join(r["text"] for r in rows if r["output_type"] == "stream") + json.dumps(rows, ensure_ascii=False)


def live(masker: Masker, dice: random.Random, said: str, _: Path) -> str:
    """What those who watch are told."""
    told = masker.stream()
    return "".join(told.feed(piece) for piece in pieces(dice, said)) + told.flush()


def display(masker: Masker, dice: random.Random, said: str, _: Path) -> str:
    """A display of any MIME type, its metadata and keys; updated now and then."""
    outputs = cell(masker)
    mime = dice.choice(["text/plain", "text/html", "image/svg+xml", "application/json", "image/png", "text/markdown"])
    value: Any = {said: [said, {"x": said}]} if mime == "application/json" else said
    kind = dice.choice(["display_data", "execute_result"])
    outputs.add(message(kind, data={mime: value}, metadata={said: {"m": said}}, transient={"display_id": "d"}))
    if dice.random() < 0.3:
        outputs.add(message("update_display_data", data={mime: [value]}, metadata={}, transient={"display_id": "d"}))
    return json.dumps(outputs.finish(), ensure_ascii=False)


def error(masker: Masker, dice: random.Random, said: str, _: Path) -> str:
    """An exception: name, value, traceback, and the one line that the run's reason is made of."""
    outputs = cell(masker)
    outputs.add(
        message("error", ename=dice.choice(["E", said]), evalue=said, traceback=["a", said, f"\x1b[31m{said}\x1b[0m"])
    )
    return json.dumps(outputs.finish(), ensure_ascii=False) + outputs.error


def link(masker: Masker, _: random.Random, said: str, __: Path) -> str:
    """A check, an evidence, a progress, a reason: any message of the run link."""
    return json.dumps(masker.value({"op": "check", "what": said, "got": {said: 1}, "want": [said]}), ensure_ascii=False)


def file(masker: Masker, dice: random.Random, said: str, folder: Path) -> str:
    """A file that the run leaves."""
    source = folder / f"{dice.getrandbits(60):x}"
    (source / "in").mkdir(parents=True)
    (source / "in/x.txt").write_text(said, encoding="utf-8")
    keeper = Keeper(source / "out", source / "aside", masker)
    rows = keeper.files(source / "in")
    kept = "".join((source / "out" / r["path"]).read_text(encoding="utf-8") for r in rows)
    return kept + json.dumps([rows, keeper.notes, keeper.quarantined], ensure_ascii=False)


WAYS: dict[str, Callable[[Masker, random.Random, str, Path], str]] = {
    "stream": stream, "live": live, "display": display, "error": error, "run link": link, "file": file,
}  # fmt: skip


@pytest.mark.slow
def test_nobody_reads_a_secret(tmp_path: Path) -> None:
    """Of all trials none leaks; and in each the searcher does read the value where nothing is masked."""
    dice = random.Random(SEED)  # noqa: S311
    tally: Counter[str] = Counter()
    leaks, blind, started = [], [], time.monotonic()
    for number in range(TRIALS):
        value, way, form = random_secret(dice), dice.choice(list(WAYS)), dice.choice(list(FORMS))
        before, after = random_text(dice), random_text(dice)
        said = FORMS[form](before + value + after)
        masker = Masker()
        masker.register("db/prod", value)
        if dice.random() < 0.3:
            masker.register("other", random_secret(dice))
        if not finds(value, said):
            blind.append((number, form))
        elif where := finds(value, WAYS[way](masker, dice, said, tmp_path)):
            leaks.append((number, way, form, where, value))
        tally[way] += 1
    assert leaks == []
    assert len(blind) < TRIALS // 50, blind[:10]
    report = "\n".join(f"| {way} | {count:,} |" for way, count in tally.most_common())
    if path := os.environ.get("OPSNB_EVIDENCE"):
        seconds = time.monotonic() - started
        Path(path).write_text(
            f"{report}\n{TRIALS:,} trials, {len(blind)} not judged, {seconds:.0f} s\n", encoding="utf-8"
        )
