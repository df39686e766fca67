"""The reader: what the files say, what hosts inherit, and what is refused with file and line."""

from __future__ import annotations

import os

import pytest

from inventories import KEY, SHOP, ed25519
from opsnb.base.canonical import digest
from opsnb.base.errors import InventoryError
from opsnb.fleet.inventory import Watched, load, loads

INVENTORY = loads(SHOP)


def test_a_row_is_what_a_request_binds():
    """A row holds the host with what it inherits, its keys, their digest and its jump hosts; nothing empty."""
    row = INVENTORY.row("web1")
    bastion = {
        "name": "bastion", "transport": "ssh", "address": "192.0.2.1", "port": 22, "user": "jump",
        "environment": "prod", "labels": {"site": "north"}, "sudo": "none",
    }  # fmt: skip
    assert row == {
        "name": "web1", "transport": "ssh", "address": "10.0.0.1", "port": 22, "user": "ops",
        "environment": "prod", "labels": {"site": "north", "role": "nginx"},
        "groups": ["prod", "web", "everything"],
        "variables": {"weight": 5, "tls": True, "ratio": 0.5}, "keys": [KEY], "key": digest([KEY]),
        "credential": {"observe": "ops", "change": "ops"}, "sudo": "none", "via": [bastion],
    }  # fmt: skip
    assert len(digest(row)) == 64


def test_an_old_sshd_is_marked_in_its_own_row():
    """``legacy: true`` stands in the row of that host only; it is true or false, nothing else."""
    inventory = loads("hosts:\n  old: {address: 10.0.0.9, legacy: true}\n  new: {address: 10.0.0.8}\n")
    assert inventory.row("old")["legacy"] is True
    assert "legacy" not in inventory.row("new")
    with pytest.raises(InventoryError, match="wanted true or false"):
        loads("hosts:\n  old: {address: 10.0.0.9, legacy: yes please}\n")


def test_this_machine_is_always_there(tmp_path):
    """Without any file the inventory is empty and still knows localhost."""
    empty = load(tmp_path)
    assert empty.hosts == {}
    assert empty.select("localhost") == ("localhost",)
    assert empty.row("localhost") == {"name": "localhost", "transport": "local"}
    with pytest.raises(InventoryError, match="means no host"):
        empty.select("all")
    (tmp_path / "inventory.yaml").write_text("# nothing yet\n")
    assert load(tmp_path).hosts == {}


def test_this_machine_can_have_labels():
    """A listed localhost is local, selectable by label, and part of all."""
    inventory = loads("hosts: {localhost: {labels: {role: control}}}")
    assert inventory.select("role=control") == inventory.select("all") == ("localhost",)
    assert inventory.row("localhost") == {"name": "localhost", "transport": "local", "labels": {"role": "control"}}


@pytest.mark.parametrize(
    ("host", "weight", "from_group"),
    [("web1", 5, None), ("web2", 1, "web"), ("db1", 0, "everything")],
)
def test_the_nearest_setting_wins(host, weight, from_group):
    """The host's own value wins over its group's, a group's over its parent's; the origin is known."""
    found = INVENTORY.host(host)
    assert found.variables["weight"] == weight
    assert found.origins.get("variables.weight") == from_group


def test_between_equal_distances_the_later_group_wins():
    """Of two groups at the same distance, the one further down in the files wins."""
    text = "hosts: {a: {}}\ngroups:\n  one: {hosts: [a], user: first, port: 1}\n  two: {hosts: [a], user: second}\n"
    host = loads(text).host("a")
    assert (host.user, host.port, host.groups) == ("second", 1, ("two", "one"))


def test_a_jump_host_does_not_jump_through_itself():
    """An inherited jump host leaves the jump host alone; ``via:`` without a value says directly."""
    assert INVENTORY.host("bastion").via == ""
    inventory = loads("hosts: {b: {}, c: {via: null}, d: {}}\ngroups: {all: {via: b}}")
    assert [inventory.host(name).via for name in "bcd"] == ["", "", "b"]


def test_jump_hosts_stand_outermost_first():
    """A way of three hops lists the host that is reached first at the front."""
    inventory = loads("hosts: {a: {via: b}, b: {via: c}, c: {}}")
    assert [step["name"] for step in inventory.row("a")["via"]] == ["c", "b"]


