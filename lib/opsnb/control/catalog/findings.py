"""What lint looks at, what it says, and the table of its rules.

A rule is a function registered with ``@rule(code, promise)``; it takes one :class:`Subject` and yields findings. Codes
00x ask whether the notebook can be used at all, 01x what must be cleared before it is committed, 02x names, 03x its
cells, 04x what it says to the control plane. A rule that could misjudge is a warning; every other finding is an error.
"""

from __future__ import annotations

import ast
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import NotebookError
from opsnb.base.parameters.cell import parse_python
from opsnb.control.catalog.frontmatter import FrontMatter, read_front_matter
from opsnb.control.catalog.notebook import PARAMETERS_TAG, Notebook, NotebookCell
from opsnb.control.records import Risk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEADING = re.compile(r"##\s+(?:(?P<number>[0-9]{1,3})[.、．](?![0-9])\s*)?(?P<title>.*)")
MAX_CODE = 256 * 1024  # characters of a cell that is parsed; a longer one breaks the rule on length anyway


class Severity(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"  # lint exits 1
    WARNING = "warning"  # a reader decides; lint exits 1 only with --strict


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to put right.

    Args:
        code: The rule: ``OPS033``.
        path: The notebook.
        cell: Index of the cell, from 0; ``None`` for the notebook as a whole.
        line: Line in that cell, from 1.
        message: What was found and what is wanted.
        hint: How to put it right.
        severity: How much it weighs.
    """

    code: str
    path: str
    cell: int | None = None
    line: int | None = None
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        where = self.path + "".join(
            f" {what} {number}" for what, number in (("cell", self.cell), ("line", self.line)) if number is not None
        )
        warning = "warning: " if self.severity is Severity.WARNING else ""
        return f"{where}: {self.code} {warning}{self.message}" + (f"\n  → {self.hint}" if self.hint else "")


@dataclass(frozen=True)
class Code:
    """A code cell and what it parses to; ``tree`` is ``None`` where it is not Python."""

    cell: NotebookCell
    tree: ast.Module | None
    error: SyntaxError | None = None

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Everything in its tree; empty where it is not Python."""
        return tuple(ast.walk(self.tree)) if self.tree else ()

    def calls(self, name: str) -> Iterator[ast.Call]:
        """The calls of a function or method of that name, wherever it comes from."""
        for node in self.nodes:
            if isinstance(node, ast.Call):
                called = node.func
                found = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                if found == name:
                    yield node

    @property
    def is_parameters(self) -> bool:
        """Whether it declares the parameters."""
        return PARAMETERS_TAG in self.cell.tags

    @cached_property
    def is_setup(self) -> bool:
        """Whether it sets the run up: tagged ``setup``, or it calls ``begin``."""
        return "setup" in self.cell.tags or any(self.calls("begin"))


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section: a heading of the second level and what follows it.

    Args:
        number: Its number; ``None`` where it has none.
        title: Its heading, without the number.
        cell: The cell that holds the heading.
        line: Its line there, from 1.
    """

    number: int | None
    title: str
    cell: NotebookCell
    line: int


class Subject:
    """One notebook, seen the ways that rules need.

    Attributes:
        notebook: The notebook.
        front: Its front matter; ``None`` where it has none or a wrong one.
        front_error: Why the front matter is wrong.
        known: Ids of the catalog; ``None`` where it is looked at without one.
    """

    def __init__(self, notebook: Notebook, known: frozenset[str] | None = None) -> None:
        self.notebook = notebook
        self.known = known
        self.front: FrontMatter | None = None
        self.front_error: NotebookError | None = None
        try:
            self.front = read_front_matter(notebook)
        except NotebookError as error:
            self.front_error = error

    @cached_property
    def code(self) -> tuple[Code, ...]:
        """Its code cells, empty ones left out."""
        return tuple(_code(c) for c in self.notebook.cells if c.kind == "code" and c.source.strip())

    @cached_property
    def run_names(self) -> frozenset[str]:
        """What the cells call the run: the names that ``begin()`` is assigned to."""
        assigned = [
            target.id
            for code in self.code
            for node in code.nodes
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.value in code.calls("begin")
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        return frozenset(assigned or ["run"])

    def run_calls(self, code: Code, method: str) -> Iterator[ast.Call]:
        """The calls of a method of the run in a cell: ``run.change(...)``, and not ``nginx.change(...)``."""
        for call in code.calls(method):
            of = call.func.value if isinstance(call.func, ast.Attribute) else None
            if isinstance(of, ast.Name) and of.id in self.run_names:
                yield call

    @cached_property
    def changes(self) -> bool:
        """Whether its front matter says that it changes something."""
        return self.front is not None and self.front.risk is not Risk.READ

    @cached_property
    def prose(self) -> tuple[tuple[NotebookCell, int, str], ...]:
        """Every line of prose with its cell and number; fenced code is left out."""
        return tuple(_prose(self.notebook))

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """Its sections, in order."""
        found = ((cell, number, HEADING.fullmatch(line.rstrip())) for cell, number, line in self.prose)
        return tuple(
            Section(number=int(m["number"]) if m["number"] else None, title=m["title"], cell=cell, line=line)
            for cell, line, m in found
            if m
        )

    def section_of(self, cell: NotebookCell) -> int | None:
        """Return the number of the section that a code cell stands in; ``None`` before the first and in one without."""
        before = [section for section in self.sections if section.cell.index < cell.index]
        return before[-1].number if before else None

    def finding(
        self, message: str, *, cell: NotebookCell | None = None, line: int | None = None, hint: str = ""
    ) -> Finding:
        """Return a finding about this notebook; the registry puts the code in."""
        index = cell.index if cell else None
        return Finding(code="", path=self.notebook.path, cell=index, line=line, message=message, hint=hint)


@dataclass(frozen=True)
class Rule:
    """A rule: its code, what holds where it finds nothing, and the function that looks."""

    code: str
    promise: str
    look: Callable[[Subject], Iterator[Finding]]
    severity: Severity = Severity.ERROR


RULES: dict[str, Rule] = {}  # by code, in the order in which they look


def rule(
    code: str, promise: str, severity: Severity = Severity.ERROR
) -> Callable[[Callable[[Subject], Iterator[Finding]]], Callable[..., Any]]:
    """Register a rule under its code.

    Args:
        code: ``OPS`` and three digits, used once.
        promise: One sentence: what holds in a notebook where the rule finds nothing.
        severity: A warning where the rule could misjudge.
    """

    def register(look: Callable[[Subject], Iterator[Finding]]) -> Callable[..., Any]:
        if code in RULES:
            raise ValueError(f"two lint rules have the code {code}")
        RULES[code] = Rule(code, promise, look, severity)
        return look

    return register


def of_error(error: NotebookError, path: str) -> Finding:
    """Return the finding that an error of the reader is."""
    message = error.message.removeprefix(path).lstrip()
    if error.cell is not None:
        message = message.removeprefix(f"cell {error.cell}").lstrip()
    if error.line is not None:
        message = message.removeprefix(f"line {error.line}").lstrip()
    return Finding(
        code="", path=path, cell=error.cell, line=error.line, message=message.removeprefix(": "), hint=error.hint
    )


def shown(node: ast.AST, limit: int = 60) -> str:
    """Return a piece of code as a finding shows it, at most ``limit`` characters."""
    try:
        return ast.unparse(node)[:limit]
    except RecursionError:  # a chain of thousands of attributes parses and cannot be written out
        return "…"


def _code(cell: NotebookCell) -> Code:
    if len(cell.source) > MAX_CODE:
        return Code(cell, None, SyntaxError(f"longer than {MAX_CODE} characters"))
    try:
        return Code(cell, parse_python(cell.source))
    except SyntaxError as error:
        return Code(cell, None, error)


def _prose(notebook: Notebook) -> Iterator[tuple[NotebookCell, int, str]]:
    for cell in notebook.cells:
        fenced = False
        for number, line in enumerate(cell.source.splitlines() if cell.kind == "markdown" else [], 1):
            if line.lstrip().startswith(("```", "~~~")):
                fenced = not fenced
            elif not fenced:
                yield cell, number, line
