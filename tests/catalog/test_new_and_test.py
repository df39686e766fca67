"""`opsnb runbook new` and `opsnb runbook test`: the real program, real workspaces, real runs."""

from __future__ import annotations

import json

import pytest

from places import Place

pytestmark = pytest.mark.slow

SCRIPT = """\
#!/bin/bash
# @param level: int = 3  # how much is kept
# @param who: str = "ops"  # whom to tell
# @undo rotate-undo.sh
set -eu
printf '%s' "$who" > "rotated.$level"
echo "rotated for $who"
test "$level" -lt 9
"""
UNDO = 'rm -- "rotated.$level"\n'


@pytest.fixture
def scripts(up: Place):
    """A script and its undo, in the workspace."""
    (up.root / "scripts").mkdir(exist_ok=True)
    (up.root / "scripts/rotate.sh").write_text(SCRIPT)
    (up.root / "scripts/rotate-undo.sh").write_text(UNDO)
    return up.root / "scripts"


def new(place: Place, *argv: str):
    """Write a runbook; return what the program says."""
    return place.json("runbook", "new", *argv)


def applied(place: Place, plan):
    """Apply a planned request."""
    return place.end(place.submit(plan["runbook"], mode="apply", request=plan["request"]))


def test_a_new_reading_runbook_runs(up: Place) -> None:
    """Written in one command, it lints clean, runs, checks, and its record is kept."""
    assert new(up, "HST-301", "Look at the disks") == {
        "id": "HST-301", "path": "runbooks/hosts/HST-301-look-at-the-disks.ipynb", "findings": [],
    }  # fmt: skip
    assert up.opsnb("runbook", "lint", "HST-301", "--strict").returncode == 0
    done = up.opsnb("runbook", "test", "HST-301", "-p", "limit=50")
    assert done.returncode == 0, done.stderr
    assert "lint    nothing to put right" in done.stdout
    assert "PASS  the file systems were read" in done.stdout
    assert "DONE" in done.stdout


def test_a_new_changing_runbook_is_planned_applied_undone(up: Place, tmp_path) -> None:
    """The test plans it and changes nothing; applied it writes the file; undone it takes it back."""
    path = new(up, "CFG-301", "Write: a #note", "--risk", "change", "--area", "own")["path"]
    assert path == "runbooks/own/CFG-301-write-a-note.ipynb"
    tested = up.json("runbook", "test", "CFG-301", "-p", f"directory={tmp_path}", "-p", "text=a ${b}")
    assert (tested["ok"], tested["findings"], tested["result"]["verdict"]) == (True, [], "PLANNED")
    assert list(tmp_path.iterdir()) == []
    done = applied(up, tested["result"])
    assert done["verdict"] == "DONE"
    assert (tmp_path / "cfg-301.txt").read_text() == "a ${b}\n"
    back = up.end(up.client.post(f"/api/runs/{done['run']}/undo")["run"])
    assert (back["verdict"], list(tmp_path.iterdir())) == ("DONE", [])


def test_a_script_is_planned_applied_undone(up: Place, scripts, tmp_path) -> None:
    """The plan binds script, values and undo; apply runs it once, confined; the undo is the second script."""
    made = new(up, "HST-302", "Rotate", "--from-script", str(scripts / "rotate.sh"))
    assert made["findings"] == []
    value = "o'ps $(touch pwned) 运维"
    plan = up.json("runbook", "test", "HST-302", "-p", f"directory={tmp_path}", "-p", f"who={value}")["result"]
    assert plan["verdict"] == "PLANNED"
    (change,) = plan["plan"]["changes"]
    assert change["target"]["script"] == SCRIPT
    assert change["target"]["undo"] == UNDO
    assert change["target"]["environment"] == {"level": "3", "who": value}
    assert list(tmp_path.iterdir()) == []
    (scripts / "rotate.sh").write_text("touch elsewhere\n")  # what was sealed is in the notebook
    done = applied(up, plan)
    assert done["verdict"] == "DONE"
    assert (tmp_path / "rotated.3").read_text() == value
    assert {p.name for p in tmp_path.iterdir()} == {"rotated.3", ".opsnb-rotate.sh.json"}
    back = up.end(up.client.post(f"/api/runs/{done['run']}/undo")["run"])
    assert (back["verdict"], list(tmp_path.iterdir())) == ("DONE", [])
    assert up.verify().returncode == 0


