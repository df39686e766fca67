"""One login to look and another to change: the second is released to an application only."""

from __future__ import annotations

import json

import pytest
import yaml

from fleets import Hosts

pytestmark = pytest.mark.slow

FRONT = """
id: TST-091
title: Who is it
promise: Looking and changing are done by different users.
risk: change
owner: tests
touches: nothing
undo: nothing to undo
"""
CELLS = (
    """import opsnb
from opsnb import fleet
from opsnb.base.errors import LinkError
from opsnb.base.plan import Change, Plan
from opsnb.runbook.actuators import Actuator, register
run = opsnb.begin("TST-091")
machines = fleet.of(run)
said = {}

def who(host, change=False):
    return fleet.machine(host, change=change).run("id", "-un").require().text.strip()

def apply(host, target, before, after):
    said["apply"] = who(host, change=True)

register(Actuator(verb="test.who", observe=lambda host, target: who(host), apply=apply))
try:
    run.credential("two", "change")
    early = "released"
except LinkError as error:
    early = "refused"
print("early", early)""",
    """change = Change(host="two", what="who", verb="test.who", target={}, before=who("two"), after="x", command="id", undo="id")
plan = run.propose(Plan(title="who", changes=(change,)))""",
    "run.change(plan)",
    "run.check('they differ', [plan.changes[0].before, said.get('apply')], ['watch', 'ops'])\nrun.finish()",
)


def test_the_one_who_looks_is_not_the_one_who_changes(rehearsal: Hosts) -> None:
    """A run observes as one user and changes as another, whose credential no plan is given."""
    found = yaml.safe_load((rehearsal.root / "inventory" / "rehearsal.yaml").read_text(encoding="utf-8"))
    web1, known = found["hosts"]["web1"], found["credentials"]
    web1["credential"] = {"observe": "looker", "change": "changer"}
    del web1["labels"]
    made = {
        "credentials": {
            "looker": {**known["rehearsal"], "user": "watch"},
            "changer": {**known["rehearsal-change"], "user": "ops"},
        },
        "hosts": {"two": web1},
    }
    (rehearsal.root / "inventory" / "two.yaml").write_text(yaml.safe_dump(made), encoding="utf-8")
    rehearsal.add("TST-091", *CELLS, front=FRONT, parameters='hosts: str = "two"  # which')
    plan = rehearsal.json("run", "TST-091")
    assert plan["verdict"] == "PLANNED", plan["reason"]
    assert "early refused" in json.dumps(rehearsal.executed(plan))
    done = rehearsal.json("run", "TST-091", "--mode", "apply", "--request", plan["request"])
    assert (done["verdict"], done["checks"][0]["got"]) == ("DONE", ["watch", "ops"]), done["reason"]
    (rehearsal.root / "inventory" / "two.yaml").unlink()
