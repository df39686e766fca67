"""How requests spread over the back ends of an upstream, found out by sending some on the balancer itself.

Rules:

* Every back end is asked directly first: so it is known which ones answer, and by what an answer tells its back end: a
  header that the caller names, else the body, when each back end's is short and no two are alike; else the access log
  of the host, when its format holds ``$upstream_addr`` and the requests' own name (``$http_user_agent``). When none of
  these tells them apart, that is said, and nothing is counted.
* Shares of round robin are exact when the number of requests is a multiple of the sum of the weights, workers share a
  zone (or there is one), and nobody else sends requests meanwhile. So a share is judged with a tolerance, and the
  counts stand beside it.
* least_conn gives more to whoever is idle, and under ip_hash all requests of one host meet one back end: there the
  counts are shown, and only what must hold is checked.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from opsnb.base.errors import OpsnbError
from opsnb.kits import remote
from opsnb.kits.nginx import kinds
from opsnb.kits.nginx.balancer import Wanted, door_of, http_upstream, named, urls_of
from opsnb.kits.nginx.doors import Door
from opsnb.kits.nginx.logged import answered, log_of
from opsnb.kits.nginx.probe import AGENT, MAX_REQUESTS, SIGNATURE_BYTES, Answer, ask
from opsnb.kits.nginx.reading import Configuration, read
from opsnb.kits.nginx.upstreams import Upstream
from opsnb.kits.nginx.values import Server

OTHER = "another answer"  # one that no back end gave when it was asked directly


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What became of the requests that one balancer was sent.

    Args:
        host: The balancer.
        strategy: As its configuration has it.
        servers: The upstream's servers, in their order; none when it has no such upstream.
        direct: What each answered when it was asked directly, by address; one that is down is not asked.
        got: How many of the requests each answered, by address.
        sent: How many were sent through the balancer.
        statuses: How often which status came back.
        how: By what the back ends were told apart.
        why: Why nothing could be found out; empty otherwise.
    """

    host: str
    strategy: str = ""
    servers: tuple[Server, ...] = ()
    direct: Mapping[str, Answer] = field(default_factory=dict)
    got: Mapping[str, int] = field(default_factory=dict)
    sent: int = 0
    statuses: Mapping[int, int] = field(default_factory=dict)
    how: str = ""
    why: str = ""

    @property
    def serving(self) -> tuple[Server, ...]:
        """The servers that are to get requests: not down, and a backup only when there is nobody else."""
        up = [one for one in self.servers if not one.down]
        return tuple([one for one in up if not one.backup] or up)

    def share(self, server: Server) -> float:
        """Return the share that weights give a server, from 0 to 1."""
        total = sum(one.weight for one in self.serving)
        return server.weight / total if server in self.serving else 0.0


def measure(
    hosts: Sequence[str],
    want: Wanted,
    *,
    requests: int,
    header: str = "",
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> dict[str, Spread]:
    """Send requests on every balancer, directly to its back ends and through it, and count who answered.

    Args:
        hosts: The balancers, all at once.
        want: Which upstream, path and name.
        requests: How many go through each balancer, rounded up to a multiple of the sum of the weights; 0 for none.
        header: Name of a header in which a back end says who it is; empty to use the body or the access log.
        progress: Told after each balancer: how many are done, of how many, and what.
    """
    if header:
        kinds.header_name(header)
    kinds.count(requests, "the number of requests", most=MAX_REQUESTS // 2)

    done: list[str] = []

    def one(host: str) -> Spread:
        try:
            found = _measured(host, want, requests, header)
        except OpsnbError as error:
            found = Spread(host=host, why=error.message)
        done.append(host)
        progress(len(done), len(hosts), "balancers asked")
        return found

    return remote.over(hosts, one)


def server_of(upstream: Upstream) -> tuple[Server, ...]:
    """Return the servers of an upstream as they stand in a file, as values; words that are not known are left out."""
    return tuple(
        Server(address=s.address, weight=s.weight, max_fails=s.max_fails, fail_timeout=s.fail_timeout,
               backup=s.backup, down=s.down)
        for s in upstream.servers
    )  # fmt: skip


def rounded(requests: int, weights: int) -> int:
    """Return the least multiple of the sum of the weights that is at least ``requests``, where that is not too many."""
    up = -(-requests // weights) * weights if weights else requests
    return up if up <= MAX_REQUESTS else requests


def tell(direct: Mapping[str, Answer], header: str) -> tuple[dict[str, str], str]:
    """Return by what an answer tells its back end, from signature to address, and how that is called. Pure."""
    there = {address: one for address, one in direct.items() if one.status}
    if header:
        told = {one.headers.get(header.lower(), ""): address for address, one in there.items()}
        if "" not in told and len(told) == len(there):
            return told, f"header {header}"
        return {}, ""
    told = {one.body: address for address, one in there.items() if 0 < len(one.body.encode()) <= SIGNATURE_BYTES}
    return (told, "the body") if len(told) == len(there) else ({}, "")


def _measured(host: str, want: Wanted, requests: int, header: str) -> Spread:
    seen = read(host, want.conf)
    want = named(want, seen)
    upstream = http_upstream(seen, want.tier.name)
    if upstream is None:
        return Spread(host=host, why=f"{host} has no upstream {want.tier.name}")
    servers = server_of(upstream)
    found = Spread(host=host, strategy=upstream.method, servers=servers)
    door = door_of(seen, replace(want, site=None))
    direct = _asked(host, servers, door, want.path)
    found = replace(found, direct=direct)
    if door is None:
        return replace(found, why=f"no location passes to {want.tier.name}")
    return _through(seen, found, door, want, rounded(requests, sum(one.weight for one in found.serving)), header)


def asked(hosts: Sequence[str], want: Wanted) -> dict[str, Spread]:
    """Ask the back ends that an upstream is to have directly, on every balancer; nothing goes through nginx."""

    def one(host: str) -> Spread:
        try:
            seen = read(host, want.conf)
            door = door_of(seen, named(want, seen))
            return Spread(host=host, servers=want.tier.servers, direct=_asked(host, want.tier.servers, door, want.path))
        except OpsnbError as error:
            return Spread(host=host, why=error.message)

    return remote.over(hosts, one)


def _asked(host: str, servers: Sequence[Server], door: Door | None, path: str) -> dict[str, Answer]:
    door = door or Door(url="", path="/", name="", scheme="http", where="")
    urls = urls_of(servers, door)
    answers = ask(host, [(url, path or door.path, door.name) for url in urls.values()], body=True)
    return dict(zip(urls, answers, strict=True))


def _through(seen: Configuration, found: Spread, door: Door, want: Wanted, requests: int, header: str) -> Spread:
    told, how = tell(found.direct, header)
    agent = f"{AGENT}/{secrets.token_hex(8)}"
    targets = [(door.url, want.path or door.path, door.name)] * requests

    def send() -> list[Answer]:
        return ask(found.host, targets, body=how == "the body", agent=agent)

    log = None if told else log_of(seen, door.chain)
    if log:
        by_endpoint = {one.endpoint: one.address for one in found.servers}
        answers, addresses = answered(found.host, log, agent, send)
        names = [by_endpoint.get(address, address) for address in addresses]
        how = f"the access log {log.path}"
    else:
        answers = send()
        names = [told.get(one.headers.get(header.lower(), "") if header else one.body, OTHER) for one in answers]
    known = set(names) - {OTHER}  # none: nginx answers by itself, with a page for who may not come in
    got = Counter(names) if known else Counter()
    statuses = Counter(one.status for one in answers)
    return replace(found, got=got, sent=len(answers), statuses=statuses, how=how)
