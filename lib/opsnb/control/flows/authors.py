"""Who wrote a notebook: they never approve it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from opsnb.control.catalog import Runbook
from opsnb.control.people.rules import Directory

WITH_MAIL = re.compile(r"(?P<name>[^<>]*)<(?P<mail>[^<>]*)>\s*")  # Bob Li <bob@example.com>


def authors_of(there: Directory, runbook: Runbook) -> list[str]:
    """Return the ids of the notebook's authors among the people of the workspace.

    They are whom Jupyter's metadata name (``metadata.authors``, each with a ``name`` or an ``email``, or as text), and
    the owner in the front matter where that is a person's name. Names that look alike are one: this only adds authors.
    """
    owner = runbook.front.owner if runbook.front else ""
    return sorted(frozenset[str]().union(*(there.alike(name) for name in (*_named(runbook), owner))))


def _named(runbook: Runbook) -> Iterator[str]:
    found = json.loads(runbook.content).get("metadata", {}).get("authors", [])
    for row in found if isinstance(found, list) else [found]:
        texts = [row.get(key) for key in ("name", "email")] if isinstance(row, dict) else [row]
        for text in texts:
            if isinstance(text, str):
                match = WITH_MAIL.fullmatch(text)
                yield from match.group("name", "mail") if match else (text,)
