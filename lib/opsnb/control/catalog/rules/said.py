"""04x: what it says to the control plane, and in which section."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from opsnb.control.catalog.findings import Finding, Severity, Subject, rule, shown
from opsnb.control.catalog.rules.cells import SENTENCE_END
from opsnb.control.records import Risk

if TYPE_CHECKING:
    from collections.abc import Iterator

RIGHT, PROPOSAL, CHANGE, CHECKS, REMEDY = 1, 3, 4, 5, 6  # sections of a runbook that changes something
TWO = 2  # arguments of a check that are compared
CHANGING = {
    "os": {"chmod", "chown", "kill", "link", "makedirs", "mkdir", "remove", "removedirs", "rename", "replace", "rmdir",
           "symlink", "truncate", "unlink"},
    "shutil": {"chown", "copy", "copy2", "copyfile", "copytree", "move", "rmtree", "unpack_archive"},
    "requests": {"delete", "patch", "post", "put"},
    "httpx": {"delete", "patch", "post", "put"},
}  # fmt: skip


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
    """It prints the checks, before and after."""
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


@rule("OPS043", "Section 1 asks whether this is the right runbook: applicable() stands there.")
def asks_whether_it_fits(subject: Subject) -> Iterator[Finding]:
    """It stops the wrong runbook before it looks at anything. One that reads and takes no parameters may do without."""
    calls = [(code, call) for code in subject.code for call in subject.run_calls(code, "applicable")]
    if subject.front and not calls and (subject.changes or subject.notebook.parameters_cells):
        hint = 'write in section 1: run.applicable(condition, "what was looked at")'
        yield subject.finding("no cell calls applicable()", hint=hint)
    for code, call in calls if subject.front else ():
        section = subject.section_of(code.cell)
        if section != RIGHT:
            where = f"section {section}" if section else "no numbered section"
            message, hint = f"applicable() in {where}", "move it into section 1"
            yield subject.finding(message, cell=code.cell, line=call.lineno, hint=hint)


@rule("OPS044", "What changes something proposes in section 3, and changes in the one code cell of section 4.")
def changes_in_its_section(subject: Subject) -> Iterator[Finding]:
    """An approver reads section 3 and knows that whatever happens happens in section 4."""
    for method, wanted in (("propose", PROPOSAL), ("change", CHANGE)) if subject.changes else ():
        calls = [(code, call) for code in subject.code for call in subject.run_calls(code, method)]
        if not calls:
            yield subject.finding(f"no cell calls {method}()", hint=f"write in section {wanted}: run.{method}(plan)")
        for code, call in calls:
            section = subject.section_of(code.cell)
            if section != wanted:
                where = f"section {section}" if section else "no numbered section"
                message, hint = f"{method}() in {where}, wanted section {wanted}", f"move it into section {wanted}"
                yield subject.finding(message, cell=code.cell, line=call.lineno, hint=hint)
    if subject.changes:
        inside = [code for code in subject.code if subject.section_of(code.cell) == CHANGE]
        for code in inside[1:]:
            message, hint = "a second code cell in section 4", "section 4 holds the change and nothing else"
            yield subject.finding(message, cell=code.cell, hint=hint)


@rule("OPS045", "Promises are checked, after a change in section 5; a check compares with what was found.")
def promises_are_checked(subject: Subject) -> Iterator[Finding]:
    """The verdict is made of checks; without one a run proves nothing."""
    calls = [(code, call) for code in subject.code for call in subject.run_calls(code, "check")]
    fitting = [c for c in calls if not subject.changes or subject.section_of(c[0].cell) == CHECKS]
    if subject.front and not fitting:
        where = " in section 5" if subject.changes else ""
        hint = f'write{where}: run.check("the promise", got, want), one for each promise'
        yield subject.finding(f"nothing is checked{where}", hint=hint)
    for code, call in calls:
        values = [*call.args[1:], *(k.value for k in call.keywords if k.arg in {"got", "want"})]
        if len(values) == TWO and all(isinstance(value, ast.Constant) for value in values):
            message, hint = "this check compares two constants", "compare what was found with what was wanted"
            yield subject.finding(message, cell=code.cell, line=call.lineno, hint=hint)


@rule("OPS046", "What changes something says in section 6, in words, what to do when it did not work.")
def says_what_to_do(subject: Subject) -> Iterator[Finding]:
    """It is read at night by somebody who did not write it: what you will see, how long to wait, the undo."""
    if not subject.changes:
        return
    section = next((s for s in subject.sections if s.number == REMEDY), None)
    if section is None:
        yield subject.finding("there is no section 6", hint="write: ## 6. If it did not")
        return
    end = next((s for s in subject.sections if (s.cell.index, s.line) > (section.cell.index, section.line)), None)
    stop = (end.cell.index, end.line) if end else (len(subject.notebook.cells), 0)
    lines = [x for c, n, x in subject.prose if (section.cell.index, section.line) < (c.index, n) < stop]
    if not any(SENTENCE_END.search(line.strip()) for line in lines):
        hint = "say what one will see, how long to wait, and how to undo"
        yield subject.finding("section 6 says nothing", cell=section.cell, line=section.line, hint=hint)


@rule("OPS047", "One code cell is tagged 'setup'; it comes before all but the parameters, and calls begin().")
def setup_cell(subject: Subject) -> Iterator[Finding]:
    """It says who, what, where and in which mode, before anything is looked at."""
    if not subject.front:
        return
    tagged = [code for code in subject.code if "setup" in code.cell.tags]
    if not tagged:
        hint = "tag the cell that imports and calls begin(): setup"
        yield subject.finding("no code cell is tagged 'setup'", hint=hint)
    for code in tagged[1:]:
        yield subject.finding("a second cell is tagged 'setup'", cell=code.cell, hint="keep one")
    for code in tagged[:1]:
        if not any(code.calls("begin")):
            yield subject.finding("the setup cell does not call begin()", cell=code.cell, hint="call begin() in it")
        if code is not next(c for c in subject.code if not c.is_parameters):
            yield subject.finding("code stands before the setup cell", cell=code.cell, hint="move it to the top")


@rule("OPS048", "The last code cell is tagged 'summary', and no other.")
def summary_cell(subject: Subject) -> Iterator[Finding]:
    """Pages and mails show this cell first."""
    tagged = [code for code in subject.code if "summary" in code.cell.tags]
    last = subject.code[-1] if subject.code else None
    if subject.front and last and "summary" not in last.cell.tags:
        yield subject.finding("the last code cell is not tagged 'summary'", cell=last.cell, hint="tag it: summary")
    for code in tagged if subject.front else ():
        if code is not last:
            hint = "tag only the last code cell: summary"
            yield subject.finding("another cell is tagged 'summary'", cell=code.cell, hint=hint)


@rule("OPS049", "Nothing is changed outside a plan.", Severity.WARNING)
def changes_by_plan(subject: Subject) -> Iterator[Finding]:
    """What is not in the plan was approved by nobody. Files for the record may be written: below run.files."""
    for code in subject.code if subject.front else ():
        for node in code.nodes:
            if isinstance(node, ast.Call) and _changes(node) and not _keeps_evidence(subject, node):
                message = f"`{shown(node.func)}(…)` changes something outside a plan"
                hint = "let a kit plan it; what belongs to the record goes below run.files"
                yield subject.finding(message, cell=code.cell, line=node.lineno, hint=hint)


def _changes(node: ast.Call) -> bool:
    if isinstance(node.func, ast.Name) and node.func.id == "open":
        modes = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
        return any(
            isinstance(m, ast.Constant) and isinstance(m.value, str) and set(m.value) & set("wax+") for m in modes
        )
    of = node.func.value if isinstance(node.func, ast.Attribute) else None
    return (
        isinstance(of, ast.Name) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING.get(of.id, ())
    )


def _keeps_evidence(subject: Subject, node: ast.Call) -> bool:
    return any(
        isinstance(inner, ast.Attribute)
        and inner.attr == "files"
        and isinstance(inner.value, ast.Name)
        and inner.value.id in subject.run_names
        for inner in ast.walk(node)
    )
