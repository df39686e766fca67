"""Hosts and runbooks through the API: what holds, to who may see it, and not a word about the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.callers import CHANGE, Callers
from opsnb.control.flows import activate, people
from opsnb.control.people.wanted import User
from places import notebook

INVENTORY = """
credentials:
  deploy: {kind: key, secret: web-key, user: deployer}
groups:
  web: {hosts: [web1, web2], credential: deploy, via: jump}
  db: {hosts: [db1]}
hosts:
  jump: {address: 192.0.2.9, environment: prod}
  web1: {environment: test, labels: {role: nginx}, sudo: {secret: web-sudo}}
  web2: {environment: test}
  db1: {environment: prod, labels: {role: db}}
services:
  shop: {hosts: {test: web}}
  store: {hosts: {prod: db}}
"""
PLAIN = "runbooks/plain.ipynb"
LETTER = "N"  # in callers without a role: here who may read the runbooks TST-* in the environment test


@pytest.fixture(scope="module")
def office(callers: Callers) -> Callers:
    """The control plane with an active inventory, and somebody who may read a part of it."""
    root, services = callers.app.workspace.root, callers.app.services
    (root / "inventory.yaml").write_text(INVENTORY, encoding="utf-8")
    (root / PLAIN).write_bytes(notebook("1"))
    (root / "runbooks" / "bad.ipynb").write_bytes(notebook("1", front="id: nothing"))
    hold(callers)
    people.set_role(services, callers.app.actor, "part", ("read TST-* in test",), new=True)
    people.set_user(services, callers.app.actor, User(name=f"p-{LETTER}", give=("part",)))
    return callers


def hold(callers: Callers) -> None:
    """Have the files hold."""
    seen = activate.differing(callers.app.services, callers.app.actor)
    activate.activate(callers.app.services, callers.app.actor, files=seen["files"], active=seen["active"])


@pytest.fixture
def client(office: Callers) -> Iterator[TestClient]:
    """A client."""
    with office.client() as client:
        yield client


class Asks:
    """Somebody who asks for what there is."""

    def __init__(self, office: Callers, client: TestClient, letter: str) -> None:
        self.office, self.client, self.letter = office, client, letter

    def __call__(self, path: str, status: int = 200, /, **query: Any) -> Any:
        """Return the answer, or the error."""
        self.client.cookies.clear()
        answer = self.client.get(path, params=query, headers=self.office.headers(self.letter))
        assert answer.status_code == status, answer.text
        return answer.json() if status == 200 else answer.json()["error"]

    def names(self, **query: Any) -> list[str]:
        """Return the names of hosts."""
        return [row["name"] for row in self("/api/hosts", **query)["hosts"]]


@pytest.fixture
def all_of_it(office: Callers, client: TestClient) -> Asks:
    """The auditor, who may read everything."""
    return Asks(office, client, "U")


@pytest.fixture
def part(office: Callers, client: TestClient) -> Asks:
    """Who may read a part."""
    return Asks(office, client, LETTER)


def test_hosts_that_one_may_see(all_of_it: Asks, part: Asks) -> None:
    """Everything to who may read everything; the hosts of one environment to who may read there."""
    assert all_of_it.names() == ["jump", "web1", "web2", "db1"]
    assert all_of_it.names(selector="role=db | service=store | localhost") == ["db1", "localhost"]
    assert part.names() == ["web1", "web2"]
    assert part.names(selector="service=shop & !web2") == ["web1"]
    assert "means no host" in part("/api/hosts", 422, selector="localhost")["message"]


@pytest.mark.parametrize(
    ("there", "nowhere"),
    [
        ("db1", "dbx"),
        ("db", "dq"),
        ("service=store", "service=stork"),
        ("role=db", "role=dx"),
    ],
)
def test_selectors_tell_nothing(part: Asks, there: str, nowhere: str) -> None:
    """A host, group, service, label that one may not see: the same words as for what nobody has, hint and all."""
    found, wanted = (part("/api/hosts", 422, selector=s) for s in (there, nowhere))
    there, nowhere = (s.removeprefix("service=") for s in (there, nowhere))
    assert {k: str(v).replace(there, nowhere) for k, v in found.items()} == {k: str(v) for k, v in wanted.items()}


def test_a_host_that_one_may_not_see(all_of_it: Asks, part: Asks) -> None:
    """Unknown and not permitted answer alike, this machine included; nothing else names the host."""
    for name in ("db1", "jump", "localhost"):
        assert all_of_it(f"/api/hosts/{name}")["name"] == name
        assert part(f"/api/hosts/{name}", 404)["message"] == f"no host is called '{name}'"
        assert part(f"/api/hosts/{name}", 404).keys() == part("/api/hosts/nowhere", 404).keys()
    assert part("/api/hosts/nowhere", 404)["hint"] == "known hosts: web1, web2"
    found = part("/api/hosts/web1")
    assert found["via"] == [{"name": "jump"}]
    assert all_of_it("/api/hosts/web1")["via"][0]["address"] == "192.0.2.9"
    assert (found["services"], found["referred_to_by"]) == (["shop"], ["group 'web' (inventory.yaml line 5)"])
    assert found["sudo"] == "password"
    assert found["credential"] == {"observe": "deploy", "change": "deploy"}
    assert all_of_it("/api/hosts/jump")["referred_to_by"] == ["group 'web' (inventory.yaml line 5), as its jump host"]


def test_pages(all_of_it: Asks) -> None:
    """A page at a time, to the end, and none twice."""
    found, after = [], ""
    for _ in range(3):
        page = all_of_it("/api/hosts", limit=2, after=after)
        found += [row["name"] for row in page["hosts"]]
        after = page["next"]
        if after is None:
            break
    assert found == ["jump", "web1", "web2", "db1"]
    assert "not among" in all_of_it("/api/hosts", 422, after="web9")["message"]


def test_runbooks_that_one_may_see(all_of_it: Asks, part: Asks) -> None:
    """Those of one's own grants; what is broken, or has no id, only to who may read every runbook."""
    found = all_of_it("/api/runbooks")
    assert {"TST-001", None} == {row["id"] for row in found["runbooks"]}
    assert "HST-001" in {row["id"] for row in found["built_in"]}
    assert [row["path"] for row in found["broken"]] == ["runbooks/bad.ipynb"]
    assert all_of_it("/api/notebook", path=PLAIN)["title"] == "plain"
    assert "bad.ipynb" in all_of_it("/api/notebook", 422, path="runbooks/bad.ipynb")["message"]
    mine = part("/api/runbooks")
    assert [row["id"] for row in mine["runbooks"]] == ["TST-001"]
    assert (mine["built_in"], mine["broken"]) == ([], [])
    assert part("/api/runbooks/tst-001")["takes"] == []
    for path in (PLAIN, "runbooks/bad.ipynb", "built-in/HST-001-triage.ipynb", "/etc/passwd", "runbooks/no.ipynb"):
        assert part("/api/notebook", 404, path=path)["message"] == f"no runbook is called {path!r}"
    assert part("/api/runbooks/HST-001", 404)["hint"] == part("/api/runbooks/XST-001", 404)["hint"]


