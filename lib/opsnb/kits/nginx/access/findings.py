"""What stands out in traffic: one node, path or upstream against the others, and sudden changes; worst first.

A finding is a hint with its number and its threshold, not a verdict.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opsnb.kits.linux.findings import Finding, Severity, rank
from opsnb.kits.nginx.access.counts import Count, summed
from opsnb.kits.nginx.access.tables import moment, over_time, short
from opsnb.kits.nginx.access.traffic import Traffic


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Thresholds.

    Args:
        error_percent: 5xx in % of requests.
        error_percent_critical: The same, at which a service is failing.
        gone_percent: 499 in % of requests.
        odd_percent: Lines that are not of the format, in %.
        errors: 5xx that are worth a word at all.
        requests: Requests of a node, path or upstream before it is compared.
        times: How many times the others' is odd.
        slower_ms: By how many milliseconds a p99 is higher, at least.
        change: How many times more or less in one step than in the steps before is sudden.
        steps: Steps before, whose median it is compared with.
        share: A node with fewer than its share divided by this, or more than times this, is odd.
    """

    error_percent: float = 1.0
    error_percent_critical: float = 5.0
    gone_percent: float = 1.0
    odd_percent: float = 1.0
    errors: int = 10
    requests: int = 50
    times: float = 3.0
    slower_ms: float = 100.0
    change: float = 3.0
    steps: int = 5
    share: float = 2.0


def findings(seen: Traffic, limits: Limits | None = None) -> list[Finding]:
    """Return what stands out, worst first."""
    known = limits or Limits()
    nodes = {host: node.total for host, node in seen.nodes.items()}
    paths, upstreams = seen.table("paths").rows, seen.table("upstreams").rows
    found = [
        *_whole(seen, known), *_failing("node", nodes, known), *_failing("path", paths, known),
        *_failing("upstream", upstreams, known), *_slow("node", nodes, known), *_slow("upstream", upstreams, known),
        *_shares(nodes, known), *_silent(seen, known), *_changes(seen, known),
    ]  # fmt: skip
    return sorted(found, key=rank)


def _whole(seen: Traffic, limits: Limits) -> Iterator[Finding]:
    total = seen.total
    severity = _severity(total.share("server_errors"), limits)
    share, gone = total.share("server_errors"), total.share("gone")
    if severity and total.server_errors >= limits.errors:
        yield _finding(severity, "errors (5xx) of all requests", share, limits.error_percent, "%",
                       f"{total.server_errors:,} of {total.requests:,} requests failed",
                       "paths and upstreams by errors below; error.log of nginx")  # fmt: skip
    if gone > limits.gone_percent and total.gone >= limits.errors:
        yield _finding(Severity.NOTICE, "clients that did not wait (499)", gone, limits.gone_percent, "%",
                       "they closed the connection before the answer: it was too slow for them",
                       "the slowest paths below")  # fmt: skip
    lines = sum(file.lines for file in seen.files)
    odd = 100.0 * seen.odd / lines if lines else 0.0
    if odd > limits.odd_percent:
        yield _finding(Severity.WARNING, "lines that are not of the format", odd, limits.odd_percent, "%",
                       f"{seen.odd:,} of {lines:,} lines are not counted below",
                       "the samples below; an old format in a rotated file: -p format=")  # fmt: skip


def _failing(kind: str, counts: Mapping[str, Count], limits: Limits) -> Iterator[Finding]:
    """A node, path or upstream whose share of errors is far above that of the others together."""
    total = summed(counts.values())
    for name, count in counts.items():
        rest = (total.server_errors - count.server_errors) / max(1, total.requests - count.requests) * 100
        share = count.share("server_errors")
        severity = _severity(share, limits)
        alone = len(counts) < 2  # noqa: PLR2004  (one has no others)
        if alone or not severity or count.server_errors < limits.errors or count.requests < limits.requests:
            continue
        if share > limits.times * rest:
            yield _finding(severity, f"errors (5xx) of {kind} {short(name)}", share, limits.error_percent, "%",
                           f"{count.server_errors:,} of {count.requests:,}; the others have {rest:.2f} %",
                           f"error.log of nginx, then what answers for this {kind}")  # fmt: skip


