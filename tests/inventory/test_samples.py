"""Import of files as people have them: one sample file, one expected value, one case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opsnb.base.errors import InventoryError, OpsnbError
from opsnb.fleet.inventory.formats.choose import read
from places import ROOT

DATA = ROOT / "tests" / "data" / "inventory"
SAMPLES = sorted(path.name.removesuffix(".expected.json") for path in DATA.glob("*.expected.json"))


def sample(name: str) -> Path:
    """Return a sample's file; of a folder the file ``hosts`` in it."""
    return DATA / name / "hosts" if (DATA / name).is_dir() else DATA / name


def test_there_are_samples():
    """At least twenty files of real shapes are read."""
    assert len(SAMPLES) >= 20


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_as_expected(name):
    """The format is told from name and content, and hosts, groups, credentials and notes are exactly these."""
    expected = json.loads((DATA / f"{name}.expected.json").read_text(encoding="utf-8"))
    try:
        found = read(sample(name))
    except OpsnbError as error:
        assert {"error": error.message.replace(f"{DATA}/", ""), "hint": error.hint} == expected  # noqa: PT017
        return
    assert {
        "hosts": found.hosts, "groups": found.groups, "credentials": found.credentials,
        "notes": [note.replace(f"{DATA}/", "") for note in found.notes],
    } == expected  # fmt: skip
    assert [*found.inventory().hosts] == [*found.hosts]


def test_no_secret_of_a_sample_is_taken_over():
    """Passwords and vault texts in the samples stand in nothing that an import gives."""
    taken = "".join(path.read_text(encoding="utf-8") for path in DATA.glob("*.expected.json"))
    for secret in ("hunter2", "geheim", "vault_become", "ANSIBLE_VAULT", '"secret"', "6162636465"):
        assert secret not in taken


def put(tmp_path: Path, name: str, data: bytes | str) -> Path:
    """Write a file."""
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=False)
)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.ini", "[web\nweb1\n", "line 1: '[web' is no heading"),
        ("x.ini", "[web]\nweb1 port\n", "line 2: 'port' is no variable"),
        ("x.ini", "[web:vars]\nport\n", "line 2: 'port' is no variable"),
        ("x.ini", "[web]\nweb[09:01]\n", "line 2: the range [09:01] runs backwards"),
        ("x.ini", "[web]\nweb[a:9]\n", "is neither of numbers nor of letters"),
        ("x.ini", "[web]\nweb[1:999999999]\n", "names more than 100000 hosts"),
        ("x.ini", "[web]\nweb[1:9999][1:9999]\n", "names more than 100000 hosts"),
        ("x.ini", "[a:children]\nb\n[b:children]\na\n", "holds itself"),
        ("x.ini", '[web]\nweb1 x="open\n', "line 2: No closing quotation"),
        ("x.yml", "- a\n", "is no Ansible inventory"),
        ("x.yml", "plugin: aws_ec2\n", "is the configuration of an Ansible plugin"),
        ("x.yml", "web: [a]\n", "group 'web' is no mapping"),
        ("x.yml", "web: {hosts: [a]}\n", "group 'web': hosts is no mapping"),
        ("x.yml", "web: {hosts: {a: {}\n", "not YAML"),
        ("x.yml", BOMB, "too large once its aliases are written out"),
        ("x.yml", "a: " + "[" * 60 + "]" * 60, "too large once"),
        ("x.csv", "", "is empty"),
        ("x.csv", "address\n10.0.0.1\n10.0.0.1\n", "line 3: host '10.0.0.1' stands twice"),
        ("x.csv", "name,port\na,ssh\n", "line 2: port 'ssh' is no number"),
        ("x.csv", "name,name\na,b\n", "names a column twice"),
        ("x.csv", "user\na\n", "neither name nor address"),
        ("x.csv", b"name\n\xff\xff\xff\xff\n", "neither UTF-8 nor GB18030"),
        ("x.csv", b"name\na\0b\n", "holds a NUL"),
        ("x.xlsx", b"PK nothing", "is no workbook"),
        ("config", "Host a\n  Port ssh\n", "port 'ssh' is no number"),
        ("config", "Host a\n  Port\n", "line 2: wanted a keyword and its value"),
        ("config", "Include config\n", "include each other"),
        ("known_hosts", "a ssh-ed25519 AAAA\n", "known_hosts names keys, not hosts"),
        ("mystery", "hello\n", "looks like no inventory"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path, name, data, message):
    """A broken or hostile file is refused with its name and line; nothing hangs or grows."""
    with pytest.raises(InventoryError) as caught:
        read(put(tmp_path, name, data))
    assert message in caught.value.message
    with pytest.raises(InventoryError, match="cannot be read"):
        read(tmp_path / "absent")
