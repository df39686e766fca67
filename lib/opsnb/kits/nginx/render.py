"""An upstream and the server block in front of it as text: typed values in, a small readable configuration out. Pure.

Rules:

* Every value is typed (:mod:`opsnb.kits.nginx.values`, :mod:`opsnb.kits.nginx.kinds`) when a :class:`Tier` or a
  :class:`Site` is made; nothing else reaches the text.
* An upstream that is there already is replaced where it stands: only the span of its block changes. What it holds
  besides servers and strategy, and comments of what stays, are kept; what is not understood is refused with file and
  line.
* A POST is not sent to a second back end once the first one may have had it: ``non_idempotent`` is never written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opsnb.base.errors import UsageError
from opsnb.kits.nginx import kinds, values
from opsnb.kits.nginx.grammar import Directive
from opsnb.kits.nginx.values import Server

HEAD = "# Written by opsnb, NGX-010. A later plan of it replaces this file and shows what changes.\n"
GZIP_TYPES = ("text/plain", "text/css", "text/xml", "application/json", "application/javascript", "image/svg+xml")
METHODS = ("least_conn", "ip_hash", "hash", "random")  # lines that say how a server is chosen
KEPT = ("zone", "keepalive", "keepalive_requests", "keepalive_time", "keepalive_timeout")  # lines that may stay
STATUS_FROM = ("127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class Tier:
    """An upstream.

    Args:
        name: Its name.
        servers: Its servers.
        strategy: One of ``values.STRATEGIES``; ``weighted`` is nginx's round robin with weights.
        zone: Size of the memory in which workers share what they know; empty for none, ``None`` for what is there.
        keepalive: Idle connections that each worker keeps; 0 for none, ``None`` for what is there.
    """

    name: str
    servers: tuple[Server, ...]
    strategy: str = "round_robin"
    zone: str | None = None
    keepalive: int | None = None

    def __post_init__(self) -> None:
        kinds.upstream_name(self.name)
        if self.strategy not in values.STRATEGIES:
            raise UsageError(f"the strategy is {self.strategy!r:.80}", hint=", ".join(values.STRATEGIES))
        values.check_tier(self.strategy, self.servers)
        if self.zone:
            kinds.zone_size(self.zone)
        if self.keepalive is not None:
            kinds.count(self.keepalive, "keepalive", most=10_000)

    @property
    def method(self) -> str:
        """The line that names the strategy; none for nginx's own, round robin."""
        return f"{self.strategy};" if self.strategy in METHODS else ""


@dataclass(frozen=True, kw_only=True)
class Site:
    """The server block in front of an upstream.

    Args:
        listen: Where it listens.
        names: The names that it answers to.
        real_ip_from: Proxies before it that are believed about the client's address; none for no proxy.
        real_ip_header: The header in which they say it.
        gzip: Whether answers are compressed.
        gzip_types: MIME types besides ``text/html``.
        connect_timeout: How long a back end may take to accept a connection.
        read_timeout: How long it may be silent.
        status_path: Path of nginx's own figures, for the host itself; empty for none.
    """

    listen: str
    names: tuple[str, ...] = ("_",)
    real_ip_from: tuple[str, ...] = ()
    real_ip_header: str = "X-Forwarded-For"
    gzip: bool = False
    gzip_types: tuple[str, ...] = GZIP_TYPES
    connect_timeout: str = "2s"
    read_timeout: str = "60s"
    status_path: str = ""

    def __post_init__(self) -> None:
        kinds.listen(self.listen)
        for name in self.names:
            kinds.server_name(name)
        for network in self.real_ip_from:
            kinds.cidr(network)
        kinds.header_name(self.real_ip_header)
        for one in self.gzip_types:
            kinds.mime_type(one)
        kinds.time(self.connect_timeout)
        kinds.time(self.read_timeout)
        if self.status_path:
            kinds.path(self.status_path)
        for what, given in (("names", self.names), ("networks", self.real_ip_from), ("MIME types", self.gzip_types)):
            if len(set(given)) != len(given):
                raise UsageError(f"the {what} {', '.join(given):.200} hold one twice")


def new_file(tier: Tier | None, site: Site | None, upstream: str) -> str:
    """Return the text of a file of our own: an upstream, a server block in front of it, or both."""
    parts = [upstream_block(tier)] if tier else []
    parts += [server_block(site, upstream)] if site else []
    return HEAD + "\n" + "\n".join(parts)


def upstream_block(tier: Tier) -> str:
    """Return the text of a new upstream."""
    lines = [
        *([f"zone {tier.name} {tier.zone};"] if tier.zone else []),
        *([tier.method] if tier.method else []),
        *(f"server {one};" for one in tier.servers),
        *([f"keepalive {tier.keepalive};"] if tier.keepalive else []),
    ]
    return f"upstream {tier.name} {{\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def server_block(site: Site, upstream: str) -> str:
    """Return the text of the server block in front of an upstream."""
    status = _status(site) if site.status_path else ""
    names = " ".join(site.names)
    return f"""\
server {{
    listen {site.listen};
    server_name {names};
{_real_ip(site)}{_gzip(site)}
    location / {{
        proxy_pass http://{upstream};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_connect_timeout {site.connect_timeout};
        proxy_read_timeout {site.read_timeout};

        # Another back end is tried when one does not answer; a POST that one may have had is not sent twice.
        proxy_next_upstream error timeout http_502 http_503 http_504;
        proxy_next_upstream_tries 3;
        proxy_next_upstream_timeout 10s;
    }}
{status}}}
"""


