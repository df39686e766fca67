"""The lint rules, in the order of a notebook's life: can it be used, is it clean, is it named, is it readable."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from opsnb.base.errors import NotebookError
from opsnb.base.parameters import Place, constrain, parse_cell
from opsnb.control.catalog.findings import Code, Finding, Subject, of_error, rule
from opsnb.control.catalog.frontmatter import check_placeholders
from opsnb.control.records import Risk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsnb.control.catalog.notebook import NotebookCell

MAX_LINES = 12  # lines of a code cell
MAGIC = re.compile(r"^\s*(?:[!%]|[\w.]+\s*=\s*[!%])|^\s*\??[\w.]+\?{1,2}\s*$")
HEADING = re.compile(r"^#{1,6}\s")
SENTENCE_END = re.compile(r"[.!?:。！？：…][*_`)\"'）”]*$")
PYTHON = {"", "python", "python3", "ipython"}


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


@rule("OPS004", "The parameters are typed literals, none declared twice, and fit the front matter.")
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


@rule("OPS010", "Outputs are cleared.")
def outputs_cleared(subject: Subject) -> Iterator[Finding]:
    """The copybook and the evidence are never the same file."""
    for cell in subject.notebook.cells:
        if cell.outputs:
            hint = "jupyter nbconvert --clear-output --inplace"
            yield subject.finding(f"carries {cell.outputs} outputs, wanted none", cell=cell, hint=hint)


@rule("OPS011", "Execution counts are cleared.")
def counts_cleared(subject: Subject) -> Iterator[Finding]:
    """They change with every run and say nothing in a copybook."""
    for cell in subject.notebook.cells:
        if cell.execution_count is not None:
            message = f"carries the execution count {cell.execution_count}, wanted none"
            yield subject.finding(message, cell=cell, hint="jupyter nbconvert --clear-output --inplace")


@rule("OPS020", "The title is one heading: the id, a dash, the front matter's title.")
def title_matches(subject: Subject) -> Iterator[Finding]:
    """``# NGX-010 - Balance a web tier behind nginx``; an en or em dash will do."""
    if not subject.front:
        return
    wanted = f"# {subject.front.id} - {subject.front.title}"
    headings = [(c, n, line.strip()) for c, n, line in _markdown(subject) if re.match(r"#\s", line)]
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


@rule("OPS030", "Code cells are plain Python, without magics and shell escapes.")
def no_magics(subject: Subject) -> Iterator[Finding]:
    """They run something that nobody reviewed as code, and only inside IPython."""
    for code in subject.code:
        lines = code.cell.source.splitlines() if code.error else []
        for number, line in enumerate(lines, 1):
            if MAGIC.match(line):
                hint = "call a verb of a kit instead"
                yield subject.finding(f"`{line.strip()[:60]}` is a magic", cell=code.cell, line=number, hint=hint)
        for node in ast.walk(code.tree) if code.tree else ():
            if isinstance(node, ast.Name) and node.id == "get_ipython":
                hint = "call a verb of a kit instead"
                yield subject.finding("get_ipython() runs magics", cell=code.cell, line=node.lineno, hint=hint)


@rule("OPS031", "Code cells are valid Python.")
def valid_python(subject: Subject) -> Iterator[Finding]:
    """A cell with a magic is told of by OPS030."""
    for code in subject.code:
        if code.error and not any(MAGIC.match(line) for line in code.cell.source.splitlines()):
            line = code.error.lineno
            yield subject.finding(f"not Python: {code.error.msg}", cell=code.cell, line=line, hint="put it right")


@rule("OPS032", "No cell defines a function or a class.")
def no_definitions(subject: Subject) -> Iterator[Finding]:
    """Code that is worth a name belongs into a kit, where it has tests."""
    for code in subject.code:
        for node in ast.walk(code.tree) if code.tree else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                message = f"'{node.name}' is defined in a cell"
                yield subject.finding(message, cell=code.cell, line=node.lineno, hint="move it into a kit")


@rule("OPS033", "Only the setup cell imports.")
def no_late_import(subject: Subject) -> Iterator[Finding]:
    """A missing package stops a run before it has looked at anything."""
    for code in subject.code:
        for node in ast.walk(code.tree) if code.tree and not code.is_setup else ():
            if isinstance(node, ast.Import | ast.ImportFrom):
                hint = "import in the setup cell, where begin() is"
                yield subject.finding("imports outside the setup cell", cell=code.cell, line=node.lineno, hint=hint)


