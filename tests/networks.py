"""Three hosts with a network of their own, and the ways in which a host is lost: for tests of partial failure.

Each host is a rehearsal host in a network namespace of its own, joined by a veth pair to a bridge that the test made.
The addresses (198.18.0.0/15, set aside for tests by RFC 2544) exist only there.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from opsnb.base.workspace import Workspace
from opsnb.cli.workspace import make
from opsnb.rehearsal import addresses, own, probe, shared, state
from opsnb.rehearsal.hosts import CHANGE, OBSERVE, OPS, Host, Login, inventory
from opsnb.rehearsal.keys import CHANGE_KEY, OBSERVE_KEY, Keys, keys
from places import Place, wait_for

NAMES = ("web1", "web2", "web3")
PORT = 22
ANSWER_SECONDS = 20


def ip(*words: str, pid: int = 0) -> str:
    """Run ``ip``, in the network of a process when one is named; return what it printed."""
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net"] if pid else []
    done = subprocess.run([*inside, "ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout


def links() -> list[str]:
    """Return the names of this machine's network interfaces."""
    return [str(link["ifname"]) for link in json.loads(ip("-j", "link"))]


class Networks(Place):
    """A workspace whose hosts have a network each, and can be unplugged, frozen, killed and restored.

    The inventory of the workspace has them, in the environment ``prod``, in the group ``rehearsal``, role ``nginx``.
    For code that wants a run, this object is one: it has ``rows`` and ``credential``.
    """

    def __init__(self, root: Path, names: Sequence[str] = NAMES) -> None:
        super().__init__(root)
        self.folder = Workspace(root).state.absolute() / "rehearsal"
        self.disks = root / "disks"
        self.mark = secrets.token_hex(3)
        self.bridge = f"opsb{self.mark}"
        self.network = ""
        self.hosts: dict[str, Host] = {}
        self.keys: Keys
        self.names = list(names)

    def begin(self) -> None:
        """Make the bridge, start the hosts, join them, wait until each answers, write the inventory."""
        self.folder.mkdir(parents=True, mode=0o700)
        self.network = self._bridge()
        for number, name in enumerate(self.names, 1):
            address = f"{self.network}.{number}"
            self.hosts[name] = Host(name=name, role="web", environment="prod", address=address, port=PORT)
        with state.locked(self.folder) as lock:
            self.keys = keys(self.folder, self.names, keygen=probe.programs().keygen, lock=lock)
        self._start(self.names)
        book = inventory(list(self.hosts.values()), self.keys.public, login=self._login())
        (self.root / "inventory").mkdir()
        (self.root / "inventory" / "networks.yaml").write_text(yaml.safe_dump(book), encoding="utf-8")

    def _bridge(self) -> str:
        """Make a bridge with an address in a network that nobody else on this machine has."""
        # An address of its own: else it takes the lowest of its cables', and when that one goes, what the other hosts
        # send to the former address is lost until they have asked anew.
        ip("link", "add", self.bridge, "address", self._hardware(0), "type", "bridge")
        taken = {str(route.get("dst")) for route in json.loads(ip("-j", "route"))}
        second, third = next(
            (18 + number // 256, number % 256)
            for number in (secrets.randbelow(512) for _ in range(1000))
            if f"198.{18 + number // 256}.{number % 256}.0/24" not in taken
        )
        ip("address", "add", f"198.{second}.{third}.254/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        return f"198.{second}.{third}"

    def _start(self, names: Sequence[str]) -> None:
        starts = [
            own.Start(host=self.hosts[name], listen="0.0.0.0", network=True, disk=str(self.disks / name))  # noqa: S104
            for name in names
        ]
        with state.locked(self.folder) as lock:
            own.start(self.folder, starts, keys=self.keys, sshd=probe.programs().sshd, hide=[self.root], lock=lock)
        for name in names:
            self._join(name)
        for name in names:
            host = self.hosts[name]
            wait_for(lambda host=host: addresses.answers(host.address, PORT, 1), ANSWER_SECONDS)

    def _join(self, name: str) -> None:
        """Lay a cable from a host to the bridge."""
        pid = self.process(name).pid
        if self.cable(name) in links():  # of its former life
            ip("link", "delete", self.cable(name))
        ip("link", "add", self.cable(name), "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        ip("link", "set", self.cable(name), "master", self.bridge, "up")
        # The same hardware address in every life, as a machine has it: nobody keeps a stale neighbour.
        ip("link", "set", "eth0", "address", self._hardware(self.names.index(name) + 1), pid=pid)
        ip("address", "add", f"{self.hosts[name].address}/24", "dev", "eth0", pid=pid)
        for link in ("lo", "eth0"):
            ip("link", "set", link, "up", pid=pid)

    def _hardware(self, number: int) -> str:
        """Return a hardware address; 0 is the bridge's, hosts count from 1."""
        return f"02:{':'.join(self.mark[i : i + 2] for i in (0, 2, 4))}:00:{number:02x}"

    def _login(self) -> Login:
        observe, change = str(self.folder / OBSERVE_KEY), str(self.folder / CHANGE_KEY)
        return Login(user=OPS, observe_key=observe, change_key=change, sudo=True)

    def keys_aside(self) -> None:
        """Put the keys where a person has theirs: nothing in the workspace's state is a credential, and runs read them."""
        folder = self.root.parent / "keys"
        folder.mkdir(mode=0o700)
        book = self.root / "inventory" / "networks.yaml"
        text = book.read_text(encoding="utf-8")
        for name in (OBSERVE_KEY, CHANGE_KEY):
            shutil.copy2(self.folder / name, folder / name)
        book.write_text(text.replace(str(self.folder), str(folder)), encoding="utf-8")

    # What a run has.

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The sealed rows of the hosts."""
        return [
            {
                "name": name, "transport": "ssh", "address": host.address, "port": host.port, "user": OPS,
                "environment": "prod", "labels": {"role": "nginx"}, "groups": ["rehearsal"],
                "keys": [self.keys.public[name]], "credential": {"observe": OBSERVE, "change": CHANGE},
                "sudo": "passwordless",
            }
            for name, host in self.hosts.items()
        ]  # fmt: skip

    def credential(self, host: str, purpose: str) -> Mapping[str, Any]:
        """Return what the control plane would release."""
        assert host in self.hosts
        file = self.folder / (CHANGE_KEY if purpose == "change" else OBSERVE_KEY)
        return {"kind": "key", "key": file.read_text(encoding="utf-8")}

    # What can happen to a host.

    def process(self, name: str) -> state.Process:
        """Return a host's process 1 as this machine sees it: its sshd."""
        found = state.recall(self.folder / f"{name}.json")
        assert found is not None, f"{name} was never started"
        return found

    def cable(self, name: str) -> str:
        """Return the name of the host's interface on this machine."""
        return f"opsv{self.mark}{self.names.index(name)}"

    def unplug(self, name: str) -> None:
        """Drop the host's link: nothing arrives and nothing comes back, and nobody says so."""
        ip("link", "set", self.cable(name), "down")

    def plug(self, name: str) -> None:
        """Bring the host's link back."""
        ip("link", "set", self.cable(name), "up")

    def freeze(self, name: str) -> None:
        """Stop every process of the host: its kernel answers, it does not."""
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let the host's processes go on."""
        self._signal(name, signal.SIGCONT)

    def cut(self, name: str) -> None:
        """Kill the sshd of every session of the host, by its number: lines break, what runs runs on."""
        for child in shared.descendants(self.process(name).pid):
            if _program(child.pid) == "sshd":
                child.kill()

    def kill(self, name: str, *, silently: bool = True) -> None:
        """Take the host's power: all its processes end at once.

        Args:
            name: The host.
            silently: Whether its link drops first, so that nobody hears of it.
        """
        if silently:
            self.unplug(name)
        assert self.process(name).kill(), f"{name} did not run"
        if not silently:
            self._forget(name)

    def _forget(self, name: str) -> None:
        """Have this machine ask anew who has the host's address: nobody, which is known after three seconds, not thirty."""
        argv = ["ip", "neighbour", "delete", self.hosts[name].address, "dev", self.bridge]
        subprocess.run(argv, capture_output=True, check=False)  # it may have been forgotten already

    def restore(self, name: str) -> None:
        """Make the host well again: plugged, thawed, started with the disk that it had."""
        if self.process(name).alive():
            self.thaw(name)
            self.plug(name)
            wait_for(lambda: addresses.answers(self.hosts[name].address, PORT, 1), ANSWER_SECONDS)
        else:
            self._start([name])

    def inside(self, name: str, *argv: str) -> str:
        """Run a program on a host without its network or sshd; return what it printed."""
        pid = self.process(name).pid
        done = subprocess.run(
            ["nsenter", f"--target={pid}", "--all", *argv], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def running(self, name: str, word: str) -> bool:
        """Whether a process of the host has a word in its command line."""
        found = [self.process(name), *shared.descendants(self.process(name).pid)]
        return any(word in _arguments(process.pid) for process in found)

    def _signal(self, name: str, number: int) -> None:
        first = self.process(name)
        for process in [first, *shared.descendants(first.pid)]:  # orphans are its children too
            process.signal(number)

    def close(self) -> None:
        """End everything, and see that nothing of it is left."""
        super().close()
        for name in self.hosts:
            if (self.folder / f"{name}.json").exists():
                self.process(name).kill()
        for link in links():
            if link == self.bridge or link.startswith(f"opsv{self.mark}"):
                _delete(link)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.disks, ignore_errors=True)
        (self.root / "inventory" / "networks.yaml").unlink(missing_ok=True)
        assert not [link for link in links() if self.mark in link]
        assert str(self.root) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
        assert not self.folder.exists()
        assert not self.disks.exists()


def _delete(link: str) -> None:
    """Delete a link; one whose other end has just died may have gone by itself."""
    subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)
    wait_for(lambda: link not in links(), 10)


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _arguments(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def connects(address: str, seconds: float) -> bool:
    """Whether a TCP connection to sshd's port comes about."""
    try:
        socket.create_connection((address, PORT), timeout=seconds).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Networks]:
    """Three hosts in network namespaces, shared by the tests of one module; nothing is left of them whatever happens."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces want root")
    made = Networks(tmp_path_factory.mktemp("networks") / "ws")
    make(made.root)
    made.settings(cell_timeout="30s")
    try:
        made.begin()
        yield made
    finally:
        made.close()


@pytest.fixture
def namespaces(networks: Networks) -> Iterator[Networks]:
    """The three hosts, each well before the test and after it."""
    yield networks
    for name in networks.names:
        networks.restore(name)