def _slow(kind: str, counts: Mapping[str, Count], limits: Limits) -> Iterator[Finding]:
    """A node or upstream whose p99 is far above the median of the others."""
    found = {name: count.quantile(0.99) for name, count in counts.items() if count.timed >= limits.requests}
    for name, p99 in found.items():
        others = [value for other, value in found.items() if other != name]
        if not others:
            continue
        middle = statistics.median(others)
        if p99 > limits.times * middle and p99 - middle > limits.slower_ms:
            yield _finding(Severity.WARNING, f"p99 of {kind} {short(name)}", p99, limits.times * middle, "ms",
                           f"the others have {middle:,.0f} ms",
                           "its load (HST-001); what it alone does or lacks")  # fmt: skip


def _shares(nodes: Mapping[str, Count], limits: Limits) -> Iterator[Finding]:
    if len(nodes) < 2 or sum(count.requests for count in nodes.values()) < limits.requests:  # noqa: PLR2004
        return
    middle = statistics.median(count.requests for count in nodes.values())
    for name, count in nodes.items():
        if count.requests > limits.share * middle or count.requests < middle / limits.share:
            threshold = middle * limits.share if count.requests > middle else middle / limits.share
            yield _finding(Severity.NOTICE, f"requests of node {short(name)}", count.requests, threshold, "requests",
                           f"half of the nodes have {middle:,.0f} or more",
                           "its weight where requests are spread; is it new, drained?")  # fmt: skip


def _silent(seen: Traffic, limits: Limits) -> Iterator[Finding]:
    """A node that served nothing for a while in which the others did: the longest such while of each."""
    steps = {at: count.requests for at, _, count in over_time(seen)}
    width = next((width for _, width, _ in over_time(seen)), 1)
    total = sum(steps.values())
    for host in seen.nodes:
        mine = seen.series(host)
        mine.widen(width)
        served = {step * width for step, count in mine.steps.items() if step is not None and count.requests}
        share = seen.nodes[host].total.requests / total if total else 0.0
        between = [at for at in steps if served and min(served) < at < max(served) and at not in served]
        run = _longest(sorted(between), width)
        expected = share * sum(steps[at] for at in run)
        if expected > limits.requests / 2:
            yield _finding(Severity.WARNING, f"node {short(host)} served nothing from {moment(run[0], seen.zone)}",
                           len(run) * width, width, "s", f"about {expected:,.0f} requests would have been its share",
                           "error.log of nginx; was it restarted, drained, unreachable?")  # fmt: skip


def _longest(times: list[int], width: int) -> list[int]:
    """Return the longest run of times that follow each other."""
    best: list[int] = []
    run: list[int] = []
    for at in times:
        run = [*run, at] if run and at - run[-1] == width else [at]
        best = run if len(run) > len(best) else best
    return best


def _changes(seen: Traffic, limits: Limits) -> Iterator[Finding]:
    """The largest sudden change of the rate; the first and the last step are cut by the log, and are left out."""
    steps = over_time(seen)[1:-1]
    worst: tuple[float, int, float, float] | None = None
    for number in range(limits.steps, len(steps)):
        at, width, count = steps[number]
        if steps[number - limits.steps][0] != at - limits.steps * width:
            continue  # a gap: another finding than a change
        before = statistics.median(row[2].requests for row in steps[number - limits.steps : number])
        if max(before, count.requests) < limits.requests:
            continue
        factor = (count.requests + 1) / (before + 1)
        size = max(factor, 1 / factor)
        if size > limits.change and (worst is None or size > worst[0]):
            worst = size, at, count.requests / width, before / width
    if worst:
        size, at, now, before = worst
        yield _finding(Severity.WARNING, f"requests/s from {moment(at, seen.zone)}", now,
                       before * limits.change if now > before else before / limits.change, "requests/s",
                       f"{before:,.1f} requests/s in the steps before it",
                       "the plot over time; who deployed then?")  # fmt: skip


def _severity(share: float, limits: Limits) -> Severity | None:
    if share > limits.error_percent_critical:
        return Severity.CRITICAL
    return Severity.WARNING if share > limits.error_percent else None


def _finding(  # the seven facts of a finding, by position, so that a rule fits on a screen
    severity: Severity, what: str, value: float, threshold: float, unit: str, why: str, look_next: str
) -> Finding:
    return Finding(severity=severity, what=what, value=round(float(value), 2), threshold=round(float(threshold), 2),
                   unit=unit, why=why, look_next=look_next)  # fmt: skip
