"""A terminal session on a host, carried between a person and a shell, and recorded on the way.

Rules:

* What the host says is recorded and then shown; what the person types is not recorded. A password that a program reads
  without echo is in neither.
* Nobody is polled: the control plane wakes us when something was typed, the shell's descriptor when it said something.
* A host that says more than the person takes is not read until there is room, so that Ctrl-C overtakes any flood.
* The session ends when the shell ends, when the person goes or closes it, when the run is stopped, when the recording
  is full. What was recorded until then is kept.
"""

from __future__ import annotations

import base64
import select
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from opsnb.base.errors import LinkError

if TYPE_CHECKING:
    from opsnb.fleet.recording import Recording
    from opsnb.fleet.shell import Shell

MAX_PIECE = 32 * 1024  # bytes of output that are handed on at once
MAX_TYPED = 64 * 1024  # bytes of input that wait for the host
ATTACH_SECONDS = 30.0  # how long the person may take to look
QUIET_SECONDS = 5.0  # the longest wait; everything that matters wakes us earlier
RETRY_SECONDS = 0.02  # between two tries to type what the host does not take

ENDED = "the shell ended"
NOT_OPENED = "not in this mode: a terminal is opened and recorded through opsnb ssh HOST"
ORDERLY = frozenset({ENDED, "closed by the person"})


class Line(Protocol):
    """What a session wants of the run link."""

    def ask(self, op: str, **fields: Any) -> Any:
        """Send one message and return its answer's value."""

    def woken(self) -> bool:
        """Return whether there is something for us."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when there may be."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a session ended.

    Args:
        why: In words.
        exit: The shell's exit code, ``None`` when nobody knows it.
        seconds: How long it was.
        shown: Bytes that the host said.
        typed: Bytes that were typed: how many, not which.
    """

    why: str
    exit: int | None
    seconds: float
    shown: int
    typed: int

    @property
    def orderly(self) -> bool:
        """Whether a person ended it, and nothing broke."""
        return self.why in ORDERLY


class Session:
    """Carries one session; :meth:`carry` returns when it has ended."""

    def __init__(self, line: Line, shell: Shell, recording: Recording) -> None:
        self._line, self._shell, self._recording = line, shell, recording
        self._room = 0
        self._input = bytearray()
        self._why = ""
        self._attached = self._starved = False
        self._shown = self._typed = 0
        self._started = time.monotonic()

    def carry(self) -> Ended:
        """Carry bytes until the end; the recording is closed and the shell has ended then, whatever happens."""
        code: int | None = None
        try:
            self._serve()
        except LinkError as error:
            self._why = error.message
        except KeyboardInterrupt:
            self._why = "the run was stopped"
            raise
        finally:
            code = self._shell.close()
            self._recording.close(self._why, code)
        return Ended(
            why=self._why, exit=code, seconds=round(time.monotonic() - self._started, 3), shown=self._shown,
            typed=self._typed,
        )  # fmt: skip

    def _serve(self) -> None:
        output = b""
        while not self._why:
            self._exchange(output)
            output = self._next()
        if output:  # the last words, as far as they are taken
            self._exchange(output[: max(0, self._room)])

    def _next(self) -> bytes:
        """Wait until there is something to exchange; return what the shell said, recorded already."""
        while not self._why and not self._line.woken() and not self._hungry:
            if not self._attached and time.monotonic() - self._started > ATTACH_SECONDS:
                self._why = f"nobody looked within {ATTACH_SECONDS:g} s"
                break
            output = self._wait()
            if output:
                self._why = self._recording.say(output)
                return output
            if output == b"":
                self._why = self._shell.lost or ENDED
        return b""

    def _wait(self) -> bytes | None:
        """Wait for the shell or for a wake; return what the shell said."""
        watched = [self._line.fileno(), *([self._shell.fileno()] if self._room > 0 else [])]
        ready, _, _ = select.select(watched, [], [], RETRY_SECONDS if self._input else QUIET_SECONDS)
        if self._input:
            self._write()
        return self._shell.read(min(self._room, MAX_PIECE)) if self._shell.fileno() in ready else None

    def _exchange(self, output: bytes) -> None:
        self._shown += len(output)
        take = MAX_TYPED - len(self._input)
        answer = self._line.ask("terminal", output=base64.b64encode(output).decode(), take=take)
        self._starved = take <= 0
        typed = base64.b64decode(answer["input"])
        self._typed += len(typed)
        self._room, self._attached = int(answer["room"]), bool(answer["attached"]) or self._attached
        if answer["size"]:
            self._shell.resize(*answer["size"])
            self._recording.resized(*answer["size"])
        self._input += typed
        self._write()
        self._why = self._why or str(answer["end"])

    @property
    def _hungry(self) -> bool:
        """Whether there is room for input again after there was none."""
        return self._starved and len(self._input) < MAX_TYPED

    def _write(self) -> None:
        taken = self._shell.write(bytes(self._input)) if self._input else 0
        del self._input[:taken]
