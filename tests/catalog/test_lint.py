"""Lint: a good runbook has no findings, and each rule sees what it is for."""

from __future__ import annotations

import re

import pytest

from opsnb.control.catalog import RULES, lint_notebook
from opsnb.control.catalog.findings import rule


def codes(workspace, body, path="runbooks/nginx/NGX-010-balance.ipynb"):
    """The findings of a notebook with these cells, as (code, cell, line)."""
    return [(f.code, f.cell, f.line) for f in lint_notebook(workspace.write(path, body), workspace.root)]


def with_cell(workspace, index, cell):
    """The cells of the good runbook with one replaced."""
    body = workspace.cells()
    body[index] = cell
    return body


def test_a_good_runbook_has_no_findings(workspace):
    """The runbook that the other tests damage is clean."""
    assert codes(workspace, workspace.cells()) == []


@pytest.mark.parametrize(
    ("index", "kind", "source", "extra", "expected"),
    [
        (0, "raw", "---\nid: NGX-010\n---", {}, ("OPS002", 0, 1)),
        (2, "code", "batch: int = x\n", {"tags": ["parameters"]}, ("OPS004", 2, 1)),
        (2, "code", "a: int = 1  # a\na: int = 2  # b", {"tags": ["parameters"]}, ("OPS004", 2, 2)),
        (5, "code", "x = 1", {"tags": ["parameters"]}, ("OPS003", 5, None)),
        (5, "code", "x = 1", {"outputs": [{}]}, ("OPS010", 5, None)),
        (5, "code", "x = 1", {"execution_count": 3}, ("OPS011", 5, None)),
        (1, "markdown", "# NGX-011 - Balance a web tier behind nginx", {}, ("OPS020", 1, 1)),
        (1, "markdown", "# NGX-010 - Another title", {}, ("OPS020", 1, 1)),
        (1, "markdown", "Some words.", {}, ("OPS020", None, None)),
        (4, "markdown", "Words.\n# Second\n", {}, ("OPS020", 4, 2)),
        (5, "code", "x = 1\n!ls", {}, ("OPS030", 5, 2)),
        (5, "code", "%time\nx = 1", {}, ("OPS030", 5, 1)),
        (5, "code", "  files = !ls", {}, ("OPS030", 5, 1)),
        (5, "code", "%%bash\nls", {}, ("OPS030", 5, 1)),
        (5, "code", "x = get_ipython()", {}, ("OPS030", 5, 1)),
        (5, "code", "x = 1\nx = = 2", {}, ("OPS031", 5, 2)),
        (5, "code", "x = 1\ndef f():\n  pass", {}, ("OPS032", 5, 2)),
        (5, "code", "class A: pass", {}, ("OPS032", 5, 1)),
        (5, "code", "x = 1\nimport os", {}, ("OPS033", 5, 2)),
        (5, "code", "if 1:\n  from os import path", {}, ("OPS033", 5, 2)),
        (5, "code", "x = 1\n" * 13, {}, ("OPS034", 5, None)),
        (4, "markdown", "## 1. Only a heading", {}, ("OPS035", 5, None)),
        (4, "code", "x = 1", {}, ("OPS035", 5, None)),
        (3, "code", "import opsnb", {"tags": ["setup"]}, ("OPS040", None, None)),
        (3, "code", 'import opsnb\nrun = opsnb.begin("NGX-011")', {}, ("OPS040", 3, 2)),
        (3, "code", "import opsnb\nrun = opsnb.begin(name)", {}, ("OPS040", 3, 2)),
        (5, "code", 'run = opsnb.begin("NGX-010")', {}, ("OPS040", 5, 1)),
        (16, "code", "run.check('a', 1, 1)", {}, ("OPS041", 16, None)),
        (16, "markdown", "The end.", {}, ("OPS041", 16, None)),
        (5, "code", "f = lambda x: x", {}, ("OPS032", 5, 1)),
        (5, "code", "print(f := (lambda x: x))", {}, ("OPS032", 5, 1)),
        (5, "code", "import os", {"id": "c4"}, ("OPS008", 5, None)),
        (5, "code", "x = 1", {"id": ""}, ("OPS008", 5, None)),
        (5, "code", "x = 1", {"id": 7}, ("OPS008", 5, None)),
        (5, "code", "x = 1", {"id": "a b"}, ("OPS008", 5, None)),
        (5, "code", "x = 1", {"id": "a" * 65}, ("OPS008", 5, None)),
    ],
)
def test_each_rule_sees_its_mistake(workspace, index, kind, source, extra, expected):
    """One mistake gives its finding, at its cell and line."""
    tags = extra.pop("tags", [])
    body = with_cell(workspace, index, workspace.cell(kind, source, *tags, **extra))
    assert expected in codes(workspace, body)


def test_a_title_may_have_a_longer_dash(workspace):
    """An en or em dash between id and title is a dash."""
    for dash in "–—":
        title = workspace.title.format(name="NGX-010").replace(" - ", f" {dash} ")
        assert codes(workspace, with_cell(workspace, 1, workspace.cell("markdown", title))) == []


