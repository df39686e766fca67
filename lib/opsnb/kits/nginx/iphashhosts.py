"""Predictions for the hosts of a run, whether they agree, and what was seen: values and tables for a runbook."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from opsnb.base.errors import NotFoundError, OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.linux.triage import unread, unread_table
from opsnb.kits.nginx.iphash import Peer, Prediction, endpoint, named, peers_of_lines, peers_of_upstream, predict_all
from opsnb.kits.nginx.iphashproof import Pair, Proof, prove, resolve
from opsnb.kits.nginx.reading import Configuration, read
from opsnb.kits.nginx.tokens import shown
from opsnb.kits.nginx.upstreams import Upstream

GIVEN = "as given"  # stands where a host's name would, when the servers are parameters
MAX_EVIDENCE = 200  # mismatches that are kept by name


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The servers that addresses are hashed to, on each host.

    Args:
        peers: Host to its servers; :data:`GIVEN` when they are parameters.
        sources: Host to the configuration and the upstream that they are from.
        unread: Host to what became of it, and why.
        why: Why there is nothing to predict; empty when there is.
        instead: The runbook for that case.
    """

    peers: dict[str, list[Peer]]
    sources: dict[str, tuple[Configuration, Upstream]] = field(default_factory=dict)
    unread: dict[str, tuple[str, str]] = field(default_factory=dict)
    why: str = ""
    instead: str = ""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What was predicted on each host.

    Args:
        by_host: Host to one prediction for each address.
    """

    by_host: dict[str, list[Prediction]]

    @property
    def predicted(self) -> dict[str, str]:
        """Address to server, as the first host has it."""
        first: list[Prediction] = next(iter(self.by_host.values()), [])
        return {row.address: row.server for row in first}

    @property
    def apart(self) -> dict[str, dict[str, str]]:
        """Addresses that meet different servers behind different hosts, with what each host says."""
        rows: dict[str, dict[str, str]] = {}
        for host, found in self.by_host.items():
            for row in found:
                rows.setdefault(row.address, {})[host] = row.server
        return {address: said for address, said in rows.items() if len(set(said.values())) > 1}


def look(hosts: Sequence[str], *, servers: Sequence[str] = (), upstream: str = "", conf: str = "") -> Seen:
    """Return the servers: the given ones, else those of an upstream in each host's configuration.

    Args:
        hosts: The hosts; none is asked when ``servers`` are given.
        servers: nginx server lines.
        upstream: Name of the upstream; empty where a host has one with ``ip_hash`` and no other.
        conf: The configuration file, when it is not the running one's or the usual one.

    Raises:
        UsageError: If both or wrong ones are given.
    """
    if servers:
        if upstream:
            raise UsageError("servers and an upstream's name are given; one of the two is wanted", hint="leave one out")
        return Seen(peers={GIVEN: peers_of_lines(servers)})
    found = remote.over(hosts, lambda host: _one(host, upstream, conf))
    good = {host: value for host, value in found.items() if isinstance(value, tuple)}
    lost = unread({host: value for host, value in found.items() if isinstance(value, OpsnbError)})
    why = "; ".join(f"{host}: {reason}" for host, (_, reason) in lost.items()) if not good else ""
    return Seen(
        peers={host: value[2] for host, value in good.items()}, unread=lost, why=why, instead="NGX-001" if why else "",
        sources={host: (value[0], value[1]) for host, value in good.items()},
    )  # fmt: skip


def predictions(seen: Seen, addresses: Sequence[str]) -> Predictions:
    """Return what each address meets on each host; raises as :func:`opsnb.kits.nginx.iphash.predict_all` does."""
    return Predictions(by_host={host: predict_all(addresses, peers) for host, peers in seen.peers.items()})


def proofs(seen: Seen, addresses: Sequence[str], *, send: bool = True) -> dict[str, Proof]:
    """Return what nginx did on each host; a host that is lost meanwhile has a note instead."""

    def one(host: str) -> Proof:
        try:
            return prove(*seen.sources[host], addresses, send=send)
        except OpsnbError as error:
            return Proof(host=host, notes=[error.message])

    return remote.over(list(seen.sources), one)


def suits(seen: Seen, addresses: Sequence[str]) -> tuple[bool, str, str]:
    """Return whether there is something to predict, why, and the runbook to use instead."""
    if not addresses:
        return False, "no client address is given, such as addresses: [203.0.113.7]", ""
    if seen.why:
        return False, seen.why, seen.instead
    first: list[Peer] = next(iter(seen.peers.values()), [])
    return True, f"{len(addresses)} address(es), {len(first)} server(s), {', '.join(seen.peers)}", ""


def mismatches(seen: Seen, found: dict[str, Proof]) -> list[dict[str, Any]]:
    """Return what was seen otherwise than predicted, a row with the columns of :func:`mismatches_table` each."""
    rows: list[dict[str, Any]] = []
    for host, proof in found.items():
        peers = seen.peers[host]
        for way, pairs in (("request", proof.answered), ("log", proof.logged)):
            if not (known := _comparable(peers, pairs)):
                continue
            wanted = {row.address: row for row in predict_all((pair.address for pair in known), peers)}
            rows += [
                {"host": host, "address": pair.address, "predicted": wanted[pair.address].server, "seen": pair.endpoint,
                 "way": way, "when": _when(pair)}
                for pair in known if (peer := wanted[pair.address].peer) and peer.endpoint != pair.endpoint
            ]  # fmt: skip
    return rows


def servers_table(seen: Seen) -> pd.DataFrame:
    """Return the servers in nginx's order: columns ``hosts``, ``server``, ``weight``, ``state``, ``where``."""
    rows: dict[tuple[Any, ...], list[str]] = {}
    for host, peers in seen.peers.items():
        for number, p in enumerate(peers, 1):
            key = (number, p.endpoint, p.weight, "down" if p.down else "up", p.where or "-")
            rows.setdefault(key, []).append(host)
    table = [(", ".join(hosts), *key) for key, hosts in rows.items()]
    return pd.DataFrame(table, columns=["hosts", "order", "server", "weight", "state", "where"])


