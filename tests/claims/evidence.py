# ruff: noqa: T201  (what it prints is what it is for)
"""The tables of docs/evidence/approvals.md: ``OPSNB_EVIDENCE=FILE make prove``, then ``python tests/claims/evidence.py FILE``.

Each proof adds one line of JSON to the file; histories of several runs are added up.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any


def keep(**values: Any) -> None:
    """Add a line to the file that the environment names, if it names one."""
    if path := os.environ.get("OPSNB_EVIDENCE"):
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(values) + "\n")


def main(paths: list[str]) -> None:
    """Print the tables."""
    lines = [json.loads(line) for path in paths for line in Path(path).read_text(encoding="utf-8").splitlines()]
    seen: dict[str, Counter[str]] = {"sqlite": Counter(), "postgresql": Counter()}
    for line in lines:
        if "database" in line:
            seen[line["database"]].update({k: v for k, v in line.items() if isinstance(v, int)})
    print("| what | SQLite | PostgreSQL |\n|---|---|---|")
    for what in sorted(seen["sqlite"] | seen["postgresql"]):
        print(f"| {what} | {seen['sqlite'][what]:,} | {seen['postgresql'][what]:,} |")
    print("\n| claimers | database | rounds | seconds |\n|---|---|---|---|")
    for line in lines:
        if "rounds" in line:
            print(
                f"| {line['claimers']} | {line['kind']} | {line['rounds']:,} of {line['rounds']:,} | {line['seconds']} |"
            )
    print("\n| what was taken away | histories until it was found | what was said first |\n|---|---|---|")
    for line in lines:
        if "mutation" in line:
            print(f"| {line['mutation']} | {line['histories']} | {line['said'].replace('|', '/')} |")


if __name__ == "__main__":
    main(sys.argv[1:])
