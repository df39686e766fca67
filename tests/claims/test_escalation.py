"""The clock calls further people by itself: nobody has to act, and whoever is called is told and finds it in the list."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from claims import world
from claims.test_again import DAY
from opsnb.control.approvals import store as approvals
from opsnb.control.database import Database
from opsnb.control.flows import requests, telling
from opsnb.control.flows.approve import lapse
from opsnb.control.notify.values import NoticeKind

GROUND = world.MovedGround()
GROUND.policy = "escalated"
HALF_HOUR = 1800


@pytest.fixture
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """What dan asked for, that carol may approve, and anna too after half an hour."""
    made = world.hasty(Database(tmp_path_factory.mktemp("escalation") / "opsnb.db"))
    world.empty(made)
    with made.transaction() as connection:
        world.seal(connection, GROUND, "q", "dan", frozenset())
        world.put(connection, GROUND, "q", "dan", "asked", world.ZERO)
    yield made
    made.close()


def seen(database: Database, who: str, second: int) -> tuple[list[str], list[str]]:
    """Return who may approve it, and of what kind the notices of somebody are."""
    services = world.services(database, GROUND)
    with database.transaction() as connection:
        actor = world.actor(connection, who)
    able = requests.shown(services, actor, "q", world.at(second))["able"]
    return able, [row["kind"] for row in telling.mine(services, actor)["notices"]]


def test_the_clock_calls_by_itself(asked: Database) -> None:
    """A second before nobody else is called; at the time they are, once, told, and the next look is for the end."""
    services = world.services(asked, GROUND)
    lapse(services, world.at(HALF_HOUR - 1))
    assert seen(asked, "anna", HALF_HOUR - 1) == (["carol"], [])
    for second in (HALF_HOUR, HALF_HOUR + 1, HALF_HOUR + 2):
        lapse(services, world.at(second))
    able, told = seen(asked, "anna", HALF_HOUR + 3)
    assert {"anna", "carol"} <= set(able)
    assert told == [NoticeKind.ESCALATED]
    with asked.transaction() as connection:
        acts = [act.kind for act in approvals.acts_of(connection, "q")]
        assert (acts.count("escalate"), approvals.lapsed(connection, world.at(HALF_HOUR + 4))) == (1, [])
        assert len(approvals.lapsed(connection, world.at(8 * DAY))) == 1


def test_a_list_tells_the_end_and_not_the_next_look(asked: Database) -> None:
    """Until when a request takes approvals stands in lists as in what is shown of it, however often the clock looks before."""
    services = world.services(asked, GROUND)
    with asked.transaction() as connection:
        actor = world.actor(connection, "anna")
    (row,) = requests.listed(services, actor, now=world.at(1))["requests"]
    assert row["until"] == requests.shown(services, actor, "q", world.at(1))["until"]
