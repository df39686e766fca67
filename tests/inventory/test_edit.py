"""Editing: one entry changes, comments and every other byte stay, and what is referred to stays too."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventories import KEY, SHOP, ed25519
from opsnb.base.errors import InventoryError, RefusedError
from opsnb.fleet.inventory import load, loads
from opsnb.fleet.inventory.edit import add_host, remove_host, set_keys
from opsnb.fleet.inventory.layout import edited

COMMENTED = """\
# The shop's machines.
hosts:   # every one has a ticket
  # the old one
  web1:
    address: 10.0.0.1   # moved in May
    # do not touch the port
    port: 2222
    note_free: x
  web2: {address: 10.0.0.2}  # new

# Groups
groups:
  web: {hosts: [web1]}   # behind nginx
""".replace("    note_free: x\n", "")


def put(root: Path, text: str) -> Path:
    """Write an inventory and return its path."""
    path = root / "inventory.yaml"
    path.write_text(text)
    return path


def test_adding_a_host_changes_nothing_else(tmp_path):
    """A new host stands after the last one; every other byte is as it was."""
    path = put(tmp_path, COMMENTED)
    assert add_host(tmp_path, "web3", {"address": "10.0.0.3", "labels": {"role": "nginx"}}) == "inventory.yaml"
    new = "  web3:\n    address: 10.0.0.3\n    labels: {role: nginx}\n"
    head, tail = COMMENTED.split("  # new\n")
    assert path.read_text() == f"{head}  # new\n{new}{tail}"


def test_adding_a_host_to_groups_lists_it(tmp_path):
    """The groups named are made or extended, their comments kept."""
    path = put(tmp_path, COMMENTED)
    add_host(tmp_path, "web3", {}, ["web", "fresh"])
    assert "web: {hosts: [web1, web3]} # behind nginx" in path.read_text().replace("   #", " #")
    assert load(tmp_path).select("group=fresh") == ("web3",)


def test_pinning_keeps_the_comments_in_the_entry(tmp_path):
    """Keys are written into the host's entry; the comments in it stay at their fields."""
    path = put(tmp_path, COMMENTED)
    set_keys(tmp_path, "web1", [KEY + " root@web1"])
    text = path.read_text()
    assert text == COMMENTED.replace("    port: 2222\n", f"    port: 2222\n    keys:\n      - {KEY}\n")
    set_keys(tmp_path, "web1", [ed25519("other")])
    assert path.read_text() == text.replace(KEY, ed25519("other"))
    set_keys(tmp_path, "web2", [KEY])
    assert load(tmp_path).host("web2").keys == (KEY,)
    assert "# new" in path.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "", "# only a comment\n", "{}\n", "hosts:\n", "hosts: {}\n", "hosts: {}   # none yet\n", "hosts:\n# c\n",
        "hosts: {a: {}}\n", "{hosts: {a: {port: 1}}}\n", "---\nhosts:\n    a:\n        port: 1\n", "groups: {}\n",
        "hosts:\n  a:\n    port: 1", "hosts: {a: {}, b: {}}\ngroups: {g: {hosts: [a]}}\n", "hosts:\n- a\n",
        "hosts: {\n  a: {}\n}\n", 'hosts:\n  "a": {variables: {x: "yes", y: 1.50, z: 2026-11-23}}\n',
        "\ufeffhosts: {}\n", "hosts:\r\n  a: {}\r\n",
    ],
)  # fmt: skip
def test_every_way_to_write_the_file_can_be_edited(tmp_path, text):
    """Whatever form the file has, the host is added and everything else reads as before; a wrong file is left alone."""
    path = put(tmp_path, text)
    try:
        before = load(tmp_path)
    except InventoryError:
        with pytest.raises(InventoryError):
            add_host(tmp_path, "new", {})
        assert path.read_text() == text
        return
    add_host(tmp_path, "new", {"address": "192.0.2.9"})
    after = load(tmp_path)
    assert [*after.hosts] == [*before.hosts, "new"]
    assert {name: host.own for name, host in before.hosts.items()} == {n: after.host(n).own for n in before.hosts}
    for comment in ("# only a comment", "# none yet", "# c"):
        assert (comment in path.read_text()) == (comment in text)
    remove_host(tmp_path, "new")
    assert [*load(tmp_path).hosts] == [*before.hosts]


def test_a_host_that_is_there_is_not_added_again(tmp_path):
    """Adding a name twice, a wrong field or an unknown credential is refused and the file stays as it was."""
    path = put(tmp_path, COMMENTED)
    for name, settings_, message in (
        ("web1", {}, "host 'web1' is there already"),
        ("web", {}, "is the name of a host too"),
        ("new", {"adress": "x"}, "no such field"),
        ("new", {"credential": "ops"}, "no credential is called 'ops'"),
        ("a b", {}, "wanted the name of a host"),
    ):
        with pytest.raises(InventoryError, match=message):
            add_host(tmp_path, name, settings_)
    assert path.read_text() == COMMENTED


