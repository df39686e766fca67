"""The recording: an asciicast and a transcript that grow, pass the mask, and are bounded."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.fleet import recording
from opsnb.fleet.recording import CAST, FULL, TRANSCRIPT, Recording, Unmasked


class Hiding:
    """A mask that hides one word, wherever it was cut."""

    def __init__(self, word: str) -> None:
        self.word, self.held = word, ""

    def feed(self, text: str) -> str:
        """Hold back what may become the word."""
        text = (self.held + text).replace(self.word, "***")
        hold = next((n for n in range(len(self.word) - 1, 0, -1) if text.endswith(self.word[:n])), 0)
        self.held = text[len(text) - hold :] if hold else ""
        return text[: len(text) - hold] if hold else text

    def flush(self) -> str:
        """Give out the rest."""
        text, self.held = self.held, ""
        return text


def record(folder: Path, *pieces: bytes, mask: Any = None) -> tuple[dict[str, Any], list[list[Any]], str]:
    """Record pieces; return header, events, transcript."""
    made = Recording(folder, title="h", term="xterm", columns=80, rows=24, mask=mask or Unmasked())
    for piece in pieces:
        assert made.say(piece) == ""
    made.close("the shell ended", 0)
    return read(folder)


def read(folder: Path) -> tuple[dict[str, Any], list[list[Any]], str]:
    """Read both files."""
    header, *rows = (folder / CAST).read_text(encoding="utf-8").splitlines()
    return json.loads(header), [json.loads(row) for row in rows], (folder / TRANSCRIPT).read_text(encoding="utf-8")


def test_the_asciicast_is_version_2(tmp_path: Path) -> None:
    """A header, then events with seconds that do not run back; joined they are what was shown."""
    header, events, text = record(tmp_path, b"one\r\n", "中".encode()[:2], "中".encode()[2:] + b"\r\n")
    assert (header["version"], header["width"], header["height"]) == (2, 80, 24)
    assert isinstance(header["timestamp"], int)
    assert [e[0] for e in events] == sorted(e[0] for e in events)
    assert "".join(e[2] for e in events if e[1] == "o") == "one\r\n中\r\n"
    assert text.splitlines()[:2] == ["one", "中"]


@given(data=st.data())
def test_the_mask_sees_the_text_however_it_is_cut(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """A secret that arrives in pieces is in neither file."""
    shown = b"a hunter2-correct b\r\nhunter2-hunter2-correct\r\n"
    cut = sorted(data.draw(st.lists(st.integers(0, len(shown)), max_size=5)))
    edges = [0, *cut, len(shown)]
    pieces = [shown[a:b] for a, b in itertools.pairwise(edges)]
    folder = tmp_path_factory.mktemp("cast")
    _, events, text = record(folder, *pieces, mask=Hiding("hunter2-correct"))
    assert "hunter2-correct" not in text
    assert "hunter2-correct" not in "".join(e[2] for e in events)
    assert "a *** b" in text


def test_a_flood_is_cut_where_it_is_told_and_its_end_is_kept(tmp_path: Path) -> None:
    """Of 20 MB at once a MiB is recorded and a little more, and the last lines; the rest is counted."""
    made = Recording(tmp_path, title="h", term="xterm", columns=80, rows=24, mask=Unmasked())
    for _ in range(610):
        assert made.say(b"y\r\n" * 10923) == ""
    assert made.say(b"^C\r\nP> ") == ""
    made.close("the shell ended", 0)
    _, events, text = read(tmp_path)
    assert made.cut > 15_000_000
    left_out = [int(e[2].split()[0]) for e in events if e[1] == "m" and "left out here" in e[2]]
    assert sum(left_out) == made.cut
    assert text.count("of a flood are left out here") == len(left_out)
    assert text.splitlines()[-2:] == ["P>", "[opsnb: session ended: the shell ended, exit code 0]"]
    assert (tmp_path / CAST).stat().st_size < 6_000_000


def test_a_full_recording_ends_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes on unrecorded: past the limit the session is told to end."""
    monkeypatch.setattr(recording, "MAX_BYTES", 1000)
    made = Recording(tmp_path, title="h", term="xterm", columns=80, rows=24, mask=Unmasked())
    assert made.say(b"x" * 2000) == FULL
    made.close(FULL, None)
    assert f"session ended: {FULL}" in read(tmp_path)[2]


def test_what_is_recorded_is_on_the_disk_at_once(tmp_path: Path) -> None:
    """When the kernel dies in the middle, what was shown until then can be read."""
    made = Recording(tmp_path, title="h", term="xterm", columns=80, rows=24, mask=Unmasked())
    made.say(b"last words\r\n")
    assert "last words" in (tmp_path / CAST).read_text()
    made.close("x", None)
