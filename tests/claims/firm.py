"""A workspace with several people, hosts that are this machine under other names, and a runbook that marks them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from opsnb.base.workspace import Workspace
from opsnb.cli.workspace import make
from opsnb.control.app import App
from opsnb.control.approvals.values import ActKind
from opsnb.control.flows import people, requests
from opsnb.control.flows.approve import Deed, act
from opsnb.control.flows.seal import Asked
from opsnb.control.ledger.store import read
from opsnb.control.people.store import directory
from opsnb.control.people.values import Actor, Kind
from opsnb.control.people.wanted import User
from opsnb.control.records import Mode, RunState
from opsnb.control.runs import store
from places import Place, notebook, wait_for

FRONT = """
id: TST-100
title: Mark hosts
promise: Each host has its mark.
risk: change
owner: tests
touches: one file for each host
undo: removes the files
timeout: 2m
lock: "mark"
writes: ["{directory}"]
parameters:
  directory: {kind: directory}
"""
PARAMETERS = 'hosts: str = "web"  # which hosts\ndirectory: str = "/tmp"  # where'
SETUP = """import pathlib
import opsnb
from opsnb.base.plan import Change, Plan
from opsnb.runbook.actuators import Actuator, register
run = opsnb.begin("TST-100")

def observe(host, target):
    path = pathlib.Path(directory, host)
    return path.read_text() if path.exists() else None

def apply(host, target, before, after):
    path = pathlib.Path(directory, host)
    path.unlink() if after is None else path.write_text(after)

register(Actuator(verb="test.mark", observe=observe, apply=apply))"""
PROPOSE = """changes = [Change(host=h, what=f"mark {h}", verb="test.mark", target={}, before=observe(h, {}), after="marked",
                  command="mark", undo="unmark") for h in run.hosts]
plan = run.propose(Plan(title="marks", changes=tuple(changes)))"""
CELLS = (SETUP, PROPOSE, "run.change(plan)", "run.check('it was looked at', True, True)\nrun.finish()")
KEYS = (  # of nobody
    "AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c",
    "AAAAC3NzaC1lZDI1NTE5AAAAIIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU",
)
HOSTS = f"""hosts:
  web1: {{transport: local, environment: prod}}
  web2: {{transport: local, environment: prod}}
  db1: {{transport: local, environment: prod}}
  edge1: {{address: 192.0.2.7, environment: prod, keys: [ssh-ed25519 {KEYS[0]}]}}
groups:
  web: {{hosts: [web1, web2]}}
"""
PEOPLE = {"bob": ("approver",), "carol": ("approver",), "dora": ("engineer",), "erin": (), "chen": ("approver",)}


class Firm:
    """The workspace, its control plane in this process, and its people."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.place = Place(root)
        make(root)
        self.place.settings(**settings)
        (root / "inventory.yaml").write_text(HOSTS, encoding="utf-8")
        self.runbook = root / "runbooks" / "TST-100.ipynb"
        self.runbook.write_bytes(notebook(*CELLS, front=FRONT, parameters=PARAMETERS))
        self.folder = root / "marks"
        self.folder.mkdir()
        self.app = App(Workspace(root))
        self.services = self.app.services
        for name, roles in PEOPLE.items():
            people.add_user(self.services, self.app.actor, User(name=name, roles=roles))
        bot = User(name="robot", kind=Kind.SERVICE, roles=("engineer",))
        people.add_user(self.services, self.app.actor, bot)

    def actor(self, name: str, **fields: Any) -> Actor:
        """Return somebody who acts."""
        with self.services.database.transaction() as connection:
            person = directory(connection).named(name)
        assert person
        return Actor(person=person, **{"via": "session", **fields})

    def request(self, who: str = "dora", start: str = "asked", **values: Any) -> str:
        """Plan and ask for approval; return the request once it was asked for."""
        asked = Asked(runbook="TST-100", values={"directory": str(self.folder), **values}, why="because")
        run = self.app.submit(asked, start=start, actor=self.actor(who))
        ended = self.end(run)
        assert ended["verdict"] == "PLANNED", ended["reason"]
        return str(ended["request"])

    def say(self, who: str, request: str, kind: ActKind = ActKind.APPROVE, **fields: Any) -> Any:
        """Have somebody do something about a request."""
        return act(self.services, self.actor(who), request, Deed(kind=kind, comment="because", **fields))

    def apply(self, request: str, who: str = "dora") -> str:
        """Start a request's application; return the run."""
        return self.app.submit(Asked(runbook="TST-100", mode=Mode.APPLY), request=request, actor=self.actor(who))

    def shown(self, request: str) -> dict[str, Any]:
        """Return a request as people see it."""
        return requests.shown(self.services, self.app.actor, request)

    def listed(self, status: str) -> list[str]:
        """Return the requests of a list, newest first."""
        return [row["request"] for row in requests.listed(self.services, self.app.actor, status=status)["requests"]]

    def end(self, run: str, seconds: float = 90) -> dict[str, Any]:
        """Wait for a run's end."""
        wait_for(lambda: self.app.run(run)["state"] == RunState.ENDED, seconds)
        return self.app.run(run)

    def events(self, request: str) -> list[dict[str, Any]]:
        """Return the ledger's entries about a request."""
        with self.services.database.transaction() as connection:
            return [e.value for e in read(connection) if e.value.get("request") == request]

    def hold(self) -> None:
        """Hold the lock that every application of the runbook needs: it waits in the queue meanwhile."""
        with self.services.database.transaction() as connection:
            connection.execute(insert(store.locks).values(name="mark", run="somebody"))

    def let_go(self) -> None:
        """Give the lock back."""
        with self.services.database.transaction() as connection:
            store.release_locks(connection, "somebody")
        self.services.wake()

    def marks(self) -> list[str]:
        """Return the hosts that were marked; each is marked no more afterwards."""
        found = sorted(self.folder.iterdir())
        for path in found:
            path.unlink()
        return [path.name for path in found]

    def record(self, run: dict[str, Any]) -> dict[str, Any]:
        """Return a run's record."""
        manifest = (self.place.root / self.app.run(run["run"])["record"]).with_name("manifest.json")
        wait_for(manifest.exists, 30)  # it enters outputs/ by a rename, a moment later
        return dict(json.loads(manifest.read_bytes())["record"])
