"""What is counted of requests, exact when added over files and hosts; latencies as histograms. Pure.

A histogram's bucket ``b`` holds times from ``GROWTH ** (b - 1)`` to ``GROWTH ** b`` milliseconds, bucket 0 those that
nginx wrote as ``0.000``. A quantile is the geometric middle of the bucket with the request of rank ``ceil(q * n)``:
at most ``sqrt(GROWTH) - 1``, 3 %, away from the exact one. The largest time is exact.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opsnb.kits.nginx.access.program import GROWTH

ERROR = math.sqrt(GROWTH) - 1  # relative error of a quantile, at most
WIDTHS = (1, 5, 15, 60, 300, 900, 3600, 21_600, 86_400)  # seconds of a step; then doubled


@dataclass(kw_only=True)
class Count:
    """Requests and what is known of them.

    Args:
        requests: How many.
        bytes: Sent.
        client_errors: With a status from 400 to 498.
        server_errors: With a status from 500.
        gone: With 499: the client closed before the answer.
        ms: Sum of the times in milliseconds.
        most_ms: The longest time; -1 where none was logged.
        missed: How many more there may have been before it was counted.
        histogram: Bucket to requests with a time in it.
    """

    requests: int = 0
    bytes: int = 0
    client_errors: int = 0
    server_errors: int = 0
    gone: int = 0
    ms: int = 0
    most_ms: int = -1
    missed: int = 0
    histogram: Counter[int] = field(default_factory=Counter)

    def add(self, other: Count) -> None:
        """Add another count to this one."""
        self.requests += other.requests
        self.bytes += other.bytes
        self.client_errors += other.client_errors
        self.server_errors += other.server_errors
        self.gone += other.gone
        self.ms += other.ms
        self.most_ms = max(self.most_ms, other.most_ms)
        self.missed += other.missed
        self.histogram.update(other.histogram)

    @property
    def timed(self) -> int:
        """Requests whose time was logged."""
        return self.histogram.total()

    @property
    def mean_ms(self) -> float:
        """Mean of the times; NaN where none was logged."""
        return self.ms / self.timed if self.timed else math.nan

    def quantile(self, q: float) -> float:
        """Return a quantile of the times in milliseconds, at most ``ERROR`` off; NaN where none was logged."""
        wanted = max(1, math.ceil(q * self.timed))
        seen = 0
        for bucket in sorted(self.histogram):
            seen += self.histogram[bucket]
            if seen >= wanted:
                return min(middle(bucket), float(self.most_ms))
        return math.nan

    def share(self, of: str) -> float:
        """Return a kind of error as % of the requests."""
        return 100.0 * int(getattr(self, of)) / self.requests if self.requests else 0.0


def middle(bucket: int) -> float:
    """Return what stands for a bucket, in milliseconds."""
    return GROWTH ** (bucket - 0.5) if bucket else 0.0


@dataclass(kw_only=True)
class Table:
    """Counts by name, bounded.

    Args:
        rows: Name to count.
        others: What was given up for want of room; its requests are in no row.
        floor: A name that is not in ``rows`` was seen at most so often.
    """

    rows: dict[str, Count] = field(default_factory=dict)
    others: Count = field(default_factory=Count)
    floor: int = 0

    def add(self, other: Table) -> None:
        """Add another table; a name that one of the two lacks may have been missed there."""
        for name, count in self.rows.items():
            if name not in other.rows:
                count.missed += other.floor
        for name, count in other.rows.items():
            mine = self.rows.get(name)
            if mine is None:
                mine = self.rows[name] = Count(missed=self.floor)
            mine.add(count)
        self.others.add(other.others)
        self.floor += other.floor

    @property
    def total(self) -> Count:
        """Everything, exact."""
        found = Count()
        for count in (*self.rows.values(), self.others):
            found.add(count)
        found.missed = 0
        return found


@dataclass(kw_only=True)
class Series:
    """Counts over time.

    Args:
        width: Seconds of a step.
        steps: Seconds since 1970 divided by ``width`` to count; ``None`` holds requests whose format has no time.
    """

    width: int = 1
    steps: dict[int | None, Count] = field(default_factory=dict)

    def add(self, other: Series) -> None:
        """Add another series; the wider step of the two stays."""
        wider = max(self.width, other.width)
        for series in (self, other):
            series.widen(wider)
        for step, count in other.steps.items():
            self.steps.setdefault(step, Count()).add(count)

    def widen(self, width: int) -> None:
        """Make steps wider; ``width`` is a multiple of the width that it has."""
        if width == self.width:
            return
        factor = width // self.width
        found: dict[int | None, Count] = {}
        for step, count in self.steps.items():
            found.setdefault(None if step is None else step // factor, Count()).add(count)
        self.width, self.steps = width, found

    @property
    def total(self) -> Count:
        """Everything, exact."""
        return summed(self.steps.values())


def summed(counts: Iterable[Count]) -> Count:
    """Return the sum of counts."""
    found = Count()
    for count in counts:
        found.add(count)
    return found


def merged(tables: Iterable[Mapping[str, int]]) -> Counter[str]:
    """Return the sum of plain tables."""
    found: Counter[str] = Counter()
    for table in tables:
        found.update(table)
    return found
