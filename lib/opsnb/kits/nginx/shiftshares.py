"""Which share of the requests goes where, before a change and after it: a table and a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsnb.kits.linux.charts import BAR, BLUE, GREY, MARGIN, WIDTH, plain_label
from opsnb.kits.nginx.upstreams import UpstreamServer

if TYPE_CHECKING:
    import pandas as pd

MAX_BARS = 24  # back ends that a plot tells apart; the rest stands in the table
BY_ADDRESS = frozenset({"ip_hash", "hash"})


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """An upstream of one balancer before a change and after it.

    Args:
        upstream: Its name.
        method: How a server is chosen.
        before: Its servers now.
        after: Its servers then.
    """

    upstream: str
    method: str
    before: tuple[UpstreamServer, ...]
    after: tuple[UpstreamServer, ...]


def shares(servers: Sequence[UpstreamServer]) -> dict[str, float]:
    """Return the share of requests that each address gets, by weights: 0 for one that is down or in reserve.

    Of ``backup`` servers only where no other is up.
    """
    primary = [s for s in servers if not s.down and not s.backup]
    serving = primary or [s for s in servers if not s.down]
    total = sum(s.weight for s in serving)
    found = dict.fromkeys((s.address for s in servers), 0.0)
    for one in serving:
        found[one.address] += one.weight / total if total else 0.0
    return found


def state_of(servers: Sequence[UpstreamServer]) -> str:
    """Return what a server's lines say of it in words: ``weight 3``, ``down``, ``backup``, ``not there``."""
    if not servers:
        return "not there"
    words = [
        ", ".join([f"weight {s.weight}", *["backup"] * s.backup, *["down"] * s.down]).replace("weight 1, ", "")
        for s in servers
    ]
    return " and ".join(words)


def shares_table(found: Mapping[str, Sharing]) -> pd.DataFrame:
    """Return a row for each back end: what its line says and which share it gets, before and after.

    Balancers on which all of it is the same share their rows.

    Args:
        found: The sharing of each balancer.
    """
    import pandas as pd

    rows = []
    for hosts, one in grouped(found):
        before, after = shares(one.before), shares(one.after)
        for address in dict.fromkeys([*before, *after]):
            was, will = before.get(address, 0.0), after.get(address, 0.0)
            rows.append((
                hosts, address, state_of([s for s in one.before if s.address == address]), 100 * was,
                state_of([s for s in one.after if s.address == address]), 100 * will, _times(was, will),
            ))  # fmt: skip
    head = ["balancer", "server", "now", "share now (%)", "then", "share then (%)", "load"]
    return pd.DataFrame(rows, columns=head)


def shares_chart(found: Mapping[str, Sharing]) -> Any:
    """Return a figure: the share of each back end before and after, of the first group of balancers that are alike."""
    from matplotlib.figure import Figure

    hosts, one = next(iter(grouped(found)), ("", Sharing(upstream="", method="", before=(), after=())))
    before, after = shares(one.before), shares(one.after)
    names = list(dict.fromkeys([*before, *after]))[:MAX_BARS]
    figure = Figure(figsize=(WIDTH, MARGIN + 1.8 * BAR * max(len(names), 1)), layout="constrained")
    axes = figure.subplots()
    places = range(len(names))
    was, will = ([100 * share.get(name, 0.0) for name in names] for share in (before, after))
    axes.barh([p - 0.2 for p in places], was, height=0.36, color=GREY, label="now")
    bars = axes.barh([p + 0.2 for p in places], will, height=0.36, color=BLUE, label="then")
    axes.bar_label(bars, labels=[f"{value:.0f} %" for value in will], padding=4, fontsize=9)
    axes.set_yticks(places, labels=[plain_label(name) for name in names])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_xlim(0, max([*was, *will, 1.0]) * 1.18)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(f"Share of requests, % ({plain_label(hosts)})", loc="left", fontsize=11)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def grouped(found: Mapping[str, Sharing]) -> list[tuple[str, Sharing]]:
    """Return the balancers that are alike as one: their names together, and what they have in common."""
    kinds: dict[tuple[Any, ...], tuple[list[str], Sharing]] = {}
    for host, one in found.items():
        key = (one.upstream, one.method, _plain(one.before), _plain(one.after))
        kinds.setdefault(key, ([], one))[0].append(host)
    return [(", ".join(hosts), one) for hosts, one in kinds.values()]


def _plain(servers: Sequence[UpstreamServer]) -> tuple[Any, ...]:
    return tuple((s.address, s.weight, s.backup, s.down) for s in servers)


def _times(was: float, will: float) -> str:
    """Return how much more or less a back end gets than now."""
    if was == will:
        return "as now"
    if not will:
        return "none"
    return "new" if not was else f"x {will / was:.2f}"
