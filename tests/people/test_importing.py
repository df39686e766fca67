"""Files of people: all or nothing, every error with its line, nothing twice, and nothing that a file should not do."""

from __future__ import annotations

import contextlib
import csv
import io
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import UsageError
from opsnb.control.people import telling
from opsnb.control.people.draft import Draft
from opsnb.control.people.importing import FORMATS, take
from opsnb.control.people.rules import Directory
from opsnb.control.people.values import Kind
from people.crowd import firm

YAML = """\
departments:
  Netz: {parent: Web, leader: eve}
  数据库组: {parent: Operations}
roles:
  db-ops:
    may:
      - plan,request MYS-* on db
      - approve MYS-* in test up to change
users:
  eve:
    display: Eve Müller
    mail: eve@example.com
    department: Netz
    roles: [db-ops, auditor]
  bob: {roles: []}
  dora: {active: false}
  cron: {kind: service, roles: [engineer]}
"""
CSV = """\
用户名,姓名,邮箱,部门,角色,类型,在职
eve,Eve Müller,eve@example.com,Web,web-ops;auditor,,
dora,,,,,,否
cron,,,,engineer,service,yes
"""


def read(text: str, kind: str = "yaml", directory: Directory | None = None) -> Directory:
    """Return the directory after a file."""
    draft = Draft(directory or firm())
    take(draft, text, kind, f"people.{kind}")
    return draft.finish()


def refused(text: str, kind: str = "yaml") -> str:
    """Return why a file is refused, with the hint."""
    draft = Draft(firm())
    with pytest.raises(UsageError) as caught:
        take(draft, text, kind, f"people.{kind}")
    return str(caught.value)


def test_a_yaml_file() -> None:
    """Departments, roles and users, which may name each other in any order."""
    after = read(YAML)
    eve, cron = after.named("eve"), after.named("cron")
    assert eve
    assert cron
    assert (eve.display, eve.mail, [d.name for d in after.path(eve.department)]) == (
        "Eve Müller", "eve@example.com", ["Netz", "Web", "Operations"],
    )  # fmt: skip
    assert after.leader("Netz") == eve.id
    assert [r.name for r in after.roles_of(eve.id)] == ["auditor", "db-ops"]
    assert [str(g) for g in after.roles_of(eve.id)[1].grants] == [
        "plan MYS-* on db", "request MYS-* on db", "approve MYS-* in test up to change",
    ]  # fmt: skip
    assert (cron.kind, after.roles_of("u-2"), after.is_active("u-4")) == (Kind.SERVICE, (), False)


def test_a_csv_file() -> None:
    """Users with headings in Chinese or English; an empty cell leaves things as they are."""
    after = read(CSV, "csv")
    eve = after.named("eve")
    assert eve
    assert ([r.name for r in after.roles_of(eve.id)], after.departments[eve.department].name) == (
        ["auditor", "web-ops"], "Web",
    )  # fmt: skip
    assert (after.is_active("u-4"), after.people["u-4"].department) == (False, "d-ops")
    assert read("\ufeffName,E-Mail\r\nbob,b@example.com\r\n", "csv").people["u-2"].mail == "b@example.com"


@pytest.mark.parametrize(("text", "kind"), [(YAML, "yaml"), (CSV, "csv")])
def test_twice_is_once(text: str, kind: str) -> None:
    """The same file again takes no change, and nothing differs."""
    once = read(text, kind)
    draft = Draft(once)
    assert take(draft, text, kind, "again").changes == []
    assert telling.differences(once, draft.finish()) == []


def test_what_differs_is_told() -> None:
    """The differences name what was added, changed and left, with old and new values."""
    rows = {(r["what"], r["name"]): r for r in telling.differences(firm(), read(YAML))}
    assert rows["user", "bob"] == {
        "what": "user", "name": "bob", "change": "changed", "fields": {"roles": [["web-ops"], []]},
    }  # fmt: skip
    assert rows["user", "dora"]["fields"] == {"active": [True, False]}
    assert rows["user", "eve"]["change"] == "added"
    assert rows["department", "Netz"]["fields"] == {"parent": [None, "Web"], "leader": [None, "eve"]}
    assert rows["role", "db-ops"]["fields"]["may"][1][0] == "plan MYS-* on db"
    assert ("user", "anna") not in rows


