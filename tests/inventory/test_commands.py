"""``opsnb host`` and ``opsnb init --from-ssh-config`` on files alone: no control plane, as a user types them."""

from __future__ import annotations

import json
import subprocess

import pytest

from inventories import KEY, SHOP, ed25519
from opsnb.fleet.inventory import load
from places import OPSNB, Place


@pytest.fixture
def shop(place: Place) -> Place:
    """A workspace with an inventory."""
    (place.root / "inventory.yaml").write_text(SHOP)
    return place


def answer(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command that must work printed."""
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_list_shows_hosts_and_starts_no_control_plane(shop):
    """List prints a line a host, of a selector alone those; nothing is started for it."""
    lines = answer(shop.opsnb("host", "list")).splitlines()
    assert [line.split()[0] for line in lines] == ["HOST", "bastion", "web1", "web2", "web3", "db1"]
    assert "pinned" in lines[2]
    assert shop.json("host", "list", "env=test")["hosts"][0]["name"] == "web3"
    assert not (shop.root / ".opsnb").exists()


def test_list_of_nothing_says_how_to_begin(place):
    """An empty inventory says how to add the first host."""
    assert "opsnb host add NAME USER@ADDRESS" in answer(place.opsnb("host", "list"))
    assert place.json("host", "list") == {"hosts": []}


def test_a_wrong_selector_is_one_error(shop):
    """An unknown name exits 2 and names the nearest, with --json as one document."""
    done = shop.opsnb("host", "list", "wep1", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"] == {
        "message": "no host or group is called 'wep1'", "hint": "did you mean 'web1'?", "exit": 2,
    }  # fmt: skip


def test_show_says_where_each_value_comes_from(shop):
    """Show names the group of an inherited value, services, keys and who refers to the host."""
    text = answer(shop.opsnb("host", "show", "web1"))
    assert "via  bastion   (from group all)" in text
    assert "variable weight  5\n" in text
    assert "services  shop" in text
    assert "SHA256:" in text
    value = shop.json("host", "show", "bastion")
    assert value["referred_to_by"] == ["group 'all' (inventory.yaml line 16), as its jump host"]
    assert value["pinned"] is False


def test_add_list_remove(place):
    """A host that is added is there with everything that was said, and goes again."""
    text = answer(
        place.opsnb(
            "host", "add", "web1", "ops@10.0.0.1:2222", "--env", "prod", "--label", "role=nginx", "--var", "weight=3",
            "--group", "web", "--key-file", "~/.ssh/id_ops", "--sudo", "secret:sudo/web",
        )
    )  # fmt: skip
    assert "next: opsnb host trust web1" in text
    row = place.json("host", "show", "web1")
    wanted = {
        "address": "10.0.0.1", "user": "ops", "port": 2222, "environment": "prod", "labels": {"role": "nginx"},
        "variables": {"weight": 3}, "groups": ["web"], "sudo": "password", "credential": {"observe": "id_ops", "change": "id_ops"},
    }  # fmt: skip
    assert {key: row[key] for key in wanted} == wanted
    assert "# Hosts, groups, services." in (place.root / "inventory.yaml").read_text()
    assert (
        place.json("host", "add", "web2", "[2001:db8::1]:22", "--key-file", "~/.ssh/id_ops")["address"] == "2001:db8::1"
    )
    assert len(load(place.root).credentials) == 1
    done = place.opsnb("host", "rm", "web1")
    assert done.returncode == 3
    assert "still referred to by group 'web' (inventory.yaml line" in done.stderr
    assert place.json("host", "rm", "web2") == {"removed": "web2", "file": "inventory.yaml"}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("add", "x", "a b"), "is not [USER@]ADDRESS[:PORT]"),
        (("add", "x", "h", "--label", "role"), "wanted KEY=VALUE"),
        (("add", "x", "h", "--label", "a=1", "--label", "a=2"), "'a' is given twice"),
        (("add", "x", "h", "--sudo", "maybe"), "wanted none, passwordless or {secret: NAME}"),
        (("add", "x", "h", "--credential", "opps"), "no credential is called 'opps'"),
        (("add", "x", "h:99999"), "wanted a number from 1 to 65535"),
        (("add", "x;rm", "h"), "wanted the name of a host"),
        (("show", "nope"), "no host is called 'nope'"),
        (("rm", "localhost"), "is this machine"),
        (("trust", "localhost"), "is reached by 'local', which has no keys to trust"),
        (("trust", "web1", "--fingerprint", "MD5:1"), "is no fingerprint"),
        (("trust", "web1", "--keys", "/nowhere"), "No such file"),
        (("import", "/nowhere"), "cannot be read"),
        (("export", "--format", "excel"), "does not go to a terminal"),
    ],
)
def test_what_is_wrong_is_refused(shop, argv, message):
    """A wrong argument is an error in words, exit 2, and the inventory stays as it was."""
    done = shop.opsnb("host", *argv)
    assert done.returncode == 2
    assert message in done.stderr
    assert (shop.root / "inventory.yaml").read_text() == SHOP


def test_import_and_export_through_the_command_line(shop, tmp_path):
    """What one format gives another takes; a dry run writes nothing; a second import finds everything there."""
    path = tmp_path / "hosts.ini"
    path.write_text("[kafka]\nkafka[1:3] ansible_host=10.7.0.1 ansible_password=hunter2\n")
    dry = answer(shop.opsnb("host", "import", str(path), "--dry-run"))
    assert "added  3: kafka1, kafka2, kafka3" in dry
    assert "is a secret and left out" in dry
    assert (shop.root / "inventory.yaml").read_text() == SHOP
    assert shop.json("host", "import", str(path))["added"] == ["kafka1", "kafka2", "kafka3"]
    assert shop.json("host", "import", str(path))["same"] == ["kafka1", "kafka2", "kafka3"]
    assert "hunter2" not in (shop.root / "inventory.yaml").read_text()
    out = tmp_path / "out.csv"
    answer(shop.opsnb("host", "export", "kafka", "--out", str(out)))
    assert len(out.read_text().splitlines()) == 4
    assert shop.json("host", "export", "web1", "--format", "known-hosts")["text"] == f"10.0.0.1 {KEY}\n"
    assert "Host web1\n" in answer(shop.opsnb("host", "export", "--format", "ssh-config"))


CONFIG = """\
Host bastion
  HostName 192.0.2.1
  User jump
Host web*
  ProxyJump bastion
  User ops
Host web1
  HostName 10.0.0.1
Host web2
  HostName 10.0.0.2
  Port 2222
"""


def test_a_workspace_from_ssh_config(tmp_path):
    """``opsnb init --from-ssh-config`` takes hosts, jump hosts, key and known keys over; doing it twice changes nothing."""
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True)
    (ssh / "config").write_text(CONFIG)
    (ssh / "id_ed25519").write_text("a key")
    (ssh / "known_hosts").write_text(f"192.0.2.1 {ed25519('b')}\n10.0.0.1 {KEY}\n")
    env = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}

    def init(*options: str) -> str:
        argv = [str(OPSNB), "init", "ws", *options, "--from-ssh-config"]
        return answer(subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False))

    text = init()
    assert "3 host(s) added from ~/.ssh/config" in text
    assert "2 with the keys that your known_hosts holds; try: opsnb host check bastion" in text
    assert "1 without a known key; first: opsnb host trust web2" in text
    inventory = load(tmp_path / "ws")
    row = inventory.row("web1")
    assert (row["address"], row["user"], row["keys"]) == ("10.0.0.1", "ops", [KEY])
    assert row["via"][0]["address"] == "192.0.2.1"
    assert inventory.credentials["id_ed25519"].file == "~/.ssh/id_ed25519"
    before = (tmp_path / "ws" / "inventory.yaml").read_text()
    again = json.loads(init("--json"))
    assert again["hosts"]["same"] == ["bastion", "web1", "web2"]
    assert (tmp_path / "ws" / "inventory.yaml").read_text() == before


def test_an_ssh_config_that_is_not_there_makes_no_workspace(tmp_path):
    """A file that cannot be read is one error, and nothing was made."""
    argv = [str(OPSNB), "init", "ws", "--from-ssh-config=/nonexistent"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "/nonexistent: cannot be read" in done.stderr
    assert not (tmp_path / "ws").exists()
