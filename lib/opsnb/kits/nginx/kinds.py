r"""Words that may stand in an nginx configuration: each is of one type, and nothing else reaches a template.

A value is refused by name, with what was found and what was wanted, before anything is rendered. No type holds a quote,
brace, ``;``, ``$``, ``#``, ``\`` or control character, and none but a listen value a blank: no value can end a
directive or begin one.
"""

from __future__ import annotations

import ipaddress
import re

from opsnb.base.errors import UsageError

MAX_COUNT = 1_000_000
MIN_ZONE = 32 * 1024  # bytes: eight memory pages of 4 KiB, below which nginx refuses a zone
MAX_SOCKET_PATH = 107  # bytes that the kernel takes

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")
_SOCKET = re.compile(r"unix:(/[A-Za-z0-9_.-]+)+")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_SIZE = re.compile(r"([0-9]{1,9})([kKmM]?)")
_TIME = re.compile(r"[0-9]{1,6}(?:ms|[smhd])?")
_CIDR = re.compile(r"[0-9A-Fa-f.:]{2,45}(?:/[0-9]{1,3})?")
_MIME = re.compile(r"[a-z]{1,30}/[a-z0-9][a-z0-9.+-]{0,80}")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,200}")
_QUERY = re.compile(r"[A-Za-z0-9._~/&=-]{0,200}")


def upstream_name(text: str) -> str:
    """Return the name of an upstream: a letter, then letters, digits, ``_``, ``.``, ``-``."""
    return whole(_NAME, text, "the upstream's name", "shop, or shop-v2")


def zone_size(text: str) -> str:
    """Return the size of an upstream's zone; nginx refuses one below 32k."""
    size(text)
    if bytes_of(text) < MIN_ZONE:
        raise UsageError(f"the zone's size is {text!r}; nginx refuses a zone below 32k", hint="64k is enough for most")
    return text


def size(text: str) -> str:
    """Return a size: ``64k``, ``1m``, ``512``."""
    return whole(_SIZE, text, "the size", "64k")


