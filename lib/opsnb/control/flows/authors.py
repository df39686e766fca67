"""Who wrote a notebook: they never approve it."""

from __future__ import annotations

import json
from typing import Any

from opsnb.control.catalog import Runbook
from opsnb.control.people.rules import Directory


def authors_of(there: Directory, runbook: Runbook) -> list[str]:
    """Return the ids of the notebook's authors among the people of the workspace.

    They are whom Jupyter's metadata name (``metadata.authors``, each with a ``name`` or an ``email``), and the owner in
    the front matter where that is a person's name.
    """
    names = [str(row.get(key, "")) for row in _metadata(runbook) for key in ("name", "email")]
    names += [runbook.front.owner] if runbook.front else []
    said = {name.casefold() for name in names if name}
    found = (p for p in there.people.values() if said & {p.name.casefold(), p.display.casefold(), p.mail.casefold()})
    return sorted(person.id for person in found)


def _metadata(runbook: Runbook) -> list[dict[str, Any]]:
    found = json.loads(runbook.content).get("metadata", {}).get("authors", [])
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
