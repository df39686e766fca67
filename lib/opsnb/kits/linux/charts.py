"""Plots of one host: bars with the threshold drawn in, readable on a phone and in grey.

Figures are made without pyplot (no global state) and text from machines never reaches matplotlib's math parser or a
font that lacks its characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from opsnb.kits.linux.memory import Memory
from opsnb.kits.linux.sar import History
from opsnb.kits.linux.thresholds import Thresholds

WIDTH = 4.8  # inches: text of 10 points can still be read when a phone shrinks it to its width
BAR, MARGIN = 0.28, 1.15  # inches of height: for each bar, and for title, axis and legend
MAX_BARS = 32  # more are not told apart; the rest stands in the table
GREY, BLUE, ORANGE, RED, PURPLE = "#c9ced6", "#2f6fb2", "#e08a1e", "#c0392b", "#7d5ba6"
DAY = 1.6  # inches of height for a plot over a day
LINES = (BLUE, ORANGE, PURPLE, "#3a8f5c")  # interfaces that are drawn
FEW = 40  # samples: so few are drawn as dots too
LABEL_LENGTH = 22  # characters of a name beside a bar


def cpu_chart(usage: pd.DataFrame, thresholds: Thresholds | None = None) -> Any:
    """Return a figure: how each CPU spent the interval, % by kind; the busiest ``MAX_BARS`` where there are more.

    Args:
        usage: Of :func:`opsnb.kits.linux.cpu.cpu_usage`.
        thresholds: Limits; the one for busy CPUs is drawn.
    """
    limits = thresholds or Thresholds()
    single = usage.iloc[1:].nlargest(MAX_BARS - 1, "busy_percent", keep="all").head(MAX_BARS - 1)
    rows = pd.concat([usage.iloc[:1], single.sort_index()]).fillna(0)
    left_out = len(usage) - len(rows)
    figure, axes = _figure(len(rows))
    names = ["all CPUs" if c == "all" else f"CPU {c}" for c in rows["cpu"]]
    start = pd.Series(0.0, index=rows.index)
    for kind, colour in (("user", BLUE), ("system", ORANGE), ("iowait", RED), ("steal", PURPLE)):
        share = rows[f"{kind}_percent"]
        axes.barh(range(len(rows)), share, left=start, color=colour, label=kind)
        start = start + share
    _finish(axes, names, limit=limits.cpu_busy_percent, right=100)
    title = "CPU time, % of the interval" + (f" (the busiest; {left_out} more in the table)" if left_out > 0 else "")
    _label(figure, axes, title)
    return figure


def memory_chart(memory: Memory, thresholds: Thresholds | None = None) -> Any:
    """Return a figure: memory and swap in use, %, with the threshold for available memory."""
    limits = thresholds or Thresholds()
    names, used = ["memory"], [100 - memory.available_percent]
    if memory.swap_total:
        names, used = [*names, "swap"], [*used, memory.swap_used_percent]
    figure, axes = _figure(len(names))
    _levels(axes, used, warning=100 - limits.memory_available_percent)
    _finish(axes, names, limit=100 - limits.memory_available_percent, right=100)
    _label(figure, axes, f"Memory in use, % (of {memory.total / 1024:,.1f} GiB)")
    return figure


def disk_chart(disks: pd.DataFrame, thresholds: Thresholds | None = None) -> Any:
    """Return a figure: how full each file system is, %, fullest first; at most ``MAX_BARS``.

    Args:
        disks: Of :func:`opsnb.kits.linux.disks.disk_table`.
        thresholds: Limits; the warning is drawn.
    """
    limits = thresholds or Thresholds()
    rows = disks[disks["answered"]].head(MAX_BARS)
    figure, axes = _figure(len(rows))
    _levels(axes, list(rows["used_percent"]), warning=limits.disk_used_percent)
    _finish(axes, list(rows["mount"]), limit=limits.disk_used_percent, right=100)
    _label(figure, axes, "Space used, %")
    return figure


def network_chart(rates: pd.DataFrame, thresholds: Thresholds | None = None) -> Any:
    """Return a figure: packets/s received on each interface beside the suspect level, on a logarithmic axis.

    Args:
        rates: Of :func:`opsnb.kits.linux.network.network_rates`.
        thresholds: Limits; the one for received packets is drawn.
    """
    limits = thresholds or Thresholds()
    rows = rates.head(MAX_BARS).fillna(0)
    figure, axes = _figure(len(rows))
    values = list(rows["receive_packets_s"])
    _levels(axes, values, warning=limits.receive_packets_s, form="{:,.0f}")
    axes.set_xscale("symlog", linthresh=1)
    _finish(axes, list(rows["interface"]), limit=limits.receive_packets_s,
            right=max([*values, limits.receive_packets_s]) * 10)  # fmt: skip
    _label(figure, axes, "Received, packets/s (logarithmic)")
    return figure


def hosts_chart(values: pd.Series[float], *, limit: float, title: str, logarithmic: bool = False) -> Any:
    """Return a figure: one bar for each host, the largest ``MAX_BARS``, with the threshold.

    Args:
        values: Figure by host, in the order in which it is drawn.
        limit: The threshold.
        title: What it is, with the unit.
        logarithmic: Whether the axis is.
    """
    rows = values.head(MAX_BARS)
    left_out = len(values) - len(rows)
    figure, axes = _figure(len(rows))
    numbers = [float(v) for v in rows]
    _levels(axes, numbers, warning=limit, form="{:,.0f}")
    if logarithmic:
        axes.set_xscale("symlog", linthresh=1)
    right = max([*numbers, limit]) * 10 if logarithmic else 100
    _finish(axes, [str(name) for name in rows.index], limit=limit, right=right)
    _label(figure, axes, title + (f" (largest; {left_out} more)" if left_out > 0 else ""))
    return figure


def history_chart(history: History, thresholds: Thresholds | None = None) -> Any:
    """Return a figure of a day: CPU busy, and packets/s received on the busiest interfaces, over time.

    Args:
        history: What sysstat collected.
        thresholds: Limits; those for busy CPUs and received packets are drawn.
    """
    from matplotlib.figure import Figure

    limits = thresholds or Thresholds()
    figure = Figure(figsize=(WIDTH, 2 * MARGIN + DAY), layout="constrained")
    above, below = figure.subplots(2)
    _line(above, history.cpu, "busy_percent", "CPU busy", BLUE)
    above.axhline(limits.cpu_busy_percent, color=RED, linestyle="--", linewidth=1.2)
    above.set_ylim(0, 105)
    _day(above, history.cpu, "CPU busy, %")
    peaks = history.network.groupby("interface")["receive_packets_s"].max().nlargest(len(LINES))
    for name, colour in zip(peaks.index, LINES, strict=False):
        rows = history.network[history.network["interface"] == name]
        _line(below, rows, "receive_packets_s", plain_label(str(name)), colour)
    below.axhline(limits.receive_packets_s, color=RED, linestyle="--", linewidth=1.2)
    below.set_yscale("symlog", linthresh=1)
    below.set_ylim(0, max([*peaks, limits.receive_packets_s]) * 10)
    _day(below, history.network, "Received, packets/s (logarithmic)")
    if len(peaks):
        shown = below.get_legend_handles_labels()
        legend = figure.legend(*shown, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
        for label in legend.get_texts():
            label.set_parse_math(False)  # an interface called "$x$" is a name, not a formula
    return figure


def _line(axes: Any, frame: pd.DataFrame, column: str, name: str, colour: str) -> None:
    times = pd.to_datetime(frame["time"].str[:19], errors="coerce")
    axes.plot(times, frame[column], color=colour, linewidth=1.4, label=name, marker="." if len(frame) < FEW else None)


def _day(axes: Any, frame: pd.DataFrame, title: str) -> None:
    from matplotlib.dates import DateFormatter

    zone = str(frame["time"].iloc[0])[20:] if len(frame) else ""
    axes.set_title(f"{title}, {zone}" if zone else title, loc="left", fontsize=11)
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(color=GREY, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def plain_label(text: str) -> str:
    """Return a name that any font can draw: ASCII, at most ``LABEL_LENGTH`` characters, its end kept."""
    plain = text.encode("unicode_escape", "backslashreplace").decode("ascii")
    return plain if len(plain) <= LABEL_LENGTH else "..." + plain[-(LABEL_LENGTH - 3) :]


def _figure(bars: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, MARGIN + BAR * max(bars, 1)), layout="constrained")
    return figure, figure.subplots()


def _levels(axes: Any, values: Sequence[float], *, warning: float, form: str = "{:.0f} %") -> None:
    colours = [RED if value > warning else BLUE for value in values]
    bars = axes.barh(range(len(values)), values, color=colours)
    axes.bar_label(bars, labels=[form.format(v) for v in values], padding=4, fontsize=9)


def _finish(axes: Any, names: Sequence[str], *, limit: float, right: float) -> None:
    axes.axvline(limit, color=RED, linestyle="--", linewidth=1.2, label=f"threshold {limit:,.0f}")
    axes.set_yticks(range(len(names)), labels=[plain_label(n) for n in names])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)  # "/data$1$" is a name, not a formula
    axes.set_xlim(0, right * 1.08)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)


def _label(figure: Any, axes: Any, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