def bytes_of(text: str) -> int:
    """Return a size in bytes."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise UsageError(f"the size is {text!r:.80}", hint="64k")
    return int(match[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[match[2].lower()]


def time(text: str) -> str:
    """Return a time: ``30s``, ``500ms``, ``5m``; a number alone counts seconds."""
    return whole(_TIME, text, "the time", "30s")


def count(number: int, what: str, *, least: int = 0, most: int = MAX_COUNT) -> int:
    """Return a whole number within bounds."""
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise UsageError(f"{what} is {number!r:.80}; it is a whole number from {least} to {most}")
    return number


def header_name(text: str) -> str:
    """Return the name of a header; nginx drops headers with ``_``, so it is refused."""
    return whole(_HEADER, text, "the header's name", "X-Forwarded-For")


def address(text: str) -> str:
    """Return ``HOST[:PORT]`` as a client of the tier or a server line names it; see :class:`Server`."""
    return _address(text) if not text.startswith("unix:") else _socket(text)


def cidr(text: str) -> str:
    """Return a network or address: ``10.0.0.0/8``, ``2001:db8::/32``, ``192.0.2.1``.

    Raises:
        UsageError: If it is none, has bits behind its mask, or is the whole internet.
    """
    wanted = f"the network is {text!r:.80}; wanted 10.0.0.0/8 or 2001:db8::/32"
    if not isinstance(text, str) or not _CIDR.fullmatch(text):
        raise UsageError(wanted)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise UsageError(wanted) from None
    if str(network.network_address) != str(ipaddress.ip_address(text.partition("/")[0])):
        raise UsageError(f"the network is {text!r}; it has bits behind its mask", hint=str(network))
    if network.prefixlen == 0:
        raise UsageError(
            f"the network {text!r} is everybody; it is refused because anyone could then claim any address"
        )
    return text


def server_name(text: str) -> str:
    """Return a name that a server block answers to: ``shop.example.com``, ``*.example.com``, ``_`` for any other."""
    plain = text[2:] if isinstance(text, str) and text.startswith("*.") else text
    if plain == "_":
        return text
    return text if whole(_HOST, plain, "the server's name", "shop.example.com, or _ for any name") else ""


def listen(text: str) -> str:
    """Return where a server block listens: ``8080``, ``10.0.0.1:80``, ``[::]:80``, and ``default_server`` behind it."""
    wanted = f"the listen value is {text!r:.80}; wanted [ADDRESS:]PORT [default_server] [reuseport]"
    given = text.split(" ") if isinstance(text, str) else [""]
    if not set(given[1:]) <= {"default_server", "reuseport"} or len(set(given)) != len(given):
        raise UsageError(wanted)
    try:
        if given[0].isascii() and given[0].isdigit():
            _port(given[0])
        elif given[0].startswith("*:"):
            _port(given[0][2:])
        else:
            _, colon, port = _address(given[0]).rpartition(":")
            _port(port if colon else "")
    except UsageError as error:
        raise UsageError(f"{wanted}: {error.message}") from None
    return text


def listen_address(text: str) -> str:
    """Return the IP address of a listen value, without brackets; empty when that is every address, or a name."""
    host = listen(text).split(" ")[0].rpartition(":")[0].strip("[]")
    try:
        return "" if ipaddress.ip_address(host).is_unspecified else host
    except ValueError:
        return ""


def mime_type(text: str) -> str:
    """Return a MIME type: ``application/json``."""
    return whole(_MIME, text, "the MIME type", "application/json")


def path(text: str, *, query: bool = False) -> str:
    """Return the path of a URL without anything that would have to be quoted; with ``?`` and a query when asked for."""
    head, mark, tail = text.partition("?") if isinstance(text, str) and query else (text, "", "")
    if mark and not _QUERY.fullmatch(tail):
        raise UsageError(f"the query is {tail!r:.80}; it has letters, digits and . _ ~ / & = -")
    return whole(_PATH, head, "the path", "/health") + mark + tail


def whole(pattern: re.Pattern[str], text: str, what: str, example: str) -> str:
    """Return a text that a pattern matches from its first to its last character."""
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise UsageError(f"{what} is {text!r:.80}; nothing else than what looks like {example} is taken", hint=example)
    return text


def _socket(text: str) -> str:
    if not _SOCKET.fullmatch(text) or ".." in text or len(text) - len("unix:") > MAX_SOCKET_PATH:
        raise UsageError(f"the socket is {text!r:.80}; wanted unix:/run/app.sock, at most {MAX_SOCKET_PATH} bytes")
    return text


def _address(text: str) -> str:
    """Return ``HOST`` or ``HOST:PORT`` with an IPv4 address, an IPv6 address in brackets or a name."""
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or "%" in inside:
            raise UsageError(f"the address {text!r:.80} is not [IPV6]:PORT")
        try:
            ipaddress.IPv6Address(inside)
        except ValueError:
            raise UsageError(f"{inside!r:.80} is not an IPv6 address") from None
        if rest:
            _port(rest[1:])
        return text
    host, colon, port = text.partition(":")
    if ":" in port:
        raise UsageError(f"the address {text!r:.80} has several colons; an IPv6 address stands in brackets")
    if colon:
        _port(port)
    if not _HOST.fullmatch(host):
        raise UsageError(f"{host!r:.80} is neither an address nor a host name")
    if host.rpartition(".")[2].isdigit() or re.fullmatch(r"0[xX][0-9A-Fa-f]*", host.rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise UsageError(f"{host!r:.80} is not an IPv4 address, and a name does not end in a number") from None
    return text


def _port(text: str) -> None:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > 65_535:  # noqa: PLR2004  (the last port there is)
        raise UsageError(f"the port is {text!r:.80}; it is a number from 1 to 65535")
