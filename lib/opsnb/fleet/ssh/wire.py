"""SSH as we speak it: which algorithms are offered, in which order, and what paramiko leaves out.

Beyond paramiko's own: ``curve25519-sha256`` under its registered name, ``exit-signal``, a handshake without a timer
thread, sinks that take a channel's data as it arrives, and for hosts marked ``legacy`` the SHA-1 algorithms of old
sshd.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Sequence
from hashlib import sha1
from typing import Any, Protocol

from cryptography.hazmat.primitives import hashes
from paramiko import Channel, Message, RSAKey, SSHException, Transport
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_SUCCESS,
    MSG_CHANNEL_WINDOW_ADJUST,
    cMSG_CHANNEL_REQUEST,
    cMSG_CHANNEL_WINDOW_ADJUST,
)
from paramiko.kex_curve25519 import KexCurve25519
from paramiko.kex_group14 import KexGroup14SHA256
from paramiko.packet import Packetizer

IDLE_CHECK = 5.0  # seconds between looks of an idle connection's thread at its own state
KEEP_ALIVE = 30  # seconds
STALLED = 15.0  # seconds for which a host may take nothing while something is sent to it
MAX_GREETING = 65536  # bytes that a host may send before it greets as an SSH server
KEX = (
    "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521", "diffie-hellman-group16-sha512", "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
)  # fmt: skip
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
LEGACY_KEX = ("diffie-hellman-group14-sha1",)
LEGACY_CIPHERS = ("aes128-cbc", "aes256-cbc", "3des-cbc")
LEGACY_MACS = ("hmac-sha1",)
SIGNATURES = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Type of a host key, and the signatures with which a host may prove it."""


_TRANSPORT: Any = Transport  # its inside, which its types do not show
_CHANNEL: Any = Channel


class Sink(Protocol):
    """Takes what arrives on one channel, in the connection's thread; must not block."""

    def data(self, stream: str, data: bytes) -> None:
        """Take a piece of ``stdout`` or ``stderr``."""

    def accepted(self) -> None:
        """The request was accepted."""

    def exited(self, code: int) -> None:
        """The program ended: its exit code, or 128 + number of the signal."""

    def changed(self) -> None:
        """There is room to send, or the channel is at its end."""


class Sha1RsaKey(RSAKey):
    """An RSA host key that may sign with SHA-1, as sshd before 7.2 does; for hosts marked ``legacy`` only."""

    HASHES = {**RSAKey.HASHES, "ssh-rsa": hashes.SHA1}  # type: ignore[misc]  # noqa: RUF012 - paramiko's own shape


class KexGroup14Sha1(KexGroup14SHA256):
    """``diffie-hellman-group14-sha1``, for hosts marked ``legacy`` only."""

    name = "diffie-hellman-group14-sha1"
    hash_algo = sha1


class Wire(Transport):
    """One connection's protocol.

    Args:
        sock: A connected socket, or a channel through a jump host.
        types: Types of host keys that are offered: those that are pinned, and no other.
        legacy: Whether the algorithms of old sshd are offered too.
        handshake: Seconds until the keys must be agreed on.
    """

    _active_check_timeout = IDLE_CHECK
    _kex_info = {  # noqa: RUF012 - paramiko's own shape
        **_TRANSPORT._kex_info,
        "curve25519-sha256": KexCurve25519,
        "diffie-hellman-group14-sha1": KexGroup14Sha1,
    }

    def __init__(self, sock: Any, *, types: Sequence[str], legacy: bool, handshake: float) -> None:
        super().__init__(sock, packetizer_class=_Packetizer)
        self.sinks: dict[int, Sink] = {}
        self._channel_handler_table = _HANDLERS
        self._preferred_kex = KEX + (LEGACY_KEX if legacy else ())
        self._preferred_ciphers = CIPHERS + (LEGACY_CIPHERS if legacy else ())
        self._preferred_macs = MACS + (LEGACY_MACS if legacy else ())
        self._preferred_keys = tuple(s for kind in types for s in SIGNATURES[kind])
        self._key_info = dict(_TRANSPORT._key_info)
        if legacy and "ssh-rsa" in types:
            self._preferred_keys += ("ssh-rsa",)
            self._key_info["ssh-rsa"] = Sha1RsaKey
        self.banner_timeout = self.handshake_timeout = self.auth_timeout = handshake

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Host key algorithms; no certificates of hosts, since keys are pinned one by one."""
        return self._preferred_keys

    def _log(self, level: int, msg: str, *args: Any) -> None:
        """Say nothing: what went wrong is raised, and a notebook is no place for a library's log."""

    def run(self) -> None:
        """Read until the connection ends; then tell those who wait on its channels."""
        super().run()
        for sink in list(self.sinks.values()):
            sink.changed()

    def end(self) -> None:
        """End at once: the reading thread wakes up and closes the socket, which nobody else may close under it."""
        self.active = False
        if isinstance(self.sock, Channel):
            self.sock.close()
            return
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # it is closed already
            return


