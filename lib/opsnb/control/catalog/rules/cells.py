"""03x: cells that can be read, reviewed and compared."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from opsnb.control.catalog.findings import Code, Finding, Severity, Subject, rule, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINES = 12  # lines of a code cell
MAGIC = re.compile(r"^\s*(?:[!%]|[\w.]+\s*=\s*[!%])|^\s*\??[\w.]+\?{1,2}\s*$")
HEADING = re.compile(r"^#{1,6}\s")
SENTENCE_END = re.compile(r"[.!?:。！？：…][*_`)\"'）”]*$")
SHELLS = {"os": {"system", "popen"}, "subprocess": {"getoutput", "getstatusoutput"}, "pty": {"spawn"}}
BRACES = re.compile(r"(?<![{$])\{([a-z_][a-z0-9_]*)\}(?!\})", re.IGNORECASE)
RAW = (ast.Dict, ast.DictComp, ast.List, ast.ListComp, ast.Set, ast.SetComp)
DUMPS = {"pprint", "pp", "dumps", "pformat"}


@rule("OPS030", "Code cells are plain Python, without magics and shell escapes.")
def no_magics(subject: Subject) -> Iterator[Finding]:
    """They run something that nobody reviewed as code, and only inside IPython."""
    for code in subject.code:
        lines = code.cell.source.splitlines() if code.error else []
        for number, line in enumerate(lines, 1):
            if MAGIC.match(line):
                hint = "call a verb of a kit instead"
                yield subject.finding(f"`{line.strip()[:60]}` is a magic", cell=code.cell, line=number, hint=hint)
        for node in code.nodes:
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
    """Code that is worth a name belongs into a kit, where it has tests. A lambda without a name is no definition."""
    for code in subject.code:
        for node in code.nodes:
            name = ""
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = node.name
            elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and isinstance(node.value, ast.Lambda):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                name = shown(target)
            if name:
                message = f"'{name}' is defined in a cell"
                yield subject.finding(message, cell=code.cell, line=_line(node), hint="move it into a kit")


@rule("OPS033", "Only the setup cell imports.")
def no_late_import(subject: Subject) -> Iterator[Finding]:
    """A missing package stops a run before it has looked at anything."""
    for code in subject.code:
        for node in code.nodes if not code.is_setup else ():
            if isinstance(node, ast.Import | ast.ImportFrom):
                hint = "import in the setup cell, where begin() is"
                yield subject.finding("imports outside the setup cell", cell=code.cell, line=node.lineno, hint=hint)


@rule("OPS034", f"A code cell has at most {MAX_LINES} lines.")
def short_cells(subject: Subject) -> Iterator[Finding]:
    """A code cell is one action. The parameters cell, and one that only gives a text its name, may be longer."""
    for code in subject.code:
        lines = sum(1 for line in code.cell.source.splitlines() if line.strip())
        if lines > MAX_LINES and not code.is_parameters and not _is_text(code):
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


@rule("OPS036", "No cell starts a shell.")
def no_shell(subject: Subject) -> Iterator[Finding]:
    """What a shell makes of a value is the value's choice; kits run programs by a list of arguments."""
    for code in subject.code:
        for node in code.nodes:
            if isinstance(node, ast.Call) and (_called(node) or _shell_is_true(node)):
                message = f"`{shown(node.func)}(…)` starts a shell"
                hint = "call a verb of a kit instead"
                yield subject.finding(message, cell=code.cell, line=node.lineno, hint=hint)


@rule("OPS037", "Sections are headings of the second level, numbered 1, 2, 3 in order; only the last may have none.")
def sections_in_order(subject: Subject) -> Iterator[Finding]:
    """People say "go to section 4" on the telephone."""
    if subject.front and not subject.sections:
        hint = "write: ## 1. Is this the right runbook?"
        yield subject.finding("there are no sections", hint=hint)
    wanted = 1
    for place, section in enumerate(subject.sections if subject.front else ()):
        last = place == len(subject.sections) - 1
        if section.number != wanted and not (section.number is None and last and place):
            found = "has no number" if section.number is None else f"has the number {section.number}"
            message, hint = f"the section '{section.title:.60}' {found}, wanted {wanted}", f"write: ## {wanted}. …"
            yield subject.finding(message, cell=section.cell, line=section.line, hint=hint)
        wanted = (section.number or wanted - 1) + 1


@rule("OPS038", "Results are shown as tables, plots and sentences, not as raw objects.", Severity.WARNING)
def results_are_shown(subject: Subject) -> Iterator[Finding]:
    """A phone, a log and a difference of two runs can all show a table; nobody reads a dict."""
    for code in subject.code:
        for node in code.nodes:
            if isinstance(node, ast.Expr) and _is_raw(node.value):
                message = f"`{shown(node.value)}` shows a raw object"
                hint = 'show(table, "caption"), or a sentence'
                yield subject.finding(message, cell=code.cell, line=node.lineno, hint=hint)


@rule("OPS039", "A text that names a value in braces is an f-string.", Severity.WARNING)
def braces_are_filled(subject: Subject) -> Iterator[Finding]:
    """A check that compares with the very text '{namespace}' is right for ever."""
    names = {n.id for code in subject.code for n in code.nodes if isinstance(n, ast.Name)}
    for code in subject.code:
        formats = {
            id(n.func.value) for n in code.nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
        }
        inside = {id(v) for n in code.nodes if isinstance(n, ast.JoinedStr) for v in n.values}
        for node in code.nodes if not _is_text(code) else ():
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in formats | inside:
                continue
            for name in sorted(set(BRACES.findall(node.value)) & names):
                message, hint = f"nothing fills in '{{{name:.40}}}' in this text", 'write an f before it: f"…"'
                yield subject.finding(message, cell=code.cell, line=node.lineno, hint=hint)


def _line(node: ast.AST) -> int | None:
    line = getattr(node, "lineno", None)
    return line if isinstance(line, int) else None


def _is_text(code: Code) -> bool:
    """Whether a cell only gives a text its name: a template, a script."""
    body = code.tree.body if code.tree else []
    return len(body) == 1 and isinstance(body[0], ast.Assign) and _text(body[0].value)


def _text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _introduced(subject: Subject, code: Code) -> bool:
    before = subject.notebook.cells[code.cell.index - 1] if code.cell.index else None
    if before is None or before.kind != "markdown":
        return False
    lines = [line.strip() for line in before.source.splitlines()]
    return any(SENTENCE_END.search(line) for line in lines if line and not HEADING.match(line))


def _called(node: ast.Call) -> bool:
    of = node.func.value if isinstance(node.func, ast.Attribute) else None
    return isinstance(of, ast.Name) and isinstance(node.func, ast.Attribute) and node.func.attr in SHELLS.get(of.id, ())


def _shell_is_true(node: ast.Call) -> bool:
    return any(k.arg == "shell" and isinstance(k.value, ast.Constant) and k.value.value is True for k in node.keywords)


def _is_raw(node: ast.expr) -> bool:
    """Whether an expression that stands alone, or what it prints, is a raw object; only what is certain."""
    if isinstance(node, RAW):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in DUMPS:
        return True
    return name in {"print", "display"} and any(_is_raw(a) or _is_attributes(a) for a in node.args)


def _is_attributes(node: ast.expr) -> bool:
    named = (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"vars", "dict", "locals"}
    )
    return named or (isinstance(node, ast.Attribute) and node.attr == "__dict__")