def predictions_table(found: Predictions) -> pd.DataFrame:
    """Return one row an address: columns ``address``, ``server``, ``hosts agree``, ``counts as``, ``tries``."""
    apart = found.apart
    first: list[Prediction] = next(iter(found.by_host.values()), [])
    rows = [(row.address, row.server, row.address not in apart, _network(row.address), row.tries) for row in first]
    return pd.DataFrame(rows, columns=["address", "server", "hosts agree", "counts as", "tries"])


def spread_table(seen: Seen, found: Predictions) -> pd.DataFrame:
    """Return how the addresses spread: columns ``server``, ``weight``, ``addresses``, ``networks``, ``share`` in %."""
    first: list[Prediction] = next(iter(found.by_host.values()), [])
    peers: list[Peer] = next(iter(seen.peers.values()), [])
    counts = Counter(row.server for row in first)
    networks = {name: len({_network(row.address) for row in first if row.server == name}) for name in counts}
    weights: dict[str, int | None] = {peer.address: peer.weight for peer in peers}
    rows = [(name, weights.get(name), counts[name], networks.get(name, 0), 100 * counts[name] / max(len(first), 1))
            for name in dict.fromkeys([*weights, *counts])]  # fmt: skip
    return pd.DataFrame(rows, columns=["server", "weight", "addresses", "networks", "share"])


def proofs_table(seen: Seen, found: dict[str, Proof]) -> pd.DataFrame:
    """Return how much was compared on each ``host``: ``requests`` sent, ``answered`` of them, anybody's ``log_lines``.

    Besides: of how many ``networks`` they are, and how many were ``otherwise`` than predicted.
    """
    wrong = Counter(row["host"] for row in mismatches(seen, found))
    rows = []
    for host, proof in found.items():
        answered, logged = (_comparable(seen.peers[host], pairs) for pairs in (proof.answered, proof.logged))
        networks = len({_network(pair.address) for pair in (*answered, *logged)})
        rows.append((host, len(proof.sent), len(answered), len(logged), networks, wrong[host]))
    return pd.DataFrame(rows, columns=["host", "requests", "answered", "log_lines", "networks", "otherwise"])


