"""outputs/ledger/ is what the database holds, whatever happened to the files; the checkpoint comes last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from opsnb.base.canonical import sha256
from opsnb.base.errors import AlteredError
from opsnb.control.ledger import publish as module
from opsnb.control.ledger.events import RunStopped, SitePublished
from opsnb.control.ledger.files import replace_file
from opsnb.control.ledger.note import verify_checkpoint
from opsnb.control.ledger.publish import CHECKPOINT, ENTRIES, STAGING, site_event
from opsnb.control.ledger.store import read

DIGEST = "ef" * 32


def stopped(number: int) -> RunStopped:
    """Return an event."""
    return RunStopped(run=f"r-{number}", by="p-1")


def wanted(log: Any) -> bytes:
    """Return what entries.jsonl must hold."""
    with log.transaction() as connection:
        return b"".join(entry.data + b"\n" for entry in read(connection))


def snapshot(outputs: Path) -> dict[str, bytes]:
    """Return every file under ``outputs``."""
    return {str(p.relative_to(outputs)): p.read_bytes() for p in outputs.rglob("*") if p.is_file()}


def test_what_is_published(log: Any) -> None:
    """Entries, checkpoint, key, verify.py and README stand there, the last three under ``site.published``."""
    done = log.publish()
    files = snapshot(log.outputs)
    assert set(files) == {f"ledger/{n}" for n in ("entries.jsonl", "checkpoint", "vkey", "verify.py", "README.txt")}
    assert files[ENTRIES] == wanted(log)
    assert files[CHECKPOINT] == done.note
    assert verify_checkpoint(done.note, log.signer.verifier) == done.checkpoint
    assert log.lines()[-1]["files"] == {
        path: sha256(data) for path, data in files.items() if path not in {ENTRIES, CHECKPOINT}
    }
    assert (done.written, done.repaired) == (2, False)


def test_publishing_again_writes_nothing(log: Any) -> None:
    """Without new entries no file is touched."""
    log.publish()
    before = {path: (log.outputs / path).stat().st_mtime_ns for path in snapshot(log.outputs)}
    done = log.publish()
    assert (done.written, done.repaired) == (0, False)
    assert {path: (log.outputs / path).stat().st_mtime_ns for path in snapshot(log.outputs)} == before


def test_only_new_entries_are_written(log: Any) -> None:
    """The file of entries grows in place by what is new."""
    log.publish()
    node = (log.outputs / ENTRIES).stat().st_ino
    for count in (1, 3):
        log.append(*(stopped(n) for n in range(count)))
        assert log.publish().written == count
        assert (log.outputs / ENTRIES).read_bytes() == wanted(log)
    assert (log.outputs / ENTRIES).stat().st_ino == node


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole, tail: whole + tail[: len(tail) // 2], id="torn line"),
        pytest.param(lambda whole, tail: whole + tail + b"garbage", id="garbage behind"),
        pytest.param(lambda whole, _: whole + b"\n", id="empty line"),
        pytest.param(lambda whole, tail: whole + tail.replace(b"r-1", b"r-9"), id="another entry"),
        pytest.param(lambda whole, _: whole[:-1], id="one byte short"),
        pytest.param(lambda *_: b"", id="empty"),
        pytest.param(lambda whole, _: b"x" + whole, id="shifted"),
    ],
)
def test_what_a_crash_left_is_mended(log: Any, damage: Callable[[bytes, bytes], bytes]) -> None:
    """A torn, foreign or missing end is cut off and written again from the database, and the result says so."""
    log.publish()
    whole = wanted(log)
    log.append(stopped(1))
    (log.outputs / ENTRIES).write_bytes(damage(whole, wanted(log)[len(whole) :]))
    assert log.publish().repaired
    assert (log.outputs / ENTRIES).read_bytes() == wanted(log)


@pytest.mark.parametrize("path", [ENTRIES, CHECKPOINT, "ledger/vkey", "ledger/verify.py", "ledger/README.txt"])
def test_a_lost_file_comes_back(log: Any, path: str) -> None:
    """Each published file that is missing or a link is put back."""
    log.publish()
    before = snapshot(log.outputs)
    (log.outputs / path).unlink()
    log.publish()
    assert snapshot(log.outputs) == before
    (log.outputs / path).unlink()
    (log.outputs / path).symlink_to("/dev/null")
    log.publish()
    assert snapshot(log.outputs) == before
    assert not (log.outputs / path).is_symlink()


def test_entries_come_before_the_checkpoint(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publication that dies anywhere leaves a checkpoint whose entries are all there; the next one completes it."""
    log.publish()
    old = (log.outputs / CHECKPOINT).read_bytes()
    log.append(stopped(1))
    whole = wanted(log)

    def full(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(28, "no space left", str(path))

    monkeypatch.setattr(module, "replace_file", full)
    with pytest.raises(OSError, match="no space"):
        log.publish()
    monkeypatch.undo()
    assert (log.outputs / CHECKPOINT).read_bytes() == old
    assert (log.outputs / ENTRIES).read_bytes() == whole
    log.publish()
    assert verify_checkpoint((log.outputs / CHECKPOINT).read_bytes(), log.signer.verifier).size == 3


def test_an_altered_database_is_not_published(log: Any) -> None:
    """What does not match what was signed never reaches outputs/."""
    log.append(stopped(1))
    log.publish()
    before = snapshot(log.outputs)
    with log.transaction() as connection:
        connection.execute(text("UPDATE ledger_head SET size = 2, root = zeroblob(32)"))
    with pytest.raises(AlteredError), log.transaction() as connection:
        module.publish(connection, log.signer, log.outputs)
    assert snapshot(log.outputs) == before


def test_site_event_keeps_what_others_published(log: Any) -> None:
    """A new verify.py is recorded once; files of others that the latest entry names stay named."""
    log.publish()
    others = {**log.lines()[-1]["files"], "index.html": DIGEST, "ledger/verify.py": DIGEST}
    log.append(SitePublished(files=others))
    with log.transaction() as connection:
        event = site_event(connection, log.signer)
    assert event is not None
    assert event.files["index.html"] == DIGEST
    assert event.files["ledger/verify.py"] != DIGEST
    log.append(event)
    with log.transaction() as connection:
        assert site_event(connection, log.signer) is None


def test_a_foreign_checkpoint_is_not_believed(new_log: Callable[..., Any]) -> None:
    """A checkpoint of another ledger says nothing about our file: it is compared from the first entry."""
    log, other = new_log("one"), new_log("other")
    log.publish()
    other.append(stopped(1))
    other.publish()
    for path in (ENTRIES, CHECKPOINT):
        (log.outputs / path).write_bytes((other.outputs / path).read_bytes())
    log.append(stopped(2))
    log.publish()
    assert (log.outputs / ENTRIES).read_bytes() == wanted(log)


def test_replace_file_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """When the bytes do not come to an end, the old file stands and nothing is left beside it."""
    path, staging = tmp_path / "a", tmp_path / STAGING
    staging.mkdir()
    path.write_bytes(b"old")

    def broken() -> Any:
        yield b"half"
        raise OSError(5, "input/output error")

    with pytest.raises(OSError, match="input/output"):
        replace_file(path, broken(), staging=staging)
    assert path.read_bytes() == b"old"
    assert list(staging.iterdir()) == []
    replace_file(path, [b"n", b"ew"], staging=staging, mode=0o600)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)
