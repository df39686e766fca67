"""One connection to a directory (LDAP version 3, RFC 4511): TLS, bind, search; nothing else of the protocol.

What the other side sends is bounded: bytes of a message, number of messages, seconds for all of it. Its certificate
must be good for the name that it was asked by. Referrals are not followed: they would send a password elsewhere.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from opsnb.control.people import ldap_ber as ber
from opsnb.control.people.ldap_ber import ENUM, INTEGER, OCTETS, SEQUENCE, SET, number, tlv, truth

MOST_BYTES = 256 * 1024  # of one message
MOST_MESSAGES = 50  # that answer one question
BIND, BOUND, UNBIND = 0x60, 0x61, 0x42
SEARCH, ENTRY, DONE, ELSEWHERE = 0x63, 0x64, 0x65, 0x73
EXTENDED, EXTENDED_DONE = 0x77, 0x78
START_TLS = b"1.3.6.1.4.1.1466.20037"
SUCCESS, TOO_MANY = 0, 4
WRONG_CODES = frozenset({19, 32, 34, 48, 49, 50, 53})  # of a bind: this one is not let in with this password
VERSION = 3
SUBTREE, NEVER_ALIASES = 2, 0


class LineError(Exception):
    """The directory cannot be asked, or answers what is no answer. The text is for the log."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry as it was found; attributes by their names in small letters."""

    dn: bytes
    attributes: Mapping[str, tuple[bytes, ...]]


