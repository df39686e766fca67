"""Canonical bytes: one value has one form, and the form says everything about the value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.canonical import MAX_DEPTH, canonical, digest, digestible, salted, same, sha256
from opsnb.base.errors import UsageError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LEAVES = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=4) | st.dictionaries(TEXT, v, max_size=4), max_leaves=20)
WITH_FLOATS = st.recursive(
    LEAVES | st.floats(allow_nan=False, allow_infinity=False),
    lambda v: st.lists(v) | st.dictionaries(TEXT, v),
    max_leaves=10,
)


@given(VALUES)
def test_it_reads_back(value: object) -> None:
    """Canonical bytes are JSON and read back as the same value."""
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(TEXT, LEAVES, min_size=2), st.randoms())
def test_order_does_not_matter(value: dict[str, object], random: object) -> None:
    """The order in which keys were put in does not change the bytes."""
    keys = list(value)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert canonical({k: value[k] for k in keys}) == canonical(value)


@given(VALUES, VALUES)
def test_different_values_have_different_bytes(one: object, other: object) -> None:
    """Two values have the same bytes exactly when they are the same value, types included."""
    assert (canonical(one) == canonical(other)) == same(one, other)


@given(WITH_FLOATS)
def test_floats_become_their_shortest_decimal(value: object) -> None:
    """Every finite float has a place in a digest, as text that reads back as that float."""
    assert isinstance(canonical(digestible(value)), bytes)
    if isinstance(value, float):
        assert float(digestible(value)) == value


def test_keys_sort_by_utf16() -> None:
    """RFC 8785 section 3.2.3: keys sort by UTF-16 code units, not by code points."""
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert list(json.loads(canonical(value)).values()) == [2, 4, 6, 7, 1, 5, 3]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1: 2}, b"x", {1, 2}, object(), "\ud800", 2**53, -(2**53)]
)
def test_what_has_no_form_is_refused(value: object) -> None:
    """What other readers would read differently, or not at all, is refused with words."""
    with pytest.raises(UsageError):
        canonical(digestible(value))


def test_depth_is_bounded() -> None:
    """Nesting beyond the bound is refused, never recursed into."""
    value: object = 0
    for _ in range(MAX_DEPTH + 2):
        value = [value]
    with pytest.raises(UsageError, match="nested"):
        canonical(value)
    with pytest.raises(UsageError, match="nested"):
        digestible(value)


def test_same_tells_types_apart() -> None:
    """1, 1.0, "1" and true are four values."""
    values = [1, 1.0, "1", True]
    assert [[same(a, b) for b in values] for a in values] == [[i == j for j in range(4)] for i in range(4)]


@given(st.binary(), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_salt_hides(data: bytes, one: bytes, other: bytes) -> None:
    """A salted digest depends on its salt and is not the plain digest."""
    assert (salted(one.hex(), data) == salted(other.hex(), data)) == (one == other)
    assert salted(one.hex(), data) != sha256(data)


def test_a_known_digest() -> None:
    """The digest of a known value is what any SHA-256 tool gives for its canonical text."""
    assert digest({"b": [1, True, None], "a": 0.5}) == sha256(b'{"a":"0.5","b":[1,true,null]}')
