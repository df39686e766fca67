"""The masker: output does not depend on chunks, overlaps leave no rest, later secrets count, memory is bounded."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leaks import SECRETS, finds
from opsnb.base.errors import UsageError
from opsnb.base.masking import Masker, marker

GAPS = st.sampled_from(["", "\n", "\r\n", "\x1b[31m", "\x1b[0m", "\x1b]8;;http://x\x07", "\x1b[1;32m\n", "\x1b(B"])
SMALL = st.text(alphabet="ab", min_size=8, max_size=12)  # so small an alphabet that everything overlaps everything


def masker_of(*values: str) -> Masker:
    """Return a masker of these values, called s0, s1, ..."""
    masker = Masker()
    for number, value in enumerate(values):
        masker.register(f"s{number}", value)
    return masker


def streamed(masker: Masker, text: str, cuts: list[int]) -> str:
    """Return what a stream says of ``text`` cut at these places."""
    stream = masker.stream()
    places = sorted({0, len(text), *(c % (len(text) + 1) for c in cuts)})
    return "".join(stream.feed(text[a:b]) for a, b in pairwise(places)) + stream.flush()


@given(
    st.lists(SMALL, min_size=1, max_size=3),
    st.text(alphabet="ab\n\x1b[1m]\x07", max_size=60),
    st.lists(st.integers(0, 100)),
)
@example(["aaaaaaaa"], "a" * 60, [1, 2, 3])
@example(["abababab"], "abababa\x1b[1mb", [9, 10])
@example(["aaaaaaaa", "aaaaaaaabb"], "aaaaaaaab\x1b[1", [8])
def test_a_stream_says_the_same_however_it_is_cut(values: list[str], text: str, cuts: list[int]) -> None:
    """Whole, in pieces, or one character at a time: the same output."""
    masker = masker_of(*values)
    whole = masker.text(text)
    assert streamed(masker, text, cuts) == whole
    assert streamed(masker, text, list(range(len(text)))) == whole


@given(SECRETS, st.data())
def test_it_sees_through_breaks_and_colours(value: str, data: st.DataObject) -> None:
    """Line breaks and escapes between any two characters of a value hide nothing, whole and in a stream."""
    masker = masker_of(value)
    core = value.strip()
    said = "x" + "".join(c + data.draw(GAPS) for c in core) + "y"
    for out in (masker.text(said), streamed(masker, said, list(range(len(said))))):
        assert marker("s0") in out
        assert finds(value, out) == ""


@given(SECRETS, st.integers(0, 500))
def test_a_secret_cut_at_every_byte(value: str, cut: int) -> None:
    """Two pieces, cut anywhere, give what the whole gives."""
    masker = masker_of(value)
    said = f"before {value} and again {value}"
    assert streamed(masker, said, [cut]) == masker.text(said)
    assert "".join(masker.pieces([said[: cut % len(said)], said[cut % len(said) :]])) == masker.text(said)


def test_secrets_that_overlap_leave_no_rest() -> None:
    """The end of one that is the beginning of another: both go, under the first one's name."""
    masker = masker_of("alpha-bravo", "bravo-charlie")
    assert masker.text("<alpha-bravo-charlie>") == "<«secret s0»>"
    assert masker.text("<alpha-bravobravo-charlie>") == "<«secret s0»«secret s1»>"


def test_one_secret_in_another() -> None:
    """The longer one wins where it stands, the shorter one elsewhere; a longer one that breaks off is the shorter."""
    masker = masker_of("correct-horse", "correct-horse-battery")
    assert masker.text("correct-horse-battery correct-horse.") == "«secret s1» «secret s0»."
    assert streamed(masker, "correct-horse-bat", list(range(20))) == "«secret s0»-bat"


def test_a_secret_that_becomes_known_in_the_middle() -> None:
    """What is still held back is masked for it too; what was said before is not recalled."""
    masker = masker_of("first-secret")
    stream = masker.stream()
    assert stream.feed("a second-value first-sec") == "a second-value "
    masker.register("late", "first-secondary")
    assert stream.feed("ondary second") + stream.flush() == "«secret late» second"


def test_a_masker_without_secrets_returns_the_same_object() -> None:
    """Runs without secrets pay nothing: no copy, no encoding."""
    masker, text, value = Masker(), "text", {"a": [1, "b"]}
    assert masker.text(text) is text
    assert masker.value(value) is value
    assert masker.stream().feed(text) is text
    assert not masker
    assert masker.hits(b"anything") == []


