"""Which form of an output is shown, what is said of the others, and how long ones are cut."""

from __future__ import annotations

import pytest

from opsnb.control.render import outputs, render
from render import dom, sample


def page_of(*rows, before="", **changed):
    """Return the parsed page of a notebook with one code cell."""
    cells = [sample.markdown(before), sample.code("x = 1", *rows)]
    return dom.parse(render(sample.record(**changed), {"cells": cells, "metadata": {}}))


def test_long_output_shows_both_ends_and_counts_the_rest():
    """Of an output over the limit the first and last lines are there, and the bytes between are counted exactly."""
    lines = [f"line {n:06d} 中文" for n in range(40_000)]
    text = "\n".join(lines)
    page = page_of(sample.stream(text))
    first, last = (e.text for e in page.all("pre", "text"))
    assert first.startswith("line 000000")
    assert last.endswith("line 039999 中文")
    more = len(text.encode()) - len(first.encode()) - len(last.encode())
    assert f"{more:,} bytes more are in run.ipynb" in page.one("p", "cut").text
    assert len(first.encode()) <= outputs.MAX_OUTPUT // 2
    assert set(first.splitlines()) | set(last.splitlines()) <= set(lines)


def test_an_output_at_the_limit_is_whole():
    """Exactly the limit is not cut; one byte more is."""
    assert outputs.halves("x" * outputs.MAX_OUTPUT)[2] == 0
    assert outputs.halves("x" * (outputs.MAX_OUTPUT + 1))[2] == 1


def test_a_long_html_table_shows_both_ends():
    """A table over the limit keeps its first and last rows as rows."""
    html = "<table>" + "".join(f"<tr><td>row {n}</td></tr>" for n in range(20_000)) + "</table>"
    page = page_of(sample.shown({"text/html": html}))
    cells = [e.text for e in page.all("td") if "out" in e.inside]
    assert cells[0] == "row 0"
    assert cells[-1] == "row 19999"
    assert "bytes more are in run.ipynb" in page.one("p", "cut").text


def test_many_outputs_are_counted():
    """Of thousands of outputs of one cell the first and last hundred are shown and the rest counted."""
    page = page_of(*[sample.shown({"text/plain": f"{n}"}) for n in range(1000)])
    assert len(page.all("pre", "text")) == outputs.MAX_OUTPUTS
    assert "800 outputs more" in page.one("p", "cut").text


def test_pieces_of_a_stream_are_one_text():
    """What a cell printed between its scraps reads as one text; the other stream and a display stand apart."""
    scrap = sample.shown({"application/scrapbook.scrap.json+json": {"name": "nodes", "data": 3}})
    rows = [sample.stream("a\n"), scrap, sample.stream("b\n"), sample.stream("e\n", "stderr"), sample.stream("c\n")]
    page = page_of(*rows)
    assert [e.text for e in page.all("pre", "out")] == ["a\nb\n", "e\n", "c\n"]


def test_output_cut_in_the_run_is_said():
    """What the run itself dropped is said at its cell, with the number of bytes."""
    page = dom.parse(render(sample.record(), sample.notebook()))
    assert any("48,211 bytes of output were cut" in e.text for e in page.all("p", "cut"))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"text/plain": "words"}, "text"),
        ({"text/html": "<b>bold</b>", "text/plain": "words"}, "html"),
        ({"text/markdown": "**bold**"}, "html"),
        ({"application/json": {"a": [1, None]}}, "text"),
        ({"text/latex": "$x$"}, "text"),
        ({"image/png": sample.plot(), "text/plain": "<Figure>"}, "picture"),
        ({"image/svg+xml": ["<svg>", "<g/></svg>"]}, "picture"),
        ({"text/html": "<script>draw()</script>", "text/plain": "words"}, "text"),
        ({"image/png": "no picture", "text/plain": "words"}, "text"),
    ],
)
def test_the_best_form_that_the_list_allows_is_shown(data, kind):
    """One form of an output is shown: a picture, cleaned HTML, or text, where the better one holds nothing."""
    context = outputs.Context(alt="a", markdown=lambda s: f"<b>{s}</b>", known=frozenset(), not_shown="not shown:")
    assert [f.kind for f in outputs.fragments([sample.shown(data)], context)] == [kind]


