"""`opsnb user`, `role`, `department`, `delegate`, and the API below them: who may, what is said, what is recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opsnb.base.clock import now
from opsnb.base.errors import NotFoundError, OpsnbError, RefusedError, UsageError
from opsnb.base.workspace import Workspace
from opsnb.cli.workspace import make
from opsnb.control.app import App
from opsnb.control.flows import people
from opsnb.control.people.values import Actor
from opsnb.control.people.wanted import User
from places import Place

pytestmark = pytest.mark.slow

FRONT = """
id: NGX-900
title: Balance
promise: Balances a tier.
risk: change
owner: web-ops
touches: nothing
undo: nothing to undo
"""
HOSTILE = ["", "a/b", "../x", "a\u202eb", "k" * 10_000, "a\x00b", "%2e%2e", "a?b=c", "<script>", "'; DROP TABLE people"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A served workspace."""
    made = Place(tmp_path_factory.mktemp("people") / "ws")
    make(made.root)
    made.settings(kernel="spawn")  # nothing runs here, so nothing is warmed up
    made.up()
    yield made
    made.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A control plane in this process, with a few people who act."""
    made = Place(tmp_path_factory.mktemp("app") / "ws")
    make(made.root)
    made.settings(kernel="spawn")  # nothing runs here, so nothing is warmed up
    app = App(Workspace(made.root))
    for name, roles in (("bob", ("approver",)), ("chen", ()), ("dora", ("engineer",))):
        people.add_user(app.services, app.actor, User(name=name, roles=roles))
    yield app
    app.close()


def acting(app: App, name: str, **fields: Any) -> Actor:
    """Return a user who acts."""
    with app.services.database.transaction() as connection:
        person = people.store.directory(connection).named(name)
    assert person
    return Actor(person=person, **{"via": "session", **fields})


def me(place: Place) -> str:
    """Return the name of the person who opened the workspace."""
    return str(place.json("user", "list", "--role", "administrator")["users"][0]["name"])


# -- commands ----------------------------------------------------------------------------------------------------------


def test_a_firm_by_hand(served: Place) -> None:
    """Department, role, user, roles: each command says what became of it, in names, and the next one sees it."""
    first = me(served)
    assert served.json("department", "add", "Operations", "--leader", first)["department"]["leader"] == first
    served.json("department", "add", "Web", "--parent", "Operations")
    made = served.json("role", "add", "web-ops", "--may", "approve NGX-* in staging", "--may", "read")
    assert made["role"]["may"] == ["approve NGX-* in staging", "read"]
    added = served.opsnb("user", "add", "bob", "--display", "Bob Li", "--department", "web")
    assert (added.returncode, "bob has no role and may do nothing" in added.stdout) == (0, True)
    done = served.json("user", "set", "bob", "--role", "web-ops", "--mail", "bob@example.com")
    assert done["changes"] == [{
        "what": "user", "name": "bob", "change": "changed",
        "fields": {"mail": ["", "bob@example.com"], "roles": [[], ["web-ops"]]},
    }]  # fmt: skip
    bob = served.json("user", "show", "bob")
    assert (bob["leader"], bob["department"]) == (first, "Web")
    assert {"what": "approve NGX-* in staging", "role": "web-ops"} in bob["may"]
    assert "Bob Li" in served.opsnb("user", "list", "--department", "WEB").stdout
    assert "  Web" in served.opsnb("department", "list").stdout
    assert "held by bob" in served.opsnb("role", "show", "web-ops").stdout
    assert served.json("department", "set", "Web", "--rename", "Web-Team")["department"]["path"] == [
        "Operations",
        "Web-Team",
    ]


def test_why_somebody_may(served: Place) -> None:
    """`opsnb user may` is the decision that would be taken, with its reason; exit code 0 or 3."""
    (served.root / "inventory.yaml").write_text(
        "hosts:\n  w1: {address: 10.0.0.1, environment: prod}\n  w2: {address: 10.0.0.2, environment: staging}\n",
        encoding="utf-8",
    )
    served.add("ngx", front=FRONT, parameters="x: int = 1  # a number")
    served.json("activate", "--yes")  # there are others here already
    served.json("role", "add", "ngx-ops", "--may", "approve NGX-* in staging")
    served.json("user", "add", "mara", "--role", "ngx-ops")
    no = served.opsnb("user", "may", "mara", "approve", "--runbook", "NGX-900", "--hosts", "w1,w2")
    assert (no.returncode, no.stdout.strip()) == (3, "no  ngx-ops may approve NGX-* in staging; w1 is in prod")
    yes = served.json("user", "may", "mara", "approve", "--runbook", "NGX-900", "--hosts", "w2")
    assert (yes["ok"], yes["reason"], yes["hosts"]) == (True, "ngx-ops may approve this", ["w2"])
    here = served.json("user", "may", "mara", "approve", "--runbook", "NGX-900")
    assert here["reason"] == "ngx-ops may approve NGX-* in staging; localhost is in no environment"
    assert (
        served.json("user", "may", "mara", "secret")["reason"]
        == "mara has the role ngx-ops, which may not keep secrets"
    )
    assert "did you mean 'approve'" in served.json("user", "may", "mara", "aprove")["error"]["hint"]
    assert "--runbook" in served.json("user", "may", "mara", "plan")["error"]["hint"]


def test_leaving_and_coming_back(served: Place) -> None:
    """Somebody who leaves is no longer listed, keeps name and roles on record, and comes back with them."""
    served.json("user", "add", "gast", "--role", "auditor")
    assert served.opsnb("user", "deactivate", "gast").returncode == 0
    assert "gast" not in served.opsnb("user", "list").stdout
    assert "has left" in served.opsnb("user", "list", "--all").stdout
    again = served.opsnb("user", "add", "gast")
    assert (again.returncode, "they have left: opsnb user activate gast" in again.stderr) == (2, True)
    assert served.json("user", "activate", "gast")["user"]["roles"] == ["auditor"]


def test_the_last_administrator_is_told_so(served: Place) -> None:
    """Exit code 3 and the name, for leaving and for losing the role."""
    first = me(served)
    for argv in (("user", "deactivate", first), ("user", "set", first, "--no-role", "administrator")):
        done = served.opsnb(*argv)
        assert (done.returncode, f"{first} is the last" in done.stderr) == (3, True)
    assert me(served) == first


def test_delegates_are_shown(served: Place) -> None:
    """A delegation stands in the lists of delegates and users until it is ended, and on record after that."""
    first = me(served)
    served.json("user", "add", "dora", "--role", "approver")
    made = served.json("delegate", "add", first, "dora", "--until", "8h")
    length = datetime.fromisoformat(made["end"]) - datetime.fromisoformat(made["begin"])
    assert abs(length - timedelta(hours=8)) < timedelta(minutes=1)
    assert f"stands in for {first}" in served.opsnb("user", "list").stdout
    assert "dora stands in for them" in served.opsnb("user", "show", first).stdout
    assert made["id"] in served.opsnb("delegate", "list").stdout
    assert served.json("delegate", "remove", made["id"])["state"] == "over"
    assert served.json("delegate", "list") == {"delegates": []}
    assert served.json("delegate", "list", "--all")["delegates"][0]["removed"]
    day = served.json("delegate", "add", first, "dora", "--from", "2031-05-01", "--until", "2031-05-03")
    assert datetime.fromisoformat(day["end"]).astimezone().isoformat()[:16] == "2031-05-04T00:00"
    assert day["state"] == "to come"


@pytest.mark.parametrize(("argv", "why"), [
    (("delegate", "add", "dora", "dora", "--until", "1h"), "needs no delegate"),
    (("delegate", "add", "dora", "bob", "--until", "soon"), "is no time"),
    (("delegate", "add", "dora", "bob", "--until", "2020-01-01"), "not after the beginning"),
    (("role", "add", "x", "--may", "aprove"), "did you mean 'approve'"), (("role", "set", "nix", "--may", "read"), "no role"),
    (("role", "remove", "engineer"), "built in"), (("user", "show", "bobb"), "did you mean 'bob'"),
    (("user", "set", "nobody", "--mail", "a@b.de"), "no user is called"),
    (("department", "set", "Nowhere", "--leader", "bob"), "no department"), (("user", "add", "b0b"), "taken for 'bob'"),
    (("user", "import", "nothing.yaml"), "No such file"), (("user", "import", "people.txt"), "nobody can tell"),
])  # fmt: skip
def test_what_is_wrong_is_said(served: Place, argv: tuple[str, ...], why: str) -> None:
    """A refusal has its reason and an exit code, in words and with --json."""
    done, as_json = served.opsnb(*argv), served.json(*argv)
    assert done.returncode in {2, 3}
    assert why in done.stderr
    assert why in as_json["error"]["message"] + as_json["error"]["hint"]


def test_an_import_is_shown_first(served: Place) -> None:
    """--dry-run says what would change and changes nothing; then it is taken, once."""
    path = served.root / "people.csv"
    path.write_text("\ufeffname,姓名,roles\nwei,王伟,auditor\nbot,,\n", encoding="utf-8")
    dry = served.json("user", "import", "people.csv", "--dry-run")
    assert (dry["dry_run"], [r["name"] for r in dry["changes"]]) == (True, ["wei", "bot"])
    assert served.json("user", "show", "wei")["error"]["exit"] == 2
    assert served.json("user", "import", "people.csv")["changes"] == dry["changes"]
    assert "all is so already" in served.opsnb("user", "import", "people.csv").stdout
    path.write_text("name,roles\nneu,auditor\nwei,nope\n", encoding="utf-8")
    wrong = served.opsnb("user", "import", "people.csv")
    assert (wrong.returncode, "people.csv line 3 'wei'" in wrong.stderr) == (2, True)
    assert served.json("user", "show", "neu")["error"]["exit"] == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_at_every_route(served: Place, text: str) -> None:
    """Names that act, deceive or never end are refused as names wherever one can be given; the API never fails."""
    bodies = {
        "/api/users": {"name": text}, "/api/users/bob": {"give": [text]}, "/api/roles": {"name": text, "may": []},
        "/api/departments": {"name": text}, "/api/roles/remove": {"name": text}, "/api/departments/remove": {"name": text},
        "/api/delegates": {"principal": text, "delegate": text, "end": "2031-01-01T00:00:00Z"},
    }  # fmt: skip
    for path, body in bodies.items():
        with pytest.raises(UsageError) as caught:
            served.client.post(path, body)
        assert len(caught.value.message) < 600, path
        assert all(c.isprintable() for c in caught.value.message), path


def test_the_ledger_knows_ids(served: Place) -> None:
    """What is done to people stands in the published ledger by id; no name does, it verifies, and people read names."""
    served.json("role", "add", "log-ops", "--may", "read LOG-*")
    served.json("department", "add", "Logbuch")
    served.json("user", "add", "olga", "--display", "Olga 王", "--mail", "olga@example.com", "--role", "log-ops")
    made = served.json("delegate", "add", me(served), "olga", "--until", "1h")
    served.json("delegate", "remove", made["id"])
    served.client.post("/api/audit/checkpoint")
    text = (served.root / "outputs/ledger/entries.jsonl").read_text(encoding="utf-8")
    kinds = {json.loads(line)["kind"] for line in text.splitlines()}
    assert {"person.added", "role.set", "role.given", "department.set", "delegate.added", "delegate.removed"} <= kinds
    assert not [name for name in ("olga", "王", "log-ops", "LOG-", "Logbuch", "example.com") if name in text]
    done = served.verify()
    assert done.returncode == 0, done.stdout
    shown = served.opsnb("audit", "show", "--limit", "500").stdout
    assert f"by={me(served)} person=olga role=log-ops" in shown


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bob", "chen", "dora"])
def test_only_an_administrator_administers(app: App, name: str) -> None:
    """An approver, an engineer and somebody without a role change nothing, not even themselves; the reason says why."""
    services, actor = app.services, acting(app, name)
    acts = [
        lambda: people.add_user(services, actor, User(name="eve")),
        lambda: people.set_user(services, actor, User(name=name, give=("administrator",))),
        lambda: people.set_role(services, actor, "mine", ("administer",), new=True),
        lambda: people.drop_role(services, actor, "mine"),
        lambda: people.set_department(services, actor, "Mine", parent=None, leader=name, rename=None, new=True),
        lambda: people.import_people(services, actor, "users: {}", "yaml", "f", dry=True),
        lambda: people.add_delegate(services, actor, app.person.name, name, None, now() + timedelta(hours=1)),
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(RefusedError, match=rf"{name} .*may not administer") as caught:
            act()
        assert app.person.name in caught.value.hint
    assert people.users(services, actor, everybody=True)


def test_a_token_is_no_more_than_its_scopes(app: App) -> None:
    """An administrator's token for reading administers nothing."""
    actor = acting(app, app.person.name, via="token", scopes=frozenset({"read"}))
    with pytest.raises(RefusedError, match="not good for 'administer'"):
        people.add_user(app.services, actor, User(name="eve"))
    with pytest.raises(RefusedError, match="not good for 'read'"):
        people.users(app.services, acting(app, "bob", via="token", scopes=frozenset({"exec"})), everybody=False)


