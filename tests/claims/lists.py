"""Two workspaces, one with a hundred times as many requests, and how long a page of each list takes through the API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import insert

from claims.firm import Firm
from opsnb.base.canonical import canonical
from opsnb.control.approvals.store import approvals
from opsnb.control.records import Mode
from opsnb.control.runs.claims import claims, slot_of
from opsnb.control.runs.store import requests
from opsnb.web.api import Activity, create

Get = Callable[[str], Any]
FEW, MANY = 1_000, 100_000
MOST = 1.5  # times as long
STATUSES = ("open", "approved", "expired", "rejected", "withdrawn")
TAKEN = 10  # a run took one in so many
RARE = 250  # one in so many went without an approval and waits for its review
# every list that the command line and the pages ask for: each filter, each two and three of them, first and later pages
QUERIES = (
    "", "?status=waiting", "?status=open", "?status=vetoed", "?status=open,approved,expired", "?mine=true",
    "?mine=true&status=waiting", "?mine=true&status=vetoed", "?runbook=TST-100", "?runbook=NONE",
    "?runbook=TST-100&status=waiting", "?runbook=TST-100&status=vetoed", "?mine=true&runbook=TST-101",
    "?mine=true&runbook=NONE", "?mine=true&runbook=TST-102", "?mine=true&runbook=TST-102&status=waiting", "?mine=true&runbook=TST-100&status=waiting", "?mine=true&runbook=TST-100&status=vetoed",
    "?before=200", "?status=waiting&before=200", "?limit=200", "?status=waiting&limit=200",
    "?status=used", "?status=approved", "?mine=true&status=used",
)  # fmt: skip


def fill(firm: Firm, first: int, last: int) -> None:
    """Add requests, a few of them open, as a year leaves them."""
    me = firm.app.person.id
    rows = [
        {
            "request": f"q{n}", "digest": "0" * 64, "plan": "0" * 64, "requester": me if n % 7 == 0 else "u-other",
            "runbook": "TST-102" if n % 7 == 1 else "TST-100" if n % 3 else "TST-101", "risk": "change", "scope": {}, "reviewed": n % RARE != 1,
            "asked": "2026-11-26T08:00:00.000Z", "until": "2099-01-01T00:00:00.000Z",
            "status": STATUSES[0] if n % 100 == 0 else STATUSES[n % len(STATUSES)],
        }
        for n in range(first, last)
    ]  # fmt: skip
    body = {"hosts": [], "authors": [], "policy": {}, "labels": []}
    sealed = [
        {
            **{name: row[name] for name in ("digest", "requester", "runbook", "risk")}, "id": row["request"],
            "submission": row["request"], "body": canonical(body), "parameters": {}, "salts": {}, "created": row["asked"],
        }
        for row in rows if row["status"] == "open"
    ]  # fmt: skip
    used = [
        {
            "run": f"r{n}", "request": f"q{n}", "mode": "apply", "slot": slot_of(f"q{n}", Mode.APPLY, "", 0),
            "by": me, "at": "2026-11-26T09:00:00.000Z", "approvals": [],
        }
        for n in range(first, last) if n % TAKEN == 1
    ]  # fmt: skip
    with firm.services.database.transaction() as connection:
        connection.execute(insert(approvals), rows)
        connection.execute(insert(claims), used)
        connection.execute(insert(requests), sealed)


@contextmanager
def api(firm: Firm) -> Iterator[Get]:
    """Ask the API of a workspace."""
    with TestClient(create(firm.app, Activity()), base_url="http://127.0.0.1") as client:

        def get(query: str) -> Any:
            answer = client.get(f"/api/requests{query}", headers={"authorization": f"Bearer {firm.app.token}"})
            assert answer.status_code == 200, answer.text
            return answer.json()

        yield get


def ratio(few: Get, many: Get, query: str, rounds: int, clock: Callable[[], float] = time.process_time) -> list[float]:
    """Return how long a page takes with few requests and with many, in seconds: medians of alternating rounds.

    Processor seconds, unless another clock is given: other work on the machine says little then.
    """
    took: list[list[float]] = [[], []]
    for number in range(rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            begin = clock()
            (few, many)[which](query)
            took[which].append(clock() - begin)
    return [median(one) for one in took]
