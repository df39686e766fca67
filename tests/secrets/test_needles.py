"""Needles: every form in which a value leaves is known; what is too short is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaks import FORMS, SECRETS, finds
from opsnb.base.errors import UsageError
from opsnb.base.masking import Masker, check_value, needles
from opsnb.base.masking.needles import MIN_NEEDLE

VALUE = "Tr0ub4dor&3 'quoted' \"so\" <x>/\\密码"
AROUND = st.text(alphabet="abcXYZ019 .:=-/\n", max_size=12)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_found_by_whoever_looks(form: str) -> None:
    """The searcher that the tests trust reads the value in each form as long as nobody masks it."""
    value = VALUE if form != "utf-16" else "Tr0ub4dor&3 correct"
    assert finds(value, FORMS[form]("before " + value + " after"))


@given(value=SECRETS, before=AROUND, after=AROUND)
def test_no_form_gets_past(value: str, before: str, after: str) -> None:
    """Whatever stands around a value and in whichever form it is written, nobody reads it afterwards."""
    masker = Masker()
    masker.register("x", value)
    for form, write in FORMS.items():
        assert finds(value, masker.text(write(before + value + after))) == "", form


def test_a_short_value_is_refused() -> None:
    """Under 8 characters, blanks at the ends not counted, a value is refused and not repeated."""
    with pytest.raises(UsageError, match="fewer than 8") as caught:
        check_value("db", "  hunter2 ")
    assert "hunter2" not in str(caught.value)
    check_value("db", "hunter22")


def test_a_private_key_is_masked_line_by_line() -> None:
    """Any line of a key is a needle; the lines that only say what follows are none."""
    lines = [
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU",
        "QyNTUxOQAAACBv5m0l",
        "-----END OPENSSH PRIVATE KEY-----",
    ]
    masker = Masker()
    masker.register("ssh/ops", "\n".join(lines) + "\n")
    assert masker.text("  " + lines[1]) == "  «secret ssh/ops»"
    assert masker.text(f"key: |\n   {lines[2]}") == "key: |\n   «secret ssh/ops»"
    for public in (lines[0], lines[3]):
        assert masker.text(public) == public


@given(st.text(min_size=8))
def test_needles_are_never_short(value: str) -> None:
    """A needle has at least 6 bytes and no line break, whatever the value."""
    for needle in needles(value):
        assert len(needle) >= MIN_NEEDLE
        assert not set(needle) & set(b"\r\n")
