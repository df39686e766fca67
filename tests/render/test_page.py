"""What a record's page says, and where: banner, tables, cells, foot; in both languages."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from opsnb.control.records import Cell, CellState, Check, Mode, Record, Verdict
from opsnb.control.render import render
from render import dom, sample

CHINESE = {
    Verdict.DONE: "完成", Verdict.PLANNED: "已出计划", Verdict.NOT_APPLICABLE: "不适用", Verdict.FAILED: "失败",
    Verdict.DRIFTED: "已漂移", Verdict.ABORTED: "已中止", Verdict.LOST: "结果不明",
}  # fmt: skip


@pytest.fixture(scope="module")
def page() -> dom.Page:
    """The page of the sample record."""
    return dom.parse(render(sample.record(), sample.notebook()))


def table(page: dom.Page, section: str) -> str:
    """Return the text of one section."""
    return page.one("section", ident=section).text


def test_the_sample_is_safe():
    """The realistic sample passes every safety rule, in both languages."""
    for language in ("en", "zh_CN"):
        assert dom.unsafe(render(sample.record(), sample.notebook(), language=language)) == []


@pytest.mark.parametrize("language", ["en", "zh_CN"])
@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_record_shows_both_banners(verdict, language):
    """Word, meaning and reason stand in English and in Chinese, with a symbol; the page's own language comes first."""
    html = render(sample.record(verdict=verdict, reason="nothing was checked after the change"), {}, language=language)
    found = dom.parse(html)
    assert dom.unsafe(html) == []
    halves = found.all("div", "half")
    assert {e.attributes["lang"] for e in halves} == {"en", "zh-Hans"}
    english, chinese = sorted(halves, key=lambda e: e.attributes["lang"])
    assert verdict.value.replace("_", " ") in english.text
    assert CHINESE[verdict] in chinese.text
    assert "nothing was checked after the change" in english.text
    assert "变更之后没有做任何检查" in chinese.text
    assert all(e.text.strip() for e in found.all("span", "seal"))
    assert halves[0].attributes["lang"] == ("en" if language == "en" else "zh-Hans")


GLASS = {
    "glass": "20261123-114401-abcde", "who": "li.wei <b>", "until": "2026-11-23T12:14:01.000Z",
    "review_due": "2026-11-24T11:44:01.000Z", "told": ["wang.fang", "\u202ecarol"],
}  # fmt: skip
FREE = {"policy": "production", "review_due": "2026-11-24T11:44:01.000Z", "told": ["wang.fang"]}


@pytest.mark.parametrize("language", ["en", "zh_CN"])
@pytest.mark.parametrize(
    ("without", "words"), [(GLASS, ("BREAK-GLASS", "紧急破窗")), (FREE, ("NOT APPROVED BY", "未经任何人批准"))]
)
def test_what_nobody_approved_begins_with_it(language, without, words):
    """Before the verdict and in both languages: that nobody approved it, who was told, until when it is reviewed."""
    html = render(sample.record(without=without, approvals=[]), {}, language=language)
    assert dom.unsafe(html) == []
    halves = dom.parse(html).all("div", "half")
    assert [e.attributes["lang"] for e in halves[:2]] == (["en", "zh-Hans"] if language == "en" else ["zh-Hans", "en"])
    english, chinese = sorted(halves[:2], key=lambda e: e.attributes["lang"])
    for half, word in ((english, words[0]), (chinese, words[1])):
        assert word in half.text
        assert "2026-11-24 11:44:01 UTC" in half.text
        assert "wang.fang" in half.text
        assert f"opsnb requests show {without.get('glass') or sample.record().request}" in half.text
    about = table(dom.parse(html), "about")
    assert ("nobody" in about, "which nobody approved" in about) == (language == "en", language == "en")
    assert ("无人" in about) == (language != "en")
    if "glass" in without:
        assert "li.wei <b>" in english.text
        assert "2026-11-23 12:14:01 UTC" in chinese.text
        assert "alarm-glass" in html.decode().partition("</style>")[2]


