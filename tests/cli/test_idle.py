"""A control plane that was started for a command ends when nobody needs it, and not under who comes in that moment."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from opsnb.base.errors import UnavailableError
from opsnb.base.workspace import Workspace
from opsnb.client import control
from opsnb.client.control import answers, connect
from places import Place, wait_for

pytestmark = pytest.mark.slow
# It waits between its decision to end and its end, once, until the test says so.
SERVER = """
import sys, time, threading
from pathlib import Path
from opsnb.base.workspace import Workspace
from opsnb.web import server
server.FIRST_SECONDS = server.LINGER_SECONDS = 0.05
own, deciding, go = Workspace.socket, Path(sys.argv[1], "deciding"), Path(sys.argv[1], "go")
def socket(workspace):
    if threading.current_thread()._target is server._end and not deciding.exists():
        deciding.touch()
        while not go.exists(): time.sleep(0.01)
    return own.fget(workspace)
Workspace.socket = property(socket)
sys.exit(server.main())
"""


def test_who_comes_while_it_ends_is_served(place: Place) -> None:
    """Between its last look and the end of its socket somebody asks for a run: it goes on, and ends after that run."""
    place.settings(kernel="spawn")
    place.add("one", "print(1)")
    reader, writer = os.pipe()
    argv = [sys.executable, "-c", SERVER, str(place.root), "--until-idle", "--ready-fd", str(writer)]
    with subprocess.Popen(argv, pass_fds=(writer,), stdin=subprocess.DEVNULL) as process:
        os.close(writer)
        with os.fdopen(reader) as said:
            assert said.read() == "ready\n"
        wait_for((place.root / "deciding").exists, 60, process)
        told: list[dict[str, Any]] = []
        run = place.submit("runbooks/one.ipynb")
        following = threading.Thread(target=lambda: told.extend(place.client.events(run)))
        following.start()
        (place.root / "go").touch()
        following.join(90)
        assert process.wait(60) == 0
    assert told[-1]["ev"] == "end", told
    assert told[-1]["result"]["verdict"] == "DONE"
    assert not place.workspace.socket.exists()


def test_one_that_is_starting_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds the lock taken a moment ago waits as long as a start may take, and starts nothing beside it meanwhile."""
    place.settings(kernel="spawn")
    place.workspace.state.mkdir(mode=0o700)
    lock = os.open(place.workspace.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    monkeypatch.setattr(control, "RETRY_SECONDS", 0.2)
    start, begun, free = control.start, [], threading.Event()

    def noted(workspace: Workspace) -> bool:
        begun.append(free.is_set())
        return start(workspace)

    def let_go() -> None:
        free.set()
        os.close(lock)

    monkeypatch.setattr(control, "start", noted)
    letting_go = threading.Timer(1.0, let_go)
    letting_go.start()
    assert answers(connect(place.workspace))
    letting_go.join()
    assert begun == [True]
    place.rest()
    lock = os.open(place.workspace.lock, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.utime(lock, (0, 0))  # long ago
    with pytest.raises(UnavailableError, match=r"holds .* and does not answer"):
        connect(place.workspace)
    os.close(lock)
