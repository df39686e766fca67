r"""Read a shell script that is to become a runbook: what it takes, and which script undoes it.

The syntax, in comment lines anywhere in the script::

    # @param level: int = 3  # how much is kept
    # @param who: str = "ops"  # whom to tell
    # @undo rotate-undo.sh

``@param`` declares a parameter as a runbook's parameters cell does, with a type of str, int, float or bool (or Literal)
and a label; its value reaches the script as the environment variable of the same, lower-case name. ``@undo`` names the
script that undoes this one, beside it. A script without ``@param`` that uses ``$1``, ``$@`` or ``shift`` gets a list
parameter ``arguments``. A script with ``@param`` may use ``arguments`` too.
"""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass

from opsnb.base.errors import NotebookError
from opsnb.base.parameters import Parameter, TypeName, parse_cell
from opsnb.control.catalog.findings import of_error

MAX_SCRIPT = 64 * 1024  # bytes, as opsnb.kits.script takes
PARAM = re.compile(r"[ \t]*#[ \t]*@param[ \t]+(.*)")
UNDO = re.compile(r"[ \t]*#[ \t]*@undo[ \t]+(\S.*)")
POSITIONAL = re.compile(r"\$(?:[1-9@*#]|\{#?[1-9@*#])|\b(?:getopts|shift)\b")
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
TYPES = {TypeName.STR, TypeName.INT, TypeName.FLOAT, TypeName.BOOL, TypeName.LITERAL}
TAKEN = {"arguments", "checks", "directory", "done", "fits", "opsnb", "plan", "run", "script", "show", "source", "undo"}
ARGUMENTS = "arguments: list[str] = []  # arguments of the script: $1, $2 and so on"
HINT = "# @param level: int = 3  # how much is kept"


@dataclass(frozen=True, kw_only=True)
class Script:
    """A script as it was read.

    Args:
        text: All of it.
        parameters: Its ``@param`` lines as lines of a parameters cell.
        names: The names that they declare.
        takes_arguments: Whether it uses positional parameters.
        undo: The file that ``@undo`` names; empty where there is none.
    """

    text: str
    parameters: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    takes_arguments: bool = False
    undo: str = ""


def read_script(content: bytes, path: str) -> Script:
    """Return the script that ``content`` holds.

    Raises:
        NotebookError: If it is no script, or one of its comments is wrong; names the line.
    """
    text = _text(content, path)
    lines: list[str] = []
    names: list[str] = []
    undo = ""
    for number, line in enumerate(text.split("\n"), 1):
        if found := PARAM.fullmatch(line.rstrip()):
            parameter = _parameter(found[1], path, number)
            if parameter.name in names:
                raise NotebookError(f"'{parameter.name}' is declared twice", path=path, line=number, hint="keep one")
            names.append(parameter.name)
            lines.append(found[1].strip())
        elif found := UNDO.fullmatch(line.rstrip()):
            if undo:
                raise NotebookError("a second @undo", path=path, line=number, hint="one script undoes all of it")
            undo = found[1].strip()
    code = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))
    return Script(
        text=text, parameters=tuple(lines), names=tuple(names), takes_arguments=bool(POSITIONAL.search(code)), undo=undo
    )


def literal(text: str) -> str:
    """Return Python that means ``text``: as it stands between triple quotes where that is possible."""
    for quotes in ('"""', "'''"):
        source = f"r{quotes}{text}{quotes}"
        if _means(source, text):
            return source
    lines = text.splitlines(keepends=True)
    return "(\n" + "".join(f"    {line!r}\n" for line in lines) + ")"


def _means(source: str, text: str) -> bool:
    if not all(c.isprintable() or c in "\n\t" for c in text):
        return False  # what cannot be seen is written as an escape
    try:
        return bool(ast.literal_eval(source) == text)
    except (SyntaxError, ValueError):
        return False


def _text(content: bytes, path: str) -> str:
    if len(content) > MAX_SCRIPT:
        hint = "call it from a short script, where it is installed"
        raise NotebookError(f"has {len(content)} bytes, at most {MAX_SCRIPT} are taken", path=path, hint=hint)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotebookError(f"is not UTF-8: byte {error.start}", path=path) from None
    if "\0" in text:
        raise NotebookError("is binary: it holds a NUL", path=path, hint="only scripts can be wrapped")
    if not text.strip():
        raise NotebookError("is empty", path=path)
    return text


def _parameter(line: str, path: str, number: int) -> Parameter:
    try:
        (parameter,) = parse_cell(line)
    except NotebookError as error:
        raise NotebookError(of_error(error, "").message, path=path, line=number, hint=HINT) from None
    except ValueError:  # none, or several
        raise NotebookError("declares no parameter", path=path, line=number, hint=HINT) from None
    name, message = parameter.name, ""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        message = f"'{name:.60}' is no name for it; wanted lower-case letters, digits and _"
    elif name in TAKEN:
        message = f"the notebook uses the name '{name}' itself"
    elif parameter.type.name not in TYPES or parameter.type.nullable:
        message = f"'{name}' is of type {parameter.type}; an environment variable is str, int, float or bool"
    elif not parameter.label:
        message = f"'{name}' has no label"
    if message:
        raise NotebookError(message, path=path, line=number, hint=HINT)
    return parameter
