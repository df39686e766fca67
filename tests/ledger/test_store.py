"""An entry is appended with the state change that it records, or not at all; indices have no gaps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

from opsnb.base.errors import AlteredError, OpsnbError, UsageError
from opsnb.control.ledger import store
from opsnb.control.ledger.events import IntentOpened, LedgerOpened, RunStopped
from opsnb.control.ledger.tree import leaf_hash, root

DIGEST = "cd" * 32


def stopped(run: str = "r-1") -> RunStopped:
    """Return an event about a run."""
    return RunStopped(run=run, by="p-1")


def test_a_ledger_begins_once(log: Any) -> None:
    """Entry 0 is ``ledger.opened``; it is neither repeated nor left out."""
    with log.transaction() as connection:
        assert store.open_ledger(connection, "opsnb.example/other") is None
        with pytest.raises(UsageError, match=r"ledger\.opened"):
            store.append(connection, LedgerOpened(origin="opsnb.example/other"))
    with log.transaction() as connection:
        connection.execute(text("DELETE FROM ledger_head"))
        with pytest.raises(UsageError, match="entry 0"):
            store.append(connection, stopped())


def test_positions_are_the_tree(log: Any) -> None:
    """Each position's index, size and root are those of the tree over all entries so far."""
    positions = [log.append(stopped(f"r-{n}"))[0] for n in range(20)]
    with log.transaction() as connection:
        entries = list(store.read(connection))
        head = store.head(connection)
    leaves = [leaf_hash(entry.data) for entry in entries]
    assert [entry.index for entry in entries] == list(range(21))
    assert [entry.leaf for entry in entries] == leaves
    for position in positions:
        assert (position.size, position.leaf) == (position.index + 1, leaves[position.index])
        assert position.root == root(leaves[: position.size])
    assert (head.size, head.root) == (21, root(leaves))


def test_a_rollback_leaves_no_gap(log: Any) -> None:
    """An entry goes with its transaction: after a rollback the next one takes its index."""

    class ChangedMyMindError(Exception):
        pass

    def lost() -> None:
        with log.transaction() as connection:
            assert store.append(connection, stopped("r-lost")).index == 1
            raise ChangedMyMindError

    with pytest.raises(ChangedMyMindError):
        lost()
    (position,) = log.append(stopped("r-kept"))
    assert position.index == 1
    with log.transaction() as connection:
        assert [e.value.get("run") for e in store.read(connection)] == [None, "r-kept"]


def test_threads_take_turns(log: Any) -> None:
    """Many threads append at once: every index once, and the root is that of the whole."""

    def work(number: int) -> None:
        for n in range(10):
            log.append(stopped(f"r-{number}-{n}"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with log.transaction() as connection:
        entries = list(store.read(connection))
        assert store.head(connection).root == root([e.leaf for e in entries])
    assert [e.index for e in entries] == list(range(41))


def test_reading_in_pieces(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows are held in memory, the entries come whole and in order, with the ends of their lines."""
    log.append(*(stopped(f"r-{n}") for n in range(10)))
    monkeypatch.setattr(store, "READ_AT_ONCE", 3)
    with log.transaction() as connection:
        entries = list(store.read(connection))
        assert [e.index for e in entries] == list(range(11))
        assert [e.index for e in store.read(connection, 2, 9)] == list(range(2, 9))
        assert [e.index for e in store.read(connection, 5, 5)] == []
        assert [store.end_of(connection, n) for n in (0, 1, 11)] == [0, entries[0].end, entries[10].end]
    lengths = [len(e.data) + 1 for e in entries]
    assert [e.end for e in entries] == [sum(lengths[: n + 1]) for n in range(11)]


def test_what_speaks_of_a_run(log: Any) -> None:
    """``about`` finds the entries that name a run or its request, ``latest`` the newest of a kind."""
    request = log.request()
    folder = log.run(request, plan=True)
    log.append(stopped("r-other"), IntentOpened(run=folder.name, change=0))
    with log.transaction() as connection:
        found = store.about(connection, run=folder.name, request=request["id"])
        latest = store.latest(connection, "run.stopped")
        assert store.latest(connection, "run.stopped", run=folder.name) is None
    assert [e.value["kind"] for e in found] == [
        "request.sealed", "run.claimed", "plan.proposed", "run.finished", "run.recorded", "intent.opened",
    ]  # fmt: skip
    assert latest is not None
    assert latest.value["run"] == "r-other"


def test_a_damaged_head_is_named(log: Any) -> None:
    """A head row that does not fit itself stops every append."""
    log.append(stopped())
    for values in ({"root": bytes(32)}, {"frontier": "[]"}, {"frontier": "nothing"}, {"frontier": '["zz"]'}):
        with log.engine.connect() as connection:
            connection.execute(update(store.ledger_head).values(**values))
            with pytest.raises(AlteredError, match="head row"):
                store.append(connection, stopped())
            connection.rollback()


def test_a_missing_entry_is_named(log: Any) -> None:
    """An entry taken out of the database is missed at the next append."""
    log.append(stopped())
    with log.transaction() as connection:
        connection.execute(text("DELETE FROM ledger_entries WHERE idx = 1"))
    with pytest.raises(AlteredError, match="entry 1"):
        log.append(stopped())


def test_only_a_committed_head_is_signed(log: Any) -> None:
    """A head that may still be rolled back is not signed; after the commit it is."""
    with log.transaction() as connection:
        store.append(connection, stopped())
        with pytest.raises(OpsnbError, match="commit first"):
            log.signer.checkpoint(connection)
    assert log.checkpoint().startswith(b"opsnb.example/test\n2\n")


@given(st.lists(st.lists(st.booleans(), max_size=4), max_size=8))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_commits_and_rollbacks(new_log: Callable[..., Any], transactions: list[list[bool]]) -> None:
    """Whatever commits and rolls back, the entries are exactly the committed ones, and the root is over them."""
    import secrets

    log = new_log(secrets.token_hex(4))
    kept: list[str] = []
    for number, steps in enumerate(transactions):
        names = [f"r-{number}-{n}" for n in range(len(steps))]
        with log.engine.connect() as connection:
            for name in names:
                store.append(connection, stopped(name))
            if all(steps):
                connection.commit()
                kept += names
            else:
                connection.rollback()
    with log.transaction() as connection:
        entries = list(store.read(connection))
        assert [e.value["run"] for e in entries[1:]] == kept
        assert store.head(connection).root == root([leaf_hash(e.data) for e in entries])
