"""Lint notebooks: every rule looks at each, and what cannot be read is a finding too."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from opsnb.base.errors import NotebookError
from opsnb.control.catalog import builtin, rules  # rules registers them
from opsnb.control.catalog.findings import RULES, Finding, Severity, Subject, of_error
from opsnb.control.catalog.index import Broken
from opsnb.control.catalog.notebook import Notebook, read_notebook
from opsnb.control.catalog.runbook import shown_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsnb.control.catalog.index import Catalog

MAX_FINDINGS = 100  # of one rule in one notebook; nobody reads more, and a hostile file could have millions
UNREADABLE = "OPS000"  # the file is no notebook; no rule can look
SHARED_ID = "OPS022"  # seen only where several notebooks are looked at
CODES = {
    UNREADABLE: "The file is a notebook: JSON, nbformat 4, UTF-8, a regular file within limits.",
    SHARED_ID: "An id is carried by one notebook only.",
    **{code: rule.promise for code, rule in RULES.items()},
}
SEVERITIES = {code: RULES[code].severity if code in RULES else Severity.ERROR for code in CODES}

__all__ = [
    "CODES", "RULES", "SEVERITIES", "SHARED_ID", "UNREADABLE", "Finding", "Severity", "ids", "lint", "lint_catalog",
    "lint_notebook", "rules",
]  # fmt: skip


def ids(catalog: Catalog) -> frozenset[str]:
    """Return the ids that other notebooks may name: those of the catalog, broken ones too, and the built-in ones."""
    return frozenset({*(entry.id for entry in catalog.entries if entry.id), *builtin.ids()})


def lint_catalog(catalog: Catalog, folder: Path | None = None) -> list[Finding]:
    """Return what is to be put right in a catalog's notebooks, by path, then in the order of their cells.

    Args:
        catalog: The catalog.
        folder: Only the notebooks under this folder; all of them by default.
    """
    found: list[Finding] = []
    known = ids(catalog)
    for entry in catalog.entries:
        file = catalog.workspace / entry.path
        if folder and not file.is_relative_to(folder.resolve()):
            continue
        found += lint_notebook(file, catalog.workspace, known)
        if isinstance(entry, Broken) and entry.shared:
            found.append(replace(of_error(entry.error, entry.path), code=SHARED_ID))
    return found


def lint_notebook(file: Path, workspace: Path, known: frozenset[str] | None = None) -> list[Finding]:
    """Return what is to be put right in a notebook file, in the order of its cells; empty when nothing is.

    Args:
        file: Where it is.
        workspace: What its path is shown relative to.
        known: Ids of the catalog, from :func:`ids`; without them nothing is said about links to other runbooks.
    """
    path = shown_path(file, workspace)
    try:
        return lint(read_notebook(file, path=path), known)
    except NotebookError as error:
        return [replace(of_error(error, path), code=UNREADABLE)]


def lint(notebook: Notebook, known: frozenset[str] | None = None) -> list[Finding]:
    """Return what is to be put right in a notebook that was read; see :func:`lint_notebook`."""
    subject = Subject(notebook, known)
    found = [
        replace(finding, code=rule.code, severity=rule.severity)
        for rule in RULES.values()
        for finding in _some(rule.look(subject))
    ]
    return sorted(found, key=lambda f: (-1 if f.cell is None else f.cell, f.line or 0, f.code))


def _some(findings: Iterator[Finding]) -> list[Finding]:
    found = list(islice(findings, MAX_FINDINGS + 1))
    if len(found) > MAX_FINDINGS:
        found[-1] = replace(found[-1], message=f"{found[-1].message}; what follows of this kind is not listed")
    return found
