"""Traffic as tables for a reader: by node, status, path, virtual host, upstream, and over time.

``p50_ms`` and the like are at most 3 % off, ``max_ms`` is exact. MB is 1,000,000 bytes. Rates are over the time from
the first to the last line of all nodes.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping

import pandas as pd

from opsnb.kits.nginx.access.counts import Count, Table, summed
from opsnb.kits.nginx.access.traffic import Traffic
from opsnb.runbook.show import visible

MB = 1_000_000
NAME_LENGTH = 80  # characters of a path in a table
SAMPLES = 20  # lines that are not of the format, shown
ORDERS = ("requests", "bytes", "time", "errors", "p99")
ENOUGH = 20  # requests of a path before its p99 is ranked
OTHERS = "(others)"


def nodes_table(seen: Traffic) -> pd.DataFrame:
    """Return one row for each node: requests, share, rates, errors in % of its requests."""
    total = seen.total.requests or 1
    rows = []
    for host, node in seen.nodes.items():
        count = node.total
        busiest = max((file.busiest for file in node.files), default=0)
        rows.append({
            "node": host, "requests": count.requests, "share_%": 100.0 * count.requests / total,
            "requests_s": rate(count.requests, seen.length), "busiest_second": busiest,
            "kB_s": rate(count.bytes / 1000, seen.length), **errors(count), "499_%": count.share("gone"),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=_columns(rows, "node"))


def latencies_table(seen: Traffic) -> pd.DataFrame:
    """Return one row for each node, and one for all: requests with a time, mean, percentiles, the longest."""
    counts = {host: node.total for host, node in seen.nodes.items()}
    rows = [{"node": host, "requests": count.timed, "mean_ms": count.mean_ms, "p50_ms": count.quantile(0.5),
             "p90_ms": count.quantile(0.9), "p99_ms": count.quantile(0.99), "max_ms": _longest(count)}
            for host, count in [*counts.items(), ("(all)", seen.total)]]  # fmt: skip
    return pd.DataFrame(rows)


def files_table(seen: Traffic) -> pd.DataFrame:
    """Return one row for each file that was counted: lines, what became of them, its time, its format."""
    rows = [{
        "node": host, "file": visible(file.name), "MB": file.read / MB, "MB_before": file.before / MB,
        "lines": file.lines, "counted": file.counted,
        "not_of_format": file.odd, "outside": file.outside, "unfinished": file.cut,
        "first": moment(file.first, file.zone), "last": moment(file.last, file.zone),
        "format": visible(node.logs[file.number].format.name),
    } for host, node in seen.nodes.items() for file in node.files]  # fmt: skip
    return pd.DataFrame(rows, columns=_columns(rows, "file"))


def unread_table(seen: Traffic) -> pd.DataFrame:
    """Return what was not read and why: columns ``node``, ``status``, ``why``."""
    rows = [(host, status, visible(why)) for host, (status, why) in seen.failed.items()]
    for host, node in seen.nodes.items():
        rows += [(host, "not read", visible(why)) for why in (*node.unread, *node.notes)]
    return pd.DataFrame(rows, columns=["node", "status", "why"])


def missing_table(seen: Traffic) -> pd.DataFrame:
    """Return what formats do not tell: columns ``format``, ``not_told``, ``nodes``."""
    found: dict[tuple[str, str], set[str]] = {}
    for host, node in seen.nodes.items():
        for log in {node.logs[file.number].format.name: node.logs[file.number] for file in node.files}.values():
            for what in log.format.missing:
                found.setdefault((log.format.name, what), set()).add(host)
    rows = [(visible(name), what, ", ".join(sorted(hosts))) for (name, what), hosts in found.items()]
    return pd.DataFrame(rows, columns=["format", "not_told", "nodes"])


def odd_table(seen: Traffic) -> pd.DataFrame:
    """Return some of the lines that are not of the format: columns ``node``, ``file``, ``lines``, ``sample``."""
    rows = [(host, visible(file.name), file.odd, visible(sample)[:NAME_LENGTH])
            for host, node in seen.nodes.items() for file in node.files for sample in file.samples]  # fmt: skip
    return pd.DataFrame(rows[:SAMPLES], columns=["node", "file", "lines", "sample"])


def status_table(seen: Traffic) -> pd.DataFrame:
    """Return one row for each status and method: requests, share, bytes, mean time."""
    total = seen.total.requests or 1
    rows = [(status, visible(method), requests, 100.0 * requests / total, size / MB, ms / requests)
            for (status, method), (requests, size, ms) in sorted(seen.status.items())]  # fmt: skip
    return pd.DataFrame(rows, columns=["status", "method", "requests", "share_%", "MB", "mean_ms"])


def paths_table(seen: Traffic, by: str = "requests", top: int = 15) -> pd.DataFrame:
    """Return the first paths by ``requests``, ``bytes``, ``time`` spent, ``errors`` (5xx) or ``p99``.

    Column ``missed`` says how many more requests a path may have had; without it all are exact. What is left has a
    row of its own.
    """
    return names_table(seen.table("paths"), "path", by, top)


def hosts_table(seen: Traffic, top: int = 15) -> pd.DataFrame:
    """Return the first virtual hosts by requests."""
    return names_table(seen.table("hosts"), "virtual_host", "requests", top)


def upstreams_table(seen: Traffic, top: int = 15) -> pd.DataFrame:
    """Return the first upstreams by tries; time is that of the upstream's answers."""
    return names_table(seen.table("upstreams"), "upstream", "requests", top)


