"""The first runbooks on our own engine, and the one that changes something through its whole life."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from places import Place, notebook, text_of

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "runbooks").rglob("*.ipynb"))
OLD = b"an older notice\r\nwithout a last newline"


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda p: p.name[:7])
def test_a_runbook_completes_on_the_engine_without_a_control_plane(path, tmp_path):
    """`papermill --engine opsnb` executes every code cell, says so in each, and leaves the repository's file alone."""
    before = path.read_bytes()
    out = tmp_path / "out.ipynb"
    given = ["-p", "directory", str(tmp_path)] if path.name.startswith(("HST-020", "SCR-010")) else []
    if path.name.startswith("SCR-010"):
        scripts = ROOT / "runbooks" / "scripts"
        given += ["-p", "script", str(scripts / "mark.sh"), "-p", "undo", str(scripts / "mark-undo.sh")]
    argv = [sys.executable, "-m", "papermill", "--engine", "opsnb", "--no-progress-bar", str(path), str(out), *given]
    environment = {**os.environ, "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    notebook = json.loads(out.read_bytes())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert {cell["metadata"]["opsnb"]["state"] for cell in code} == {"completed"}
    assert not [o for cell in code for o in cell["outputs"] if o["output_type"] == "error"]
    assert "nothing was recorded" in "".join("".join(o.get("text", "")) for o in code[-1]["outputs"])
    assert path.read_bytes() == before
    assert not (tmp_path / "opsnb-notice.txt").exists()


@pytest.fixture
def notice(place: Place, tmp_path: Path) -> Path:
    """A workspace with the notice runbook, and the path that it writes; nothing is there yet."""
    shutil.copytree(ROOT / "runbooks" / "hosts", place.root / "runbooks" / "hosts")
    folder = tmp_path / "notices"
    folder.mkdir()
    return folder / "opsnb-notice.txt"


@pytest.mark.parametrize("old", [None, OLD], ids=["new file", "replaced file"])
def test_the_notice_is_planned_written_and_undone_byte_for_byte(place, notice, old):
    """A plan touches nothing, apply writes what was planned, undo brings back content and mode, or no file at all."""
    if old is not None:
        notice.write_bytes(old)
        notice.chmod(0o600)
    plan = place.json("run", "HST-020", "-p", f"directory={notice.parent}", "-p", "mode=0640")
    assert plan["verdict"] == "PLANNED"
    assert (notice.read_bytes() if old is not None else notice.exists()) == (old if old is not None else False)

    applied = place.json("run", "HST-020", "--mode", "apply", "--request", plan["request"])
    assert (applied["verdict"], applied["evidence"]["state"]) == ("DONE", "written"), applied["reason"]
    assert b"Contact: platform on call\n" in notice.read_bytes()
    assert stat.S_IMODE(notice.stat().st_mode) == 0o640

    undone = place.json("runs", "undo", applied["run"])
    assert undone["verdict"] == "DONE", undone["reason"]
    assert all(check["ok"] for check in undone["checks"])
    left = [(path.name, path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in notice.parent.iterdir()]
    assert left == ([] if old is None else [(notice.name, OLD, 0o600)])
    assert place.verify().returncode == 0


def test_a_file_that_changed_after_the_plan_is_left_alone(place, notice):
    """Somebody else's edit between plan and apply ends the run DRIFTED, and the edit stays."""
    plan = place.json("run", "HST-020", "-p", f"directory={notice.parent}")
    notice.write_text("written by hand meanwhile\n", encoding="utf-8")
    applied = place.json("run", "HST-020", "--mode", "apply", "--request", plan["request"])
    assert applied["verdict"] == "DRIFTED", applied["reason"]
    assert notice.read_text(encoding="utf-8") == "written by hand meanwhile\n"
    assert [path.name for path in notice.parent.iterdir()] == [notice.name]


def test_a_plain_kernel_queues_without_limit(tmp_path):
    """`papermill --engine opsnb` has the kernel queue every message: the stock one drops what waits behind 1000 others."""
    path, out = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    path.write_bytes(
        notebook(
            "from ipykernel.kernelapp import IPKernelApp\nprint('limit', IPKernelApp.instance().iopub_thread.socket.sndhwm)",
            "for i in range(20_000):\n    print(i, flush=True)",
        )
    )
    argv = [sys.executable, "-m", "papermill", "--engine", "opsnb", "--no-progress-bar", str(path), str(out)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    limit, flood = json.loads(out.read_bytes())["cells"]
    assert text_of(limit) == "limit 0\n"
    assert text_of(flood).split() == [str(i) for i in range(20_000)]
