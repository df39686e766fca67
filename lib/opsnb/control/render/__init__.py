"""PROOF: a run's record as one HTML file for people; no script, no network, readable on a phone and on paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsnb.control.records import Record

__all__ = ["preload", "render"]


def render(record: Record, notebook: Mapping[str, Any], *, language: str = "en") -> bytes:
    """Return the record as a complete HTML page, UTF-8.

    Args:
        record: What the run's record says.
        notebook: The executed notebook (nbformat 4) as JSON gave it; a malformed part is left out or named.
        language: The language of the page's own words, ``en`` or ``zh_CN``; the banner is in both.
    """
    from opsnb.control.render.exporter import export
    from opsnb.control.render.page import page_of

    return export(page_of(record, notebook, language), language).encode("utf-8", "replace")


def preload() -> None:
    """Import nbconvert, compile the template and render a small page in each language, so that the next is quick."""
    from opsnb.base.i18n import LANGUAGES
    from opsnb.control.records import Record

    cells = [
        {"cell_type": "markdown", "source": "# a\n\n`b` **c**\n\n```python\nd = 1\n```", "metadata": {}},
        {"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": [
            {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<b>1</b>"}},
        ]},
    ]  # fmt: skip
    for language in LANGUAGES:
        record = Record(run="0", request="0", request_digest="0", runbook="0", title="0")
        render(record, {"cells": cells, "metadata": {}}, language=language)
