"""Which part of the logs counts: the last minutes by the host's clock, or from one time to another. Pure.

A time without a zone is the log's own: 09:00 is what stands in its lines. With ``Z`` or ``+08:00`` it is that moment.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from opsnb.base.errors import UsageError

EXAMPLE = "2026-11-26 09:00, 2026-11-26T09:00:30+08:00 or 2026-11-26"


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of time.

    Args:
        since: Its first second since 1970; ``None`` when it has no beginning.
        until: The second behind its last; ``None`` when it has no end.
        wall: Whether both are times of day as they stand in the log, whatever its zone.
        minutes: The last minutes, instead of both.
    """

    since: int | None = None
    until: int | None = None
    wall: bool = False
    minutes: int = 0

    @property
    def text(self) -> str:
        """What it is, in words."""
        if self.minutes:
            return f"the last {self.minutes} minutes by each host's clock"
        if self.since is None and self.until is None:
            return "everything in the logs"
        zone = "in the logs' own zone" if self.wall else "UTC"
        sides = [f"{word} {_shown(at)}" for word, at in (("from", self.since), ("until", self.until)) if at is not None]
        return " ".join([*sides, zone])


def window(since: str = "", until: str = "", minutes: int = 0) -> Window:
    """Return a window.

    Raises:
        UsageError: If a time is none, the end is not after the beginning, or both ways are used.
    """
    if minutes and (since or until):
        raise UsageError("minutes and since or until cannot be said together", hint="one of the two")
    if minutes < 0:
        raise UsageError(f"minutes is {minutes}, and 0 or more are wanted")
    begin, end = _time("since", since), _time("until", until)
    given = [at for at in (begin, end) if at]
    if len({at.tzinfo is None for at in given}) > 1:
        raise UsageError(f"since '{since}' and until '{until}': one has a zone and the other has none")
    wall = bool(given) and given[0].tzinfo is None
    first, last = (_seconds(at) if at else None for at in (begin, end))
    if first is not None and last is not None and last <= first:
        raise UsageError(f"until '{until}' is not after since '{since}'")
    return Window(since=first, until=last, wall=wall, minutes=minutes)


def _time(name: str, text: str) -> dt.datetime | None:
    if not text.strip():
        return None
    try:
        return dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{name} is {text!r:.60}, which is no time", hint=EXAMPLE) from None


def _seconds(at: dt.datetime) -> int:
    known = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    return int(known.timestamp())


def _shown(at: int) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
