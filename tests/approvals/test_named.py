"""`opsnb doctor` compares what policies name with who and what is there: a slip is found before anybody waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsnb.base.workspace import Workspace
from opsnb.cli.workspace import make
from opsnb.control.database import Database
from opsnb.control.flows.examine_policies import policies
from opsnb.control.flows.finding import State
from opsnb.control.flows.people_record import record
from opsnb.control.ledger.store import open_ledger
from opsnb.control.people.draft import Draft, first_person
from opsnb.control.people.importing import take
from opsnb.control.people.rules import Directory
from opsnb.control.people.store import directory
from opsnb.control.people.values import Person

ROOT = Person(id="u-root", name="root")

HOSTS = "hosts:\n  web1: {transport: local}\ngroups:\n  web: {hosts: [web1], environment: prod}\n"
PEOPLE = """
departments: {Web: {leader: bob}, Data: {}}
roles: {dba: {may: [approve]}, night-shift: {may: [approve]}}
users:
  bob: {roles: [approver, dba]}
  chen: {roles: [approver]}
  gone: {roles: [approver], active: false}
  robot: {kind: service, roles: [night-shift]}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with people, and nothing that runs."""
    root = tmp_path_factory.mktemp("named")
    make(root)
    (root / "inventory.yaml").write_text(HOSTS, encoding="utf-8")
    made = Workspace(root)
    made.state.mkdir()
    database = Database(made.database)
    with database.transaction() as connection:
        open_ledger(connection, "named")
        record(connection, first_person(Directory(), ROOT), ROOT.id)
        wanted = take(Draft(directory(connection, to_change=True)), PEOPLE, "yaml", "people.yaml")
        record(connection, wanted.changes, ROOT.id)
    database.close()
    return made


def look(workspace: Workspace, policy: str) -> list[tuple[str, str]]:
    """Return what is found of one policy, each with what mends it."""
    path = workspace.root / "opsnb.yaml"
    path.write_text(f"name: named\npolicies:\n  prod: {policy}\n", encoding="utf-8")
    found = list(policies(workspace))
    assert {one.state for one in found} <= {State.WARNING, State.OK}
    return [(one.found, one.mend) for one in found if one.state is State.WARNING]


@pytest.mark.parametrize(
    ("policy", "said", "mend"),
    [
        ("{by: 'person:bbo'}", "person:bbo is nobody here", "did you mean 'bob'?"),
        ("{by: 'person:gone'}", "person:gone has left", "opsnb user activate gone"),
        ("{by: 'person:robot'}", "person:robot is a service account, and those never approve", "name a person"),
        ("{by: 'role:aprover'}", "role:aprover is nobody here", "did you mean 'approver'?"),
        ("{by: 'role:night-shift'}", "role:night-shift is nobody here", "opsnb user set NAME --role night-shift"),
        ("{by: 'role:oncall'}", "role:oncall is nobody here", "opsnb user set NAME --role oncall"),
        ("{by: 'leader:Wbe'}", "leader:Wbe is nobody here", "did you mean 'web'?"),
        ("{by: 'leader:Data'}", "leader:Data is nobody here", "opsnb department set 'Data' --leader NAME"),
        ("{notice: ['person:bbo']}", "person:bbo is nobody here", "did you mean"),
        (
            "{free: {for: ['role:oncall'], runbooks: ['*'], notice: ['person:bob']}}",
            "role:oncall is nobody here",
            "opsnb user set",
        ),
        ("{break_glass: {for: ['person:lee']}}", "person:lee is nobody here", "known people: "),
        ("{by: 'role:dba', approvals: 2}", "step 'approve' wants 2 approvals, and it means 1", "a smaller number"),
        ("{by: ['role:dba', 'person:BOB'], approvals: 2}", "wants 2 approvals, and it means 1", "a smaller number"),
        ("{steps: [{by: 'role:approver', approvals: 3}]}", "wants 3 approvals, and it means 2", "a smaller number"),
        ("{environments: [prd]}", "no host is in environment 'prd'", "did you mean 'prod'?"),
    ],
)
def test_a_slip(workspace: Workspace, policy: str, said: str, mend: str) -> None:
    """A person, role, department or environment that is not there, or too few people, is named with the next move."""
    ((found, move),) = look(workspace, policy)
    assert found.startswith("prod: ")
    assert said in found
    assert mend in move


@pytest.mark.parametrize(
    "policy",
    [
        "{by: [anyone], approvals: 5}",
        "{by: [applicant_leader, 'role:dba'], approvals: 2}",
        "{by: ['role:approver'], approvals: 2}",
        "{by: 'role:APPROVER', approvals: all}",
        "{by: ['person:bob'], within: 1h, escalate_to: ['person:Chen'], approvals: 2}",
        "{environments: ['pro*', '']}",
        "{by: 'leader:web'}",
    ],
)
def test_no_slip(workspace: Workspace, policy: str) -> None:
    """What is there is not complained of, whatever its case; nor is who cannot be known before somebody asks."""
    assert look(workspace, policy) == []


def test_nothing_to_look_at(tmp_path: Path) -> None:
    """Where nobody has opened the workspace, or its settings are wrong, there is nothing to say here."""
    make(tmp_path)
    assert look(Workspace(tmp_path), "{by: 'person:bbo'}") == []
