"""A login shell on a terminal of a host behind SSH."""

from __future__ import annotations

from paramiko import Channel, SSHException

from opsnb.base.errors import UnreachableError
from opsnb.fleet.ssh.wire import Wire

OPEN_SECONDS = 30.0  # for opening a terminal on a connection
END_SECONDS = 2.0  # how long the shell's exit code is waited for after its output has ended
WINDOW_BYTES = 128 * 1024  # that sshd may send ahead: what a flood says after Ctrl-C is still to be shown
LOST = "the connection to the host was lost"


class SshShell:
    """A shell that sshd started on a terminal. See :class:`opsnb.fleet.shell.Shell`.

    Raises:
        UnreachableError: If sshd opens no terminal.
    """

    def __init__(self, host: str, wire: Wire, term: str, columns: int, rows: int) -> None:
        self._wire = wire
        try:
            self._channel: Channel = wire.open_channel("session", window_size=WINDOW_BYTES, timeout=OPEN_SECONDS)
            self._channel.get_pty(term, columns, rows)
            self._channel.invoke_shell()
        except (SSHException, EOFError, OSError) as error:
            raise UnreachableError(
                f"{host}: sshd opens no terminal: {error}", hint="PermitTTY? ForceCommand?"
            ) from None
        self._channel.setblocking(0)
        self._descriptor = self._channel.fileno()

    @property
    def lost(self) -> str:
        """Why nothing more comes although the shell was not seen to end; empty when it was."""
        return "" if self._wire.is_active() else LOST

    def fileno(self) -> int:
        """Return a descriptor that is readable when something has arrived."""
        return self._descriptor

    def read(self, most: int) -> bytes | None:
        """Return what has arrived."""
        try:
            return self._channel.recv(most)
        except TimeoutError:
            return None

    def write(self, data: bytes) -> int:
        """Type."""
        try:
            return self._channel.send(data)
        except TimeoutError:
            return 0
        except OSError:  # it is closed: reading says so
            return len(data)

    def resize(self, columns: int, rows: int) -> None:
        """Tell sshd the new size."""
        try:
            self._channel.resize_pty(columns, rows)
        except (SSHException, OSError):
            return

    def close(self) -> int | None:
        """Close the channel: sshd hangs the terminal up."""
        ended = self._channel.eof_received and self._channel.status_event.wait(END_SECONDS)
        code = self._channel.recv_exit_status() if ended else -1
        self._channel.close()
        return code if code >= 0 else None
