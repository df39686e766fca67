"""Whom a notebook names as its author, in whatever form, is one; nobody else is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsnb.control.catalog.index import runbook_from
from opsnb.control.catalog.notebook import parse_notebook
from opsnb.control.flows.authors import authors_of
from opsnb.control.people.rules import Directory
from opsnb.control.people.values import Person
from places import notebook

PEOPLE = (
    Person(id="u-1", name="bob", display="Bob Li", mail="bob.li@example.com"),
    Person(id="u-2", name="anna", display="安娜"), Person(id="u-3", name="eve"),
)  # fmt: skip
THERE = Directory(people={person.id: person for person in PEOPLE})


@pytest.mark.parametrize(
    ("authors", "found"),
    [
        ([{"name": "Bob Li"}], ["u-1"]),
        ([{"name": "BOB  LI "}], ["u-1"]),
        ([{"name": "Вob Li"}], ["u-1"]),  # with a Cyrillic letter
        ([{"name": "Bob\u00a0Li"}], ["u-1"]),
        ([{"name": "Bob Li <x@example.com>"}, {"name": "安娜"}], ["u-1", "u-2"]),
        ([{"name": "x", "email": "Bob.Li@Example.com"}], ["u-1"]),
        (["bob"], ["u-1"]),
        ("bob.li@example.com", ["u-1"]),
        (["Robert <bob.li@example.com>", {"name": "anna"}], ["u-1", "u-2"]),
        ({"name": "Bob Li"}, ["u-1"]),
        ([{"name": ""}, "", None, 3, {"name": None}, {"mail": 1}], []),
        ([{"name": "Bobby Li"}, "bob li jr"], []),
    ],
)
def test_whom_a_notebook_names(authors: Any, found: list[str]) -> None:
    """By name or mail address, as objects or as text, however they are spaced and whatever they only look like."""
    content = json.loads(notebook("1"))
    content["metadata"]["authors"] = authors
    runbook = runbook_from(parse_notebook(json.dumps(content).encode(), "runbooks/x.ipynb"))
    assert authors_of(THERE, runbook) == found
