"""Counts by period: how many entries and which verdicts, in steps that suit the trail's span. Rules without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pandas as pd

from opsnb.kits.audit.coverage import RunLife
from opsnb.kits.audit.entries import Entry

MINUTE, HOUR, DAY = 60, 3600, 86_400  # seconds
STEPS = (MINUTE, 10 * MINUTE, HOUR, DAY, 7 * DAY)
MOST = 62  # periods that a plot shows side by side
ORDER = ("DONE", "PLANNED", "NOT_APPLICABLE", "DRIFTED", "FAILED", "ABORTED", "LOST", "unrecorded")


def step_of(moments: Sequence[datetime]) -> int:
    """Return the length of a period in seconds: the shortest of ``STEPS`` that needs at most ``MOST``, else weeks."""
    if not moments:
        return STEPS[0]
    span = max(moments).timestamp() - min(moments).timestamp()
    for step in STEPS:
        if span / step < MOST - 1:
            return step
    return STEPS[-1] * (int(span // (STEPS[-1] * (MOST - 1))) + 1)


def step_name(step: int) -> str:
    """Return a period in words: ``minute``, ``10 minutes``, ``hour``, ``day``, ``3 weeks``."""
    for name, size in (("week", 7 * DAY), ("day", DAY), ("hour", HOUR), ("minute", MINUTE)):
        if step % size == 0:
            count = step // size
            return name if count == 1 else f"{count} {name}s"
    return f"{step} s"


def entries_by_period(entries: Sequence[Entry]) -> pd.DataFrame:
    """Return columns named after the period (its start, UTC), ``entries`` and ``in all``, a row for each period."""
    step = step_of([entry.at for entry in entries])
    counts = Counter(_period(entry.at, step) for entry in entries)
    rows, total = [], 0
    for period in _periods(counts, step):
        total += counts[period]
        rows.append((_text(period, step), counts[period], total))
    return pd.DataFrame(rows, columns=[step_name(step), "entries", "in all"])


def verdicts_by_period(ended: Iterable[RunLife]) -> pd.DataFrame:
    """Return a column named after the period (its start, UTC) and one for each verdict that occurs, a row a period."""
    lives = [life for life in ended if life.finished]
    step = step_of([life.finished for life in lives if life.finished])
    counts = Counter((_period(life.finished, step), verdict_of(life)) for life in lives if life.finished)
    verdicts = ordered(verdict for _, verdict in counts)
    rows = [[_text(p, step), *(counts[p, v] for v in verdicts)] for p in _periods([p for p, _ in counts], step)]
    return pd.DataFrame(rows, columns=[step_name(step), *verdicts])


def verdict_of(life: RunLife) -> str:
    """Return a run's verdict; a run whose end alone is known is ``unrecorded``."""
    return life.verdict or ORDER[-1]


def ordered(verdicts: Iterable[str]) -> list[str]:
    """Return the different verdicts, good ones first."""
    return sorted(set(verdicts), key=lambda v: (ORDER.index(v) if v in ORDER else len(ORDER), v))


def _period(moment: datetime, step: int) -> int:
    return int(moment.timestamp() // step)


def _periods(found: Iterable[int], step: int) -> range:
    known = list(found)
    return range(min(known), max(known) + 1) if known and step else range(0)


def _text(period: int, step: int) -> str:
    moment = datetime.fromtimestamp(period * step, UTC)
    return f"{moment:%Y-%m-%d}" if step >= DAY else f"{moment:%m-%d %H:%M}"
