"""AUD-001 on real workspaces through the real program, and opened by hand with plain papermill."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsnb.cli.workspace import make
from places import Place

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "runbooks" / "audit" / "AUD-001-audit-trail.ipynb"
EVIDENCE = {"entries", "root", "runs", "covered", "uncovered", "altered", "self_approved", "verified"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A served workspace in which runs ended well and badly, and a change was planned and applied."""
    up = Place(tmp_path_factory.mktemp("lived") / "ws")
    make(up.root)
    up.settings(cell_timeout="10m")
    for area in ("hosts", "audit"):
        shutil.copytree(ROOT / "runbooks" / area, up.root / "runbooks" / area)
    try:
        up.up()
        yield _lived(up)
    finally:
        up.close()


def _lived(up: Place) -> Place:
    up.add("well", "print(1)")
    up.add("badly", "raise ValueError('on purpose')")
    folder = up.root / "notices"
    folder.mkdir()
    for name, verdict in (("well", "DONE"), ("badly", "FAILED"), ("well", "DONE")):
        assert up.end(up.submit(f"runbooks/{name}.ipynb"))["verdict"] == verdict
    plan = up.end(up.submit("HST-020", values={"directory": str(folder)}))
    assert up.end(up.submit("HST-020", mode="apply", request=plan["request"]))["verdict"] == "DONE"
    return up


def audited(place: Place, *more: str):
    """Run AUD-001 on a workspace's own outputs/ and return its result."""
    return place.json("run", "AUD-001", "-p", f"outputs={place.root / 'outputs'}", *more)


def text_of(notebook) -> str:
    """Return all text that a notebook's cells put out."""
    outputs = [o for cell in notebook["cells"] for o in cell.get("outputs", [])]
    return "\n".join("".join(o.get("text", o.get("data", {}).get("text/plain", ""))) for o in outputs)


def test_a_whole_trail_is_proven_while_the_control_plane_writes_it(lived):
    """DONE on the workspace that it runs in; evidence counts what happened, and the own run is not a gap."""
    found = audited(lived)
    assert (found["verdict"], len(found["checks"])) == ("DONE", 3), found["reason"]
    evidence = found["evidence"]
    assert set(evidence) == EVIDENCE
    assert evidence["runs"] == evidence["covered"] >= 5
    assert (evidence["uncovered"], evidence["altered"], evidence["self_approved"]) == (0, 0, 1)
    assert evidence["verified"] is True
    lines = (lived.root / "outputs/ledger/entries.jsonl").read_text().splitlines()
    own = next(e["index"] for e in map(json.loads, lines) if e["kind"] == "run.finished" and e["run"] == found["run"])
    assert 0 < evidence["entries"] <= own
    text = text_of(lived.executed(found))
    assert "1 of 1 approvals were of one's own request" in text
    assert "claimed and left                    0" in text


def test_two_plots_carry_words_and_no_cell_warns(lived):
    """The record shows the growth and the verdicts; every plot has its alternative text."""
    outputs = [o for c in lived.executed(audited(lived))["cells"] for o in c.get("outputs", [])]
    plots = [o["metadata"]["image/png"]["alt"] for o in outputs if "image/png" in o.get("data", {})]
    assert len(plots) == 2
    assert all(len(alt) > 20 for alt in plots)
    assert [o for o in outputs if o.get("name") == "stderr" or o["output_type"] == "execute_result"] == []


def test_runs_that_go_on_meanwhile_are_not_gaps(lived):
    """A run that waits in its first cell while the audit looks is told as worked on."""
    lived.add("waits", "import time\nprint('here', flush=True)\ntime.sleep(600)")
    waiting = lived.submit("runbooks/waits.ipynb")
    lived.wait_cell(waiting, "here")
    assert lived.opsnb("audit", "checkpoint").returncode == 0  # publishes the ledger, with both runs open
    found = audited(lived)
    assert lived.opsnb("runs", "stop", waiting).returncode == 0
    assert lived.end(waiting)["verdict"] == "ABORTED"
    assert found["verdict"] == "DONE", found["reason"]
    assert waiting in text_of(lived.executed(found))
    assert found["evidence"]["uncovered"] == 0


def test_a_kept_head_is_held_against_the_ledger(lived, tmp_path):
    """An own copy of an earlier head is contained; an earlier verification is listed in the next one."""
    kept = tmp_path / "kept"
    shutil.copy(lived.root / "outputs/ledger/checkpoint", kept)
    first = audited(lived)
    found = audited(lived, "-p", f"head={kept}")
    assert found["verdict"] == "DONE", found["reason"]
    assert found["checks"][-1]["what"] == "the kept head is contained in the ledger"
    assert found["checks"][-1]["want"] == json.loads(json.dumps(found["checks"][-1]["got"]))
    assert first["run"] in text_of(lived.executed(found))


def test_a_head_of_another_ledger_fails_the_audit(lived, tmp_path):
    """A history that was replaced does not contain the kept head, however consistent it is in itself."""
    kept = tmp_path / "kept"
    lines = (lived.root / "outputs/ledger/checkpoint").read_text(encoding="utf-8").split("\n")
    kept.write_text("\n".join([lines[0], "3", *lines[2:]]), encoding="utf-8")
    found = audited(lived, "-p", f"head={kept}")
    assert found["verdict"] == "FAILED"
    assert [c["ok"] for c in found["checks"]] == [False, True, True, False]


def test_one_changed_byte_in_a_record_fails_the_audit_and_is_named(lived):
    """FAILED, with the file in the reason and in the check; put back, the next audit is DONE again."""
    victim = lived.record(lived.end(lived.submit("runbooks/well.ipynb"))) / "run.html"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    found = audited(lived)
    victim.write_bytes(whole)
    assert found["verdict"] == "FAILED"
    assert found["evidence"]["verified"] is False
    assert found["evidence"]["altered"] >= 1
    assert str(victim.relative_to(lived.root / "outputs")) in found["checks"][0]["got"]
    assert audited(lived)["verdict"] == "DONE"


def test_a_record_that_was_taken_away_is_not_covered(lived):
    """Coverage names the run, beside the verifier."""
    folder = lived.record(lived.end(lived.submit("runbooks/well.ipynb")))
    aside = lived.root / "aside"
    folder.rename(aside)
    found = audited(lived)
    aside.rename(folder)
    assert (found["verdict"], found["evidence"]["uncovered"]) == ("FAILED", 1)
    assert found["checks"][2]["got"] == [f"{folder.name}: its folder is missing"]


def test_a_folder_without_a_ledger_is_not_for_this_runbook(lived, tmp_path):
    """NOT_APPLICABLE, with what was looked for."""
    found = lived.json("run", "AUD-001", "-p", f"outputs={tmp_path}")
    assert found["verdict"] == "NOT_APPLICABLE"
    assert "ledger/checkpoint" in found["reason"]


def test_by_hand_it_shows_the_same_and_records_nothing(lived, tmp_path):
    """Plain papermill, no control plane: the trail is whole, every check passes."""
    out = tmp_path / "out.ipynb"
    argv = [sys.executable, "-m", "papermill", "--no-progress-bar", str(RUNBOOK), str(out),
            "-p", "outputs", str(lived.root / "outputs")]  # fmt: skip
    environment = {**os.environ, "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    text = text_of(json.loads(out.read_bytes()))
    assert (text.count("PASS  "), text.count("FAIL  ")) == (3, 0)
    assert "INTACT  (verify.py" in text
    assert "nothing was recorded" in text
