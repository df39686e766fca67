"""Sixteen who reach for the same change at once: threads or processes, each with a connection of its own."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from claims import world
from opsnb.control.approvals.values import ActKind
from opsnb.control.database import Database
from opsnb.control.flows.approve import Deed, act_in
from opsnb.control.flows.claim import begin_next
from opsnb.control.flows.submit import queue
from opsnb.control.records import Mode
from opsnb.control.runs import claims, store

CLAIMERS = 16
EACH = 20  # every so many rounds each claimer has a queued run of its own for the same application
LONG = 900  # seconds that one waits for the others


def is_crowded(number: int) -> bool:
    """Whether in a round every claimer has a run, of which one may be granted; else all reach for one run."""
    return number % EACH == 0


def prepare(database: Database) -> None:
    """Queue the application of a request that was asked for and approved, past every earlier look."""
    ground = world.MovedGround()
    with database.transaction() as connection:
        number = connection.execute(select(func.count()).select_from(store.requests)).scalar_one()
        request = f"q{number}"
        world.seal(connection, ground, request, "dora", frozenset(), 1)
        world.put(connection, ground, request, "dora", "asked", world.ZERO)
        bob, yes = world.actor(connection, "bob"), Deed(kind=ActKind.APPROVE)
        act_in(connection, ground.policies(), bob, request, yes, world.ZERO)
        for _ in range(CLAIMERS if is_crowded(number) else 1):
            queue(connection, request, "TST-100", "t", Mode.APPLY, "dora")


def claim(where: Path | str, rounds: int, barrier: Any) -> None:
    """Reach for what every round has prepared."""
    own, ground = world.hasty(Database(where)), world.MovedGround()
    try:
        for _ in range(rounds):
            barrier.wait(LONG)
            with own.transaction() as connection:
                begin_next(connection, ground, world.at(1))
    except BaseException:
        barrier.abort()
        raise
    finally:
        own.close()


def race(where: Path | str, rounds: int, *, processes: bool) -> None:
    """Let sixteen claimers race, round after round."""
    database = world.hasty(Database(where))
    world.empty(database)
    database.close()  # nobody inherits a connection
    fork = multiprocessing.get_context("fork")
    arguments = (where, rounds)
    if processes:
        barrier = fork.Barrier(CLAIMERS, action=lambda: prepare(database))
        claimers: list[Any] = [fork.Process(target=claim, args=(*arguments, barrier)) for _ in range(CLAIMERS)]
    else:
        barrier = threading.Barrier(CLAIMERS, action=lambda: prepare(database))  # type: ignore[assignment]
        claimers = [threading.Thread(target=claim, args=(*arguments, barrier)) for _ in range(CLAIMERS)]
    for one in claimers:
        one.start()
    for one in claimers:
        one.join()
    database.close()
    assert not any(one.exitcode for one in claimers if processes)


def check(database: Database, rounds: int) -> None:
    """Each request was claimed exactly once, each run begun exactly once, and who came too late was told so."""
    with database.transaction() as connection:
        found = connection.execute(select(claims.claims.c.request)).scalars().all()
        runs = list(connection.execute(select(store.runs.c.id, store.runs.c.request, store.runs.c.fence)))
        noted = select(store.notes.c.value).where(store.notes.c.kind == "refused")
        refused = connection.execute(noted).scalars().all()
    assert sorted(found) == sorted(f"q{n}" for n in range(rounds))
    crowded = sum(is_crowded(n) for n in range(rounds))
    assert len(runs) == rounds + crowded * (CLAIMERS - 1)
    assert {fence for _, _, fence in runs} == {1}
    assert len(refused) == crowded * (CLAIMERS - 1)
    assert {value["cause"] for value in refused} <= {"claimed"}
