"""How a host is reached: directly or through jump hosts, within bounds, with retries only where nothing was begun."""

from __future__ import annotations

import os
import pwd
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from paramiko import Channel, SSHException
from paramiko.ssh_exception import ChannelException, IncompatiblePeer

from opsnb.base.errors import OpsnbError, UnreachableError
from opsnb.fleet.ssh.keys import Pins, shown_by
from opsnb.fleet.ssh.login import log_in
from opsnb.fleet.ssh.wire import KEEP_ALIVE, Wire

OPENINGS = 16  # connections that are being opened at a time
OPENINGS_THROUGH = 8  # of them through one jump host: sshd drops more than 10 that are not logged in (MaxStartups)
OPEN_SECONDS = 30.0  # for reaching a host and logging in
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 3.0  # seconds between attempts at a host that drops new connections
ATTEMPTS = 6  # at a host that drops new connections
FAILED_FOR = 10.0  # seconds for which a jump host that could not be reached is not tried again by those behind it
DEAD_AFTER = 30_000  # milliseconds without an answer after which the kernel gives a connection up

Credential = Callable[[str, str], dict[str, Any]]
Rows = Sequence[Mapping[str, Any]]


class Connections:
    """The connections of one run: jump hosts are shared, openings bounded. Safe to use from several threads.

    Args:
        credential: Answers the credential for a host and a purpose.
    """

    def __init__(self, credential: Credential) -> None:
        self.credential = credential
        self._openings = threading.BoundedSemaphore(OPENINGS)
        self._lock = threading.Lock()
        self._jumps: dict[tuple[str, ...], _Jump] = {}
        self._wires: set[Wire] = set()

    def open(self, row: Mapping[str, Any], purpose: str, seconds: float) -> tuple[Wire, float]:
        """Reach a host, check its key, log in.

        Args:
            row: Its sealed row.
            purpose: ``observe`` or ``change``.
            seconds: For all of it, from when it is the host's turn.

        Returns:
            The connection, and when it was the host's turn, on the monotonic clock.

        Raises:
            UnreachableError: If that fails; nothing was started.
        """
        pins = Pins(str(row["name"]), row.get("keys", ()))
        with ExitStack() as turns:
            jump = self._jump(tuple(row.get("via", ())))
            spent, sock = 0.0, None
            if jump:
                turns.enter_context(jump.turns)
            else:  # hosts that answer nothing take their time here, and no turn from those that do
                began = time.monotonic()
                sock = _connected(row, began + min(seconds, OPEN_SECONDS))
                spent = time.monotonic() - began
            turns.enter_context(self._openings)
            turn = time.monotonic() - spent
            wire = self._opened(row, pins, purpose, turn + min(seconds, OPEN_SECONDS), jump, sock)
            return wire, turn

    def close(self, wire: Wire) -> None:
        """Give one connection up."""
        wire.end()

    def close_all(self) -> None:
        """Give every connection up and wait until their threads have ended."""
        with self._lock:
            wires, self._wires = list(self._wires), set()
            self._jumps.clear()
        for wire in wires:
            wire.end()
        for wire in wires:
            wire.join(1.0)

    def through(self, via: Rows, address: str, port: int, seconds: float) -> Channel:
        """Return a socket to an address through jump hosts, which are connected once and kept."""
        jump = self._jump(tuple(via))
        assert jump
        return jump.tunnel(address, port, time.monotonic() + seconds)

    def _jump(self, via: Rows) -> _Jump | None:
        if not via:
            return None
        names = tuple(str(row["name"]) for row in via)
        with self._lock:
            if names not in self._jumps:
                self._jumps[names] = _Jump(self, via)
            return self._jumps[names]

    def _opened(
        self,
        row: Mapping[str, Any],
        pins: Pins,
        purpose: str,
        end: float,
        jump: _Jump | None,
        first: socket.socket | None = None,
    ) -> Wire:
        pause = FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            sock = first or _way(row, end, jump)
            first = None
            wire = Wire(
                sock, types=pins.types, legacy=bool(row.get("legacy")), handshake=max(0.1, end - time.monotonic())
            )
            try:
                _agree(wire, row, pins, end, direct=jump is None)
                break
            except _DroppedError as dropped:  # sshd is busy: nothing was begun, so it may be tried again
                wire.end()
                wait = pause * (0.5 + random.random())  # noqa: S311 - to spread attempts, no secret
                if attempt == ATTEMPTS or time.monotonic() + wait > end:
                    raise dropped.error from None
                time.sleep(wait)
                pause = min(2 * pause, LONGEST_PAUSE)
            except BaseException:
                wire.end()
                raise
        return self._logged_in(wire, row, purpose, end)

    def _logged_in(self, wire: Wire, row: Mapping[str, Any], purpose: str, end: float) -> Wire:
        host, user = str(row["name"]), user_of(row)
        try:
            credential = self.credential(host, purpose)
            wire.auth_timeout = max(0.1, end - time.monotonic())
            with _plainly(host, f"the login of user '{user}'"):
                log_in(wire, host, user, credential)
            wire.set_keepalive(KEEP_ALIVE)
        except BaseException:
            wire.end()
            raise
        with self._lock:
            self._wires = {known for known in self._wires if known.is_alive()} | {wire}
        return wire


