"""Given values against parameters: typed, constrained, merged with the defaults, or refused by name.

Rules, in this order: every name is declared; every required name is given; every value is JSON that survives canonical
bytes; it has the parameter's type; it meets the constraints; all together stay under a size. A value equal to nothing
(``""``) is let in for a kind only where it is the default too, which is how a runbook says "none".
"""

from __future__ import annotations

import copy
import re
from datetime import date
from typing import TYPE_CHECKING

from opsnb.base.canonical import JSON, canonical, digestible
from opsnb.base.errors import ParameterError
from opsnb.base.nearest import did_you_mean
from opsnb.base.parameters.limits import LIMITS
from opsnb.base.parameters.parameter import Kind, Parameter, Parameters
from opsnb.base.parameters.values import admit, check_json, same, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

PATTERNS = {
    Kind.SELECTOR: r"[^\u0000-\u001f\u007f]{1,1000}",
    Kind.DATE: r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    Kind.FILE: r"[^\u0000-\u001f\u007f]{1,4096}",
    Kind.DIRECTORY: r"[^\u0000-\u001f\u007f]{1,4096}",
    Kind.SECRET: r"[A-Za-z][A-Za-z0-9_.:/-]{0,127}",
}
WANTED = {
    Kind.SELECTOR: "a selector on one line, such as role=nginx",
    Kind.DATE: "a date such as 2026-11-23",
    Kind.FILE: "the path of a file",
    Kind.DIRECTORY: "the path of a directory",
    Kind.SECRET: "the name of a stored secret",
    Kind.DURATION: "a number of seconds, 0 or more",
}


def validate(parameters: Parameters, given: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the value of every parameter, in order: what was given, else the default.

    Raises:
        ParameterError: On an unknown name, a missing required one, a wrong type, a value out of range, or too much.
    """
    declared = {p.name: p for p in parameters}
    for name in given:
        declared_or_raise(declared, name)
    values = {p.name: _value(p, given) for p in parameters}
    size = len(canonical(digestible(values)))
    if size > LIMITS.total:
        raise ParameterError(f"the parameters take {size} bytes, at most {LIMITS.total} are allowed")
    return values


def declared_or_raise(declared: Mapping[str, Parameter], name: str) -> Parameter:
    """Return the parameter of that name.

    Raises:
        ParameterError: If there is none; the hint holds the nearest.
    """
    if name in declared:
        return declared[name]
    what = "it takes no parameters" if not declared else "it is not one of the runbook's parameters"
    raise ParameterError(f"unknown parameter {shown(name)}: {what}", hint=did_you_mean(str(name), declared))


def checked(parameter: Parameter, value: JSON) -> JSON:
    """Return ``value`` as a new value of the parameter's type that meets its constraints.

    Raises:
        ParameterError: Names the parameter, what was found and what is wanted.
    """
    try:
        check_json(value, parameter.name)
        result = admit(parameter.type, copy.deepcopy(value), parameter.name)
        _check_length(parameter, result)
        leaves = result if isinstance(result, list) else [result]
        for leaf in leaves:
            _check_leaf(parameter, leaf)
    except ParameterError:
        if parameter.kind is not Kind.SECRET:
            raise
        # whoever typed the secret itself must not find it in an error, a log or a shell's scrollback
        message = f"parameter '{parameter.name}': found something else (not shown), wanted {WANTED[Kind.SECRET]}"
        raise ParameterError(message, hint="opsnb secret set NAME --stdin") from None
    return result


def _value(parameter: Parameter, given: Mapping[str, JSON]) -> JSON:
    if parameter.name in given:
        return checked(parameter, given[parameter.name])
    if parameter.required:
        label = f" ({parameter.label})" if parameter.label else ""
        raise ParameterError(f"parameter '{parameter.name}'{label} is required and was not given")
    return copy.deepcopy(parameter.default)


def _check_length(parameter: Parameter, value: JSON) -> None:
    if parameter.length is not None and isinstance(value, str | list | dict) and len(value) > parameter.length:
        what = {str: "characters", list: "items", dict: "keys"}[type(value)]
        raise _refused(parameter, f"{len(value)} {what}", f"at most {parameter.length}")


def _check_leaf(parameter: Parameter, value: JSON) -> None:
    if value is None or (value == "" and parameter.default == "" and not parameter.required):
        return
    if parameter.kind:
        _check_kind(parameter, parameter.kind, value)
    if parameter.choices and not any(same(value, choice) for choice in parameter.choices):
        hint = did_you_mean(value, [c for c in parameter.choices if isinstance(c, str)]) if type(value) is str else ""
        raise _refused(parameter, shown(value), f"one of {', '.join(map(str, parameter.choices))}", hint)
    if parameter.minimum is not None and value < parameter.minimum:
        raise _refused(parameter, shown(value), f"at least {parameter.minimum}{_unit(parameter)}")
    if parameter.maximum is not None and value > parameter.maximum:
        raise _refused(parameter, shown(value), f"at most {parameter.maximum}{_unit(parameter)}")
    if parameter.pattern:
        _check_pattern(parameter, parameter.pattern, value, f"text that matches {parameter.pattern}")


def _check_kind(parameter: Parameter, kind: Kind, value: JSON) -> None:
    if kind is Kind.DURATION:
        if value < 0:
            raise _refused(parameter, shown(value), WANTED[kind])
        return
    _check_pattern(parameter, PATTERNS[kind], value, WANTED[kind])
    if kind is Kind.DATE:
        try:
            date.fromisoformat(value)
        except ValueError:
            raise _refused(parameter, shown(value), WANTED[kind]) from None


def _check_pattern(parameter: Parameter, pattern: str, value: str, wanted: str) -> None:
    if len(value) > LIMITS.matched:
        raise _refused(parameter, f"{len(value)} characters", f"at most {LIMITS.matched}")
    if not re.fullmatch(pattern, value):
        raise _refused(parameter, shown(value), wanted)


def _refused(parameter: Parameter, found: str, wanted: str, hint: str = "") -> ParameterError:
    return ParameterError(f"parameter '{parameter.name}': found {found}, wanted {wanted}", hint=hint)


def _unit(parameter: Parameter) -> str:
    return f" {parameter.unit}" if parameter.unit else ""