def test_who_approved_stands_at_the_top():
    """A change says in both languages by whom it was approved, and in whose place; the only person's own yes as such."""
    others = [{"who": "bob", "at": "", "self": False}, {"who": "erin on behalf of carol", "at": "", "self": False}]
    english, chinese = dom.parse(render(sample.record(approvals=others), {})).all("div", "half")
    assert "Approved by bob, erin on behalf of carol" in english.text
    assert "由 bob, erin（代 carol） 批准" in chinese.text
    english, chinese = dom.parse(render(sample.record(), {})).all("div", "half")
    assert "Approved by li.wei, who asked for it: nobody else was here" in english.text
    assert "由申请人 li.wei 自行批准" in chinese.text


def test_failed_checks_come_first_and_lead_to_their_cells(page):
    """The first point under the banner is the failed check; every link of the page meets an anchor that exists."""
    points = [e for e in page.all("a") if "points" in e.inside]
    assert points[0].text == "p99 of 10.0.0.3 is under 200 ms"
    assert points[0].attributes["href"] == "#cell-13"
    inner = [e.attributes["href"][1:] for e in page.all("a") if e.attributes.get("href", "").startswith("#")]
    assert inner
    assert set(inner) <= set(page.ids)


def test_a_check_without_a_printed_line_leads_to_the_table():
    """Where no cell printed the check, its link leads to its row among the checks."""
    found = dom.parse(render(sample.record(checks=[Check(what="quiet", got=1, want=2, ok=False)]), sample.notebook()))
    link = next(e for e in found.all("a") if e.text == "quiet")
    assert link.attributes["href"] == "#check-0"
    assert "check-0" in found.ids


def test_equal_checks_lead_to_different_cells():
    """Two checks of the same words are matched with their lines in order."""
    cells = [
        sample.code("a", sample.stream("FAIL  up: got 1, want 2\n")),
        sample.code("b", sample.stream("FAIL  up: got 3, want 2\n")),
    ]
    checks = [Check(what="up", got=n, want=2, ok=False) for n in (1, 3)]
    found = dom.parse(render(sample.record(checks=checks), {"cells": cells}))
    assert [e.attributes["href"] for e in found.all("a") if e.text == "up"] == ["#cell-0", "#cell-1"]


def test_what_is_unknown_or_not_isolated_is_said_at_the_top(page):
    """A change without a result, a broken cell and missing isolation stand in the banner."""
    verdict = page.one("section", "verdict").text
    assert "change with unknown result:" in verdict
    assert "web-lb-2: file /etc/nginx/conf.d/web.conf" in verdict
    assert "not isolated" in verdict
    assert "TimeoutError" in verdict


def test_missing_isolation_is_said_without_a_note():
    """A record whose kernel ran free says so even where no note does."""
    found = dom.parse(render(sample.record(notes=[], isolation="none"), {}))
    assert "Not isolated" in found.one("ul", "notes").text


def test_the_tables_hold_the_record(page):
    """Who, what, where, when, facts, parameters, plan, changes, checks, evidence and files are all there."""
    about = table(page, "about")
    for words in ("li.wei", "evening peak", "web-lb-1", "SHA256:Vn0t0cR5t0", "2026-11-23 11:45:01 UTC", "1 min 13 s"):
        assert words in about
    assert "self-approval, the requester approved their own request" in about
    assert "web-ops" in table(page, "facts")
    assert "choices: [round_robin, weighted, least_conn, ip_hash]" in table(page, "facts")
    assert "not the default" in table(page, "parameters")
    plan = table(page, "plan")
    assert "-  server 10.0.0.1:8000;" in plan
    assert "+  server 10.0.0.1:8000 weight=3;" in plan
    assert "restore the previous file" in plan
    assert sample.plan().digest in plan
    assert "unknown" in table(page, "applied")
    assert "did not hold" in table(page, "checks")
    assert "0.598, 0.203, 0.199" in table(page, "evidence")
    assert "files/spread.csv" in table(page, "files")


def test_every_cell_has_its_anchor_and_state(page):
    """Each cell of the executed notebook is reachable by its number; a cell that did not run says so."""
    for index in range(17):
        assert f"cell-{index}" in page.ids
    assert "not executed" in page.one("article", ident="cell-16").text
    assert "completed" in page.one("article", ident="cell-13").text
    assert "2.77 s" in page.one("article", ident="cell-13").text


