"""What lint looks at, what it says, and the table of its rules.

A rule is a function registered with ``@rule(code, promise)``; it takes one :class:`Subject` and yields findings. Codes
00x ask whether the notebook can be used at all, 01x what must be cleared before it is committed, 02x names, 03x its
cells, 04x what it says to the control plane.
"""

from __future__ import annotations

import ast
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import NotebookError
from opsnb.base.parameters.cell import parse_python
from opsnb.control.catalog.frontmatter import FrontMatter, read_front_matter
from opsnb.control.catalog.notebook import PARAMETERS_TAG, Notebook, NotebookCell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_CODE = 256 * 1024  # characters of a cell that is parsed; a longer one breaks the rule on length anyway


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
    """

    code: str
    path: str
    cell: int | None = None
    line: int | None = None
    message: str
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        where = self.path + "".join(
            f" {what} {number}" for what, number in (("cell", self.cell), ("line", self.line)) if number is not None
        )
        return f"{where}: {self.code} {self.message}" + (f"\n  → {self.hint}" if self.hint else "")


@dataclass(frozen=True)
class Code:
    """A code cell and what it parses to; ``tree`` is ``None`` where it is not Python."""

    cell: NotebookCell
    tree: ast.Module | None
    error: SyntaxError | None = None

    def calls(self, name: str) -> Iterator[ast.Call]:
        """The calls of a function or method of that name, wherever it comes from."""
        for node in ast.walk(self.tree) if self.tree else ():
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


class Subject:
    """One notebook, seen the ways that rules need.

    Attributes:
        notebook: The notebook.
        front: Its front matter; ``None`` where it has none or a wrong one.
        front_error: Why the front matter is wrong.
    """

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
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
            for node in ast.walk(code.tree or ast.Module([], []))
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


RULES: dict[str, Rule] = {}  # by code, in the order in which they look


def rule(code: str, promise: str) -> Callable[[Callable[[Subject], Iterator[Finding]]], Callable[..., Any]]:
    """Register a rule under its code.

    Args:
        code: ``OPS`` and three digits, used once.
        promise: One sentence: what holds in a notebook where the rule finds nothing.
    """

    def register(look: Callable[[Subject], Iterator[Finding]]) -> Callable[..., Any]:
        if code in RULES:
            raise ValueError(f"two lint rules have the code {code}")
        RULES[code] = Rule(code, promise, look)
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


def _code(cell: NotebookCell) -> Code:
    if len(cell.source) > MAX_CODE:
        return Code(cell, None, SyntaxError(f"longer than {MAX_CODE} characters"))
    try:
        return Code(cell, parse_python(cell.source))
    except SyntaxError as error:
        return Code(cell, None, error)
