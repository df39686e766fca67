"""A realistic record and notebook for the tests of this folder: prose, tables, a plot, a failed check, a traceback."""

from __future__ import annotations

import base64
import io
from functools import cache
from typing import Any

from opsnb.base.plan import Change, Plan
from opsnb.control.records import Cell, CellState, Check, Mode, Record, Risk, Verdict

FRONT = {
    "id": "NGX-010",
    "title": "Balance a web tier behind nginx",
    "promise": "Renders the upstream, proves it with nginx -t, reloads without dropping a connection, shows the spread.",
    "risk": "change",
    "owner": "web-ops",
    "touches": "nginx configuration and a reload on the selected hosts",
    "undo": "restores the previous configuration byte for byte",
    "timeout": "10m",
    "lock": "nginx/{host}",
    "parameters": {"strategy": {"choices": ["round_robin", "weighted", "least_conn", "ip_hash"]}},
}
OLD = "upstream web {\n  server 10.0.0.1:8000;\n  server 10.0.0.2:8000;\n}\nserver { listen 80; }\n"
NEW = "upstream web {\n  server 10.0.0.1:8000 weight=3;\n  server 10.0.0.2:8000;\n  server 10.0.0.3:8000;\n}\nserver { listen 80; }\n"
WIDE = [f"metric_{n}" for n in range(14)]


def plan() -> Plan:
    """Return a plan of two changes."""
    changes = [
        Change(
            host=host, what="file /etc/nginx/conf.d/web.conf", verb="linux.file",
            target={"path": "/etc/nginx/conf.d/web.conf"}, before={"mode": "0644", "content": OLD},
            after={"mode": "0644", "content": NEW}, command="write the file, nginx -t, nginx -s reload",
            undo="restore the previous file, nginx -t, nginx -s reload",
        )
        for host in ("web-lb-1", "web-lb-2")
    ]  # fmt: skip
    return Plan(title="weights 3:1:1 on 2 balancers", changes=tuple(changes), context={"requests per second": 1034})


@cache
def plot() -> str:
    """Return a matplotlib plot as base64 PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.bar(["10.0.0.1", "10.0.0.2", "10.0.0.3"], [598, 203, 199], color="#3b6ea8")
    axes.set_ylabel("requests")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def table() -> dict[str, Any]:
    """Return a pandas table as a mime bundle."""
    import pandas as pd

    frame = pd.DataFrame({
        "server": ["10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000"], "weight": [3, 1, 1],
        "requests": [598, 203, 199], "share": [0.598, 0.203, 0.199], "p99 ms": [41.2, 39.8, 244.1],
    })  # fmt: skip
    return {"text/html": frame._repr_html_(), "text/plain": str(frame)}


def wide_table() -> dict[str, Any]:
    """Return a table that is wider than any phone."""
    head = "".join(f"<th>{name}</th>" for name in WIDE)
    rows = "".join(
        f"<tr><th>web-{n}</th>" + "".join(f"<td>{n * 1000 + k}.25</td>" for k in range(14)) + "</tr>" for n in range(6)
    )
    return {
        "text/html": f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>",
        "text/plain": "…",
    }


def markdown(source: str) -> dict[str, Any]:
    """Return a markdown cell."""
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source: str, *outputs: dict[str, Any], tags: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a code cell with its outputs."""
    return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": list(outputs)}


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    """Return a stream output."""
    return {"output_type": "stream", "name": name, "text": text}


