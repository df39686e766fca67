"""Traffic in one line, and by name for the record."""

from __future__ import annotations

from typing import Any

from opsnb.kits.linux.findings import Finding, count_by_severity
from opsnb.kits.nginx.access.tables import moment, rate, zone_text
from opsnb.kits.nginx.access.traffic import Traffic

MOST = 200  # nodes that stand in the record by name


def read_text(seen: Traffic) -> str:
    """Return in three lines what was read, over which time, and what it comes to."""
    read = sum(file.read for file in seen.files)
    lines = sum(file.lines for file in seen.files)
    hosts = len(seen.nodes) + len(seen.failed)
    total = seen.total
    rows = [
        f"{len(seen.nodes)} of {hosts} nodes counted {lines:,} lines ({read / 1e6:,.1f} MB), {len(seen.files)} files",
        f"window: {seen.window.text}",
    ]
    if seen.span:
        first, last = (moment(at, seen.zone) for at in seen.span)
        rows.append(f"from {first} to {last} ({zone_text(seen.zone)})")
        rows.append(f"{total.requests:,} requests, {rate(total.requests, seen.length):,.1f}/s;"
                    f" {total.bytes / 1e6:,.1f} MB, {rate(total.bytes / 1000, seen.length):,.1f} kB/s;"
                    f" 5xx {total.server_errors:,}, 4xx {total.client_errors:,}, 499 {total.gone:,}")  # fmt: skip
    return "\n".join(rows)


def sums(seen: Traffic) -> dict[str, int]:
    """Return where every line went: ``lines`` is the sum of the three others, on every node."""
    return {
        "lines": sum(file.lines for file in seen.files),
        "counted": seen.total.requests,
        "not_of_format": seen.odd,
        "outside": sum(file.outside for file in seen.files),
    }


def evidence(seen: Traffic, found: list[Finding]) -> dict[str, Any]:
    """Return the values that stand in the record by name."""
    total = seen.total
    figures: dict[str, Any] = {
        "requests": total.requests,
        "bytes": total.bytes,
        "errors": total.server_errors,
        "client_errors": total.client_errors,
        "gone": total.gone,
        "lines": sums(seen),
        "seconds": seen.length,
        "requests_s": _rounded(rate(total.requests, seen.length)),
        "latency_ms": {name: _rounded(total.quantile(q)) for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))},
        "nodes": {host: node.total.requests for host, node in list(seen.nodes.items())[:MOST]},
        "status": _by_status(seen),
        "findings": count_by_severity(found),
        "unread": {host: f"{status}: {why}" for host, (status, why) in seen.failed.items()},
    }
    figures["latency_ms"]["max"] = total.most_ms if total.timed else None
    return figures


def _by_status(seen: Traffic) -> dict[str, int]:
    found: dict[str, int] = {}
    for (status, _), (requests, _, _) in sorted(seen.status.items()):
        found[status] = found.get(status, 0) + requests
    return found


def _rounded(value: float) -> float | None:
    return None if value != value else round(value, 1)  # noqa: PLR0124  (NaN differs from itself)
