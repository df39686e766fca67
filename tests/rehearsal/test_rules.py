"""The rules of a fleet: which hosts, which identity, which inventory, which process is ours."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import OpsnbError
from opsnb.fleet.inventory import loads
from opsnb.rehearsal import addresses, state
from opsnb.rehearsal.hosts import MOST, Login, fleet, inventory, names
from opsnb.rehearsal.identity import Machine, files, machine_id, user_ids
from opsnb.rehearsal.keys import keys

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrcQL9EaRKonLV7ZxRHE8wS/5LNW4UP9x8cuD0lCzgZ"
LOGIN = Login(user="ops", observe_key="/k", change_key="/c", sudo=True)
LINES = st.lists(
    st.tuples(st.from_regex(r"[a-z_][a-z0-9_-]{0,8}", fullmatch=True), st.integers(0, 1010)).map(
        lambda account: f"{account[0]}:x:{account[1]}:{account[1]}::/:/bin/sh"
    ),
    max_size=30,
)


@given(st.integers(1, MOST))
def test_a_fleet_of_any_size(count: int) -> None:
    """Names and addresses are each there once, and a smaller fleet is the beginning of a larger one."""
    hosts = fleet(count, "127.0.9", 20022)
    assert len({host.name for host in hosts}) == len({host.address for host in hosts}) == count
    assert names(count) == names(MOST)[:count]
    assert {host.environment for host in hosts} <= {"prod", "staging"}


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 12, MOST])
def test_the_inventory_is_one(count: int) -> None:
    """The inventory of any fleet is read by the inventory's reader: every host there, selectors and services hold."""
    hosts = fleet(count, "127.0.9", 20022)
    book = loads(yaml.safe_dump(inventory(hosts, {host.name: KEY for host in hosts}, login=LOGIN), sort_keys=False))
    assert book.select("rehearsal") == tuple(names(count))
    assert set(book.select("role=nginx")) == {name for name in names(count) if name.startswith("web")}
    for host in hosts:
        row = book.row(host.name)
        assert (row["address"], row["port"], row["sudo"]) == (host.address, 20022, "passwordless")
        assert ("via" in row) == (count >= 6 and host.name.startswith("db"))


@given(LINES)
def test_the_users_of_a_host(passwd: list[str]) -> None:
    """The two users have numbers that no account has, replace accounts of their name, and nobody keeps a password."""
    machine = Machine(passwd="\n".join(passwd), group="root:x:0:\nops:x:5:\nadm:x:4:ann,bob", resolver="")
    ids = user_ids(machine.passwd)
    assert not {str(number) for number in ids.values()} & {line.split(":")[2] for line in passwd}
    made = files(
        "web1", "127.0.9.1", 22, listen="127.0.9.1", key="k", public=KEY, authorized={"ops": "a", "watch": "b"},
        machine=machine,
    )  # fmt: skip
    accounts = [line.split(":")[0] for line in made["etc/passwd"].text.splitlines()]
    assert accounts.count("ops") == accounts.count("watch") == 1
    for passwords in ("shadow", "shadow-", "gshadow", "gshadow-"):
        assert {line.split(":")[1] for line in made[f"etc/{passwords}"].text.splitlines()} == {"*"}
    assert made["etc/gshadow"].text.splitlines() == ["root:*::", "adm:*::ann,bob", *(f"{user}:*::" for user in ids)]
    assert [line.split(":")[0] for line in made["etc/shadow"].text.splitlines()] == accounts
    assert made["etc/ssh/ssh_host_ed25519_key"].mode == 0o600


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_machine_id(name: str, other: str) -> None:
    """A machine-id is 32 hex digits, the same for the same host and another for another one."""
    made = machine_id(name, KEY)
    assert len(made) == 32
    assert int(made, 16) >= 0
    assert (made == machine_id(other, KEY)) == (name == other)


def test_a_process_is_itself_only() -> None:
    """A process is known by number, start and boot; after its end it is not alive, also while nobody collected it."""
    child = subprocess.Popen(["sleep", "60"])
    known = state.process(child.pid)
    assert known.alive()
    assert not state.Process(pid=known.pid, start=known.start + 1, boot=known.boot).alive()
    assert not state.Process(pid=known.pid, start=known.start, boot="another").alive()
    assert not state.Process(pid=known.pid, start=known.start + 1, boot=known.boot).kill()
    assert child.poll() is None
    assert known.kill()
    assert not known.alive()  # a zombie: wait() comes after this
    assert not known.kill()
    child.wait()


def test_a_network_is_held_by_one(tmp_path: Path) -> None:
    """While one workspace comes up its network is not given again; a port on which somebody listens is not free."""
    with addresses.reserve(tmp_path, 3) as (network, port):
        assert network.startswith("127.0.")
        with addresses.reserve(tmp_path, 3) as (other, _):
            assert other != network
        with socket.create_server((f"{network}.2", port)):
            assert not addresses.free(network, 3, port)
            assert (f"{network}.2", port) in addresses.listening()
            assert addresses.free(network, 1, port)
    with socket.create_server((f"{network}.1", 0)), addresses.reserve(tmp_path, 3) as (other, _):
        assert other != network, "what its hosts serve there would stand in the way of another fleet's"
    with addresses.reserve(tmp_path, 3) as again:
        assert again == (network, port)


def test_the_lock_is_held_by_one(tmp_path: Path) -> None:
    """The lock is gone with the fleet's folder, and a program that inherited it holds it on."""
    folder = tmp_path / "state" / "rehearsal"
    with state.locked(folder) as lock:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[lock])
        folder.mkdir()
    waiting = os.open(folder.with_name("rehearsal.lock"), os.O_RDWR)
    try:
        import fcntl

        with pytest.raises(BlockingIOError):
            fcntl.flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child.communicate()
        fcntl.flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(waiting)
    folder.rmdir()
    with state.locked(folder):
        pass
    assert list(tmp_path.iterdir()) == []


def test_keys_are_made_once_under_the_lock(tmp_path: Path) -> None:
    """Each key is made once, for its owner only, by a program that holds the fleet's lock; a failure names the file."""
    folder = tmp_path / "rehearsal"
    program = tmp_path / "keygen"
    program.write_text(f'#!/bin/sh\nls -l /proc/self/fd >>{tmp_path}/held\nexec ssh-keygen "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    with state.locked(folder) as lock:
        folder.mkdir(mode=0o700)
        with pytest.raises(OpsnbError, match="ssh-keygen made no"):
            keys(folder, ["web1"], keygen="/bin/false", lock=lock)
        made = keys(folder, ["web1"], keygen=str(program), lock=lock)
        assert keys(folder, ["web1"], keygen="/bin/false", lock=lock) == made
    assert (tmp_path / "held").read_text(encoding="utf-8").count("rehearsal.lock") == 3
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir() if path.suffix != ".pub"} == {0o600}
    assert made.public["web1"].split()[0] == "ssh-ed25519"
    assert len({made.observe, made.change, made.public["web1"]}) == 3