class Line:
    """A connection, with a last moment for all that is asked on it.

    Args:
        host: Name or address.
        port: TCP port.
        seconds: How long everything together may take.

    Raises:
        LineError: If nobody answers there.
    """

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self._host, self._until = host, time.monotonic() + seconds
        self._buffer, self._number = b"", 0
        try:
            self._socket = socket.create_connection((host, port), seconds)
        except OSError as error:
            raise LineError(f"{host}:{port}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye, and hang up."""
        with contextlib.suppress(OSError, LineError):
            self._send(tlv(UNBIND))
        with contextlib.suppress(OSError):
            self._socket.close()

    def secure(self, ca: str, *, start: bool) -> None:
        """Speak TLS from here on; with ``start`` ask for it first.

        Raises:
            LineError: If it is refused, or the certificate is not good for this host.
        """
        if start:
            self._ask(tlv(EXTENDED, tlv(0x80, START_TLS)))
            code = _code(self._answer(EXTENDED_DONE))
            if code != SUCCESS:
                raise LineError(f"StartTLS was refused with {code}")
            if self._buffer:
                raise LineError("something came in the clear after StartTLS")
        try:
            context = ssl.create_default_context(cafile=ca or None)
            self._socket.settimeout(self._left())
            self._socket = context.wrap_socket(self._socket, server_hostname=self._host)
        except OSError as error:
            raise LineError(f"TLS with {self._host}: {error}") from error

    def bind(self, dn: bytes, password: bytes) -> bool:
        """Return whether this DN is let in with this password.

        Raises:
            LineError: If it could not be found out.
            ValueError: Without a password: that would be a bind as nobody, which succeeds.
        """
        if not password or not dn:
            raise ValueError("a bind without a name or a password proves nothing")
        return self._bind(dn, password)

    def _bind(self, dn: bytes, password: bytes) -> bool:
        self._ask(tlv(BIND, number(VERSION), tlv(OCTETS, dn), tlv(0x80, password)))
        code = _code(self._answer(BOUND))
        if code != SUCCESS and code not in WRONG_CODES:
            raise LineError(f"a bind was answered with {code}")
        return code == SUCCESS

    def search(self, base: str, filter_: bytes, attributes: tuple[str, ...], most: int) -> list[Entry]:
        """Return the entries below ``base``; one more than ``most`` where there are more.

        Raises:
            LineError: If it could not be found out.
        """
        wanted = tlv(SEQUENCE, *(tlv(OCTETS, name.encode()) for name in attributes))
        seconds = max(1, int(self._left()))
        self._ask(tlv(
            SEARCH, tlv(OCTETS, base.encode()), number(SUBTREE, ENUM), number(NEVER_ALIASES, ENUM), number(most + 1),
            number(seconds), truth(value=False), filter_, wanted,
        ))  # fmt: skip
        found: list[Entry] = []
        for _ in range(MOST_MESSAGES):
            tag, body = self._message()
            if tag == ENTRY:
                found.append(_entry(body))
            elif tag == DONE:
                code = _code(body)
                if code == SUCCESS or (code == TOO_MANY and len(found) > most):
                    return found
                raise LineError(f"a search was answered with {code}")
            elif tag != ELSEWHERE:
                raise LineError(f"a search was answered with a message of tag {tag:#x}")
        raise LineError(f"a search was answered with more than {MOST_MESSAGES} messages")

    # -- messages --------------------------------------------------------------------------------------------------

    def _ask(self, operation: bytes) -> None:
        self._number += 1
        try:
            self._send(operation)
        except OSError as error:
            raise LineError(f"{self._host}: {error}") from error

    def _send(self, operation: bytes) -> None:
        self._socket.settimeout(self._left())
        self._socket.sendall(tlv(SEQUENCE, number(self._number), operation))

    def _answer(self, wanted: int) -> bytes:
        tag, body = self._message()
        if tag != wanted:
            raise LineError(f"an answer of tag {tag:#x} came, wanted {wanted:#x}")
        return body

    def _message(self) -> tuple[int, bytes]:
        try:
            parts = ber.values(self._contents())
            ident = ber.whole(ber.take(parts, INTEGER))
            tag, body = next(parts, (0, b""))
        except ber.BrokenError as error:
            raise LineError(f"{self._host} does not speak LDAP: {error}") from error
        if ident != self._number:
            raise LineError(f"{self._host} answered {ident}, which was not asked, with tag {tag:#x}")
        return tag, body

    def _contents(self) -> bytes:
        """Return the contents of the next message."""
        while True:
            found = ber.head(self._buffer)
            if self._buffer and self._buffer[0] != SEQUENCE:
                raise LineError(f"{self._host} does not speak LDAP")
            if found and found[1] > MOST_BYTES:
                raise LineError(f"{self._host} sends a message of {found[1]} bytes")
            if found and found[1] <= len(self._buffer):
                contents, self._buffer = self._buffer[found[0] : found[1]], self._buffer[found[1] :]
                return contents
            self._buffer += self._more()

    def _more(self) -> bytes:
        try:
            self._socket.settimeout(self._left())
            data = self._socket.recv(65536)
        except OSError as error:
            raise LineError(f"{self._host}: {error}") from error
        if not data:
            raise LineError(f"{self._host} hung up")
        return data

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise LineError(f"{self._host} took too long")
        return left


def _code(body: bytes) -> int:
    try:
        return ber.whole(ber.take(ber.values(body), ENUM))
    except ber.BrokenError as error:
        raise LineError(f"a result is broken: {error}") from error


def _entry(body: bytes) -> Entry:
    try:
        parts = ber.values(body)
        dn = ber.take(parts, OCTETS)
        rows = ber.values(ber.take(parts, SEQUENCE))
        return Entry(dn=dn, attributes=dict(_attributes(rows)))
    except (ber.BrokenError, UnicodeDecodeError) as error:
        raise LineError(f"an entry is broken: {error}") from error


def _attributes(rows: Iterator[tuple[int, bytes]]) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    for tag, row in rows:
        if tag != SEQUENCE:
            raise ber.BrokenError(f"an attribute of tag {tag:#x}")
        parts = ber.values(row)
        name = ber.take(parts, OCTETS).decode("ascii").lower()
        yield name, tuple(body for _, body in ber.values(ber.take(parts, SET)))
