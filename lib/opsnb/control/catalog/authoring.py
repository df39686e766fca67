"""Write a new runbook from a template, so that it lints clean and runs; rules without I/O.

Three templates: one that reads, one that changes a file, one that wraps a shell script. The script stands in the
notebook, so that a request binds it with the notebook's digest, and its approver reads it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from opsnb.base.errors import UsageError
from opsnb.base.parameters import Place
from opsnb.base.yaml import read_yaml
from opsnb.control.catalog.compose import NewCell, filled, notebook_bytes, parse_cells
from opsnb.control.catalog.frontmatter import ID
from opsnb.control.catalog.notebook import parse_notebook
from opsnb.control.catalog.runbook import FOLDER, runbook_from
from opsnb.control.catalog.scripts import ARGUMENTS, Script, literal
from opsnb.control.records import Risk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsnb.control.catalog.runbook import Runbook

AREAS = {  # where runbooks of a prefix lie (DESIGN section 7); another prefix becomes an area of its own
    "HST": "hosts", "NGX": "nginx", "SUP": "supervisor", "CFG": "config", "DKR": "docker", "REL": "release",
    "JEN": "jenkins", "FDS": "fastdfs", "NET": "network", "LOD": "load", "SQL": "mysql", "SIT": "sites",
    "TKT": "tickets", "DSH": "dashboards", "AUD": "audit", "SCR": "hosts",
}  # fmt: skip
AREA = re.compile(r"[a-z][a-z0-9-]{0,40}")
SCRIPT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_SLUG = 60  # characters of a title in a file's name
UNDONE = (
    "To undo: `opsnb runs undo RUN`. It is a run of its own that runs the second script, with the same values; wait "
    "until the first one has ended."
)
NOT_UNDONE = (
    "No script undoes it: undo it by hand, by what section 4 says that it did. Wait until it has ended, and look "
    "before you run it again."
)


@dataclass(frozen=True, kw_only=True)
class New:
    """What a new runbook is to be.

    Args:
        id: ``HST-030``.
        title: Its title.
        risk: What it may do; ``None`` takes the template's own.
        owner: Who answers for it.
        script: The shell script that it wraps; ``None`` for a template.
        script_name: What the script is called.
        undo: The script that undoes it.
    """

    id: str
    title: str
    owner: str
    risk: Risk | None = None
    script: Script | None = None
    script_name: str = ""
    undo: Script | None = None


def write(new: New, path: str) -> bytes:
    """Return the notebook.

    Args:
        new: What it is to be.
        path: What errors call it.

    Raises:
        NotebookError: If the title or the owner cannot stand in front matter.
        UsageError: If the id is none, a script is said to only read, or its name cannot be used.
    """
    if not ID.fullmatch(new.id):
        hint = "two to five capital letters, a dash, three digits: HST-030"
        raise UsageError(f"the id is {new.id!r:.60}, wanted one such as HST-030", hint=hint)
    cells = _wrapped(new) if new.script else _from_template(new)
    content = notebook_bytes(cells)
    runbook_from(parse_notebook(content, path))
    return content


def area_of(id_: str, area: str, runbooks: Iterable[Runbook]) -> str:
    """Return the area that a runbook belongs to: the one given, that of its prefix in the catalog, else the usual one.

    Raises:
        UsageError: If the given one cannot be a folder's name.
    """
    if area:
        if not AREA.fullmatch(area):
            raise UsageError(f"--area {area!r:.60}: wanted lower-case letters, digits and -", hint="hosts, nginx, load")
        return area
    prefix = id_.partition("-")[0]
    near = [r.area for r in runbooks if r.id and r.area and r.id.partition("-")[0] == prefix]
    return max(sorted(set(near)), key=near.count) if near else AREAS.get(prefix, prefix.lower())


def path_of(new: New, area: str) -> str:
    """Return where it goes: ``runbooks/hosts/HST-030-rotate-the-logs.ipynb``."""
    slug = re.sub(r"[^a-z0-9]+", "-", new.title.lower())[:MAX_SLUG].strip("-")
    return f"{FOLDER}/{area}/{new.id}{'-' if slug else ''}{slug}.ipynb"


def template(name: str) -> tuple[NewCell, ...]:
    """Return the cells of a template: ``read``, ``change`` or ``script``."""
    file = resources.files("opsnb.control.catalog") / "templates" / f"{name}.txt"
    return parse_cells(file.read_text(encoding="utf-8"))


def _from_template(new: New) -> tuple[NewCell, ...]:
    risk = new.risk or Risk.READ
    return filled(template("read" if risk is Risk.READ else "change"), _values(new, risk))


def _wrapped(new: New) -> tuple[NewCell, ...]:
    script, undo = new.script, new.undo
    assert script is not None
    if not SCRIPT_NAME.fullmatch(new.script_name):
        raise UsageError(
            f"the script is called {new.script_name!r:.80}; wanted letters, digits, '.', '_' and '-'", hint="rename it"
        )
    risk = new.risk or (Risk.CHANGE if undo else Risk.DANGER)
    if risk is Risk.READ:
        raise UsageError("a script may change anything, so --risk read cannot be promised", hint="--risk change")
    takes, undo_name = script.takes_arguments, re.sub(r"[^A-Za-z0-9._/-]", "_", script.undo)
    named = ", ".join(f'"{name}": {name}' for name in script.names)
    given = [
        f"environment={{{named}}}" if named else "",
        "arguments=arguments" if takes else "",
        "undo=undo" if undo else "",
    ]
    return filled(template("script"), {
        **_values(new, risk),
        "script": new.script_name,
        "parameters": "\n".join([*script.parameters, *([ARGUMENTS] if takes else [])]),
        "source": literal(script.text),
        "values": ", ".join(g for g in given if g) or "environment={}",
        "undo_name": undo_name if undo else "",
        "undo_source": literal(undo.text) if undo else "",
        "undo_how": f"runs the script {undo_name} with the same values" if undo else "by hand, no script undoes it",
        "undo_text": UNDONE if undo else NOT_UNDONE,
    })  # fmt: skip


def _values(new: New, risk: Risk) -> dict[str, str]:
    return {
        "id": new.id, "id_lower": new.id.lower(), "title": new.title, "title_yaml": _yaml(new.title),
        "owner": _yaml(new.owner), "risk": risk.value,
    }  # fmt: skip


def _yaml(text: str) -> str:
    """Return text as it stands behind ``title:``; quoted only where it would mean something else, escaped at last."""
    for written in (text, json.dumps(text, ensure_ascii=False)):
        try:
            if read_yaml(f"a: {written}", Place()).value == {"a": text}:
                return written
        except UsageError:
            continue
    return json.dumps(text)
