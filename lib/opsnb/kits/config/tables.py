"""Comparisons and plans for a reader: tables, differences as text, and a picture of files by hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opsnb import fleet
from opsnb.base.plan import Plan
from opsnb.kits.config.compare import (
    ABSENT,
    DIFFERS,
    FINE,
    MISSING,
    OWN,
    REFUSED,
    SAME,
    Cell,
    Survey,
    apart,
    difference,
)
from opsnb.kits.config.migrate import Migration
from opsnb.kits.config.places import OF_HOST, Service, names
from opsnb.kits.config.surveying import Beside
from opsnb.kits.config.take import Taken
from opsnb.runbook.show import visible

if TYPE_CHECKING:
    import pandas as pd

MAX_WIDE = 6  # hosts that are columns of a table; more are rows
HIDDEN = "(hidden)"  # a value that goes into a sensitive file
EACH = "(each its own)"
MAX_SHOWN = 20  # differences that are written out
COUNTED = {SAME: "the same", DIFFERS: "differ", MISSING: "missing", REFUSED: "refused", OWN: "made for each host"}
MARKS = {SAME: "same", DIFFERS: "differs", MISSING: "missing", REFUSED: "refused", ABSENT: "-", OWN: "own"}


def matrix(cells: Sequence[Cell]) -> pd.DataFrame:
    """Return files by hosts: the letter of each content, and what is odd; hosts become rows where they are many."""
    import pandas as pd

    hosts = list(dict.fromkeys(cell.host for cell in cells))
    if len(hosts) > MAX_WIDE:
        return pd.DataFrame([(c.path, c.host, _mark(c)) for c in cells], columns=["file", "host", "is"])
    rows: dict[str, dict[str, str]] = {}
    for cell in cells:
        rows.setdefault(cell.path, {})[cell.host] = _mark(cell)
    return pd.DataFrame([{"file": path, **{h: row.get(h, "") for h in hosts}} for path, row in rows.items()])


def groups(cells: Sequence[Cell]) -> pd.DataFrame:
    """Return which hosts have the same content: columns ``file``, ``content``, ``hosts``, ``names``."""
    import pandas as pd

    found: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        found.setdefault((cell.path, cell.group or MARKS[cell.verdict]), []).append(cell.host)
    rows = [(path, group, len(hosts), ", ".join(hosts)) for (path, group), hosts in sorted(found.items())]
    return pd.DataFrame(rows, columns=["file", "content", "hosts", "names"])


def oddities(cells: Sequence[Cell]) -> pd.DataFrame:
    """Return what is odd, a row each: columns ``host``, ``file``, ``is``, ``in``, ``compared with``."""
    import pandas as pd

    rows = [
        (c.host, c.path, MARKS[c.verdict], c.how, c.against or "each other") for c in cells if c.verdict not in FINE
    ]
    return pd.DataFrame(rows, columns=["host", "file", "is", "in", "compared with"])


def differences(survey: Survey, cells: Sequence[Cell], reference: str = "") -> str:
    """Return the differences of what is odd, written out; hosts with the same oddity are shown once."""
    shown = [cell for cell in apart(cells) if cell.verdict != REFUSED]
    parts = [_visible(difference(survey, cell, cells, reference)) for cell in shown[:MAX_SHOWN]]
    if len(shown) > MAX_SHOWN:
        parts.append(f"... and {len(shown) - MAX_SHOWN} more, in the table")
    return "\n\n".join(part for part in parts if part) or "(none)"


def summary(cells: Sequence[Cell], survey: Survey) -> str:
    """Return the answer in a line or two."""
    count = Counter(cell.verdict for cell in cells)
    bad = sorted({cell.host for cell in cells if cell.verdict not in FINE})
    seen = f"{len(survey.found)} file(s) on {len(survey.hosts)} host(s)"
    lines = [f"{seen}: " + ", ".join(f"{count[v]} {word}" for v, word in COUNTED.items() if count[v] or v == SAME)]
    lines += [f"odd: {', '.join(bad)}"] if bad else []
    guarded = sorted(survey.guarded)
    lines += [f"shown as keyed hashes: {', '.join(guarded)}"] if guarded else []
    return "\n".join(lines)


def unread(survey: Survey) -> pd.DataFrame:
    """Return the hosts that were not read, and why."""
    import pandas as pd

    return pd.DataFrame(sorted(survey.unread.items()), columns=["host", "why"])


def picture(cells: Sequence[Cell]) -> Any:
    """Return a figure: files by hosts, each cell the same, different, missing or refused; words where there is none."""
    if not cells:
        return "(none)"
    from opsnb.kits.config.charts import grid

    return grid(cells)


def beside(rows: Iterable[Beside], one: Service | None, other: Service | None) -> pd.DataFrame:
    """Return a service's files in two environments: where each source lies, and whether they say the same."""
    import pandas as pd

    if one is None or other is None:
        return pd.DataFrame(columns=["file", "same"])

    found = [(row.path, row.one or "-", row.other or "-", row.same) for row in rows]
    return pd.DataFrame(found, columns=["file", one.environment, other.environment, "same"])


def beside_text(rows: Iterable[Beside]) -> str:
    """Return in what the sources of two environments differ, written out."""
    return "\n\n".join(_visible(row.difference) for row in rows if row.difference) or "(none)"


