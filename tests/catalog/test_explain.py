"""What the docs say of a lint code is so: every wrong example has the finding, every right one has none."""

from __future__ import annotations

import json
import re

import pytest

from opsnb.control.catalog import CODES
from opsnb.control.catalog.authoring import New, write
from opsnb.control.catalog.compose import parse_cells
from opsnb.control.catalog.explain import EXPLANATIONS
from opsnb.control.catalog.lint import SEVERITIES, SHARED_ID, lint_notebook
from opsnb.control.records import Risk

PATH = "runbooks/hosts/HST-020-notice.ipynb"
KNOWN = frozenset({"HST-001", "HST-020"})
ELSEWHERE = {SHARED_ID, "OPS000", "OPS021"}  # no cells: looked at by name


def model():
    """The template of a change, as a document."""
    new = New(id="HST-020", title="Write a notice", owner="platform", risk=Risk.CHANGE)
    return json.loads(write(new, PATH))


def with_cells(document, example):
    """The document with an example's cells instead of those with their ids; new ones go behind the one before them."""
    body = document["cells"]
    place, replaced = 0, set()
    for cell in parse_cells(example):
        at = next((n for n, c in enumerate(body) if c["id"] == cell.id), None)
        new = cell.as_json()
        if at is not None and cell.id == "front-matter" and cell.source and not cell.source.startswith("---"):
            new["source"] = patched("".join(body[at]["source"]), cell.source)
        if at is None or cell.id in replaced:
            body.insert(place + 1, new)
            place += 1
        else:
            body[at], place = new, at
        replaced.add(cell.id)
    return document


def patched(front, lines):
    """Front matter with some of its fields replaced."""
    for line in lines.splitlines():
        name = line.partition(":")[0]
        wanted = rf"^{'owner' if name == 'ownr' else name}:.*\n(?:  .*\n)*"
        front = re.sub(wanted, lambda _, line=line: line + "\n", front, count=1, flags=re.MULTILINE)
    return front


def with_json(document, example):
    """The document with what an example says at the same places; cells are found by their ids."""
    patch = json.loads(example)
    cells = {c["id"]: c for c in document["cells"]}
    for cell in patch.pop("cells", []):
        cells[cell["id"]].update(cell)
    return document | patch


def codes(workspace, explanation, example):
    """The codes that an example gives."""
    build = {"cells": with_cells, "json": with_json}[explanation.form]
    file = workspace.write(PATH, build(model(), example))
    return {f.code for f in lint_notebook(file, workspace.root, KNOWN)}


def test_every_code_is_explained():
    """Each code has a reason, a wrong and a right example, and no explanation is left over."""
    assert set(EXPLANATIONS) == set(CODES)
    for code, found in EXPLANATIONS.items():
        assert (found.code, found.severity, found.asks) == (code, SEVERITIES[code], CODES[code])
        assert len(found.why) > 40
        assert found.wrong
        assert found.right != found.wrong


@pytest.mark.parametrize("code", sorted(set(CODES) - ELSEWHERE))
def test_the_examples_are_true(workspace, code):
    """The wrong example has the code, the right one has no finding at all."""
    explanation = EXPLANATIONS[code]
    assert code in codes(workspace, explanation, explanation.wrong)
    assert codes(workspace, explanation, explanation.right) == set()


def test_the_examples_of_files_are_true(workspace):
    """A file's name and a file's content are judged as the examples say."""
    for code, name in (("OPS021", "wrong"), ("OPS021", "right")):
        file = workspace.write(getattr(EXPLANATIONS[code], name), model())
        assert {f.code for f in lint_notebook(file, workspace.root, KNOWN)} == ({code} if name == "wrong" else set())
    for name, unreadable in (("wrong", True), ("right", False)):
        file = workspace.write("runbooks/a.ipynb", getattr(EXPLANATIONS["OPS000"], name))
        assert ({f.code for f in lint_notebook(file, workspace.root)} == {"OPS000"}) is unreadable


def test_an_explanation_in_words():
    """`lint --explain` says code, weight, what it asks, why, and both examples."""
    text = str(EXPLANATIONS["OPS014"])
    assert text.startswith("OPS014 (warning)  No path of somebody's home directory")
    assert text.index("wrong:") < text.index("right:")
    assert EXPLANATIONS["OPS014"].as_json()["severity"] == "warning"
