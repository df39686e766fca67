"""The odd host out: on which host a figure is far from what the others show.

Rule: the modified z-score of Iglewicz and Hoaglin ("How to Detect and Handle Outliers", ASQC 1993; NIST/SEMATECH
e-Handbook of Statistical Methods, 1.3.5.17): ``0.6745 * (x - median) / MAD`` beyond 3.5. MAD is the median of the
distances from the median. Where more than half of the hosts agree exactly it is 0, and the mean of the distances takes
its place: ``(x - median) / (1.253314 * mean distance)``. Median and MAD are not moved by the odd host itself, as mean
and standard deviation are. A difference that nobody would act on (``least``) is never odd.
Under 4 hosts nothing is judged, because two or three values have no middle to be far from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from opsnb.base.errors import OpsnbError
from opsnb.kits.linux import sockets
from opsnb.kits.linux.reading import HostReading

CUT = 3.5  # modified z-score
MAD_FACTOR, MEAN_FACTOR = 0.6745, 1.253314  # both make the score a standard deviation's on normal values
ENOUGH = 4  # hosts
COLUMNS = ["host", "what", "value", "others", "score", "unit"]
RULE = (
    "Rule: modified z-score 0.6745 * (x - median) / MAD beyond 3.5 (Iglewicz and Hoaglin 1993;\n"
    "NIST e-Handbook 1.3.5.17), and a difference that matters. 'others' is the median of all hosts."
)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number of a host that is compared.

    Args:
        what: Its name.
        unit: Its unit.
        least: The smallest distance from the median that anybody would act on.
        of: Takes it from a reading.
    """

    what: str
    unit: str
    least: float
    of: Callable[[HostReading], float]


def _tcp(state: str) -> Callable[[HostReading], float]:
    return lambda r: float((r.sockets["state"] == state).sum())


FIGURES = (
    Figure(what="CPU busy", unit="%", least=15, of=lambda r: r.cpu_usage["busy_percent"].iloc[0]),
    Figure(what="CPU iowait", unit="%", least=5, of=lambda r: r.cpu_usage["iowait_percent"].iloc[0]),
    Figure(what="CPU steal", unit="%", least=5, of=lambda r: r.cpu_usage["steal_percent"].iloc[0]),
    Figure(what="load for each CPU", unit="tasks", least=0.5, of=lambda r: r.load.one / r.cpu.logical),
    Figure(what="memory in use", unit="%", least=10, of=lambda r: 100 - r.memory.available_percent),
    Figure(what="swap in use", unit="%", least=10, of=lambda r: r.memory.swap_used_percent),
    Figure(what="fullest file system", unit="%", least=10, of=lambda r: r.disks["used_percent"].max()),
    Figure(what="received packets", unit="packets/s", least=500, of=lambda r: _outside(r, "receive_packets_s")),
    Figure(what="received data", unit="kB/s", least=500, of=lambda r: _outside(r, "receive_kb_s")),
    Figure(what="sent data", unit="kB/s", least=500, of=lambda r: _outside(r, "transmit_kb_s")),
    Figure(what="connections established", unit="connections", least=100, of=_tcp("ESTABLISHED")),
    Figure(what="connections half open", unit="connections", least=50, of=_tcp("SYN_RECV")),
    Figure(what="connections in CLOSE_WAIT", unit="connections", least=30, of=_tcp("CLOSE_WAIT")),
    Figure(what="listening ports", unit="ports", least=3, of=lambda r: len(sockets.listening_ports(r.sockets))),
    Figure(what="processes", unit="processes", least=50, of=lambda r: len(r.processes)),
    Figure(what="blocked processes", unit="processes", least=3, of=lambda r: (r.processes["state"] == "blocked").sum()),
)


def standouts(readings: Mapping[str, HostReading]) -> pd.DataFrame:
    """Return where a host is far from the others, farthest first; empty on fewer than ``ENOUGH`` hosts.

    Columns: ``host``, ``what``, ``value``, ``others`` (the median), ``score`` (modified z-score), ``unit``.
    """
    rows = []
    for figure in FIGURES:
        values = {host: v for host, r in readings.items() if (v := _value(figure, r)) is not None}
        middle, scores = scored(values, figure.least)
        rows += [(host, figure.what, values[host], middle, score, figure.unit) for host, score in scores.items()]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.sort_values("score", key=abs, ascending=False, kind="stable", ignore_index=True)


def scored(values: Mapping[str, float], least: float = 0.0) -> tuple[float, dict[str, float]]:
    """Return the median, and the score of every host beyond ``CUT`` that is more than ``least`` away from it."""
    if len(values) < ENOUGH:
        return float("nan"), {}
    series = pd.Series(dict(values), dtype=float)
    middle = float(series.median())
    distance = series - middle
    mad, mean = float(distance.abs().median()), float(distance.abs().mean())
    spread = mad / MAD_FACTOR if mad else mean * MEAN_FACTOR
    if not spread:
        return middle, {}
    scores = distance / spread
    odd = scores[(scores.abs() > CUT) & (distance.abs() > least)]
    return middle, {str(host): float(score) for host, score in odd.items()}


def standout_text(readings: Mapping[str, HostReading]) -> str:
    """Return the rule, and whether it was applied at all."""
    if len(readings) < ENOUGH:
        return f"{len(readings)} of the {ENOUGH} hosts that this wants were read: nobody was judged to be odd.\n{RULE}"
    return f"{len(readings)} hosts compared in {len(FIGURES)} figures.\n{RULE}"


def _value(figure: Figure, reading: HostReading) -> float | None:
    try:
        value = float(figure.of(reading))
    except OpsnbError:  # that section could not be read, which is a finding
        return None
    return None if value != value else value  # noqa: PLR0124  (NaN differs from itself)


def _outside(reading: HostReading, column: str) -> float:
    rates = reading.network
    return float(rates[rates["interface"] != "lo"][column].sum())
