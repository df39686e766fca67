"""A rehearsal fleet of a workspace: bring it up, see how it is, take it down.

Up: find out what this machine allows, choose addresses, write the plan down, make keys, write the inventory, start
what does not run, wait until every host and its services listen. Down: kill what was written down, remove what was
written.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.workspace import Workspace
from opsnb.rehearsal import addresses, hosts, own, probe, shared, state
from opsnb.rehearsal.book import Book
from opsnb.rehearsal.client import CONFIG, KNOWN, known_hosts, ssh_config
from opsnb.rehearsal.hosts import MOST, OPS, Host, Login
from opsnb.rehearsal.keys import CHANGE_KEY, OBSERVE_KEY, keys
from opsnb.rehearsal.memory import used
from opsnb.rehearsal.plan import OWN, SHARED, Plan

DEFAULT_HOSTS = 6
ANSWER_SECONDS = 30.0  # how long hosts may take to listen
SERVICE_SECONDS = 15.0  # how long their services may; a host without one is up all the same
STATUS_SECONDS = 5.0  # how long `status` waits for a host to say something
POLL_SECONDS = 0.01
ALWAYS_SHARED = ("kernel", "clock", "processor and memory", "load average", "network interfaces and ports")
SHARED_WITHOUT_ROOT = ("file system", "processes", "user", "hostname", "kernel settings")

Tell = Callable[[str], None]


class Rehearsal:
    """The rehearsal fleet of a workspace.

    Args:
        place: The workspace.
        tell: Where progress goes.
    """

    def __init__(self, place: Workspace, tell: Tell = lambda _: None) -> None:
        self.place = place
        self.folder = place.state.absolute() / "rehearsal"
        self.book = Book(place)
        self.tell = tell

    def up(self, count: int | None = None, *, services: bool = True) -> dict[str, Any]:
        """Bring the fleet up, or what is missing of it.

        Args:
            count: How many hosts; what it has, or six, when not given.
            services: Whether the hosts of a new fleet serve something, where they can.

        Returns:
            What :meth:`status` says, and ``seconds``.

        Raises:
            UsageError: If the number is out of range or not that of the fleet that is up, or the rest of the inventory
                has one of its names.
            UnavailableError: If a program is missing.
            OpsnbError: If a host does not come up; nothing is left then of a fleet that was not there before.
        """
        began = time.monotonic()
        if count is not None and not 1 <= count <= MOST:
            raise UsageError(f"--hosts {count}: wanted 1 to {MOST}")
        programs = probe.programs()
        with state.locked(self.folder) as lock:
            plan = self.plan()
            fresh = plan is None
            if plan is not None and count not in {None, plan.count}:
                raise UsageError(
                    f"a rehearsal fleet of {plan.count} hosts is here, wanted {count}", hint="opsnb rehearse down"
                )
            try:
                with self._planned(plan, count or DEFAULT_HOSTS, lock, services=services) as settled:
                    self._start(settled, programs, lock)
            except BaseException:
                if fresh:
                    self._remove()
                raise
        self.tell(f"up in {time.monotonic() - began:.1f} s; the inventory has them: {self.book.path}")
        return {**self.status(ask=False), "seconds": round(time.monotonic() - began, 3)}

    def plan(self) -> Plan | None:
        """Return what the fleet is to be; None when there is none."""
        value = state.read(self.folder / state.PLAN)
        return Plan(**value) if value else None

    @contextlib.contextmanager
    def _planned(self, plan: Plan | None, count: int, lock: int, *, services: bool) -> Iterator[Plan]:
        """Give the plan that is there, or make one, whose addresses are held until its hosts run."""
        if plan is not None:
            yield plan
            return
        if self.folder.exists():
            shutil.rmtree(self.folder)  # an `up` that was killed before it had a plan
        self.folder.mkdir(mode=0o700)
        why = probe.why_shared(self.folder, lock)
        user = probe.login_name() if why else OPS
        with addresses.reserve(self.place.root.absolute(), count) as (network, port):
            made = Plan(
                form=SHARED if why else OWN, why=why, network=network, port=port, count=count,
                token=secrets.token_hex(16), sudo=bool(probe.programs().sudo) and not why, user=user,
                separation=bool(why) and shared.wants_separation(),
                programs=asdict(probe.tier()) if services and not why else {},
            )  # fmt: skip
            state.write(self.folder / state.PLAN, json.dumps(asdict(made)))
            yield made

    def _start(self, plan: Plan, programs: probe.Programs, lock: int) -> None:
        if plan.why:
            self.tell(f"hosts share this machine: {plan.why}")
        made = keys(self.folder, [host.name for host in plan.hosts], keygen=programs.keygen, lock=lock)
        login = self._login(plan)
        self.book.write(plan.hosts, made, login, ports=plan.ports)
        state.write(self.folder / KNOWN, known_hosts(plan.hosts, made.public))
        state.write(self.folder / CONFIG, ssh_config(plan.hosts, login, self.folder / KNOWN))
        missing = [host for host in plan.hosts if not self._alive(host)]
        if missing:
            self.tell(f"starting {', '.join(host.name for host in missing)} on {plan.network}.*:{plan.port} …")
        if plan.form == OWN and missing:
            starts = [plan.start_of(host) for host in missing]
            own.start(self.folder, starts, keys=made, sshd=programs.sshd, hide=[self.place.root.absolute()], lock=lock)
        elif missing:
            shared.start(self.folder, missing, keys=made, sshd=programs.sshd, token=plan.token)
        self._wait(plan.hosts)
        self._wait_for_services(plan, missing)

    def _login(self, plan: Plan) -> Login:
        return Login(
            user=plan.user, observe_key=str(self.folder / OBSERVE_KEY), change_key=str(self.folder / CHANGE_KEY),
            sudo=plan.sudo,
        )  # fmt: skip

    def _alive(self, host: Host) -> bool:
        found = self._recalled(host)
        return found is not None and found.alive()

    def _recalled(self, host: Host) -> state.Process | None:
        return state.recall(self.folder / f"{host.name}.json")

    def _wait(self, wanted: Sequence[Host]) -> None:
        end = time.monotonic() + ANSWER_SECONDS
        for host in wanted:
            while (host.address, host.port) not in addresses.listening():
                if not self._alive(host):
                    raise OpsnbError(f"host '{host.name}' ended while it came up: {self._last_words(host)}")
                if time.monotonic() > end:
                    raise OpsnbError(f"host '{host.name}' does not listen on {host.address}:{host.port}")
                time.sleep(POLL_SECONDS)

    def _wait_for_services(self, plan: Plan, started: Sequence[Host]) -> None:
        """Wait until what was started listens; a service that does not is told, and its host is up all the same."""
        wanted = {
            (host.address, each.port): (host, each) for host in started for each in plan.services(host) if each.port
        }
        end = time.monotonic() + SERVICE_SECONDS
        idle = {host.name: host for host, _ in wanted.values() if host.role == "app"}
        while (left := wanted.keys() - addresses.listening()) and time.monotonic() < end:
            for name in [name for name, host in idle.items() if self._wake(host)]:
                del idle[name]
            time.sleep(POLL_SECONDS)
        for host, service in (wanted[place] for place in sorted(left)):
            said = self._last_words(host)
            self.tell(f"{service.name} does not listen on {host.address}:{service.port} of {host.name}: {said}")

    def _wake(self, host: Host) -> bool:
        """Knock at a host's supervisord, which starts its programs at its first event, or after a second of none."""
        found = self._recalled(host)
        if found is None or not found.alive():
            return False
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as knock:
            knock.connect(str(Path(f"/proc/{found.pid}", "root", "run/supervisor.sock")))
            return True
        return False

    def _last_words(self, host: Host) -> str:
        with contextlib.suppress(OSError, IndexError):
            log = (self.folder / f"{host.name}.log").read_text(encoding="utf-8", errors="replace")
            return log.strip().splitlines()[-1]
        return "it left no word"

    def status(self, *, ask: bool = True) -> dict[str, Any]:
        """Say how the fleet is.

        Args:
            ask: Whether to see that each host's sshd answers.

        Returns:
            ``form`` (empty when there is none), ``why``, ``shared`` (what hosts share with the machine), ``sudo``,
            ``inventory``, ``missing`` (services that this machine has no program for) and ``hosts``: for each its
            name, address, port, user, environment, role, whether it is up, ``services`` (name, program, address,
            whether it listens) and the bytes of memory that its processes use.
        """
        plan = self.plan()
        if plan is None:
            return {"form": "", "why": "", "shared": [], "missing": [], "hosts": []}
        return {
            "form": plan.form,
            "why": plan.why,
            "shared": [*ALWAYS_SHARED, *(SHARED_WITHOUT_ROOT if plan.form == SHARED else ())],
            "user": plan.user,
            "sudo": plan.sudo,
            "key": str(self.folder / OBSERVE_KEY),
            "ssh_config": str(self.folder / CONFIG),
            "inventory": str(self.book.path),
            "missing": plan.missing,
            "hosts": self._status_of(plan, ask=ask),
        }

    def _status_of(self, plan: Plan, *, ask: bool) -> list[dict[str, Any]]:
        alive = {host.name: process for host in plan.hosts if (process := self._recalled(host)) and process.alive()}
        memory = used(process.pid for process in alive.values())
        listening = addresses.listening()
        return [
            {
                "name": host.name,
                "address": host.address,
                "port": host.port,
                "role": hosts.ROLES[host.role],
                "environment": host.environment,
                "up": host.name in alive and (not ask or addresses.answers(host.address, host.port, STATUS_SECONDS)),
                "services": [
                    {
                        "name": each.name,
                        "program": each.program,
                        "address": f"{host.address}:{each.port}" if each.port else "",
                        "up": host.name in alive and (not each.port or (host.address, each.port) in listening),
                    }
                    for each in plan.services(host)
                ],
                "memory": memory[alive[host.name].pid] if host.name in alive else 0,
            }
            for host in plan.hosts
        ]

    def down(self) -> int:
        """Take the fleet down: end what was started, remove what was written; return how many hosts ran."""
        with state.locked(self.folder):
            return self._remove()

    def _remove(self) -> int:
        plan = self.plan()
        found = [process for path in self.folder.glob("*.json") if (process := _recalled(path)) is not None]
        alive = [process for process in found if process.alive()]
        if plan is not None and plan.form == SHARED:
            shared.stop(found, plan.token, separation=plan.separation)
        for process in found:
            process.kill()
        self.book.remove()
        if self.folder.exists():
            shutil.rmtree(self.folder)
        return len(alive)


def _recalled(path: Path) -> state.Process | None:
    return state.recall(path) if path.name != state.PLAN else None