def test_an_entry_without_fields_is_an_entry(tmp_path):
    """``web1:`` alone is a host: it is not added again, and its keys can be pinned; a host that is not there cannot."""
    put(tmp_path, "hosts:\n  web1:\n  web2: {}\n")
    with pytest.raises(InventoryError, match="host 'web1' is there already"):
        add_host(tmp_path, "web1", {})
    set_keys(tmp_path, "web1", [KEY])
    assert load(tmp_path).host("web1").keys == (KEY,)
    with pytest.raises(InventoryError, match="no host is called 'web3'"):
        set_keys(tmp_path, "web3", [KEY])


REFERENCED = """\
hosts:
  a: {}
  b: {via: a}
  c: {}
  d: {}
  e: {}
  f: {}
  free: {labels: {role: x}}
groups:
  g: {hosts: [c]}
  h: {select: "d | role=x"}
services:
  s: {hosts: {prod: "e,free*"}}
"""


@pytest.mark.parametrize(
    ("host", "who"),
    [
        ("a", "host 'b' (inventory.yaml line 3), as its jump host"),
        ("c", "group 'g' (inventory.yaml line 10)"),
        ("d", "group 'h' (inventory.yaml line 11)"),
        ("e", "service 's' (inventory.yaml line 13)"),
        ("f", "schedule schedules/nightly.yaml"),
    ],
)
def test_a_host_that_is_referred_to_is_not_removed(tmp_path, host, who):
    """Removing names who refers to the host: jump host, group, selector, service, schedule."""
    path = put(tmp_path, REFERENCED)
    (tmp_path / "schedules").mkdir()
    (tmp_path / "schedules" / "nightly.yaml").write_text("- runbook: HST-001\n  parameters: {hosts: 'f & !c'}\n")
    with pytest.raises(RefusedError) as caught:
        remove_host(tmp_path, host)
    assert who in caught.value.message
    assert path.read_text() == REFERENCED


def test_a_host_that_is_free_is_removed(tmp_path):
    """A host that is meant only by labels and globs goes, and nothing else; the unknown is named."""
    path = put(tmp_path, REFERENCED)
    remove_host(tmp_path, "free")
    assert path.read_text() == REFERENCED.replace("  free: {labels: {role: x}}\n", "")
    with pytest.raises(InventoryError, match="no host is called 'fre'"):
        remove_host(tmp_path, "fre")


def test_an_edit_goes_to_the_file_of_the_entry(tmp_path):
    """In a folder, the file in which a host stands is changed; links and modes stay."""
    (tmp_path / "inventory").mkdir()
    (tmp_path / "real.txt").write_text("hosts: {a: {}}\n")
    (tmp_path / "real.txt").chmod(0o640)
    (tmp_path / "inventory" / "a.yaml").symlink_to(tmp_path / "real.txt")
    (tmp_path / "inventory" / "b.yaml").write_text("hosts: {b: {}}\n")
    assert set_keys(tmp_path, "a", [KEY]) == "inventory/a.yaml"
    assert (tmp_path / "inventory" / "a.yaml").is_symlink()
    assert (tmp_path / "real.txt").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "inventory" / "b.yaml").read_text() == "hosts: {b: {}}\n"
    assert load(tmp_path).host("a").keys == (KEY,)
    assert add_host(tmp_path, "c", {}) == "inventory/b.yaml"


def test_two_at_once_do_not_lose_a_host(tmp_path):
    """Twelve hosts added by twelve threads and two processes are all there afterwards."""
    put(tmp_path, "hosts: {}\n")
    program = """if True:
        import sys
        from pathlib import Path
        from opsnb.fleet.inventory.edit import add_host
        for n in range(3):
            add_host(Path(sys.argv[1]), f"{sys.argv[2]}{n}", {})
    """
    others = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in ("p", "q")]
    threads = [threading.Thread(target=add_host, args=(tmp_path, f"t{n}", {})) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in others] == [0, 0]
    assert len(load(tmp_path).hosts) == 12
    assert [path.name for path in tmp_path.iterdir()] == ["inventory.yaml"]


scalars = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20), st.booleans(), st.none(),
    st.integers(-(10**14), 10**14), st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from(["yes", "no", "on", "~", "null", "012", "0x1f", "1e3", "1_000", "2026-11-23", "10:30", ".5", "- a"]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def repr_of(value: object) -> str:
    """Return every text in a value, unescaped."""
    if isinstance(value, dict):
        return "".join(map(repr_of, value.values()))
    return "".join(map(repr_of, value)) if isinstance(value, list) else str(value)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text("abcxyz", min_size=1, max_size=4), values, max_size=4))
def test_whatever_is_written_reads_back(variables):
    """Variables of any shape and text come back exactly, or are refused before anything is written."""
    try:
        text = edited(SHOP, "inventory.yaml", {("hosts", "new"): lambda _: {"variables": variables}})
    except InventoryError as error:
        assert "\x85" in repr_of(variables), error  # noqa: PT017 - the one sign that ruamel and PyYAML fold differently
        return
    assert loads(text).host("new").own["variables"] == variables
    assert text.startswith(SHOP[: SHOP.index("groups:")])
