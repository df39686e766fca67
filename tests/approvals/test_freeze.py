"""Freeze windows: when they hold, when there is too little time before one, and what becomes of changed clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import ParameterError
from opsnb.base.i18n import CHINESE, retell
from opsnb.control.approvals.freeze import Freeze, Moment, blocked

SHANGHAI = "Asia/Shanghai"
BERLIN = "Europe/Berlin"


def freeze(begin, end, zone="UTC", name="f"):
    """Return a window as it is written."""
    return Freeze(name=name, begin=Moment.parse(begin), end=Moment.parse(end), zone=zone)


def at(text, zone="UTC"):
    """Return a moment in a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


ONCE = freeze("2026-12-30 18:00", "2027-01-03 08:00", SHANGHAI)
WEEKEND = freeze("Fri 18:00", "Mon 08:00", SHANGHAI)
NIGHT = freeze("22:00", "06:00", BERLIN)
NOON = freeze("12:00", "13:00")
WHOLE_WEEK = freeze("Mon 08:00", "Mon 07:59")


@pytest.mark.parametrize(
    ("window", "moment", "zone", "frozen"),
    [
        (ONCE, "2026-12-30T17:59:59", SHANGHAI, False),
        (ONCE, "2026-12-30T18:00", SHANGHAI, True),
        (ONCE, "2027-01-03T07:59:59", SHANGHAI, True),
        (ONCE, "2027-01-03T08:00", SHANGHAI, False),
        (ONCE, "2026-12-30T10:00", "UTC", True),
        (WEEKEND, "2026-11-27T17:59:59", SHANGHAI, False),  # a Friday
        (WEEKEND, "2026-11-27T18:00", SHANGHAI, True),
        (WEEKEND, "2026-11-29T12:00", SHANGHAI, True),
        (WEEKEND, "2026-11-30T07:59:59", SHANGHAI, True),
        (WEEKEND, "2026-11-30T08:00", SHANGHAI, False),
        (NIGHT, "2026-11-26T21:59:59", BERLIN, False),
        (NIGHT, "2026-11-26T22:00", BERLIN, True),
        (NIGHT, "2026-11-27T05:59:59", BERLIN, True),
        (NIGHT, "2026-11-27T06:00", BERLIN, False),
        (NIGHT, "2026-07-27T22:00", BERLIN, True),
        (NOON, "2026-11-26T12:30", "UTC", True),
        (NOON, "2026-11-26T13:00", "UTC", False),
        (WHOLE_WEEK, "2026-11-30T07:59", "UTC", False),
        (WHOLE_WEEK, "2026-11-30T07:58:59", "UTC", True),
        (WHOLE_WEEK, "2026-11-30T08:00", "UTC", True),
    ],
)
def test_when_it_holds(window, moment, zone, frozen):
    """The begin belongs to a window, the end does not, both in its own zone."""
    assert (blocked([window], at(moment, zone), 1) != "") is frozen


def test_enough_time_has_to_be_left():
    """A change that could reach into a window is refused before it, with the time at which the window begins."""
    begin = at("2026-11-27T17:00", SHANGHAI)
    assert blocked([WEEKEND], begin, 3600) == ""
    says = "freeze 'f' begins at 2026-11-27 18:00 Asia/Shanghai, and the run may take 3601 s"
    assert blocked([WEEKEND], begin, 3601) == says
    assert retell(says, CHINESE) == "冻结窗口“f”将于 2026-11-27 18:00 Asia/Shanghai 开始，而本次运行最长需要 3601 秒"


def test_people_are_told_why():
    """What a window says about itself is told with it, before it and in it."""
    window = replace(WEEKEND, why="closing of the books")
    for moment in ("2026-11-27T17:00", "2026-11-28T08:00"):
        says = blocked([window], at(moment, SHANGHAI), 7200)
        assert says.endswith(": closing of the books")
        assert says.startswith(blocked([WEEKEND], at(moment, SHANGHAI), 7200))
        assert retell(says, CHINESE).endswith("：closing of the books")


def test_what_holds_now_is_said_first():
    """Of several windows the one that holds is named, with its end."""
    soon = freeze("2026-11-28 09:00", "2026-11-28 10:00", name="a")
    says = blocked([soon, WEEKEND], at("2026-11-28T08:00"), 7200)
    assert says == "freeze 'f' holds until 2026-11-30 08:00 Asia/Shanghai"
    assert retell(says, CHINESE) == "冻结窗口“f”持续到 2026-11-30 08:00 Asia/Shanghai"


def test_an_hour_that_exists_twice_is_frozen_twice():
    """In the night in which clocks are set back, 02:00 to 03:00 is two hours long."""
    window = freeze("02:00", "03:00", BERLIN)  # 2026-10-25: 03:00 CEST becomes 02:00 CET
    first = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    frozen = [bool(blocked([window], first + timedelta(minutes=30 * n), 1)) for n in range(-1, 5)]
    assert frozen == [False, True, True, True, True, False]
    window = freeze("01:30", "02:30", BERLIN)  # 02:30 comes twice: it ends at the second
    frozen = [bool(blocked([window], first + timedelta(minutes=30 * n), 1)) for n in range(-2, 4)]
    assert frozen == [False, True, True, True, True, False]


def test_an_hour_that_does_not_exist():
    """In the night in which clocks are set forward a window inside the gap is as long as ever, and just after it."""
    window = freeze("02:10", "02:50", BERLIN)  # 2027-03-28: 02:00 CET becomes 03:00 CEST
    (found,) = window.windows(datetime(2027, 3, 28, 0, 30, tzinfo=UTC), datetime(2027, 3, 28, 3, 0, tzinfo=UTC))
    assert found == (datetime(2027, 3, 28, 1, 10, tzinfo=UTC), datetime(2027, 3, 28, 1, 50, tzinfo=UTC))


@given(
    st.integers(0, 6), st.integers(0, 6), st.integers(0, 1439), st.integers(0, 1439),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001  (given a zone below)
)  # fmt: skip
def test_weekly_windows_are_minutes_of_the_week(one, other, begin, end, moment):
    """In a zone without changing clocks, a weekly window holds when the minute of the week lies in it."""
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    first, last = one * 1440 + begin, other * 1440 + end
    window = freeze(f"{days[one]} {begin // 60:02}:{begin % 60:02}", f"{days[other]} {end // 60:02}:{end % 60:02}")
    minute = moment.weekday() * 1440 + moment.hour * 60 + moment.minute
    length = (last - first) % 10080 or 10080
    held = (minute - first) % 10080 < length
    assert (blocked([window], moment.replace(microsecond=0, second=0, tzinfo=UTC), 1) != "") is held


@pytest.mark.parametrize(
    "text",
    [
        "",
        "18",
        "24:00",
        "18:60",
        "Fry 18:00",
        "2026-13-01 10:00",
        "2026-12-30",
        "Fri",
        "Fridge 18:00",
        "1 Fri 18:00",
        "8:00",
    ],
)
def test_what_is_no_moment(text):
    """Anything else than a date, a weekday or nothing, with a time of day, is refused."""
    with pytest.raises(ParameterError, match="not a moment"):
        Moment.parse(text)


@pytest.mark.parametrize("text", ["2026-12-30 18:00", "2026-12-30T18:00", " 2026-12-30  18:00 "])
def test_how_a_date_may_be_written(text):
    """With a space or a T between."""
    assert Moment.parse(text).kind == "once"
    assert (Moment.parse("friday 18:00"), Moment.parse("FRI 18:00")) == (Moment.parse("Fri 18:00"),) * 2
