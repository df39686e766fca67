r"""Server lines of an upstream, and what goes together in one.

Rules:

* What nginx refuses is refused here first, with nginx's reason in words ("nginx refuses ..."). A few things that nginx
  takes are refused too, because nobody means them ("it is refused because ..."): every server down, one address twice,
  a parameter twice, an address that only looks like one.
* Checked against nginx 1.22; ``resolve`` came with nginx 1.27.3, ``slow_start`` is sold with NGINX Plus.

Source: https://nginx.org/en/docs/http/ngx_http_upstream_module.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opsnb.base.errors import UsageError
from opsnb.kits.nginx import kinds

STRATEGIES = ("round_robin", "weighted", "least_conn", "ip_hash")
WITHOUT_BACKUP = frozenset({"ip_hash", "hash", "random"})  # strategies with which nginx refuses "backup"
MAX_WEIGHT = 65_535
MAX_SERVERS = 512  # in one upstream
DEFAULT_PORT = 80
WANTED = "ADDRESS[:PORT] [weight=N] [max_conns=N] [max_fails=N] [fail_timeout=T] [backup] [down]"

_SECONDS = re.compile(r"[0-9]{1,6}[smhd]?")
_COUNT = re.compile(r"[0-9]{1,7}")
_LATER = {
    "resolve": "it came with nginx 1.27.3; write addresses",
    "service": "it came with nginx 1.27.3; write addresses and ports",
    "slow_start": "it is sold with NGINX Plus; return a server in steps with NGX-011",
    "route": "it is sold with NGINX Plus",
    "drain": "it is sold with NGINX Plus; NGX-011 drains",
}


@dataclass(frozen=True, kw_only=True)
class Server:
    """One server line of an upstream.

    Args:
        address: ``10.0.0.1:8000``, ``[2001:db8::1]:80``, ``name:80``, ``unix:/run/app.sock``; without a port, 80.
        weight: Its share.
        max_conns: Connections at a time; 0 is no limit.
        max_fails: Failed tries within ``fail_timeout`` after which it is left out; 0 never.
        fail_timeout: For how long.
        backup: Serves only when no other does.
        down: Gets nothing.
    """

    address: str
    weight: int = 1
    max_conns: int = 0
    max_fails: int = 1
    fail_timeout: str = "10s"
    backup: bool = False
    down: bool = False

    def __str__(self) -> str:
        """Return the line as nginx reads it, without what is nginx's default anyway."""
        return " ".join((self.address, *self.parameters()))

    def parameters(self) -> list[str]:
        """Return the words behind the address."""
        pairs = (("weight", self.weight, 1), ("max_conns", self.max_conns, 0), ("max_fails", self.max_fails, 1),
                 ("fail_timeout", self.fail_timeout, "10s"))  # fmt: skip
        given = [f"{name}={value}" for name, value, default in pairs if value != default]
        return [*given, *["backup"] * self.backup, *["down"] * self.down]

    @property
    def endpoint(self) -> str:
        """The address with its port: what two lines have in common when they mean one server."""
        if self.address.startswith("unix:") or re.search(r"(?:\]|^[^:\[]+):[0-9]+$", self.address):
            return self.address
        return f"{self.address}:{DEFAULT_PORT}"


def server(line: str) -> Server:
    """Return a server line as a value: ``10.0.0.1:8000 weight=3 max_fails=2 fail_timeout=10s backup``.

    The word ``server`` before it and a ``;`` after it are taken and left out.

    Raises:
        UsageError: If it is none; it names the line, what was found and what was wanted.
    """
    if not isinstance(line, str):
        raise UsageError(f"a server line is text, found {line!r:.80}", hint=WANTED)
    if not (line.isascii() and line.isprintable()) and line:
        raise UsageError(f"the server line {line!r:.120} holds a character that is not plain ASCII", hint=WANTED)
    found = [word for word in line.removesuffix(";").split(" ") if word]
    if found[:1] == ["server"]:
        found = found[1:]
    if not found:
        raise UsageError("a server line is empty", hint=WANTED)
    try:
        return _server(found)
    except UsageError as error:
        raise UsageError(f"the server line {line!r:.120}: {error.message}", hint=error.hint or WANTED) from None


def servers(lines: Iterable[str]) -> tuple[Server, ...]:
    """Return server lines as values.

    Raises:
        UsageError: If one is none, or there are none, or too many.
    """
    found = tuple(server(line) for line in lines)
    if not found:
        raise UsageError("no server is given; nginx refuses an upstream without one", hint=WANTED)
    if len(found) > MAX_SERVERS:
        raise UsageError(f"{len(found)} servers are given; at most {MAX_SERVERS} are taken")
    return found


def check_tier(strategy: str, found: Sequence[Server]) -> None:
    """Refuse what does not go together in one upstream, with the reason.

    Args:
        strategy: One of ``STRATEGIES``, or the name of another directive: ``hash``, ``random``.
        found: Its servers.

    Raises:
        UsageError: If nginx refuses it, or nobody means it.
    """
    backups = [s.address for s in found if s.backup]
    if not found:
        raise UsageError("no server is given; nginx refuses an upstream without one", hint=WANTED)
    if backups and strategy in WITHOUT_BACKUP:
        raise UsageError(
            f"nginx refuses 'backup' (at {backups[0]}) together with {strategy}: {strategy} gives each client"
            " a server of its own, and none is in reserve",
            hint="leave 'backup' out, or choose least_conn or round_robin",
        )
    if len(backups) == len(found):
        raise UsageError("nginx refuses an upstream of backup servers only: it has no server that they stand in for")
    if all(s.down for s in found):
        raise UsageError("every server is down; it is refused because every request would be answered 502")
    seen: dict[str, str] = {}
    for one in found:
        if one.endpoint in seen:
            raise UsageError(f"{one.address} is given twice; it is refused because one line with a weight says it",
                             hint=f"{one.address} weight=2")  # fmt: skip
        seen[one.endpoint] = one.address


def _server(line: Sequence[str]) -> Server:
    where = kinds.address(line[0])
    given: dict[str, str | int | bool] = {}
    for word in line[1:]:
        name, sign, value = word.partition("=")
        if name in _LATER:
            raise UsageError(f"nginx refuses '{name}' here: {_LATER[name]}")
        if name in given:
            raise UsageError(f"'{name}' is given twice; it is refused because only the last would count")
        if word in {"backup", "down"}:
            given[name] = True
        elif sign and name == "fail_timeout":
            given[name] = kinds.whole(_SECONDS, value, "fail_timeout", "10s")
        elif sign and name in {"weight", "max_conns", "max_fails"}:
            given[name] = _number(name, value)
        else:
            raise UsageError(f"nginx refuses {word!r}: it is no parameter of a server")
    return Server(address=where, **given)  # type: ignore[arg-type]  # each by its name, as its type


def _number(name: str, value: str) -> int:
    if not _COUNT.fullmatch(value):
        raise UsageError(f"{name} is {value!r:.80}; it is a whole number")
    least, most = (1, MAX_WEIGHT) if name == "weight" else (0, kinds.MAX_COUNT)
    if name == "weight" and int(value) < least:
        raise UsageError("nginx refuses weight=0; a server that is to get nothing is 'down'")
    return kinds.count(int(value), name, least=least, most=most)
