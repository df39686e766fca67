"""The nbconvert exporter of a record: our template, our markdown rules, nothing from anywhere else.

The only module that imports nbconvert. It is costly to import (0.5 s) and to start, so it is made once for each
language and reused; importing this module alone costs nothing.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache, partial
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from opsnb.base import i18n
from opsnb.control.render import sanitize, visible

TEMPLATES = Path(__file__).parent / "templates"
MAX_SOURCE = 60_000  # characters of one cell that are highlighted or read as Markdown; longer ones are shown as text

# The openings of LaTeX that nbconvert seeks the ends of anew at each one: many without an end would take a minute.
FORMULAS = ("\\begin{", "\\\\[", "\\\\(")
MAX_FORMULAS = 200


@cache
def stylesheet() -> tuple[Markup, str]:
    """Return the one style sheet and its CSP source expression ``sha256-...`` (CSP level 3, section 6.7.3.3)."""
    css = "\n" + (TEMPLATES / "record.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return Markup(css), f"sha256-{digest}"  # noqa: S704  (our own file)


def export(page: Any, language: str) -> str:
    """Lay a page out as HTML.

    Args:
        page: A :class:`opsnb.control.render.page.Page`.
        language: The language of the page's own words.
    """
    from nbformat.v4 import new_notebook

    css, source = stylesheet()
    empty = new_notebook()  # the page holds what is to be shown of the notebook, already made safe
    html, _ = _exporter(i18n.language_of(language)).from_notebook_node(
        empty, {"page": page, "css": css, "hash": source}
    )
    return str(html)


@cache
def _exporter(language: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from nbconvert.exporters import TemplateExporter

    class RecordExporter(TemplateExporter):  # type: ignore[misc]  # nbconvert ships no types
        """Takes templates from this package alone: none of the user's folders, configuration or preprocessors."""

        def _create_environment(self) -> Environment:
            environment = Environment(
                loader=FileSystemLoader(TEMPLATES),
                autoescape=True,
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
                auto_reload=False,
            )
            environment.globals["_"] = partial(_translated, language)
            environment.filters["v"] = visible.text  # between tags: escaped, hidden characters shown
            environment.filters["p"] = visible.plain  # in attributes and <title>: hidden characters as words
            return environment

    return RecordExporter(
        template_file="record.html.j2",
        template_paths=[str(TEMPLATES)],
        file_extension=".html",
        preprocessors=[],
        default_preprocessors=[],
    )


def _translated(language: str, message: str, **values: object) -> Markup:
    """Return one of the template's own messages; what fills its places is escaped."""
    shown = {name: value if isinstance(value, Markup) else visible.text(str(value)) for name, value in values.items()}
    return Markup(i18n.translate(str(escape(message)), language, **shown))  # noqa: S704  (all of it is escaped)


def markdown(source: str, attachments: object = None) -> str:
    """Return Markdown as HTML that is **not** safe yet; LaTeX stays text, a picture that is not inside stays words."""
    from nbconvert.filters.markdown_mistune import MarkdownWithMath

    source = visible.without_surrogates(source)  # mistune encodes addresses
    if len(source) > MAX_SOURCE or sum(source.count(opening) for opening in FORMULAS) > MAX_FORMULAS:
        return str(Markup("<pre>{}</pre>").format(source))
    try:
        return str(MarkdownWithMath(renderer=_renderer(attachments)).render(source))
    except RecursionError:  # nested more deeply than anyone wrote by hand
        return str(Markup("<pre>{}</pre>").format(source))


def prose(source: str, attachments: object = None) -> Markup:
    """Return a Markdown cell as safe HTML: links stay, its headings become ``<h3>`` and below."""
    return sanitize.fragment(markdown(source, attachments), links=True, heading_shift=2)


@cache
def _renderer_class() -> Any:
    from nbconvert.filters.markdown_mistune import IPythonRenderer

    class RecordRenderer(IPythonRenderer):  # type: ignore[misc]  # nbconvert ships no types
        """Shows a picture from an attachment or a ``data:`` URI, and words for every other one."""

        def image(self, text: str, url: str, title: str | None = None) -> str:  # noqa: ARG002  (mistune passes it)
            """Return an ``<img>`` whose source the sanitiser checks, or its words."""
            if url.startswith("attachment:"):
                url = self.attachments.get(url.removeprefix("attachment:"), "")
            return str(Markup('<img alt="{}" src="{}">').format(Markup(text).striptags(), url))  # noqa: S704

    return RecordRenderer


def _renderer(attachments: object) -> Any:
    pictures: dict[str, str] = {}
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        for mime, data in bundle.items() if isinstance(bundle, dict) else ():
            uri = f"data:{mime};base64,{''.join(str(data).split())}"
            pictures.setdefault(visible.without_surrogates(str(name)), visible.without_surrogates(uri))
    return _renderer_class()(escape=False, exclude_anchor_links=True, attachments=pictures)


def highlighted(source: str, language: str = "python") -> Markup:
    """Return code as ``<pre>`` with pygments' class names; code that is no Python, or is very long, without."""
    from nbconvert.filters import Highlight2HTML

    if language not in {"python", "ipython"} or len(source) > MAX_SOURCE:
        return Markup('<div class="highlight"><pre>{}</pre></div>').format(visible.text(source))
    return visible.in_html(Highlight2HTML(pygments_lexer="ipython3")(source))
