"""Which back end answers: requests through a balancer, told apart by its own access log.

Rules:

* Requests are sent on the balancer, to the address on which the upstream's server listens, a few and one after the
  other; they call themselves by a name of their own, and only lines with that name are counted where the log has it.
* The log says who answered (``$upstream_addr``). Where it does not, nothing is claimed: the reason is told.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.nginx import probe
from opsnb.kits.nginx.reading import Configuration, read
from opsnb.kits.nginx.shifthealth import passes
from opsnb.kits.nginx.shiftlog import APPENDED, LISTED, MARK, MOST_BYTES, Log, log_of, pattern_of
from opsnb.kits.nginx.shiftrules import KEEPS_PLACES
from opsnb.kits.nginx.shiftshares import shares
from opsnb.kits.nginx.upstreams import Upstream

if TYPE_CHECKING:
    import pandas as pd

ANYWHERE = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  (as nginx writes them)
AGENT = "http_user_agent"
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
    try:
        log, target = log_of(configuration, upstream), front_of(configuration, upstream)
        _telling(found, log)
    except UsageError as error:
        return Proof(asked=0, answered={}, expected=expected, why=error.message)
    agent = f"{probe.AGENT}-{secrets.token_hex(6)}"
    inode, size = remote.look(host, MARK, log.path).text.split()
    probe.ask(host, [(target[0], path, target[1])] * count, agent=agent)
    data = remote.look(host, APPENDED, log.path, inode, size, str(MOST_BYTES)).stdout
    answered = who_answered(data.decode("utf-8", "surrogateescape"), log, agent)
    return Proof(asked=count, answered=answered, expected=expected)


def who_answered(text: str, log: Log, agent: str) -> dict[str, int]:
    """Return how many requests each back end answered: the last one of each line's list; pure."""
    pattern = pattern_of(log.format)
    mine = any(field.variable == AGENT for field in log.format.fields)
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if mine and agent not in line:
            continue
        match = pattern.fullmatch(line)
        if match and match["uaddr"] not in {"-", ""}:
            found[LISTED.split(match["uaddr"])[-1]] += 1
    return dict(found)


def front_of(configuration: Configuration, upstream: str) -> tuple[str, str]:
    """Return where the server that passes requests to an upstream listens, and its name for the ``Host`` header; pure.

    Raises:
        UsageError: If none speaks HTTP.
    """
    for chain in passes(configuration.main, upstream):
        server = next((one for one in chain if one.name == "server"), None)
        if server is None or chain[0].name != "http":
            continue
        words = next((d.arguments for d in server.named("listen") if d.arguments), ("80",))
        names = [n for d in server.named("server_name") for n in d.arguments if n[:1].isalnum() and "*" not in n]
        return _url(words), (names or [""])[0]
    raise UsageError(f"no server that speaks HTTP passes requests to {upstream}")


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


def _telling(upstream: Upstream, log: Log) -> None:
    if upstream.method in KEEPS_PLACES:
        raise UsageError(
            f"under {upstream.method} one client meets one back end, so its requests tell nothing: NGX-012"
        )
    if "uaddr" not in log.format.roles:
        raise UsageError(f"the log {log.path} does not say who answered", hint="$upstream_addr in its log_format")


def _url(listen: Sequence[str]) -> str:
    """Return the address of a ``listen`` as the host itself reaches it."""
    where = listen[0]
    if where.startswith("unix:"):
        return where
    if where.isdigit():
        where = f"*:{where}"
    elif where.endswith("]") or not where.rpartition(":")[2].isdigit():
        where = f"{where}:80"
    host, _, port = where.rpartition(":")
    return f"{'https' if 'ssl' in listen else 'http'}://{ANYWHERE.get(host, host)}:{port}"