def test_twelve_lines_are_not_too_many(workspace):
    """Exactly twelve lines pass, empty ones are not counted."""
    source = "x = 1\n\n" * 12
    assert codes(workspace, with_cell(workspace, 7, workspace.cell("code", source))) == []


def test_a_percent_sign_is_no_magic(workspace):
    """A continued expression may begin a line with %, and a text may hold !."""
    source = 'x = ("%d"\n% 5)\ny = """\n!ls\n"""'
    assert codes(workspace, with_cell(workspace, 7, workspace.cell("code", source))) == []


def test_a_chinese_sentence_is_a_sentence(workspace):
    """A sentence may end with a full-width stop."""
    body = with_cell(workspace, 4, workspace.cell("markdown", "## 1. 适用吗\n\n本机运行 nginx 时适用。"))
    assert codes(workspace, body) == []


def test_a_parameter_wants_a_label(workspace):
    """The label is the form's only word for a parameter."""
    bare = workspace.parameters.replace("  # hosts at once", "")
    assert codes(workspace, workspace.cells(parameters=bare)) == [("OPS004", 2, 2)]


def test_the_file_name_begins_with_the_id(workspace):
    """A folder listing is an index."""
    assert codes(workspace, workspace.cells(), "runbooks/nginx/balance.ipynb") == [("OPS021", None, None)]
    assert codes(workspace, workspace.cells(), "runbooks/nginx/NGX-0101.ipynb") == [("OPS021", None, None)]


def test_a_plain_notebook_is_told_what_it_lacks(workspace):
    """No front matter is a finding, no parameters cell is none, and no rule breaks on an empty notebook."""
    found = [code for code, _, _ in codes(workspace, [workspace.cell("code", "1")])]
    assert {"OPS001", "OPS035", "OPS040", "OPS041"} == set(found)
    assert codes(workspace, []) == [(c, None, None) for c in ("OPS001", "OPS040", "OPS041")]


CHANGE = "run.change(plan, canary=1, batch=5)"
PROPOSE = "run.propose(plan)"


@pytest.mark.parametrize(
    ("risk", "first", "second", "expected"),
    [
        ("change", PROPOSE, CHANGE, []),
        ("change", "x = 1", "nginx.change(x)", []),
        ("change", "x = 1", CHANGE, [("OPS042", 6, 1)]),
        ("change", f"{PROPOSE}\n{CHANGE}", "x = 1", [("OPS042", 5, 2)]),
        ("change", CHANGE, PROPOSE, [("OPS042", 5, 1)]),
        ("change", f"{PROPOSE}\n{CHANGE}", CHANGE, [("OPS042", 5, 2), ("OPS042", 6, 1)]),
        ("read", PROPOSE, CHANGE, [("OPS042", 6, 1)]),
    ],
)
def test_one_cell_changes_after_the_proposal(workspace, risk, first, second, expected):
    """The one change() stands in a cell after propose(), and in none at risk read."""
    body = workspace.cells(front=workspace.front.replace("risk: change", f"risk: {risk}"))
    body[9] = body[11] = workspace.cell("code", "x = 1")
    body[5] = workspace.cell("code", first)
    body[6] = workspace.cell("code", second)
    found = [f for f in codes(workspace, body) if f[0] == "OPS042"]
    assert found == expected


def test_another_language_is_a_finding(workspace):
    """A notebook for another kernel would fail in its first cell."""
    document = workspace.document(workspace.cells())
    document["metadata"]["kernelspec"]["language"] = "R"
    assert codes(workspace, document) == [("OPS005", None, None)]


def test_an_unreadable_file_is_one_finding(workspace):
    """What is no notebook gives OPS000 with the reader's words."""
    (finding,) = lint_notebook(workspace.write("runbooks/a.ipynb", "{"), workspace.root)
    assert finding.code == "OPS000"
    assert finding.message.startswith("is not JSON")
    assert str(finding).startswith("runbooks/a.ipynb: OPS000 is not JSON")


def test_a_finding_says_where_and_how(workspace):
    """The text names file, cell, line and code once, and the fix; the JSON has the same fields."""
    front = workspace.front.replace("owner", "ownr")
    (finding, *_) = lint_notebook(workspace.runbook(front=front), workspace.root)
    where = "runbooks/nginx/NGX-010-balance.ipynb cell 0 line 6: OPS002 field 'ownr': is not a field"
    assert str(finding) == f"{where}\n  → did you mean 'owner'?"
    assert finding.as_json()["line"] == 6


def test_every_rule_has_its_code_and_promise():
    """Codes are OPS and three digits in order, promises are sentences, and no code is given twice."""
    assert list(RULES) == sorted(RULES)
    assert all(re.fullmatch(r"OPS\d{3}", code) and r.promise.endswith(".") for code, r in RULES.items())
    with pytest.raises(ValueError, match="OPS001"):
        rule("OPS001", "Twice.")(lambda _: iter(()))
