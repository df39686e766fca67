"""One run as one file: its folder, the entries that speak of it with their inclusion proofs, the signed checkpoint.

Rules:

* The same ledger and the same record give the same bytes: files in order of their names, not compressed, no times.
* ``ledger/proof.json`` is canonical JSON: ``{"schema": 1, "run": id, "entries": [{"index", "data", "proof"}]}``;
  ``data`` is an entry's exact text, ``proof`` its RFC 6962 inclusion proof in hex, the lowest sibling first.
* An export is verified before it is handed out, by the same ``verify.py`` that it carries.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from opsnb.base.canonical import canonical
from opsnb.base.errors import AlteredError, NotFoundError, UnavailableError
from opsnb.control.ledger import store
from opsnb.control.ledger.events import RunFinished, RunRecorded, SitePublished
from opsnb.control.ledger.note import verify_checkpoint
from opsnb.control.ledger.publish import CHECKPOINT, STAGING, site_contents, site_event
from opsnb.control.ledger.signer import Signer
from opsnb.control.ledger.tree import Tree
from opsnb.control.ledger.verify import verify_path

PROOF = "ledger/proof.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name


def export_run(connection: Connection, signer: Signer, outputs: Path, run: str) -> bytes:
    """Return the export of one run, a zip.

    Args:
        connection: Outside any transaction that appended.
        signer: Signs the head that the proofs lead to.
        outputs: The ``outputs`` directory.
        run: The run's id.

    Raises:
        NotFoundError: If the ledger has no record of the run.
        UnavailableError: If the ledger's public files changed and were not published yet.
        AlteredError: If the record is not what the ledger holds, or the database not what was signed.
    """
    recorded = store.latest(connection, RunRecorded.kind, run=run)
    if recorded is None:
        raise NotFoundError(f"the ledger has no record of run '{run}'", hint="opsnb runs list")
    if site_event(connection, signer) is not None:
        raise UnavailableError("the ledger's public files were not published yet", hint="opsnb audit checkpoint")
    note = signer.checkpoint(connection)
    size = verify_checkpoint(note, signer.verifier).size
    contents: dict[str, bytes | Path] = {**site_contents(signer.vkey), CHECKPOINT: note}
    contents[PROOF] = _proofs(connection, run, size)
    contents.update(_record(outputs, recorded.value["path"]))
    with tempfile.TemporaryDirectory(prefix="export-", dir=outputs / STAGING) as place:
        path = Path(place) / f"{run}.zip"
        _write(path, contents)
        report = verify_path(str(path))
        if not report.ok:
            raise AlteredError(f"run '{run}' cannot be exported: {report.problems[0]}", hint="opsnb audit verify")
        return path.read_bytes()


def _proofs(connection: Connection, run: str, size: int) -> bytes:
    finished = store.latest(connection, RunFinished.kind, run=run)
    request = finished.value["request"] if finished else ""
    entries = store.about(connection, run=run, request=request)
    site = store.latest(connection, SitePublished.kind)
    entries += [*store.read(connection, 0, 1), *([site] if site else [])]
    tree = Tree(store.leaves(connection, size))
    rows = [
        {"index": e.index, "data": e.data.decode("ascii"), "proof": [h.hex() for h in tree.inclusion(e.index)]}
        for e in sorted({e.index: e for e in entries if e.index < size}.values(), key=lambda e: e.index)
    ]
    return canonical({"schema": 1, "run": run, "entries": rows})


def _record(outputs: Path, folder: str) -> Iterator[tuple[str, Path]]:
    for parent, folders, names in os.walk(outputs / folder):
        for name in [*names, *(n for n in folders if (Path(parent) / n).is_symlink())]:
            path = Path(parent) / name
            if path.is_symlink() or not path.is_file():
                raise AlteredError(f"{path} is a link or a special file; a record holds plain files only")
            yield path.relative_to(outputs).as_posix(), path


def _write(path: Path, contents: dict[str, bytes | Path]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in sorted(contents.items()):
            row = zipfile.ZipInfo(name, EPOCH)
            row.create_system, row.external_attr = 3, 0o100644 << 16  # a plain file, as Unix says it
            if isinstance(content, bytes):
                archive.writestr(row, content)
                continue
            row.file_size = content.stat().st_size
            with content.open("rb") as source, archive.open(row, "w") as copy:
                shutil.copyfileobj(source, copy, 2**20)
