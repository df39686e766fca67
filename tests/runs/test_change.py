"""Plan, apply, drift, undo: nothing is changed that was not planned, and what was changed can be put back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from places import Place

pytestmark = pytest.mark.slow

FRONT = """
id: TST-{n:03}
title: Write a file
promise: The file holds the text.
risk: change
owner: tests
touches: one file
undo: restores the file
writes: ["{{directory}}"]
parameters:
  directory: {{kind: directory}}
"""
SETUP = "import opsnb\nfrom opsnb.kits import files\nrun = opsnb.begin('TST-{n:03}')"
PROPOSE = (
    "plan = files.plan_file('localhost', directory + '/note.txt', 'Hello ${name}\\n', {'name': name}, '0644')\n"
    "plan = run.propose(plan)"
)
CHANGE = "run.change(plan)"
CHECK = "run.check('as planned', files.read_file(directory + '/note.txt'), plan.changes[0].after)\nrun.finish()"
PARAMETERS = "directory: str = '/tmp'  # where\nname: str = 'world'  # who"


def add(place: Place, number: int, *cells: str) -> None:
    """Put a runbook of risk change into the workspace."""
    place.add(f"TST-{number:03}", SETUP.format(n=number), *cells, front=FRONT.format(n=number), parameters=PARAMETERS)


def planned(place: Place, number: int, folder: Path, **values: str) -> dict[str, Any]:
    """Plan a runbook and return the result."""
    return place.end(place.submit(f"TST-{number:03}", values={"directory": str(folder), **values}))


def applied(place: Place, number: int, plan: dict[str, Any]) -> dict[str, Any]:
    """Apply a planned request and return the result."""
    return place.end(place.submit(f"TST-{number:03}", mode="apply", request=plan["request"]))


def undone(place: Place, run: str) -> dict[str, Any]:
    """Undo a run and return the result."""
    return place.end(place.client.post(f"/api/runs/{run}/undo")["run"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory that a run may write."""
    path = tmp_path / "target"
    path.mkdir()
    return path


def test_plan_apply_undo(up: Place, folder: Path) -> None:
    """A plan changes nothing; its application makes exactly the change; its undo restores byte for byte."""
    note = folder / "note.txt"
    note.write_bytes(b"old\n")
    note.chmod(0o640)
    add(up, 1, PROPOSE, CHANGE, CHECK)
    plan = planned(up, 1, folder, name="operations 运维")
    assert (plan["verdict"], plan["mode"]) == ("PLANNED", "plan")
    assert note.read_bytes() == b"old\n"
    assert plan["plan"]["changes"][0]["after"]["content"] == "Hello operations 运维\n"
    done = applied(up, 1, plan)
    assert (done["verdict"], done["mode"]) == ("DONE", "apply")
    assert note.read_text(encoding="utf-8") == "Hello operations 运维\n"
    back = undone(up, done["run"])
    assert (back["verdict"], back["mode"]) == ("DONE", "undo")
    assert (note.read_bytes(), note.stat().st_mode & 0o777) == (b"old\n", 0o640)
    manifest = json.loads((up.record(done) / "manifest.json").read_bytes())
    assert manifest["record"]["approvals"][0]["self"] is True
    kinds = up.kinds(done["run"])
    assert kinds[-4:] == ["intent.opened", "intent.closed", "run.finished", "run.recorded"]
    assert up.verify().returncode == 0


def test_the_record_says_that_it_was_approved_by_oneself(up: Place, folder: Path) -> None:
    """While the workspace has one person, self-approval is allowed, and page and ledger say so."""
    add(up, 2, PROPOSE, CHANGE, CHECK)
    done = applied(up, 2, planned(up, 2, folder))
    assert "self" in (up.record(done) / "run.html").read_text(encoding="utf-8").lower()
    lines = (up.root / "outputs/ledger/entries.jsonl").read_text(encoding="utf-8").splitlines()
    approved = [json.loads(x) for x in lines if '"request.approved"' in x]
    assert any(e["request"] == done["request"] and e["self"] is True for e in approved)


