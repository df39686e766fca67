"""A workspace to put notebooks into."""

from __future__ import annotations

import json

import pytest

FRONT = """\
---
id: NGX-010
title: Balance a web tier behind nginx
promise: Renders the upstream and reloads without dropping a connection.
risk: change              # read | change | danger
owner: web-ops
touches: nginx configuration
undo: restores the previous configuration
timeout: 10m
lock: "nginx/{strategy}"
reads: []
writes: ["{folder}"]
parameters:
  strategy: {choices: [round_robin, ip_hash]}
  batch: {min: 1, max: 20}
---
"""
TITLE = """\
# {name} - Balance a web tier behind nginx

Renders the upstream and reloads without dropping a connection.

**Use when** a back end comes or goes. **Do not use when** nginx does not balance.
"""
PARAMETERS = """\
strategy: str = "round_robin"  # how requests are spread
batch: int = 5  # hosts at once
folder: str = "/srv/nginx"  # where
"""


def cell(kind, source, *tags, **extra):
    """One cell as it stands in a file."""
    body = {"cell_type": kind, "metadata": {"tags": list(tags)}, "source": source.splitlines(keepends=True)}
    return body | ({"outputs": [], "execution_count": None} if kind == "code" else {}) | extra


def cells(front=FRONT, parameters=PARAMETERS, name="NGX-010"):
    """The cells of a runbook that lint has nothing to say about."""
    return [
        cell("raw", front),
        cell("markdown", TITLE.format(name=name)),
        cell("code", parameters, "parameters"),
        cell("code", f'import opsnb\n\nrun = opsnb.begin("{name}")', "setup"),
        cell("markdown", "## 1. Is this the right runbook?\n\nIt is when nginx runs here."),
        cell("code", 'run.applicable(True, "nginx runs")'),
        cell("markdown", "## 2. What we see now\n\nYou should see the upstream."),
        cell("code", "before = 1"),
        cell("markdown", "## 3. What will change\n\nYou should see the plan."),
        cell("code", "plan = run.propose(before)"),
        cell("markdown", "## 4. Change\n\nYou should see `done`."),
        cell("code", "done = run.change(plan)"),
        cell("markdown", "## 5. Did it work?\n\nEvery check says PASS."),
        cell("code", 'run.check("every back end answers", before, 1)'),
        cell("markdown", "## 6. If it did not\n\nWait a minute, then undo it."),
        cell("markdown", "## Summary\n\nYou should see how many checks passed."),
        cell("code", "run.finish()", "summary"),
    ]


def document(body):
    """A notebook as JSON."""
    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    body = [{"id": f"c{number}", **one} if isinstance(one, dict) else one for number, one in enumerate(body)]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": body}


class Workspace:
    """A workspace in a temporary directory."""

    cell = staticmethod(cell)
    cells = staticmethod(cells)
    document = staticmethod(document)
    front = FRONT
    title = TITLE
    parameters = PARAMETERS

    def __init__(self, root):
        self.root = root

    def write(self, path, content):
        """Write cells, a whole document, text or bytes; return the file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = document(content)
        if isinstance(content, dict):
            content = json.dumps(content, ensure_ascii=False)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def runbook(self, path="runbooks/nginx/NGX-010-balance.ipynb", **parts):
        """Write a good runbook; ``front``, ``parameters`` and ``name`` replace its parts."""
        return self.write(path, cells(**parts))


@pytest.fixture
def workspace(tmp_path):
    """An empty workspace."""
    return Workspace(tmp_path)