class _Packetizer(Packetizer):
    """Watches the handshake's time and what a host says before it, without a thread for each connection."""

    _ends = 0.0
    _complete = False
    _said = 0

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self._sock = sock

    def write_all(self, out: Any) -> None:
        """Send everything; give the connection up when the host takes nothing for a while."""
        stalled = 0.0
        while out:
            before = time.monotonic()
            try:
                sent = self._sock.send(out)
            except TimeoutError:
                sent = 0
            except OSError:
                sent = -1
            stalled = 0.0 if sent > 0 else stalled + time.monotonic() - before
            if sent < 0 or stalled > STALLED or (not sent and self.closed):
                raise EOFError
            out = out[sent:]

    def _read_timeout(self, timeout: float) -> bytes:
        inherited: Any = super()
        data: bytes = inherited._read_timeout(timeout)
        self._said += len(data)
        if self._said > MAX_GREETING:
            raise SSHException(f": more than {MAX_GREETING} bytes before the greeting of SSH")
        return data

    def start_handshake(self, timeout: float) -> None:
        """Begin to count."""
        self._ends = time.monotonic() + timeout

    def handshake_timed_out(self) -> bool:
        """Whether the time is over."""
        return bool(self._ends) and not self._complete and time.monotonic() > self._ends

    def complete_handshake(self) -> None:
        """Stop counting."""
        self._complete = True


def _data(channel: Any, message: Message) -> None:
    sink = _sink(channel)
    if sink:
        sink.data("stdout", message.get_binary())
    else:
        channel._feed(message)


def _extended(channel: Any, message: Message) -> None:
    sink = _sink(channel)
    if sink:
        message.get_int()
        sink.data("stderr", message.get_binary())
    else:
        channel._feed_extended(message)


def _request(channel: Any, message: Message) -> None:
    sink = _sink(channel)
    if sink:
        kind = message.get_text()
        message.get_boolean()
        if kind == "exit-status":
            sink.exited(message.get_int())
        elif kind == "exit-signal":
            sink.exited(128 + signal_number(message.get_text()))
        message.rewind()
        message.get_int()
    channel._handle_request(message)


def _success(channel: Any, message: Message) -> None:
    sink = _sink(channel)
    channel._request_success(message)
    if sink:
        sink.accepted()


def _then_changed(name: str) -> Any:
    original = getattr(Channel, name)

    def handle(channel: Channel, message: Message) -> None:
        sink = _sink(channel)
        original(channel, message)
        if sink:
            sink.changed()

    return handle


def _sink(channel: Channel) -> Sink | None:
    wire = channel.transport
    return wire.sinks.get(channel.chanid) if isinstance(wire, Wire) else None


def signal_number(name: str) -> int:
    """Return the number of a signal that SSH names without ``SIG``; 1 for a name that is not known here."""
    return int(getattr(signal, f"SIG{name}", 1))


_HANDLERS = {
    **_TRANSPORT._channel_handler_table,
    MSG_CHANNEL_DATA: _data,
    MSG_CHANNEL_EXTENDED_DATA: _extended,
    MSG_CHANNEL_REQUEST: _request,
    MSG_CHANNEL_SUCCESS: _success,
    MSG_CHANNEL_FAILURE: _then_changed("_request_failed"),
    MSG_CHANNEL_WINDOW_ADJUST: _then_changed("_window_adjust"),
    MSG_CHANNEL_EOF: _then_changed("_handle_eof"),
    MSG_CHANNEL_CLOSE: _then_changed("_handle_close"),
}


def request(channel: Any, text: str) -> None:
    """Ask to run ``text``; the sink is told when that is accepted. Does not wait: what is sent next is in order."""
    message = Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("exec")
    message.add_boolean(True)  # noqa: FBT003 - "want reply", as RFC 4254 names it
    message.add_string(text)
    channel.transport._send_user_message(message)


def acknowledge(channel: Any, size: int) -> None:
    """Let the host send as many bytes more as were taken."""
    more = channel._check_add_window(size)
    if more:
        message = Message()
        message.add_byte(cMSG_CHANNEL_WINDOW_ADJUST)
        message.add_int(channel.remote_chanid)
        message.add_int(more)
        channel.transport._send_user_message(message)
