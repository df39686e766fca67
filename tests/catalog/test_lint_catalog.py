"""Lint over many notebooks, the one cell that changes, and the promise that lint misses nothing that stops a run."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.errors import NotebookError
from opsnb.control.catalog import CODES, RULES, Catalog, lint_catalog, lint_notebook
from opsnb.control.catalog.lint import lint
from opsnb.control.catalog.notebook import parse_notebook
from opsnb.control.catalog.runbook import runbook_from


def changing(workspace, *sources, front=None):
    """The good runbook with these code cells, each behind a sentence, before its summary."""
    body = workspace.cells(front=front or workspace.front)
    del body[6:15]  # its own sections 2 to 6
    for source in sources:
        body[-2:-2] = [workspace.cell("markdown", "It worked when OK is printed."), workspace.cell("code", source)]
    return body


def changes(workspace, *sources, front=None):
    """What OPS042 finds, as (cell, line, message)."""
    file = workspace.write("runbooks/nginx/NGX-010.ipynb", changing(workspace, *sources, front=front))
    return [(f.cell, f.line, f.message) for f in lint_notebook(file, workspace.root) if f.code == "OPS042"]


def test_one_change_after_its_proposal_is_right(workspace):
    """A plan is proposed, then changed; a kit's own change() and a second propose() are no second change."""
    assert changes(workspace, "run.propose(plan)", "done = run.change(plan, batch=2)", "nginx.change(1)") == []


def test_a_second_change_is_found(workspace):
    """The second cell is named, with the first in the message; a loop's two calls in one cell are two as well."""
    assert changes(workspace, "run.propose(plan)", "run.change(plan)", "x = 1\nrun.change(other)") == [
        (11, 2, "a second change(), the first is in cell 9")
    ]
    assert changes(workspace, "run.propose(a)", "run.change(a)\nrun.change(b)") == [
        (9, 2, "a second change(), the first is in cell 9")
    ]


def test_a_change_without_a_proposal_is_found(workspace):
    """Nobody could have approved it; a proposal that stands behind it does not help."""
    says = "no cell before it calls propose()"
    assert changes(workspace, "run.change(plan)") == [(7, 1, says)]
    assert changes(workspace, "run.change(plan)", "run.propose(plan)") == [(7, 1, says)]


def test_a_change_at_risk_read_is_found(workspace):
    """The control plane would refuse it in the middle of a run."""
    front = re.sub("risk: change .*\n", "risk: read\n", workspace.front)
    assert changes(workspace, "run.propose(plan)", "run.change(plan)", front=front) == [(9, 1, "change() at risk read")]


def test_the_run_may_have_another_name(workspace):
    """What begin() is assigned to is the run."""
    body = changing(workspace, "r.propose(plan)", "r.change(plan)", "r.change(plan)")
    body[3] = workspace.cell("code", 'import opsnb\n\nr = opsnb.begin("NGX-010")')
    found = lint_notebook(workspace.write("runbooks/nginx/NGX-010.ipynb", body), workspace.root)
    assert [f.cell for f in found if f.code == "OPS042"] == [11]


def test_parameters_are_needed_where_they_are_constrained(workspace):
    """No cell is tagged while the front matter speaks of parameters: one finding; where it does not: none."""
    body = [c for c in workspace.cells() if "parameters" not in c["metadata"]["tags"]]
    plain = re.sub("parameters:\n(  .*\n)+", "", workspace.front).replace("{folder}", "/srv").replace("{strategy}", "a")
    for front, expected in ((workspace.front, {"OPS003", "OPS004"}), (plain, set())):
        body[0] = workspace.cell("raw", front)
        file = workspace.write("runbooks/nginx/NGX-010.ipynb", body)
        assert {f.code for f in lint_notebook(file, workspace.root)} == expected


def test_a_whole_catalog(workspace):
    """Every notebook is looked at, by path: a broken one, one without front matter, and two that share an id."""
    workspace.runbook("runbooks/b/NGX-010-two.ipynb")
    workspace.runbook("runbooks/a/NGX-010-one.ipynb")
    workspace.write("runbooks/c.ipynb", "{")
    catalog = Catalog.load(workspace.root)
    found = [(f.path, f.code) for f in lint_catalog(catalog)]
    assert found == [
        ("runbooks/a/NGX-010-one.ipynb", "OPS022"),
        ("runbooks/b/NGX-010-two.ipynb", "OPS022"),
        ("runbooks/c.ipynb", "OPS000"),
    ]
    assert [f.path for f in lint_catalog(catalog, workspace.root / "runbooks/b")] == ["runbooks/b/NGX-010-two.ipynb"]


def test_every_code_says_what_holds():
    """Rules and what is found outside of them have a code and a sentence each."""
    assert set(RULES) | {"OPS000", "OPS022"} == set(CODES)
    assert all(text.endswith(".") for text in CODES.values())


FRONT_LINES = st.lists(
    st.sampled_from(
        [
            *("id: NGX-010", "title: T", "promise: P.", "risk: read", "risk: change", "owner: o", "touches: t"),
            *("undo: u", "lock: '{x}'", "reads: ['{y}']", "parameters: {x: {min: 1}}", "parameters: {z: {max: 0}}"),
            *("timeout: 0", "a: *b"),
        ]
    ),
    max_size=9,
    unique=True,
)
CELLS = st.lists(
    st.tuples(
        st.sampled_from(
            ["x: int = 1  # a", "x: int = 0", "y: str = 'a'", "import os", "", "x: int = 1\nx: int = 2", "!ls"]
        ),
        st.booleans(),
    ),
    max_size=3,
)


@given(FRONT_LINES, CELLS)
@settings(max_examples=300, deadline=None)
def test_lint_misses_nothing_that_stops_a_run(lines, codes):
    """Whatever the reader refuses, lint finds too; and lint never fails on what it looks at."""
    cells = [{"cell_type": "raw", "metadata": {}, "source": "\n".join(["---", *lines, "---"])}]
    for source, tagged in codes:
        cells.append({"cell_type": "code", "metadata": {"tags": ["parameters"] * tagged}, "source": source})
    notebook = parse_notebook(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode(), "a"
    )
    found = {f.code for f in lint(notebook)}
    assert found <= set(CODES)
    try:
        runbook_from(notebook)
    except NotebookError:
        assert found & {"OPS002", "OPS003", "OPS004"}


@pytest.mark.parametrize(
    "source", ["(" * 5000, "x = 1\0", "\ud800", "lambda: " * 3000, "%" * 300_000, "f'{" * 90, "\x0c"]
)
def test_hostile_code_is_only_looked_at(workspace, source):
    """Code that is made to break a parser gives findings, never an error."""
    file = workspace.write("runbooks/a.ipynb", json.dumps(workspace.document([workspace.cell("code", source)])))
    assert lint_notebook(file, workspace.root)
