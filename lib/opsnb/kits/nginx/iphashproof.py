"""Proof of a prediction: which server nginx really gave to an address, from requests and from its access log.

Two ways, both read-only:

* The access log, when its format holds both ``$remote_addr`` and ``$upstream_addr``: every pair since the configuration
  was loaded is compared, whoever the client was.
* A few ``GET`` requests from the host itself, when the client's address can be given: in the header from which nginx
  restores it (``real_ip_header``) where it trusts the host (``set_real_ip_from``), or as a loopback source address.
  Which server answered is read from the lines that the requests left in the access log.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from posixpath import join

from opsnb.base.errors import UsageError
from opsnb.kits import remote
from opsnb.kits.nginx import kinds, probe
from opsnb.kits.nginx.grammar import Directive
from opsnb.kits.nginx.reading import Configuration
from opsnb.kits.nginx.scopes import chains, here, nearest
from opsnb.kits.nginx.scripts import RESOLVE, SEND, TAIL
from opsnb.kits.nginx.tokens import decode
from opsnb.kits.nginx.upstreams import Upstream

MAX_SENT = 1_000  # requests to one host
UNTRUSTED = "nginx takes no client's address from a header of this host, and they are no loopback addresses here"
LOG_BYTES = 8 * 1024 * 1024  # of the end of an access log
COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
TIMES: dict[str, Callable[[str], float]] = {
    "msec": float,
    "time_iso8601": lambda text: datetime.fromisoformat(text).timestamp(),
    "time_local": lambda text: datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp(),
}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, kw_only=True)
class Route:
    """One location that passes requests to the upstream, with what holds in it.

    Args:
        server: Its server.
        location: It, or the server where ``proxy_pass`` stands in no location.
        log: The access log; empty when there is none that can be read.
        format: The log's format.
        header: From which header the client's address is restored; empty when it is not.
        trusted: From whom such a header is believed.
    """

    server: Directive
    location: Directive
    log: str = ""
    format: str = ""
    header: str = ""
    trusted: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the log says who met whom."""
        return bool(self.log) and {"remote_addr", "upstream_addr"} <= set(variables(self.format))


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One line of an access log: a client, the first server that it met, and the time."""

    address: str
    endpoint: str
    at: float | None


@dataclass(kw_only=True)
class Proof:
    """What was seen on one host.

    Args:
        host: The host.
        sent: Addresses for which requests were sent.
        answered: The pairs that they left in the log.
        logged: The pairs of the log since the configuration was loaded.
        notes: What could not be proven, and why.
    """

    host: str
    sent: list[str] = field(default_factory=list)
    answered: list[Pair] = field(default_factory=list)
    logged: list[Pair] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def routes(found: Configuration, upstream: Upstream) -> list[Route]:
    """Return the locations that pass to an upstream."""
    target = re.compile(rf"https?://{re.escape(upstream.name)}(?:/.*)?", re.DOTALL)
    return [
        _route(found, chain) for server in found.servers() if server.context == "http"
        for chain in chains((*server.around, server.directive), server.directive)
        if target.fullmatch(chain[-1].value("proxy_pass"))
    ]  # fmt: skip


def resolve(host: str, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the addresses that a host finds for names now; nginx took those of its start."""
    if not names:
        return {}
    rows = [line.split(" ") for line in remote.look(host, RESOLVE, *map(kinds.address, names)).text.splitlines()]
    return {name: list(dict.fromkeys(row[1] for row in rows if row[0] == name)) for name in names}


def prove(found: Configuration, upstream: Upstream, addresses: Sequence[str], *, send: bool = True) -> Proof:
    """Return who met whom on a host.

    Args:
        found: The host's configuration.
        upstream: The upstream that is meant.
        addresses: Clients' addresses for which requests are sent where that is possible.
        send: Whether requests are sent at all.

    Raises:
        UnreachableError: If the host cannot be reached.
    """
    host = found.installation.host
    proof, ways = Proof(host=host), routes(found, upstream)
    useful = [way for way in ways if way.usable]
    if not useful:
        why = (
            "no location passes to it" if not ways else "no access log of it holds both $remote_addr and $upstream_addr"
        )
        proof.notes.append(f"{why}, so nothing shows who met whom")
        return proof
    for log, text in dict.fromkeys((way.log, way.format) for way in useful):
        said = decode(remote.look(host, TAIL, log, str(LOG_BYTES)).stdout)
        since = found.installation.loaded
        rows = list(pairs(said, text))
        proof.logged += [row for row in rows if row.at is None or since is None or row.at > since + 1]
    if send:
        _send(host, useful, addresses, proof)
    return proof


def pairs(text: str, format_: str) -> Iterator[Pair]:
    """Yield the pairs of an access log in a format; lines of another format are left out; pure."""
    pattern = compiled(format_)
    for line in text.splitlines():
        if (row := pattern.fullmatch(line)) and row["upstream_addr"] not in {"-", ""}:
            first = re.split(r", | : ", row["upstream_addr"])[0]
            yield Pair(address=row["remote_addr"], endpoint=first, at=_time(row.groupdict()))