def test_it_drifted(up: Place, folder: Path) -> None:
    """A file edited between plan and apply ends the run as DRIFTED, and nothing is touched."""
    add(up, 3, PROPOSE, CHANGE, CHECK)
    plan = planned(up, 3, folder)
    (folder / "note.txt").write_text("edited meanwhile")
    done = applied(up, 3, plan)
    assert done["verdict"] == "DRIFTED"
    assert (folder / "note.txt").read_text() == "edited meanwhile"
    assert "intent.opened" not in up.kinds(done["run"])[-3:]


def test_it_drifted_at_the_last_moment(up: Place, folder: Path) -> None:
    """`before` is compared once more just before the change: an edit after the check stops it too."""
    late = f"open('{folder}/note.txt', 'w').write('late') if run.mode == 'apply' else None"
    add(up, 4, PROPOSE, late, CHANGE, CHECK)
    plan = planned(up, 4, folder)
    done = applied(up, 4, plan)
    assert done["verdict"] == "DRIFTED"
    assert (folder / "note.txt").read_text() == "late"


def test_it_is_applied_once(up: Place, folder: Path) -> None:
    """A request is applied once; a second application is refused and names the first."""
    add(up, 5, PROPOSE, CHANGE, CHECK)
    plan = planned(up, 5, folder)
    done = applied(up, 5, plan)
    refused = up.opsnb("run", "TST-005", "--mode", "apply", "--request", plan["request"])
    assert refused.returncode == 3
    assert done["run"] in refused.stderr
    undone(up, done["run"])
    again = up.opsnb("runs", "undo", done["run"])
    assert again.returncode == 3


def test_apply_needs_a_request_and_takes_no_parameters(up: Place, folder: Path) -> None:
    """Apply without a request is refused (3); parameters beside a request are bad usage (2)."""
    add(up, 6, PROPOSE, CHANGE, CHECK)
    assert up.opsnb("run", "TST-006", "-p", f"directory={folder}", "--mode", "apply").returncode == 3
    plan = planned(up, 6, folder)
    more = up.opsnb("run", "TST-006", "--mode", "apply", "--request", plan["request"], "-p", "name=mallory")
    assert more.returncode == 2
    assert not (folder / "note.txt").exists()


def test_a_changed_notebook_voids_the_request(up: Place, folder: Path) -> None:
    """One byte more in the notebook after the plan, and the request is void; another notebook's change voids nothing."""
    add(up, 7, PROPOSE, CHANGE, CHECK)
    plan = planned(up, 7, folder)
    up.add("unrelated", "1")
    path = up.root / "runbooks" / "TST-007.ipynb"
    data = path.read_bytes()
    path.write_bytes(data + b"\n")
    refused = up.opsnb("run", "TST-007", "--mode", "apply", "--request", plan["request"])
    assert refused.returncode == 3
    assert "changed since" in refused.stderr
    path.write_bytes(data)
    assert applied(up, 7, plan)["verdict"] == "DONE"


def test_no_change_outside_apply(up: Place, folder: Path) -> None:
    """In mode plan the link refuses intents, and the kernel cannot write where apply could."""
    sneak = (
        "from opsnb.base.errors import LinkError\ntry:\n    run._link.ask('intent', change=0)\n"
        "except LinkError as e:\n    print('refused:', e)\n"
        f"try:\n    open('{folder}/note.txt', 'w')\nexcept PermissionError:\n    print('no writing')"
    )
    add(up, 8, PROPOSE + "\n" + sneak, CHANGE, CHECK)
    plan = planned(up, 8, folder)
    assert plan["verdict"] == "PLANNED"
    texts = json.dumps(up.executed(plan))
    assert "refused: no change is let through in mode plan" in texts
    assert "no writing" in texts
    assert not (folder / "note.txt").exists()
    assert up.states(plan)[-2:] == ["not executed", "not executed"]