def user_of(row: Mapping[str, Any]) -> str:
    """Return who logs in: the row's user, else, as with ``ssh``, who we are here."""
    return str(row.get("user") or pwd.getpwuid(os.geteuid()).pw_name)


class _Jump:
    """A jump host's connection, which many hosts share."""

    def __init__(self, connections: Connections, via: Rows) -> None:
        self.turns = threading.BoundedSemaphore(OPENINGS_THROUGH)
        self._connections, self._row, self._before = connections, via[-1], via[:-1]
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._failed: tuple[float, UnreachableError] | None = None

    def tunnel(self, address: str, port: int, end: float) -> Channel:
        """Return a channel to an address; the jump host is connected when it is not."""
        name = str(self._row["name"])
        wire = self._connected(end)
        try:
            channel = wire.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=_left(end))
        except ChannelException as error:
            hint = f"from {name}: can it reach {address} port {port}, and does its sshd allow forwarding?"
            raise UnreachableError(
                f"jump host {name} cannot reach {address} port {port}: {error.text}", hint=hint
            ) from None
        except (SSHException, EOFError, OSError) as error:
            raise UnreachableError(f"jump host {name}: no way to {address} port {port}: {error}") from None
        return channel

    def _connected(self, end: float) -> Wire:
        with self._lock:
            if self._failed and time.monotonic() < self._failed[0]:
                raise self._failed[1]
            if self._wire is None or not self._wire.is_active():
                pins = Pins(str(self._row["name"]), self._row.get("keys", ()))
                before = self._connections._jump(self._before)  # noqa: SLF001 - the two belong together
                opened = self._connections._opened  # noqa: SLF001 - the same
                try:
                    self._wire = opened(self._row, pins, "observe", end, before)
                except UnreachableError as error:
                    self._failed = (time.monotonic() + FAILED_FOR, error)
                    raise
            return self._wire


class _DroppedError(Exception):
    """The host closed the connection before it greeted: too many at once."""

    def __init__(self, error: UnreachableError) -> None:
        super().__init__()
        self.error = error


def _way(row: Mapping[str, Any], end: float, jump: _Jump | None) -> Any:
    if jump:
        return jump.tunnel(str(row["address"]), int(row.get("port", 22)), end)
    return _connected(row, end)


def _closed_on_us(cause: BaseException | None) -> bool:
    return isinstance(cause, SSHException) and (str(cause).endswith("banner") or "reset" in str(cause))


def _left(end: float) -> float:
    return max(0.1, end - time.monotonic())


def _connected(row: Mapping[str, Any], end: float) -> socket.socket:
    host, address, port = str(row["name"]), str(row["address"]), int(row.get("port", 22))
    where = f"{host} ({address} port {port})"
    try:
        sock = socket.create_connection((address, port), _left(end))
    except socket.gaierror as error:
        raise UnreachableError(f"{where}: the name is not found: {error.strerror}", hint="check 'address'") from None
    except ConnectionRefusedError:
        raise UnreachableError(f"{where}: nothing listens there", hint="does sshd run? is 'port' right?") from None
    except TimeoutError:
        raise UnreachableError(
            f"{where}: no answer in time", hint="is the host up, and a firewall in between?"
        ) from None
    except OSError as error:
        raise UnreachableError(f"{where}: {error.strerror or error}") from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE // 2)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER)
    return sock


def _agree(wire: Wire, row: Mapping[str, Any], pins: Pins, end: float, *, direct: bool) -> None:
    """Agree on keys and check the host's; nothing of ours was said before that."""
    host = pins.host
    try:
        with _plainly(host, "the handshake"):
            wire.start_client(timeout=_left(end))
            key = wire.get_remote_server_key()
    except UnreachableError as error:
        if not wire.remote_version and time.monotonic() < end and _closed_on_us(error.__cause__):
            busy = UnreachableError(
                f"{host}: sshd closes new connections before it greets, {ATTEMPTS} times",
                hint="is it busy (MaxStartups), or is another service on this port?",
            )
            raise _DroppedError(busy) from None
        if isinstance(error.__cause__, IncompatiblePeer) and "host key" in str(error.__cause__):
            raise pins.changed(shown_by(row, _left(end)) if direct else []) from None
        raise
    pins.check(key.get_name(), key.asbytes())


@contextmanager
def _plainly(host: str, what: str) -> Iterator[None]:
    """Turn what paramiko raises into our own error, in words."""
    try:
        yield
    except OpsnbError:
        raise
    except IncompatiblePeer as error:
        missing = str(error).partition("(")[2].rstrip(")")
        raise UnreachableError(
            f"{host}: its sshd and we share {missing or 'no algorithm'}",
            hint="an old sshd? 'legacy: true' in the host's row offers SHA-1 algorithms to this host only",
        ) from error
    except (SSHException, EOFError, OSError) as error:
        said = str(error).removeprefix("Error reading SSH protocol banner").removeprefix(": ").strip()
        raise UnreachableError(f"{host}: {what} failed: {said or 'the host closed the connection'}") from error
