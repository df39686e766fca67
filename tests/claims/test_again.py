"""What the state machine found, each by itself: second attempts, and the only person who starts once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from claims import world
from opsnb.base.errors import RefusedError
from opsnb.control.approvals.values import ActKind
from opsnb.control.database import Database
from opsnb.control.flows.approve import Deed, act_in, lapse
from opsnb.control.flows.claim import begin_next
from opsnb.control.flows.people_record import record
from opsnb.control.flows.submit import let, queue
from opsnb.control.people import changes
from opsnb.control.records import Mode, Verdict
from opsnb.control.runs import store

GROUND = world.MovedGround()
DAY = 86_400


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database."""
    path = tmp_path_factory.mktemp("again") / "opsnb.db"
    Database(path).close()
    made = world.hasty(Database(path))
    yield made
    made.close()


@pytest.fixture
def asked(database: Database) -> Any:
    """A request that anna asked for, on two hosts."""
    world.empty(database)
    with database.transaction() as connection:
        world.seal(connection, GROUND, "q", "anna", frozenset())
        world.put(connection, GROUND, "q", "anna", "asked", world.ZERO)
    return database


def say(database: Database, who: str, second: int) -> None:
    """Have somebody approve."""
    with database.transaction() as connection:
        deed = Deed(kind=ActKind.APPROVE)
        act_in(connection, GROUND.policies(), world.actor(connection, who), "q", deed, world.at(second))


def begin(database: Database, mode: Mode, second: int, undoes: str = "") -> tuple[str, str]:
    """Queue a run and claim it; return it with the cause that it was refused for."""
    with database.transaction() as connection:
        run = queue(connection, "q", "TST-100", "t", mode, "anna", undoes or None)
        connection.execute(store.locks.delete())
        assert begin_next(connection, GROUND, world.at(second)) == run
        refused = store.noted(connection, run, "refused")
    return run, refused[-1]["cause"] if refused else ""


def end(database: Database, run: str, **made: bool) -> None:
    """End a run, each change made or not."""
    with database.transaction() as connection:
        outcomes = {int(number[1:]): ok for number, ok in made.items()}
        world.end(connection, run, Verdict.DONE if all(made.values()) else Verdict.FAILED, outcomes)


def left_alone(database: Database) -> None:
    """Everybody but anna leaves."""
    with database.transaction() as connection:
        record(connection, [changes.SetActive(person=n, active=n == "anna") for n in world.PEOPLE], "anna")


@pytest.mark.parametrize("mode", [Mode.RETRY, Mode.UNDO])
def test_a_second_attempt_waits_for_the_first(asked: Database, mode: Mode) -> None:
    """Two retries or undos that were queued past every look: the second is not claimed before the first ended."""
    say(asked, "bob", 1)
    run, _ = begin(asked, Mode.APPLY, 2)
    assert begin(asked, mode, 3, run)[1] == "claimed"
    end(asked, run, n0=True, n1=False)
    first, cause = begin(asked, mode, 4, run)
    assert cause == ""
    assert begin(asked, mode, 5, run)[1] == "claimed"
    end(asked, first, **({"n1": True} if mode is Mode.RETRY else {"n0": True}))
    assert begin(asked, mode, 6, run)[1] == "claimed", "nothing is left of it"


def test_no_retry_of_what_was_undone(asked: Database) -> None:
    """A retry that stood in the queue when it was undone is not claimed afterwards."""
    say(asked, "bob", 1)
    run, _ = begin(asked, Mode.APPLY, 2)
    end(asked, run, n0=True, n1=False)
    undo, cause = begin(asked, Mode.UNDO, 3, run)
    assert cause == ""
    end(asked, undo, n0=True)
    assert begin(asked, Mode.RETRY, 4)[1] == "claimed"


def test_the_only_person_starts_what_another_approved(asked: Database) -> None:
    """Bob approved and left; the only person who is left approves by starting, instead of being told of bob."""
    say(asked, "bob", 1)
    left_alone(asked)
    with asked.transaction() as connection:
        let(connection, GROUND, world.actor(connection, "anna"), "q", world.at(2))
    assert begin(asked, Mode.APPLY, 3)[1] == ""


def test_the_only_person_starts_what_has_expired(asked: Database) -> None:
    """What the clock said of the first asking does not end the second: they need not plan anew."""
    say(asked, "bob", 1)
    left_alone(asked)
    lapse(world.services(asked, GROUND), world.at(8 * DAY))
    assert begin(asked, Mode.APPLY, 8 * DAY)[1] == "expired"
    with asked.transaction() as connection:
        let(connection, GROUND, world.actor(connection, "anna"), "q", world.at(8 * DAY + 1))
    assert begin(asked, Mode.APPLY, 8 * DAY + 2)[1] == ""


def test_who_is_not_alone_does_not(asked: Database) -> None:
    """With a second person nobody starts what has expired, their own or not."""
    lapse(world.services(asked, GROUND), world.at(8 * DAY))
    with asked.transaction() as connection, pytest.raises(RefusedError, match="expired"):
        let(connection, GROUND, world.actor(connection, "anna"), "q", world.at(8 * DAY + 1))