def test_a_change_that_dies_is_lost(up: Place, folder: Path) -> None:
    """A kernel that dies between a change's intent and its result leaves LOST, never ABORTED."""
    die = (
        "import os\nfrom opsnb.runbook import actuators\nfrom dataclasses import replace\n"
        "found = actuators.find('linux.file')\n"
        "actuators.register(replace(found, apply=lambda *a: os.kill(os.getpid(), 9)))\nrun.change(plan)"
    )
    add(up, 9, PROPOSE, die, CHECK)
    done = applied(up, 9, planned(up, 9, folder))
    assert done["verdict"] == "LOST"
    assert "intent.closed" in up.kinds(done["run"])
    lines = (up.root / "outputs/ledger/entries.jsonl").read_text(encoding="utf-8").splitlines()
    closed = [json.loads(x) for x in lines if '"intent.closed"' in x and done["run"] in x]
    assert [e["outcome"] for e in closed] == ["unknown"]


def test_a_failed_check_fails(up: Place, folder: Path) -> None:
    """The verdict comes from checks, whatever the last cell prints; a failed one names itself."""
    wrong = "run.check('the answer is right', 41, 42)\nrun.finish()\nprint('DONE')"
    add(up, 10, PROPOSE, CHANGE, wrong)
    done = applied(up, 10, planned(up, 10, folder))
    assert done["verdict"] == "FAILED"
    assert "the answer is right" in done["reason"]


def test_writes_never_reach_the_evidence(up: Place) -> None:
    """A runbook that asks to write into outputs/, .opsnb/ or above them is refused before anything starts."""
    add(up, 11, PROPOSE, CHANGE, CHECK)
    for path in (up.root / "outputs", up.root / ".opsnb", up.root, Path("/")):
        refused = up.opsnb("run", "TST-011", "-p", f"directory={path}")
        assert refused.returncode == 3, refused.stderr


def test_it_does_not_apply(up: Place) -> None:
    """A runbook that says that it is the wrong one ends NOT_APPLICABLE, and names the right one."""
    front = "id: TST-020\ntitle: t\npromise: p\nrisk: read\nowner: o"
    no = (
        "import opsnb\nrun = opsnb.begin('TST-020')\nrun.applicable(False, 'nginx is not installed', instead='HST-001')"
    )
    up.add("TST-020", no, "print('not reached')", front=front)
    result = up.json("run", "TST-020")
    assert (result["verdict"], up.states(result)) == ("NOT_APPLICABLE", ["completed", "not executed"])
    assert "HST-001" in result["reason"]


def test_a_file_parameter_is_staged(up: Place, tmp_path: Path) -> None:
    """A file is sealed by digest and lies in the kernel's scratch folder under its own name."""
    front = "id: TST-021\ntitle: t\npromise: p\nrisk: read\nowner: o\nparameters:\n  capture: {kind: file}"
    cell = "import opsnb\nrun = opsnb.begin('TST-021')\nrun.evidence('text', open(capture).read())\nrun.finish()"
    up.add("TST-021", cell, front=front, parameters="capture: str = ''  # a file")
    (tmp_path / "bytes.pcap").write_text("captured")
    result = up.json("run", "TST-021", "-p", f"capture={tmp_path / 'bytes.pcap'}")
    assert (result["verdict"], result["evidence"]) == ("DONE", {"text": "captured"})


def test_files_left_are_kept(up: Place) -> None:
    """What a run leaves in run.files is kept with digests; a link there is named and not followed."""
    front = "id: TST-022\ntitle: t\npromise: p\nrisk: read\nowner: o"
    cell = (
        "import opsnb, os\nrun = opsnb.begin('TST-022')\n(run.files / 'a').mkdir()\n"
        "(run.files / 'a' / 'table.csv').write_text('x,y\\n')\nos.symlink('/etc/passwd', run.files / 'link')\nrun.finish()"
    )
    up.add("TST-022", cell, front=front)
    result = up.json("run", "TST-022")
    assert result["verdict"] == "DONE"
    assert (up.record(result) / "files/a/table.csv").read_text() == "x,y\n"
    assert not (up.record(result) / "files/link").exists()
    assert any("link" in n for n in result["notes"])
    assert up.verify().returncode == 0