@pytest.mark.parametrize(
    "mime", ["application/javascript", "application/vnd.plotly.v1+json", "text/vnd.mermaid", "audio/wav"]
)
def test_other_types_are_named(mime):
    """A type outside the list is not shown and its name is said, beside a form that is."""
    page = page_of(sample.shown({mime: "x()", "text/plain": "words"}))
    assert page.one("p", "note").text.strip() == f"not shown: {mime}"
    assert page.one("pre", "text").text == "words"


def test_a_scrap_is_not_shown_twice():
    """Evidence that the table holds is not repeated; a scrap that it does not hold is a row of its own."""
    scraps = [
        sample.shown(
            {"application/scrapbook.scrap.json+json": {"name": name, "data": 8, "encoder": "json", "version": 1}}
        )
        for name in ("nodes", "other")
    ]
    page = page_of(*scraps)
    assert page.one("p", "scrap").text.strip() == "other = 8"
    assert not page.all("p", "note")


@pytest.mark.parametrize(
    ("metadata", "before", "alt"),
    [
        ({"image/png": {"alt": "bars"}}, "Prose.", "bars"),
        ({"alt": "bars"}, "Prose.", "bars"),
        (
            {},
            "First.\n\nThe **bars** show [the spread](x) of `1000` requests.",
            "The bars show the spread of 1000 requests.",
        ),
        ({}, "", "output of cell 1"),
    ],
)
def test_every_picture_has_words(metadata, before, alt):
    """A picture's words come from its metadata, else from the sentence before it, else from its place."""
    page = page_of(sample.shown({"image/png": sample.plot()}, metadata), before=before)
    assert page.one("img").attributes["alt"] == alt


def test_a_picture_keeps_its_size():
    """A sensible width and height are kept; the style sheet bounds them by the page."""
    page = page_of(sample.shown({"image/png": sample.plot()}, {"image/png": {"width": 640, "height": 256}}))
    assert (page.one("img").attributes["width"], page.one("img").attributes["height"]) == ("640", "256")


def test_a_picture_of_prose_comes_from_its_attachment():
    """A Markdown picture is shown from the notebook itself; one from elsewhere is words."""
    cell = sample.markdown("![inside](attachment:a.png)\n\n![outside](https://example.org/b.png)")
    cell["attachments"] = {"a.png": {"image/png": sample.plot()}}
    page = dom.parse(render(sample.record(), {"cells": [cell]}))
    assert page.one("img").attributes["alt"] == "inside"
    assert page.one("span", "gone").text == "[outside]"


def test_a_traceback_keeps_its_colours_as_classes():
    """ANSI colours of a traceback become classes; a concealing or background code becomes nothing."""
    page = page_of({"output_type": "error", "traceback": ["\x1b[31;1mE\x1b[0m \x1b[8;41mhidden\x1b[0m \x1b[38;5;9mx"]})
    out = page.one("pre", "error")
    assert out.text == "E hidden x"
    spans = [e.attributes["class"] for e in page.all("span") if "error" in e.inside]
    assert spans == ["ansi-red ansi-bold"]


@pytest.mark.parametrize(
    "rows",
    [
        None,
        "x",
        7,
        [None],
        [[]],
        [{}],
        [{"output_type": "display_data", "data": 3}],
        [{"output_type": "stream"}],
        [{"name": "x"}, {"output_type": "stream", "name": "x", "text": ["a"]}],
    ],
)
def test_malformed_outputs_never_stop_a_record(rows):
    """Outputs that are not nbformat's shape are named or left out."""
    cell = {"cell_type": "code", "source": None, "outputs": rows, "metadata": None}
    assert dom.unsafe(render(sample.record(), {"cells": [cell], "metadata": None})) == []
