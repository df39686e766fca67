"""Files are proposals: with more than one person the system acts on what somebody entitled has activated."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from activate.conftest import FRONT, Office
from opsnb.base.errors import AlteredError, InventoryError, RefusedError, SettingsError
from opsnb.base.workspace import Workspace
from opsnb.control.app import App
from opsnb.control.flows.activate import activate, differing, show
from opsnb.control.flows.active import active, authors
from opsnb.control.flows.people import set_user
from opsnb.control.ledger.store import read
from opsnb.control.people.values import Actor, Kind
from opsnb.control.people.wanted import User
from opsnb.control.revision import store
from opsnb.control.revision.files import take

PATH = "runbooks/one.ipynb"


def activated(office: Office, actor: Actor | None = None) -> dict[str, Any]:
    """Look at the difference and activate it."""
    seen = differing(office.services, actor or office.first)
    return activate(office.services, actor or office.first, files=seen["files"], active=seen["active"])


def entries(office: Office) -> list[dict[str, Any]]:
    """Return the ledger's entries about activation."""
    with office.services.database.transaction() as connection:
        return [e.value for e in read(connection, 0) if e.value["kind"] == "revision.activated"]


def wrote(office: Office, path: str = PATH) -> frozenset[str]:
    """Return who wrote a notebook as it is now."""
    digest = take(office.place.root, lambda _: True).revision.files[path]
    with office.services.database.transaction() as connection:
        return authors(connection, digest)


# -- one person, and the second -----------------------------------------------------------------------------------


def test_one_person_acts_on_the_files(office: Office) -> None:
    """While one person has the workspace, what is saved holds at once, and nothing is recorded about it."""
    office.inventory("10.0.0.2")
    assert office.address() == "10.0.0.2"
    assert active(office.services) is None
    office.join("deploy", "engineer", kind=Kind.SERVICE)  # a program is nobody to share with
    office.inventory("10.0.0.3")
    assert office.address() == "10.0.0.3"
    assert entries(office) == []


def test_the_second_person_brings_the_first_revision(office: Office) -> None:
    """With the second person the files of that moment hold, recorded with digest and who, and no file's name."""
    bob = office.join("bob", "engineer")
    office.inventory("10.0.0.2")
    assert office.address() == "10.0.0.1"
    entry = entries(office)[0]
    assert {k: entry[k] for k in ("revision", "by", "automatic")} == {
        "revision": 1, "by": office.first.person.id, "automatic": True,
    }  # fmt: skip
    found = show(office.services, bob)
    assert found["active"]["digest"] not in str(entry)  # salted
    assert found["holds"] == "revision"
    assert found["differs"] == ["inventory.yaml"]
    assert found["may_activate"] == [office.first.person.name]


