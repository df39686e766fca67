"""A record in a real Chromium: silent, self-contained, as wide as its screen, and inert."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from opsnb.control.render import render
from render import sample
from render.test_hostile import CORPUS, hostile_notebook, hostile_record

pytestmark = pytest.mark.browser
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    """A Chromium with a profile of its own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield chromium
        chromium.close()


def look(browser: Browser, path: Path, *, width: int, scheme: str = "light") -> tuple[list[str], dict]:
    """Open a page; return every message and foreign request, and what the page says about itself."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    heard: list[str] = []
    page.on("console", lambda m: heard.append(f"console: {m.text}"))
    page.on("pageerror", lambda e: heard.append(f"error: {e}"))
    page.on("dialog", lambda d: heard.append(f"dialog: {d.message}"))
    page.on("request", lambda r: None if r.url.startswith("data:image/") else heard.append(r.url))
    page.goto(path.as_uri(), wait_until="load")
    said = page.evaluate(
        """() => ({wide: document.documentElement.scrollWidth - innerWidth, pwned: String(window.pwned),
        pictures: [...document.images].filter(i => !i.alt || !i.complete || !i.naturalWidth).length,
        small: [...document.querySelectorAll('nav a, .strip a')].filter(a => a.getBoundingClientRect().height < 24).length,
        mode: document.compatMode})"""
    )
    page.close()
    assert heard.pop(0) == path.as_uri()
    return heard, said


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh_CN"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_record_is_at_home_on_every_screen(browser, tmp_path, width, language, scheme):
    """No message, no request, no sideways scrolling of the page, every picture drawn, links big enough for a finger."""
    path = tmp_path / "run.html"
    path.write_bytes(render(sample.record(), sample.notebook(), language=language))
    heard, said = look(browser, path, width=width, scheme=scheme)
    assert heard == []
    assert said == {"wide": 0, "pwned": "undefined", "pictures": 0, "small": 0, "mode": "CSS1Compat"}


BATCHES = 10  # pages that hold the whole corpus


@pytest.mark.parametrize("number", range(BATCHES))
def test_nothing_hostile_runs(browser, tmp_path, number):
    """Hostile text in every place of a record: nothing runs, nothing is asked for, the page keeps its width."""
    texts = CORPUS[number::BATCHES]
    cells = [cell for text in texts for cell in hostile_notebook(text)["cells"]]
    path = tmp_path / "run.html"
    path.write_bytes(render(hostile_record("\n".join(texts)), {"cells": cells, "metadata": {}}))
    heard, said = look(browser, path, width=390)
    assert heard == []
    assert said["pwned"] == "undefined"
    assert said["wide"] <= 0


def test_folded_code_is_printed(browser, tmp_path):
    """On paper the code of every cell is there, though it is folded on the screen."""
    path = tmp_path / "run.html"
    path.write_bytes(render(sample.record(), sample.notebook()))
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("document.querySelectorAll('article.code details:not([open])').length") > 5
    page.emulate_media(media="print")
    shown = page.evaluate("[...document.querySelectorAll('article.code .highlight')].map(e => e.checkVisibility())")
    assert shown
    assert all(shown)
    page.close()


def test_a_hidden_character_can_be_seen(browser, tmp_path):
    """What stands for ESC and for a direction override is drawn on a ground of its own, as words every font has."""
    path = tmp_path / "run.html"
    path.write_bytes(render(sample.record(), sample.notebook()))
    page = browser.new_page()
    page.goto(path.as_uri())
    drawn = page.evaluate(
        """[...document.querySelectorAll('.ctl')].map(e => { const s = getComputedStyle(e, '::after');
        return [e.title, s.content, s.backgroundColor !== 'rgba(0, 0, 0, 0)' && s.backgroundColor !== s.color,
        e.getBoundingClientRect().width > 10]; })"""
    )
    assert ["ESC", '"ESC"', True, True] in drawn
    assert ["U+202E", '"U+202E"', True, True] in drawn
    page.close()