def test_a_folder_is_merged(tmp_path):
    """inventory.yaml and every inventory/*.yaml are one inventory; groups may name hosts of other files."""
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory.yaml").write_text("hosts: {a: {}}\n")
    (tmp_path / "inventory" / "20-groups.yaml").write_text("groups: {g: {hosts: [a, b]}}\n")
    (tmp_path / "inventory" / "10-hosts.yaml").write_text("hosts: {b: {}}\n")
    inventory = load(tmp_path)
    assert inventory.select("g") == ("a", "b")
    assert inventory.files == ("inventory.yaml", "inventory/10-hosts.yaml", "inventory/20-groups.yaml")
    (tmp_path / "inventory" / "30.yaml").write_text("\nhosts: {a: {}}\n")
    with pytest.raises(InventoryError) as caught:
        load(tmp_path)
    assert caught.value.message.startswith("inventory/30.yaml line 2 field 'hosts.a': 'a' stands twice, first in inv")


def test_what_is_no_file_is_refused_at_once(tmp_path):
    """A pipe, a directory, bytes that are not UTF-8 and a .yml file are named, and nothing hangs."""
    os.mkfifo(tmp_path / "inventory.yaml")
    with pytest.raises(InventoryError, match=r"inventory.yaml: is no regular file"):
        load(tmp_path)
    (tmp_path / "inventory.yaml").unlink()
    (tmp_path / "inventory.yaml").mkdir()
    with pytest.raises(InventoryError, match=r"inventory.yaml: is no regular file"):
        load(tmp_path)
    (tmp_path / "inventory.yaml").rmdir()
    (tmp_path / "inventory.yaml").write_bytes(b"hosts: {}\n# \xff\n")
    with pytest.raises(InventoryError, match=r"inventory.yaml line 2: is not UTF-8"):
        load(tmp_path)
    (tmp_path / "inventory.yaml").unlink()
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "a.yml").touch()
    with pytest.raises(InventoryError, match=r"inventory/a.yml: files of the inventory end in .yaml"):
        load(tmp_path)


