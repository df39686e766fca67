"""The transcript: what a terminal showed, as text that holds no control sequence, however it arrived."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.fleet.transcript import FULL_SCREEN, Transcript


def lines(text: str, columns: int = 20, rows: int = 5, cuts: tuple[int, ...] = ()) -> list[str]:
    """Return the transcript of ``text``, fed in pieces."""
    made = Transcript(columns, rows)
    out: list[str] = []
    edges = [0, *sorted(c % (len(text) + 1) for c in cuts), len(text)]
    for start, end in itertools.pairwise(edges):
        out += made.feed(text[start:end])
    return [*out, *made.finish()]


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        ("one\r\ntwo\r\n", ["one", "two", ""]),
        ("10%\r20%\r100%\r\n", ["100%", ""]),
        ("lss\b \b\r\n", ["ls", ""]),
        ("echo axb\b\bb\x1b[K\r\n", ["echo ab", ""]),
        ("abc\b\b\x1b[@X\r\n", ["aXbc", ""]),
        ("abcd\x1b[3D\x1b[2P\r\n", ["ad", ""]),
        ("\x1b[1;31mred\x1b[0m text\r\n", ["red text", ""]),
        ("\x1b]0;a title\x07shown\r\n", ["shown", ""]),
        ("\x1b]8;;http://example\x1b\\link\x1b]8;;\x1b\\\r\n", ["link", ""]),
        ("中文\b\b  \b\bx\r\n", ["中x", ""]),
        ("a\tb\r\n", ["a       b", ""]),
        ("old\x1b[H\x1b[2Jnew\r\n", ["old", "new", ""]),
        ("0123456789012345678901234\r\n", ["0123456789012345678901234", ""]),
        ("中中中中中中中中中中中\r\n", ["中中中中中中中中中中中", ""]),
        ("first\r\nsecond\x1b[Ax\r\n\n", ["first x", "second", ""]),
        ("before\r\n\x1b[?1049hhidden\x1b[2J\x1b[?1049lafter\r\n", ["before", FULL_SCREEN, "after", ""]),
        ("a\x1b(Bb\x1b=c\x1b>\r\n", ["abc", ""]),
        ("\x1b[5Xerased\x1b[99999999999999Gend\r\n", ["erased             end", ""]),
        ("e\u0301\u202ex\r\n", ["e\u0301x", ""]),
    ],
)  # fmt: skip
def test_what_a_person_saw_is_what_stands_there(shown: str, wanted: list[str]) -> None:
    """Returns, backspaces, erasing, inserting, wrapping, colours, titles, links, wide letters: as the screen had it."""
    assert "\n".join(lines(shown)).rstrip() == "\n".join(wanted).rstrip()


SCREEN = st.lists(
    st.one_of(
        st.text(max_size=12), st.sampled_from(["\r\n", "\r", "\b", "\t", "中文", "\x1b", "\x07", "\x9b1m"]),
        st.builds("\x1b[{}{}".format, st.sampled_from(["", "1", "2;3", "?1049", "?25", "99"]), st.sampled_from("ABCDGHJKPX@mhl")),
        st.builds("\x1b]{};x\x07".format, st.integers(0, 9)),
    ),
    max_size=40,
).map("".join)  # fmt: skip


@given(text=SCREEN, cuts=st.lists(st.integers(0, 400), max_size=6).map(tuple))
def test_pieces_make_no_difference_and_nothing_is_obeyed(text: str, cuts: tuple[int, ...]) -> None:
    """However the output is cut, the transcript is the same, and no control character is in it."""
    found = lines(text, cuts=cuts)
    assert found == lines(text)
    assert not [c for line in found for c in line if unicodedata.category(c) in {"Cc", "Cf"}]


def test_a_long_session_needs_no_more_memory_than_a_screen() -> None:
    """Lines that scrolled off are given out at once."""
    made = Transcript(80, 24)
    given_out = made.feed("".join(f"line {n}\r\n" for n in range(1000)))
    assert len(given_out) >= 1000 - 24
    assert given_out[:2] == ["line 0", "line 1"]
    assert len(made.finish()) <= 25
