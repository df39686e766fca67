"""A machine as kits see it: run a program, read and write files, whichever transport leads there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsnb.base.errors import UsageError
from opsnb.fleet.shell import Shell
from opsnb.fleet.transport import OnOutput, Transport
from opsnb.fleet.values import DEFAULT_SECONDS, Command, Result


class Machine:
    """One host of a run.

    Attributes:
        name: Its name in the inventory.
        row: Its sealed row: ``address``, ``environment``, ``labels``, ``groups``, ``variables`` and so on.
    """

    def __init__(self, name: str, transport: Transport, row: Mapping[str, Any] | None = None) -> None:
        self.name, self.row = name, dict(row or {})
        self._transport = transport

    @property
    def changing(self) -> Machine:
        """The same host, logged in with its credential for changes; this one where both are the same."""
        return self

    def run(
        self,
        *argv: str,
        stdin: bytes = b"",
        seconds: float = DEFAULT_SECONDS,
        environment: Mapping[str, str] | None = None,
        sudo: bool = False,
        on_output: OnOutput | None = None,
    ) -> Result:
        """Run one program under ``LC_ALL=C`` and wait for its end; see :class:`opsnb.fleet.values.Command`."""
        command = Command(argv=argv, stdin=stdin, seconds=seconds, environment=environment or {}, sudo=sudo)
        return self._transport.run(command, on_output)

    def terminal(self, term: str, columns: int, rows: int) -> Shell:
        """Open a login shell on a terminal of this host.

        Raises:
            UsageError: If this transport has no terminals.
            UnreachableError: If the host cannot be reached.
        """
        opened = getattr(self._transport, "terminal", None)
        if opened is None:
            raise UsageError(f"host '{self.name}': its transport has no terminals", hint="opsnb exec runs a command")
        shell: Shell = opened(term, columns, rows)
        return shell

    def close(self) -> None:
        """Give the connection up."""
        self._transport.close()
