"""Tampering with the ledger in the database: the control plane does not start on it, and says what is wrong."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsnb.base.errors import AlteredError
from opsnb.control.database import open_engine
from opsnb.control.ledger.signer import Signer
from opsnb.control.ledger.tree import leaf_hash
from places import Place
from prove.scene import PROVE, SEED, Scene, Tally, altered_database, both_programs

pytestmark = pytest.mark.slow
TRIALS = 100 if PROVE else 6  # for each column of ledger_entries
Change = Callable[[sqlite3.Connection], object]


def state(scene: Scene, at: Path) -> Path:
    """Return a copy of the state directory."""
    return Path(
        shutil.copytree(scene.root / ".opsnb", at / ".opsnb", ignore=shutil.ignore_patterns("blobs", "reserve"))
    )


def refused(place: Path) -> str:
    """Return why the signer refuses the database; empty when it does not."""
    engine = open_engine(place / "opsnb.db")
    try:
        with engine.begin() as connection:
            Signer.open(place, "test").check(connection)
    except AlteredError as error:
        return error.message
    finally:
        engine.dispose()
    return ""


def started(place: Place) -> str:
    """Return why the real program does not start; it must not."""
    done = place.opsnb("runs", "list", "--limit", "1")
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


def other_value(chance: random.Random, value: Any) -> Any:
    """Return a value with one byte changed, of the same type."""
    if value is None:
        return "x"
    if isinstance(value, int):
        return value ^ (1 << chance.randrange(12))
    data = bytearray(value.encode() if isinstance(value, str) else value)
    data[chance.randrange(len(data))] ^= chance.randrange(1, 128)
    return data.decode("latin-1") if isinstance(value, str) else bytes(data)


def set_value(table: str, column: str, key: int, value: Any) -> Change:
    """Return the change of one value."""
    name = "idx" if table == "ledger_entries" else "id"
    return lambda c: c.execute(f'UPDATE OR IGNORE {table} SET "{column}" = ? WHERE {name} = ?', (value, key))  # noqa: S608


def rows(place: Path, table: str) -> list[dict[str, Any]]:
    """Return all rows of a table."""
    connection = sqlite3.connect(place / "opsnb.db")
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1")]  # noqa: S608
    finally:
        connection.close()


@pytest.mark.parametrize("column", sorted(["idx", "data", "leaf", "end", "kind", "run", "request"]))
def test_any_byte_of_an_entry(scene: Scene, tmp_path: Path, tally: Tally, column: str) -> None:
    """A changed byte in any column of any entry is found by the check at start, and its entry is named."""
    chance = random.Random(f"{SEED}{column}")  # noqa: S311 - a seeded sample, no secret
    place = state(scene, tmp_path)
    entries = rows(place, "ledger_entries")
    pristine = (place / "opsnb.db").read_bytes()
    missed = []
    for _ in range(TRIALS):
        row = chance.choice(entries)
        value = other_value(chance, row[column])
        if column == "idx":
            value = len(entries) + value  # a place that is free
        altered_database(place, set_value("ledger_entries", column, row["idx"], value))
        why = refused(place)
        good = f"ledger entry {row['idx']} " in why
        tally.note(
            f"a byte of ledger_entries.{column}",
            f"entry {row['idx']}: {row[column]!r} as {value!r}: {why!r}",
            found=good,
        )
        missed += [] if good else [(row["idx"], value, why)]
        (place / "opsnb.db").write_bytes(pristine)
    assert not refused(place)
    assert not missed


@pytest.mark.parametrize("column", sorted(["id", "size", "frontier", "root"]))
def test_any_byte_of_the_head(scene: Scene, tmp_path: Path, tally: Tally, column: str) -> None:
    """A changed byte in any column of the head row is found by the check at start."""
    chance = random.Random(f"{SEED}{column}")  # noqa: S311 - a seeded sample, no secret
    place = state(scene, tmp_path)
    (head,) = rows(place, "ledger_head")
    pristine = (place / "opsnb.db").read_bytes()
    missed = []
    for _ in range(TRIALS):
        value = other_value(chance, head[column])
        while column == "frontier" and value.lower().split() == head[column].split():  # see "a frontier in capitals"
            value = other_value(chance, head[column])
        altered_database(place, set_value("ledger_head", column, 1, value))
        why = refused(place)
        tally.note(f"a byte of ledger_head.{column}", f"{head[column]!r} as {value!r}: {why!r}", found=bool(why))
        missed += [] if why else [value]
        (place / "opsnb.db").write_bytes(pristine)
    assert not missed


def _delete(index: str) -> Change:
    return lambda c: c.execute(f"DELETE FROM ledger_entries WHERE idx = {index}")  # noqa: S608


def _swap(c: sqlite3.Connection) -> None:
    for old, new in ((7, -1), (8, 7), (-1, 8)):
        c.execute("UPDATE ledger_entries SET idx = ? WHERE idx = ?", (new, old))


def _insert(index: str) -> Change:
    columns = f'SELECT {index}, data, leaf, "end", kind, run, request FROM ledger_entries WHERE idx = 5'  # noqa: S608
    return lambda c: c.execute(f"INSERT INTO ledger_entries {columns}")


def _insert_between(c: sqlite3.Connection) -> None:
    c.execute("UPDATE ledger_entries SET idx = -idx WHERE idx >= 9")
    c.execute("UPDATE ledger_entries SET idx = 1 - idx WHERE idx < 0")
    _insert("9")(c)


def _cut(c: sqlite3.Connection) -> None:
    c.execute("DELETE FROM ledger_entries WHERE idx >= 9")


def _forge(c: sqlite3.Connection) -> None:
    """Let another person have done it, in a row that fits itself in every column."""
    rows = c.execute("SELECT idx, data FROM ledger_entries ORDER BY idx").fetchall()
    index, data, value = next((i, d, v) for i, d in rows[3:] if "by" in (v := json.loads(d)))
    forged = data.replace(value["by"].encode(), b"u-" + b"0" * (len(value["by"]) - 2))
    assert forged != data
    c.execute("UPDATE ledger_entries SET data = ?, leaf = ? WHERE idx = ?", (forged, leaf_hash(forged), index))


LAST = "(SELECT max(idx) FROM ledger_entries)"
CHANGES: dict[str, tuple[Change, str]] = {
    "a row deleted": (_delete("7"), "ledger entry 7 "),
    "the first row deleted": (_delete("0"), "ledger entry 0 "),
    "the last row deleted": (_delete(LAST), "ledger entry "),
    "two rows swapped": (_swap, "ledger entry 7 "),
    "a row inserted between": (_insert_between, "ledger entry 9 "),
    "a row inserted behind the head": (_insert(f"{LAST} + 1"), "ledger entry "),
    "a row inserted before the first": (_insert("-1"), "ledger entry "),
    "cut back": (_cut, "ledger entry 9 "),
    "emptied": (lambda c: c.execute("DELETE FROM ledger_entries"), "ledger entry 0 "),
    "the head row deleted": (lambda c: c.execute("DELETE FROM ledger_head"), "the database holds 0 ledger entries"),
    "a second head row": (
        lambda c: c.execute("INSERT INTO ledger_head SELECT 0, size, frontier, root FROM ledger_head"), "ledger"
    ),
    "data and leaf forged together": (_forge, "ledger entries are not those that were signed"),
    "text in place of bytes": (
        lambda c: c.execute("UPDATE ledger_entries SET data = CAST(data AS TEXT) WHERE idx = 7"), "ledger entry 7 "
    ),
    "a frontier in capitals": (lambda c: c.execute("UPDATE ledger_head SET frontier = upper(frontier)"), "head row"),
    "a word in place of the size": (lambda c: c.execute("UPDATE ledger_head SET size = 'many'"), "head row"),
    "a fraction as the size": (lambda c: c.execute("UPDATE ledger_head SET size = 7.5"), "head row"),
    "the end of time as the size": (lambda c: c.execute("UPDATE ledger_head SET size = 9223372036854775807"), "head row"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_changed_rows(scene: Scene, tmp_path: Path, tally: Tally, name: str) -> None:
    """Rows deleted, swapped, inserted, forged: the check at start refuses, and names the first bad entry."""
    place = state(scene, tmp_path)
    change, message = CHANGES[name]
    altered_database(place, change)
    try:
        why = refused(place)
    except Exception as error:
        tally.note("rows of the ledger's tables", f"{name}: {error!r} in place of a message", found=False)
        raise
    tally.note("rows of the ledger's tables", f"{name}: {why!r}", found=bool(why))
    assert message in why


@pytest.mark.parametrize("name", ["a row deleted", "data and leaf forged together"])
def test_the_program_does_not_start(scene: Scene, tmp_path: Path, name: str) -> None:
    """On an altered ledger `opsnb runs list` is 1 and names the first bad entry; nothing is published."""
    place = scene.workspace(tmp_path)
    change, message = CHANGES[name]
    altered_database(place.workspace.state, change)
    assert message in started(place)
    assert both_programs(scene, place.root / "outputs", head=scene.kept["end"], key=scene.vkey) == (0, [])


def test_an_older_database(scene: Scene, tmp_path: Path, tally: Tally) -> None:
    """A database restored from the middle is older than the head that was signed last: the program says so."""
    place = scene.workspace(tmp_path)
    shutil.copy(scene.middle / ".opsnb/opsnb.db", place.workspace.database)
    why = started(place)
    tally.note("a restored older database", why, found="it is an older one" in why)
    assert "it is an older one" in why


def test_an_older_database_with_its_own_head(scene: Scene, tmp_path: Path, tally: Tally) -> None:
    """Who restores the kept head as well goes on from the middle; the auditor's head says that history was cut back."""
    place = scene.workspace(tmp_path)
    shutil.rmtree(place.workspace.state)
    shutil.copytree(scene.middle / ".opsnb", place.workspace.state)
    done = place.opsnb("audit", "checkpoint")
    assert done.returncode in {0, 1}, done.stderr
    code, problems = both_programs(scene, place.root / "outputs", head=scene.kept["end"], key=scene.vkey)
    good = code == (1 if done.returncode == 0 else 0)
    tally.note("a restored older database", f"with its head: {problems[:1]}", found=good)
    assert good
    assert done.returncode == 1 or problems[0].startswith("--head")


@pytest.mark.parametrize("how", ["missing", "emptied", "a byte", "older"])
def test_the_kept_head(scene: Scene, tmp_path: Path, tally: Tally, how: str) -> None:
    """A kept head that is missing, empty or changed is refused by name; an older one of ours is contained."""
    place = state(scene, tmp_path)
    head = place / "ledger-head"
    data = bytearray(head.read_bytes())
    head.unlink()
    if how == "older":
        shutil.copy(scene.middle / ".opsnb/ledger-head", head)
        assert not refused(place)
        return
    if how != "missing":
        data[len(data) // 2] ^= 1
        head.write_bytes(b"" if how == "emptied" else data)
    why = refused(place)
    tally.note("the kept head", f"{how}: {why}", found="ledger-head" in why)
    assert "ledger-head" in why
