"""00x: can the notebook be used at all?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opsnb.base.errors import NotebookError
from opsnb.base.parameters import Place, constrain, parse_cell
from opsnb.control.catalog.findings import Finding, Subject, of_error, rule
from opsnb.control.catalog.frontmatter import check_placeholders

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = {"", "python", "python3", "ipython"}
KERNEL = "python3"
MINOR_WITH_IDS = 5  # of nbformat 4
CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # nbformat 4.5's schema


@rule("OPS001", "The notebook begins with front matter.")
def front_matter_present(subject: Subject) -> Iterator[Finding]:
    """Without it a notebook is of risk read, without parameters, secrets or hosts."""
    if subject.front is None and subject.front_error is None:
        hint = "begin it with a raw cell: ---, id, title, promise, risk, owner, ---"
        yield subject.finding("there is no front matter", hint=hint)


@rule("OPS002", "The front matter is valid.")
def front_matter_valid(subject: Subject) -> Iterator[Finding]:
    """See the module frontmatter."""
    if subject.front_error:
        yield of_error(subject.front_error, subject.notebook.path)


@rule("OPS003", "One code cell is tagged 'parameters', none where the front matter constrains none.")
def one_parameters_cell(subject: Subject) -> Iterator[Finding]:
    """Two would hide each other."""
    cells = subject.notebook.parameters_cells
    if not cells and subject.front and subject.front.constraints:
        message = "the front matter constrains parameters, and no code cell is tagged 'parameters'"
        yield subject.finding(message, hint="tag the cell that declares them: View > Property Inspector > Cell tags")
    for cell in cells[1:]:
        message = f"a second cell is tagged 'parameters', the first is cell {cells[0].index}"
        yield subject.finding(message, cell=cell, hint="keep one")


@rule("OPS004", "The parameters are typed literals with a label each, none declared twice, and fit the front matter.")
def parameters_valid(subject: Subject) -> Iterator[Finding]:
    """See opsnb.base.parameters."""
    path, cells = subject.notebook.path, subject.notebook.parameters_cells
    for cell in cells or (None,):
        try:
            declared = parse_cell(cell.source, Place(path=path, cell=cell.index)) if cell else ()
            if subject.front:
                check_placeholders(subject.front, tuple(p.name for p in declared))
                constrain(declared, subject.front.constraints if cell else {}, subject.front.place)  # else OPS003
        except NotebookError as error:
            yield of_error(error, path)
            continue
        for parameter in declared:
            if not parameter.label:
                message = f"parameter '{parameter.name}' has no label"
                yield subject.finding(message, cell=cell, line=parameter.line, hint="write a comment behind it")


@rule("OPS005", "The kernel's language is Python.")
def python_kernel(subject: Subject) -> Iterator[Finding]:
    """Runs use the toolkit's own kernel, whatever the notebook was written with."""
    if subject.notebook.language.lower() not in PYTHON:
        message = f"the kernel's language is {subject.notebook.language!r:.40}, wanted Python"
        yield subject.finding(message, hint="choose the kernel 'Python 3' and save")


@rule("OPS006", "The kernel is called python3.")
def kernel_name(subject: Subject) -> Iterator[Finding]:
    """A kernel that one person has installed is there for nobody else."""
    if subject.front and subject.notebook.kernel != KERNEL:
        message = f"the kernel is called {subject.notebook.kernel!r:.40}, wanted {KERNEL!r}"
        yield subject.finding(message, hint="choose the kernel 'Python 3' and save")


@rule("OPS007", "The format is nbformat 4.5 or later.")
def format_with_ids(subject: Subject) -> Iterator[Finding]:
    """Cells have ids from 4.5 on, and two runs are compared by them."""
    if subject.front and subject.notebook.minor < MINOR_WITH_IDS:
        message = f"the format is nbformat 4.{subject.notebook.minor}, wanted 4.{MINOR_WITH_IDS} or later"
        yield subject.finding(message, hint="jupyter nbconvert --to notebook --nbformat 4 --inplace")


@rule("OPS008", "Each cell has an id of its own.")
def cell_ids(subject: Subject) -> Iterator[Finding]:
    """A run is compared with another one cell by cell; without ids an inserted cell would shift all that follow."""
    seen: dict[str, int] = {}
    for cell in subject.notebook.cells if subject.front and subject.notebook.minor >= MINOR_WITH_IDS else ():
        hint = "open it in JupyterLab and save, or write one such as 'check'"
        if not CELL_ID.fullmatch(cell.id):
            message = f"the id {cell.id!r:.80} is none" if cell.id else "the cell has no id"
            yield subject.finding(f"{message}; wanted letters, digits, - and _, up to 64", cell=cell, hint=hint)
        elif cell.id in seen:
            yield subject.finding(f"the id '{cell.id}' is cell {seen[cell.id]}'s", cell=cell, hint=hint)
        seen.setdefault(cell.id, cell.index)