@rule("OPS034", f"A code cell has at most {MAX_LINES} lines.")
def short_cells(subject: Subject) -> Iterator[Finding]:
    """A code cell is one action. The parameters cell has one line a parameter and may be longer."""
    for code in subject.code:
        lines = sum(1 for line in code.cell.source.splitlines() if line.strip())
        if lines > MAX_LINES and not code.is_parameters:
            hint = "one action a cell; move what is long into a kit"
            yield subject.finding(f"has {lines} lines, at most {MAX_LINES} are wanted", cell=code.cell, hint=hint)


@rule("OPS035", "A sentence stands before each code cell.")
def sentence_before(subject: Subject) -> Iterator[Finding]:
    """It says what success looks like. Parameters and setup follow the introduction and need none of their own."""
    for code in subject.code:
        if code.is_parameters or code.is_setup or _introduced(subject, code):
            continue
        hint = "say in the markdown cell before it, in a sentence, what success looks like"
        yield subject.finding("no sentence stands before this code cell", cell=code.cell, hint=hint)


@rule("OPS040", "One cell calls begin() with the front matter's id.")
def begins(subject: Subject) -> Iterator[Finding]:
    """The control plane refuses a notebook that says another id than was sealed."""
    calls = [(code, call) for code in subject.code for call in code.calls("begin")]
    wanted = f'run = opsnb.begin("{subject.front.id}")' if subject.front else 'run = opsnb.begin("ID")'
    if not calls:
        yield subject.finding("no cell calls begin()", hint=f"write in the setup cell: {wanted}")
    for code, call in calls[1:]:
        yield subject.finding("begin() is called again", cell=code.cell, line=call.lineno, hint="call it once")
    for code, call in calls[:1]:
        said = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
        if subject.front and said != subject.front.id:
            message = f"begin({said!r:.40}) is not the front matter's id" if said else "begin() names no literal id"
            yield subject.finding(message, cell=code.cell, line=call.lineno, hint=f"write: {wanted}")


@rule("OPS041", "The last cell calls finish().")
def finishes(subject: Subject) -> Iterator[Finding]:
    """It prints the verdict, the checks, before and after."""
    cells = subject.notebook.cells
    last = subject.code[-1] if subject.code else None
    if last is None or last.cell is not cells[-1] or not any(last.calls("finish")):
        cell = cells[-1] if cells else None
        yield subject.finding("the last cell does not call finish()", cell=cell, hint="end with: run.finish()")


@rule("OPS042", "At most one cell calls change(), after propose(); at risk read none does.")
def changes_once(subject: Subject) -> Iterator[Finding]:
    """The only cell that changes anything is the one that an approver finds."""
    proposals = [code for code in subject.code if any(subject.run_calls(code, "propose"))]
    changes = [(code, call) for code in subject.code for call in subject.run_calls(code, "change")]
    reads = subject.front is None or subject.front.risk is Risk.READ
    for code, call in changes if reads else changes[1:]:
        message = (
            "change() at risk read" if reads else f"a second change(), the first is in cell {changes[0][0].cell.index}"
        )
        hint = "write 'risk: change' into the front matter" if reads else "put all that changes into one plan"
        yield subject.finding(message, cell=code.cell, line=call.lineno, hint=hint)
    for code, call in changes[:1]:
        if not reads and not any(p.cell.index < code.cell.index for p in proposals):
            hint = "write in a cell before it: run.propose(plan)"
            yield subject.finding("no cell before it calls propose()", cell=code.cell, line=call.lineno, hint=hint)


def _markdown(subject: Subject) -> Iterator[tuple[NotebookCell, int, str]]:
    """Every line of prose with its cell and number; fenced code is left out."""
    for cell in subject.notebook.cells:
        fenced = False
        for number, line in enumerate(cell.source.splitlines() if cell.kind == "markdown" else [], 1):
            if line.lstrip().startswith(("```", "~~~")):
                fenced = not fenced
            elif not fenced:
                yield cell, number, line


def _introduced(subject: Subject, code: Code) -> bool:
    before = subject.notebook.cells[code.cell.index - 1] if code.cell.index else None
    if before is None or before.kind != "markdown":
        return False
    lines = [line.strip() for line in before.source.splitlines()]
    return any(SENTENCE_END.search(line) for line in lines if line and not HEADING.match(line))