@pytest.mark.parametrize("state", [s for s in CellState if s is not CellState.TEXT])
def test_every_state_is_said_in_words(state):
    """Whatever became of a cell stands at the cell, in words, with its reason."""
    found = dom.parse(
        render(sample.record(cells=[Cell(index=0, state=state, why="because")]), {"cells": [sample.code("x")]})
    )
    cell = found.one("article", ident="cell-0").text
    assert state.value in cell
    assert "because" in cell


def test_a_cell_without_a_state_is_not_called_completed():
    """A code cell that the record does not know is called just that."""
    found = dom.parse(render(sample.record(cells=[]), {"cells": [sample.code("x")]}))
    assert "state not recorded" in found.one("article", ident="cell-0").text


def test_only_broken_cells_are_unfolded(page):
    """Code is folded away, except where the run broke."""
    opened = [e for e in page.all("details") if "open" in e.attributes]
    assert ["s-failed" in e.inside for e in opened] == [True]


def test_front_matter_is_not_repeated(page):
    """The raw first cell is named and leads to the facts; another raw cell is shown as text."""
    assert "see Facts" in page.one("p", "aside").text.replace("\n", " ")
    found = dom.parse(render(sample.record(), {"cells": [{"cell_type": "raw", "source": "<plain>"}]}))
    assert found.one("div", "raw").text == "<plain>"


def test_latex_stays_text(page):
    """Formulas are shown as they were written."""
    assert r"$w_i / \sum w$" in page.one("div", ident="cell-1").text


def test_the_foot_says_how_to_verify(page):
    """Digests, place in the ledger and the command of an auditor stand at the foot."""
    foot = page.one("footer").text
    for words in ("a1" * 32, "b2" * 32, "c3" * 32, "5d" * 32, "d4" * 32, sample.plan().digest, "41", "42"):
        assert words in foot
    assert "python3 verify.py outputs/ --head YOUR-KEPT-HEAD" in foot


def test_the_outline_is_sound(page):
    """One h1, headings that skip no level on the way down, the landmarks, a language, a skip link that works."""
    levels = [int(e.tag[1]) for e in page.elements if len(e.tag) == 2 and e.tag[0] == "h" and e.tag[1].isdigit()]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for tag in ("header", "nav", "main", "footer"):
        page.one(tag)
    assert page.one("html").attributes["lang"] == "en"
    assert page.one("a", "skip").attributes["href"] == "#main"


def test_a_chinese_page_speaks_chinese():
    """Chrome, states and notes of a zh_CN page are Chinese; the runbook's prose stays its author's."""
    found = dom.parse(render(sample.record(), sample.notebook(), language="zh_CN"))
    assert found.one("html").attributes["lang"] == "zh-Hans"
    assert [e.text for e in found.all("h2")][:3] == ["谁、什么、何处、何时", "基本事实", "参数"]
    assert "未执行" in found.one("article", ident="cell-16").text
    assert "未隔离" in found.one("ul", "notes").text
    assert found.one("h1").text == sample.FRONT["title"]


def test_a_record_of_nothing_is_a_page():
    """A run that died before its first cell, without facts, plan or ledger, still has a sound page."""
    record = Record(
        run="r", request="q", request_digest="0" * 64, runbook="x.ipynb", title="x", verdict=Verdict.ABORTED
    )
    for notebook in ({}, {"cells": []}, {"cells": None}, {"cells": "x", "metadata": []}, {"cells": [None, 3, {}]}):
        assert dom.unsafe(render(record, notebook)) == []
    found = dom.parse(render(record, {"cells": []}))
    assert "The notebook has no cells." in found.one("section", ident="cells").text
    assert "This run made no check." in found.one("section", ident="checks").text


def test_a_plan_that_changes_nothing_says_so():
    """An empty plan is shown as such."""
    plan = {"title": "", "changes": [], "context": {}, "digest": "e" * 64}
    found = dom.parse(render(sample.record(mode=Mode.PLAN, verdict=Verdict.PLANNED, plan=plan, applied=[]), {}))
    assert "Nothing has to change." in table(found, "plan")


def test_the_same_record_gives_the_same_bytes():
    """Rendering twice gives one digest, so that the ledger's entry for the page can be checked again."""
    record = sample.record()
    assert render(record, sample.notebook()) == render(replace(record), sample.notebook())
