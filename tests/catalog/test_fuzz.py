"""Front matter and notebooks, fuzzed: a clear message or success, never a traceback, never unbounded memory.

A few hundred examples each; ``OPSNB_PROVE=1`` makes it 20,000.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.conftest import FRONT, cells, document
from opsnb.base.errors import NotebookError
from opsnb.control.catalog import CODES
from opsnb.control.catalog.findings import Severity
from opsnb.control.catalog.lint import lint
from opsnb.control.catalog.notebook import LIMITS, parse_notebook
from opsnb.control.catalog.runbook import runbook_from
from opsnb.control.catalog.scripts import read_script

EXAMPLES = 20_000 if os.environ.get("OPSNB_PROVE") else 300
PATIENCE = pytest.mark.timeout(3600)  # seconds; 20,000 examples take minutes
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
MEMORY = 512 * 2**20  # bytes by which the process may grow at its peak, hypothesis included
GOOD = json.dumps(document(cells())).encode()

FIELDS = "id title promise risk owner touches undo timeout lock reads writes parameters cell_timeout hosts"
CONSTRAINTS = "min max kind choices pattern length required unit secret file date duration change read danger"
ODDITIES = (
    "NGX-010 10m {host} {strategy} { } /srv 1e999 0x10 - null true .nan &a *a !!x:os.system << --- ... % @ ' \" | > #"
)
WORDS = st.sampled_from(
    [
        *(word for words in (FIELDS, CONSTRAINTS, ODDITIES) for word in words.split()),
        *("9" * 400, "? [a]", "\u202e", "\x00", "\x1b[31m", "\ud800", "运维", "\ufeff", "\u2028", "\x85"),
    ]
)
PIECES = st.lists(st.one_of(WORDS, st.sampled_from(list(": ,[]{}\n\t  -"))), max_size=40).map("".join)
LINES = FRONT.splitlines()


@st.composite
def front_matters(draw):
    """Front matter: the good one with lines dropped, doubled, moved, replaced or torn."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, max(len(lines) - 1, 0)))
        kind = draw(st.sampled_from(["drop", "double", "swap", "replace", "value", "tear", "nest"]))
        line = lines[at] if lines else ""
        if kind == "drop" and lines:
            del lines[at]
        elif kind == "double":
            lines.insert(at, line)
        elif kind == "swap" and lines:
            lines[at], lines[0] = lines[0], lines[at]
        elif kind == "replace" and lines:
            lines[at] = draw(PIECES)
        elif kind == "value" and lines:
            lines[at] = line.partition(":")[0] + ": " + draw(PIECES)
        elif kind == "tear" and lines:
            lines[at] = line[: draw(st.integers(0, len(line)))]
        else:
            lines.insert(at, "x: " + draw(st.sampled_from("[{")) * draw(st.integers(1, 500)))
    return "\n".join(lines)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), WORDS, st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=12,
)
SOURCES = st.sampled_from(
    [
        *("x: int = 1  # a", "run.change(plan)", "run.check('a', 1, 1)", "!ls", "%%bash\nls", "f'{'", "(" * 300),
        *("import os", "lambda: 0", "## 1. A", "# NGX-010 - x", "\x00", "\ud800", "a = b = c", "*x", "await x"),
        *("x: 'int' = 1", "x: Literal['a'] = 'b'", "x = {**y}", "print({})", "os.system(x)", "```\n## 2. B", "é = 1"),
        *("x = " + "-" * 9000, "x" + ".y" * 9000, "{" * 200),
    ]
)


@st.composite
def notebooks(draw):
    """A notebook: the good one with values of any shape put anywhere, and cells of any kind and text."""
    value = json.loads(GOOD)
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["top", "cell", "field", "source", "metadata", "insert"]))
        body = value["cells"] if isinstance(value.get("cells"), list) and value["cells"] else [{}]
        cell = body[draw(st.integers(0, len(body) - 1))]
        if kind == "top":
            value[draw(st.sampled_from(["cells", "nbformat", "nbformat_minor", "metadata", "x"]))] = draw(VALUES)
        elif kind == "cell":
            body[draw(st.integers(0, len(body) - 1))] = draw(VALUES)
        elif isinstance(cell, dict) and kind == "field":
            cell[draw(st.sampled_from(["cell_type", "source", "metadata", "outputs", "execution_count", "id"]))] = draw(
                VALUES
            )
        elif isinstance(cell, dict) and kind == "source":
            cell["source"] = draw(st.one_of(SOURCES, PIECES, st.text(max_size=60)))
        elif kind == "metadata":
            value["metadata"] = {"kernelspec": draw(VALUES), "language_info": draw(VALUES)}
        else:
            new = {
                "cell_type": draw(st.sampled_from(["code", "markdown", "raw"])),
                "metadata": {"tags": ["parameters"]},
            }
            body.insert(draw(st.integers(0, 3)), {**new, "source": draw(SOURCES), "outputs": []})
    return json.dumps(value).encode()


