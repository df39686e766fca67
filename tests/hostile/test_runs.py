"""Hostile values through real runs of a control plane, on this machine and on rehearsal hosts behind sshd.

In each round every free string parameter of a runbook holds another hostile value that its declaration lets in; the
value stands in the executed notebook byte for byte, and nothing was carried out. What a declaration refuses, the API
refuses in words. What names a file, a directory or hosts goes in alone: there it is refused, or is what it says.
"""

from __future__ import annotations

import ast
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleets import Hosts
from hostile.parameters import Slot, slots
from hostile.sampled import PROVE, part
from hostile.values import MARK, executed, values
from opsnb.base.errors import OpsnbError, ParameterError, UsageError
from opsnb.base.parameters import Kind, validate
from places import ROOT

pytestmark = pytest.mark.slow
VALUES = values()
SLOTS = slots()
IDS = sorted({slot.runbook.id for slot in SLOTS})
ALONE = {Kind.FILE, Kind.DIRECTORY, Kind.SELECTOR, Kind.SECRET, Kind.DATE}
ROUNDS = int(os.environ.get("OPSNB_ROUNDS", "1000000" if PROVE else "1"))
ENDS = {"DONE", "PLANNED", "NOT_APPLICABLE", "FAILED", "ABORTED"}
WAITS = "HST-005"  # a terminal: it is stopped
HOST = "web1"
WORDS = ["printf", "%s"]  # what HST-004 runs with the value behind it


class Tally(Counter[str]):
    """How many values became what; OPSNB_EVIDENCE names a file that it is added to."""


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """The counts of this module's tests."""
    counted = Tally()
    yield counted
    if path := os.environ.get("OPSNB_EVIDENCE"):
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.writelines(f"{name}: {number}\n" for name, number in sorted(counted.items()))


@pytest.fixture(scope="module")
def served(rehearsal: Hosts) -> Hosts:
    """The rehearsal fleet's workspace with this repository's runbooks, served."""
    shutil.rmtree(rehearsal.root / "runbooks")
    shutil.copytree(ROOT / "runbooks", rehearsal.root / "runbooks")
    rehearsal.settings(cell_timeout="60s", timeout="2m")
    rehearsal.up()
    return rehearsal


def lets_in(slot: Slot, value: str) -> bool:
    """Whether a slot's declaration takes a value."""
    try:
        validate((slot.parameter,), {slot.parameter.name: slot.form(value)})
    except ParameterError:
        return False
    return True


def given(id_: str, slot: Slot, value: str) -> Any:
    """Return what a parameter is given so that the value gets far."""
    return [*WORDS, value] if (id_, slot.parameter.name) == ("HST-004", "command") else slot.form(value)


def base(id_: str) -> dict[str, Any]:
    """Return values for what a runbook requires, and a host for it where it takes one."""
    parameters = next(slot.runbook for slot in SLOTS if slot.runbook.id == id_).parameters
    known = {"command": [*WORDS, "x"], "files": ["opsnb.yaml"], "paths": ["/etc/hostname"], "script": "runbooks/scripts/mark.sh",
             "undo": "runbooks/scripts/mark-undo.sh", "hosts": HOST}  # fmt: skip
    wanted = {p.name for p in parameters if p.required or p.name == "hosts" or (id_, p.name) == ("SCR-010", "undo")}
    return {p.name: known.get(p.name, p.default) for p in parameters if p.name in wanted}


def tried(place: Hosts, id_: str, sent: dict[str, Any]) -> tuple[str, str]:
    """Submit a run; return its id, or the words in which it was refused."""
    try:
        return place.submit(id_, folder=str(place.root), values=sent), ""
    except OpsnbError as error:
        return "", str(error)


def cell(place: Hosts, result: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that were written into the executed notebook."""
    cells = place.executed(result)["cells"]
    source = next("".join(c["source"]) for c in cells if "injected-parameters" in c["metadata"].get("tags", []))
    return {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(source).body}


def nothing_was_carried_out(place: Hosts) -> None:
    """No file and no process on this machine, none in the workspace, none on the host."""
    assert executed(place.root, Path.cwd(), Path.home()) == []
    assert place.sudo(HOST, f"find /tmp /var/tmp /home /root /opt -name '{MARK}*'") == ""


@pytest.mark.parametrize("id_", IDS)
def test_rounds(served: Hosts, tally: Tally, id_: str) -> None:
    """Every free parameter holds a hostile value at once; each arrives as it is, and the run ends truthfully."""
    free = [slot for slot in SLOTS if slot.runbook.id == id_ and slot.parameter.kind not in ALONE]
    let_in = {slot: [value for value in VALUES if len(value) < 20_000 and lets_in(slot, value)] for slot in free}
    rounds = min(ROUNDS, max(map(len, let_in.values()), default=0))
    for number in range(rounds):
        trial = {slot: ok[(number * 7 + n * 31) % len(ok)] for n, (slot, ok) in enumerate(let_in.items()) if ok}
        sent = {**base(id_), **{slot.parameter.name: given(id_, slot, value) for slot, value in trial.items()}}
        run = served.submit(id_, folder=str(served.root), values=sent)
        if id_ == WAITS:
            served.client.post(f"/api/runs/{run}/stop", {})
        result = served.end(run)
        assert result["verdict"] in ENDS, (result["verdict"], sent)
        tally[f"runs of {id_}: {result['verdict']}"] += 1
        if result["verdict"] != "ABORTED":
            arrived = cell(served, result)
            for name in {slot.parameter.name for slot in trial}:
                assert arrived[name] == sent[name], (name, sent[name])
                tally["values in runs"] += 1
        if id_ == "HST-004" and result["verdict"] == "DONE":
            assert result["evidence"]["hosts"][0]["stdout"] == sent["command"][-1], sent
    nothing_was_carried_out(served)


@pytest.mark.parametrize("id_", IDS)
def test_what_is_refused_is_refused_in_words(served: Hosts, tally: Tally, id_: str) -> None:
    """The API answers as a form would, naming the parameter; no run comes of it."""
    before = len(served.client.get("/api/runs?limit=1000")["runs"])
    for slot in (slot for slot in SLOTS if slot.runbook.id == id_):
        for value in part([v for v in VALUES if v.isprintable() and not lets_in(slot, v)], 40):
            with pytest.raises(UsageError, match="parameter"):
                served.submit(id_, folder=str(served.root), values={**base(id_), slot.parameter.name: slot.form(value)})
            tally["values refused by a declaration"] += 1
    assert len(served.client.get("/api/runs?limit=1000")["runs"]) == before


@pytest.mark.parametrize("slot", [s for s in SLOTS if s.parameter.kind in ALONE], ids=str)
def test_files_directories_and_hosts(served: Hosts, tally: Tally, slot: Slot) -> None:
    """What names a file, a directory or hosts and is none is refused before anything starts."""
    id_ = slot.runbook.id
    for value in part([v for v in VALUES if v and len(v) < 4_000 and lets_in(slot, v)], 90):
        run, refused = tried(served, id_, {**base(id_), slot.parameter.name: slot.form(value)})
        if refused:
            assert len(refused) < 10_000
            tally[f"values refused as {slot.parameter.kind}"] += 1
            continue
        if id_ == WAITS:
            served.client.post(f"/api/runs/{run}/stop", {})
        result = served.end(run)
        assert result["verdict"] in ENDS, (result["verdict"], value)
        tally[f"runs with a hostile {slot.parameter.kind}: {result['verdict']}"] += 1
    nothing_was_carried_out(served)
