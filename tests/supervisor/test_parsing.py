"""What Supervisor prints, writes and reads: captured outputs, each with the value it means, a file a case.

``4.2.5`` was printed by that version on Debian 12; ``written`` was written after the source or documents of another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import OpsnbError
from opsnb.kits.supervisor.config import group_of, parse_sections, program_of, programs
from opsnb.kits.supervisor.log import parse_log
from opsnb.kits.supervisor.reading import parse
from opsnb.kits.supervisor.status import parse_reread, parse_starts, parse_status

DATA = Path(__file__).parents[1] / "data" / "supervisor"


def status(text: str) -> Any:
    """Return the processes and the problem in short."""
    found, problem = parse_status(text)
    return {"problem": problem, "processes": [[p.name, p.state, p.pid, p.uptime] for p in found]}


def reread(text: str) -> Any:
    """Return what differs on disk."""
    differs, unread = parse_reread(text)
    return {"differs": differs, "unread": unread}


def log(text: str) -> Any:
    """Return what a log tells, times of ends left out."""
    found = parse_log(text)
    fields = ("starts", "restarts", "unexpected", "gave_up", "last_exit")
    lives = {name: {field: getattr(life, field) for field in fields} for name, life in found.lives.items()}
    return {"since": found.since, "began": found.began, "problems": list(found.problems), "lives": lives}


def sections(text: str) -> Any:
    """Return sections in short."""
    return [[s.name, s.line, dict(s.options)] for s in parse_sections(text, "/f")]


READERS = {"status": status, "reread": reread, "log": log, "sections": sections}


@pytest.mark.parametrize("path", sorted(DATA.rglob("*.txt")), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_an_output_means(path: Path) -> None:
    """An output means exactly what its file says."""
    text, _, expected = path.read_text(encoding="utf-8").removeprefix("=== output\n").partition("=== expected\n")
    assert READERS[path.parent.name](text) == json.loads(expected)


@given(st.text())
def test_no_text_breaks_a_parser(text: str) -> None:
    """Whatever a host prints, each parser answers; one that printed something is not silently empty."""
    found, problem = parse_status(text)
    assert found or problem or not text.strip()
    parse_reread(text)
    parse_log(text)
    parse_sections(text, "/f")
    parse_starts(text)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}( /[a-z]{1,8})?", fullmatch=True), st.text(max_size=80), max_size=6))
def test_an_answer_is_taken_apart_by_length(texts: dict[str, str]) -> None:
    """No text that a host's programs print can pass for another part of the answer; a cut one is said to be cut."""
    need = {"ctl": "/c", "conf": "/f", "now": "1 +0000", "boot": "b"}
    parts = {**texts, **need, "file /f": "[program:a]\ncommand=x"}
    data = b"".join(f"{name} {len(text.encode())}\n".encode() + text.encode() + b"\n" for name, text in parts.items())
    found = parse(data + b"end 0\n\n", "web1")
    assert (found.ctl, found.conf, list(found.programs)) == ("/c", "/f", ["a"])
    with pytest.raises(OpsnbError, match="web1"):
        parse(data, "web1")


@pytest.mark.parametrize("data", [b"hello\n", b"pid x\n", b"pid 99\nshort", b"\xff\xfe 3\nabc\n", b""])
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    """A login shell's greeting, or half an answer, is said to be none, with the host's name."""
    with pytest.raises(OpsnbError, match="web1: the"):
        parse(data, "web1")


def test_which_program_a_process_is_of() -> None:
    """A process leads to its program by name, by number, or not at all; a group's members lead to the group."""
    files = {
        "/a": "[program:web]\ncommand=x\nnumprocs=3\n[program:shop]\ncommand=y\n",
        "/b": "[group:pair]\nprograms=one,\n two\n[program:one]\ncommand=z\n",
    }
    found = programs(files)
    assert [program_of(name, found) for name in ("web:web_02", "shop", "pair:one", "nobody", "web:x")] == [
        "web", "shop", "one", "", "web",
    ]  # fmt: skip
    assert [group_of(name, files) for name in ("one", "two", "shop")] == ["pair", "pair", "shop"]
    assert (found["one"].file, found["one"].line) == ("/b", 4)
