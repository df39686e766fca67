"""Revisions as values: what belongs to one, its digest, what differs between two, in words and never with secrets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import UsageError
from opsnb.control.revision import cells, difference, files, hidden
from opsnb.control.revision.values import Part, Revision, part_of
from opsnb.fleet.inventory import loads
from places import notebook

PATHS = st.dictionaries(
    st.sampled_from(["opsnb.yaml", "runbooks/a.ipynb", "schedules/x.yaml"]), st.text("ab", max_size=2)
)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPXX6LclRzoV1UFETjLrPFHgIoqDEAbvIP9yRGxHN+JL"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfMVYE40XsoeNhbsvY7lTfFhI5/hBYLbFjbPSYk0ueC"
HUNTER = "hunter2-Xq9"


@given(PATHS, PATHS)
def test_the_same_files_are_the_same_revision(one: dict[str, str], other: dict[str, str]) -> None:
    """Two revisions have one digest exactly when no path differs, in whichever order the files were found."""
    a, b = Revision(files=one), Revision(files=dict(reversed(other.items())))
    assert (a.digest == b.digest) == (a.differing(b) == ()) == (one == other)
    assert a.differing(b) == b.differing(a)


def test_what_belongs_to_a_revision(tmp_path: Path) -> None:
    """Settings, inventory, schedules, everything visible under runbooks/, manifests; no link, nothing hidden."""
    wanted = {
        "opsnb.yaml": Part.SETTINGS, "inventory.yaml": Part.INVENTORY, "inventory/web.yaml": Part.INVENTORY,
        "schedules/night.yaml": Part.SCHEDULES, "runbooks/web/a.ipynb": Part.NOTEBOOK, "runbooks/web/a.sh": Part.SCRIPT,
        "configs/shop/config.yaml": Part.CONFIGS,
    }  # fmt: skip
    others = [
        "README.md", "inventory/old.txt", "runbooks/.hidden.ipynb", "runbooks/.ipynb_checkpoints/a.ipynb",
        "configs/shop/common/shop.conf", "outputs/x.ipynb", ".opsnb/token",
    ]  # fmt: skip
    for path in (*wanted, *others):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "runbooks/link.ipynb").symlink_to(tmp_path / "README.md")
    os.mkfifo(tmp_path / "runbooks/pipe.sh")
    taken = files.take(tmp_path, lambda _: False)
    assert {path: part_of(path) for path in taken.revision.files} == wanted
    assert {taken.contents[d].decode() for d in taken.revision.files.values()} == set(wanted)


def test_known_bytes_are_not_held(tmp_path: Path) -> None:
    """Bytes that are kept already are not held again; their digest is that of what was read now all the same."""
    (tmp_path / "opsnb.yaml").write_text("name: a\n")
    first = files.take(tmp_path, lambda _: False)
    again = files.take(tmp_path, first.contents.__contains__)
    assert again.revision == first.revision
    assert again.contents == {}


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 is named in an error, for no manifest could hold it."""
    (tmp_path / "runbooks").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/runbooks/a\xff.sh")).write_text("x")
    with pytest.raises(UsageError, match="name is not UTF-8"):
        files.take(tmp_path, lambda _: False)