def variables(service: Service | None, hosts: Sequence[str]) -> pd.DataFrame:
    """Return the variables that templates want: their value on each host and where it comes from.

    Hosts with the same value from the same place share a row.
    """
    import pandas as pd

    found: dict[tuple[str, str, str], list[str]] = {}
    for host in hosts:
        row = fleet.machine(host).row
        if host == fleet.THIS_MACHINE or service is None:
            continue
        values = service.values(row)
        wanted = [(n, f) for f in service.of(row) if f.template for n in names(service.source(f)[1])]
        secret = {name for name, file in wanted if file.sensitive}
        for name in dict.fromkeys(name for name, _ in wanted):
            given = values.get(name)
            value = HIDDEN if name in secret else given.value if given else "-"
            if given and given.origin == OF_HOST and name in {"host", "address"}:
                value = EACH
            key = (name, value, given.origin if given else "nobody gives it")
            found.setdefault(key, []).append(host)
    rows = [(*key, ", ".join(where)) for key, where in sorted(found.items())]
    return pd.DataFrame(rows, columns=["variable", "value", "from", "on"])


def overview(plan: Plan) -> pd.DataFrame:
    """Return a plan's changes, a row a file: columns ``host``, ``file``, ``becomes``, ``runs``.

    Where files are replaced together, their commands stand in the row of the first.
    """
    import pandas as pd

    rows = []
    for change in plan.changes:
        before, after = _files(change.before, change.what), _files(change.after, change.what)
        commands = dict.fromkeys(
            " ".join(words) for row in change.target.get("files", []) for words in (row["validate"], row["activate"])
        )
        runs = "; ".join(command for command in commands if command)
        for number, path in enumerate(after or before):
            old, new = before.get(path), after.get(path)
            word = "new" if old is None else "removed" if new is None else "replaced"
            rows.append((change.host, path, word, "" if number else runs))
    return pd.DataFrame(rows, columns=["host", "file", "becomes", "runs"])


def _files(state: Any, what: str) -> dict[str, Any]:
    return dict(state["files"]) if isinstance(state, Mapping) and "files" in state else {what: state}


def right_already(plan: Plan) -> pd.DataFrame:
    """Return for each host how many files it has, and which of them are right already."""
    import pandas as pd

    found: Mapping[str, Any] = plan.context.get("hosts", {})
    rows = [
        (host, str(len(c.get("files", {}))), ", ".join(c.get("right already", [])) or "-") for host, c in found.items()
    ]
    rows += [(host, "-", f"not reached: {why}") for host, why in plan.context.get("unreachable", {}).items()]
    return pd.DataFrame(rows, columns=["host", "files", "right already"])


def taken(rows: Sequence[Taken]) -> pd.DataFrame:
    """Return what becomes of each path of a host: a row a path."""
    import pandas as pd

    found = [
        (r.path, (r.state or {}).get("mode", "-"), (r.state or {}).get("owner", "-"), r.becomes,
         f"configs/{r.source}", r.why) for r in rows
    ]  # fmt: skip
    return pd.DataFrame(found, columns=["file", "mode", "owner", "becomes", "to", "why"])


def refused(cells: Sequence[Cell]) -> list[str]:
    """Return what could not be compared, ``HOST: REASON`` each."""
    return [f"{cell.host}: {cell.how}" for cell in cells if cell.verdict == REFUSED]


def evidence(cells: Sequence[Cell], survey: Survey, pairs: Sequence[Beside]) -> dict[str, Any]:
    """Return a comparison's values by name."""
    wrong: dict[str, list[str]] = {}
    for cell in cells:
        if cell.verdict not in FINE:
            wrong.setdefault(cell.host, []).append(f"{cell.path}: {cell.verdict}" + (f" ({cell.how})" * bool(cell.how)))
    return {
        "odd": wrong, "same": sum(cell.verdict == SAME for cell in cells), "compared": len(cells),
        "unread": dict(survey.unread), "environments differ": [pair.path for pair in pairs if not pair.same],
    }  # fmt: skip


def moved(migration: Migration) -> pd.DataFrame:
    """Return what is moved, a row a file of each host: columns ``host``, ``file``, ``from``, ``mode``, ``owner``."""
    import pandas as pd

    rows = [
        (host, one.file.path, one.source, one.file.mode or "-", one.file.owner or "-")
        for host, files in migration.files.items() for one in files
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["host", "file", "from", "mode", "owner"])


def lost(migration: Migration) -> str:
    """Return what does not move with the files, written out."""
    return "\n\n".join(_visible(f"{path}\n{text}") for path, text in migration.lost.items()) or "(none)"


def left(migration: Migration) -> pd.DataFrame:
    """Return the lines that still speak of the old place."""
    import pandas as pd

    rows = [(one.host, one.what, one.text or HIDDEN, one.line, one.path) for one in migration.left]
    return pd.DataFrame(rows, columns=["host", "holds", "text", "line", "file"])


def _mark(cell: Cell) -> str:
    word = MARKS[cell.verdict]
    group = f"{cell.group} " if cell.group else ""
    return f"{group}{word}" if cell.verdict in {SAME, DIFFERS} and group else word


def _visible(text: str) -> str:
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in text.split("\n"))