@pytest.mark.parametrize(("text", "line", "why"), [
    ("users:\n  eve: {}\n  b0b: {}\n", 3, "would be taken for 'bob'"),
    ("users:\n  eve:\n    mail: x\n", 2, "no mail address"),
    ("users:\n  eve:\n    rolls: [auditor]\n", 3, "did you mean 'roles'"),
    ("users:\n  eve: {roles: auditor}\n", 2, "must be a list"), ("users:\n  eve: {roles: [1]}\n", 2, "must be a list"),
    ("users:\n  eve: {active: maybe}\n", 2, "wanted true or false"), ("users:\n  eve: {kind: bot}\n", 2, "person or service"),
    ("users:\n  eve: {mail: 1}\n", 2, "wanted text"), ("users: [eve]\n", 1, "must map names"),
    ("users:\n  eve: anna\n", 2, "must map fields"), ("user:\n  eve: {}\n", 1, "did you mean 'users'"),
    ("users:\n  eve: {department: Wep}\n", 2, "no department is called 'Wep'"),
    ("departments:\n  A: {parent: B}\n", 2, "no department is called 'B'"),
    ("departments:\n  A: {leader: nobody}\n", 2, "no user is called 'nobody'"),
    ("departments:\n  A: {leader: deploy}\n", 2, "service account"),
    ("roles:\n  x: {may: [approve in]}\n", 2, "ends after 'in'"), ("roles:\n  approver: {may: []}\n", 2, "built in"),
    ("users:\n  eve: &a {}\n", 2, "anchors"), ("users:\n  eve: {}\n  eve: {}\n", 3, "stands twice"),
    ('users:\n  "a\\u202eb": {}\n', 2, "a\\u202eb"), ("users: {\n", 2, "not YAML"), ("- eve\n", 1, "holds no mapping"),
])  # fmt: skip
def test_yaml_errors_name_the_line(text: str, line: int, why: str) -> None:
    """What is wrong is said with file, line and the reason."""
    said = refused(text)
    assert f"people.yaml line {line}" in said
    assert why in said
    assert all(c.isprintable() or c == "\n" for c in said)


@pytest.mark.parametrize(("text", "line", "why"), [
    ("name,mail\neve,e@example.com\nb0b,\n", 3, "would be taken for 'bob'"), ("name,male\n", 1, "did you mean 'mail'"),
    ("mail\nx@example.com\n", 1, "no column is called 'name'"), ("name,账号\n", 1, "two columns"),
    ("name,mail\neve\n", 2, "has 1 cells, wanted 2"), ("name\neve\nEVE\n", 3, "stands twice, first on line 2"),
    ("name,active\neve,perhaps\n", 2, "wanted yes or no"), ("name,roles\neve,auditor;none\n", 2, "no role is called 'none'"),
    ('name\n"eve\n', 2, "no CSV"), ("name\n=cmd()\n", 2, "no name to sign in"), ('name\n"a\nb"\n', 3, "no name to sign in"),
])  # fmt: skip
def test_csv_errors_name_the_line(text: str, line: int, why: str) -> None:
    """What is wrong is said with file, line and the reason."""
    said = refused(text, "csv")
    assert f"people.csv line {line}" in said
    assert why in said


def test_all_errors_at_once() -> None:
    """A file is mended in one go: up to twenty errors are named, and the number of the others."""
    said = refused("name\n" + "".join(f"x {n}\n" for n in range(30)), "csv")
    assert said.count("people.csv line") == 20
    assert "and 10 more" in said
    assert "nothing was taken over" in said


def test_each_error_has_its_own_next_move() -> None:
    """Of several errors each line ends with what mends it; a hint never stands without what it is about."""
    said = refused("users:\n  eve: {mial: x, roles: [auditer]}\n  zoe: {department: Wbe}\n")
    first, second, third, hint = said.splitlines()
    assert (first.endswith("is no field here (did you mean 'mail'?)"), "'auditor'" in second, "'Web'" in third) == (
        True,
    ) * 3
    assert hint == "  → nothing was taken over"


@pytest.mark.parametrize("mark", [";", "\t"])
def test_cells_that_something_else_separates(mark: str) -> None:
    """A table with other marks between its cells is told what separates them."""
    assert "commas separate the columns" in refused(f"name{mark}mail\neve{mark}e@example.com\n", "csv")


@pytest.mark.parametrize("text", ["", "\n", "users:\n", "{}", "name\n", "\0"])
@pytest.mark.parametrize("kind", FORMATS)
def test_empty_files(text: str, kind: str) -> None:
    """An empty file changes nothing or is refused; it never fails otherwise."""
    draft = Draft(firm())
    with contextlib.suppress(UsageError):
        assert take(draft, text, kind, "f").changes == []


def test_an_endless_file() -> None:
    """A file has an end."""
    assert "characters" in refused("#" * (24 * 1024 * 1024 + 1))


@given(st.text(max_size=300), st.sampled_from(FORMATS))
def test_any_text(text: str, kind: str) -> None:
    """Whatever a file holds, it is taken or refused with a reason; nothing else happens."""
    with contextlib.suppress(UsageError):
        assert set(read(text, kind).people) >= set(firm().people)


CELLS = st.text(max_size=30)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5))
def test_any_cells(rows: list[tuple[str, str, str]]) -> None:
    """Whatever stands in a table's cells: a user who comes out of it has a name, and full names are kept harmless."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([("name", "display", "department"), *rows])
    try:
        after = read(text.getvalue(), "csv")
    except UsageError:
        return
    for one in after.people.values():
        assert one.name.isascii()
        assert one.display.isprintable()


@given(
    st.dictionaries(
        CELLS,
        st.dictionaries(
            st.sampled_from(["display", "mail", "roles", "active"]),
            st.none() | CELLS | st.booleans() | st.lists(CELLS, max_size=2),
            max_size=3,
        ),
        max_size=4,
    )
)
def test_any_yaml(users: dict[str, Any]) -> None:
    """Whatever stands in a YAML file of users, it is taken or refused with a reason."""
    with contextlib.suppress(UsageError):
        assert set(users) <= {
            p.name for p in read(yaml.safe_dump({"users": users}, allow_unicode=True)).people.values()
        }
