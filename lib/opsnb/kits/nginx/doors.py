"""Where requests come in that an upstream answers: the server blocks and locations that pass to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opsnb.base.errors import UsageError
from opsnb.kits.nginx import kinds
from opsnb.kits.nginx.grammar import Directive
from opsnb.kits.nginx.reading import Configuration
from opsnb.kits.nginx.upstreams import VirtualServer

ANY = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}  # noqa: S104  (read, not bound)
NOT_ASKED = frozenset({"udp", "quic", "proxy_protocol"})  # words of a listen that curl cannot simply ask


@dataclass(frozen=True, kw_only=True)
class Door:
    """One way in.

    Args:
        url: ``http://ADDRESS:PORT``, as the host itself reaches it.
        path: A path that the location takes.
        name: The name to ask for; empty when any will do.
        scheme: How the back ends are spoken to: ``http`` or ``https``.
        where: File and line of the ``proxy_pass``.
        chain: The blocks that it stands in, outermost first: ``http``, ``server``, ``location`` ...
    """

    url: str
    path: str
    name: str
    scheme: str
    where: str
    chain: tuple[Directive, ...] = ()


def doors(seen: Configuration, upstream: str) -> list[Door]:
    """Return the ways in to an upstream, those without TLS first."""
    found = []
    for server in seen.servers():
        url = url_of(server)
        if server.context != "http" or not url:
            continue
        for one, chain in _passes(server.directive, (*server.around, server.directive)):
            scheme, _, target = one.arguments[0].partition("://") if one.arguments else ("", "", "")
            if scheme in {"http", "https"} and target.partition("/")[0] == upstream:
                found.append(
                    Door(url=url, path=_path(chain), name=_name(server), scheme=scheme, where=one.where, chain=chain)
                )
    return sorted(found, key=lambda door: door.url.startswith("https"))


def url_of(server: VirtualServer) -> str:
    """Return how the host itself reaches a server block; empty when it cannot simply be asked."""
    urls = [url for words in server.listens if words and (url := url_of_listen(words))]
    return min(urls, key=lambda url: url.startswith("https"), default="")


def url_of_listen(words: Sequence[str]) -> str:
    """Return how the host itself reaches what a ``listen`` says; empty when it cannot simply be asked."""
    if NOT_ASKED & set(words) or words[0].startswith("unix:"):
        return ""
    host, colon, port = words[0].rpartition(":")
    if words[0].endswith("]") or not colon:  # an address alone, or a port alone
        host, port = ("", words[0]) if words[0].isdigit() else (words[0], "80")
    scheme = "https" if "ssl" in words else "http"
    try:
        return f"{scheme}://{kinds.address(f'{ANY.get(host, host)}:{port}')}"
    except UsageError:
        return ""


def _passes(block: Directive, chain: tuple[Directive, ...]) -> Iterator[tuple[Directive, tuple[Directive, ...]]]:
    for one in block.block or ():
        if one.name == "proxy_pass":
            yield one, chain
        elif one.block:
            yield from _passes(one, (*chain, one))


def _name(server: VirtualServer) -> str:
    for name in server.names:
        if name == "_":  # by custom nobody's name: the server takes any
            continue
        try:
            return kinds.address(name.removeprefix("."))
        except UsageError:
            continue
    return ""


def _path(chain: tuple[Directive, ...]) -> str:
    for one in reversed(chain):
        if one.name == "location" and one.arguments and not one.arguments[0].startswith("~"):
            try:
                return kinds.path(one.arguments[-1])
            except UsageError:
                return "/"
    return "/"
