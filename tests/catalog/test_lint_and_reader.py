"""Lint and the reader agree: what stops a run is found before, and what is found as such stops a run."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.errors import NotebookError
from opsnb.control.catalog.lint import lint
from opsnb.control.catalog.notebook import parse_notebook
from opsnb.control.catalog.runbook import runbook_from

FRONT = ("id: NGX-010", "title: T", "promise: P.", "risk: change", "owner: o", "touches: t", "undo: u")
MORE = ("lock: 'a/{x}'", "reads: ['{y}']", "writes: [/srv]", "timeout: 0", "cell_timeout: 20m", "tiemout: 1")
CONSTRAINTS = ("", "{x: {min: 1}}", "{x: {max: 0}}", "{y: {choices: [a]}}", "{z: {}}", "{x: {kind: date}}", "[]")
SOURCES = ("x: int = 1  # a", "x: int = 0  # a", "y: str = 'a'  # b", "# none", "x: int = 1\nx: int = 2", "import os")
STOPS = {"OPS002", "OPS003", "OPS004"}


@given(
    st.sets(st.sampled_from(MORE), max_size=2),
    st.sampled_from(CONSTRAINTS),
    st.lists(st.tuples(st.sampled_from(SOURCES), st.booleans()), max_size=2),
)
@settings(max_examples=300, deadline=None)
def test_lint_finds_what_stops_a_run(more, constraints, codes):
    """The reader refuses a runbook exactly where one of its three rules has a finding."""
    lines = [*FRONT, *sorted(more), *([f"parameters: {constraints}"] if constraints else [])]
    cells = [{"cell_type": "raw", "metadata": {}, "source": "\n".join(["---", *lines, "---"])}]
    for source, tagged in codes:
        cells.append({"cell_type": "code", "metadata": {"tags": ["parameters"] * tagged}, "source": source})
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    notebook = parse_notebook(json.dumps(document).encode(), "a.ipynb")
    found = {f.code for f in lint(notebook)} & STOPS
    try:
        runbook_from(notebook)
    except NotebookError:
        assert found
    else:
        assert not found
