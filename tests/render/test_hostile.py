"""Hostile text through every door of a record: it is shown as text, and nothing of it is obeyed."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.plan import Change, Plan
from opsnb.control.records import Cell, CellState, Check, Mode, Record, Verdict
from opsnb.control.render import render, sanitize, visible
from render import dom, sample

CORPUS: list[str] = json.loads((Path(__file__).parent / "hostile.json").read_text(encoding="utf-8"))
PNG = sample.plot()


def hostile_notebook(text: str) -> dict:
    """Return a notebook that carries ``text`` in every place that can hold any."""
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode()
    outputs = [
        sample.stream(text),
        sample.stream(text, "stderr"),
        sample.stream(text, text),
        *(sample.shown({mime: text}, {mime: {"alt": text, "width": text}}) for mime in (
            "text/plain", "text/html", "text/markdown", "text/latex", "image/svg+xml", "image/png", "image/jpeg",
            "application/json", "application/javascript", "text/vnd.mermaid", text,
        )),
        sample.shown({"application/json": {text: [text]}}),
        sample.shown({"image/png": PNG}, {"image/png": {"alt": text, "width": f"1 onload={text}", "height": text}}),
        sample.shown({"image/png": PNG}, {"width": 10**9, "height": -3, "alt": [text]}),
        sample.shown({"text/html": f"<p title='{text}'>{text}</p><img alt=\"{text}\" src='data:image/png;base64,{PNG}'>"}),
        sample.shown({"application/scrapbook.scrap.json+json": {"name": text, "data": text}}),
        {"output_type": "error", "ename": text, "evalue": text, "traceback": [text, f"\x1b[31m{text}\x1b[0m"]},
        {"output_type": text, "data": text},
        {"output_type": "execute_result", "data": {"text/html": text}, "metadata": {}, "execution_count": text},
    ]  # fmt: skip
    attachments = {"a.png": {"image/png": text, text: text}, text: {"image/svg+xml": encoded}}
    prose = {
        "cell_type": "markdown",
        "id": text,
        "metadata": {"name": text},
        "source": text,
        "attachments": attachments,
    }
    return {
        "cells": [
            {"cell_type": "raw", "source": text, "metadata": {"format": text}},
            prose,
            {**prose, "source": f"{text}\n\n![{text}](attachment:a.png) [{text}](#cell-1)"},
            {"cell_type": "code", "id": text, "metadata": {"tags": [text]}, "source": text, "outputs": outputs},
            {"cell_type": text, "source": [text]},
        ],
        "metadata": {"language_info": {"name": text, "pygments_lexer": text}, "title": text},
    }


def hostile_record(text: str) -> Record:
    """Return a record that carries ``text`` in every field."""
    change = Change(
        host=text, what=text, verb=text, target={}, before={"content": text}, after=f"{text}+", command=text, undo=text
    )
    plan = Plan(title="x", changes=(change,)).as_json() if _digestible(text) else {"changes": [change.as_json()]}
    return Record(
        run=text, request=text, request_digest=text, runbook=text, title=text, promise=text, mode=Mode.APPLY,
        verdict=Verdict.FAILED, reason=text, requester=text, why=text, started=text, ended=text, seconds=1.5,
        hosts=[{"name": text, "key": text}], facts={text: text, "list": [text], "map": {text: text}},
        parameters=[{"name": text, "value": text, "label": text, "default": [text]}],
        approvals=[{"who": text, "at": text, "self": True}],
        without={"glass": text, "who": text, "until": text, "review_due": text, "policy": text, "told": [text]}, plan={**plan, "title": text, "context": {text: text}},
        applied=[{"change": text, "host": text, "what": text, "state": text}],
        checks=[Check(what=text, got=text, want=[text], ok=False)], evidence={text + "!": text},
        cells=[Cell(index=3, state=CellState.FAILED, seconds=1, why=text)],
        files=[{"path": text, "size": text, "sha256": text}], notes=[text], isolation=text,
        digests={text: text}, ledger={"index": text, "size": text, "root": text, "at": text}, root_prefix=text,
    )  # fmt: skip


def _digestible(text: str) -> bool:
    return text == text.encode("utf-8", "ignore").decode()


def test_the_corpus_is_large():
    """The corpus holds at least 150 different strings."""
    assert len(set(CORPUS)) >= 150


@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_nothing_hostile_survives(text, language):
    """No script, handler, style, foreign URL, form, doubled id or broken nesting comes out of any place."""
    assert dom.unsafe(render(hostile_record(text), hostile_notebook(text), language=language)) == []


@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
def test_no_hidden_character_survives(text):
    """No control, direction-changing or invisible character of any input is left in the page."""
    page = render(hostile_record(text), hostile_notebook(text)).decode()
    assert visible.HIDDEN.findall(page) == []


def test_hidden_characters_are_shown():
    """ESC, OSC 8 links and direction overrides appear as symbols beside the text that they came with."""
    text = "\x1b]8;;https://evil.example\x07click \u202egpj.exe"
    page = dom.parse(render(sample.record(), {"cells": [sample.code("x", sample.stream(text))]}))
    out = page.one("pre", "text")
    assert out.text == "␛]8;;https://evil.example␇click U+202Egpj.exe"
    assert {e.text for e in page.all("span", "ctl")} == {"␛", "␇", "U+202E"}


def test_the_banner_cannot_be_imitated():
    """Neither prose nor an output keeps a class or an id that the page's own parts use."""
    fake = '<section class="verdict v-done" id="verdict"><h1>DONE</h1></section>'
    cells = [sample.markdown(fake), sample.code("x", sample.shown({"text/html": fake}))]
    page = dom.parse(render(sample.record(), {"cells": cells}))
    assert page.one("section", "verdict").attributes["class"] == "verdict v-failed"
    assert page.one("h1").text == sample.FRONT["title"]


