"""What arrives between two steps is not lost: an order to stop a run that is just starting, a run while a worker looks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from opsnb.control.app import App
from opsnb.control.flows import execute, submit
from opsnb.control.flows.seal import Asked
from opsnb.control.records import RunState
from places import Place, wait_for

pytestmark = pytest.mark.slow
ASKED = Asked(runbook="runbooks/prints.ipynb")


@pytest.fixture
def app(place: Place) -> Iterator[App]:
    """A control plane in this process, with one worker and a notebook that prints."""
    place.settings(workers=1, kernel="spawn")  # nothing is warmed up
    place.add("prints", "print('ran')")
    made = App(place.workspace)
    yield made
    made.close()


def ended(app: App, run: str) -> tuple[str, str, list[str]]:
    """Wait for a run's end; return its verdict, its reason, and what became of its cells."""
    wait_for(lambda: app.run(run)["state"] == RunState.ENDED, 60)
    result = app.run(run)["result"]
    return result["verdict"], result["reason"], [cell["state"] for cell in result["cells"]]


def test_an_order_to_stop_that_comes_just_before_the_notebook(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the last look whether somebody stopped the run and its first cell there is no moment without effect."""
    look, looks = execute._stopped_by, []

    def then_stopped(services: Any, run: str) -> str:
        found = look(services, run)
        looks.append(found)
        if len(looks) == 2:  # the kernel is ready
            app.stop(run)
        return found

    monkeypatch.setattr(execute, "_stopped_by", then_stopped)
    app.start()
    verdict, reason, cells = ended(app, app.submit(ASKED))
    assert looks == ["", ""]
    assert (verdict, reason.partition(" by ")[0], cells) == ("ABORTED", "stopped", ["not executed"])


def test_a_control_plane_that_is_stopped_while_a_kernel_starts(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is being launched when the control plane is told to end is ended too, and nobody waits for its cells."""
    launch, wake, told = app.services.launcher.launch, app.services.wake, threading.Event()
    stopping = threading.Thread(target=app.stop_all)

    def slowly(**options: Any) -> Any:
        launched = launch(**options)
        if options.get("kernel", True):
            stopping.start()
            assert told.wait(20)  # every run that runs was ordered to end; this one does not run yet
        return launched

    def woken() -> None:
        told.set() if app._stopping.is_set() else None
        wake()

    monkeypatch.setattr(app.services.launcher, "launch", slowly)
    monkeypatch.setattr(app.services, "wake", woken)
    app.start()
    verdict, reason, cells = ended(app, app.submit(ASKED))
    stopping.join(20)
    assert (verdict, reason, cells) == ("ABORTED", "the control plane was stopped", ["not executed"])


def test_a_run_that_comes_while_a_worker_looks(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is queued just after a worker has found nothing is begun at once: the worker does not wait before."""
    said: list[str] = []
    claim, work = app._claim, app.services.work

    def then_queued() -> str | None:
        found = claim()
        if found is None and not said:
            said.append(app.submit(ASKED))
        elif found is not None:
            said.append(found)
        return found

    class Watched(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            said.append("waited")
            return super().wait(timeout)

    monkeypatch.setattr(app, "_claim", then_queued)
    app.services.work = Watched(work._lock)  # type: ignore[attr-defined]
    app.start()
    wait_for(lambda: len(said) > 1, 30)
    assert said[0] == said[1]


def test_asking_twice_at_once_is_asking_once(app: App) -> None:
    """A client that lost its answer asks again while the first question is worked on: one run, and both are told it."""
    told: list[str] = []
    askers = [
        threading.Thread(target=lambda: told.append(app.submit(replace(ASKED, submission="the same"))))
        for _ in range(8)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(told) == 8
    assert [row["run"] for row in app.runs(100)] == list(set(told))


def test_a_question_that_was_cut_off_in_the_middle(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control plane that died between sealing and queueing is asked again: the sealed request is queued then."""

    def dies(*_: Any, **__: Any) -> str:
        raise KeyboardInterrupt

    asked = replace(ASKED, submission="the same")
    with monkeypatch.context() as patch:
        patch.setattr(submit, "queue", dies)
        with pytest.raises(KeyboardInterrupt):
            app.submit(asked)
    run = app.submit(asked)
    assert app.submit(asked) == run
    assert [row["run"] for row in app.runs(100)] == [run]
