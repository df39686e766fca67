"""Lists of requests through the API: the hundred-thousandth request makes no page slower, and pages hold each once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from claims.firm import Firm
from claims.lists import FEW, MANY, MOST, QUERIES, STATUSES, TAKEN, api, fill, ratio

pytestmark = pytest.mark.slow
ROUNDS = 11
BUSY = 2  # times the ratio, while other tests run beside it; tests/bench/lists.py has the figure


def test_a_hundred_thousand_requests(firm: Firm, tmp_path: Path) -> None:
    """Each list with 100,000 requests takes about as long as with 1,000; together its pages hold each request once."""
    small = Firm(tmp_path / "small")
    fill(small, 0, FEW)
    fill(firm, 0, MANY)
    with api(firm) as many:
        with api(small) as few:
            found = {query: ratio(few, many, query, ROUNDS) for query in QUERIES}
        numbers, page = [], many("?status=waiting&limit=500")
        while page["next"]:
            numbers += [row["number"] for row in page["requests"]]
            page = many(f"?status=waiting&limit=500&before={page['next']}")
        numbers += [row["number"] for row in page["requests"]]
    ratios = {query: round(large / little, 2) for query, (little, large) in found.items()}
    assert max(ratios.values()) <= BUSY * MOST, ratios
    assert numbers == sorted(set(numbers), reverse=True)
    waits = (n % 100 == 0 or STATUSES[n % len(STATUSES)] in {"open", "approved"} for n in range(MANY))
    wanted = sum(1 for n, there in enumerate(waits) if there and n % TAKEN != 1)
    assert len(numbers) == wanted


@pytest.mark.parametrize(
    "where", ["status = 'open'", "requester = 'u'", "runbook = 'R'", "requester = 'u' AND runbook = 'R'",
              "requester = 'u' AND status = 'open'", "requester = 'u' AND runbook = 'R' AND status = 'open'"]
)  # fmt: skip
def test_each_list_has_its_index(firm: Firm, where: str) -> None:
    """No list reads the table from one end to the other, or sorts."""
    query = f"SELECT * FROM approvals WHERE {where} ORDER BY number DESC LIMIT 50"  # noqa: S608  (our own words)
    with firm.services.database.engine.connect() as connection:
        plan = " ".join(row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}")))
    assert "USING INDEX" in plan
    assert "TEMP B-TREE" not in plan
