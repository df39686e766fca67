"""The last look: what gets past every mask is put into quarantine, also after the control plane or supervisor died."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from opsnb.base.masking import Masker
from opsnb.control.runs.keep import Keeper, hits
from opsnb.control.runs.wire import Lines
from places import OPSNB, Place, files_below, notebook, wait_for

VALUE = "correct-horse-battery"


def masker() -> Masker:
    """Return a masker that knows the value."""
    made = Masker()
    made.register("db/prod", VALUE)
    return made


def test_a_notebook_that_was_not_masked(tmp_path: Path) -> None:
    """Its outputs are not kept, the original is in quarantine for the owner only, and both are said."""
    nb = json.loads(notebook("print(1)"))
    nb["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": f"it is {VALUE}\n"}]
    control, other = (Lines(s) for s in socket.socketpair())
    keeper = Keeper(tmp_path, tmp_path / "state/quarantine", masker())
    (tmp_path / "state").mkdir()
    keeper.notebook(nb, json.dumps(nb).encode(), control)
    assert VALUE not in (tmp_path / "run.ipynb").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "run.ipynb").read_bytes())["cells"][0]["source"] == "print(1)"
    assert keeper.quarantined == ["run.ipynb holds the value of secret db/prod"]
    (kept,) = (tmp_path / "state/quarantine").iterdir()
    assert (kept.stat().st_mode & 0o777, VALUE in kept.read_text(encoding="utf-8")) == (0o600, True)
    control.close()
    other.close()


def test_a_packed_file_that_is_none() -> None:
    """A broken archive, an encrypted one, an endless one: looked at as far as it goes, and nothing is raised."""
    for data in (b"PK\x03\x04" + b"x" * 100, b"\x1f\x8b" + b"x" * 100, b"PK\x03\x04", b"\x1f\x8b"):
        assert hits(masker(), data) == []
        assert hits(masker(), data + VALUE.encode()) == ["db/prod"]


def put(place: Place) -> None:
    """Store the secret."""
    argv = [str(OPSNB), "secret", "set", "db/prod", "--stdin"]
    subprocess.run(argv, cwd=place.root, input=VALUE.encode(), check=True, capture_output=True)


def running(place: Place) -> str:
    """Start a run that has printed the secret and left it in a file, and goes on."""
    place.add(
        "on", "import opsnb, time\nrun = opsnb.begin('SCN-001')\nv = opsnb.secret('db/prod').reveal()\n"
        "(run.files / 'x.txt').write_text(v)\nprint('was', v, flush=True)\ntime.sleep(60)",
        front="id: SCN-001\ntitle: t\npromise: p\nrisk: read\nowner: me\nsecrets: [db/prod]",
    )  # fmt: skip
    run = place.submit("SCN-001")
    place.wait_cell(run, "was")
    return run


def nothing_left(place: Place) -> None:
    """Nobody reads the value outside of quarantine."""
    for path, data in files_below(place.root):
        assert "quarantine" in path.parts or VALUE.encode() not in data, path


@pytest.mark.slow
def test_the_control_plane_is_killed(place: Place) -> None:
    """The next one ends the run: its record is masked, its file in quarantine, and the chain still verifies."""
    server = place.up()
    put(place)
    run = running(place)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    place.up()
    result = place.end(run)
    assert result["verdict"] == "ABORTED"
    assert any("quarantined: files/x.txt" in note for note in result["notes"])
    assert "«secret db/prod»" in json.dumps(place.executed(result), ensure_ascii=False)
    nothing_left(place)
    assert place.verify().returncode == 0


@pytest.mark.slow
def test_the_supervisor_is_killed(place: Place) -> None:
    """What it had saved was masked, and the control plane looks once more by itself."""
    place.up()
    put(place)
    run = running(place)
    import sqlite3

    with sqlite3.connect(f"file:{place.workspace.database}?mode=ro", uri=True) as connection:
        (pid,) = connection.execute("SELECT supervisor FROM runs WHERE id = ?", (run,)).fetchone()
    connection.close()
    os.kill(pid, signal.SIGKILL)
    result = place.end(run)
    assert result["verdict"] == "ABORTED"
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 30)
    nothing_left(place)
