"""The encrypted store: values open only as they were set, and a start without the right key says what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import update

from opsnb.base.errors import AlteredError, NotFoundError, OpsnbError, RefusedError, UsageError
from opsnb.control.database import Database
from opsnb.control.secrets import SecretStore
from opsnb.control.secrets.keyring import KEY_FILE, new_key, read_keys, write_keys
from opsnb.control.secrets.store import secret_values

VALUE = "correct-horse-battery"


def opened(tmp_path: Path) -> tuple[Database, SecretStore]:
    """Return a store as a start of the control plane opens it."""
    database, store = Database(tmp_path / "opsnb.db"), SecretStore(tmp_path)
    with database.transaction() as connection:
        store.check(connection)
    store.settle()
    return database, store


def test_a_value_comes_back_and_nothing_else_holds_it(tmp_path: Path) -> None:
    """Set, closed, opened, read; neither database nor key file holds the value; the key file is for its owner."""
    database, store = opened(tmp_path)
    assert not (tmp_path / KEY_FILE).exists()  # made when the first secret is set
    with database.transaction() as connection:
        assert store.set(connection, "db/prod", VALUE, "me")[1] == 1
    database.close()
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert VALUE.encode() not in (tmp_path / "opsnb.db").read_bytes() + (tmp_path / KEY_FILE).read_bytes()
    database, store = opened(tmp_path)
    with database.transaction() as connection:
        assert store.open(connection, "db/prod") == (VALUE, 1)
        assert [(r.name, r.version, r.by) for r in store.listed(connection)] == [("db/prod", 1, "me")]
    database.close()


def test_two_versions_are_kept(tmp_path: Path) -> None:
    """The newest opens by default, the one before by its number, older ones are gone from the file."""
    database, store = opened(tmp_path)
    with database.transaction() as connection:
        for number in (1, 2, 3):
            store.set(connection, "a", f"{VALUE}-{number}", "me")
    with database.transaction() as connection:
        assert store.open(connection, "a") == (f"{VALUE}-3", 3)
        assert store.open(connection, "a", 2) == (f"{VALUE}-2", 2)
        with pytest.raises(NotFoundError, match="no version 1"):
            store.open(connection, "a", 1)
    database.close()


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a b", "-a", "密", "a" * 101, "env:X", "a\n"])
def test_names_are_names(tmp_path: Path, name: str) -> None:
    """What could be read as a path, an option or another source is no name; the self-test's row cannot be reached."""
    database, store = opened(tmp_path)
    with database.transaction() as connection, pytest.raises(OpsnbError):
        store.set(connection, name, VALUE, "me")
    with database.transaction() as connection, pytest.raises(NotFoundError):
        store.open(connection, name)
    database.close()


@pytest.mark.parametrize("value", ["short", "       x       ", "nul\0nul\0nul", "x" * 65_537])
def test_values_that_cannot_be_kept(tmp_path: Path, value: str) -> None:
    """Too short to mask, too long, NUL: refused without being repeated."""
    database, store = opened(tmp_path)
    with database.transaction() as connection, pytest.raises(UsageError) as caught:
        store.set(connection, "db/prod", value, "me")
    assert value not in str(caught.value)
    database.close()


def test_rows_that_are_exchanged_do_not_open(tmp_path: Path) -> None:
    """A ciphertext belongs to its name and version: moved, renumbered or with a bit changed it does not open."""
    database, store = opened(tmp_path)
    with database.transaction() as connection:
        store.set(connection, "a", VALUE + "a", "me")
        store.set(connection, "b", VALUE + "b", "me")
    with database.transaction() as connection:
        sealed = {r.name: r.sealed for r in connection.execute(secret_values.select())}
        for forged in (sealed["b"], bytes([sealed["a"][0] ^ 1]) + sealed["a"][1:], sealed["a"][:-1], b""):
            connection.execute(update(secret_values).where(secret_values.c.name == "a").values(sealed=forged))
            with pytest.raises(AlteredError, match="'a' version 1 does not open"):
                store.open(connection, "a")
        values = {"sealed": sealed["a"], "version": 2}
        connection.execute(update(secret_values).where(secret_values.c.name == "a").values(**values))
        with pytest.raises(AlteredError):
            store.open(connection, "a")
    database.close()