def test_code_for_a_browser_is_not_shown_as_text():
    """The text of a script or a style sheet is dropped with it: a reader sees what the output says."""
    html = "<style>p{x}</style><script>y()</script><p>words</p>"
    page = dom.parse(render(sample.record(), {"cells": [sample.code("x", sample.shown({"text/html": html}))]}))
    assert page.one("div", "html").text == "words"


def test_links_stay_in_prose_alone():
    """A sealed runbook's link works; a link in an output, which a machine wrote, is text."""
    link = '<a href="https://wiki.example/x">the wiki</a>'
    cells = [sample.markdown(link), sample.code("x", sample.shown({"text/html": link}))]
    links = [e for e in dom.parse(render(sample.record(), {"cells": cells})).all("a") if "wiki" in e.text]
    assert [e.attributes["href"] for e in links] == ["https://wiki.example/x"]
    assert "noopener" in links[0].attributes["rel"]


@given(st.text(alphabet=st.sampled_from("<>/=\"' \x00\x1b\u202eabsxiomgvcrtyle&;:#-!?()[]`*$\n"), max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_fragment_is_inert(html):
    """Whatever stands in a fragment, no tag outside the allow-list and no attribute with code comes out."""
    page = dom.Page()
    page.feed(str(sanitize.fragment(html)))
    page.close()
    assert {e.tag for e in page.elements} <= sanitize.TEXT_TAGS | {"span"}
    assert not [n for e in page.elements for n in e.attributes if n.startswith("on") or n in {"style", "id", "href"}]


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("<svg onload='x()'><rect width='3' onclick='x()'/></svg>", "<rect"),
        ("<svg><script>x()</script><style>@import 'a'</style></svg>", "<svg"),
        ("<svg><use href='https://evil.example/a#b'/></svg>", "<use"),
        ("<svg><rect style='fill:url(https://evil.example)'/></svg>", "<rect"),
        ("<svg><a href='javascript:x()'><text>t</text></a></svg>", "t"),
        ("<svg><image href='https://evil.example/i.png'/></svg>", "<svg"),
    ],
)
def test_svg_is_cleaned_and_stays_a_picture(source, left):
    """An SVG loses what runs or loads, and comes out as base64, never as markup of the page."""
    uri = sanitize.svg_uri(source)
    assert uri is not None
    svg = base64.b64decode(uri.removeprefix("data:image/svg+xml;base64,")).decode()
    assert left in svg
    for word in ("script", "onload", "onclick", "evil", "javascript", "@import", "<image", "<a "):
        assert word not in svg


def test_a_plot_of_svg_keeps_its_shape():
    """Matplotlib's own SVG passes with its paths, colours and references."""
    source = (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "y"><svg viewBox="0 0 9 9" xmlns="http://www.w3.org/2000/svg">'
        '<defs><path id="a" d="M 0 0" style="fill: #ff0000"/></defs><use xlink:href="#a" x="2"/></svg>'
    )
    uri = sanitize.svg_uri(source)
    assert uri is not None
    svg = base64.b64decode(uri.split(",")[1]).decode()
    assert 'viewBox="0 0 9 9"' in svg
    assert 'xlink:href="#a"' in svg
    assert "fill: #ff0000" in svg
    assert 'xmlns:xlink="http://www.w3.org/1999/xlink"' in svg


@pytest.mark.parametrize("data", ["", "AAAA", "x onerror=1", "PHNjcmlwdD4=", "iVBORw0KGgo", "=" * 8])
def test_a_picture_is_what_its_type_says(data):
    """Bytes without a PNG's signature are no PNG."""
    assert sanitize.picture("image/png", data) is None


@pytest.mark.parametrize(
    "open_",
    ["[", "(", "*", "_", "`", "<", "![", "> ", "- ", "$", "|", "~~", "\\begin{a}", "&", "[a](", "\\\\[", "\\\\("],
)
def test_markdown_cannot_stall_the_page(open_):
    """Repeated openings, a parser's worst case, are rendered in bounded time and stay inert."""
    cells = [sample.markdown((open_ * 60_000)[:59_999])]
    started = time.thread_time()
    page = render(sample.record(), {"cells": cells})
    assert time.thread_time() - started < 10
    assert dom.unsafe(page) == []
