"""Read a parameters cell with ``ast`` and ``tokenize``; nothing in it is ever executed.

papermill's own inspector is a regular expression that drops ``hosts: str = "role=nginx"`` (two ``=``), cuts ``"#fff"``
at its ``#`` and does not see ``int | None``. The rules here: one assignment a line; a built-in type or none; a literal
default; the comment behind it is the label.
"""

from __future__ import annotations

import ast
import io
import threading
import tokenize
import warnings
from typing import TYPE_CHECKING

from opsnb.base.errors import NotebookError, ParameterError
from opsnb.base.parameters.limits import LIMITS
from opsnb.base.parameters.parameter import Parameter, Parameters
from opsnb.base.parameters.place import Place
from opsnb.base.parameters.types import from_annotation, from_default
from opsnb.base.parameters.values import admit, check_json, valid_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsnb.base.canonical import JSON

LITERAL_HINT = "a default is text, a number, True, False, None, or a list or dict of those"
LINE_HINT = 'write one assignment a line: name: str = "value"  # label'
_FILTERS = threading.Lock()  # warning filters are process-wide; two parsers must not interleave


def parse_cell(source: str, place: Place | None = None) -> Parameters:
    """Return the parameters that the cell declares, in order.

    Args:
        source: The cell's source.
        place: Notebook and cell, for errors.

    Raises:
        NotebookError: Names the line and what stands there instead.
    """
    place = place or Place()
    if len(source) > LIMITS.cell:
        raise place.error(f"the parameters cell has {len(source)} characters, at most {LIMITS.cell} are read")
    try:
        return _parameters(source, place)
    except (RecursionError, MemoryError):
        raise place.error("the parameters cell is nested too deeply", hint=LITERAL_HINT) from None


def parse_python(source: str) -> ast.Module:
    """Return the tree of ``source``; it warns of nothing, whatever the filters are.

    Raises:
        SyntaxError: If it is not Python; other parser failures are turned into it.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a cell with "\d" is its author's business
        try:
            return ast.parse(source)
        except (ValueError, MemoryError, RecursionError) as error:
            raise SyntaxError(str(error) or "nested too deeply") from None


def _parameters(source: str, place: Place) -> Parameters:
    statements = list(_statements(source, place))  # before the labels: Python's own errors name the better line
    labels = _labels(source, place)
    found: dict[str, Parameter] = {}
    for node in statements:
        parameter = _parameter(node, labels, place)
        if parameter.name in found:
            raise place.error(
                f"'{parameter.name}' is declared twice, first on line {found[parameter.name].line}",
                line=node.lineno,
                name=parameter.name,
                hint="keep one of the two",
            )
        found[parameter.name] = parameter
    if len(found) > LIMITS.count:
        raise place.error(f"the cell declares {len(found)} parameters, at most {LIMITS.count} are allowed")
    return tuple(found.values())


def _statements(source: str, place: Place) -> Iterator[ast.stmt]:
    try:
        body = parse_python(source).body
    except SyntaxError as error:
        raise place.error(f"not Python: {error.msg}", line=error.lineno, hint=LINE_HINT) from None
    last = 0
    for node in body:
        if node.lineno <= last:
            raise place.error("two statements share a line", line=node.lineno, hint=LINE_HINT)
        last = node.end_lineno or node.lineno
        yield node


def _parameter(node: ast.stmt, labels: dict[int, str], place: Place) -> Parameter:
    target, annotation, value = _assignment(node, place)
    try:
        default = _literal(value)
        check_json(default, target)
        kind = from_annotation(annotation) if annotation else from_default(default)
        default = admit(kind, default, target)
    except ParameterError as error:
        raise place.error(error.message, line=node.lineno, name=target, hint=error.hint) from None
    label = labels.get(node.end_lineno or 0) or labels.get(node.lineno, "")
    return Parameter(name=target, type=kind, default=default, label=label, line=node.lineno)


def _assignment(node: ast.stmt, place: Place) -> tuple[str, ast.expr | None, ast.expr]:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        target, annotation, value = node.target.id, node.annotation, node.value
    elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        target, annotation, value = node.targets[0].id, None, node.value
    else:
        text = ast.unparse(node).partition("\n")[0][:80]
        raise place.error(f"found `{text}`, wanted an assignment", line=node.lineno, hint=LINE_HINT)
    if value is None:
        hint = "give it one; 'required: true' in the front matter makes people choose"
        raise place.error("has no default", line=node.lineno, name=target, hint=hint)
    if not valid_name(target):
        raise place.error("is not a name for a parameter", line=node.lineno, name=target, hint=LINE_HINT)
    return target, annotation, value


def _literal(node: ast.expr) -> JSON:
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str | int | float)):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        number = node.operand.value if isinstance(node.operand, ast.Constant) else None
        if isinstance(number, int | float) and not isinstance(number, bool):
            return -number if isinstance(node.op, ast.USub) else number
    if isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return _dict(node)
    raise ParameterError(f"`{ast.unparse(node)[:80]}` is not a literal", hint=LITERAL_HINT)


def _dict(node: ast.Dict) -> JSON:
    result: dict[str, JSON] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        name = _literal(key) if key else None
        if not isinstance(name, str):
            raise ParameterError("the keys of a dict are text", hint=LITERAL_HINT)
        if name in result:
            raise ParameterError(f"the key {name!r} stands twice in one dict")
        result[name] = _literal(value)
    return result


def _labels(source: str, place: Place) -> dict[int, str]:
    """Return the comment of each line, without its ``#``."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError) as error:
        raise _not_tokens(error, place) from None
    return {t.start[0]: _clean(t.string) for t in tokens if t.type == tokenize.COMMENT}


def _not_tokens(error: Exception, place: Place) -> NotebookError:
    line = error.lineno if isinstance(error, SyntaxError) else error.args[1][0]
    return place.error(f"not Python: {error.args[0]}", line=line, hint=LINE_HINT)


def _clean(comment: str) -> str:
    """Drop the ``#``; show characters that steer a terminal or turn text around as a replacement character."""
    text = comment.lstrip("#").strip()[: LIMITS.label]
    return "".join(c if c.isprintable() or c == "\u3000" else "\ufffd" for c in text)
