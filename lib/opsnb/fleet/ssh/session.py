"""One program on one channel of a connection: fed, drained, bounded, ended at its deadline."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from paramiko import Channel, SSHException

from opsnb.fleet.boot import Boot, Unveil
from opsnb.fleet.ssh.wire import Wire, acknowledge, request
from opsnb.fleet.transport import OnOutput

SEND = 32768  # bytes given to a channel at a time
LINGER = 3.0  # seconds of silence after the program's end for which its output is waited for: a child may hold it open
UNTAKEN = 512 * 1024  # bytes that may wait here before they are taken and acknowledged; a channel's window is 2 MiB
SILENT = 60  # seconds; how often a waiting command looks around although nothing arrived


@dataclass
class Ended:
    """What was seen of a program.

    Args:
        sent: Whether the request to start it went out.
        refused: Whether sshd refused the request.
        started: Whether its mark was seen.
        code: Its exit code, 128 + number for a signal; ``None`` when its end was not seen.
        over: Whether its time was over.
        asked: Whether ``sudo`` asked for the password again.
        process: Its process id on the host, when it is known.
        kept: What it wrote.
        cut: How many bytes were not kept.
        left_open: Whether it ended and its output did not: a child of it holds it.
        noise: What came before its mark.
    """

    sent: bool = False
    refused: bool = False
    started: bool = False
    code: int | None = None
    over: bool = False
    asked: bool = False
    process: str = ""
    kept: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    cut: int = 0
    left_open: bool = False
    noise: bytes = b""


class Session:
    """Runs one program; its methods without an underscore that a :class:`Sink` has are called by the connection.

    Args:
        wire: A connection that is logged in.
        boot: How the program is started.
        stdin: What it reads.
        end: When its time is over, on the monotonic clock.
        most: Bytes that are kept of each stream.
        on_output: Called with each piece of its output.
    """

    def __init__(self, wire: Wire, boot: Boot, stdin: bytes, end: float, most: int, on_output: OnOutput | None) -> None:
        self._wire, self._boot, self._end, self._on_output = wire, boot, end, on_output
        self._most = most
        self._left = memoryview(boot.head + stdin)
        self._changed = threading.Condition(threading.Lock())
        self._arrived: deque[tuple[str, bytes]] = deque()
        self._untaken = 0
        self._eager = on_output is not None or bool(boot.prompt)  # else output may wait for the end
        self._channel: Channel | None = None
        self._news = False
        self._accepted = False
        self._unveil = {"stdout": Unveil(boot.nonce), "stderr": Unveil(boot.nonce)}
        self._seen = Ended()

    def data(self, stream: str, data: bytes) -> None:
        """Take a piece."""
        with self._changed:
            self._arrived.append((stream, data))
            self._untaken += len(data)
            if self._eager or self._untaken > UNTAKEN:
                self._changed.notify()

    def accepted(self) -> None:
        """The request to start was accepted."""
        self._accepted = True

    def exited(self, code: int) -> None:
        """The program ended."""
        with self._changed:
            self._seen.code = code
            self._changed.notify()

    def changed(self) -> None:
        """Look again, if that is what is waited for: room for more input, or the end."""
        with self._changed:
            if self._left or self._at_end():
                self._news = True
                self._changed.notify()

    def run(self) -> Ended:
        """Start the program and wait for its end.

        Raises:
            SSHException: If no channel could be opened; nothing was started then.
        """
        channel = self._wire.open_channel("session", timeout=max(0.1, self._end - time.monotonic()))
        self._channel = channel
        self._wire.sinks[channel.chanid] = self
        try:
            self._converse(channel)
        finally:
            self._wire.sinks.pop(channel.chanid, None)
            channel.close()
        seen, out, errors = self._seen, self._unveil["stdout"], self._unveil["stderr"]
        seen.started = out.started or errors.started
        seen.process = errors.rest_of_mark
        seen.noise = errors.noise.strip() or out.noise.strip()
        seen.refused = (
            seen.sent and not self._accepted and not seen.started and self._wire.is_active() and not seen.over
        )
        return seen

    def _converse(self, channel: Channel) -> None:
        channel.settimeout(0.0)
        self._seen.sent = True
        try:
            request(channel, self._boot.line)
            self._feed(channel)
        except (OSError, SSHException, EOFError):
            return  # what of it left this machine is not known
        while True:
            pieces = self._wait(channel)
            for stream, data in pieces:
                self._take(channel, stream, data)
            if self._seen.over or self._seen.asked or (not pieces and self._at_end()):
                return
            self._feed(channel)

    def _wait(self, channel: Channel) -> list[tuple[str, bytes]]:
        """Return what arrived; wait for something to happen when there is nothing."""
        ended = self._seen.code is not None
        with self._changed:
            if not self._arrived and not self._news and not self._at_end():
                left = self._end - time.monotonic()
                told = left > 0 and self._changed.wait(min(left, LINGER if ended else SILENT))
                if not told and time.monotonic() >= self._end:
                    self._seen.over = True
                self._seen.left_open = not told and ended
            self._news = False
            pieces = list(self._arrived)
            self._arrived.clear()
            self._untaken = 0
        if self._seen.left_open and not pieces:
            channel.close()
        return pieces

    def _at_end(self) -> bool:
        return self._channel is not None and bool(self._channel.closed or not self._wire.is_active())

    def _take(self, channel: Channel, stream: str, data: bytes) -> None:
        if not channel.closed:
            acknowledge(channel, len(data))
        unveil, kept = self._unveil[stream], self._seen.kept[stream]
        ours = unveil.feed(data)
        if not unveil.started and self._boot.prompt and unveil.noise.count(self._boot.prompt) > 1:
            self._seen.asked = True
        if not ours:
            return
        room = max(0, self._most - len(kept))
        kept += ours[:room]
        self._seen.cut += max(0, len(ours) - room)
        if self._on_output:
            self._on_output(stream, ours)

    def _feed(self, channel: Channel) -> None:
        """Send as much of stdin as there is room for; then its end."""
        while self._left and not channel.closed and channel.send_ready():
            try:
                self._left = self._left[channel.send(bytes(self._left[:SEND])) :]
            except TimeoutError:
                return
            except OSError:
                self._left = self._left[len(self._left) :]
        if not self._left and not channel.closed and not channel.eof_sent:
            channel.shutdown_write()
