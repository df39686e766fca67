"""A plan on several hosts: canary first, batch after batch, and the truth about each host whatever becomes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import UsageError
from opsnb.runbook.changing import batches
from places import Place

FRONT = """
id: TST-090
title: Mark hosts
promise: Each host has its mark.
risk: change
owner: tests
touches: one file for each host
undo: removes the files
lock: "mark/{host}"
writes: ["{directory}"]
parameters:
  directory: {kind: directory}
"""
PARAMETERS = """hosts: str = "a,b,c,d,e"  # which hosts
directory: str = "/tmp"  # where
become: dict[str, str] = {}  # what becomes of a host
canary: int = 1  # first
batch: int = 2  # then"""
SETUP = """import os
import pathlib
import opsnb
from opsnb.base.errors import OpsnbError, UnknownOutcomeError, UnreachableError
from opsnb.base.plan import Change, Plan
from opsnb.runbook.actuators import Actuator, register
run = opsnb.begin("TST-090")

def observe(host, target):
    path = pathlib.Path(directory, host)
    if become.get(host) == "unreachable" and run.mode == "apply" and run._plan:
        raise UnreachableError(f"{host}: no route to host")
    if become.get(host) == "drift" and run.mode == "apply" and run._plan:
        return "somebody else's"
    return path.read_text() if path.exists() else None

def apply(host, target, before, after):
    fate = become.get(host) if run.mode == "apply" else ""
    if fate == "fault":
        raise RuntimeError("a defect of the kit")
    if fate == "fail":
        raise OpsnbError(f"{host}: no space left")
    path = pathlib.Path(directory, host)
    if fate == "half":
        path.write_text("half")
        raise UnknownOutcomeError(f"{host}: the line was lost in the middle")
    path.unlink() if after is None else path.write_text(after)
    if fate == "unknown":
        raise UnknownOutcomeError(f"{host}: the line was lost")
    if fate == "die":
        os.kill(os.getpid(), 9)

def partway(target, before, after, found):
    return found == "half"

register(Actuator(verb="test.mark", observe=observe, apply=apply, partway=partway))"""
PROPOSE = """changes = [Change(host=h, what=f"mark {h}", verb="test.mark", target={}, before=observe(h, {}), after="marked",
                  command="mark", undo="unmark") for h in run.hosts]
plan = run.propose(Plan(title="marks", changes=tuple(changes)))"""
CHANGE = "done = run.change(plan, canary=canary, batch=batch)"
CHECK = "run.check('it was looked at', True, True)\nrun.finish()"


@pytest.fixture(scope="module")
def fleet(up: Place) -> Place:
    """A workspace with five hosts, all of them this machine under another name, and a runbook that marks them."""
    hosts = "".join(f"  {name}: {{transport: local}}\n" for name in "abcde")
    (up.root / "inventory.yaml").write_text(f"hosts:\n{hosts}", encoding="utf-8")
    up.add("TST-090", SETUP, PROPOSE, CHANGE, CHECK, front=FRONT, parameters=PARAMETERS)
    return up


def apply(place: Place, folder: Path, become: dict[str, str], **values: Any) -> dict[str, Any]:
    """Plan and apply, and return the application's result."""
    values = {"directory": str(folder), "become": become, **values}
    plan = place.end(place.submit("TST-090", values=values))
    assert plan["verdict"] == "PLANNED", plan["reason"]
    return place.end(place.submit("TST-090", mode="apply", request=plan["request"]))


def states(place: Place, result: dict[str, Any]) -> dict[str, str]:
    """Return what the record says of each host."""
    manifest = json.loads((place.record(result) / "manifest.json").read_bytes())
    return {row["host"]: row["state"] for row in manifest["record"]["applied"]}


