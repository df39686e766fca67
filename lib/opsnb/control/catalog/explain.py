"""Explain the lint codes: what each asks, why, a wrong and a right example; for the docs and ``lint --explain``.

The words lie in ``explanations.toml``; what a code asks and how much it weighs come from its rule.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from opsnb.control.catalog.lint import CODES, SEVERITIES, Severity


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One lint code.

    Args:
        code: ``OPS034``.
        severity: ``error`` or ``warning``.
        asks: What holds where it finds nothing, in one sentence.
        why: Why it is asked.
        form: What the examples are: ``cells`` as :mod:`.compose` writes them, ``json`` of the file, or a ``file``.
        wrong: An example with the finding.
        right: The same without.
    """

    code: str
    severity: Severity
    asks: str
    why: str
    form: str
    wrong: str
    right: str

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        examples = "".join(
            f"\n\n{word}:\n" + "\n".join(f"    {line}".rstrip() for line in text.splitlines())
            for word, text in (("wrong", self.wrong), ("right", self.right))
        )
        return f"{self.code} ({self.severity.value})  {self.asks}\n{self.why}{examples}"


def _read() -> dict[str, Explanation]:
    file = resources.files("opsnb.control.catalog") / "explanations.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        code: Explanation(
            code=code, severity=SEVERITIES[code], asks=CODES[code], why=row["why"], form=row.get("form", "cells"),
            wrong=row["wrong"].strip("\n"), right=row["right"].strip("\n"),
        )
        for code, row in sorted(table.items())
    }  # fmt: skip


EXPLANATIONS: dict[str, Explanation] = _read()
