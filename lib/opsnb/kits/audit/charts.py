"""Plots of a trail, without pyplot, readable on a phone and in grey."""

from __future__ import annotations

from typing import Any

import pandas as pd

WIDTH, HEIGHT = 4.8, 3.2  # inches: text of 10 points can still be read when a phone shrinks it to its width
BLUE, DARK, GREY = "#9dc3e6", "#173a5e", "#c9ced6"
COLOURS = {
    "DONE": "#2f6fb2", "PLANNED": "#9dc3e6", "NOT_APPLICABLE": "#c9ced6", "DRIFTED": "#e0b01e", "FAILED": "#c0392b",
    "ABORTED": "#e08a1e", "LOST": "#5b1a12", "unrecorded": "#7d5ba6",
}  # fmt: skip
TICKS = 4  # labels under a time axis
TEN = 10


def entries_chart(periods: pd.DataFrame) -> Any:
    """Return a figure: entries in each period as bars, and all entries until then as a line.

    Args:
        periods: Of :func:`opsnb.kits.audit.periods.entries_by_period`.
    """
    figure, axes = _figure()
    places = range(len(periods))
    axes.bar(places, periods["entries"], color=BLUE, label="in the period (left)")
    total = axes.twinx()
    total.plot(places, periods["in all"], color=DARK, marker="." if len(periods) <= TEN else "", label="in all (right)")
    total.set_ylim(0, max([*periods["in all"], 1]) * 1.08)
    total.spines[["top"]].set_visible(False)
    _whole_numbers(total)
    _finish(figure, axes, periods, "Entries of the ledger")
    return figure


def verdicts_chart(periods: pd.DataFrame) -> Any:
    """Return a figure: runs that ended in each period, stacked by verdict.

    Args:
        periods: Of :func:`opsnb.kits.audit.periods.verdicts_by_period`.
    """
    figure, axes = _figure()
    base = pd.Series(0, index=periods.index)
    for verdict in periods.columns[1:]:
        name = verdict if verdict in COLOURS else "other"
        axes.bar(range(len(periods)), periods[verdict], bottom=base, color=COLOURS.get(verdict, GREY), label=name)
        base = base + periods[verdict]
    _finish(figure, axes, periods, "Runs that ended, by verdict")
    return figure


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    return figure, figure.subplots()


def _whole_numbers(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def _finish(figure: Any, axes: Any, periods: pd.DataFrame, title: str) -> None:
    count = len(periods)
    places = sorted({round(i * (count - 1) / (TICKS - 1)) for i in range(TICKS)}) if count else []
    axes.set_xticks(places, labels=[str(periods.iloc[i, 0]) for i in places], fontsize=9)
    axes.set_xlim(-0.8, max(count, 6) - 0.2)  # few bars stay narrow
    axes.grid(axis="y", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _whole_numbers(axes)
    axes.set_title(f"{title}, by {periods.columns[0]}", loc="left", fontsize=11)
    if count:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
