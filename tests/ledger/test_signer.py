"""A ledger signs one history: never an older database, another one, or under another key."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from opsnb.base.errors import AlteredError, OpsnbError, RefusedError, UsageError
from opsnb.control.ledger.events import RunStopped
from opsnb.control.ledger.note import verify_checkpoint
from opsnb.control.ledger.signer import HEAD_NAME, KEY_NAME, Signer

ORIGIN = "opsnb.example/test"
MakeLog = Callable[..., Any]


def stopped(number: int = 0) -> RunStopped:
    """Return an event."""
    return RunStopped(run=f"r-{number}", by="p-1")


def reopened(log: Any) -> Signer:
    """Return the signer as the next process opens it."""
    return Signer.open(log.state, ORIGIN)


def test_the_key_is_made_once(log: Any) -> None:
    """Opening again gives the same key; only its owner can read it, and its folder."""
    key = log.state / "keys" / KEY_NAME
    assert reopened(log).vkey == log.signer.vkey
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert (log.state / HEAD_NAME).stat().st_mode & 0o777 == 0o600


def test_each_checkpoint_is_kept(log: Any) -> None:
    """What was signed last stands outside the database, and is what was handed out."""
    assert log.signer.kept().size == 0
    log.append(stopped(1), stopped(2))
    note = log.checkpoint()
    assert (log.state / HEAD_NAME).read_bytes() == note
    assert verify_checkpoint(note, log.signer.verifier) == reopened(log).kept()
    assert log.signer.kept().size == 3


def test_a_restored_older_database_is_refused(log: Any) -> None:
    """A backup put back is refused: at start, at each checkpoint, and still after it has grown again."""
    log.append(stopped(1))
    database, backup = log.state / "opsnb.db", log.root / "backup.db"
    shutil.copy(database, backup)
    log.append(stopped(2), stopped(3))
    log.checkpoint()
    log.engine.dispose()
    shutil.copy(backup, database)
    signer = reopened(log)
    for ask in (signer.check, signer.checkpoint, log.signer.checkpoint):
        with log.engine.connect() as connection, pytest.raises(AlteredError, match="older") as caught:
            ask(connection)
        assert "put the newest database back" in caught.value.hint
    log.append(stopped(4), stopped(5), stopped(6))
    for ask in (signer.check, log.signer.checkpoint):
        with log.engine.connect() as connection, pytest.raises(AlteredError, match="ledger entries"):
            ask(connection)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entries SET data = replace(data, 'p-1', 'p-2') WHERE idx = 1",
        "UPDATE ledger_entries SET data = CAST(replace(data, 'p-1', 'p-2') AS BLOB) WHERE idx = 1",
        "UPDATE ledger_entries SET leaf = zeroblob(32) WHERE idx = 1",
        "DELETE FROM ledger_entries WHERE idx = 1",
        "UPDATE ledger_entries SET (data, leaf) = (SELECT data, leaf FROM ledger_entries WHERE idx = 2) WHERE idx = 1",
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_an_altered_entry_is_found_at_start(log: Any, statement: str, signed: bool) -> None:  # noqa: FBT001 - a case
    """Whatever is changed in the entries, signed already or not, the next start refuses it."""
    log.append(*(stopped(n) for n in range(5)))
    if signed:
        log.checkpoint()
    with log.transaction() as connection:
        connection.execute(text(statement))
    with log.engine.connect() as connection, pytest.raises(AlteredError, match="ledger entr"):
        reopened(log).check(connection)


def test_another_ledger_is_refused(new_log: MakeLog) -> None:
    """The database of another ledger, however long, is not signed."""
    one, other = new_log("one"), new_log("other")
    one.append(stopped(1))
    one.checkpoint()
    other.append(*(stopped(n) for n in range(9)))
    with other.engine.connect() as connection, pytest.raises(AlteredError, match="ledger entries"):
        one.signer.checkpoint(connection)


def test_a_foreign_key_is_refused(new_log: MakeLog) -> None:
    """Another ledger's key, and another key of the same name, do not continue this ledger."""
    log, namesake, other = new_log("a"), new_log("b"), new_log("c", "opsnb.example/other")
    log.append(stopped(1))
    log.checkpoint()
    key = log.state / "keys" / KEY_NAME
    for source, message in ((other, "is the key of 'opsnb.example/other'"), (namesake, "not signed by")):
        shutil.copy(source.state / "keys" / KEY_NAME, key)
        with pytest.raises(AlteredError, match=message):
            reopened(log)


def test_a_lost_key_is_not_replaced(log: Any) -> None:
    """A ledger that was signed is not continued under a new key."""
    log.append(stopped(1))
    log.checkpoint()
    (log.state / "keys" / KEY_NAME).unlink()
    with pytest.raises(AlteredError, match="not continued under a new key"):
        reopened(log)
    assert not (log.state / "keys" / KEY_NAME).exists()


def test_a_lost_or_damaged_head_is_refused(log: Any) -> None:
    """Without the kept head nobody can say what was signed, so nothing is signed."""
    log.checkpoint()
    head = log.state / HEAD_NAME
    for damage in (lambda: head.write_bytes(head.read_bytes()[:-9]), lambda: head.write_bytes(b""), head.unlink):
        damage()
        with pytest.raises(AlteredError, match=HEAD_NAME):
            reopened(log)
        with log.engine.connect() as connection, pytest.raises(AlteredError, match=HEAD_NAME):
            log.signer.checkpoint(connection)


def test_a_readable_key_is_refused(log: Any) -> None:
    """A key that others may read is refused, with the command that mends it."""
    key = log.state / "keys" / KEY_NAME
    key.chmod(0o644)
    with pytest.raises(RefusedError) as caught:
        reopened(log)
    assert caught.value.hint == f"chmod 600 {key}"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PRIVATE+KEY+a+00000000+AAAA", b"\xff\xfe"])
def test_a_damaged_key_is_refused(log: Any, content: bytes) -> None:
    """A key file that is no key is refused without a traceback."""
    (log.state / "keys" / KEY_NAME).write_bytes(content)
    with pytest.raises(OpsnbError, match=KEY_NAME):
        reopened(log)


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "x" * 121, "名字", "a\n"])
def test_an_origin_is_a_name(tmp_path: Path, origin: str) -> None:
    """What cannot stand in a checkpoint cannot name a ledger, and no key is made for it."""
    with pytest.raises(UsageError, match="cannot name a ledger"):
        Signer.open(tmp_path / "state", origin)
    assert not (tmp_path / "state").exists()


def test_a_rolled_back_entry_is_never_under_a_signed_root(log: Any) -> None:
    """The tree that the process carries forward follows commits only."""
    log.checkpoint()
    with log.engine.connect() as connection:
        from opsnb.control.ledger.store import append

        append(connection, stopped(1))
        connection.rollback()
    log.append(stopped(2))
    log.checkpoint()
    with log.engine.connect() as connection:
        assert reopened(log).check(connection).size == 2
