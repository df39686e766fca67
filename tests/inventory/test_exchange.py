"""Export and import again, known_hosts, merging into what is there."""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventories import KEY, SHOP, ed25519
from opsnb.base.errors import InventoryError
from opsnb.fleet.inventory import Inventory, load, loads
from opsnb.fleet.inventory.formats import known_hosts, ssh_config
from opsnb.fleet.inventory.formats.choose import read, write
from opsnb.fleet.inventory.formats.exchange import Imported, merge
from opsnb.fleet.inventory.reader import from_value

FILES = {"ansible-ini": "x.ini", "ansible-yaml": "x.yaml", "csv": "x.csv", "excel": "x.xlsx", "ssh-config": "config"}

names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True).filter(
    lambda n: n not in {"all", "localhost", "ungrouped"}
)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12) | st.sampled_from(
    [
        "=1+1",
        "+1",
        "-x",
        "@a",
        "'q",
        "'=q",
        '"',
        "a b",
        "a,b",
        "a;b",
        "#x",
        "true",
        "None",
        "1",
        "1.5",
        "[1]",
        "{'a': 1}",
        "=",
        "\\n",
    ]
)
scalars = texts | st.integers(-(10**14), 10**14) | st.booleans() | st.floats(-1e6, 1e6, width=32)
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(names, v, max_size=2), max_leaves=4)
keys = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True).filter(
    lambda k: (
        k not in {"env", "environment", "group", "service", "host", "name"}
        and not k.endswith(("pass", "token", "secret"))
    )
)


@st.composite
def inventories(draw) -> Inventory:
    """Return an inventory of any shape: jump hosts, nested groups, settings on hosts and groups."""
    hosts = draw(st.lists(names, min_size=1, max_size=5, unique=True))
    groups = draw(st.lists(names.filter(lambda n: n not in hosts), max_size=4, unique=True))
    data = {"hosts": {}, "groups": {}, "credentials": {"k": {"kind": "key", "file": "~/.ssh/k"}}}
    for at, host in enumerate(hosts):
        fields = {
            "address": draw(st.sampled_from([f"10.0.0.{at}", f"2001:db8::{at}", f"h{at}.example.com"])),
            "port": draw(st.sampled_from([22, 2222])), "labels": draw(st.dictionaries(keys, texts, max_size=2)),
            "variables": draw(st.dictionaries(keys, values, max_size=2)),
        }  # fmt: skip
        fields |= draw(st.sampled_from([{}, {"user": "ops"}, {"environment": "prod", "credential": "k"}]))
        if at and draw(st.booleans()):
            fields["via"] = hosts[draw(st.integers(0, at - 1))]
        data["hosts"][host] = fields
    for at, group in enumerate(groups):
        data["groups"][group] = {
            "hosts": draw(st.lists(st.sampled_from(hosts), unique=True)),
            "groups": draw(st.lists(st.sampled_from(groups[at + 1 :]), unique=True)) if groups[at + 1 :] else [],
            "variables": draw(st.dictionaries(keys, values, max_size=2)),
        }
    return from_value(data, "test")


def seen(inventory: Inventory) -> dict[str, object]:
    """Return what a format has to carry of every host."""
    return {
        host.name: (host.address, host.port, host.user, host.via, host.environment, dict(host.labels), dict(host.variables),
                    sorted(host.groups), bool(host.credential))
        for host in inventory.hosts.values()
    }  # fmt: skip


