"""Hidden characters are shown; a traceback's colours, and nothing else of it, are kept."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.control.render import visible

SUPPLEMENTARY_VARIATIONS = range(0xE0100, 0xE01F0)  # they choose between forms of Chinese characters


@pytest.mark.parametrize("category", ["Cc", "Cf", "Cs", "Zl", "Zp"])
def test_every_hidden_character_of_unicode_is_known(category):
    """All controls, formats, surrogates and separators but tab and newline count as hidden or are visible marks."""
    drawn = {
        "\t",
        "\n",
        *map(chr, range(0x600, 0x606)),
        "\u08e2",
        "\u0890",
        "\u0891",
        *map(chr, range(0x110BD, 0x1D17B)),
    }
    missed = [
        f"{code:X}"
        for code in range(0x110000)
        if unicodedata.category(chr(code)) == category
        and chr(code) not in drawn
        and not visible.HIDDEN.match(chr(code))
    ]
    assert missed == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a␛[31mb"),
        ("\u202e", "U+202E"),
        ("\x00" * 5000, "␀×5000"),
        ("\u200b\x7f", "U+200B ␡"),
        ("one\r\ntwo\tx", "one\ntwo\tx"),
        ("bar\rfoo", "bar␍foo"),
        ("中文 👩 e\u0301", "中文 👩 e\u0301"),
    ],
)
def test_what_is_shown(text, shown):
    """Controls become pictures, others their code, a long run a count; text and its newlines stay."""
    assert visible.plain(text) == shown


@given(st.text(st.characters(codec=None), max_size=200))
def test_any_text_is_safe_and_visible(text):
    """Nothing hidden and no markup of the text's own survives, whatever the text."""
    html = str(visible.text(text))
    assert not visible.HIDDEN.search(html)
    assert html.count("<") == html.count('<span class="ctl"') + html.count("</span>")


@given(st.text(st.sampled_from("\x1b[]0123456789;mK<&ab\x07\u202e"), max_size=80))
def test_any_traceback_is_safe(text):
    """Whatever sequences a traceback holds, only our own spans come out, and they nest."""
    html = str(visible.coloured(text))
    assert not visible.HIDDEN.search(html)
    assert html.count("<span") == html.count("</span>")
    assert html.count("<") == html.count("<span") * 2


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("\x1b[31mred\x1b[0m", '<span class="ansi-red">red</span>'),
        (
            "\x1b[1;94mx\x1b[22my\x1b[39mz",
            '<span class="ansi-bold ansi-blue">x</span><span class="ansi-blue">y</span>z',
        ),
        ("\x1b[8mseen\x1b[0m", "seen"),
        ("\x1b[97;107mseen", '<span class="ansi-white">seen</span>'),
        ("\x1b[999999999999999999mx", "x"),
    ],
)
def test_colours_become_classes(text, html):
    """Foregrounds and weights are kept as classes; what would hide text is not."""
    assert str(visible.coloured(text)) == html
