"""What a reader sees of a plan for nginx: notes, steps, differences, and what is not as planned afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsnb.base.canonical import same
from opsnb.base.errors import OpsnbError
from opsnb.base.plan import Change, Plan
from opsnb.kits import remote
from opsnb.kits.nginx import changing
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
    """Return a plan as a table, a row a change: balancer, what is done, how it is undone."""
    import pandas as pd

    rows = [(c.host, number, c.command, c.undo) for number, c in enumerate(plan.changes, 1)]
    return pd.DataFrame(rows, columns=["balancer", "step", "does", "undone by"])


def diffs(plan: Plan) -> str:
    """Return what changes in the files as text; balancers that change alike are named together."""
    said: dict[str, list[str]] = {}
    for change in plan.changes:
        words = changing.diff(change.before["files"], change.after["files"])
        said.setdefault(words, [])
        if change.host not in said[words]:
            said[words].append(change.host)
    return "\n".join(f"on {', '.join(hosts)}:\n{words}" for words, hosts in said.items())


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
