r"""Parameters as Python: what papermill's injected cell says.

papermill quotes values but not names, writes Chinese text as ``\uXXXX``, raises on dates and turns tuples into
strings. Here a name is checked, a value is JSON or refused, and executing the text gives back exactly the values.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from opsnb.base.errors import ParameterError
from opsnb.base.parameters.values import shown, valid_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsnb.base.canonical import JSON

MAX_NESTING = 64  # levels; Python's own parser stops at 200 brackets


def to_source(parameters: Mapping[str, JSON]) -> str:
    """Return one assignment a line, in order; empty text for no parameters.

    Raises:
        ParameterError: On a name that is not a plain identifier, or a value that JSON lacks.
    """
    return "".join(f"{_name(name)} = {literal(value)}\n" for name, value in parameters.items())


def literal(value: JSON, depth: int = 0) -> str:
    """Return a JSON value as a Python expression on one line.

    ``repr`` leaves printable text of any script as it is and escapes quotes, line ends, control and bidi characters,
    and lone surrogates. Exact types only: a subclass may print anything.

    Raises:
        ParameterError: On NaN, infinity, a type that JSON lacks, a key that is not text, or deep nesting.
    """
    if depth > MAX_NESTING:
        raise ParameterError(f"a value is nested more than {MAX_NESTING} levels deep")
    if value is None or type(value) in {bool, int, str} or (type(value) is float and math.isfinite(value)):
        return _repr(value)
    if type(value) is list:
        return f"[{', '.join(literal(item, depth + 1) for item in value)}]"
    if type(value) is dict and all(type(key) is str for key in value):
        return f"{{{', '.join(f'{_repr(k)}: {literal(v, depth + 1)}' for k, v in value.items())}}}"
    raise ParameterError(f"{shown(value)} ({type(value).__name__}) has no form in a parameters cell")


def _repr(value: JSON) -> str:
    try:
        return repr(value)
    except ValueError:
        raise ParameterError("an integer of more than 4,300 digits has no form in a parameters cell") from None


def _name(name: object) -> str:
    if not valid_name(name):
        raise ParameterError(f"{shown(name)} is not a name for a parameter", hint="use a plain Python identifier")
    return name
