"""Which back end answers: requests through a balancer, told apart by its own access log.

Rules:

* Requests are sent on the balancer, to the address on which the upstream's server listens, a few and one after the
  other; they call themselves by a name of their own, by which their lines are found (:mod:`opsnb.kits.nginx.logged`).
* The log says who answered. Where it does not, nothing is claimed: the reason is told.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsnb.base.errors import OpsnbError
from opsnb.kits import remote
from opsnb.kits.nginx import probe
from opsnb.kits.nginx.doors import doors
from opsnb.kits.nginx.logged import answered, log_of
from opsnb.kits.nginx.reading import read
from opsnb.kits.nginx.shiftrules import KEEPS_PLACES
from opsnb.kits.nginx.shiftshares import shares

if TYPE_CHECKING:
    import pandas as pd

NO_LOG = "its access log does not say who answered: $upstream_addr and $http_user_agent are wanted in its log_format"
ENOUGH = 5.0  # answers that a back end is to give on the average, before none means something


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What requests through one balancer showed.

    Args:
        asked: How many were sent.
        answered: How many each back end answered, as the log says.
        expected: The share of each by weights.
        why: Why nothing can be said.
    """

    asked: int
    answered: Mapping[str, int]
    expected: Mapping[str, float]
    why: str = ""

    def tells(self, address: str, *, wanted: bool) -> bool:
        """Whether enough was asked to tell that a back end gets something, or that it gets nothing."""
        return bool(self.asked) and (not wanted or self.expected.get(address, 0.0) * self.asked >= ENOUGH)


def prove(host: str, upstream: str, path: str, count: int, *, conf: str = "") -> Proof:
    """Send requests for a path through a balancer and return who answered them.

    Args:
        host: The balancer.
        upstream: The upstream's name.
        path: A path that is passed to it.
        count: How many.
        conf: The main configuration file.

    Raises:
        UnreachableError: If it cannot be reached.
        OpsnbError: If it could not be asked.
    """
    configuration = read(host, conf)
    found = configuration.upstream(upstream)
    expected = shares(found.servers)
    if found.method in KEEPS_PLACES:
        why = f"under {found.method} one client meets one back end, so its requests tell nothing: NGX-012"
        return Proof(asked=0, answered={}, expected=expected, why=why)
    ways = doors(configuration, upstream)
    log = log_of(configuration, ways[0].chain) if ways else None
    if log is None:
        why = NO_LOG if ways else f"no server that speaks HTTP passes requests to {upstream}"
        return Proof(asked=0, answered={}, expected=expected, why=why)
    agent, door = f"{probe.AGENT}/{secrets.token_hex(8)}", ways[0]

    def send() -> list[probe.Answer]:
        return probe.ask(host, [(door.url, path, door.name)] * count, agent=agent)

    _, addresses = answered(host, log, agent, send)
    return Proof(asked=count, answered=dict(Counter(a for a in addresses if a not in {"-", ""})), expected=expected)


def prove_all(
    hosts: Sequence[str], upstream: str, path: str, count: int, *, conf: str = ""
) -> dict[str, Proof]:  # fmt: skip
    """Return what requests through each balancer showed; one that cannot be asked says why."""

    def one(host: str) -> Proof:
        try:
            return prove(host, upstream, path, count, conf=conf)
        except OpsnbError as error:
            return Proof(asked=0, answered={}, expected={}, why=error.message)

    return remote.over(hosts, one)


def silent(proofs: Mapping[str, Proof], address: str, *, wanted: bool) -> list[str]:
    """Return the balancers through which a back end got nothing though it should, or something though it should not."""
    return [
        f"{host}: {one.answered.get(address, 0)} of {one.asked} answers"
        for host, one in proofs.items()
        if one.tells(address, wanted=wanted) and (one.answered.get(address, 0) > 0) is not wanted
    ]


def proof_table(found: Mapping[str, Proof]) -> pd.DataFrame:
    """Return a row for each back end of each balancer: answers and shares, found and by weights."""
    import pandas as pd

    rows: list[tuple[object, ...]] = []
    for host, one in found.items():
        if one.why:
            rows.append((host, "-", 0, None, None, one.why))
        total = sum(one.answered.values())
        for address in dict.fromkeys([*one.expected, *one.answered] if not one.why else []):
            got = one.answered.get(address, 0)
            share = 100 * got / total if total else None
            rows.append((host, address, got, share, 100 * one.expected.get(address, 0.0), ""))
    return pd.DataFrame(rows, columns=["balancer", "server", "answers", "share (%)", "by weights (%)", "why not"])