def test_a_script_that_fails_is_failed_and_undone(up: Place, scripts, tmp_path) -> None:
    """Its exit code is a check: the run FAILED, and what it left behind is undone all the same."""
    new(up, "HST-303", "Rotate", "--from-script", str(scripts / "rotate.sh"))
    plan = up.json("runbook", "test", "HST-303", "-p", f"directory={tmp_path}", "-p", "level=9")["result"]
    done = applied(up, plan)
    assert done["verdict"] == "FAILED"
    assert [(c["got"], c["want"]) for c in done["checks"]] == [(1, 0)]
    assert (tmp_path / "rotated.9").exists()
    back = up.end(up.client.post(f"/api/runs/{done['run']}/undo")["run"])
    assert (back["verdict"], list(tmp_path.iterdir())) == ("DONE", [])


def test_a_script_ran_in_between(up: Place, scripts, tmp_path) -> None:
    """A plan that is older than another run of the same script drifts, and nothing runs."""
    new(up, "HST-304", "Rotate", "--from-script", str(scripts / "rotate.sh"))
    old, young = (
        up.json("runbook", "test", "HST-304", "-p", f"directory={tmp_path}", "-p", f"level={n}")["result"] for n in "12"
    )
    assert applied(up, young)["verdict"] == "DONE"
    assert applied(up, old)["verdict"] == "DRIFTED"
    assert not (tmp_path / "rotated.1").exists()


