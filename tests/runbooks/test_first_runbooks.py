"""The first runbooks, executed for real by plain papermill: no control plane, no engine of ours."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from opsnb.control.catalog.lint import lint_notebook

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "runbooks").rglob("*.ipynb"))
FIRST = {
    "HST-001-triage": "hosts",
    "HST-002-facts": "hosts",
    "HST-003-drift": "hosts",
    "HST-020-notice-file": "hosts",
    "LOD-010-capacity-plan": "load",
}


def execute(runbook, folder, **parameters):
    """Run a runbook with plain papermill in a folder and return the executed notebook's path."""
    out = folder / f"{runbook}.out.ipynb"
    words = [w for k, v in parameters.items() for w in ("-p", k, str(v))]
    path = ROOT / "runbooks" / FIRST[runbook] / f"{runbook}.ipynb"
    argv = [sys.executable, "-m", "papermill", "--no-progress-bar", str(path), str(out), *words]
    environment = {**os.environ, "HOME": str(folder), "IPYTHONDIR": str(folder / "ipython")}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


COUNTED = []  # how many processes an independent reader saw on this machine while HST-001 was executed


@contextmanager
def meanwhile(look, seen):
    """Look over and over while the block runs: what others do on this machine comes and goes."""
    over = threading.Event()

    def on_and_on():
        seen.append(look())
        while not over.wait(0.05):
            seen.append(look())

    looking = threading.Thread(target=on_and_on)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()


@pytest.fixture(scope="module")
def triage(tmp_path_factory):
    """HST-001, executed once."""
    with meanwhile(lambda: len(psutil.pids()), COUNTED):
        return execute("HST-001-triage", tmp_path_factory.mktemp("hst"), seconds=0.3, top=5)


@pytest.fixture(scope="module")
def capacity_plan(tmp_path_factory):
    """LOD-010, executed once with its defaults."""
    return execute("LOD-010-capacity-plan", tmp_path_factory.mktemp("lod"))


def scraps(path):
    """Read glued values with scrapbook's own reader, in a process of its own: its imports warn."""
    code = "import json, sys, scrapbook; print(json.dumps(scrapbook.read_notebook(sys.argv[1]).scraps.data_dict))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def outputs(path):
    """Return all text of a notebook's outputs, and every picture with its alternative text."""
    text, pictures = "", []
    for cell in json.loads(path.read_text())["cells"]:
        for output in cell.get("outputs", []):
            text += "".join(output.get("text", [])) + "".join(output.get("data", {}).get("text/plain", [])) + "\n"
            if "image/png" in output.get("data", {}):
                alt = output["metadata"].get("image/png", {}).get("alt", "")
                pictures.append((base64.b64decode("".join(output["data"]["image/png"])), alt))
    return text, pictures


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda p: p.stem)
def test_a_runbook_in_the_repository_is_clean_and_lints(path):
    """No output, no execution count, no finding of the linter; cell ids are unique and name what the cell is for."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code)
    ids = [c["id"] for c in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert {"parameters", "setup", "summary"} <= {t for c in code for t in c["metadata"].get("tags", [])}
    assert lint_notebook(path, ROOT) == []


def test_the_first_runbooks_are_there():
    """Their folders and names are what the demo and scripts ask for."""
    assert {p.stem for p in RUNBOOKS} >= set(FIRST)


def test_the_capacity_plan_gives_eight_nodes_to_scrapbooks_reader(capacity_plan):
    """10 million views, 1,200 requests/s at 300 a node: 6 working + 2 spare, read back by scrapbook itself."""
    found = scraps(capacity_plan)
    assert (found["nodes"], found["working"], found["spare"]) == (8, 6, 2)
    assert found["working_other_reading"] == 6
    assert found["verdict_two_lost"] == "within headroom"


def test_the_capacity_plan_shows_both_readings_losses_and_growth(capacity_plan):
    """The sum, its other reading, N-1, N-2, 1.5 and 2 times the peak stand in the text, and one plot has words."""
    text, pictures = outputs(capacity_plan)
    assert "1,560 / 300 = 5.20" in text
    assert "= 5.71" in text
    assert re.search(r"2\.00 +2,400\.0 +2 +6 +133\.3 +OVERLOADED", text)
    assert text.count("PASS  ") == 3
    assert "FAIL  " not in text
    assert [alt for _, alt in pictures if len(alt) > 20]


def test_other_figures_give_other_nodes(tmp_path):
    """Parameters reach the plan: a larger peak and no spare, on plain papermill's own conversion of numbers."""
    found = scraps(execute("LOD-010-capacity-plan", tmp_path, peak=1300, spares=0))
    assert (found["nodes"], found["working"], found["spare"], found["working_other_reading"]) == (6, 6, 0, 7)


