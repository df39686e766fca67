"""The table in docs/isolation.md, row by row, in a real kernel: what it may do and what is refused, and told."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isolation.tries import TRIES, cell
from places import OPSNB, ROOT, Place, text_of, wait_for
from ports import free_port

pytestmark = pytest.mark.slow

ROW = re.compile(r"^\| (?P<what>[^|]+?) \| (?P<looking>yes|no) \| (?P<applying>yes|no) \|$", re.MULTILINE)
FRONT = """
id: TST-{n}
title: A hostile notebook
promise: It tries what it may not.
risk: {risk}
owner: tests
reads: ["{reads}"]
writes: ["{into}"]
"""
CHANGES = "touches: nothing\nundo: nothing to undo\n"
SETUP = "import opsnb\nfrom opsnb.kits import files\nrun = opsnb.begin('TST-{n}')"
PROPOSE = "plan = run.propose(files.plan_file('localhost', c['into'] + '/note.txt', 'x', {}, '0644'))"
REFUSED = {"api": 3, "token": 5, "secret": 1, "credential": 1, "intent": 1, "result": 1, "unknown": 1}


def table() -> dict[str, tuple[str, str]]:
    """Return the documented rows: what a kernel does → whether it works in read and plan, in apply."""
    text = (ROOT / "docs/isolation.md").read_text(encoding="utf-8").partition("## Row by row")[2]
    return {m["what"]: (m["looking"], m["applying"]) for m in ROW.finditer(text)}


def test_every_row_is_tried_and_every_try_has_a_row() -> None:
    """The table in the documentation and what this test tries are the same rows."""
    assert set(table()) == set(TRIES)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Place, dict[str, Any]]]]:
    """The hostile notebook's runs in mode read, plan and apply, beside a run of somebody else."""
    made = Place(tmp_path_factory.mktemp("hostile") / "ws")
    from opsnb.cli.workspace import make

    make(made.root)
    made.settings(cell_timeout="10m")
    folders = {name: tmp_path_factory.mktemp(name) for name in ("reads", "into")}
    beside = Path(tempfile.mkdtemp(dir="/var/tmp"))
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket() as listening:
        abstract.bind(f"\0opsnb-test-{os.getpid()}")
        abstract.listen()
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = free_port()
        made.up("--listen", f"127.0.0.1:{port}")
        bystander = subprocess.Popen(["sleep", "600"])
        said = subprocess.run(
            [OPSNB, "secret", "set", "a/key", "--stdin"], cwd=made.root, input=b"a long value", check=False
        )
        assert said.returncode == 0
        owned = folders["reads"] / "owned"
        owned.touch()
        known = {
            "root": str(made.root), "socket": str(made.workspace.socket), "port": listening.getsockname()[1],
            "abstract": f"opsnb-test-{os.getpid()}", "up": made.servers[0].pid, "request": "nobody",
            "address": str(id(known_text := "x")), "beside": str(beside), "devices": devices(), "cgroup": own_group(),
            "owned": str(owned), "api": port, "token": made.workspace.token.read_text(encoding="ascii").strip(),
            "bystander": bystander.pid,
            **{name: str(path) for name, path in folders.items()}, **sleeper(made),
        }  # fmt: skip
        assert known_text
        try:
            done = {mode: (made, result) for mode, result in runs(made, known).items()}
            if told := os.environ.get("OPSNB_EVIDENCE"):
                Path(told).write_text(as_tried(done), encoding="utf-8")
            yield done
        finally:
            made.client.post(f"/api/runs/{known['other_run']}/stop")
            made.close()
            beside.rmdir()
            bystander.kill()
            bystander.wait()


def as_tried(done: dict[str, tuple[Place, dict[str, Any]]]) -> str:
    """Return what came of each try, as a table."""
    said = {mode: answers(*found) for mode, found in done.items()}
    rows = [f"| {what} | {' | '.join(said[mode][what] for mode in said)} |" for what in TRIES]
    return "\n".join([f"| what a kernel does | {' | '.join(said)} |", "|---|" + "---|" * len(said), *rows, ""])


def devices() -> list[str]:
    """Return the devices that lead into the system's core, those that this machine has."""
    return [p for p in ("/dev/mem", "/dev/kmsg", "/dev/port", "/dev/kvm", "/dev/vda") if Path(p).exists()]