def mismatches_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return :func:`mismatches`: columns ``host``, ``address``, ``predicted``, ``seen``, ``way``, ``when``."""
    return pd.DataFrame(rows, columns=["host", "address", "predicted", "seen", "way", "when"])


def compared(seen: Seen, found: dict[str, Proof]) -> int:
    """Return how many clients' requests were compared on all hosts, ours and those of the logs."""
    return sum(len(_comparable(seen.peers[host], [*p.answered, *p.logged])) for host, p in found.items())


def notes_table(found: dict[str, Proof]) -> pd.DataFrame:
    """Return what could not be proven, and why: columns ``host``, ``not_proven``."""
    rows = [(host, note) for host, proof in found.items() for note in proof.notes]
    return pd.DataFrame(rows, columns=["host", "not_proven"])


def evidence(seen: Seen, said: Predictions, found: dict[str, Proof]) -> dict[str, Any]:
    """Return what is kept with the record, by name."""
    wrong = mismatches(seen, found)
    return {
        "predicted": said.predicted,
        "servers": {host: [_line(peer) for peer in peers] for host, peers in seen.peers.items()},
        "apart": said.apart,
        "compared": proofs_table(seen, found).to_dict("records"),
        "otherwise": wrong[:MAX_EVIDENCE],
        "unread": {host: f"{status}: {why}" for host, (status, why) in seen.unread.items()},
    }


def _one(host: str, name: str, conf: str) -> tuple[Configuration, Upstream, list[Peer]] | OpsnbError:
    try:
        found = read(host, conf)
        upstream = _meant(found, name)
        names = [endpoint(s.address).rpartition(":")[0] for s in upstream.servers if named(endpoint(s.address))]
        return found, upstream, peers_of_upstream(upstream, resolve(host, list(dict.fromkeys(names))))
    except OpsnbError as error:
        return error


def _meant(found: Configuration, name: str) -> Upstream:
    http = [u for u in found.upstreams() if u.context == "http"]
    if name:
        return next((u for u in http if u.name == name), None) or found.upstream(name)
    hashed = [u for u in http if u.method == "ip_hash"]
    if len(hashed) == 1:
        return hashed[0]
    names = ", ".join(shown(u.name) for u in hashed)
    if hashed:
        raise UsageError(f"{len(hashed)} upstreams are balanced by ip_hash: {names}", hint="upstream= names one")
    raise NotFoundError(f"no upstream of {found.installation.conf} is balanced by ip_hash")


def _comparable(peers: Sequence[Peer], pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs of this upstream: those of another one with other servers are left out."""
    ends = {peer.endpoint for peer in peers}
    return [pair for pair in pairs if pair.endpoint in ends and _is_address(pair.address)]


def _line(peer: Peer) -> str:
    return " ".join([peer.endpoint, *([f"weight={peer.weight}"] if peer.weight != 1 else []), *["down"] * peer.down])


def _network(address: str) -> str:
    found = ipaddress.ip_address(address)
    return str(ipaddress.ip_network(f"{found}/24", strict=False)) if found.version == 4 else str(found)  # noqa: PLR2004


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _when(pair: Pair) -> str:
    return "" if pair.at is None else datetime.fromtimestamp(pair.at, UTC).isoformat(timespec="seconds")


__all__ = [
    "GIVEN", "Predictions", "Seen", "compared", "evidence", "look", "mismatches", "mismatches_table", "notes_table",
    "predictions", "predictions_table", "proofs", "proofs_table", "servers_table", "spread_table", "suits",
    "unread_table",
]  # fmt: skip