def test_a_refused_person_leaves_no_revision(office: Office) -> None:
    """When the second person cannot be added, nothing of the revision stays either."""
    (office.place.root / "opsnb.yaml").write_text("nmae: x\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="nmae"):
        office.join("bob", "engineer")
    assert active(office.services) is None
    assert entries(office) == []


def test_alone_again_and_together_again(office: Office) -> None:
    """Who is left alone has the files; when somebody is back, the files of that moment hold."""
    office.join("bob", "engineer")
    set_user(office.services, office.first, User(name="bob", active=False))
    office.inventory("10.0.0.2")
    assert office.address() == "10.0.0.2"
    set_user(office.services, office.first, User(name="bob", active=True))
    office.inventory("10.0.0.3")
    assert office.address() == "10.0.0.2"
    assert [e["revision"] for e in entries(office)] == [1, 2]


# -- activating ---------------------------------------------------------------------------------------------------


def test_what_was_activated_holds(office: Office) -> None:
    """Inventory, settings and policies are the old ones until they are activated, and the new ones from then on."""
    office.join("bob", "engineer")
    office.inventory("10.0.0.2")
    office.place.settings(cell_timeout="7s", policies={"web": {"approvals": 2}})
    before = office.services.settings.cell_timeout, office.services.policies
    office.services.inventory()
    assert (office.services.settings.cell_timeout, office.services.policies) == before
    assert activated(office) == {
        "revision": 2, "digest": take(office.place.root, lambda _: True).revision.digest, "activated": True,
    }  # fmt: skip
    assert office.address() == "10.0.0.2"
    assert office.services.settings.cell_timeout == 7.0
    assert office.services.policies != before[1]
    assert activated(office)["activated"] is False
    assert [e["automatic"] for e in entries(office)] == [True, False]


def test_only_the_entitled_activate(office: Office) -> None:
    """An engineer, somebody inactive, a service account and a token without that scope are refused, with the reason."""
    bob = office.join("bob", "engineer")
    robot = office.join("robot", "administrator", kind=Kind.SERVICE)
    office.inventory("10.0.0.2")
    scoped = Actor(person=office.first.person, via="token", scopes=frozenset({"read"}))
    seen = differing(office.services, bob)
    for actor in (bob, robot, scoped):
        with pytest.raises(RefusedError):
            activate(office.services, actor, files=seen["files"], active=seen["active"])
    assert office.address() == "10.0.0.1"
    set_user(office.services, office.first, User(name="bob", active=False))
    with pytest.raises(RefusedError):
        differing(office.services, bob)


@pytest.mark.parametrize(("file", "text", "error"), [
    ("opsnb.yaml", "workers: many\n", SettingsError), ("opsnb.yaml", "policies: {x: {aprovals: 1}}\n", SettingsError),
    ("inventory.yaml", "hosts:\n  web1: {adress: 10.0.0.2}\n", InventoryError),
])  # fmt: skip
def test_what_is_wrong_is_not_activated(office: Office, file: str, text: str, error: type[Exception]) -> None:
    """A mistake in settings, policies or inventory is shown in the difference, refused, and the old ones hold."""
    office.join("bob", "engineer")
    (office.place.root / file).write_text(text, encoding="utf-8")
    assert differing(office.services, office.first)["changes"]
    with pytest.raises(error):
        activated(office)
    assert office.address() == "10.0.0.1"


def test_files_that_change_meanwhile(office: Office) -> None:
    """Nothing is activated that was not seen: a file that changes after the difference was shown refuses it."""
    office.join("bob", "engineer")
    office.inventory("10.0.0.2")
    seen = differing(office.services, office.first)
    office.inventory("10.6.6.6")
    with pytest.raises(RefusedError, match="changed since you looked"):
        activate(office.services, office.first, files=seen["files"], active=seen["active"])
    assert office.address() == "10.0.0.1"


def test_of_two_at_once_one_wins(office: Office) -> None:
    """Several who activate what they saw at the same moment: one does, the others are told who did."""
    people = [office.first, *(office.join(name, "administrator") for name in ("bob", "chen", "dora"))]
    office.inventory("10.0.0.2")
    seen = [differing(office.services, actor) for actor in people]
    start, told = threading.Barrier(len(people)), []

    def one(actor: Actor, known: dict[str, Any]) -> None:
        start.wait()
        try:
            told.append(activate(office.services, actor, files=known["files"], active=known["active"])["revision"])
        except RefusedError as error:
            told.append(error.message)

    threads = [threading.Thread(target=one, args=pair) for pair in zip(people, seen, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count(2) == 1
    assert sum("has activated revision 2 since you looked" in str(t) for t in told) == len(people) - 1
    assert [e["revision"] for e in entries(office)] == [1, 2]


def test_the_bytes_kept_are_those_of_the_digest(office: Office) -> None:
    """While a file is rewritten all the time, each revision holds one whole version of it, with its digest."""
    office.join("bob", "engineer")
    path, over = office.place.root / "runbooks/note.txt", threading.Event()

    def rewrite() -> None:
        number = 0
        while not over.is_set():
            number += 1
            aside = path.with_name(".note")
            aside.write_text(f"{number}\n" * 20_000, encoding="utf-8")
            aside.rename(path)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        made = 0
        for _ in range(40):
            try:
                made += activated(office)["activated"]
            except RefusedError:
                continue
    finally:
        over.set()
        writer.join()
    made += activated(office)["activated"]
    assert made
    with office.services.database.transaction() as connection:
        for number in range(2, store.latest(connection)[0] + 1):
            digest = store.read(connection, number).revision.files["runbooks/note.txt"]
            assert len(set(store.content(connection, digest).split())) == 1


def test_the_next_start_acts_on_what_holds(office: Office) -> None:
    """A control plane that starts takes settings and policies from the revision, even when the file is broken."""
    office.place.settings(policies={"web": {"approvals": 2}}, cell_timeout="9s", kernel="spawn")
    office.join("bob", "engineer")
    office.app.close()
    (office.place.root / "opsnb.yaml").write_text("workers: [\n", encoding="utf-8")
    (office.place.root / "inventory.yaml").write_text("hosts: {web1: {address: 10.6.6.6}}\n", encoding="utf-8")
    office.app = App(Workspace(office.place.root))
    assert office.app.services.settings.cell_timeout == 9.0
    assert len(office.app.services.policies.rules) == 1
    assert office.app.services.inventory().host("web1").address == "10.0.0.1"


def test_altered_contents_are_found(office: Office) -> None:
    """What is kept is compared with its digest whenever it is read: another inventory in its place is not used."""
    office.join("bob", "engineer")
    digest = active(office.services).revision.files["inventory.yaml"]  # type: ignore[union-attr]
    with office.services.database.transaction() as connection:
        connection.execute(update(store.contents).where(store.contents.c.digest == digest).values(data=b"x"))
    with pytest.raises(AlteredError):
        office.services.inventory()


# -- authors ------------------------------------------------------------------------------------------------------


def test_who_activates_a_change_is_its_author(office: Office) -> None:
    """Whoever brought a notebook to what it is counts as its author; what was there first has none by activation."""
    bob = office.join("bob", "administrator")
    assert wrote(office) == frozenset()
    office.place.add("one", "print(2)", front=FRONT.format(id="ONE-001", risk="read"))
    assert wrote(office) == frozenset()  # not activated, so it does not run either
    activated(office, bob)
    office.inventory("10.0.0.2")
    activated(office)  # of something else
    assert wrote(office) == {bob.person.id}
    office.place.add("one", "print(3)", front=FRONT.format(id="ONE-001", risk="read"))
    activated(office)
    assert wrote(office) == {office.first.person.id}


def test_a_notebook_that_is_moved_or_taken_back_keeps_its_authors(office: Office) -> None:
    """Who brought a notebook stays its author when somebody else activates another place of it, or it once more."""
    bob, path = office.join("bob", "administrator"), office.place.root / PATH
    before = path.read_bytes()
    office.place.add("one", "print(2)", front=FRONT.format(id="ONE-001", risk="read"))
    written = path.read_bytes()
    activated(office, bob)
    path.rename(path.with_name("two.ipynb"))
    activated(office)
    assert bob.person.id in wrote(office, "runbooks/two.ipynb")
    path.with_name("two.ipynb").write_bytes(before)
    activated(office)
    path.with_name("two.ipynb").write_bytes(written)
    activated(office)
    assert wrote(office, "runbooks/two.ipynb") == {bob.person.id, office.first.person.id}


def test_git_names_an_author_too(office: Office) -> None:
    """In a git work tree the last commit's author is one as well, where the address is that of somebody here."""
    root = office.place.root

    def git(*argv: str, mail: str) -> None:
        who = {f"GIT_{w}_{k}": v for w in ("AUTHOR", "COMMITTER") for k, v in (("NAME", "x"), ("EMAIL", mail))}
        subprocess.run(["git", *argv], cwd=root, env={**os.environ, **who}, check=True, capture_output=True)

    office.place.add("two", "print(2)", front=FRONT.format(id="TWO-001", risk="read"))
    git("init", "-q", mail="x@example.org")
    git("add", PATH, mail="x@example.org")
    git("commit", "-qm", "one", mail="Chen@Example.org")
    git("add", "runbooks/two.ipynb", mail="x@example.org")
    git("commit", "-qm", "two", mail="stranger@example.org")
    chen = office.join("chen", "engineer", mail="chen@example.org")
    assert wrote(office) == {chen.person.id}
    assert wrote(office, "runbooks/two.ipynb") == frozenset()


def test_no_git_no_authors_of_it(tmp_path: Path) -> None:
    """Outside a work tree, or in a broken one, git says nothing and nothing fails."""
    from opsnb.control.revision.git import last_authors

    assert last_authors(tmp_path, ["a"]) == {}
    (tmp_path / ".git").mkdir()
    assert last_authors(tmp_path, ["a"]) == {}
