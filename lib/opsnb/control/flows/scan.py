"""Scan: what a run left is looked at once more for its secrets before it is a record, whoever wrote it.

The supervisor has masked and scanned already. This is the control plane's own look, with its own masker, and the only
one when the supervisor died. What gives a secret away is put into quarantine, and the run has FAILED.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from opsnb.base.canonical import sha256
from opsnb.control.files import write_atomic
from opsnb.control.flows.reveal import masker_after_crash
from opsnb.control.runs import store
from opsnb.control.runs.keep import hits, quarantine

if TYPE_CHECKING:
    from pathlib import Path

    from opsnb.base.masking import Masker
    from opsnb.control.flows.execute import Ended
    from opsnb.control.flows.services import Services
    from opsnb.control.records import Record


def scan_left(services: Services, run: str, staging: Path, ended: Ended) -> None:
    """Look at notebook and files, and mask what was noted of the run before its secrets were known."""
    masker = services.masker(run)
    if not masker:
        masker, lost = masker_after_crash(services, run)
        ended.notes += [f"not looked for once more, as it could not be read again: secret {name}" for name in lost]
    if not masker:
        return
    _mask_said(services, run, masker, ended)
    for path in ("run.ipynb", *(str(row["path"]) for row in ended.files)):
        data = (staging / path).read_bytes()
        if names := hits(masker, data):
            place = services.workspace.state / "quarantine" / run
            quarantine(place, f"control-{len(ended.quarantined)}", data)
            said = f"{masker.text(path)} holds the value of secret {', '.join(names)}"
            ended.quarantined.append(said)
            ended.notes.append(f"quarantined: {said}; it is kept in .opsnb/quarantine/ and not in this record")
            if path == "run.ipynb":
                write_atomic(staging / path, masker.data(data))
            else:
                (staging / path).unlink()
                ended.files = [row for row in ended.files if row["path"] != path]


def scan_page(
    services: Services, record: Record, staging: Path, rendered: tuple[str, list[str]]
) -> tuple[str, list[str]]:
    """Look at the page; its verdict stands in the ledger, so a page that gives a secret away is masked as it is."""
    masker = services.masker(record.run)
    path = staging / "run.html"
    data = path.read_bytes() if masker else b""
    names = masker.hits(data) or (masker.hits(html.unescape(data.decode("utf-8"))) if data else [])
    if not names:
        return rendered
    quarantine(services.workspace.state / "quarantine" / record.run, "run.html", data)
    masked = masker.data(data)
    write_atomic(path, masked)
    note = f"quarantined: run.html held the value of secret {', '.join(names)} and was masked"
    record.notes.append(note)
    return sha256(masked), [*rendered[1], note]


def _mask_said(services: Services, run: str, masker: Masker, ended: Ended) -> None:
    ended.why = masker.text(ended.why)
    ended.cells = masker.value(ended.cells)
    ended.notes = masker.value(ended.notes)
    with services.database.transaction() as connection:
        for row in connection.execute(select(store.notes).where(store.notes.c.run == run)):
            value: Any = masker.value(row.value)
            if value != row.value:
                connection.execute(update(store.notes).where(store.notes.c.number == row.number).values(value=value))