WRONG = [
    ("hosts:\n  web1:\n    adress: a", 3, "hosts.web1.adress", "no such field", "did you mean 'address'?"),
    ("host: {}", 1, "host", "no such field", "did you mean 'hosts'?"),
    ("hosts: [a]", 1, "hosts", "found a list, wanted fields", ""),
    ("hosts: {a: {port: 0}}", 1, "hosts.a.port", "found 0, wanted a number from 1 to 65535", ""),
    ("hosts: {a: {port: '22'}}", 1, "hosts.a.port", "found '22', wanted a number", ""),
    ("hosts: {a: {port: true}}", 1, "hosts.a.port", "found true, wanted a number", ""),
    ("hosts: {a: {address: '10.0.0.1:22'}}", 1, "hosts.a.address", "wanted a host name or an IP", "port: 22"),
    ("hosts: {a: {address: -oProxyCommand=x}}", 1, "hosts.a.address", "wanted a host name", ""),
    ("hosts: {a: {address: 'a b'}}", 1, "hosts.a.address", "wanted a host name", ""),
    ("hosts: {a: {user: -l}}", 1, "hosts.a.user", "wanted a login name", ""),
    ("hosts: {-a: {}}", 1, "hosts.-a", "wanted the name of a host", ""),
    ("hosts: {'a b': {}}", 1, "hosts.a b", "wanted the name of a host", ""),
    ("hosts: {all: {}}", 1, "hosts.all", "'all' means every host", ""),
    ("hosts: {生产: {}}", 1, "hosts.生产", "no host name that resolves", "write address"),
    ("hosts: {a: {labels: {env: x}}}", 1, "hosts.a.labels.env", "means something else in selectors", ""),
    ("hosts: {a: {labels: {v: 1.10}}}", 1, "hosts.a.labels.v", "found 1.1, wanted text", "quote it"),
    ("hosts: {a: {variables: {v: 1e999}}}", 1, "hosts.a.variables.v", "a number too large", "as text"),
    ("hosts: {a: {sudo: yes}}", 1, "hosts.a.sudo", "wanted none, passwordless or {secret: NAME}", ""),
    ("hosts: {a: {transport: telnet}}", 1, "hosts.a.transport", "wanted one of ssh, local, container", ""),
    ("hosts: {a: {transport: container}}", 1, "hosts.a", "names no container", ""),
    ("hosts: {a: {transport: local, port: 22}}", 1, "hosts.a.port", "means nothing for transport 'local'", ""),
    ("hosts: {localhost: {transport: ssh}}", 1, "hosts.localhost.transport", "is this machine", ""),
    ("hosts: {a: {keys: ['ssh-ed25519 AAAA']}}", 1, "hosts.a.keys.0", "not a public key: it", "host trust"),
    ("hosts:\n  a: {via: b}\n  b: {via: c}\n  c: {via: a}", 4, "hosts.c.via", "in a circle: a → b → c → a", ""),
    ("hosts: {a: {via: a}}", 1, "hosts.a.via", "in a circle: a → a", ""),
    ("hosts: {web1: {via: bastoin}, bastion: {}}", 1, "hosts.web1.via", "no host is called 'bastoin'", "'bastion'"),
    ("hosts: {a: {via: localhost}, localhost: {}}", 1, "hosts.a.via", "is not reached by ssh", ""),
    ("hosts: {a: {}}\ngroups:\n  g: {via: x}\n  h: {hosts: [a], via: y}", 4, "groups.h.via", "called 'y'", ""),
    ("hosts: {a: {credential: opps}}\ncredentials: {ops: {kind: agent}}", 1, "hosts.a.credential", "'opps'", "'ops'"),
    ("hosts: {a: {credential: {change: x}}}", 1, "hosts.a.credential", "no credential to observe with", ""),
    ("credentials: {a: {kind: key}}", 1, "credentials.a", "from the secret store or from a file", ""),
    ("credentials: {a: {kind: key, secret: x, file: y}}", 1, "credentials.a", "from the secret store or", ""),
    ("credentials: {a: {kind: password, file: y}}", 1, "credentials.a.file", "no such field", ""),
    ("credentials: {a: {kind: token}}", 1, "credentials.a.kind", "wanted one of key, password, agent", ""),
    ("credentials: {a: {}}", 1, "credentials.a", "says no kind", ""),
    ("credentials: {a: {kind: key, secret: ../x}}", 1, "credentials.a.secret", "wanted the name of a secret", ""),
    ("groups: {g: {hosts: [web1]}}\nhosts: {web2: {}}", 1, "groups.g.hosts.0", "no host is called 'web1'", "'web2'"),
    ("groups: {g: {hosts: web1}}\nhosts: {web1: {}}", 1, "groups.g.hosts", "wanted a list", "hosts: [web1]"),
    ("groups: {g: {groups: [h]}}", 1, "groups.g.groups.0", "no group is called 'h'", "known groups: g"),
    ("groups:\n  a: {groups: [b]}\n  b: {groups: [a]}", 3, "groups.b.groups.0", "holds itself: a → b → a", ""),
    ("groups: {a: {groups: [a]}}", 1, "groups.a.groups.0", "holds itself: a → a", ""),
    ("groups: {all: {hosts: []}}", 1, "groups.all.hosts", "holds every host already", ""),
    ("groups: {a: {groups: [all]}, all: {}}", 1, "groups.a.groups.0", "stands in no other group", ""),
    ("groups: {localhost: {}}", 1, "groups.localhost", "is this machine", ""),
    ("hosts: {a: {}}\ngroups: {a: {}}", 2, "groups.a", "is the name of a host too", ""),
    ("groups: {a: {select: 'role='}}", 1, "groups.a.select", "wanted a value", ""),
    ("groups: {a: {select: 'b'}, b: {select: x=y}}", 1, "groups.a.select", "which selects hosts itself", "labels"),
    ("groups: {a: {select: service=b}}", 1, "groups.a.select", "cannot select by service", ""),
    ("services: {s: {hosts: {prod: web9}}}", 1, "services.s.hosts.prod", "no host or group is called 'web9'", ""),
    ("services: {s: {depends: [t]}}", 1, "services.s.depends.0", "no service is called 't'", ""),
    ("services: {s: {depends: [s]}}", 1, "services.s.depends.0", "does not depend on itself", ""),
    ("services: {s: {files: ../x}}", 1, "services.s.files", "inside the workspace", ""),
    ("services: {s: {health: javascript}}", 1, "services.s.health", "wanted a URL", ""),
    ("services: {s: {hosts: {prod: service=s}}}", 1, "services.s.hosts.prod", "cannot select by service", ""),
    ("hosts: {a: {}, a: {}}", 1, "hosts.a", "stands twice, first on line 1", ""),
    ("hosts: &x {}", 1, "hosts", "anchors (&) and aliases (*) are not read", ""),
    ("hosts: {", 2, "", "not YAML", ""),
]


