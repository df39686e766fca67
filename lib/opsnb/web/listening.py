"""Where the API listens on TCP: loopback in plain HTTP, anywhere else in TLS alone; and how long a head may take."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from opsnb.base.errors import UnavailableError, UsageError
from opsnb.web.peers import STATE, Peer

PLACE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")
HEAD_SECONDS = 15.0  # how long the head of a connection's first request may take
MOST_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class Listening:
    """An address to listen at, with what TLS needs.

    Args:
        host: An IP address, or ``localhost``.
        port: TCP port; 0 for any that is free.
        certificate: File of the certificate chain, PEM; empty for plain HTTP.
        key: File of its key.
        names: Names by which this machine is reached.
    """

    host: str
    port: int
    certificate: str = ""
    key: str = ""
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, place: str, certificate: str, key: str, names: tuple[str, ...]) -> Listening:
        """Return what ``--listen`` and its options say.

        Raises:
            UsageError: If it is no address, TLS is missing where it is needed, or its files are no certificate and key.
        """
        match = PLACE.fullmatch(place)
        if not match or int(match["port"]) > MOST_PORT:
            raise UsageError(f"--listen {place[:100]}: wanted HOST:PORT, like 127.0.0.1:8080 or [::1]:8080")
        host = match["host"].strip("[]")
        if host != "localhost" and not _is_address(host):
            raise UsageError(f"--listen {place}: '{host}' is no IP address", hint="the name goes into --name")
        if bool(certificate) != bool(key):
            raise UsageError("--tls-cert and --tls-key go together")
        if not certificate and not (host == "localhost" or ipaddress.ip_address(host).is_loopback):
            raise UsageError(
                f"--listen {place}: passwords and tokens would cross the network in the clear",
                hint="give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that speaks TLS",
            )
        if certificate:
            _check_tls(certificate, key)
        return cls(host=host, port=int(match["port"]), certificate=certificate, key=key, names=names)

    @property
    def place(self) -> str:
        """Address and port, as ``--listen`` takes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Where it is reached."""
        name = self.names[0] if self.names else f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{name}:{self.port}"

    def bind(self) -> socket.socket:
        """Return the listening socket.

        Raises:
            UnavailableError: If somebody else has the port, or the address is not this machine's.
        """
        host = "127.0.0.1" if self.host == "localhost" else self.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, self.port))
        except OSError as error:
            listener.close()
            raise UnavailableError(f"--listen {self.host}:{self.port}: {error.strerror}") from error
        listener.listen(128)
        return listener


class Protocol(H11Protocol):
    """uvicorn's HTTP, with an end to waiting for a head, and with who is at the other end in a request's state.

    It would wait forever for a connection's first head.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._peer = Peer(transport)
        self.app_state = {**self.app_state, STATE: self._peer}
        self._waiting = self.loop.call_later(HEAD_SECONDS, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._waiting.cancel()
        self._peer.close()
        super().connection_lost(exc)

    def _late(self) -> None:
        cycle: Any = self.cycle
        if cycle is None:
            self.transport.close()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_tls(certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"--tls-cert {certificate}, --tls-key {key}: {error}") from error
