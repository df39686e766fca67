"""The verifier, run as an auditor runs it: a program of its own, isolated, that reads and says what it found."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsnb.runbook.show import visible

VERIFIER = "ledger/verify.py"
SECONDS = 240.0  # how long it may take
MAX_PROBLEMS = 50  # that are kept in words
VERDICTS = {0: "INTACT", 1: "ALTERED", 2: "NOT CHECKED"}


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What the verifier said.

    Args:
        verdict: ``INTACT``, ``ALTERED`` or ``NOT CHECKED``.
        problems: What is wrong, the first bad thing first, at most ``MAX_PROBLEMS``.
        altered: How many things are wrong.
        counts: ``entries``, ``runs``, ``pending``, ``files``.
        seconds: How long it took.
    """

    verdict: str
    problems: tuple[str, ...] = ()
    altered: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def intact(self) -> bool:
        """Whether every byte is what the ledger recorded."""
        return self.verdict == VERDICTS[0]

    @property
    def summary(self) -> str:
        """The verdict, and the first bad thing where there is one."""
        return self.verdict + (f": {self.problems[0]}" if self.problems else "")


def verify(outputs: str, head: str = "", *, seconds: float = SECONDS) -> Verification:
    """Run the verifier that lies in ``outputs``; whatever keeps it from an answer is the verdict ``NOT CHECKED``.

    Args:
        outputs: The folder to check.
        head: File with a kept checkpoint; empty means none.
        seconds: How long it may take.
    """
    root = Path(outputs).absolute()
    program = root / VERIFIER
    if not outputs or not program.is_file():
        return _unchecked(f"{VERIFIER} is not there")
    argv = [sys.executable, "-I", str(program), str(root), "--json", "--lang", "en"]
    argv += [f"--head={Path(head).absolute()}"] if head else []
    started = time.monotonic()
    try:
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return _unchecked(f"the verifier did not answer within {seconds:g} s")
    except OSError as error:
        return _unchecked(f"the verifier could not be started: {error.strerror}")
    return parse_report(done.returncode, done.stdout, time.monotonic() - started)


def parse_report(code: int, printed: bytes, seconds: float = 0.0) -> Verification:
    """Return what the verifier's exit code and JSON document say; a contradiction between them is ``NOT CHECKED``."""
    try:
        value: dict[str, Any] = json.loads(printed)
        problems, counts = [str(p) for p in value["problems"]], {str(k): int(v) for k, v in value["counts"].items()}
        if value["exit_code"] != code or value["ok"] is not (code == 0) or bool(problems) is (code == 0):
            raise ValueError(code)  # noqa: TRY301  (the one answer below fits)
        verdict = VERDICTS[code]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _unchecked(f"the verifier ended with {code} and no answer that can be read")
    return Verification(
        verdict=verdict, problems=tuple(visible(p) for p in problems[:MAX_PROBLEMS]), counts=counts, seconds=seconds,
        altered=len(problems) if code == 1 else 0,
    )  # fmt: skip


def verification_text(found: Verification) -> str:
    """Return the verdict, how much was checked, and what is wrong, for a reader."""
    lines = [f"{found.verdict}  (verify.py, {found.seconds:.1f} s)"]
    if found.counts:
        counts = found.counts
        lines.append(f"{counts['entries']:,} entries, {counts['runs']:,} runs, {counts['files']:,} files"
                     if counts.keys() >= {"entries", "runs", "files"} else "")  # fmt: skip
    lines += [f"  {problem}" for problem in found.problems]
    if found.altered > len(found.problems):
        lines.append(f"  ... and {found.altered - len(found.problems):,} more")
    return "\n".join(line for line in lines if line)


def _unchecked(why: str) -> Verification:
    return Verification(verdict=VERDICTS[2], problems=(why,))