@pytest.mark.parametrize(
    "kinds", [("ansible-ini", "ansible-yaml", "csv"), pytest.param(("excel",), marks=pytest.mark.slow)]
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(inventory=inventories())
def test_what_is_exported_is_imported_again(tmp_path, kinds, inventory):
    """Every host comes back with address, port, user, jump host, environment, labels, variables and groups."""
    for kind in kinds:
        path = tmp_path / FILES[kind]
        path.write_bytes(write(inventory, kind))
        imported = read(path)
        imported.credentials.setdefault("k", {"kind": "key", "file": "~/.ssh/k"})
        assert seen(imported.inventory()) == seen(inventory), kind


@settings(
    max_examples=60,
    report_multiple_bugs=False,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(inventory=inventories())
def test_ssh_config_comes_back(tmp_path, inventory):
    """ssh_config carries address, port, user and jump hosts; a real ssh reads the same from it."""
    path = tmp_path / "config"
    path.write_bytes(write(inventory, "ssh-config"))
    back = read(path).inventory()

    def of(one: Inventory) -> dict[str, object]:
        return {h.name: (h.address, h.port, h.user, h.via) for h in one.hosts.values()}

    assert of(back) == of(inventory)


def test_openssh_reads_the_exported_config_as_we_mean_it(tmp_path):
    """``ssh -G`` on the export gives each host's address, port, user and jump host."""
    inventory = loads(SHOP)
    path = tmp_path / "config"
    path.write_bytes(write(inventory, "ssh-config"))
    for host in inventory.hosts.values():
        done = subprocess.run(["ssh", "-G", "-F", path, host.name], capture_output=True, text=True, check=True)
        said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
        assert (said["hostname"], said["port"], said["user"]) == (host.address, str(host.port), host.user)
        assert said.get("proxyjump", "") == host.via


def test_openssh_and_we_read_samples_alike(tmp_path):
    """For every host of a config with wildcards, negations and tokens, ``ssh -G`` agrees with the import."""
    path = tmp_path / "config"
    path.write_text(
        "Host a b\n User first\nHost !b *\n Port 2200\nMatch host a\n IdentityFile ~/.ssh/a\nHost c\n"
        " HostName %h.example.com\n ProxyJump a\nHost d\n ProxyJump none\n user second\n User=third\nHost *\n User last\n"
        " Hostname %h\nHost late\n Port 1\n"
    )
    imported = read(path).inventory()
    for host in imported.hosts.values():
        done = subprocess.run(["ssh", "-G", "-F", path, host.name], capture_output=True, text=True, check=True)
        said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
        assert (said["hostname"], said["port"], said["user"]) == (host.address, str(host.port), host.user)
        assert said.get("proxyjump", "none") == (host.via or "none")


def test_known_hosts_pin_keys_hashed_ones_too(tmp_path):
    """Plain, bracketed, wildcard and hashed entries give a host's keys; revoked and broken lines do not."""
    one, two, three, bad = (ed25519(str(n)) for n in range(4))
    path = tmp_path / "known_hosts"
    path.write_text(
        f"# comment\n10.0.0.1,web1 {one} x\n[10.0.0.2]:2222 {two}\n*.example.com,!no.example.com {three}\n"
        f"@revoked * {bad}\n10.0.0.1 {bad}\n@cert-authority *.x {one}\nbroken line\n10.0.0.9 ssh-ed25519 AAAA\n"
    )
    known = known_hosts.parse(path.read_text())
    assert known.keys_of("10.0.0.1") == known.keys_of("WEB1") == [one]
    assert known.keys_of("10.0.0.2", 2222) == [two]
    assert known.keys_of("10.0.0.2") == known.keys_of("no.example.com") == []
    assert known.keys_of("a.example.com") == [three]
    assert len(known.notes) == 3
    path.write_text(f"10.0.0.1,web1 {one} x\n[10.0.0.2]:2222 {two}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    hashed = known_hosts.parse(path.read_text())
    assert "|1|" in path.read_text()
    assert hashed.keys_of("10.0.0.1") == [one]
    assert hashed.keys_of("10.0.0.2", 2222) == [two]
    assert hashed.keys_of("10.0.0.3") == []


def test_pinned_keys_go_to_known_hosts_and_openssh_finds_them(tmp_path):
    """``ssh-keygen -F`` finds every exported key under the host's address and port."""
    inventory = loads(
        f"hosts: {{a: {{address: 10.0.0.1, keys: ['{KEY}']}}, b: {{address: 10.0.0.2, port: 22022, keys: ['{KEY}']}}}}"
    )
    path = tmp_path / "known"
    path.write_bytes(write(inventory, "known-hosts"))
    for name in ("10.0.0.1", "[10.0.0.2]:22022"):
        done = subprocess.run(["ssh-keygen", "-F", name, "-f", path], capture_output=True, text=True, check=True)
        assert KEY in done.stdout


EVIL = ["=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", "\t=1", "＝1+1"]


def test_no_cell_of_an_export_is_a_formula(tmp_path):
    """Text that a spreadsheet would compute is guarded in CSV, and text in Excel."""
    data = {"hosts": {f"h{n}": {"labels": {"note": text}, "variables": {"v": text}} for n, text in enumerate(EVIL)}}
    inventory = from_value(data, "test")
    for row in csv.reader(io.StringIO(write(inventory, "csv").decode("utf-8-sig"))):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "＝")) for cell in row)
    path = tmp_path / "x.xlsx"
    path.write_bytes(write(inventory, "excel"))
    cells = [cell for row in openpyxl.load_workbook(path).active.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n", "inlineStr"}
    assert not any(cell.data_type == "f" for cell in cells)
    assert EVIL[0] in {cell.value for cell in cells}


def shop(tmp_path: Path) -> Path:
    """Return a workspace with an inventory."""
    (tmp_path / "inventory.yaml").write_text(SHOP)
    return tmp_path


def imported() -> Imported:
    """Return two hosts: one that is there otherwise, one that is new."""
    return Imported(
        hosts={"web1": {"address": "10.9.9.9", "labels": {"role": "nginx"}}, "new": {"credential": "k"}},
        groups={"prod": {"hosts": ["new", "web1"]}, "fresh": {"hosts": ["new"], "variables": {"a": 1}}},
        credentials={"k": {"kind": "agent"}, "ops": {"kind": "agent"}},
    )


def test_merging_adds_and_leaves_what_differs(tmp_path):
    """New hosts and groups are added, a host that differs is named and stays; comments and the rest stay."""
    root = shop(tmp_path)
    merged = merge(root, imported())
    assert (merged.added, merged.changed, merged.same) == (("new",), (), ())
    assert merged.different == {"web1": ("address",)}
    assert merged.groups == ("prod", "fresh")
    assert merged.notes == ("credential 'ops' is there already and stays as it is",)
    now = load(root)
    assert now.host("web1").address == "10.0.0.1"
    assert now.select("group=prod") == ("web1", "web2", "db1", "new")
    assert now.host("new").variables["a"] == 1
    again = merge(root, imported())
    assert (again.added, again.same, again.files) == ((), ("new",), ())


def test_replacing_changes_only_what_differs(tmp_path):
    """With replace, the fields that differ are taken over and the host's others stay; dry writes nothing."""
    root = shop(tmp_path)
    assert merge(root, imported(), replace=True, dry=True).changed == ("web1",)
    assert (root / "inventory.yaml").read_text() == SHOP
    assert merge(root, imported(), replace=True).changed == ("web1",)
    host = load(root).host("web1")
    assert (host.address, host.variables["weight"], host.keys) == ("10.9.9.9", 5, (KEY,))


def test_an_import_that_is_not_valid_writes_nothing(tmp_path):
    """A host with a wrong field makes the whole import fail, and the file stays as it was."""
    root = shop(tmp_path)
    wrong = imported()
    wrong.hosts["worse"] = {"user": "-l"}
    with pytest.raises(InventoryError, match="wanted a login name"):
        merge(root, wrong)
    assert (root / "inventory.yaml").read_text() == SHOP


def test_a_host_with_a_known_hosts_file_of_its_own(tmp_path):
    """`UserKnownHostsFile` names where a host's key is known; others' keys come from the file beside the configuration."""
    (tmp_path / "own").write_text(f"[10.0.0.1]:2222 {KEY}\n", encoding="utf-8")
    (tmp_path / "config").write_text(
        f'Host a\n  HostName 10.0.0.1\n  Port 2222\n  UserKnownHostsFile "{tmp_path / "own"}"\n'
        f"Host b\n  HostName 10.0.0.1\n  Port 2222\n",
        encoding="utf-8",
    )
    hosts = ssh_config.read(tmp_path / "config").hosts
    assert (hosts["a"]["keys"], "keys" in hosts["b"]) == ([KEY], False)