def replaced_upstream(text: str, block: Directive, tier: Tier) -> str:
    """Return a file's text with one upstream replaced where it stands; every other character stays.

    Args:
        text: The file's text.
        block: The upstream in it, with the directives as the file has them (includes not followed).
        tier: What it is to be.

    Raises:
        UsageError: If the block holds something that is not understood; names file and line.
    """
    assert block.block is not None
    assert block.inside is not None
    for one in block.block:
        if one.name not in {"server", *METHODS, *KEPT}:
            raise UsageError(
                f"{one.where}: '{one.name}' in the upstream '{tier.name}' is not known to go with another strategy"
                " or other servers", hint="change this upstream by hand, or take the line out first",
            )  # fmt: skip
    before, after = _comments(text, block)
    rows: list[str] = []
    for one in _kept(block.block, tier, first=True):
        rows += [*before.get(one.start, []), text[one.start : one.end] + after.get(one.start, "")]
    if tier.zone:
        rows.append(f"zone {tier.name} {tier.zone};")
    rows += [tier.method] if tier.method else []
    there = {values_of(one): one for one in block.block if one.name == "server"}
    for server in tier.servers:
        old = there.get(server.endpoint)
        start = old.start if old else -1
        same = old is not None and _same(old, server)
        line = text[old.start : old.end] if old and same else f"server {server};"
        rows += [*before.get(start, []), line + after.get(start, "")]
    for one in _kept(block.block, tier, first=False):
        rows += [*before.get(one.start, []), text[one.start : one.end] + after.get(one.start, "")]
    if tier.keepalive:
        rows.append(f"keepalive {tier.keepalive};")
    rows += before.get(block.inside[1], [])
    return text[: block.inside[0]] + after.get(block.start, "") + _laid_out(text, block, rows) + text[block.inside[1] :]


def values_of(one: Directive) -> str:
    """Return the endpoint of a server line as it stands in a file."""
    return Server(address=one.arguments[0] if one.arguments else "").endpoint


def _same(one: Directive, server: Server) -> bool:
    """Return whether a line of a file says what a server says, however it is written."""
    try:
        return values.server(" ".join(one.arguments)) == server
    except UsageError:
        return False


def _kept(block: Iterable[Directive], tier: Tier, *, first: bool) -> list[Directive]:
    """Return the lines that stay as they are: a zone before the servers, what is about keepalive behind them."""
    gone = {*(["zone"] if tier.zone is not None else []), *(["keepalive"] if tier.keepalive is not None else [])}
    if tier.keepalive == 0:
        gone |= set(KEPT) - {"zone"}
    return [one for one in block if one.name in KEPT and one.name not in gone and (one.name == "zone") is first]


def _comments(text: str, block: Directive) -> tuple[dict[int, list[str]], dict[int, str]]:
    """Return the comments before each directive of a block and behind it on its line, by the offset of the directive.

    That behind the opening brace stands under the offset of the block, those before the closing one under its own.
    """
    assert block.block is not None
    assert block.inside is not None
    before: dict[int, list[str]] = {}
    after: dict[int, str] = {}
    at, last = block.inside[0], block.start
    for start, end in [*((one.start, one.end) for one in block.block), (block.inside[1], -1)]:
        beside, newline, below = text[at:start].partition("\n")
        if "#" in beside:
            after[last] = beside.rstrip()
        else:
            below = beside + newline + below
        before[start] = [line.strip() for line in below.split("\n") if line.strip()]
        at, last = end, start
    return before, after


def _laid_out(text: str, block: Directive, rows: Sequence[str]) -> str:
    """Return the lines between the braces, indented and ended as the file does it."""
    newline = "\r\n" if "\r\n" in text else "\n"
    outer = text[text.rfind("\n", 0, block.start) + 1 : block.start]
    outer = outer if not outer.strip() else ""
    inner = outer + "    "
    if block.block and (match := re.search(r"\n([ \t]+)$", text[: block.block[0].start])):
        inner = match[1]
    return newline + "".join(f"{inner}{row}{newline}" for row in rows) + outer


def _real_ip(site: Site) -> str:
    if not site.real_ip_from:
        return ""
    lines = "".join(f"    set_real_ip_from {network};\n" for network in site.real_ip_from)
    return f"""
    # The client's address is what these proxies say, and nobody else.
{lines}    real_ip_header {site.real_ip_header};
    real_ip_recursive on;
"""


def _gzip(site: Site) -> str:
    if not site.gzip:
        return ""
    types = " ".join(one for one in site.gzip_types if one != "text/html")  # nginx has it anyway, and warns
    return """
    gzip on;
    gzip_vary on;
    gzip_proxied any;
    gzip_min_length 1024;
""" + (f"    gzip_types {types};\n" if types else "")  # fmt: skip


def _status(site: Site) -> str:
    own = kinds.listen_address(site.listen)
    allowed = "".join(f"        allow {one};\n" for one in dict.fromkeys([*STATUS_FROM, *([own] if own else [])]))
    return f"""
    location = {site.status_path} {{
        stub_status;
        access_log off;
{allowed}        deny all;
    }}
"""