def look(content: bytes) -> str:
    """Read and lint a notebook; return what came of it: ``runs``, ``refused`` or ``unreadable``.

    Asserted: nothing but NotebookError is raised, every message has words and names the file, findings are of known
    codes, what stops a run is among them, and the memory taken stays within bounds.
    """
    end, message, findings = _looked(content)
    assert _peak() - BEFORE["peak"] < MEMORY
    assert message.startswith("a.ipynb")
    assert len(message) < 2000
    assert {f.code for f in findings} <= set(CODES)
    assert all(f.message and len(str(f)) < 4000 and json.dumps(f.as_json()) for f in findings)
    assert end != "refused" or any(f.severity is Severity.ERROR for f in findings)
    return end


def _looked(content):
    try:
        notebook = parse_notebook(content, "a.ipynb")
    except NotebookError as error:
        return "unreadable", error.message, []
    findings = lint(notebook, frozenset({"NGX-010"}))
    try:
        return "runs", runbook_from(notebook).path, findings
    except NotebookError as error:
        return "refused", error.message, findings


@PATIENCE
@given(front_matters())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SLOW)
def test_front_matter_is_read_or_refused(front):
    """Damaged front matter gives a runbook or a message that names its place."""
    look(json.dumps(document(cells(front=front))).encode())


@PATIENCE
@given(notebooks())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SLOW)
def test_a_notebook_is_read_or_refused(content):
    """Values of any shape in any place of a notebook give a runbook or a message."""
    look(content)


@PATIENCE
@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SLOW)
def test_damaged_bytes_are_read_or_refused(data):
    """Bytes dropped, doubled or replaced anywhere in a notebook's file give a runbook or a message."""
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 60))] = data.draw(
            st.one_of(st.binary(max_size=12), PIECES.map(_bytes))
        )
    look(bytes(content))


@PATIENCE
@given(st.one_of(st.binary(max_size=200), PIECES.map(lambda t: b"#!/bin/sh\n# @param " + _bytes(t))))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SLOW)
def test_a_script_is_read_or_refused(content):
    """Any bytes as a script give a script or a message that names file and line."""
    message = "a.sh"
    try:
        read_script(content, "a.sh")
    except NotebookError as error:
        message = error.message
    assert message.startswith("a.sh")


def test_the_fuzzing_reaches_every_end():
    """The good notebook runs, and the ways to damage it lead to both kinds of refusal: the tests above look at something."""
    assert look(GOOD) == "runs"
    assert look(GOOD.replace(b"risk: change", b"risk: chnage")) == "refused"
    assert look(GOOD[:-1]) == "unreadable"


BOMBS = {
    "cells": lambda: b'{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[' + b"{}," * 4_000_000 + b"{}]}",
    "lists": lambda: b'{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[' + b"[]," * 4_000_000 + b"[]]}",
    "depth": lambda: b'{"a":' * 2_000_000,
    "keys": lambda: b'{"nbformat":4,' + b",".join(b'"%d":0' % n for n in range(1_000_000)) + b"}",
    "source": lambda: written({"cell_type": "code", "metadata": {}, "source": "x=[" + "1," * 6_000_000 + "]"}),
    "prose": lambda: written({"cell_type": "markdown", "metadata": {}, "source": "#\n" * 4_000_000}),
    "links": lambda: written(*cells(), {"cell_type": "markdown", "metadata": {}, "source": "NGX-099 " * 2_000_000}),
    "front": lambda: written({"cell_type": "raw", "metadata": {}, "source": "---\n" + "a: b\n" * 3_000_000 + "---"}),
}  # made when they are wanted: each has up to 20 MiB
READER = """
import resource, sys
from opsnb.base.errors import NotebookError
from opsnb.control.catalog.lint import lint
from opsnb.control.catalog.notebook import parse_notebook
from opsnb.control.catalog.runbook import runbook_from
content = sys.stdin.buffer.read()
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
try:
    notebook = parse_notebook(content, "a")
    print(len(lint(notebook, frozenset({"NGX-010"}))))
    runbook_from(notebook)
except NotebookError as error:
    print(error.message[:200])
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_bounded(name):
    """A file of nearly 20 MiB that is made to grow is read or refused within 3 GiB and two minutes of CPU."""
    bomb = BOMBS[name]()
    assert 5_000_000 < len(bomb) <= LIMITS.size
    done = subprocess.run([sys.executable, "-c", READER], input=bomb, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def written(*body: Any) -> bytes:
    """Return a notebook of cells as bytes."""
    return json.dumps(document(list(body))).encode()


def _peak():
    """Return the most memory that this process had since :func:`peak_from_here`, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.fixture(scope="module", autouse=True)
def peak_from_here():
    """Forget the peak of the tests that ran before in this process (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    BEFORE["peak"] = _peak()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


BEFORE = {"peak": 0}  # bytes when the first test of this file begins