def said(rows: list[difference.Row]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return rows by kind and name."""
    return {f"{row.kind} {row.name}": (row.what, row.lines) for row in rows}


def test_settings_and_policies_in_words() -> None:
    """Each setting and policy that differs is named with what was and what is; others are not."""
    old: dict[str, Any] = {
        "timeout": "1h",
        "workers": 2,
        "policies": {"prod": {"approvals": 1, "risk": ["change"]}, "x": {}},
    }
    new: dict[str, Any] = {
        "timeout": "2h",
        "workers": 2,
        "policies": {"x": {}, "prod": {"approvals": 2, "risk": ["change"]}},
    }
    assert said(difference.settings(old, new)) == {
        "setting timeout": ("changed", ("was 1h, is 2h",)),
        "policy prod": ("changed", ("approvals: was 1, is 2",)),
        "policy policies": ("changed", ("their order is x, prod",)),
    }


def test_hosts_groups_and_keys_in_words() -> None:
    """A host that came, went, moved, or has another key; a group with others in it; a key by its fingerprint."""
    old = loads(
        f"hosts:\n  web1: {{address: 10.0.0.1, keys: ['{KEY}']}}\n  web2: {{address: 10.0.0.2}}\n"
        "  app: {address: 10.0.0.9}\ngroups:\n  web: {hosts: [web1]}\n"
    )
    new = loads(
        f"hosts:\n  web1: {{address: 10.0.0.1, keys: ['{OTHER}']}}\n  web3: {{address: 10.0.0.3}}\n"
        "  app: {address: 10.0.0.8}\ngroups:\n  web: {hosts: [web1, web3]}\n"
    )
    rows = said(difference.inventory(old, new))
    assert rows["host app"] == ("changed", ("address: was 10.0.0.9, is 10.0.0.8",))
    assert rows["host web3"][0] == "new"
    assert "address: 10.0.0.3" in rows["host web3"][1]
    assert rows["host web2"][0] == "gone"
    assert rows["group web"] == ("changed", ("hosts: was web1, is web1, web3",))
    keys = rows["host web1"][1]
    assert [line.split()[0] for line in keys] == ["key", "key"]
    assert keys[0].endswith("is no longer trusted")
    assert keys[1].endswith("is trusted")
    assert not any(KEY.split()[1] in line or OTHER.split()[1] in line for line in keys)
    assert all("SHA256:" in line for line in keys)


def test_one_machine_under_two_names() -> None:
    """A machine that comes to stand in a second environment, by address, key or as this one, is told to who activates."""
    old = loads(
        f"hosts:\n  web1: {{address: 10.0.0.1, environment: prod, keys: ['{KEY}']}}\n  here: {{transport: local}}\n"
    )
    new = loads(
        f"hosts:\n  web1: {{address: 10.0.0.1, environment: prod, keys: ['{KEY}']}}\n  here: {{transport: local}}\n"
        "  web9: {address: 10.0.0.1, environment: test}\n  web8: {address: 10.0.0.1, environment: prod}\n"
        f"  db: {{address: 10.0.0.7, environment: prod, keys: ['{OTHER}']}}\n"
        f"  alias: {{address: db.example.com, environment: test, keys: ['{OTHER}']}}\n"
        "  there: {transport: local, environment: prod}\n  other: {address: 10.0.0.1, port: 2222, environment: test}\n"
    )
    row = said(difference.inventory(old, new))["inventory one machine in several environments"]
    assert row[1] == (
        "web1 (prod) and web8 (prod) and web9 (test) are one machine", "here (no environment) and there (prod) are one machine",
        "alias (test) and db (prod) are one machine",
    )  # fmt: skip
    assert not [row for row in difference.inventory(new, new) if row.kind == "inventory"]
    assert not [row for row in difference.inventory(loads(""), old) if row.kind == "inventory"]


def test_a_notebook_cell_by_cell() -> None:
    """A changed cell shows its lines, a new and a removed one are told; cells that stay are not mentioned."""
    rows = cells.notebook(
        notebook("a = 1", "b = 2", "c = 3\nd = 4"), notebook("a = 1", "b = 5", "e = 6", "c = 3\nd = 7")
    )
    assert rows == (
        "cell 1 (code):", "  - b = 2", "  + b = 5", "cell 2 (code):",
        "  - c = 3", "  - d = 4", "  + e = 6", "cell 3 (code) is new:", "  + c = 3", "  + d = 7",
    )  # fmt: skip
    assert cells.notebook(notebook("a"), notebook("a").replace(b'"nbformat_minor": 5', b'"nbformat_minor": 4')) == (
        "the cells are the same; outputs, metadata or the file's form differ",
    )


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"cells": 1}', b'{"cells": [1]}', b"\xff", b"[" * 100_000])
def test_a_broken_notebook_differs_too(broken: bytes) -> None:
    """What is no notebook is said to be none, and nothing fails."""
    assert cells.notebook(notebook("a"), broken) == ("it is no notebook that can be read now",)
    assert cells.notebook(broken, notebook("a")) == ("it was no notebook before",)


@pytest.mark.parametrize("text", [
    f'password = "{HUNTER}"', f"DB_PASSWORD: {HUNTER}", f"export API_KEY={HUNTER}", f"mysql --password {HUNTER}",
    f"url = 'https://ops:{HUNTER}@db.example/x'", f'"token": "{HUNTER}"', f"Authorization: Bearer {HUNTER}",
    f"db_passwd: str = '{HUNTER}'", f"-----BEGIN OPENSSH PRIVATE KEY-----\n{HUNTER}\n-----END", f"--token={HUNTER}",
])  # fmt: skip
def test_what_looks_like_a_secret_is_never_shown(text: str) -> None:
    """Wherever a secret was written in spite of everything, a difference does not spread it."""
    nothing = notebook("x = 1")
    rows = [
        *cells.notebook(nothing, notebook(text)), *cells.notebook(notebook(text), nothing),
        *cells.notebook(nothing, notebook("x = 1", text)), *cells.text(b"", text.encode()),
        hidden.value("note", text),
    ]  # fmt: skip
    assert rows
    assert not [row for row in rows if HUNTER in row]


@pytest.mark.parametrize(("line", "shown"), [
    ("api_key = __import__('os').system('curl x')", "api_key = __import__((not shown)).system((not shown))"),
    ("token = sealed.reveal()", "token = (not shown).reveal()"),
    ("login(password=ask('Password'), user=name)", "login(password=ask((not shown))(not shown) (not shown))"),
    ("secret: str = open('/etc/shadow').read()", "secret: str = open((not shown)).read()"),
    ("x = os.system('curl x')", "x = os.system('curl x')"),
])  # fmt: skip
def test_a_name_hides_no_code(line: str, shown: str) -> None:
    """What a line of a code cell calls is shown, whatever its variable is called; the values are not."""
    assert cells.notebook(notebook("x = 1"), notebook("x = 1", line))[-1] == f"  + {shown}"


def test_a_tag_that_changed_is_told() -> None:
    """A cell that is passed over now, or has the parameters now, is told, also where its text is the same."""
    old, new = notebook("a = 1", "b = 2"), notebook("a = 1", "b = 3", tags={0: ["skip-execution"]})
    assert cells.notebook(old, new) == (
        "cell 0 (code):", "  tags: was none, is skip-execution", "cell 1 (code):", "  - b = 2", "  + b = 3",
    )  # fmt: skip
    added = cells.notebook(old, notebook("a = 1", "b = 2", "c", tags={2: ["parameters"]}))
    assert added == ("cell 2 (code) is new:", "  tags: was none, is parameters", "  + c")


def test_hidden_values_say_that_they_changed() -> None:
    """A variable with a telling name is not shown, and its change is told; a credential's reference is shown."""
    one = "hosts:\n  a: {variables: {db_password: %s}}\ncredentials:\n  root: {kind: key, secret: %s}\n"
    rows = said(difference.inventory(loads(one % (HUNTER, "keys/one")), loads(one % (f"{HUNTER}x", "keys/two"))))
    assert rows["host a"] == ("changed", ("variables.db_password: changed (not shown)",))
    assert rows["credential root"] == ("changed", ("secret: was keys/one, is keys/two",))


def test_rows_are_bounded() -> None:
    """A file of 100,000 other lines is told in a few, and quickly."""
    old, new = ("\n".join(f"{mark}{n}" for n in range(100_000)).encode() for mark in "ab")
    assert cells.text(old, new) == ("  100000 lines before, 100000 lines now",)
    assert len(cells.notebook(notebook(*["a"] * 3), notebook(*[f"b{n}\n" * 500 for n in range(3)]))) < 3 * 70
    row = difference.files(["runbooks/x.ipynb"], {"runbooks/x.ipynb": "1"}, {"runbooks/x.ipynb": "2"},
                           lambda d: notebook(*[f"{d}{n}" for n in range(500)]))[0]  # fmt: skip
    assert len(row.lines) == difference.MAX_LINES + 1
    assert json.dumps(row.as_json())
