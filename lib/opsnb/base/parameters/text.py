"""Values from text, as a command line gives them: ``-p name=value``.

Text is taken as it is; numbers and booleans strictly; ``null`` where the type allows it; a list as JSON or separated by
commas; an object as JSON; a duration as ``90``, ``10m`` or ``1h30m``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import ParameterError
from opsnb.base.parameters.duration import duration_seconds
from opsnb.base.parameters.limits import LIMITS
from opsnb.base.parameters.parameter import Kind, Parameter, Parameters
from opsnb.base.parameters.types import ParameterType, TypeName
from opsnb.base.parameters.validation import checked, declared_or_raise
from opsnb.base.parameters.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsnb.base.canonical import JSON

INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
FLOAT = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")
BOOLEANS = {"true": True, "True": True, "false": False, "False": False}


def from_assignments(parameters: Parameters, assignments: Iterable[str]) -> dict[str, JSON]:
    """Return the values that ``name=value`` texts give, for :func:`~opsnb.base.parameters.validate`.

    Raises:
        ParameterError: On a text without ``=``, an unknown name, a name given twice, or a value that does not fit.
    """
    declared = {p.name: p for p in parameters}
    given: dict[str, JSON] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise ParameterError(f"found {shown(text)}, wanted name=value", hint="-p name=value, once for each")
        parameter = declared_or_raise(declared, name)
        if name in given:
            raise ParameterError(f"parameter '{name}' is given twice", hint="a list takes its items at once: a,b,c")
        given[name] = from_text(parameter, value)
    return given


def from_text(parameter: Parameter, text: str) -> JSON:
    """Return the value that ``text`` means for this parameter, checked against its constraints.

    Raises:
        ParameterError: Names the parameter, what was found and what is wanted; a secret is never repeated.
    """
    if len(text) > LIMITS.text:
        found = f"{len(text)} characters"
        raise ParameterError(f"parameter '{parameter.name}': found {found}, at most {LIMITS.text} are read")
    return checked(parameter, _convert(parameter, parameter.type, text))


def _convert(parameter: Parameter, kind: ParameterType, text: str) -> JSON:
    if kind.nullable and text == "null":
        return None
    if kind.name in {TypeName.LIST, TypeName.DICT}:
        return _container(parameter, kind, text)
    if kind.name is TypeName.LITERAL:
        return next((v for v in kind.values if _spelling(v) == text), text)
    if kind.name is TypeName.ANY:
        try:
            return _json(parameter, text)
        except ParameterError:
            return text
    return _scalar(parameter, kind, text)


def _scalar(parameter: Parameter, kind: ParameterType, text: str) -> JSON:
    """A text that is not of the type is returned as it is: the check that follows refuses it in the usual words."""
    if kind.name is TypeName.BOOL:
        return BOOLEANS.get(text, text)
    if parameter.kind is Kind.DURATION:
        return _seconds(parameter, kind, text)
    if kind.name is TypeName.INT and INTEGER.fullmatch(text):
        return int(text)
    if kind.name is TypeName.FLOAT and FLOAT.fullmatch(text):
        return float(text)
    return text


def _seconds(parameter: Parameter, kind: ParameterType, text: str) -> JSON:
    try:
        seconds = duration_seconds(text)
    except ParameterError as error:
        raise ParameterError(f"parameter '{parameter.name}': {error.message}", hint=error.hint) from None
    if kind.name is TypeName.INT:
        if not seconds.is_integer():
            raise ParameterError(f"parameter '{parameter.name}': found {text}, wanted whole seconds")
        return int(seconds)
    return seconds


def _container(parameter: Parameter, kind: ParameterType, text: str) -> JSON:
    plain = kind.item is None or kind.item.name not in {TypeName.LIST, TypeName.DICT}
    if kind.name is TypeName.DICT or text.lstrip().startswith("[") or not plain:
        return _json(parameter, text)
    if not text.strip():
        return []
    item = kind.item or ParameterType(name=TypeName.STR)
    return [_convert(parameter, item, part.strip()) for part in text.split(",")]


def _json(parameter: Parameter, text: str) -> JSON:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        message = f"parameter '{parameter.name}': found {shown(text)}, wanted {parameter.type} as JSON ({reason})"
        hint = "a list may also be written a,b,c" if parameter.type.name is TypeName.LIST else ""
        raise ParameterError(message, hint=hint) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return result


def _constant(name: str) -> JSON:
    raise ValueError(f"{name} is not JSON")


def _spelling(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value)