def cache_table(seen: Traffic) -> pd.DataFrame:
    """Return requests by cache status."""
    total = sum(seen.cache.values()) or 1
    rows = [(visible(name), requests, 100.0 * requests / total) for name, requests in seen.cache.most_common()]
    return pd.DataFrame(rows, columns=["cache_status", "requests", "share_%"])


def slowest_table(seen: Traffic) -> pd.DataFrame:
    """Return the slowest requests one by one, exact."""
    rows = [(slow.ms, moment(slow.at, seen.zone), host, slow.status, visible(slow.method), short(slow.path),
             short(slow.upstream)) for host, slow in seen.slowest]  # fmt: skip
    return pd.DataFrame(rows, columns=["ms", "time", "node", "status", "method", "path", "upstream"])


def busiest_table(seen: Traffic, top: int = 10) -> pd.DataFrame:
    """Return the busiest steps over all nodes: time, requests/s, kB/s, errors, latencies."""
    series = over_time(seen)
    rows = [{"from": moment(at, seen.zone), "requests": count.requests,
             "requests_s": rate(count.requests, width), "kB_s": rate(count.bytes / 1000, width),
             "5xx_%": count.share("server_errors"), "p50_ms": count.quantile(0.5), "p99_ms": count.quantile(0.99)}
            for at, width, count in sorted(series, key=lambda row: -row[2].requests)[:top]]  # fmt: skip
    return pd.DataFrame(rows, columns=_columns(rows, "from"))


def over_time(seen: Traffic) -> list[tuple[int, int, Count]]:
    """Return all nodes together over time: first second, width in seconds, count."""
    series = [seen.series(host) for host in seen.nodes]
    width = max((s.width for s in series), default=1)
    steps: dict[int, list[Count]] = {}
    for one in series:
        one.widen(width)
        for step, count in one.steps.items():
            if step is not None:
                steps.setdefault(step, []).append(count)
    return [(step * width, width, summed(counts)) for step, counts in sorted(steps.items())]


def names_table(table: Table, head: str, by: str, top: int) -> pd.DataFrame:
    """Return the first rows of a table of counts in an order, with what is left as ``(others)``."""
    total = table.total
    order = sorted(table.rows.items(), key=lambda row: (-_weight(row[1], by), row[0]))
    first = [(name, count) for name, count in order[:top] if _weight(count, by) > 0]
    shown = {name for name, _ in first}
    rest = summed([table.others, *(count for name, count in table.rows.items() if name not in shown)])
    rest.missed = 0
    rows = [_row(head, short(name), count, total) for name, count in first]
    if rest.requests:
        rows.append(_row(head, OTHERS, rest, total))
    frame = pd.DataFrame(rows, columns=_columns(rows, head))
    if "missed" in frame and not frame["missed"].any():
        frame = frame.drop(columns="missed")
    return frame


def _row(head: str, name: str, count: Count, total: Count) -> dict[str, object]:
    return {
        head: name, "requests": count.requests, "share_%": 100.0 * count.requests / (total.requests or 1),
        "MB": count.bytes / MB, "time_s": count.ms / 1000, **errors(count), "p50_ms": count.quantile(0.5),
        "p99_ms": count.quantile(0.99), "max_ms": _longest(count), "missed": count.missed,
    }  # fmt: skip


def _weight(count: Count, by: str) -> float:
    if by == "p99":
        return count.quantile(0.99) if count.timed >= ENOUGH else -1.0
    weights: Mapping[str, float] = {
        "requests": count.requests, "bytes": count.bytes, "time": count.ms, "errors": count.server_errors,
    }  # fmt: skip
    return weights[by]


def errors(count: Count) -> dict[str, float]:
    """Return server and client errors in % of the requests."""
    return {"5xx_%": count.share("server_errors"), "4xx_%": count.share("client_errors")}


def _longest(count: Count) -> float:
    return float(count.most_ms) if count.timed else math.nan


def rate(amount: float, seconds: int) -> float:
    """Return an amount for each second; NaN where there is no time."""
    return amount / seconds if seconds else math.nan


def moment(at: int | None, zone: int) -> str:
    """Return a second since 1970 as the log's own time of day."""
    if at is None:
        return "-"
    try:
        shown = dt.datetime.fromtimestamp(at + zone, dt.UTC)
    except (ValueError, OverflowError, OSError):  # a year beyond 9999
        return str(at)
    return shown.strftime("%Y-%m-%d %H:%M:%S")


def zone_text(zone: int) -> str:
    """Return a zone as ``+0800``."""
    sign, minutes = ("-" if zone < 0 else "+"), abs(zone) // 60
    return f"{sign}{minutes // 60:02}{minutes % 60:02}"


def short(name: str) -> str:
    """Return a name that can be read in a table: its beginning and its end."""
    shown = visible(name)
    half = (NAME_LENGTH - 3) // 2
    return shown if len(shown) <= NAME_LENGTH else f"{shown[:half]}...{shown[-half:]}"


def _columns(rows: list[dict[str, object]], head: str) -> list[str]:
    return list(rows[0]) if rows else [head]
