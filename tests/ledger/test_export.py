"""One run as one file, and what verify.py says of it and of what others make of it."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsnb.base.errors import AlteredError, NotFoundError, OpsnbError, UnavailableError
from opsnb.control.ledger import verify
from opsnb.control.ledger.export import export_run
from opsnb.control.ledger.publish import source
from opsnb.control.ledger.verify import verify_path

PROOF, CHECKPOINT = "ledger/proof.json", "ledger/checkpoint"
Contents = dict[str, bytes]


def export(log: Any, run: str) -> bytes:
    """Export a run as the control plane does."""
    with log.transaction() as connection:
        return export_run(connection, log.signer, log.outputs, run)


def opened(data: bytes) -> Contents:
    """Return the files of a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, contents: Contents, packing: int = zipfile.ZIP_DEFLATED) -> str:
    """Write a zip as any other program would."""
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return str(path)


@pytest.fixture
def filled(log: Any) -> tuple[Any, list[Path]]:
    """A ledger of three runs, the first two of one request."""
    return log, log.fill()


def test_an_export_is_verified_alone(filled: Any, tmp_path: Path) -> None:
    """The zip, its unpacked folder, and the verify.py inside all say intact, also against the key and the head."""
    log, folders = filled
    path = tmp_path / "run.zip"
    path.write_bytes(export(log, folders[1].name))
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    inside = tmp_path / "unpacked/ledger"
    for place in (path, tmp_path / "unpacked"):
        argv = [sys.executable, "-I", str(inside / "verify.py"), str(place), "--key", log.signer.vkey]
        done = subprocess.run(
            [*argv, "--head", str(inside / "checkpoint")], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 runs" in done.stdout


def test_what_an_export_holds(filled: Any) -> None:
    """The run's folder, the entries of run and request with their proofs, checkpoint, key, program and explanation."""
    log, folders = filled
    run = folders[1]
    contents = opened(export(log, run.name))
    own = {p.relative_to(log.outputs).as_posix() for p in run.rglob("*") if p.is_file()}
    public = {"ledger/README.txt", "ledger/verify.py", "ledger/vkey", CHECKPOINT, PROOF}
    assert set(contents) == own | public
    assert contents["ledger/verify.py"] == source("verify.py")
    proof = json.loads(contents[PROOF])
    kinds = [json.loads(row["data"])["kind"] for row in proof["entries"]]
    wanted = ["ledger.opened", "request.sealed", "run.claimed", "plan.proposed", "run.finished"]
    assert kinds == [*wanted, "run.claimed", "run.finished", "run.recorded", "site.published"]


def test_the_same_record_gives_the_same_bytes(filled: Any) -> None:
    """Two exports of one run at one head are equal to the byte."""
    log, folders = filled
    assert export(log, folders[0].name) == export(log, folders[0].name)


def test_every_file_of_an_export_counts(filled: Any, tmp_path: Path) -> None:
    """A changed byte in any file, and any file left out or added, is found."""
    log, folders = filled
    contents = opened(export(log, folders[1].name))
    for name, data in contents.items():
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        for other in ({**contents, name: changed}, {n: d for n, d in contents.items() if n != name}):
            code = verify_path(packed(tmp_path / "x.zip", other)).exit_code
            assert code == 1 or (name in {"ledger/README.txt", "ledger/verify.py"} and name not in other), name
    assert verify_path(packed(tmp_path / "x.zip", {**contents, "extra": b""})).exit_code == 1


def edited(edit: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    """Return a change of the proofs that keeps their canonical form."""

    def change(data: bytes) -> bytes:
        value = json.loads(data)
        edit(value)
        return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()

    return change


@pytest.mark.parametrize(
    "change",
    [
        edited(lambda v: v["entries"].reverse()),
        edited(lambda v: v["entries"].insert(0, v["entries"][0])),
        edited(lambda v: v["entries"].pop()),  # site.published: nothing covers the key any more
        edited(lambda v: v["entries"].pop(1)),  # request.sealed
        edited(lambda v: v["entries"][1].update(index=2)),
        edited(lambda v: v["entries"][1]["proof"].pop()),
        edited(lambda v: v["entries"][1]["proof"].append("00" * 32)),
        edited(lambda v: v["entries"][1].update(proof="x")),
        edited(lambda v: v["entries"][1].update(proof=[h.upper() for h in v["entries"][1]["proof"]])),
        edited(lambda v: v["entries"][1].update(index=-1)),
        edited(lambda v: v["entries"][1].update(index=10**400)),
        edited(lambda v: v["entries"][1].update(why="not")),
        edited(lambda v: v.update(run="another")),
        edited(lambda v: v.update(run=[])),
        edited(lambda v: v.update(entries=None)),
        edited(lambda v: v.update(schema=2)),
        edited(lambda v: v.update(more=1)),
        lambda data: data + b"\n",
        lambda _: b"[]",
        lambda _: b"\xff",
        lambda data: data.replace(b'"mode\\":\\"apply', b'"mode\\":\\"plan'),
    ],
)
def test_changed_proofs(filled: Any, tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """Entries and proofs that were moved, repeated, cut or made up are found, without a traceback."""
    log, folders = filled
    contents = opened(export(log, folders[1].name))
    report = verify_path(packed(tmp_path / "x.zip", {**contents, PROOF: change(contents[PROOF])}))
    assert report.exit_code == 1
    assert "unreadable" not in report.kinds


def test_deep_proofs_are_refused(filled: Any, tmp_path: Path) -> None:
    """Brackets without end are neither followed nor a traceback."""
    log, folders = filled
    contents = opened(export(log, folders[1].name))
    report = verify_path(packed(tmp_path / "x.zip", {**contents, PROOF: b"[" * 200_000}))
    assert report.exit_code in {1, 2}


def test_an_export_against_a_kept_head(filled: Any, tmp_path: Path) -> None:
    """An export is compared with a head of its own size; with another it says that it cannot."""
    log, folders = filled
    path = tmp_path / "run.zip"
    path.write_bytes(export(log, folders[0].name))
    head = log.checkpoint()
    assert verify_path(str(path), head=head).ok
    log.run(log.request())
    later = verify_path(str(path), head=log.checkpoint())
    assert later.exit_code == 2
    assert "a head of its own size (14) only" in later.problems[0]


def test_a_link_with_the_right_bytes(filled: Any, tmp_path: Path) -> None:
    """A member that would be unpacked as a link is altered, whatever it holds."""
    log, folders = filled
    contents = opened(export(log, folders[0].name))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in contents.items():
            row = zipfile.ZipInfo(name)
            row.create_system, row.external_attr = (
                3,
                (stat.S_IFLNK if name.endswith("run.html") else stat.S_IFREG) << 16,
            )
            archive.writestr(row, data)
    report = verify_path(str(tmp_path / "x.zip"))
    assert [p.partition(": ")[2] for p in report.problems] == ["no entry covers this file as it is"]


def test_a_torn_zip(filled: Any, tmp_path: Path) -> None:
    """However a zip is cut or damaged, the answer is 1 or 2 and never a traceback, and never intact by half."""
    log, folders = filled
    data = export(log, folders[0].name)
    path = tmp_path / "x.zip"
    for cut in range(0, len(data), 997):
        path.write_bytes(data[:cut])
        assert verify_path(str(path)).exit_code == 2


def test_an_altered_record_is_not_exported(filled: Any) -> None:
    """Evidence that does not hold is not handed out."""
    log, folders = filled
    (folders[0] / "run.html").write_text("nicer", encoding="ascii")
    with pytest.raises(AlteredError, match=r"run\.html: not what entry"):
        export(log, folders[0].name)
    (folders[2] / "run.html").unlink()
    (folders[2] / "run.html").symlink_to("/etc/passwd")
    with pytest.raises(AlteredError, match="link"):
        export(log, folders[2].name)
    assert list((log.outputs / ".incoming").iterdir()) == []


def test_only_recorded_runs_are_exported(filled: Any) -> None:
    """A run that the ledger does not know is named."""
    with pytest.raises(NotFoundError, match="no record of run 'r-none'"):
        export(filled[0], "r-none")


def test_an_unpublished_site_is_said(log: Any) -> None:
    """Before the first publication there is nothing to vouch for the key and the program."""
    folder = log.run(log.request())
    with pytest.raises(UnavailableError, match="not published yet"):
        export(log, folder.name)


def test_an_export_inside_an_append_is_refused(filled: Any) -> None:
    """A head that may be rolled back is not signed for an export either."""
    from opsnb.control.ledger.events import RunStopped
    from opsnb.control.ledger.store import append

    log, folders = filled
    with log.transaction() as connection:
        append(connection, RunStopped(run="r", by="p"))
        with pytest.raises(OpsnbError, match="commit first"):
            export_run(connection, log.signer, log.outputs, folders[0].name)


def test_limits_are_stated() -> None:
    """What verify.py accepts at most stands in one place, and no entry that we write is beyond it."""
    from opsnb.control.ledger.events import MAX_ENTRY

    assert MAX_ENTRY <= verify.MAX_LINE