@pytest.mark.parametrize(("text", "line", "field", "message", "hint"), WRONG)
def test_what_is_wrong_is_named_with_its_line(text, line, field, message, hint):
    """Each mistake names the file, the line, the field, and the nearest right thing."""
    with pytest.raises(InventoryError) as caught:
        loads(text, "inventory.yaml")
    error = caught.value
    assert error.message.startswith("inventory.yaml line ")
    assert (error.line, error.field) == (line, field)
    assert message in error.message
    assert hint in error.hint


def test_nesting_and_size_have_limits(tmp_path):
    """A deep value and a file over the limit are refused before they cost anything."""
    with pytest.raises(InventoryError, match="nested more than"):
        loads("hosts: {a: {variables: {v: " + "[" * 40 + "]" * 40 + "}}}")
    with (tmp_path / "inventory.yaml").open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(InventoryError, match="larger than"):
        load(tmp_path)


def test_jump_hosts_and_groups_nest_deep_without_breaking():
    """9 jump hosts are refused by name; 2,000 nested groups are read."""
    chain = ", ".join(f"h{n}: {{via: h{n + 1}}}" for n in range(9)) + ", h9: {}"
    with pytest.raises(InventoryError, match="more than 8 jump hosts: h0 → h1"):
        loads(f"hosts: {{{chain}}}")
    deep = "".join(f"  g{n}: {{groups: [g{n + 1}]}}\n" for n in range(2000))
    inventory = loads(f"hosts: {{a: {{}}}}\ngroups:\n{deep}  g2000: {{hosts: [a], user: x}}\n")
    assert inventory.select("g0") == ("a",)
    assert inventory.host("a").user == "x"


def test_keys_are_required_on_the_whole_way():
    """A host without a pinned key, or whose jump host has none, is named with the command that fetches it."""
    with pytest.raises(InventoryError, match="no pinned host key: bastion") as caught:
        INVENTORY.require_keys(["web1"])
    assert caught.value.hint == "opsnb host trust bastion"
    pinned = loads(f"hosts: {{a: {{keys: ['{ed25519('a')}']}}, localhost: {{}}}}")
    pinned.require_keys(["a", "localhost"])


def test_it_is_read_again_when_a_file_has_changed(tmp_path):
    """A watched inventory is the same object until a file is written, added or removed, and then what stands there."""
    watched = Watched(tmp_path)
    assert list(watched.now().hosts) == []
    (tmp_path / "inventory.yaml").write_text("hosts: {a: {}}")
    first = watched.now()
    assert (list(first.hosts), watched.now()) == (["a"], first)
    assert watched.now() is first
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "more.yaml").write_text("hosts: {b: {}}")
    assert list(watched.now().hosts) == ["a", "b"]
    (tmp_path / "inventory" / "more.yaml").write_text("hosts: {c: {}}")
    assert list(watched.now().hosts) == ["a", "c"]
    more = tmp_path / "inventory" / "more.yaml"
    before = more.stat()
    more.write_text("hosts: {d: {}}")
    os.utime(more, ns=(before.st_atime_ns, before.st_mtime_ns))  # of the same size and the same time
    assert list(watched.now().hosts) == ["a", "d"]
    (tmp_path / "inventory" / "more.yaml").write_text("hosts: {c: [}")
    with pytest.raises(InventoryError):
        watched.now()
    (tmp_path / "inventory" / "more.yaml").unlink()
    assert list(watched.now().hosts) == ["a"]
