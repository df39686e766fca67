"""Freeze windows: when nothing may be changed. Rules without I/O.

A window is written with a zone and without cron: once from a date to a date, weekly from a weekday to a weekday, or
daily from an hour to an hour. Its begin belongs to it, its end does not. Where a clock is set back, an hour that exists
twice belongs to the window both times.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from opsnb.base.errors import ParameterError

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHORTEST = 3  # letters of a weekday
CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
DATE_T = re.compile(r"^([0-9-]{10})T")
MAX_AHEAD = 400 * 86400.0  # seconds that anybody may ask to be free of freezes
WEEK = 7  # days


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One end of a window: a clock time on a date, on a weekday, or on every day."""

    clock: time
    day: date | None = None
    weekday: int | None = None  # 0 is Monday

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Read ``2026-12-30 18:00``, ``2026-12-30T18:00``, ``Fri 18:00``, ``18:00``.

        Raises:
            ParameterError: If it is none of them.
        """
        day, _, clock = DATE_T.sub(r"\1 ", text.strip()).rpartition(" ")
        day, match = day.strip().lower(), CLOCK.fullmatch(clock)
        weekday = [n for n, name in enumerate(WEEKDAYS) if len(day) >= SHORTEST and name.startswith(day)]
        if match:
            at = time(int(match[1]), int(match[2]))
            if not day:
                return cls(clock=at)
            if weekday:
                return cls(clock=at, weekday=weekday[0])
            with contextlib.suppress(ValueError):
                return cls(clock=at, day=date.fromisoformat(day))
        raise ParameterError(f"{text[:40]!r} is not a moment", hint="write 2026-12-30 18:00, Fri 18:00 or 18:00")

    @property
    def kind(self) -> str:
        """``once``, ``weekly`` or ``daily``."""
        return "once" if self.day else "weekly" if self.weekday is not None else "daily"


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """One window in which nothing may be changed.

    Args:
        name: What people call it.
        begin: Its begin.
        end: Its end, of the same kind; not part of it.
        zone: Name of the time zone in which both are meant.
        why: What people are told.
    """

    name: str
    begin: Moment
    end: Moment
    zone: str = "UTC"
    why: str = ""

    def windows(self, begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Return the windows, begin and end in UTC, that overlap ``[begin, end)``; oldest first."""
        zone = ZoneInfo(self.zone)
        for first, last in self._days(begin.astimezone(zone).date(), end.astimezone(zone).date()):
            opens = datetime.combine(first, self.begin.clock, zone).astimezone(UTC)
            closing = datetime.combine(last, self.end.clock, zone)
            closes = max(closing.replace(fold=fold).astimezone(UTC) for fold in (0, 1))  # the later of an hour twice
            if opens < end and begin < closes:
                yield opens, closes

    def _days(self, first: date, last: date) -> Iterator[tuple[date, date]]:
        """The local dates on which windows near ``first … last`` begin and end."""
        if self.begin.day and self.end.day:
            yield self.begin.day, self.end.day
            return
        day = first - timedelta(days=WEEK + 1)
        while day <= last + timedelta(days=1):
            if self.begin.weekday is None:
                yield day, day + timedelta(days=int(self.end.clock <= self.begin.clock))
            elif day.weekday() == self.begin.weekday:
                days = ((self.end.weekday or 0) - self.begin.weekday) % WEEK
                again = days == 0 and self.end.clock <= self.begin.clock
                yield day, day + timedelta(days=days + WEEK * again)
            day += timedelta(days=1)


def blocked(freezes: Iterable[Freeze], begin: datetime, seconds: float = 0.0) -> str:
    """Return why something that takes ``seconds`` may not begin at ``begin``; empty: no freeze stands against it.

    Args:
        freezes: The windows that apply.
        begin: When it would begin.
        seconds: How long it may take: a change must be over before a freeze begins.
    """
    end = begin + timedelta(seconds=min(max(seconds, 1.0), MAX_AHEAD))
    found = [(opens, closes, f) for f in freezes for opens, closes in f.windows(begin, end)]
    if not found:
        return ""
    opens, closes, freeze = min(found, key=lambda row: (row[0] > begin, row[0], row[2].name))
    why = f": {freeze.why}" if freeze.why else ""
    if opens <= begin:
        return f"freeze '{freeze.name}' holds until {_local(closes, freeze)}{why}"
    return f"freeze '{freeze.name}' begins at {_local(opens, freeze)}, and the run may take {seconds:.0f} s{why}"


def _local(moment: datetime, freeze: Freeze) -> str:
    return f"{moment.astimezone(ZoneInfo(freeze.zone)):%Y-%m-%d %H:%M} {freeze.zone}"