def test_a_start_without_the_right_key(tmp_path: Path) -> None:
    """Missing, another, damaged, readable by others: each stops the start, names the file and says the next move."""
    database, store = opened(tmp_path)
    with database.transaction() as connection:
        store.set(connection, "a", VALUE, "me")
    database.close()
    path = tmp_path / KEY_FILE
    right = path.read_text(encoding="ascii")
    other = new_key()
    same_id = right.split(" ")[0] + " " + "A" * 43 + "=\n"
    for text, mode, kind, says in (
        (None, 0, AlteredError, "is missing, and 1 stored secret"),
        (f"{other.id} {'B' * 43}=\n", 0o600, AlteredError, "is another key"),
        (same_id, 0o600, AlteredError, "self-test"),
        ("nonsense", 0o600, AlteredError, "is not a key file"),
        (right, 0o640, RefusedError, "others may read it"),
        (right, 0o604, RefusedError, "others may read it"),
    ):
        path.unlink(missing_ok=True)
        if text is not None:
            path.touch(mode=0o600)
            path.write_text(text, encoding="ascii")
            path.chmod(mode)
        with pytest.raises(kind, match=says) as caught:
            opened(tmp_path)
        assert caught.value.hint
    path.chmod(0o600)
    database, store = opened(tmp_path)
    with database.transaction() as connection:
        assert store.open(connection, "a")[0] == VALUE
    database.close()


def test_a_new_key(tmp_path: Path) -> None:
    """Everything is encrypted anew, the old key is forgotten, the values stay."""
    database, store = opened(tmp_path)
    with database.transaction() as connection:
        store.set(connection, "a", VALUE, "me")
        store.set(connection, "a", VALUE + "2", "me")
    before = read_keys(tmp_path)
    with database.transaction() as connection:
        assert store.rotate_key(connection) == 2
    store.settle()
    after = read_keys(tmp_path)
    assert (len(before), len(after), before[0].id != after[0].id) == (1, 1, True)
    with database.transaction() as connection:
        assert {store.open(connection, "a", v)[0] for v in (1, 2)} == {VALUE, VALUE + "2"}
    database.close()


@pytest.mark.parametrize("committed", [False, True])
def test_a_crash_in_the_middle_of_a_rotation(tmp_path: Path, *, committed: bool) -> None:
    """Both keys are in the file until everything is encrypted with the new one: the next start ends what was begun."""
    database, store = opened(tmp_path)
    with database.transaction() as connection:
        store.set(connection, "a", VALUE, "me")
    old = read_keys(tmp_path)
    if committed:
        with database.transaction() as connection:
            store.rotate_key(connection)  # and no settle()
    else:
        write_keys(tmp_path, [new_key(), *old])
    database.close()
    assert len(read_keys(tmp_path)) == 2
    database, store = opened(tmp_path)
    assert len(read_keys(tmp_path)) == 1
    assert read_keys(tmp_path)[0].id != old[0].id
    with database.transaction() as connection:
        assert store.open(connection, "a")[0] == VALUE
    database.close()


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    """Every version goes, the pages too (secure_delete); the id stays with the name."""
    database, store = opened(tmp_path)
    with database.transaction() as connection:
        known, _ = store.set(connection, "a/b", VALUE, "me")
    sealed = (
        sqlite3.connect(tmp_path / "opsnb.db")
        .execute("SELECT sealed FROM secret_values WHERE name='a/b'")
        .fetchone()[0]
    )
    with database.transaction() as connection:
        assert store.remove(connection, "a/b") == known
        with pytest.raises(NotFoundError, match="no secret is called 'a/b'"):
            store.remove(connection, "a/b")
    database.close()
    assert sealed not in (tmp_path / "opsnb.db").read_bytes()
