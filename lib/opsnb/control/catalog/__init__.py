"""WHAT can run: notebooks read as data, their front matter and parameters, an index with digests, and lint.

::

    file ──read_notebook──► Notebook ──read_front_matter──► FrontMatter ──read_runbook──► Runbook ──► Catalog
                                └──────────────────────────lint_notebook──► findings

Nothing here executes a cell, and nothing here imports nbformat, papermill or pandas: a notebook is JSON.
"""

from opsnb.control.catalog.frontmatter import FrontMatter
from opsnb.control.catalog.index import Broken, Catalog
from opsnb.control.catalog.lint import CODES, RULES, Finding, lint_catalog, lint_notebook
from opsnb.control.catalog.notebook import Notebook, NotebookCell, read_notebook
from opsnb.control.catalog.runbook import Runbook, read_runbook

__all__ = [
    "CODES",
    "RULES",
    "Broken",
    "Catalog",
    "Finding",
    "FrontMatter",
    "Notebook",
    "NotebookCell",
    "Runbook",
    "lint_catalog",
    "lint_notebook",
    "read_notebook",
    "read_runbook",
]