def marked(folder: Path) -> str:
    """Return which hosts bear their mark."""
    return "".join(sorted(p.name for p in folder.iterdir()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fate", "where", "verdict", "told", "marks"),
    [
        ("", "a", "DONE", "ok ok ok ok ok", "abcde"),
        ("fail", "a", "FAILED", "failed - - - -", ""),  # the canary
        ("fail", "b", "FAILED", "ok failed ok - -", "ac"),  # its batch is finished
        ("unreachable", "c", "FAILED", "ok ok unreachable - -", "ab"),
        ("unknown", "b", "LOST", "ok unknown ok - -", "abc"),
        ("fault", "d", "FAILED", "ok ok ok failed ok", "abce"),
        ("drift", "a", "DRIFTED", "- - - - -", ""),
        ("die", "a", "LOST", "unknown - - - -", "a"),
    ],
)
def test_what_became_of_each_host(
    fleet: Place, tmp_path: Path, fate: str, where: str, verdict: str, told: str, marks: str
) -> None:
    """The record says of every host what is known, the batch is finished, the next one is not begun."""
    result = apply(fleet, tmp_path, {where: fate} if fate else {})
    assert result["verdict"] == verdict, result["reason"]
    wanted = [{"-": "not begun"}.get(word, word) for word in told.split()]
    assert list(states(fleet, result).values()) == wanted
    assert marked(tmp_path) == marks


@pytest.mark.slow
def test_an_undo_takes_back_what_was_made_and_nothing_else(fleet: Place, tmp_path: Path) -> None:
    """After a half-made application the undo covers exactly the hosts that were changed."""
    result = apply(fleet, tmp_path, {"d": "fail"})
    assert marked(tmp_path) == "abce"
    back = fleet.end(fleet.client.post(f"/api/runs/{result['run']}/undo")["run"])
    assert (back["verdict"], marked(tmp_path)) == ("DONE", "")
    assert set(states(fleet, back)) == set("abce")


@pytest.mark.slow
def test_an_unreached_host_is_named_on_the_page(fleet: Place, tmp_path: Path) -> None:
    """The record names the host that could not be reached, and why."""
    result = apply(fleet, tmp_path, {"b": "unreachable"})
    page = (fleet.root / result["record"]).read_text(encoding="utf-8")
    assert "could not be reached: b" in page
    assert "no route to host" in page
    assert "未能连接" in page


@pytest.mark.slow
def test_a_selector_chooses_and_is_sealed(fleet: Place, tmp_path: Path) -> None:
    """`--hosts` chooses; when another host comes under the selector the request is void, and the message names it."""
    values = {"directory": str(tmp_path)}
    plan = fleet.end(fleet.submit("TST-090", hosts="a,b", values=values))
    assert [row["name"] for row in manifest_hosts(fleet, plan)] == ["a", "b"]
    every = fleet.end(fleet.submit("TST-090", hosts="all", values=values))
    inventory = fleet.root / "inventory.yaml"
    before = inventory.read_text(encoding="utf-8")
    inventory.write_text(before + "  f: {transport: local}\n", encoding="utf-8")
    try:
        done = fleet.opsnb("run", "TST-090", "--mode", "apply", "--request", every["request"])
        assert done.returncode == 3
        assert "f has come" in done.stderr
    finally:
        inventory.write_text(before, encoding="utf-8")


def manifest_hosts(place: Place, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the hosts that a run's request sealed."""
    return list(json.loads((place.record(result) / "manifest.json").read_bytes())["request"]["hosts"])


@pytest.mark.slow
def test_a_host_without_a_pinned_key_is_refused(fleet: Place) -> None:
    """Nothing is sealed for a host whose key nobody has pinned; the message says what to do."""
    inventory = fleet.root / "inventory.yaml"
    before = inventory.read_text(encoding="utf-8")
    inventory.write_text(before + "  bare: {address: 127.0.0.9}\n", encoding="utf-8")
    try:
        done = fleet.opsnb("run", "TST-090", "--hosts", "bare")
        assert done.returncode == 3
        assert "opsnb host trust bare" in done.stderr
    finally:
        inventory.write_text(before, encoding="utf-8")


@pytest.mark.slow
def test_a_runbook_without_hosts_says_so(fleet: Place) -> None:
    """`--hosts` for a runbook that runs on this machine only is bad usage, not ignored."""
    fleet.add("plain", "print('here')")
    done = fleet.opsnb("run", "runbooks/plain.ipynb", "--hosts", "a")
    assert done.returncode == 2
    assert "runs on this machine only" in done.stderr


@given(st.integers(0, 40), st.integers(1, 10), st.integers(1, 10))
def test_batches_cover_every_host_once(count: int, canary: int, batch: int) -> None:
    """Every host stands in one batch, in order; the first has at most `canary`, the others at most `batch`."""
    hosts = [f"h{n}" for n in range(count)]
    groups = batches(hosts, canary, batch)
    assert [host for group in groups for host in group] == hosts
    assert all(groups)
    assert [len(g) <= limit for g, limit in zip(groups, [canary, *[batch] * len(groups)], strict=False)].count(
        False
    ) == 0


@pytest.mark.parametrize(("canary", "batch"), [(0, 1), (1, 0), (-1, 1)])
def test_no_batch_is_empty(canary: int, batch: int) -> None:
    """A canary or batch below one is bad usage."""
    with pytest.raises(UsageError, match="at least 1"):
        batches(["a"], canary, batch)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fate", "where", "told", "why"),
    [
        ("fail", "b", "ok ok ok", ""),  # b, and d and e that were not begun
        ("unreachable", "c", "ok ok ok", ""),
        ("unknown", "b", "ok ok ok", "it was so already"),  # b was made, as it turns out
        ("half", "b", "ok ok ok", ""),  # and gone on with
        ("die", "a", "ok ok ok ok ok", "it was so already"),
    ],
)
def test_a_retry_makes_what_is_left(fleet: Place, tmp_path: Path, fate: str, where: str, told: str, why: str) -> None:
    """Only changes that no run has made are let through; what an unknown one turns out to have made is adopted."""
    first = apply(fleet, tmp_path, {where: fate})
    kept = {
        path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if states(fleet, first)[path.name] == "ok"
    }
    again = fleet.end(fleet.client.post(f"/api/runs/{first['run']}/retry")["run"])
    assert (again["mode"], again["verdict"]) == ("retry", "DONE"), again["reason"]
    rows = json.loads((fleet.record(again) / "manifest.json").read_bytes())["record"]["applied"]
    assert " ".join(row["state"] for row in rows) == told
    assert {row["host"] for row in rows} == set("abcde") - set(kept)
    assert [row["why"] != "" for row in rows if row["host"] == where] == [why != ""]
    assert all(why in row["why"] for row in rows if row["host"] == where)
    assert [(tmp_path / name).read_text() for name in "abcde"] == ["marked"] * 5
    assert all((tmp_path / name).stat().st_mtime_ns == then for name, then in kept.items())
    for run in (again, first) if kept else (again,):
        assert fleet.end(fleet.client.post(f"/api/runs/{run['run']}/undo")["run"])["verdict"] == "DONE"
    assert marked(tmp_path) == ""


@pytest.mark.slow
def test_a_retry_of_what_somebody_changed_drifts(fleet: Place, tmp_path: Path) -> None:
    """Neither as before nor as planned nor in the middle: nothing is touched, and the retry says which."""
    first = apply(fleet, tmp_path, {"b": "fail"})
    (tmp_path / "b").write_text("somebody else's")
    again = fleet.end(fleet.client.post(f"/api/runs/{first['run']}/retry")["run"])
    assert again["verdict"] == "DRIFTED"
    assert "b: mark b is no longer as planned" in again["reason"]
    assert (tmp_path / "b").read_text() == "somebody else's"


@pytest.mark.slow
def test_what_cannot_be_retried_is_refused(fleet: Place, tmp_path: Path) -> None:
    """A plan, an application that made everything, one that drifted, one that was undone: a sentence each."""

    def refused(run: str, words: str) -> None:
        done = fleet.opsnb("runs", "retry", run)
        assert done.returncode == 3, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr

    whole = apply(fleet, tmp_path, {})
    refused(whole["run"], "every change of request")
    plan = fleet.end(fleet.submit("TST-090", values={"directory": str(tmp_path)}))
    refused(plan["run"], "applied nothing")
    assert fleet.json("runs", "undo", whole["run"])["verdict"] == "DONE"
    refused(whole["run"], "was undone")
    drifted = apply(fleet, tmp_path, {"a": "drift"})
    refused(drifted["run"], "began nothing")
