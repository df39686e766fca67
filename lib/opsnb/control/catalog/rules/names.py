"""02x: names: the title, the file, the introduction, and other runbooks that are named."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from opsnb.base.parameters import did_you_mean
from opsnb.control.catalog.findings import Finding, Severity, Subject, rule
from opsnb.control.catalog.frontmatter import ID

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = 1  # the cell that holds title and introduction
NAMED = re.compile(rf"(?<![\w./-]){ID.pattern}(?![\w-])")
NOT_WHEN = re.compile(r"\b(?:do not|don't|never) use\b|不适用|不要用|不要使用|请勿使用|何时不用", re.IGNORECASE)
WHEN = re.compile(r"\buse (?:it |this )?(?:when|if|before|after|to)\b|适用|何时使用|何时用|使用时机", re.IGNORECASE)


@rule("OPS020", "The title is one heading: the id, a dash, the front matter's title.")
def title_matches(subject: Subject) -> Iterator[Finding]:
    """``# NGX-010 - Balance a web tier behind nginx``; an en or em dash will do."""
    if not subject.front:
        return
    wanted = f"# {subject.front.id} - {subject.front.title}"
    headings = [(c, n, line.strip()) for c, n, line in subject.prose if re.match(r"#\s", line)]
    if not headings:
        yield subject.finding("there is no heading of the first level", hint=f"begin with: {wanted}")
        return
    cell, number, text = headings[0]
    if re.sub(r"\s+[–—-]\s+", " - ", text, count=1) != wanted:
        yield subject.finding(f"found the title {text!r:.120}", cell=cell, line=number, hint=f"write: {wanted}")
    for cell, number, _ in headings[1:]:
        hint = "use ## for sections"
        yield subject.finding("a second heading of the first level", cell=cell, line=number, hint=hint)


@rule("OPS021", "The file's name begins with the id.")
def file_name_matches(subject: Subject) -> Iterator[Finding]:
    """So that a folder listing is an index."""
    name = PurePosixPath(subject.notebook.path).name
    if subject.front and not re.match(rf"{subject.front.id}(?![0-9A-Za-z])", name):
        yield subject.finding(f"the file is called {name}", hint=f"call it {subject.front.id}-….ipynb")


@rule("OPS023", "The runbook that applicable() names instead is in the catalog.")
def instead_exists(subject: Subject) -> Iterator[Finding]:
    """Whoever is sent away at night must arrive somewhere."""
    for code in subject.code:
        for call in subject.run_calls(code, "applicable"):
            for keyword in call.keywords:
                said = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                if keyword.arg == "instead" and said and subject.known is not None and said not in subject.known:
                    hint = did_you_mean(str(said), subject.known, what="runbooks")
                    message = f"instead={said!r:.40} is in no catalog"
                    yield subject.finding(message, cell=code.cell, line=keyword.value.lineno, hint=hint)


@rule("OPS024", "Runbooks that the text names are in the catalog.", Severity.WARNING)
def links_exist(subject: Subject) -> Iterator[Finding]:
    """Only names like those of the catalog are looked at: SHA-256 is none, where no runbook begins with SHA."""
    known = subject.known or frozenset()
    prefixes = {name.partition("-")[0] for name in known}
    own = subject.front.id if subject.front else ""
    for cell, number, line in subject.prose:
        for name in NAMED.findall(line):
            if name.partition("-")[0] in prefixes and name not in known and name != own:
                hint = did_you_mean(name, known, what="runbooks")
                yield subject.finding(f"{name} is in no catalog", cell=cell, line=number, hint=hint)


@rule("OPS025", "The cell below the front matter holds the title and the promise, word for word.")
def promise_is_said(subject: Subject) -> Iterator[Finding]:
    """The reader of the notebook and the reader of the catalog are promised the same."""
    cells = subject.notebook.cells
    if not subject.front:
        return
    cell = cells[TITLE] if len(cells) > TITLE and cells[TITLE].kind == "markdown" else None
    if cell is None:
        hint = "write a markdown cell: title, promise, use when, do not use when"
        yield subject.finding("no introduction stands below the front matter", hint=hint)
    elif _words(subject.front.promise) not in _words(cell.source):
        yield subject.finding(
            "the promise is not in the introduction", cell=cell, hint=f"write: {subject.front.promise}"
        )


@rule("OPS026", "The introduction says when to use it, and when not.", Severity.WARNING)
def when_to_use(subject: Subject) -> Iterator[Finding]:
    """Half of all runbooks are started for the wrong fault."""
    cells = subject.notebook.cells
    if not subject.front or len(cells) <= TITLE or cells[TITLE].kind != "markdown":
        return
    text = cells[TITLE].source
    for found, what in ((WHEN.search(NOT_WHEN.sub("", text)), "Use when"), (NOT_WHEN.search(text), "Do not use when")):
        if not found:
            message = f"the introduction does not say: {what.lower()}"
            yield subject.finding(message, cell=cells[TITLE], hint=f"write: **{what}** …")


def _words(text: str) -> str:
    return " ".join(text.split())