def test_a_confined_script_writes_nowhere_else(up: Place, tmp_path) -> None:
    """What a script may write is its directory; the rest of the machine is refused to it, also as root."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    file = up.root / "wide.sh"
    file.write_text('#!/bin/sh\ntouch here && touch "$1/there"\n')
    new(up, "HST-305", "Wide", "--from-script", str(file))
    plan = up.json("runbook", "test", "HST-305", "-p", f"directory={inside}", "-p", f'arguments=["{outside}"]')
    done = applied(up, plan["result"])
    assert done["verdict"] == "FAILED"
    assert (list(outside.iterdir()), (inside / "here").exists()) == ([], True)


def test_new_refuses_what_it_cannot_do(up: Place, tmp_path) -> None:
    """A taken id, a wrong one, a script that is not there, an undo that is not, a wrong comment, a file in the way."""
    new(up, "HST-306", "One")
    bad = tmp_path / "bad.sh"
    bad.write_text("#!/bin/sh\n# @param x: int = y  # l\n")
    lost = tmp_path / "lost.sh"
    lost.write_text("#!/bin/sh\n# @undo gone.sh\n")
    (up.root / "runbooks/hosts/HST-308-there.ipynb").write_text("{")
    for argv, says in (
        (("HST-306", "Two"), "is taken by runbooks/hosts/HST-306-one.ipynb"),
        (("hst-307", "Two"), "wanted one such as HST-030"),
        (("HST-307", "a\nb"), "one line of plain text"),
        (("HST-307", "a", "--area", "../x"), "--area"),
        (("HST-307", "a", "--from-script", str(tmp_path / "none.sh")), "none.sh is not a file"),
        (("HST-307", "a", "--from-script", str(tmp_path)), "is not a file"),
        (("HST-307", "a", "--from-script", str(lost)), "gone.sh is not a file"),
        (("HST-307", "a", "--from-script", str(bad)), "bad.sh line 2"),
        (("HST-307", "a", "--from-script", str(bad), "--risk", "read"), "bad.sh line 2"),
        (("HST-308", "There"), "HST-308"),
    ):
        done = up.opsnb("runbook", "new", *argv)
        assert (done.returncode, done.stdout) == (2, ""), argv
        assert says in done.stderr, argv
        assert "Traceback" not in done.stderr
    assert not list(up.root.glob("runbooks/**/HST-307*"))


def test_new_says_what_lint_says_of_a_script(up: Place, tmp_path) -> None:
    """A script may hold what no template does; it is told at once, and the notebook is written."""
    file = tmp_path / "keys.sh"
    file.write_text("#!/bin/sh\n# -----BEGIN PRIVATE KEY-----\n")
    made = new(up, "HST-309", "Keys", "--from-script", str(file))
    assert [f["code"] for f in made["findings"]] == ["OPS012"]
    assert up.opsnb("runbook", "test", "HST-309", "-p", f"directory={tmp_path}").returncode == 1


def test_test_is_as_good_as_lint_and_run_together(up: Place) -> None:
    """A lint error with a good run is 1, a failed check with clean cells is 1, a warning alone is 0."""
    file = up.root / new(up, "HST-310", "Look")["path"]
    good = json.loads(file.read_bytes())

    def tested(cell: str, source: str):
        document = json.loads(json.dumps(good))
        next(c for c in document["cells"] if c["id"] == cell)["source"] = source
        file.write_text(json.dumps(document))
        return up.json("runbook", "test", "HST-310")

    dirty = tested("read-text", "## 2. What we see now")
    assert (dirty["ok"], [f["code"] for f in dirty["findings"]], dirty["result"]["verdict"]) == (
        False,
        ["OPS035"],
        "DONE",
    )
    failed = tested("check", "run.check('so', 1 + 1, 3)")
    assert (failed["ok"], failed["findings"], failed["result"]["verdict"]) == (False, [], "FAILED")
    warned = tested("read", "host = linux.read_host(seconds=0.2)\nprint({})")
    assert (warned["ok"], [f["severity"] for f in warned["findings"]]) == (True, ["warning"])
    broken = tested("front-matter", "---\nid: HST-310\n---")
    assert (broken["ok"], broken["result"]) == (False, None)
    assert up.opsnb("runbook", "test", "HST-310").returncode == 1


def test_test_refuses_like_run(up: Place) -> None:
    """A wrong name or parameter exits 2 with the nearest right one, after lint."""
    new(up, "HST-311", "Look")
    for argv, says in (
        (("HST-311", "-p", "limt=3"), "limit"),
        (("HST-3111",), "HST-311"),
        (("HST-311", "-p", "x"), "-p"),
    ):
        done = up.opsnb("runbook", "test", *argv)
        assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (2, True, False), argv


def test_lint_weighs_its_findings(up: Place) -> None:
    """A warning is shown and exits 0, and 1 with --strict; --explain says why; a folder without notebooks exits 2."""
    file = up.root / new(up, "HST-312", "Look", "--area", "weighed")["path"]
    document = json.loads(file.read_bytes())
    next(c for c in document["cells"] if c["id"] == "read")["source"] = "host = linux.read_host(seconds=0.2)\nprint({})"
    file.write_text(json.dumps(document))
    done = up.opsnb("runbook", "lint", "runbooks/weighed")
    assert (done.returncode, done.stderr) == (0, "1 to look at in 1 notebook\n")
    assert "OPS038 warning: " in done.stdout
    assert up.opsnb("runbook", "lint", "HST-312", "--strict").returncode == 1
    explained = up.opsnb("runbook", "lint", "--explain", "ops038")
    assert (explained.returncode, "right:" in explained.stdout) == (0, True)
    assert up.json("runbook", "lint", "--explain", "OPS038")["severity"] == "warning"
    wrong = up.opsnb("runbook", "lint", "--explain", "OPS938")
    assert (wrong.returncode, "OPS038" in wrong.stderr) == (2, True)