def test_what_holds(office: Callers, all_of_it: Asks) -> None:
    """What is written and not activated is not shown: not a host, not a schedule, not a word of a notebook."""
    root = office.app.workspace.root
    before = all_of_it("/api/runbooks"), all_of_it("/api/hosts"), all_of_it("/api/hosts/db1")
    (root / "inventory.yaml").write_text(INVENTORY.replace("db1", "db2"), encoding="utf-8")
    (root / "schedules").mkdir(exist_ok=True)
    (root / "schedules" / "new.yaml").write_text("hosts: db1\n", encoding="utf-8")
    (root / "runbooks" / "change.ipynb").write_bytes(notebook("1", front=CHANGE.replace("Change", "Other")))
    (root / "runbooks" / "new.ipynb").write_bytes(notebook("1", front=CHANGE.replace("001", "002")))
    (root / PLAIN).unlink()
    assert (all_of_it("/api/runbooks"), all_of_it("/api/hosts"), all_of_it("/api/hosts/db1")) == before
    assert all_of_it("/api/runbooks/TST-001")["title"] == "Change"
    all_of_it("/api/runbooks/TST-002", 404)
    hold(office)
    assert all_of_it.names() == ["jump", "web1", "web2", "db2"]
    found = all_of_it("/api/runbooks")["runbooks"]
    assert {row["id"]: row["title"] for row in found} == {"TST-001": "Other", "TST-002": "Change"}


def test_what_cannot_be_read_has_a_next_move(client: TestClient, office: Callers) -> None:
    """A body of another kind is told what to send, a wrong field where it stands what is right; neither is repeated."""
    held = {"authorization": f"Bearer {office.app.token}"}
    for headers, said in (
        ({}, "Content-Type: application/json"),
        ({"content-type": "application/json"}, "openapi.json"),
    ):
        answer = client.post("/api/users", content=b'{"nmae": "secret"}', headers={**held, **headers})
        error = answer.json()["error"]
        assert (answer.status_code, said in error["hint"], "secret" in answer.text) == (422, True, False)
