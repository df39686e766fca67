"""Plans and values as text that a phone, a log and a diff can all show."""

from __future__ import annotations

import json

from opsnb.base.canonical import JSON
from opsnb.base.plan import Plan, difference

MAX_VALUE = 400  # characters of a value in a one-line summary


def value_text(value: JSON) -> str:
    """Return a value as one short line."""
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def plan_text(plan: Plan) -> str:
    """Return the plan for a reader: every host, what changes with its difference, the command and the undo."""
    lines = [f"PLAN  {plan.title}"]
    if not plan.changes:
        lines.append("  nothing has to change")
    for change in plan.changes:
        lines += [f"  {change.host}: {change.what}", *(f"    {row}" for row in difference(change.before, change.after))]
        lines += [f"    do:   {change.command}", f"    undo: {change.undo}"]
    lines.append(f"plan digest {plan.digest}")
    return "\n".join(lines)
