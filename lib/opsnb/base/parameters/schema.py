"""Parameters as one JSON Schema (draft 2020-12): the form in a browser, a phone and JupyterLab is made from it.

A schema says no more than :func:`~opsnb.base.parameters.validate` checks. Two keywords of ours carry what JSON Schema
has no word for: ``x-kind`` (selector, duration, ...) and ``x-unit``; a date's bounds are ``x-minimum``, ``x-maximum``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opsnb.base.parameters.parameter import Kind, Parameter, Parameters
from opsnb.base.parameters.types import ParameterType, TypeName
from opsnb.base.parameters.validation import PATTERNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TYPES = {
    TypeName.STR: "string",
    TypeName.INT: "integer",
    TypeName.FLOAT: "number",
    TypeName.BOOL: "boolean",
    TypeName.LIST: "array",
    TypeName.DICT: "object",
}
LENGTHS = {TypeName.STR: "maxLength", TypeName.LIST: "maxItems", TypeName.DICT: "maxProperties"}


def json_schema(parameters: Parameters) -> dict[str, Any]:
    """Return the schema of the object of all parameters; it allows no other names."""
    return {
        "$schema": DRAFT,
        "type": "object",
        "properties": {p.name: _property(p) for p in parameters},
        "required": [p.name for p in parameters if p.required],
        "additionalProperties": False,
    }


def _property(parameter: Parameter) -> dict[str, Any]:
    schema = _typed(parameter.type, lambda: dict(_leaf(parameter)))
    if parameter.length is not None:
        schema[LENGTHS[parameter.type.name]] = parameter.length
    if parameter.label:
        schema["description"] = parameter.label
    if parameter.unit:
        schema["x-unit"] = parameter.unit
    if parameter.kind:
        schema["x-kind"] = parameter.kind.value
    return {**schema, "default": parameter.default}


def _typed(kind: ParameterType, leaf: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The schema of a type; ``leaf`` gives the constraints of what is not a list."""
    if kind.name is TypeName.LITERAL:
        return {"enum": [*kind.values, None] if kind.nullable else [*kind.values]}
    schema: dict[str, Any] = {}
    if kind.name in TYPES:
        schema["type"] = [TYPES[kind.name], "null"] if kind.nullable else TYPES[kind.name]
    if kind.name is TypeName.LIST:
        schema["items"] = _typed(kind.item, leaf) if kind.item else {}
        return schema
    if kind.name is TypeName.DICT:
        schema["additionalProperties"] = _typed(kind.item, dict) if kind.item else True
        return schema
    constraints = leaf()
    if kind.nullable and "enum" in constraints:
        constraints["enum"] = [*constraints["enum"], None]
    return schema | constraints


def _leaf(parameter: Parameter) -> Iterator[tuple[str, Any]]:
    prefix = "x-" if parameter.kind is Kind.DATE else ""
    empty = parameter.default == "" and not parameter.required
    if parameter.choices:
        yield "enum", [*parameter.choices, *([""] if empty and "" not in parameter.choices else [])]
    low = 0 if parameter.kind is Kind.DURATION and parameter.minimum is None else parameter.minimum
    if low is not None:
        yield f"{prefix}minimum", low
    if parameter.maximum is not None:
        yield f"{prefix}maximum", parameter.maximum
    patterns = [PATTERNS[parameter.kind]] if parameter.kind in PATTERNS else []
    patterns += [parameter.pattern] if parameter.pattern else []
    if patterns:
        yield "allOf", [{"pattern": f"^(?:{p})?$" if empty else f"^(?:{p})$"} for p in patterns]
    if parameter.kind is Kind.DATE:
        yield "format", "date"
