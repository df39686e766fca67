"""What a configuration says about upstreams and servers, each with file and line. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from opsnb.kits.nginx.grammar import Directive

CONTEXTS = ("http", "stream", "mail")
METHODS = (
    "ip_hash",
    "least_conn",
    "hash",
    "random",
    "least_time",
    "fair",
    "sticky",
    "consistent_hash",
    "session_sticky",
)
DEFAULT_FAIL_TIMEOUT = "10s"
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What a directive says, and where.

    Args:
        directive: Where it stands.
    """

    directive: Directive

    @property
    def file(self) -> str:
        """The file."""
        return self.directive.file

    @property
    def line(self) -> int:
        """The line, from 1."""
        return self.directive.line

    @property
    def where(self) -> str:
        """File and line."""
        return self.directive.where


@dataclass(frozen=True, kw_only=True)
class UpstreamServer(Placed):
    """One ``server`` of an upstream.

    Args:
        address: As it is written: ``10.0.0.1:8080``, ``[::1]:80``, ``app.example``, ``unix:/run/app.sock``.
        weight: Its share; 1 when it is not given.
        max_fails: Failures within ``fail_timeout`` that take it out; 1 when it is not given.
        fail_timeout: As it is written; ``10s`` when it is not given.
        backup: Whether it serves only when no other can.
        down: Whether it is marked as down.
        other: Words that are none of these, as they are written: ``max_conns=100``, ``resolve``, ``weight=abc``.
        directive: Where it stands.
    """

    address: str
    weight: int = 1
    max_fails: int = 1
    fail_timeout: str = DEFAULT_FAIL_TIMEOUT
    backup: bool = False
    down: bool = False
    other: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Upstream(Placed):
    """One upstream.

    Args:
        name: Its name.
        context: ``http`` or ``stream``.
        method: How a server is chosen: ``round_robin``, ``ip_hash``, ``least_conn``, ``hash``, ``random``, ...
        servers: In the order of the text, which is nginx's.
        zone: The shared memory's name; empty when each worker counts for itself.
        keepalive: Idle connections that are kept by each worker; ``None`` when it is not given.
        directive: Where it stands.
    """

    name: str
    context: str
    method: str
    servers: tuple[UpstreamServer, ...]
    zone: str
    keepalive: int | None


@dataclass(frozen=True, kw_only=True)
class VirtualServer(Placed):
    """One ``server`` that listens.

    Args:
        context: ``http``, ``stream`` or ``mail``.
        listens: The words of each ``listen``; ``("80",)`` in ``http`` when there is none, as nginx does for root.
        names: What ``server_name`` says, in its order.
        directive: Where it stands, its block with includes replaced.
        around: The blocks that it stands in, the outermost first.
    """

    context: str
    listens: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    around: tuple[Directive, ...] = ()


def upstreams_of(main: tuple[Directive, ...]) -> tuple[Upstream, ...]:
    """Return every upstream of a configuration."""
    return tuple(_upstream(d, outer.name) for outer in contexts(main) for d in outer.named("upstream"))


def servers_of(main: tuple[Directive, ...]) -> tuple[VirtualServer, ...]:
    """Return every server of a configuration."""
    return tuple(_server(d, outer) for outer in contexts(main) for d in outer.named("server") if d.block is not None)


def contexts(main: tuple[Directive, ...]) -> Iterator[Directive]:
    """Yield the blocks ``http``, ``stream`` and ``mail``."""
    yield from (d for d in main if d.name in CONTEXTS and d.block is not None)


def upstream_server(one: Directive) -> UpstreamServer:
    """Return what one ``server`` of an upstream says; what is none of its known words is kept as it is."""
    numbers, other = {"weight": 1, "max_fails": 1}, []
    timeout, words = DEFAULT_FAIL_TIMEOUT, one.arguments[1:]
    for word in words:
        name, _, value = word.partition("=")
        if name in numbers and _NUMBER.fullmatch(value):
            numbers[name] = int(value)
        elif name == "fail_timeout" and value:
            timeout = value
        elif word not in {"backup", "down"}:
            other.append(word)
    return UpstreamServer(
        address=one.arguments[0] if one.arguments else "", weight=numbers["weight"], max_fails=numbers["max_fails"],
        fail_timeout=timeout, backup="backup" in words, down="down" in words, other=tuple(other), directive=one,
    )  # fmt: skip


def _upstream(one: Directive, context: str) -> Upstream:
    methods = ["round_robin", *(d.name for d in one.named(*METHODS))]
    keepalive = one.value("keepalive")
    return Upstream(
        name=one.arguments[0] if one.arguments else "", context=context, method=methods[-1],
        servers=tuple(upstream_server(d) for d in one.named("server")), zone=one.value("zone"),
        keepalive=int(keepalive) if _NUMBER.fullmatch(keepalive) else None, directive=one,
    )  # fmt: skip


def _server(one: Directive, outer: Directive) -> VirtualServer:
    listens = tuple(d.arguments for d in one.named("listen"))
    names = tuple(name for d in one.named("server_name") for name in d.arguments)
    if not listens and outer.name == "http":
        listens = (("80",),)
    return VirtualServer(context=outer.name, listens=listens, names=names, directive=one, around=(outer,))
