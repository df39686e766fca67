"""A host behind SSH as a transport: one connection, opened on first use and kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from paramiko import SSHException

from opsnb.base.errors import OpsnbError, UnreachableError
from opsnb.fleet.boot import KILL, boot
from opsnb.fleet.ssh.connection import Connections, user_of
from opsnb.fleet.ssh.session import Ended, Session
from opsnb.fleet.ssh.terminal import OPEN_SECONDS as TERMINAL_SECONDS
from opsnb.fleet.ssh.terminal import SshShell
from opsnb.fleet.ssh.wire import Wire
from opsnb.fleet.transport import OnOutput
from opsnb.fleet.values import LEFT_OPEN, Command, Result, Status, decoded

END_SECONDS = 5.0  # for ending a program whose time is over


class SshTransport:
    """Runs programs on a host through sshd.

    Args:
        row: The host's sealed row.
        connections: The connections of the run.
        purpose: Which credential it logs in with: ``observe`` or ``change``.
    """

    def __init__(self, row: Mapping[str, Any], connections: Connections, purpose: str = "observe") -> None:
        self.host = str(row["name"])
        self._row, self._connections, self._purpose = row, connections, purpose
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._password: str | None = None

    def run(self, command: Command, on_output: OnOutput | None = None) -> Result:
        """Run one command and wait for its end; never raises for what happens to the host."""
        asked = time.monotonic()
        try:
            sudo, password = self._sudo(command)
            seen = self._run(command, on_output, sudo=sudo, password=password)
        except OpsnbError as error:
            text = error.message.removeprefix(f"{self.host}: ")
            return self._answer(asked, Status.UNREACHABLE, f"{text}; {error.hint}" if error.hint else text)
        return self._judged(command, seen, asked)

    def terminal(self, term: str, columns: int, rows: int) -> SshShell:
        """Open a login shell on a terminal of the host.

        Raises:
            UnreachableError: If the host cannot be reached, or opens none.
        """
        wire, _ = self._connected(TERMINAL_SECONDS, fresh=False)
        return SshShell(self.host, wire, term, columns, rows)

    def close(self) -> None:
        """Give the connection up."""
        with self._lock:
            wire, self._wire = self._wire, None
        if wire:
            self._connections.close(wire)

    def _sudo(self, command: Command) -> tuple[bool, str | None]:
        """Return whether sudo is needed, and its password."""
        if not command.sudo or user_of(self._row) == "root":
            return False, None
        how = self._row.get("sudo", "none")
        if how == "none":
            raise UnreachableError(
                f"user '{user_of(self._row)}' may not use sudo here, so nothing was started",
                hint="inventory: sudo: passwordless, or sudo: {secret: NAME}",
            )
        if how == "passwordless":
            return True, None
        if self._password is None:
            self._password = str(self._connections.credential(self.host, "sudo")["password"])
        return True, self._password

    def _run(self, command: Command, on_output: OnOutput | None, *, sudo: bool, password: str | None) -> Ended:
        """Start it on the kept connection, or on a new one when that is gone; it is started once at most."""
        start = boot(command, sudo=sudo, password=password)
        for fresh in (False, True):
            wire, turn = self._connected(command.seconds, fresh=fresh)
            session = Session(wire, start, command.stdin, turn + command.seconds, command.most, on_output)
            try:
                seen = session.run()
            except (SSHException, EOFError, OSError) as error:  # no channel: nothing was started
                if wire.is_active() or fresh:
                    raise UnreachableError(f"sshd opens no channel: {error}", hint="MaxSessions?") from None
                continue
            if seen.over and seen.process:
                self._end(wire, seen.process, sudo=sudo, password=password)
            return seen
        raise UnreachableError("the connection was lost and could not be opened again")

    def _connected(self, seconds: float, *, fresh: bool) -> tuple[Wire, float]:
        with self._lock:
            if fresh and self._wire:
                self._connections.close(self._wire)
                self._wire = None
            if self._wire and self._wire.is_active():
                return self._wire, time.monotonic()
            self._wire, turn = self._connections.open(self._row, self._purpose, seconds)
            return self._wire, turn

    def _end(self, wire: Wire, process: str, *, sudo: bool, password: str | None) -> None:
        """End a program, and what belongs to its process group; what cannot be ended stays: the answer says unknown."""
        kill = Command(argv=("/bin/sh", "-c", KILL, "opsnb", process), seconds=END_SECONDS)
        try:
            Session(wire, boot(kill, sudo=sudo, password=password), b"", time.monotonic() + END_SECONDS, 0, None).run()
        except (SSHException, EOFError, OSError):
            return

    def _judged(self, command: Command, seen: Ended, asked: float) -> Result:
        noise = decoded(seen.noise).strip()
        cut = f"{seen.cut} bytes of output were cut" if seen.cut else LEFT_OPEN if seen.left_open else ""
        if seen.asked:
            why = "sudo does not accept the password; opsnb secret set, with the name in the host's 'sudo'"
            return self._answer(asked, Status.UNREACHABLE, why)
        if seen.refused:
            return self._answer(asked, Status.UNREACHABLE, "sshd refuses to run programs for this user")
        if seen.code is not None and not seen.started:
            why = f"what runs at login ended with {seen.code} before the program was started"
            return self._answer(asked, Status.UNREACHABLE, f"{why}: {noise}" if noise else why)
        if seen.code is not None:
            status = Status.OK if seen.code == 0 else Status.FAILED
            return self._answer(asked, status, cut, seen)
        if seen.over:
            what = "and was ended" if seen.process else "before it was seen to start; it may have been started"
            return self._answer(asked, Status.UNKNOWN, f"it took longer than {command.seconds:g} s {what}", seen)
        what = "while it ran" if seen.started else "when it was being started"
        return self._answer(asked, Status.UNKNOWN, f"the connection was lost {what}; look on the host", seen)

    def _answer(self, asked: float, status: Status, error: str, seen: Ended | None = None) -> Result:
        kept = seen.kept if seen else {"stdout": bytearray(), "stderr": bytearray()}
        return Result(
            host=self.host, status=status, exit=seen.code if seen else None, stdout=bytes(kept["stdout"]),
            stderr=bytes(kept["stderr"]), seconds=time.monotonic() - asked, error=error,
        )  # fmt: skip
