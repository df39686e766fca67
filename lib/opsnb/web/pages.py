"""The few plain pages of coming in: one look, both languages, no script."""

from __future__ import annotations

from html import escape

from fastapi import Request, Response

from opsnb.base.i18n import html_lang, language_of, mark, translate
from opsnb.control.app import App

STYLE = """:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:28em;margin:3em auto;padding:0 1em}
input,button,code{font:inherit;width:100%;box-sizing:border-box;padding:.5em;margin:.2em 0 1em}
code{display:block;font-family:ui-monospace,monospace;border:1px solid #888;overflow-wrap:anywhere;user-select:all}"""
TITLE = mark("Sign in")


def page(app: App, request: Request, inside: str, status: int = 200) -> Response:
    """Return a page around HTML in the reader's language."""
    language = reads(app, request)
    title = f"{escape(translate(TITLE, language))} · {escape(app.services.settings.name)}"
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    text = (
        f'<!doctype html><html lang="{html_lang(language)}">{head}<title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1>{inside}</html>"
    )
    # A form sends its page's origin only where the referrer policy lets it: the guard wants to see it.
    return Response(text, status, {"referrer-policy": "same-origin"}, media_type="text/html")


def reads(app: App, request: Request) -> str:
    """Return the language that a browser asks for, else the workspace's."""
    wanted = request.headers.get("accept-language", "").split(",")[0].split(";")[0]
    return language_of(wanted or app.services.settings.language)
