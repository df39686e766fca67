"""Which server a client address meets under ``ip_hash``. Pure.

The rule, from nginx's ``ngx_http_upstream_ip_hash_module.c`` (the same from 1.2 to 1.27):

* Of an IPv4 address the first three octets count, so that a /24 always meets the same server; of an IPv6 address all
  16. An IPv4 client on an IPv6 socket (``::ffff:192.0.2.1``) is an IPv6 address, unless realip restored it.
* ``hash = 89``, then for each octet ``hash = (hash * 113 + octet) % 6271``; ``w = hash % total weight``; the servers
  are walked in the order of the configuration, their weights taken off, until ``w`` is below the next one's weight.
* Servers that are ``down`` keep their weight in the total. Who meets one is hashed on from where the hash stands, up to
  20 times; after that, and in an upstream with one server, round robin decides.
* A name that resolves to several addresses counts as that many servers of its weight, IPv4 first.

A server that failed ``max_fails`` times is left out like one that is ``down`` until ``fail_timeout`` is over: the
prediction is that of an upstream whose servers answer.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opsnb.base.errors import UsageError
from opsnb.kits.nginx import values
from opsnb.kits.nginx.tokens import shown
from opsnb.kits.nginx.upstreams import Upstream

START, FACTOR, MODULUS, TRIES = 89, 113, 6271, 20
MAX_ADDRESSES = 100_000
UNPREDICTABLE = "not predictable, round robin"
NOBODY = "no server is up"
_PORT = re.compile(r"(?:\]|^[^:\[\]]+):[0-9]+$")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One address that nginx chooses from.

    Args:
        address: As the configuration writes it; where a name has several addresses, one of them with its port.
        endpoint: The address with its port, as ``$upstream_addr`` shows it.
        weight: Its share.
        down: Whether it is marked as down.
        where: File and line; empty for a server that was given as a parameter.
    """

    address: str
    endpoint: str
    weight: int = 1
    down: bool = False
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What one client address meets.

    Args:
        address: The client's.
        server: Address of the server, :data:`UNPREDICTABLE` or :data:`NOBODY`.
        peer: The server; ``None`` when it is one of the other two.
        tries: How often the hash was taken.
    """

    address: str
    server: str
    peer: Peer | None
    tries: int


def client(address: str) -> bytes:
    """Return the octets of a client's address that count.

    Raises:
        UsageError: If it is none: a name, a network, an address with a port or a zone.
    """
    try:
        found = ipaddress.ip_address(address if "%" not in address else "")
    except ValueError:
        hint = "203.0.113.7, or 2001:db8::7; any address stands for its /24"
        raise UsageError(
            f"the client address is {shown(address, 80)}; it is one IPv4 or IPv6 address", hint=hint
        ) from None
    return found.packed[:3] if found.version == 4 else found.packed  # noqa: PLR2004  (IPv4)


def predict(address: str, peers: Sequence[Peer]) -> Prediction:
    """Return what a client address meets in an upstream whose servers answer.

    Raises:
        UsageError: If the address is none, or there is no server.
    """
    octets, total = client(address), sum(peer.weight for peer in peers)
    if total < 1:
        raise UsageError("no server is given; nginx refuses an upstream without one")
    up = [peer for peer in peers if not peer.down]
    if not up:
        return Prediction(address=address, server=NOBODY, peer=None, tries=0)
    value, tries = START, 0
    while len(peers) > 1 and tries <= TRIES:
        for octet in octets:
            value = (value * FACTOR + octet) % MODULUS
        tries += 1
        peer = _at(peers, value % total)
        if not peer.down:
            return Prediction(address=address, server=peer.address, peer=peer, tries=tries)
    if len(up) == 1:  # round robin has no choice either
        return Prediction(address=address, server=up[0].address, peer=up[0], tries=tries)
    return Prediction(address=address, server=UNPREDICTABLE, peer=None, tries=tries)


def predict_all(addresses: Iterable[str], peers: Sequence[Peer]) -> list[Prediction]:
    """Return a prediction for each address, in their order; one that is given twice stands once.

    Raises:
        UsageError: If there are none or too many, one is none, or there is no server.
    """
    given = list(dict.fromkeys(addresses))
    if not given or len(given) > MAX_ADDRESSES:
        raise UsageError(
            f"{len(given)} client addresses are given; from 1 to {MAX_ADDRESSES:,} are taken", hint="203.0.113.7"
        )
    return [predict(address, peers) for address in given]


def peers_of_lines(lines: Sequence[str]) -> list[Peer]:
    """Return the servers of server lines, such as ``10.0.0.1:8080 weight=2``.

    Raises:
        UsageError: If a line is none, ``backup`` is there, or a server is a name, whose addresses only a host knows.
    """
    found = values.servers(lines)
    values.check_tier("ip_hash", found)
    for one in found:
        if named(one.endpoint):
            hint = "its addresses, in the order in which the host resolves them; or hosts and the upstream's name"
            raise UsageError(
                f"the server {one.address!r} is a name, and each of its addresses counts as a server", hint=hint
            )
    return [Peer(address=one.address, endpoint=one.endpoint, weight=one.weight, down=one.down) for one in found]


def peers_of_upstream(upstream: Upstream, resolved: Mapping[str, Sequence[str]] | None = None) -> list[Peer]:
    """Return the servers of an upstream as its configuration has them.

    Args:
        upstream: It.
        resolved: Addresses of each name in it, IPv4 first.

    Raises:
        UsageError: If it is balanced otherwise, has a ``backup``, or a name without addresses.
    """
    if upstream.method != "ip_hash" or upstream.context != "http":
        raise UsageError(
            f"{upstream.where}: the upstream '{upstream.name}' is balanced by {upstream.method}, not by ip_hash"
        )
    peers: list[Peer] = []
    for one in upstream.servers:
        if one.backup:
            why = "ip_hash gives each client a server of its own, and none is in reserve"
            raise UsageError(f"{one.where}: nginx refuses 'backup' (at {one.address}) together with ip_hash: {why}")
        end = endpoint(one.address)
        name, port = end.rpartition(":")[::2]
        ends = (
            [f"[{a}]:{port}" if ":" in a else f"{a}:{port}" for a in (resolved or {}).get(name, ())]
            if named(end)
            else [end]
        )
        if not ends:
            raise UsageError(
                f"{one.where}: the host has no address for '{name}', and each of its addresses counts as a server"
            )
        peers += [Peer(address=one.address if len(ends) == 1 else e, endpoint=e, weight=one.weight, down=one.down,
                       where=one.where) for e in ends]  # fmt: skip
    return peers


def endpoint(address: str) -> str:
    """Return a server's address with its port; 80 when it has none."""
    return address if address.startswith("unix:") or _PORT.search(address) else f"{address}:80"


def named(end: str) -> bool:
    """Return whether an address with a port is a name's, which resolves to any number of addresses."""
    if end.startswith(("unix:", "[")):
        return False
    try:
        ipaddress.IPv4Address(end.rpartition(":")[0])
    except ValueError:
        return True
    return False


def _at(peers: Sequence[Peer], w: int) -> Peer:
    for peer in peers:
        if w < peer.weight:
            return peer
        w -= peer.weight
    raise AssertionError("w is below the total weight")
