"""What the API says about itself and about how it is: its description, its one page, health, figures."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import FastAPI, Response

from opsnb.base.version import VERSION
from opsnb.control.app import App
from opsnb.web.table import TABLE

TEXT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus text exposition format
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>opsnb: the API</title><style>
body{{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}
table{{border-collapse:collapse;width:100%}}th,td{{text-align:left;vertical-align:top;padding:.35em .8em .35em 0;
border-bottom:1px solid #ddd}}code{{font-size:.95em;overflow-wrap:anywhere}}
@media(max-width:40em){{tr,td,th{{display:block;border:0;padding:0}}tr{{border-bottom:1px solid #ddd;padding:.6em 0}}
tr:first-child{{display:none}}}}</style><h1>The API of opsnb {version}</h1>
<p>Everything is JSON. Sign in with <code>Authorization: Bearer TOKEN</code>; <code>opsnb user token create</code> makes
a token. For programs: <a href="/api/openapi.json">/api/openapi.json</a>.</p>
<table><tr><th>route</th><th>what it does</th><th>who may</th></tr>{rows}</table>
<h2>Errors</h2><p><code>{{"error": {{"type", "message", "hint", "exit"}}}}</code></p><table>{errors}</table></html>"""
WHO = {"anybody": "anybody", "near": "anybody on this machine", "known": "who is signed in"}


def about_routes(api: FastAPI, app: App) -> None:
    """Add the routes."""

    @api.get("/healthz")
    def health() -> dict[str, Any]:
        """Say that the control plane is there."""
        return {"ok": True, "version": VERSION}

    @api.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def metrics() -> Response:
        """Figures in Prometheus' text format."""
        return Response(_exposed(app.figures()), media_type=TEXT)

    @api.get("/api/openapi.json", include_in_schema=False)
    def described() -> dict[str, Any]:
        return api.openapi()

    @api.get("/api", include_in_schema=False)
    def page() -> Response:
        return Response(_page(api.openapi()), media_type="text/html")


def _exposed(figures: dict[str, Any]) -> str:
    waiting = figures["states"].get("queued", 0)
    rows = [
        *_family("opsnb_runs", "gauge", "Runs by state.", {f'state="{k}"': v for k, v in figures["states"].items()}),
        *_family(
            "opsnb_runs_ended_total", "counter", "Runs that ended, by verdict.",
            {f'verdict="{k}"': v for k, v in figures["verdicts"].items()},
        ),
        *_family("opsnb_queue_length", "gauge", "Runs that wait for a worker.", {"": waiting}),
        *_family("opsnb_ledger_entries", "gauge", "Entries of the ledger.", {"": figures["ledger"]}),
        *_family("opsnb_workers", "gauge", "Runs that may go on at a time.", {"": figures["workers"]}),
        *_family("opsnb_info", "gauge", "The version that answers.", {f'version="{VERSION}"': 1}),
    ]  # fmt: skip
    return "\n".join(rows) + "\n"


def _family(name: str, kind: str, text: str, values: dict[str, int]) -> list[str]:
    rows = [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in values.items()]
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *rows]


def _page(described: dict[str, Any]) -> str:
    rows: list[str] = []
    errors: dict[str, str] = {}
    for path, methods in described["paths"].items():
        for method, said in methods.items():
            needs = TABLE[f"{method.upper()} {path}"]
            who = f"who may '{needs.action}'" if needs.action else WHO[str(needs.door)]
            text = escape(said.get("description", said.get("summary", "")))
            rows.append(f"<tr><td><code>{method.upper()} {escape(path)}</code><td>{text}<td>{escape(who)}")
            errors |= {code: r["description"] for code, r in said["responses"].items() if code >= "4"}
    told = "".join(f"<tr><td>{code}<td>{escape(text)}" for code, text in sorted(errors.items()))
    return PAGE.format(version=VERSION, rows="".join(rows), errors=told)
