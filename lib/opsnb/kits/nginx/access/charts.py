"""Plots of traffic over time, a line for each node: requests, errors, bandwidth, latency."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from opsnb.kits.linux.charts import FEW, GREY, WIDTH, plain_label
from opsnb.kits.nginx.access.counts import Count, Series
from opsnb.kits.nginx.access.tables import zone_text
from opsnb.kits.nginx.access.traffic import Traffic

COLOURS = ("#2f6fb2", "#e08a1e", "#7d5ba6", "#3a8f5c", "#c0392b", "#5f6b7a")  # one a node; further ones are grey
DASHES = ("-", "--", "-.", ":", "-", "--")  # told apart in grey print too
PANEL = 1.7  # inches of height
NOTHING = "(no request was counted: there is nothing to plot)"
LEAST = 5  # requests of a step before its percentiles are drawn

Value = Callable[[Count, int], float]


def traffic_chart(seen: Traffic) -> Any:
    """Return a figure over time: requests/s, errors (5xx)/s, MB/s, a line for each node; words when there is none."""
    panels: list[tuple[str, Value]] = [
        ("Requests/s", lambda count, width: count.requests / width),
        ("Errors (5xx)/s", lambda count, width: count.server_errors / width),
        ("MB/s", lambda count, width: count.bytes / 1e6 / width),
    ]
    return _figure(seen, panels)


def latency_chart(seen: Traffic) -> Any:
    """Return a figure over time: p50 and p99 in milliseconds, a line for each node; words when there is none."""
    panels: list[tuple[str, Value]] = [
        ("p50, ms", lambda count, _: count.quantile(0.5) if count.timed >= LEAST else float("nan")),
        ("p99, ms", lambda count, _: count.quantile(0.99) if count.timed >= LEAST else float("nan")),
    ]
    return _figure(seen, panels)


def _figure(seen: Traffic, panels: list[tuple[str, Value]]) -> Any:
    from matplotlib.figure import Figure

    series = {host: seen.series(host) for host in seen.nodes}
    if not any(_filled(one) for one in series.values()):
        return NOTHING
    figure = Figure(figsize=(WIDTH, 0.7 + PANEL * len(panels)), layout="constrained")
    every = figure.subplots(len(panels), sharex=True)
    for axes, (title, value) in zip(every, panels, strict=True):
        for number, (host, one) in enumerate(series.items()):
            _line(axes, one, value, host, number, seen.zone)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_ylim(bottom=0)
        axes.grid(color=GREY, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    _times(every[-1], seen)
    handles, labels = every[0].get_legend_handles_labels()
    legend = figure.legend(handles[: len(COLOURS)], labels[: len(COLOURS)], loc="outside lower center", ncols=3,
                           frameon=False, fontsize=9)  # fmt: skip
    for label in legend.get_texts():
        label.set_parse_math(False)
    return figure


def _line(axes: Any, series: Series, value: Value, host: str, number: int, zone: int) -> None:
    points = _filled(series)
    if not points:  # matplotlib takes no dates for a wrong year
        return
    colour = COLOURS[number] if number < len(COLOURS) else GREY
    times = [_moment(step * series.width + zone) for step, _ in points]
    values = [value(count, series.width) for _, count in points]
    axes.plot(times, values, color=colour, linestyle=DASHES[number % len(DASHES)], linewidth=1.4,
              label=plain_label(host), marker="." if len(points) < FEW else None)  # fmt: skip


def _filled(series: Series) -> list[tuple[int, Count]]:
    """Return the steps in their order, with a zero on either side of a gap: no requests are drawn as none."""
    points: list[tuple[int, Count]] = []
    for step in sorted(step for step in series.steps if step is not None):
        if points and step - points[-1][0] > 1:
            points.append((points[-1][0] + 1, Count()))
            if step - points[-1][0] > 1:
                points.append((step - 1, Count()))
        points.append((step, series.steps[step]))
    return points


def _times(axes: Any, seen: Traffic) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_xlabel(f"time, {zone_text(seen.zone)}", fontsize=9)


def _moment(second: int) -> dt.datetime:
    least, most = 0, 253_402_300_799  # matplotlib draws the years up to 9999
    moment = dt.datetime.fromtimestamp(min(most, max(least, second)), dt.UTC)
    return moment.replace(tzinfo=None)
