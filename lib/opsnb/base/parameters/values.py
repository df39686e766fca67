"""A JSON value against a type: what is let in, what it becomes, and the words for what is not."""

from __future__ import annotations

import keyword
import math
import reprlib
import unicodedata
from typing import TypeGuard

from opsnb.base.canonical import JSON, MAX_SAFE_INTEGER
from opsnb.base.errors import ParameterError
from opsnb.base.parameters.limits import LIMITS
from opsnb.base.parameters.types import ParameterType, TypeName

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def shown(value: object) -> str:
    """Return ``value`` as one short line, control and bidi characters escaped."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        return f"a very large {type(value).__name__}"


def same(one: JSON, other: JSON) -> bool:
    """Return whether two scalars are the same value of the same type: ``1``, ``1.0`` and ``True`` are three values."""
    return type(one) is type(other) and bool(one == other)


def valid_name(name: object) -> TypeGuard[str]:
    """Return whether ``name`` can be assigned to in Python and means nothing special there.

    Python compares identifiers after NFKC normalisation, so only a normalised name is one name.
    """
    return (
        isinstance(name, str)
        and name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("__")
        and unicodedata.normalize("NFKC", name) == name
    )


def check_json(value: JSON, where: str, depth: int = 0) -> None:
    """Refuse what does not survive JSON, canonical bytes and a Python cell unchanged.

    Raises:
        ParameterError: Names ``where``, what was found and what is wanted.
    """
    if depth > LIMITS.nesting:
        raise ParameterError(f"parameter '{where}': nested more than {LIMITS.nesting} levels deep")
    if isinstance(value, list):
        for number, item in enumerate(value):
            check_json(item, f"{where}[{number}]", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, f"{where} (a key)")
            check_json(item, f"{where}[{shown(key)}]", depth + 1)
    else:
        _check_scalar(value, where)


def admit(kind: ParameterType, value: JSON, where: str) -> JSON:
    """Return a checked JSON value as a new value of the type; a whole number becomes a float where one is wanted.

    Raises:
        ParameterError: Names ``where``, what was found and what is wanted.
    """
    if kind.name is TypeName.ANY or (value is None and kind.nullable):
        return value
    if kind.name is TypeName.LITERAL and any(same(value, v) for v in kind.values):
        return value
    if kind.name is TypeName.LIST and isinstance(value, list):
        return [admit(kind.item, v, f"{where}[{n}]") if kind.item else v for n, v in enumerate(value)]
    if kind.name is TypeName.DICT and isinstance(value, dict):
        return {k: admit(kind.item, v, f"{where}[{shown(k)}]") if kind.item else v for k, v in value.items()}
    if kind.name is TypeName.FLOAT and type(value) is int:
        return float(value)
    if type(value) is {"str": str, "int": int, "float": float, "bool": bool}.get(kind.name.value):
        return value
    raise ParameterError(f"parameter '{where}': found {shown(value)} ({_json_name(value)}), wanted {kind}")


def _check_scalar(value: JSON, where: str) -> None:
    if value is None or isinstance(value, bool):
        return
    if type(value) is int:
        if abs(value) > MAX_SAFE_INTEGER:
            raise ParameterError(f"parameter '{where}': an integer beyond ±(2^53-1) does not survive JSON; use text")
    elif type(value) is float:
        if not math.isfinite(value):
            raise ParameterError(f"parameter '{where}': found {value}, wanted a finite number")
    else:
        _check_text(value, where)


def _check_text(value: JSON, where: str) -> None:
    if type(value) is not str:
        raise ParameterError(f"parameter '{where}': found a {type(value).__name__}, wanted a JSON value")
    if "\0" in value:
        raise ParameterError(f"parameter '{where}': text holds a NUL character, which no program can be given")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ParameterError(f"parameter '{where}': text holds a lone surrogate, which has no UTF-8 form") from None


def _json_name(value: JSON) -> str:
    names = {type(None): "null", bool: "bool", int: "int", float: "float", str: "text", list: "list", dict: "object"}
    return names.get(type(value), type(value).__name__)