def shown(data: dict[str, Any], metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a display_data output."""
    return {"output_type": "display_data", "data": data, "metadata": metadata or {}}


TRACEBACK = {
    "output_type": "error",
    "ename": "TimeoutError",
    "evalue": "web-lb-2 did not answer within 5 s",
    "traceback": [
        "\x1b[31m---------------------------------------------------------------------------\x1b[39m",
        "\x1b[31mTimeoutError\x1b[39m                              Traceback (most recent call last)",
        "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[9]\x1b[39m\x1b[32m, line 1\x1b[39m\n\x1b[32m----> \x1b[39m\x1b[32m1\x1b[39m answers = nginx.spread(\x1b[33m'web-lb-2'\x1b[39m, requests=\x1b[32m1000\x1b[39m)",
        "\x1b[31mTimeoutError\x1b[39m: web-lb-2 did not answer within 5 s",
    ],
}


def notebook() -> dict[str, Any]:
    """Return an executed notebook of seventeen cells."""
    cells = [
        {"cell_type": "raw", "metadata": {}, "source": "---\nid: NGX-010\ntitle: Balance\n---"},
        markdown(
            "# NGX-010 - Balance a web tier behind nginx\n\nRenders the upstream and proves it with `nginx -t`.\n\n"
            "*Use when* a back end joins or leaves. *Do not use when* the balancers drifted: use "
            "[CFG-003](https://wiki.example/CFG-003) first.\n\nThe share of server $i$ is $w_i / \\sum w$."
        ),
        code(
            'strategy: str = "round_robin"  # how requests are spread\nbatch: int = 1  # hosts at a time',
            tags=("parameters",),
        ),
        code('strategy = "weighted"\nbatch = 1', tags=("injected-parameters",)),
        markdown("Who, what and where are printed."),
        code(
            'import opsnb\nfrom opsnb.kits import nginx\n\nrun = opsnb.begin("NGX-010")',
            stream("NGX-010  mode apply  on web-lb-1, web-lb-2  by li.wei\nrun 20261123-114501-k3f9x\n"),
        ),
        markdown("## 2. What we see now\n\nEvery back end answers, and the spread is even."),
        code("nginx.spread(run.hosts)", shown(table())),
        markdown("The bars show how 1,000 requests were spread over the back ends."),
        code("show(nginx.plot_spread(spread))", shown({"image/png": plot(), "text/plain": "<Figure>"})),
        code("metrics.table(run.hosts, last='1h')", shown(wide_table())),
        code(
            "print(nginx.access_log('web-lb-1'))",
            stream("".join(f"10.1.{n % 256}.{n % 199} - - GET /v/{n:05d} 200 {n % 977}\n" for n in range(7000))),
        ),
        markdown("## 5. Did it work?\n\nEvery promise is checked once."),
        code(
            'run.check("every back end answers", answers, 3)\nrun.check("share of 10.0.0.1", share, 0.6)',
            stream(
                "PASS  every back end answers: got 3, want 3\nFAIL  p99 of 10.0.0.3 is under 200 ms: got false, want true\n"
            ),
            stream(
                "warning: 10.0.0.3 is slow\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\ \u202etxt.exe\n",
                "stderr",
            ),
        ),
        markdown("The second balancer answers too."),
        code("answers = nginx.spread('web-lb-2', requests=1000)", TRACEBACK),
        code("run.finish()"),
    ]
    return {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}


def record(**changed: Any) -> Record:
    """Return the record of :func:`notebook`; keyword arguments replace its fields."""
    states = {3: CellState.COMPLETED, 15: CellState.FAILED, 16: CellState.NOT_EXECUTED}
    cells = [
        Cell(
            index=n,
            state=states.get(n, CellState.COMPLETED if cell["cell_type"] == "code" else CellState.TEXT),
            seconds=round(0.04 + n * 0.21, 3) if cell["cell_type"] == "code" and n != 16 else None,
            why=TRACEBACK["ename"] + ": " + TRACEBACK["evalue"] if n == 15 else "",
            cut_bytes=48_211 if n == 11 else 0,
        )
        for n, cell in enumerate(notebook()["cells"])
    ]
    fields: dict[str, Any] = {
        "run": "20261123-114501-k3f9x", "request": "20261123-113902-p7mwd", "request_digest": "5d" * 32,
        "runbook": "NGX-010", "title": FRONT["title"], "promise": FRONT["promise"], "facts": FRONT,
        "risk": Risk.CHANGE, "mode": Mode.APPLY, "verdict": Verdict.FAILED,
        "reason": "a cell failed: TimeoutError: web-lb-2 did not answer within 5 s", "requester": "li.wei",
        "why": "A third back end joins before the evening peak.", "started": "2026-11-23T11:45:01.250Z",
        "ended": "2026-11-23T11:46:13.900Z", "seconds": 72.65,
        "hosts": [
            {"name": "web-lb-1", "key": "SHA256:Vn0t0cR5t0r4Pq0jbnM3Vx1J0m5s8yPq2c1Zt9l0u7k"},
            {"name": "web-lb-2", "key": "SHA256:9aV3bZ0pQ2l4m7Xw8cJ1nKs6tRf5uYh0gE3dTi2oB8w"},
        ],
        "parameters": [
            {"name": "strategy", "value": "weighted", "default": "round_robin", "label": "how requests are spread"},
            {"name": "batch", "value": 1, "default": 1, "label": "hosts at a time"},
        ],
        "approvals": [{"who": "li.wei", "at": "2026-11-23T11:43:20.000Z", "self": True}],
        "plan": plan().as_json(),
        "applied": [
            {"change": 0, "host": "web-lb-1", "what": "file /etc/nginx/conf.d/web.conf", "state": "ok"},
            {"change": 1, "host": "web-lb-2", "what": "file /etc/nginx/conf.d/web.conf", "state": "unknown"},
        ],
        "checks": [
            Check(what="every back end answers", got=3, want=3, ok=True),
            Check(what="p99 of 10.0.0.3 is under 200 ms", got=False, want=True, ok=False),
        ],
        "evidence": {"shares": [0.598, 0.203, 0.199], "nodes": 3},
        "cells": cells,
        "files": [{"path": "files/spread.csv", "size": 48213, "sha256": "8e" * 32}],
        "notes": ["not isolated: this system offers no Landlock, so the kernel could read and write as its user can"],
        "isolation": "none",
        "digests": {"sealed notebook": "a1" * 32, "toolkit": "b2" * 32, "executed notebook": "c3" * 32},
        "ledger": {"index": 41, "size": 42, "root": "d4" * 32, "at": "2026-11-23T11:46:13.900Z"},
        "root_prefix": "../../../../",
    }  # fmt: skip
    return Record(**{**fields, **changed})
