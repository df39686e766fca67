"""Questions of the program to a person, who takes their time: nothing that was begun is lost meanwhile."""

from __future__ import annotations

import pytest

from persons import Person
from places import Place

pytestmark = pytest.mark.slow
FRONT = "id: ONE-001\ntitle: t\npromise: p\nrisk: read\nowner: o"


def test_an_answer_that_takes_longer_than_the_control_plane(place: Place) -> None:
    """Without `opsnb up` the control plane that a command started may have ended when the person has made up their mind."""
    place.settings(kernel="spawn")  # nothing runs here, so nothing is warmed up
    place.add("one", "print(1)", front=FRONT)
    assert place.opsnb("user", "add", "bob", "--role", "engineer").returncode == 0
    place.add("one", "print(2)", front=FRONT)
    person = Person("activate", cwd=place.root)
    person.wait(rb"(?s)print\(2\).*Have these files hold\?")
    place.rest()
    person.type(b"y\r")
    shown, code = person.end()
    person.close()
    assert (code, "revision 2 is active" in shown) == (0, True), shown
    person = Person("user", "password", cwd=place.root)
    for asked in (rb"New password:", rb"Repeat for confirmation:"):
        person.wait(asked)
        place.rest()
        person.type(b"correct horse battery\r")
    shown, code = person.end()
    person.close()
    assert (code, "is set" in shown) == (0, True), shown
