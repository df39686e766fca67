"""The command line as a person meets it: right answers, exit codes, JSON, typos, and never a traceback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from places import OPSNB, Place, wait_for

pytestmark = pytest.mark.slow
FRONT = "id: TST-{n:03}\ntitle: Title 标题\npromise: p\nrisk: read\nowner: o\nparameters:\n  count: {{min: 1, max: 5}}"
CELL = (
    "import opsnb\nrun = opsnb.begin('TST-{n:03}')\nrun.check('count is small', count < 4, True)\n"
    "run.evidence('count', count)\nrun.evidence('share', 0.25)\nrun.finish()"
)


def add(place: Place, number: int) -> None:
    """Put a runbook with one bounded parameter into the workspace."""
    cell, front = CELL.format(n=number), FRONT.format(n=number)
    place.add(f"TST-{number:03}", cell, front=front, parameters="count: int = 2  # how many")


def test_init_makes_a_workspace_and_touches_nothing_that_is_there(tmp_path: Path) -> None:
    """`opsnb init DIR` makes what is missing; a second call makes nothing and changes nothing."""
    root = tmp_path / "my ops 运维"
    first = subprocess.run([OPSNB, "init", root], capture_output=True, text=True, check=True)
    assert "is a workspace" in first.stdout
    (root / "opsnb.yaml").write_text("name: mine\n")
    second = subprocess.run([OPSNB, "init", root, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(second.stdout)["made"] == []
    assert (root / "opsnb.yaml").read_text() == "name: mine\n"
    (tmp_path / "file").touch()
    refused = subprocess.run([OPSNB, "init", tmp_path / "file"], capture_output=True, text=True, check=False)
    assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)


def test_a_run_as_json(up: Place) -> None:
    """`opsnb run --json` prints one document with the promised keys, and progress goes to stderr."""
    add(up, 1)
    done = up.opsnb("run", "tst-001", "-p", "count=3", "--reason", "because", "--json")
    result = json.loads(done.stdout)
    assert done.returncode == 0
    assert (result["runbook"], result["mode"], result["verdict"]) == ("TST-001", "read", "DONE")
    assert result["checks"] == [{"what": "count is small", "got": True, "want": True, "ok": True}]
    assert result["evidence"] == {"count": 3, "share": 0.25}
    assert result["plan"] is None
    assert (up.root / result["record"]).is_file()
    assert len(result["ledger"]["root"]) == 64
    assert "completed" in done.stderr


def test_a_failed_check_exits_1(up: Place) -> None:
    """Exit code 1 and the failed check in words."""
    add(up, 2)
    done = up.opsnb("run", "TST-002", "-p", "count=5")
    assert done.returncode == 1
    assert "count is small" in done.stdout


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["run", "TST-0O3"], "TST-003"),
        (["run", "TST-003", "-p", "cuont=3"], "count"),
        (["run", "TST-003", "-p", "count=9"], "5"),
        (["run", "TST-003", "-p", "count=two"], "count"),
        (["run", "TST-003", "-p", "count"], "NAME=VALUE"),
        (["run", "TST-003", "-p", "count=1", "-p", "count=2"], "twice"),
        (["run", "TST-003", "-p", "x=1\nimport os=2"], "parameter"),
        (["run", "TST-003", "-f", "missing.yaml"], "missing.yaml"),
        (["run", "TST-003", "--hosts", "role=web"], "this machine"),
        (["run", "no/such.ipynb"], "no"),
        (["runs", "show", "nope"], "nope"),
        (["runs", "stop", "nope"], "nope"),
        (["audit", "export", "nope"], "nope"),
        (["runs", "list", "--limit", "0"], "limit"),
        (["rnu"], "run"),
    ],
)
def test_a_mistake_is_named(up: Place, argv: list[str], says: str) -> None:
    """A typo exits 2, names what was meant, starts nothing, and is one JSON document with --json."""
    add(up, 3)
    done = up.opsnb(*argv)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert says in done.stderr
    as_json = up.opsnb(*argv, "--json")
    assert as_json.returncode == 2
    assert json.loads(as_json.stdout)["error"]["exit"] == 2


def test_outside_a_workspace(tmp_path: Path) -> None:
    """In an empty directory every command says how to make a workspace."""
    for argv in (["run", "HST-001"], ["runs", "list"], ["audit", "show"], ["audit", "verify"], ["runbook", "list"]):
        done = subprocess.run([OPSNB, *argv], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "opsnb init" in done.stderr


def test_parameters_from_a_file(up: Place, tmp_path: Path) -> None:
    """-f reads YAML; -p wins over it."""
    add(up, 4)
    (tmp_path / "p.yaml").write_text("count: 1\n")
    file = str(tmp_path / "p.yaml")
    assert up.json("run", "TST-004", "-f", file)["evidence"]["count"] == 1
    assert up.json("run", "TST-004", "-f", file, "-p", "count=3")["evidence"]["count"] == 3


def test_list_show_log(up: Place) -> None:
    """What ran is listed newest first, shown with its verdict, and its text can be read again."""
    up.add("say", "print('said it 说')")
    result = up.json("run", "runbooks/say.ipynb")
    listed = up.json("runs", "list", "--limit", "1")["runs"]
    assert [r["run"] for r in listed] == [result["run"]]
    assert result["run"] in up.opsnb("runs", "list").stdout
    assert "DONE" in up.opsnb("runs", "show", result["run"]).stdout
    log = up.opsnb("runs", "log", result["run"])
    assert "said it 说" in log.stdout
    cells = up.json("runs", "log", result["run"])["cells"]
    assert cells == [{"index": 0, "state": "completed", "text": "said it 说\n"}]


def test_no_wait_and_log_follows(up: Place) -> None:
    """--no-wait returns at once with the run's id; log follows it to its end."""
    up.add("later", "import time; time.sleep(0.5); print('later')")
    run = up.json("run", "runbooks/later.ipynb", "--no-wait")
    assert run["state"] in {"queued", "starting", "running"}
    assert "later" in up.opsnb("runs", "log", run["run"]).stderr + up.opsnb("runs", "log", run["run"]).stdout


