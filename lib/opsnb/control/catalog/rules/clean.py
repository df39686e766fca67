"""01x: what must not be in a notebook that is committed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opsnb.base.errors import NotebookError
from opsnb.base.parameters import TypeName, parse_cell
from opsnb.control.catalog.findings import Finding, Severity, Subject, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsnb.base.parameters import Parameter

CLEAR = "jupyter nbconvert --clear-output --inplace"
CREDENTIALS = {  # what is never anything else; a person's own password cannot be recognised
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{36,})\b"),
    "a Slack token": re.compile(r"\bxox[abposr]-[A-Za-z0-9-]{10,}"),
    "a signed token (JWT)": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    "a password in a URL": re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"{}$<>]{1,100}:[^\s/:@'\"{}$<>]{1,100}@"),
}
SECRET_NAME = re.compile(
    r"(?:^|_)(?:passw(?:or)?d|pwd|passphrase|secret|token|api_?key|private_?key|credentials?)(?:_|$)", re.IGNORECASE
)
HOME = re.compile(r"(?<![\w/.~-])(?:/(?:home|Users)/[^\s/'\"`]+|/root(?![\w.-])|~[a-z_][a-z0-9_-]*/|~/)")


@rule("OPS010", "Outputs are cleared.")
def outputs_cleared(subject: Subject) -> Iterator[Finding]:
    """The copybook and the evidence are never the same file."""
    for cell in subject.notebook.cells:
        if cell.outputs:
            yield subject.finding(f"carries {cell.outputs} outputs, wanted none", cell=cell, hint=CLEAR)


@rule("OPS011", "Execution counts are cleared.")
def counts_cleared(subject: Subject) -> Iterator[Finding]:
    """They change with every run and say nothing in a copybook."""
    for cell in subject.notebook.cells:
        if cell.execution_count is not None:
            message = f"carries the execution count {cell.execution_count}, wanted none"
            yield subject.finding(message, cell=cell, hint=CLEAR)


@rule("OPS012", "No key, token or password stands in it.")
def no_credentials(subject: Subject) -> Iterator[Finding]:
    """A notebook lies in git, in records and in mails; what it holds is public. The finding never repeats it."""
    for cell in subject.notebook.cells:
        for number, line in enumerate(cell.source.splitlines(), 1):
            for what, pattern in CREDENTIALS.items():
                if pattern.search(line):
                    hint = "replace it where it is used, it is known now; then take it out"
                    yield subject.finding(f"{what} stands here", cell=cell, line=number, hint=hint)


@rule("OPS013", "A parameter that is named like a secret is the name of a stored one.", Severity.WARNING)
def secrets_by_name(subject: Subject) -> Iterator[Finding]:
    """A parameter's value is kept in clear: in the request, in the record, in papermill's cell."""
    constraints = subject.front.constraints if subject.front else {}
    for cell in subject.notebook.parameters_cells:
        for parameter in _declared(cell.source):
            said = constraints.get(parameter.name)
            stored = isinstance(said, dict) and said.get("kind") == "secret"
            if SECRET_NAME.search(parameter.name) and parameter.type.leaf.name is TypeName.STR and not stored:
                message = f"parameter '{parameter.name}' is named like a secret, and its value would be kept in clear"
                hint = f"write into the front matter: parameters: {{{parameter.name}: {{kind: secret}}}}"
                yield subject.finding(message, cell=cell, line=parameter.line, hint=hint)


@rule("OPS014", "No path of somebody's home directory stands in it.", Severity.WARNING)
def no_home_paths(subject: Subject) -> Iterator[Finding]:
    """It exists on one machine for one person; a run is confined and cannot read it either."""
    for cell in subject.notebook.cells:
        for number, line in enumerate(cell.source.splitlines() if cell.kind != "markdown" else [], 1):
            if found := HOME.search(line):
                message = f"'{found[0]:.60}' is in a home directory"
                hint = "make it a parameter of kind directory or file"
                yield subject.finding(message, cell=cell, line=number, hint=hint)


def _declared(source: str) -> tuple[Parameter, ...]:
    try:
        return parse_cell(source)
    except NotebookError:
        return ()  # OPS004 says why