def test_own_delegates(app: App) -> None:
    """One appoints one's own delegate, who may give it back; others' delegations are none of one's business."""
    services, end = app.services, now() + timedelta(hours=1)
    made = people.add_delegate(services, acting(app, "bob"), "bob", "chen", None, end)
    assert (made["for"], made["delegate"], made["by"], made["state"]) == ("bob", "chen", "bob", "holds")
    with pytest.raises(RefusedError, match="may not administer"):
        people.end_delegate(services, acting(app, "dora"), made["id"])
    reading = frozenset({"read"})
    with pytest.raises(RefusedError, match="not good for 'administer'"):
        people.end_delegate(services, acting(app, "bob", via="token", scopes=reading), made["id"])
    with pytest.raises(RefusedError, match="not good for 'administer'"):
        people.add_delegate(services, acting(app, "bob", via="token", scopes=reading), "bob", "dora", None, end)
    assert people.end_delegate(services, acting(app, "chen"), made["id"])["state"] == "over"
    with pytest.raises(NotFoundError, match="no delegation"):
        people.end_delegate(services, app.actor, "g-none")


def test_who_left_may_nothing(app: App) -> None:
    """An inactive user sees and does nothing, whatever session they still have."""
    people.add_user(app.services, app.actor, User(name="gone", roles=("administrator",)))
    actor = acting(app, "gone")
    people.set_user(app.services, app.actor, User(name="gone", active=False))
    with pytest.raises(RefusedError, match="gone is inactive"):
        people.users(app.services, actor, everybody=False)
    with pytest.raises(RefusedError, match="gone is inactive"):
        people.add_user(app.services, actor, User(name="eve"))


