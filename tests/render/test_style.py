"""The style sheet: colours that everyone can read, nothing loaded, paper and phones thought of."""

from __future__ import annotations

import re

import pytest

from opsnb.control.render import exporter

CSS = str(exporter.stylesheet()[0])
BLOCKS = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
TEXT = ["ink", "soft", "link", "done", "plan", "none", "bad", "drift", "stop", "lost", "k", "s", "n", "c", "f"]
GROUNDS = ["paper", "wash", "tint"]


def colours(block: str) -> dict[str, str]:
    """Return the colours that a block defines."""
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2.2)."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("block", BLOCKS, ids=["light", "dark"])
def test_every_text_can_be_read(block):
    """Text reaches 4.5:1 on every ground that it stands on (WCAG AA), in both schemes."""
    found = colours(block)
    pairs = [(text, ground) for text in TEXT for ground in GROUNDS]
    pairs += [("add", "add-bg"), ("del", "del-bg")]
    low = [(t, g, round(contrast(found[t], found[g]), 2)) for t, g in pairs if contrast(found[t], found[g]) < 4.5]
    assert low == []


def test_an_alarm_can_be_read():
    """What says that nobody approved a run reaches 7:1 (WCAG AAA), in both schemes and on paper."""
    ground, text = re.findall(r"\.alarm-glass \{[^}]*background: (#[0-9a-f]{6}); color: (#[0-9a-f]{6});", CSS)[0]
    assert contrast(ground, text) >= 7
    assert ".alarm-glass" in CSS[CSS.index("@media print") :]


def test_two_schemes_exist():
    """Light and dark define the same colours."""
    assert len(BLOCKS) == 2
    assert set(colours(BLOCKS[0])) == set(colours(BLOCKS[1]))


def test_paper_shows_folded_code():
    """In print, code that is folded on a screen is shown, and nothing is cut at a box's edge."""
    paper = CSS[CSS.index("@media print") :]
    assert "details::details-content" in paper
    assert "overflow: visible" in paper
