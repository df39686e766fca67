"""``opsnb activate`` as people and scripts use it: the real program, a terminal, JSON, exit codes."""

from __future__ import annotations

import pytest

from activate.conftest import FRONT
from persons import Person
from places import Place

pytestmark = pytest.mark.slow


@pytest.fixture
def shared(place: Place) -> Place:
    """A workspace of two people, served, with a notebook that differs from what holds."""
    place.settings(kernel="spawn")
    place.add("one", "print(1)", front=FRONT.format(id="ONE-001", risk="read"))
    place.up()
    place.json("user", "add", "bob", "--role", "engineer")
    place.add("one", "print(2)", front=FRONT.format(id="ONE-001", risk="read"))
    return place


def test_activate_from_the_command_line(shared: Place) -> None:
    """Refused until activated; the difference as JSON; nobody to ask: nothing done; --yes; then it runs; doctor knows."""
    refused = shared.json("run", "ONE-001")
    assert refused["error"]["exit"] == 3
    assert "cell 1 (code)" in refused["error"]["message"]
    found = shared.json("activate", "--diff")["changes"]
    assert [(row["kind"], row["name"], row["what"]) for row in found] == [("notebook", "runbooks/one.ipynb", "changed")]
    assert found[0]["lines"] == ["cell 1 (code):", "  - print(1)", "  + print(2)"]
    checks = {check["name"]: check for check in shared.json("doctor")["checks"]}
    assert checks["activation"]["state"] == "warning"
    assert "runbooks/one.ipynb" in checks["activation"]["found"]

    settings = shared.root / "opsnb.yaml"
    kept = settings.read_text(encoding="utf-8")
    for policy, said in (
        ("{by: 'person:bbo'}", "! p: person:bbo is nobody here\n"),
        ("{aprovals: 1}", "! policies.p: unknown key 'aprovals'; did you mean 'approvals'?\n"),
    ):
        settings.write_text(f"{kept}policies: {{p: {policy}}}\n", encoding="utf-8")
        assert said in shared.opsnb("activate", "--diff").stdout
    settings.write_text(kept, encoding="utf-8")
    assert shared.json("activate", "--diff")["notes"] == []

    alone = shared.opsnb("activate")
    assert alone.returncode == 2
    assert "opsnb activate --yes" in alone.stderr
    assert shared.json("activate", "--show")["active"]["number"] == 1
    done = shared.json("activate", "--yes")
    assert (done["revision"], done["activated"]) == (2, True)
    assert shared.json("activate", "--yes")["activated"] is False
    assert shared.json("run", "ONE-001")["runbook"] == "ONE-001"
    checks = {check["name"]: check for check in shared.json("doctor")["checks"]}
    assert checks["activation"]["state"] == "ok"
    assert shared.verify().returncode == 0


def test_a_person_is_asked(shared: Place) -> None:
    """At a terminal the difference is shown first, and the answer decides."""
    for answer, number in (("n", 1), ("y", 2)):
        person = Person("activate", cwd=shared.root)
        person.wait(rb"(?s)print\(2\).*Have these files hold\?")
        person.type(answer.encode() + b"\r")
        shown, code = person.end()
        assert ("revision 2 is active" in shown, code) == ((True, 0) if answer == "y" else (False, 130))
        assert shared.json("activate", "--show")["active"]["number"] == number
