"""Lists of requests through the API: the hundred-thousandth request makes no page slower, and pages hold each once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert

from claims.firm import Firm
from opsnb.control.approvals.store import approvals
from opsnb.web.api import Activity, create

pytestmark = pytest.mark.slow
FEW, MANY = 1_000, 100_000
ROUNDS = 41
MOST = 1.5  # times as long
STATUSES = ("open", "approved", "expired", "rejected", "withdrawn")
QUERIES = ("", "?status=waiting", "?status=open", "?mine=true", "?runbook=TST-100", "?runbook=NONE", "?status=vetoed")


def fill(firm: Firm, first: int, last: int) -> None:
    """Add requests, a few of them open, as a year leaves them."""
    me = firm.app.person.id
    rows = [
        {
            "request": f"q{n}", "digest": "0" * 64, "plan": "0" * 64, "requester": me if n % 7 == 0 else "u-other",
            "runbook": "TST-100" if n % 3 else "TST-101", "risk": "change", "scope": {}, "reviewed": False,
            "asked": "2026-11-26T08:00:00.000Z", "until": "2099-01-01T00:00:00.000Z",
            "status": STATUSES[0] if n % 100 == 0 else STATUSES[n % len(STATUSES)],
        }
        for n in range(first, last)
    ]  # fmt: skip
    with firm.services.database.transaction() as connection:
        connection.execute(insert(approvals), rows)


@pytest.fixture(scope="module")
def ask(firm: Firm) -> Iterator[Any]:
    """Ask the API."""
    with TestClient(create(firm.app, Activity()), base_url="http://127.0.0.1") as client:

        def get(query: str) -> Any:
            answer = client.get(f"/api/requests{query}", headers={"authorization": f"Bearer {firm.app.token}"})
            assert answer.status_code == 200, answer.text
            return answer.json()

        yield get


def seconds(ask: Any, query: str) -> float:
    """Return how long a page takes: the median of many."""
    took = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        ask(query)
        took.append(time.perf_counter() - begin)
    return median(took)


def test_a_hundred_thousand_requests(firm: Firm, ask: Any) -> None:
    """Each list with 100,000 requests takes at most 1.5 times as long as with 1,000, its last page too."""
    fill(firm, 0, FEW)
    queries = (*QUERIES, "?before=200")
    before = {query: seconds(ask, query) for query in queries}
    fill(firm, FEW, MANY)
    after = {query: seconds(ask, query) for query in queries}
    ratios = {query: round(after[query] / before[query], 2) for query in queries}
    if os.environ.get("OPSNB_PROVE"):
        assert max(ratios.values()) <= MOST, ratios
    else:
        assert max(ratios.values()) <= 2 * MOST, ratios  # while other tests run beside it
    numbers: list[int] = []
    page = ask("?status=waiting&limit=500")
    while page["next"]:
        numbers += [row["number"] for row in page["requests"]]
        page = ask(f"?status=waiting&limit=500&before={page['next']}")
    numbers += [row["number"] for row in page["requests"]]
    assert numbers == sorted(set(numbers), reverse=True)
    wanted = sum(1 for n in range(MANY) if n % 100 == 0 or STATUSES[n % len(STATUSES)] in {"open", "approved"})
    assert len(numbers) == wanted