@pytest.mark.slow
def test_memory_is_bounded() -> None:
    """One line without an end, and one secret without an end, are passed on as they come."""
    masker = masker_of("a" * 40, "needle-in-a-stack")
    stream = masker.stream()
    held = 0
    for piece in (
        "x" * 100_000,
        "a" * 100_000,
        "\n" * 100_000,
        "\x1b[1m" * 25_000,
        "\x1b" * 1000,
        "\x1b]" + "y" * 50_000,
    ):
        for start in range(0, len(piece), 10_000):
            stream.feed(piece[start : start + 10_000])
            held = max(held, len(stream._held))
    assert held < 7_000  # the longest needle, a gap's worth of line breaks, an unfinished escape
    said = masker_of("a" * 40).stream()
    assert len(said.feed("a" * 100_000)) < 100


def test_a_long_gap_ends_a_match() -> None:
    """4,096 bytes of line breaks or escapes inside a value hide nothing; more end it, whole and in a stream alike."""
    masker = masker_of("hunter22-hunter22", "hunter22")
    for gap in ("\n", "\x1b[1m"):
        most = 4096 // len(gap)
        near, far = (f"hunter22{gap * n}-hunter22." for n in (most, most + 1))
        for cuts in ([], [5, 10, 4000], list(range(0, 5000, 7))):
            assert streamed(masker, near, cuts) == masker.text(near) == "«secret s0»."
            assert streamed(masker, far, cuts) == masker.text(far) == f"«secret s1»{gap * (most + 1)}-«secret s1»."


def test_values_keys_and_numbers() -> None:
    """A JSON value is masked in texts, keys, lists and numbers; keys that become one stay apart; nothing else changes."""
    masker = masker_of("hunter22-hunter22", "1234567890")
    value: dict[str, Any] = {
        "a hunter22-hunter22": ["x", {"hunter22-hunter22": 1}], "n": 1234567890, "f": 1.5, "b": True, "none": None,
        "b hunter22-hunter22": b"hunter22-hunter22",
    }  # fmt: skip
    assert masker.value(value) == {
        "a «secret s0»": ["x", {"«secret s0»": 1}], "n": "«secret s1»", "f": 1.5, "b": True, "none": None,
        "b «secret s0»": "«secret s0»".encode(),
    }  # fmt: skip
    assert masker.value({"hunter22-hunter22": 1, "«secret s0»": 2}) == {"«secret s0»": 1, "«secret s0» 2": 2}
    assert masker.holds(value) == ["s0", "s1"]


def test_an_image_that_holds_a_secret_is_left_out() -> None:
    """An image with the value in its metadata would be broken by a mask: it is dropped and a text says so."""
    import base64

    masker = masker_of("hunter22-hunter22")
    png = base64.b64encode(b"\x89PNG....tEXtComment\0by hunter22-hunter22....").decode()
    assert masker.bundle({"image/png": png, "text/plain": "<Figure>"}) == {
        "text/plain": "<Figure>\n[image/png was left out: it holds s0]"
    }
    assert masker.bundle({"image/png": png})["text/plain"] == "[image/png was left out: it holds s0]"
    svg = {"image/svg+xml": "<svg><text>hunter22-hunter22</text></svg>"}
    assert masker.bundle(svg) == {"image/svg+xml": "<svg><text>«secret s0»</text></svg>"}
    assert masker.bundle({"text/html": "<b>hunter22-hunter22</b>"}) == {"text/html": "<b>«secret s0»</b>"}


def test_a_cut_leaves_no_beginning() -> None:
    """Text that was cut in the middle of a secret loses what was left of it."""
    masker = masker_of("hunter22-hunter22")
    assert masker.cut_end("password: hunter22-hun") == "password: "
    assert masker.cut_end("password: none") == "password: none"


def test_registering_twice_and_too_short() -> None:
    """The same value is new once; a short one is refused and the masker stays as it was."""
    masker = Masker()
    assert masker.register("a", "hunter22-hunter22")
    assert not masker.register("a", "hunter22-hunter22")
    with pytest.raises(UsageError):
        masker.register("b", "short")
    assert (masker.names, masker.generation) == (["a"], 1)


def test_half_characters_do_not_break_it() -> None:
    """Lone surrogates, invalid UTF-8 and wide characters pass; a needle that begins in the middle of one is masked."""
    masker = masker_of("密码密码密码密码", "\ude80secret-value")
    dice = random.Random(7)  # noqa: S311
    for _ in range(300):
        text = "".join(dice.choices(["密", "码", "\ud800", "\udfff", "é", "a", "\x80", "密码密码密码密码"], k=12))
        assert streamed(masker, text, [dice.randint(0, 12) for _ in range(3)]) == masker.text(text)
        assert "密码密码密码密码" not in masker.text(text)
    assert masker.data(b"\xff\xfe" + "密码密码密码密码".encode("utf-16-le")) == b"\xff\xfe" + marker("s0").encode()