def test_the_terminal_is_not_obeyed(up: Place) -> None:
    """Control characters, ANSI, OSC 8 and bidi text from a run are shown on the terminal and not obeyed."""
    up.add("hostile", r"print('\x1b[31mred \x1b]8;;http://x\x07link\x1b]8;;\x07 \u202egnp.exe \x9b2J')")
    done = up.opsnb("run", "runbooks/hostile.ipynb")
    result = up.json("runs", "list", "--limit", "1")["runs"][0]
    log = up.opsnb("runs", "log", result["run"])
    for text in (done.stderr, done.stdout, log.stdout):
        assert not any(c in text for c in "\x1b\x07\u202e\x9b")
    assert r"\x1b[31mred" in log.stdout


def test_audit(up: Place, tmp_path: Path) -> None:
    """Entries of a run, a checkpoint to keep, an export that verifies, and an altered byte that is found."""
    up.add("audited", "print('x')")
    result = up.json("run", "runbooks/audited.ipynb")
    kinds = [e["kind"] for e in up.json("audit", "show", result["run"])["entries"]]
    assert kinds == ["request.sealed", "run.claimed", "run.finished", "run.recorded"]
    head = tmp_path / "head"
    head.write_text(up.opsnb("audit", "checkpoint").stdout)
    assert up.opsnb("audit", "verify", "--head", str(head)).returncode == 0
    export = tmp_path / "run.zip"
    assert up.opsnb("audit", "export", result["run"], "-o", str(export)).returncode == 0
    own = tmp_path / "verify.py"
    own.write_bytes((up.root / "outputs/ledger/verify.py").read_bytes())
    verify = [sys.executable, "-I", str(own)]
    assert subprocess.run([*verify, export], capture_output=True, check=False).returncode == 0
    page = up.record(result) / "run.html"
    data = page.read_bytes()
    page.write_bytes(data.replace(b"x", b"y", 1))
    found = subprocess.run(
        [*verify, str(up.root / "outputs"), "--head", head], capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert result["run"] in found.stdout
    assert up.opsnb("audit", "verify").returncode == 1
    page.write_bytes(data)
    assert up.opsnb("audit", "verify").returncode == 0
    again = up.opsnb("audit", "export", result["run"], "-o", str(export))
    assert again.returncode == 2


def test_cold_and_at_once(place: Place) -> None:
    """Without `opsnb up` two commands at once share one control plane, and it ends when they are done."""
    place.add("cold", "print('cold')")
    results: list[dict[str, object]] = []
    threads = [
        threading.Thread(target=lambda: results.append(place.json("run", "runbooks/cold.ipynb"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r["verdict"] for r in results] == ["DONE"] * 3
    wait_for(lambda: not place.workspace.socket.exists(), 30)
    assert place.verify().returncode == 0


@pytest.mark.parametrize("kernel", ["fork", "spawn"])
def test_fork_and_spawn_give_the_same_record(place: Place, kernel: str) -> None:
    """A spawned run tells what a forked one tells."""
    place.settings(kernel=kernel)
    add(place, 5)
    result = place.json("run", "TST-005")
    assert (result["verdict"], result["evidence"]) == ("DONE", {"count": 2, "share": 0.25})
    assert place.states(result) == ["completed"] * 3
    assert result["notes"] == []
    assert place.verify().returncode == 0


def _hears_ctrl_c() -> None:
    """Have the program hear Ctrl-C even when the tests run in the background, where it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_stops_the_run(place: Place) -> None:
    """Ctrl-C in the terminal stops the run, records it, and exits 5."""
    place.add("long", "print('on', flush=True); import time; time.sleep(600)")
    process = subprocess.Popen(
        [OPSNB, "run", "runbooks/long.ipynb"], cwd=place.root, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=_hears_ctrl_c,  # noqa: PLW1509  (it starts one program and no thread)
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "on" in line.split("│")[-1] and "│" in line:
            break
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 5
    assert "ABORTED" in out


def test_a_broken_setting_is_said(place: Place) -> None:
    """A typo in opsnb.yaml is named by the command that meets it."""
    (place.root / "opsnb.yaml").write_text("wokers: 2\n")
    place.add("x", "1")
    done = place.opsnb("run", "runbooks/x.ipynb")
    assert done.returncode == 2
    assert "workers" in done.stderr


def test_a_restored_older_database_is_refused(place: Place) -> None:
    """A database that is older than the head that was signed last is refused: somebody restored a backup."""
    place.add("x", "1")
    place.json("run", "runbooks/x.ipynb")
    place.rest()
    old = place.workspace.database.read_bytes()
    place.json("run", "runbooks/x.ipynb")
    place.rest()
    place.workspace.database.write_bytes(old)
    done = place.opsnb("run", "runbooks/x.ipynb")
    assert done.returncode == 1
    assert "older" in done.stderr


def test_a_record_in_chinese(place: Place) -> None:
    """language: zh_CN gives a Chinese page; both banners stand in every record."""
    place.settings(language="zh_CN")
    place.add("x", "1")
    page = (place.root / place.json("run", "runbooks/x.ipynb")["record"]).read_text(encoding="utf-8")
    assert '<html lang="zh-Hans"' in page
    assert "完成" in page
    assert "DONE" in page


def test_a_foreign_notebook_does_not_run_under_a_runbooks_name(up: Place, tmp_path: Path) -> None:
    """A notebook outside the catalog runs, and is called by its path whatever id it claims."""
    add(up, 6)
    foreign = tmp_path / "copy.ipynb"
    foreign.write_bytes((up.root / "runbooks" / "TST-006.ipynb").read_bytes())
    result = up.json("run", str(foreign))
    assert (result["verdict"], result["runbook"]) == ("DONE", str(foreign))


def test_doctor(place: Place) -> None:
    """Doctor finds what is unsafe, names the command that mends it, and that command does mend it."""
    place.add("x", "1")
    place.json("run", "runbooks/x.ipynb")
    place.rest()
    found = place.json("doctor")
    assert (found["up"], found["problems"]) == (False, 0)
    place.workspace.token.chmod(0o644)
    place.add("broken", "1", front="id: broken")
    done = place.opsnb("doctor", "--json")
    problems = {c["name"]: c for c in json.loads(done.stdout)["checks"] if c["state"] == "problem"}
    assert done.returncode == 1
    assert set(problems) == {"permissions", "runbook"}
    subprocess.run(problems["permissions"]["mend"].split(), check=True)
    (place.root / "runbooks" / "broken.ipynb").unlink()
    assert place.json("doctor")["problems"] == 0
    assert "→" in place.opsnb("doctor").stdout


def test_doctor_sees_a_running_control_plane(up: Place) -> None:
    """The JSON of doctor says whether a control plane answers."""
    assert up.json("doctor")["up"] is True
