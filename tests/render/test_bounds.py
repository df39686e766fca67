"""No input ends the render or holds it up: malformed parts are left out or named, costly ones shown as text."""

from __future__ import annotations

import time

import pytest

from opsnb.base import i18n
from opsnb.control.render import columns, render, sanitize, visible, words
from render import dom, sample


@pytest.mark.parametrize("source", ["[a](\ud800)", "![a](x\udfff)", "<http://\ud800>", "[a]: \udc00\n\n[a]"])
def test_a_lone_surrogate_is_shown(source):
    """A lone surrogate in a Markdown address is shown as its code, in prose and in an output."""
    cells = [sample.markdown(source), sample.code("x", sample.shown({"text/markdown": source}))]
    assert dom.unsafe(render(sample.record(), {"cells": cells})) == []


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), "NaN", "x", None, [1], 10**400])
def test_what_is_no_duration_is_said(seconds):
    """A duration that is no number of seconds reads as a question mark."""
    assert words.duration(seconds, "en") == "? s"


@pytest.mark.parametrize("notebook", [[], None, "x", 3, {"cells": 3}, {"cells": [3, []]}, {"metadata": []}])
def test_a_notebook_of_any_shape_is_rendered(notebook):
    """What is no notebook gives a page without its cells."""
    assert dom.unsafe(render(sample.record(), notebook)) == []


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 30_000, "<ul><li>" * 15_000, "<b>" * 30_000, "<table><tr><td>" * 12_000, "<a" * 100_000,
        "<!--" * 50_000, '<a "' * 50_000, "<script>" * 25_000, "".join(f"<b a={n}>" for n in range(300)) + "<p>x" * 9000,
    ],
    ids=range(9),
)  # fmt: skip
def test_nested_markup_is_bounded(html):
    """Markup that makes a parser work for seconds is shown within one, of its own: a busy machine is no failure."""
    started = time.thread_time()
    sanitize.fragment(html)
    assert time.thread_time() - started < 1


def test_a_long_coloured_traceback_is_bounded():
    """200 KB of colour changes take less than a second."""
    started = time.thread_time()
    visible.coloured("\x1b[31mx\x1b[0m" * 20_000)
    assert time.thread_time() - started < 1


def test_columns_of_numbers_are_marked():
    """A column of numbers and its heading are right-aligned, a column of words is not."""
    html = "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>x</td><td>1.5</td></tr></tbody></table>"
    made = columns.aligned(html)
    assert '<th class="num">b</th>' in made
    assert '<td class="num">1.5</td>' in made
    assert "<td>x</td>" in made


def test_sealed_numbers_stand_without_quotes():
    """A float in the facts, sealed as text, reads as the number that the front matter says; text keeps its quotes."""
    assert words.fact_text({"min": "0.2", "name": "v1", "n": "007"}) == "{min: 0.2, name: v1, n: '007'}"


@pytest.mark.parametrize(
    "sentence",
    [
        "nothing was executed: this is the sealed notebook",
        "the supervisor died: output of the last seconds may be missing",
        "2 processes could not be ended: [3, 4]", "the disk was full: run.html was cut from 9 to 3 bytes",
        "stopped by li.wei", "stopped by li.wei before its first cell", "stopped by li.wei before it started",
        "the control plane was stopped", "the control plane ended in the middle of the run",
        "it could not be executed: the toolkit has changed since the request was sealed: ask again",
        "it has no nginx; use CFG-003 instead", "the run took longer than 60 s; killed by SIGKILL",
        "the run's supervisor died", "the kernel did not start: x", "file not kept: a/b (12 bytes)",
    ],
)  # fmt: skip
def test_every_note_and_reason_is_told_in_chinese(sentence):
    """What a run's flow says of its end has its Chinese sentence."""
    assert i18n.retell(sentence, i18n.CHINESE) != sentence
