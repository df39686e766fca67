"""Under continuous load a reload, a drain, a weight shift and a return lose no request and send none twice.

Clients of every kind at once: GET and POST on connections of their own, kept connections, answers that take a while and
are in flight when nginx reloads. Every request has a number; what came of it is a row, and what reached a back end is
counted there.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from nearby import carry_out, nearby
from nginx.load import SLOW, Load
from nginx.tier import Tier, tier
from opsnb.kits.nginx import shift, shiftwatch
from opsnb.kits.nginx.shift import Wanted

pytestmark = pytest.mark.slow
HOST = "near1"
SOME = 400  # requests before and after each change
LEAST = 1000  # requests of one test
KILLS = 10  # of the workers, at most


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    """A tier with three back ends and two workers."""
    folder = tmp_path_factory.mktemp("web")
    folder.chmod(0o755)
    with nearby(), tier(folder) as made:
        yield made


@pytest.fixture
def fresh(web: Tier) -> Tier:
    """The tier as written, loaded, nothing counted."""
    web.write()
    web.reload()
    web.forget()
    return web


def under_load(web: Tier, change: Callable[[Load], None]) -> Load:
    """Change something in the middle of a load; every request is answered once and reached one back end, once."""
    load = Load(address="127.0.0.1", port=web.port)
    with load.running():
        load.more(SOME)
        change(load)
        load.more(max(SOME, LEAST - len(load.rows)))
    counts = load.counts()
    assert load.lost() == []
    assert counts["lost"] == 0
    assert counts["requests"] >= LEAST
    assert min(counts[kind] for kind in ("get", "post", "keep", "slow")) > 5
    methods = {"post": "POST"}
    wanted = {f"{methods.get(row.kind, 'GET')} {row.number}": 1 for row in load.rows}
    assert dict(web.counted()) == wanted
    return load


def made(web: Tier, wanted: Wanted) -> None:
    """Carry a change out as a run does."""
    carry_out(shift.plan([HOST], wanted, conf=str(web.conf)))


def test_reloads(fresh: Tier) -> None:
    """Five reloads in a row, without any change."""

    def five(load: Load) -> None:
        for _ in range(5):
            fresh.reload()
            load.more(100)

    under_load(fresh, five)


def test_a_drain(fresh: Tier) -> None:
    """What is in flight finishes; once it is drained the back end gets nothing, and the wait says when that is."""
    server = fresh.backends["b"]
    moments: list[float] = []

    def drain(load: Load) -> None:
        wait_for_slow(load, "b")
        made(fresh, Wanted(action="drain", server=server))
        waited = shiftwatch.wait_drained([HOST], server, seconds=30, conf=str(fresh.conf))[HOST]
        assert waited.drained, waited
        moments.append(time.monotonic())

    load = under_load(fresh, drain)
    assert load.shares()["b"] > 20
    assert "b" not in load.shares(since=moments[0])


def test_a_drain_that_is_stopped_while_its_requests_run_ends_them(fresh: Tier) -> None:
    """The back end is really free afterwards: it is stopped when the wait is over, and still nothing is lost."""
    server = fresh.backends["c"]

    def drain(load: Load) -> None:
        wait_for_slow(load, "c")
        made(fresh, Wanted(action="drain", server=server))
        assert shiftwatch.wait_drained([HOST], server, seconds=30, conf=str(fresh.conf))[HOST].drained
        fresh.stop_backend("c")

    try:
        under_load(fresh, drain)
    finally:
        fresh.start_backend("c")


def test_weights_in_steps_and_a_return(fresh: Tier) -> None:
    """Drained, then back with weight 1, 2 and 4, each its own change; the last shares are those of the weights."""
    server = fresh.backends["a"]
    made(fresh, Wanted(action="drain", server=server))
    moments: list[float] = []

    def back(load: Load) -> None:
        plan = shift.plan([HOST], Wanted(action="return", server=server, steps=(1, 2), weight=4), conf=str(fresh.conf))
        assert len(plan.changes) == 3
        carry_out(plan)
        load.more(50)
        moments.append(time.monotonic())

    load = under_load(fresh, back)
    shares = load.shares(since=moments[0])
    assert shares["a"] / sum(shares.values()) == pytest.approx(4 / 6, abs=0.06)


def test_a_loss_would_be_seen(fresh: Tier) -> None:
    """The same load shows what a worker that is killed with its requests costs: the proof above can fail."""
    load = Load(address="127.0.0.1", port=fresh.port)
    with load.running():
        load.more(100)
        wait_for_slow(load, "b")
        for _ in range(KILLS):  # one may fall between two requests
            for worker in fresh.workers():
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            load.more(100)
            if load.lost():
                break
    assert load.lost() != []


def wait_for_slow(load: Load, name: str) -> None:
    """Wait until a back end has answered a slow request: by then others are in flight there."""
    end = time.monotonic() + 20
    while not any(row.kind == "slow" and row.backend == name for row in load.rows):
        assert time.monotonic() < end
        time.sleep(SLOW / 50)