def test_triage_agrees_with_psutil(triage):
    """Counts and totals in the evidence are those of an independent reader."""
    found = scraps(triage)
    assert found["cpus"] == psutil.cpu_count()
    assert found["memory_total_mib"] == round(psutil.virtual_memory().total / 2**20)
    assert 0 <= found["cpu_busy_percent"] <= 100
    assert min(COUNTED) - 100 < found["processes"] < max(COUNTED) + 100
    assert set(found) >= {"findings_critical", "findings_warning", "findings_notice", "load_1min", "listening"}


def test_triage_reads_every_section_and_says_what_it_cannot_see(triage):
    """All checks pass without a control plane; the hidden owner of a socket is named with ss over SSH."""
    text, pictures = outputs(triage)
    assert text.count("PASS  ") == 4
    assert "FAIL  " not in text
    assert "sudo ss -ltnup" in text
    for caption in ("Processes by CPU", "Processes by memory", "Memory", "File systems", "What accepts connections",
                    "TCP sockets by state", "Rates of each interface", "Pressure stall"):  # fmt: skip
        assert caption in text
    assert len(pictures) == 4
    assert all(picture.startswith(b"\x89PNG") and len(alt) > 20 for picture, alt in pictures)


def test_triage_stops_nobody_with_stray_values_or_warnings(triage):
    """No cell leaves a bare True or a warning in the record."""
    for cell in json.loads(triage.read_text())["cells"]:
        for output in cell.get("outputs", []):
            assert output["output_type"] != "execute_result"
            assert output.get("name") != "stderr", output


def test_the_notice_runbook_changes_nothing_without_a_control_plane(tmp_path):
    """It shows the difference and the undo, says 'not in this mode' and ends normally; the directory stays empty."""
    folder = tmp_path / "notices"
    folder.mkdir()
    text, _ = outputs(execute("HST-020-notice-file", tmp_path, directory=folder, subject="Dark tonight"))
    assert "+Dark tonight" in text
    assert f"undo: remove {folder}/opsnb-notice.txt" in text
    assert "change: not in this mode" in text
    assert list(folder.iterdir()) == []


def test_the_notice_runbook_ends_normally_when_nothing_has_to_change(tmp_path):
    """A file that is right already gives an empty plan, and every cell after it still works."""
    path = tmp_path / "n.txt"
    path.write_text("S\n\nT\n\nContact: C\n")
    path.chmod(0o644)
    run = execute("HST-020-notice-file", tmp_path, directory=tmp_path, name="n.txt", subject="S", text="T", contact="C")
    assert "nothing has to change" in outputs(run)[0]
    assert scraps(run)["state"] == "unchanged"
    assert path.read_text() == "S\n\nT\n\nContact: C\n"


@pytest.mark.slow
def test_facts_of_this_machine_under_plain_papermill(tmp_path):
    """Without a control plane the facts of this machine are told, and agree with an independent reader."""
    interfaces = []
    with meanwhile(lambda: set(psutil.net_if_addrs()), interfaces):
        facts = scraps(execute("HST-002-facts", tmp_path))["facts"]["localhost"]
    assert facts["cpu"]["logical"] == psutil.cpu_count()
    assert facts["memory_mib"] == round(psutil.virtual_memory().total / 2**20)
    assert set(facts["addresses"]) <= set.union(*interfaces)
    assert facts["not_read"] == []


@pytest.mark.slow
def test_drift_of_one_machine_says_that_it_wants_two(tmp_path):
    """One host alone is not applicable, names HST-002, and every later cell still ends normally."""
    text, _ = outputs(execute("HST-003-drift", tmp_path))
    assert "NOT APPLICABLE: 1 host(s) chosen, and two or more can be compared; use HST-002 instead" in text
    assert "1 host was read; a comparison wants two or more" in text
    assert text.count("PASS  ") == 2
