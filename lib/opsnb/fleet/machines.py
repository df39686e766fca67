"""A machine as kits see it: run a program, read and write files, whichever transport leads there."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opsnb.base.errors import UsageError
from opsnb.fleet import files
from opsnb.fleet.files import READ_MOST, FileStat, Progress
from opsnb.fleet.shell import Shell
from opsnb.fleet.transport import OnOutput, Transport
from opsnb.fleet.values import DEFAULT_SECONDS, MAX_OUTPUT, Command, Result


class Machine:
    """One host of a run.

    Args:
        name: Its name in the inventory.
        transport: The way there.
        row: Its sealed row.
        changing: The way there with the credential for changes; the same way when it is not given.

    Attributes:
        name: Its name in the inventory.
        row: Its sealed row: ``address``, ``environment``, ``labels``, ``groups``, ``variables`` and so on.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        row: Mapping[str, Any] | None = None,
        changing: Transport | None = None,
    ) -> None:
        self.name, self.row = name, dict(row or {})
        self._transport = transport
        self._changing = Machine(name, changing, row) if changing else None

    @property
    def changing(self) -> Machine:
        """The same host, logged in with its credential for changes; this one where both are the same."""
        return self._changing or self

    def run(
        self,
        *argv: str,
        stdin: bytes = b"",
        seconds: float = DEFAULT_SECONDS,
        environment: Mapping[str, str] | None = None,
        sudo: bool = False,
        most: int = MAX_OUTPUT,
        on_output: OnOutput | None = None,
    ) -> Result:
        """Run one program under ``LC_ALL=C`` and wait for its end; see :class:`opsnb.fleet.values.Command`."""
        command = Command(argv=argv, stdin=stdin, seconds=seconds, environment=environment or {}, sudo=sudo, most=most)
        return self._transport.run(command, on_output)

    def read(self, path: str, *, most: int = READ_MOST, sudo: bool = False) -> bytes:
        """Return a file's contents.

        Args:
            path: Its absolute path.
            most: Bytes that it may have.
            sudo: Whether it is read as root.

        Raises:
            MissingFileError: If there is no such file.
            UnreachableError: If the host cannot be reached.
            UnknownOutcomeError: If the line was lost.
            OpsnbError: If it cannot be read, or is larger.
        """
        return files.read(self, path, min(most, MAX_OUTPUT - 1), sudo=sudo)

    def write(self, path: str, data: bytes, *, mode: int | None = None, owner: str = "", sudo: bool = False) -> str:
        """Write a file atomically; see :func:`opsnb.fleet.files.put`.

        Returns:
            Its SHA-256 digest, computed on the host too.

        Raises:
            UnreachableError: If the host cannot be reached; nothing was changed.
            UnknownOutcomeError: If the line was lost: the old file or the new one is there, never a part of one.
            OpsnbError: If it cannot be written, for example on a full disk; the old file is as it was.
        """
        return files.put(self, path, io.BytesIO(data), len(data), mode=mode, owner=owner, sudo=sudo)

    def send(
        self,
        local: Path | str,
        remote: str,
        *,
        mode: int | None = None,
        owner: str = "",
        sudo: bool = False,
        progress: Progress | None = None,
    ) -> str:
        """Copy a file of this machine there, of any size, as atomically as :meth:`write`; return its digest."""
        source = Path(local)
        with source.open("rb") as opened:
            size = source.stat().st_size
            return files.put(self, remote, opened, size, mode=mode, owner=owner, sudo=sudo, progress=progress)

    def fetch(self, remote: str, local: Path | str, *, sudo: bool = False, progress: Progress | None = None) -> str:
        """Copy a file from there to this machine, of any size; what is at ``local`` is replaced when all of it is here.

        A file that grows meanwhile, a log, is copied up to the size that it had.

        Returns:
            Its SHA-256 digest, computed on the host too.

        Raises:
            MissingFileError: If there is no such file.
            OpsnbError: If it cannot be read, or changed meanwhile.
        """
        return files.fetch(self, files.absolute(remote), Path(local), sudo=sudo, progress=progress)

    def stat(self, path: str, *, sudo: bool = False) -> FileStat | None:
        """Return what the host says about a name, a link itself; ``None`` where nothing has it."""
        return files.stat(self, path, sudo=sudo)

    def exists(self, path: str, *, sudo: bool = False) -> bool:
        """Whether something has this name; a link counts wherever it leads."""
        return files.stat(self, path, sudo=sudo) is not None

    def remove(self, path: str, *, sudo: bool = False) -> None:
        """Remove a file or a link; that it is not there is all right."""
        files.remove(self, path, sudo=sudo)

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
        """Give the connections up."""
        self._transport.close()
        if self._changing:
            self._changing.close()
