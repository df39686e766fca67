"""What a reader sees of a plan for nginx: notes, steps, differences, and what is not as planned afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsnb.base.canonical import same
from opsnb.base.errors import OpsnbError
from opsnb.base.plan import Change, Plan
from opsnb.kits import remote
from opsnb.runbook.actuators import find

if TYPE_CHECKING:
    import pandas as pd


def notes(plan: Plan) -> pd.DataFrame:
    """Return what a reader of a plan should know, a row a note and the balancers that it is about."""
    import pandas as pd

    said: dict[str, list[str]] = {}
    for host, context in dict(plan.context.get("hosts", {})).items():
        for words in context.get("notes", []):
            said.setdefault(str(words), []).append(str(host))
    for host, why in dict(plan.context.get("unreachable", {})).items():
        said.setdefault(f"could not be reached and is left as it is: {why}", []).append(str(host))
    return pd.DataFrame([(", ".join(h), words) for words, h in said.items()], columns=["balancer", "to know"])


def overview(plan: Plan) -> pd.DataFrame:
    """Return a plan as a table, a row a step: what it does, where, and what has to be true before it begins."""
    import pandas as pd

    steps: dict[tuple[int, str, str], list[str]] = {}
    counted: dict[str, int] = {}
    for change in plan.changes:
        counted[change.host] = counted.get(change.host, 0) + 1
        first = change.command.partition("; then ")[0] if change.target.get("first") else ""
        steps.setdefault((counted[change.host], change.what, first), []).append(change.host)
    rows = [(number, what, first, ", ".join(hosts)) for (number, what, first), hosts in steps.items()]
    return pd.DataFrame(rows, columns=["step", "what", "first", "balancers"])


def astray(plan: Plan) -> list[str]:
    """Return the balancers that are not as a plan's last step says they are to be, with the reason; read again."""

    def one(change: Change) -> str:
        try:
            found = find(change.verb).observe(change.host, change.target)
        except OpsnbError as error:
            return f"{change.host}: {error.message}"
        if same(found, change.after):
            return ""
        return f"{change.host}: " + (
            "nginx has not loaded it" if found["files"] == change.after["files"] else "the files differ"
        )

    last = {change.host: change for change in plan.changes}
    return [words for words in remote.over(last, lambda host: one(last[host])).values() if words]