def own_group() -> str:
    """Return the file by which a process would leave for the control group of this test."""
    from opsnb.control.runs.cgroups import home

    where = home()
    folder = next(iter(where.folders.values())) if where else "/sys/fs/cgroup"
    return f"{folder}/cgroup.procs"


def sleeper(place: Place) -> dict[str, Any]:
    """Start somebody else's run that goes on; return what can be found out about it."""
    place.add("sleeper", "import os, time\nprint('here', os.getpid(), os.environ['HOME'], flush=True)\ntime.sleep(590)")
    run = place.submit("runbooks/sleeper.ipynb")
    said = ""
    for event in place.client.events(run):
        said += event.get("text", "")
        if "\n" in said:
            break
    _, pid, folder = said.split()
    return {"other_run": run, "other_pid": int(pid), "other": folder}


def runs(place: Place, known: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Run the hostile notebook in each mode."""
    parameters = f"known: str = {json.dumps(json.dumps(known))}  # what one may find out"
    done = {}
    for n, risk, extra in ((901, "read", ""), (902, "change", CHANGES)):
        front = FRONT.format(n=n, risk=risk, reads=known["reads"], into=known["into"]) + extra
        cells = [cell(), SETUP.format(n=n), *([PROPOSE, "run.change(plan)"] if extra else [])]
        place.add(f"TST-{n}", *cells, "run.check('tried', 1, 1)\nrun.finish()", front=front, parameters=parameters)
    done["read"] = place.end(place.submit("TST-901"))
    done["plan"] = place.end(place.submit("TST-902"))
    done["apply"] = place.end(place.submit("TST-902", mode="apply", request=done["plan"]["request"]))
    return done


def answers(place: Place, result: dict[str, Any]) -> dict[str, str]:
    """Return what the notebook said came of each try."""
    texts = [text_of(c) for c in place.executed(result)["cells"] if text_of(c).startswith("{")]
    assert texts, (result["reason"], place.executed(result)["cells"])
    return dict(json.loads(texts[0]))


@pytest.mark.parametrize("mode", ["read", "plan", "apply"])
def test_each_row_holds(seen: dict[str, tuple[Place, dict[str, Any]]], mode: str) -> None:
    """What the table says is refused is refused by the system or the control plane, and the rest works."""
    found = answers(*seen[mode])
    want = {what: row[mode == "apply"] for what, row in table().items()}
    assert {w: a for w, a in found.items() if a.partition(":")[0] != want[w]} == {}


@pytest.mark.parametrize("mode", ["read", "plan", "apply"])
def test_it_is_refused_for_the_right_reason(seen: dict[str, tuple[Place, dict[str, Any]]], mode: str) -> None:
    """A refusal is a permission that lacks, not a mistake of the try: each error is one of those that say so."""
    found = answers(*seen[mode])
    lacks = re.compile(r"no: (EPERM|EACCES|ENOSYS|EXDEV|ESRCH|.*[a-z]{3}.*)")
    assert {w: a for w, a in found.items() if a != "yes" and not lacks.fullmatch(a)} == {}


@pytest.mark.parametrize("mode", ["read", "plan", "apply"])
def test_what_the_control_plane_saw_is_recorded(seen: dict[str, tuple[Place, dict[str, Any]]], mode: str) -> None:
    """Each refused question of a run link is an entry of the ledger, and the record says what was asked."""
    place, result = seen[mode]
    lines = (place.root / "outputs/ledger/entries.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [e for e in map(json.loads, lines) if e["kind"] == "run.refused" and e["run"] == result["run"]]
    assert Counter(e["attempt"] for e in entries) == REFUSED
    notes = json.loads((place.record(result) / "manifest.json").read_bytes())["record"]["notes"]
    assert any(
        note.startswith(f"the notebook asked {sum(REFUSED.values())} time(s) for what it may not have")
        for note in notes
    )
    page = (place.record(result) / "run.html").read_text(encoding="utf-8")
    assert "refused: api:" in page
    assert "refused: token: POST /api/requests/{name}/{act}, with the token of" in page


def test_everything_is_still_there(seen: dict[str, tuple[Place, dict[str, Any]]]) -> None:
    """After all that the ledger verifies, the other run goes on, and the change was made by the apply alone."""
    place, result = seen["apply"]
    assert result["verdict"] == "DONE", result["reason"]
    states = {r["run"]: r["state"] for r in place.client.get("/api/runs")["runs"]}
    assert "running" in states.values()
    wait_for(lambda: place.verify().returncode == 0, 20)
