"""verify.py beside a control plane that is writing: an honest outputs/ is never called altered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ledger.evidence import (
    CHECKPOINT,
    PROVE,
)
from opsnb.control.ledger import verify
from opsnb.control.ledger.events import RunStopped

MakeLog = Callable[..., Any]


@pytest.fixture
def writing(log: Any) -> Iterator[Any]:
    """A ledger to which runs are added while the test looks at it."""
    log.fill()
    stop = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            request = log.request()
            while not stop.is_set():
                log.run(request, files={"x": b"y" * 100})
                log.publish()
                time.sleep(0.05)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    yield log
    stop.set()
    thread.join()
    assert not failed


def test_a_ledger_that_is_being_written(writing: Any) -> None:
    """Looked at again and again while runs come in, an honest outputs/ is never called altered."""
    for _ in range(100 if PROVE else 12):
        report = verify.verify_path(str(writing.outputs))
        assert report.ok, report.problems


def test_a_run_that_enters_late(log: Any) -> None:
    """A recorded run whose folder is renamed in a moment after the checkpoint that covers it is waited for."""
    folder = log.run(log.request())
    log.publish()
    folder.rename(log.outputs / ".incoming/late")
    timer = threading.Timer(0.3, (log.outputs / ".incoming/late").rename, (folder,))
    timer.start()
    report = verify.verify_path(str(log.outputs))
    timer.join()
    assert report.ok, report.problems


def test_entries_that_are_not_signed_yet(log: Any) -> None:
    """Whole entries behind the checkpoint are not covered yet: what was signed is intact."""
    log.publish()
    old = (log.outputs / CHECKPOINT).read_bytes()
    log.append(RunStopped(run="r-1", by="p-1"))
    log.publish()
    (log.outputs / CHECKPOINT).write_bytes(old)
    report = verify.verify_path(str(log.outputs))
    assert report.ok, report.problems


def test_a_checkpoint_that_comes_late(log: Any) -> None:
    """A run that is already there and covered by the next checkpoint only is waited for."""
    log.publish()
    log.run(log.request())
    timer = threading.Timer(0.3, log.publish)
    timer.start()
    report = verify.verify_path(str(log.outputs))
    timer.join()
    assert report.ok, report.problems
