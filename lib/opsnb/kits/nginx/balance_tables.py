"""What NGX-010 shows: upstreams as they are configured, who answered, how requests spread, what stands in a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opsnb.base.canonical import same
from opsnb.base.errors import OpsnbError
from opsnb.base.plan import Plan
from opsnb.kits import remote
from opsnb.kits.linux.charts import plain_label
from opsnb.kits.nginx.balancer import Wanted, http_upstream, named
from opsnb.kits.nginx.changing import observe
from opsnb.kits.nginx.reading import read
from opsnb.kits.nginx.spread import OTHER, Spread

if TYPE_CHECKING:
    import pandas as pd

WIDTH, BAR, MARGIN = 4.8, 0.5, 1.2  # inches: a phone's width; height for each pair of bars, and for the rest
MAX_BARS = 40
GREY, BLUE = "#9aa3ad", "#2f6fb2"


def configured(hosts: Sequence[str], want: Wanted) -> pd.DataFrame:
    """Return the upstream as each host has it, a row a server: strategy, server line, file and line; or why not."""
    import pandas as pd

    def one(host: str) -> list[tuple[str, str, str, str]]:
        try:
            seen = read(host, want.conf)
            name = named(want, seen).tier.name
            found = http_upstream(seen, name)
        except OpsnbError as error:
            return [(host, "", error.message, "")]
        if found is None:
            return [(host, "", f"no upstream {name}", "")]
        rows = [(host, found.method, " ".join(s.directive.arguments), s.where) for s in found.servers]
        return rows or [(host, found.method, "no server", found.where)]

    rows = [row for found in remote.over(hosts, one).values() for row in found]
    return pd.DataFrame(rows, columns=["host", "strategy", "server", "where"])


def direct(spreads: Mapping[str, Spread]) -> pd.DataFrame:
    """Return how each back end answered when it was asked directly, a row for each on each balancer."""
    import pandas as pd

    rows: list[tuple[Any, ...]] = []
    for host, found in spreads.items():
        if found.why and not found.servers:
            rows.append((host, "", found.why, ""))
        for one in found.servers:
            answer = found.direct.get(one.address)
            status = "down: not asked" if one.down else str(answer.status or "no answer") if answer else "not asked"
            rows.append((host, one.address, status, f"{answer.seconds * 1000:.0f}" if answer else ""))
    return pd.DataFrame(rows, columns=["balancer", "back end", "answer", "ms"])


def spread(spreads: Mapping[str, Spread]) -> pd.DataFrame:
    """Return how requests spread, a row for each back end on each balancer: got, wanted, weight."""
    import pandas as pd

    rows = [row for found in spreads.values() for row in _rows(found)]
    return pd.DataFrame(rows, columns=["balancer", "back end", "got", "wanted", "weight", "told by"])


def spread_chart(spreads: Mapping[str, Spread]) -> Any:
    """Return a figure: for each back end the share that weights give it, and the one that it got, %."""
    from matplotlib.figure import Figure

    rows = [row for found in spreads.values() for row in _rows(found) if row[2] != ""][:MAX_BARS]
    several = len({row[0] for row in rows}) > 1
    sent = {host: max(1, found.sent) for host, found in spreads.items()}
    figure = Figure(figsize=(WIDTH, MARGIN + BAR * max(1, len(rows))), layout="constrained")
    axes = figure.subplots()
    weighed = any(row[3] != "" for row in rows)
    for place, (host, _, got, share, _, _) in enumerate(rows):
        bars = [(got, 0.2, BLUE)] if share == "" else [(share, -0.2, GREY), (got, 0.2, BLUE)]
        for number, offset, colour in bars:
            value = 100.0 * float(number) / sent[host]
            bar = axes.barh(place + offset, value, height=0.36, color=colour)
            axes.bar_label(bar, labels=[f"{value:.1f}"], padding=3, fontsize=8)
    names = [(f"{plain_label(row[0])}\n" if several else "") + plain_label(str(row[1])) for row in rows]
    axes.set_yticks(range(len(rows)), labels=names, fontsize=8)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("Share of requests, %", loc="left", fontsize=11)
    shown = {"wanted": GREY, "got": BLUE} if weighed else {"got": BLUE}
    figure.legend([_patch(c) for c in shown.values()], list(shown), loc="outside lower center", ncols=2, frameon=False)
    return figure


def overview(plan: Plan) -> str:
    """Return what stands in a plan besides the difference: what is done, how it was tested, what proves it, notes.

    Hosts of which the same is said stand together; those that could not be reached come last.
    """
    done = {change.host: change.command for change in plan.changes}
    groups: dict[str, list[str]] = {}
    for host, found in plan.context.get("hosts", {}).items():
        said = {"does": done.get(host, "nothing: it is so already"), "tested": found.get("tested", ""),
                "proven by": found.get("probe", ""), "to know": "\n             ".join(_besides(found))}  # fmt: skip
        words = "".join(f"  {what + ':':10} {text}\n" for what, text in said.items() if text)
        groups.setdefault(words, []).append(host)
    texts = [f"{', '.join(hosts)}\n{words}" for words, hosts in groups.items()]
    texts += [f"{host}\n  not planned: {why}\n" for host, why in plan.context.get("unreachable", {}).items()]
    return "".join(texts).rstrip("\n")


def astray(plan: Plan) -> list[str]:
    """Return what is not as a plan says it is to be, ``HOST: WHAT`` each; everything is read again.

    Whether a state that was not loaded before is loaded after an undo is not held against it.
    """

    def one(number: int) -> str:
        change = plan.changes[number]
        try:
            found = observe(change.host, change.target)
        except OpsnbError as error:
            return f"{change.host}: {error.message}"
        if not same(found["files"], change.after["files"]):
            return f"{change.host}: {change.what}"
        return "" if found["loaded"] else f"{change.host}: not loaded"

    numbers = {str(number): number for number in range(len(plan.changes))}
    return [words for words in remote.over(numbers, lambda key: one(numbers[key])).values() if words]


def planned(plan: Plan) -> list[str]:
    """Return the hosts that a plan was made for: those that could be reached, whether they change or not."""
    return list(dict.fromkeys([*plan.context.get("hosts", {}), *plan.hosts]))


def unasked(spreads: Mapping[str, Spread]) -> dict[str, str]:
    """Return why nothing could be found out, by balancer."""
    return {host: found.why for host, found in spreads.items() if found.why}


def counts(spreads: Mapping[str, Spread]) -> dict[str, dict[str, int]]:
    """Return how many requests each back end answered, by balancer."""
    return {host: dict(sorted(found.got.items())) for host, found in spreads.items()}


def silent(spreads: Mapping[str, Spread], statuses: Iterable[int]) -> list[str]:
    """Return the back ends that did not answer rightly when asked directly, ``BALANCER > BACK END: STATUS`` each."""
    right = set(statuses)
    return [
        f"{host} > {address}: {answer.status or 'no answer'}"
        for host, found in spreads.items()
        for address, answer in found.direct.items()
        if answer.status not in right
    ]


def unanswered(spreads: Mapping[str, Spread], statuses: Iterable[int]) -> dict[str, int]:
    """Return how many requests through each balancer were not answered as wanted; those with none are left out."""
    right = set(statuses)
    wrong = {h: sum(n for status, n in found.statuses.items() if status not in right) for h, found in spreads.items()}
    return {host: number for host, number in wrong.items() if number}


def uneven(spreads: Mapping[str, Spread], tolerance: float) -> list[str]:
    """Return what the spread of requests has against the strategy, as sentences.

    Round robin: a share more than ``tolerance`` percent points off its weight. ip_hash: more than one back end met by
    this one client. least_conn and what is told by nothing: nothing.
    """
    return [words for found in spreads.values() for words in _uneven(found, tolerance)]


def _uneven(found: Spread, tolerance: float) -> list[str]:
    met = {address: number for address, number in found.got.items() if number}
    if found.strategy == "ip_hash" and len(met) > 1:
        return [f"{found.host}: under ip_hash one client met {', '.join(sorted(met))}"]
    if found.strategy != "round_robin" or not met:
        return []
    wrong = [f"{found.host}: {n} answers of none of the back ends" for address, n in met.items() if address == OTHER]
    for server in found.serving:
        got = 100.0 * found.got.get(server.address, 0) / found.sent
        if abs(got - 100.0 * found.share(server)) > tolerance:
            wrong.append(f"{found.host} > {server.address}: {got:.1f} %, wanted {100.0 * found.share(server):.1f} %")
    return wrong


def _rows(found: Spread) -> list[tuple[Any, ...]]:
    if found.why or not found.sent:
        return [(found.host, "", "", "", "", found.why or "no request was sent")]
    if not found.got:
        return [(found.host, "", "", "", "", "nothing tells the back ends apart: name a header, or log $upstream_addr")]
    weighed = found.strategy == "round_robin"
    rows: list[tuple[Any, ...]] = [
        (found.host, one.address, found.got.get(one.address, 0),
         _number(found.share(one) * found.sent) if weighed else "", one.weight, found.how)
        for one in found.servers
    ]  # fmt: skip
    known = {one.address for one in found.servers}
    return rows + [(found.host, name, n, "", "", found.how) for name, n in found.got.items() if name not in known]


def _number(value: float) -> int | float:
    return round(value) if abs(value - round(value)) < 1e-9 else round(value, 1)  # noqa: PLR2004  (rounding of floats)


def _besides(found: Mapping[str, Any]) -> list[str]:
    late = found.get("takes effect too", [])
    return [
        *found.get("notes", []),
        *([f"takes effect too, changed and never loaded: {', '.join(late)}"] if late else []),
    ]


def _patch(colour: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=colour)