def compiled(format_: str) -> re.Pattern[str]:
    """Return a pattern of a log format's lines; pure."""
    parts, at, seen = [], 0, set()
    for found in _VARIABLE.finditer(format_):
        name = found[1] or found[2]
        parts += [re.escape(format_[at : found.start()]), f"(?P<{name}>.*?)" if name not in seen else ".*?"]
        seen.add(name)
        at = found.end()
    return re.compile("".join(parts) + re.escape(format_[at:]))


def variables(format_: str) -> list[str]:
    """Return the variables of a log format; pure."""
    return [found[1] or found[2] for found in _VARIABLE.finditer(format_)]


def _route(found: Configuration, chain: tuple[Directive, ...]) -> Route:
    formats = {d.arguments[0]: "".join(a for a in d.arguments[1:] if not a.startswith("escape="))
               for d in chain[0].named("log_format") if d.arguments}  # fmt: skip
    header = nearest(chain, "real_ip_header")
    trusted = tuple(d.arguments[0] for d in nearest(chain, "set_real_ip_from") if d.arguments)
    log, text = "", ""
    for one in nearest(chain, "access_log"):
        path, name = (*one.arguments, "", "combined")[:2] if len(one.arguments) != 1 else (one.arguments[0], "combined")
        if path != "off" and not path.startswith("syslog:") and "$" not in path:
            log, text = join(found.installation.prefix, path), formats.get(name, COMBINED)
    server = next(d for d in chain if d.name == "server")
    return Route(
        server=server, location=chain[-1], log=log, format=text, trusted=trusted,
        header=(header[0].arguments[0] if header else "X-Real-IP") if trusted else "",
    )  # fmt: skip


def _send(host: str, ways: Sequence[Route], addresses: Sequence[str], proof: Proof) -> None:
    for way in ways:
        try:
            url, path, name = _target(way)
        except UsageError as error:
            proof.notes.append(f"{way.location.where}: no request is sent: {error.message}")
            continue
        given = [(address, line) for address in addresses[:MAX_SENT] if (line := _as_client(way, url, address))]
        if not given:
            continue
        if left := len(addresses) - len(given):
            proof.notes.append(f"no request is sent for {left} of {len(addresses)} addresses: {UNTRUSTED}")
        mark = f"{probe.AGENT}-{way.location.line}"
        parts = [probe.curl_config([(url, path, name)], body=False, agent=mark) + line for _, line in given]
        own = mark if "http_user_agent" in variables(way.format) else ""  # what our lines have in them
        argv = (way.log, str(LOG_BYTES), str(len(given)), own)
        said = remote.look(host, SEND, *argv, stdin="next\n".join(parts).encode(), seconds=120)
        asked = {str(ipaddress.ip_address(address)) for address, _ in given}
        proof.sent += [address for address, _ in given]
        proof.answered += [pair for pair in pairs(decode(said.stdout), way.format) if pair.address in asked]
        return
    proof.notes.append(f"no request is sent: {UNTRUSTED}")


def _target(way: Route) -> tuple[str, str, str]:
    """Return where a request to a location goes: URL, path, Host header."""
    listens = [d.arguments for d in way.server.named("listen") if d.arguments and "proxy_protocol" not in d.arguments]
    if not listens:
        raise UsageError("its server listens for the PROXY protocol only, or says no port")
    words = min(listens, key=lambda row: "ssl" in row)
    address = words[0]
    if address.startswith("unix:"):
        raise UsageError("its server listens on a socket")
    address = kinds.address(here(address))
    words_of = way.location.arguments
    path = "/"
    if way.location.name in {"if", "limit_except"}:
        raise UsageError(f"its proxy_pass stands in '{way.location.name}'")
    if way.location.name == "location":
        if words_of[0] in {"~", "~*"} or words_of[0].startswith("@"):
            raise UsageError("its location is chosen by a regular expression or a name")
        path = kinds.path(words_of[-1])
    names = [
        n for d in way.server.named("server_name") for n in d.arguments if re.fullmatch(r"[A-Za-z0-9.-]*[a-z0-9]", n)
    ]
    return f"{'https' if 'ssl' in words else 'http'}://{address}", path, names[0] if names else ""


def _as_client(way: Route, url: str, address: str) -> str:
    """Return the lines with which curl is a client of an address; nothing where it cannot be."""
    own = ipaddress.ip_address(_bare(url))
    source = ipaddress.ip_address("127.0.0.1") if own.is_loopback and own.version == 4 else own  # noqa: PLR2004
    client = ipaddress.ip_address(address)
    if way.header and way.header != "proxy_protocol" and any(_within(source, net) for net in way.trusted):
        return f'header = "{kinds.header_name(way.header)}: {client}"\n'
    if client.version == own.version and client.is_loopback and own.is_loopback:
        return f'interface = "{client}"\n'
    return ""


def _bare(url: str) -> str:
    """Return the address of a URL without its port; ``0.0.0.1`` for a name."""
    text = re.sub(r":[0-9]+$", "", url.split("://", 1)[1]).strip("[]")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return "0.0.0.1"


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _time(row: dict[str, str]) -> float | None:
    for name, taken in TIMES.items():
        with suppress(ValueError):
            if name in row:
                return taken(row[name])
    return None
