"""The order of a release: masker, ledger, supervisor's word, and only then the kernel."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from opsnb.cli.workspace import make
from opsnb.control.app import App
from opsnb.control.flows.execute import Conductor
from opsnb.control.flows.seal import blob_path
from opsnb.control.ledger.store import head, read
from opsnb.control.records import Mode
from opsnb.control.runs.launcher import Launched
from opsnb.control.runs.wire import Lines
from places import Place, notebook

pytestmark = pytest.mark.slow

VALUE = "correct-horse-battery"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A control plane that runs nothing."""
    place = Place(tmp_path_factory.mktemp("order") / "ws")
    make(place.root)
    place.settings(kernel="spawn")
    made = App(place.workspace)
    made.start()
    made.set_secret("db/prod", VALUE, rotate=False)
    blob = blob_path(made.services, "0" * 64)
    blob.parent.mkdir(exist_ok=True)
    blob.write_bytes(notebook("1"))
    yield made
    made.close()


class Ends:
    """A conductor with a supervisor and a kernel that this test plays."""

    def __init__(self, app: App, run: str) -> None:
        control, self.supervisor = (Lines(s) for s in socket.socketpair())
        link, self.kernel = (Lines(s) for s in socket.socketpair())
        body = {"secrets": ["db/prod"], "parameters": {}, "notebook": "0" * 64, "path": "x", "hosts": []}
        self.conductor = Conductor(app.services, run, "q", Mode.READ, body, Launched(control=control, link=link, pid=0))

    def asks(self, *names: str) -> None:
        """The kernel asks; the conductor hears it."""
        for number, name in enumerate(names):
            self.kernel.send({"id": number, "op": "secret", "name": name})
        self.conductor._answer(self.conductor.launched.link)

    def says(self, number: int) -> None:
        """The supervisor has registered it; the conductor hears it."""
        self.supervisor.send({"ev": "masked", "id": number})
        self.conductor._hear(self.conductor.launched.control)

    def close(self) -> None:
        """Close all four ends."""
        for end in (self.supervisor, self.kernel, self.conductor.launched.control, self.conductor.launched.link):
            end.close()


def test_the_kernel_waits_for_the_supervisor(app: App) -> None:
    """Until the supervisor has acknowledged, the kernel has nothing; masker and ledger have it before."""
    ends = Ends(app, "r-order")
    ends.asks("db/prod")
    (order,) = ends.supervisor.arrived()
    assert order == {"op": "mask", "id": 1, "name": "db/prod", "value": VALUE}
    assert ends.kernel.arrived() == []
    assert ends.conductor.conversation.masker.text(VALUE) == "«secret db/prod»"
    with app.services.database.transaction() as connection:
        entries = [e.value for e in read(connection, 0, head(connection).size)]
    assert [e["purpose"] for e in entries if e.get("run") == "r-order"] == ["reveal"]
    ends.says(1)
    assert ends.kernel.arrived() == [{"id": 0, "ok": True, "value": VALUE}]
    ends.close()


def test_asking_twice_does_not_jump_the_queue(app: App) -> None:
    """A kernel that asks again before the first answer gets neither before its own acknowledgement; a refusal at once."""
    ends = Ends(app, "r-twice")
    ends.asks("db/prod", "db/prod", "db/other")
    assert [m["id"] for m in ends.supervisor.arrived()] == [1, 2]
    assert [(m["id"], m["ok"]) for m in ends.kernel.arrived()] == [(2, False)]
    ends.says(2)
    assert [m["id"] for m in ends.kernel.arrived()] == [1]
    ends.says(1)
    assert [m["id"] for m in ends.kernel.arrived()] == [0]
    ends.close()


def test_a_supervisor_that_is_gone_keeps_the_value(app: App) -> None:
    """Where nobody masks any more, nothing is released."""
    ends = Ends(app, "r-gone")
    ends.supervisor.close()
    ends.asks("db/prod")
    assert VALUE not in json.dumps(ends.kernel.arrived())
    ends.close()


def test_the_log_is_masked(app: App) -> None:
    """What a run was given does not reach the control plane's log, tracebacks included."""
    import logging

    from opsnb.web.server import MaskedFormatter

    app.services.masker("r-log").register("db/prod", VALUE)
    try:
        raise ValueError(f"it was {VALUE}")  # noqa: TRY301
    except ValueError:
        import sys

        record = logging.LogRecord("opsnb", logging.ERROR, "x", 1, "got %s", (VALUE,), sys.exc_info())
    said = MaskedFormatter(app).format(record)
    assert VALUE not in said
    assert said.count("«secret db/prod»") >= 2