def test_five_thousand_at_once(app: App, record_property: Any) -> None:
    """A file of 5,000 users is taken in one transaction within seconds."""
    rows = "".join(f"user{n:04},User {n:04},u{n}@example.com,engineer;approver\n" for n in range(5_000))
    text = "name,display,mail,roles\n" + rows
    seconds = []
    for wanted in (5_000, 0):
        start = time.perf_counter()
        done = people.import_people(app.services, app.actor, text, "csv", "all.csv", dry=False)
        seconds.append(time.perf_counter() - start)
        assert len(done["changes"]) == wanted
    record_property("seconds", seconds)
    assert max(seconds) < 20
    start = time.perf_counter()
    assert len(people.users(app.services, app.actor, everybody=False)) >= 5_000
    assert time.perf_counter() - start < 3


def test_opening_again_adds_nobody(tmp_path: Path) -> None:
    """The person who opens a workspace is its administrator from the first time on, and is added once."""
    make(tmp_path / "ws")
    found = []
    for _ in range(2):
        app = App(Workspace(tmp_path / "ws"))
        found.append((app.person.id, [e["kind"] for e in app.entries("", 100)["entries"]]))
        with pytest.raises(OpsnbError):
            people.set_user(app.services, app.actor, User(name=app.person.name, active=False))
        app.close()
    assert found[0] == found[1]
    assert found[0][1] == ["ledger.opened", "person.added", "role.given"]
