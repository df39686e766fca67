"""Lists with 100,000 requests ÷ with 1,000, through the API. Run: ``PYTHONPATH=tests python tests/bench/lists.py``.

Two workspaces side by side, asked in turn; each figure is the ratio of two medians, first of processor time, which is
what has to be kept, then of time on the wall, which other work on the machine disturbs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from claims.firm import Firm
from claims.lists import FEW, MANY, MOST, QUERIES, api, fill, ratio

ROUNDS = 41


def scans(firm: Firm) -> list[str]:
    """Return which queries of the lists read a whole table; none should."""
    found: list[str] = []
    with firm.services.database.engine.connect() as connection:
        for where in ("", "status = 'open'", "requester = 'u'", "runbook = 'R'", "requester = 'u' AND status = 'open'",
                      "runbook = 'R' AND status = 'open'", "requester = 'u' AND runbook = 'R'",
                      "requester = 'u' AND runbook = 'R' AND status = 'open'"):  # fmt: skip
            query = f"SELECT * FROM approvals {'WHERE ' if where else ''}{where} ORDER BY number DESC LIMIT 50"  # noqa: S608
            plan = " · ".join(row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}")))
            print(f"  {where or 'everything':62} {plan}")
            if ("SCAN" in plan and where) or "TEMP B-TREE" in plan:
                found.append(where)
    return found


def main() -> None:
    """Print the figures; fail where one is missed."""
    folder = Path(tempfile.mkdtemp(prefix="opsnb-lists-"))
    few, many = Firm(folder / "few"), Firm(folder / "many")
    fill(few, 0, FEW)
    for first in range(0, MANY, 10_000):
        fill(many, first, first + 10_000)
    worst = 0.0
    with api(few) as ask_few, api(many) as ask_many:
        for query in QUERIES:
            small, large = ratio(ask_few, ask_many, query, ROUNDS)
            brief, long = ratio(ask_few, ask_many, query, ROUNDS, time.perf_counter)
            worst = max(worst, large / small)
            cpu = f"{large * 1000:7.2f} ms ÷ {small * 1000:6.2f} ms = {large / small:5.2f}"
            wall = f"{long * 1000:7.2f} ms ÷ {brief * 1000:6.2f} ms = {long / brief:5.2f}"
            print(f"{cpu}   {wall}   {query or 'all'}", flush=True)
    print(f"worst {worst:.2f}, wanted at most {MOST}")
    wrong = scans(many)
    sys.exit(f"missed: {worst:.2f}, without an index: {wrong}" if worst > MOST or wrong else 0)


if __name__ == "__main__":
    main()
