"""Plots of supervised processes: how long each has run, and how often Supervisor had to start it again."""

from __future__ import annotations

from typing import Any

from opsnb.kits.linux.charts import BAR, BLUE, GREY, MARGIN, RED, WIDTH, plain_label
from opsnb.kits.supervisor.survey import HOUR, Survey, uptime_text

MOST = 24  # processes that are told apart; the table has all
TICKS = {"1 s": 1 / 3600, "1 min": 1 / 60, "1 h": 1.0, "1 d": 24.0, "30 d": 720.0}  # name to hours


def uptime_chart(seen: Survey) -> Any:
    """Return a figure: a bar a process, hours that it has run, logarithmic; red where Supervisor restarted it.

    Returns text where there is nothing to draw.
    """
    from matplotlib.figure import Figure

    rows = seen.processes()[:MOST]
    if not rows:
        return "(no process)"
    figure = Figure(figsize=(WIDTH, MARGIN + BAR * len(rows)), layout="constrained")
    axes = figure.subplots()
    hours = [(process.uptime or 0) / HOUR for _, process, _ in rows]
    colours = [RED if life.restarts or process.uptime is None else BLUE for _, process, life in rows]
    bars = axes.barh(range(len(rows)), [max(value, 1e-4) for value in hours], color=colours)
    labels = [
        (uptime_text(process) if process.uptime is not None else process.state)
        + (f", {life.restarts} restart(s)" if life.restarts else "")
        for _, process, life in rows
    ]
    for text in axes.bar_label(bars, labels=labels, padding=4, fontsize=9):
        text.set_parse_math(False)
    axes.set_yticks(range(len(rows)), labels=[plain_label(f"{host} {process.name}") for host, process, _ in rows])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)  # a process called "$x$" is a name, not a formula
    axes.set_xscale("log")
    axes.set_xlim(1e-4, max([*hours, 1 / 60]) * 400)
    ticks = {name: at for name, at in TICKS.items() if at <= axes.get_xlim()[1]}
    axes.set_xticks(list(ticks.values()), labels=list(ticks))
    axes.minorticks_off()
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)
    left_out = len(seen.processes()) - len(rows)
    more = f" (worst first; {left_out} more)" if left_out else ""
    axes.set_title(f"Time since its start; red: restarted, or does not run{more}", loc="left", fontsize=10)
    return figure
