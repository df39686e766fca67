"""What a runbook shows: text first, hostile text made visible, plots with alternative text."""

from __future__ import annotations

import base64
import unicodedata

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib.figure import Figure

from opsnb.runbook import show
from opsnb.runbook.show import table_text, visible


@pytest.fixture(scope="module", autouse=True)
def shell():
    """An IPython shell: display() formats for a front end only inside one."""
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def shown(value, caption=""):
    """Return printed text and the bundles that a front end gets."""
    with capture_output() as captured:
        show(value, caption)
    return captured.stdout, [(o.data, o.metadata) for o in captured.outputs]


def test_a_table_is_text_and_html_without_an_index():
    """Both forms hold the same cells; numbers stand to the right with separators, yes and no for booleans."""
    frame = pd.DataFrame({"name": ["a", "视频"], "n": [1, 22], "share": [0.5, 12345.678], "ok": [True, False]})
    text, [(data, _)] = shown(frame, "Things")
    assert text == "Things\n"
    assert data["text/plain"].splitlines() == [
        "name   n   share  ok",
        "a      1       0  yes",
        "视频  22  12,346  no",
    ]
    assert "<td>12,346</td>" in data["text/html"]
    assert "<th>0</th>" not in data["text/html"]


def test_hostile_cells_are_escaped_in_both_forms():
    """Markup stays text, escapes and bidi controls are shown as what they are."""
    _, [(data, _)] = shown(pd.DataFrame({"name": ["<script>x</script>", "\x1b[2J\u202egpj\n"]}))
    assert "&lt;script&gt;" in data["text/html"]
    assert "<script>" not in data["text/html"]
    for form in data.values():
        assert "\\x1b[2J\\u202egpj\\n" in form
        assert "\x1b" not in form
        assert "\u202e" not in form


def test_unknown_values_and_empty_tables_are_said():
    """NaN and None are a dash, a table without rows is '(none)'."""
    _, [(data, _)] = shown(pd.DataFrame({"a": [float("nan"), 2.0], "b": [None, "x"]}))
    assert data["text/plain"].splitlines()[1].split() == ["-", "-"]
    assert shown(pd.DataFrame({"a": []}))[0] == "(none)\n"


def test_a_long_table_is_cut_and_says_by_how_much():
    """200 rows are shown and the rest is counted."""
    text, [(data, _)] = shown(pd.DataFrame({"a": range(1205)}))
    assert len(data["text/plain"].splitlines()) == 201
    assert text == "... and 1005 more rows\n"


def test_a_figure_is_a_png_with_its_caption_as_alternative_text():
    """A reader without pictures gets the caption; the picture is a real PNG and appears once."""
    figure = Figure()
    figure.subplots().plot([1, 2])
    text, [(data, metadata)] = shown(figure, "Two points")
    assert text == "Two points\n"
    assert data["text/plain"] == "[plot: Two points]"
    assert metadata == {"image/png": {"alt": "Two points"}}
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")


def test_text_is_printed_as_it_is():
    """No quotes around words."""
    assert shown("some words", "A caption")[0] == "A caption\nsome words\n"


@settings(deadline=None)  # a busy machine is no failure
@given(st.text())
def test_visible_text_holds_nothing_that_a_terminal_or_page_would_obey(text):
    """No control, format or unassigned character is left, and what was visible stays."""
    result = visible(text)
    assert not {unicodedata.category(c) for c in result} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    if text.isascii() and text.isprintable():
        assert result == text


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(st.text(st.characters(categories=["L", "N"])), st.integers()), min_size=1))
def test_every_row_of_a_text_table_has_its_columns_in_the_same_place(rows):
    """Lines of a table whose last column is a number have one width, Chinese counted as two columns."""
    cells = [(name, str(number)) for name, number in rows]
    lines = table_text(["name", "n"], cells, [False, True]).splitlines()
    assert len({sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line) for line in lines}) == 1
