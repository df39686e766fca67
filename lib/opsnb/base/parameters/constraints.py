"""Constraints from the front matter, laid on the parameters that the cell declares."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from opsnb.base.errors import ParameterError
from opsnb.base.nearest import did_you_mean
from opsnb.base.parameters.duration import duration_seconds
from opsnb.base.parameters.parameter import Kind, Parameter, Parameters
from opsnb.base.parameters.place import Place
from opsnb.base.parameters.types import TypeName
from opsnb.base.parameters.validation import WANTED, checked
from opsnb.base.parameters.values import admit, check_json, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsnb.base.canonical import JSON

NUMBERS = {TypeName.INT, TypeName.FLOAT}
SCALARS = {TypeName.STR, TypeName.INT, TypeName.FLOAT, TypeName.BOOL}
SIZED = {TypeName.STR, TypeName.LIST, TypeName.DICT}
MAX_PATTERN = 500  # characters of a regular expression


def constrain(parameters: Parameters, constraints: Mapping[str, JSON], place: Place | None = None) -> Parameters:
    """Return the parameters with the front matter's constraints.

    Args:
        parameters: What the cell declares.
        constraints: The front matter's ``parameters``: name to an object of ``choices``, ``min``, ``max``,
            ``pattern``, ``length``, ``unit``, ``required``, ``kind``.
        place: The front matter's cell, and its lines as ``parameters.NAME.FIELD``.

    Raises:
        NotebookError: If the cell lacks a name, a constraint is unknown, does not fit the type, or the default breaks
            it; names the nearest right name.
    """
    place = place or Place()
    names = [p.name for p in parameters]
    for name in constraints:
        if name not in names:
            hint = did_you_mean(str(name), names) or "the notebook declares no parameters"
            raise place.error("the parameters cell declares no such name", name=f"parameters.{name}", hint=hint)
    return tuple(_constrained(p, constraints[p.name], place) if p.name in constraints else p for p in parameters)


def _constrained(parameter: Parameter, fields: JSON, place: Place) -> Parameter:
    at = f"parameters.{parameter.name}"
    if not isinstance(fields, dict):
        raise place.error(f"found {shown(fields)}, wanted an object such as {{min: 1, max: 20}}", name=at)
    for name in fields:
        if name not in READERS:
            hint = did_you_mean(str(name), READERS, what="constraints")
            raise place.error("is not a constraint", name=f"{at}.{name}", hint=hint)
    for name, read in READERS.items():  # in their order: the kind decides how a bound is read
        if name in fields:
            try:
                parameter = read(parameter, fields[name])
            except ParameterError as error:
                raise place.error(error.message, name=f"{at}.{name}", hint=error.hint) from None
    _check_default(parameter, place, at)
    return parameter


def _check_default(parameter: Parameter, place: Place, at: str) -> None:
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None and low > high:  # type: ignore[operator]  # both numbers or both dates
        raise place.error(f"min {low} is above max {high}", name=at)
    if parameter.required:
        return  # the default is only an example
    try:
        checked(parameter, parameter.default)
    except ParameterError as error:
        raise place.error(f"the cell's default does not fit: {error.message}", name=at, hint=error.hint) from None


def _kind(parameter: Parameter, value: JSON) -> Parameter:
    if not isinstance(value, str) or value not in set(Kind):
        raise ParameterError(f"found {shown(value)}, wanted a kind", hint=did_you_mean(str(value), Kind, what="kinds"))
    kind = Kind(value)
    fits = NUMBERS if kind is Kind.DURATION else {TypeName.STR}
    _fits(parameter, fits, f"{WANTED[kind]} (kind {kind})")
    return replace(parameter, kind=kind)


def _choices(parameter: Parameter, value: JSON) -> Parameter:
    _fits(parameter, SCALARS, "a list of choices")
    if not isinstance(value, list) or not value:
        raise ParameterError(f"found {shown(value)}, wanted a list of values")
    choices = tuple(_of_type(parameter, item) for item in value)
    if len({(type(c), c) for c in choices}) != len(choices):
        raise ParameterError("a choice stands twice in the list")
    return replace(parameter, choices=choices)


def _minimum(parameter: Parameter, value: JSON) -> Parameter:
    return replace(parameter, minimum=_bound(parameter, value))


def _maximum(parameter: Parameter, value: JSON) -> Parameter:
    return replace(parameter, maximum=_bound(parameter, value))


def _bound(parameter: Parameter, value: JSON) -> JSON:
    if parameter.kind is Kind.DURATION and isinstance(value, str):
        return duration_seconds(value)
    if parameter.kind is Kind.DATE:
        return checked(replace(parameter, type=parameter.type.leaf, choices=(), default=None), value)
    _fits(parameter, NUMBERS, "bounds (text has them for kind date, and takes choices, pattern and length)")
    check_json(value, parameter.name)
    if type(value) not in {int, float}:
        raise ParameterError(f"found {shown(value)}, wanted a number")
    return value


def _pattern(parameter: Parameter, value: JSON) -> Parameter:
    _fits(parameter, {TypeName.STR}, "a pattern")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_PATTERN:
        raise ParameterError(f"wanted a regular expression of 1 to {MAX_PATTERN} characters, in quotes")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ParameterError(f"not a regular expression: {error}") from None
    return replace(parameter, pattern=value)


def _length(parameter: Parameter, value: JSON) -> Parameter:
    if parameter.type.name not in SIZED:
        raise ParameterError(f"type {parameter.type} has no length", hint="text, lists and objects have one")
    if type(value) is not int or value < 1:
        raise ParameterError(f"found {shown(value)}, wanted a whole number of 1 or more")
    return replace(parameter, length=value)


def _unit(parameter: Parameter, value: JSON) -> Parameter:
    if not isinstance(value, str) or not value.isprintable():
        raise ParameterError(f"found {shown(value)}, wanted text such as requests/s")
    return replace(parameter, unit=value)


def _required(parameter: Parameter, value: JSON) -> Parameter:
    if not isinstance(value, bool):
        raise ParameterError(f"found {shown(value)}, wanted true or false")
    return replace(parameter, required=value)


def _fits(parameter: Parameter, names: set[TypeName], what: str) -> None:
    if parameter.type.leaf.name not in names:
        wanted = ", ".join(sorted(names))
        raise ParameterError(f"type {parameter.type} cannot have {what}", hint=f"types that can: {wanted}")


def _of_type(parameter: Parameter, value: JSON) -> JSON:
    check_json(value, parameter.name)
    return admit(replace(parameter.type.leaf, nullable=False), value, parameter.name)


READERS: dict[str, Callable[[Parameter, JSON], Parameter]] = {
    "kind": _kind,
    "choices": _choices,
    "min": _minimum,
    "max": _maximum,
    "pattern": _pattern,
    "length": _length,
    "unit": _unit,
    "required": _required,
}
