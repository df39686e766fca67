"""Templates: text with ``${name}``, filled in once; nothing in a template or a value is code."""

from __future__ import annotations

import re
from collections.abc import Mapping

from opsnb.base.errors import UsageError

PLACEHOLDER = re.compile(r"\$\$\{|\$\{([^}\n]*)\}?")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Value = str | int | float | bool


def fill(template: str, values: Mapping[str, Value]) -> str:
    """Return the template with every ``${name}`` replaced by its value, once: values are never read as a template.

    Raises:
        UsageError: If a name is not given, is not a name, or its bracket is not closed; with its line.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        line = template.count("\n", 0, match.start()) + 1
        name = match[1]
        if not match[0].endswith("}") or not NAME.fullmatch(name):
            raise UsageError(f"line {line} of the template has {match[0]!r}; a placeholder is ${{name}}",
                             hint="to write it as it stands, double the dollar sign: $${")  # fmt: skip
        if name not in values:
            given = ", ".join(sorted(values)) or "none"
            raise UsageError(f"line {line} of the template wants '{name}', which was not given (given: {given})")
        return str(values[name])

    return PLACEHOLDER.sub(value_of, template)
