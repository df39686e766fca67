"""A parameter in words: what ``opsnb runbook show`` prints of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsnb.base.parameters import Parameter


def in_words(parameter: Parameter) -> dict[str, str]:
    """Return a parameter's row: what it takes, in words. ``default`` is JSON, and ``-`` where one must be given."""
    default = "-" if parameter.required else json.dumps(parameter.default, ensure_ascii=False)
    return {
        "name": parameter.name, "type": str(parameter.type), "default": default,
        "constraints": constraints(parameter), "label": parameter.label,
    }  # fmt: skip


def constraints(parameter: Parameter) -> str:
    """Return what a parameter's values are held to, in words."""
    low, high = parameter.minimum, parameter.maximum
    said = re.search(rf"(?<!\w){re.escape(parameter.unit)}(?!\w)", parameter.label)  # the label may name the unit
    unit = f" {parameter.unit}" if parameter.unit and not said else ""
    words = [
        "required" if parameter.required else "",
        parameter.kind.value if parameter.kind else "",
        f"one of {', '.join(map(str, parameter.choices))}" if parameter.choices else "",
        f"{low} to {high}" if low is not None and high is not None else "",
        f"at least {low}" if low is not None and high is None else "",
        f"at most {high}" if low is None and high is not None else "",
        f"length up to {parameter.length}" if parameter.length is not None else "",
        f"matches {parameter.pattern}" if parameter.pattern else "",
    ]
    return "; ".join(w for w in words if w) + unit
