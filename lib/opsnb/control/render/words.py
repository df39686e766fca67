"""The words for states and verdicts, as messages of the catalogue, and how times and values read."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from opsnb.base.i18n import mark, translate
from opsnb.control.records import CellState, Mode, Risk, Verdict

_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?")
MAX_VALUE = 20_000  # characters of one value in a table

# Verdict → (symbol, word, what it means). The word in capitals is the verdict's name everywhere else.
VERDICTS = {
    Verdict.DONE: ("✓", mark("DONE"), mark("The run did what it promised.")),
    Verdict.PLANNED: ("◇", mark("PLANNED"), mark("The run only read, and ended in a plan.")),
    Verdict.NOT_APPLICABLE: ("–", mark("NOT APPLICABLE"), mark("The runbook said that it is the wrong one here.")),
    Verdict.FAILED: ("✗", mark("FAILED"), mark("A cell, a change or a check failed.")),
    Verdict.DRIFTED: ("≠", mark("DRIFTED"), mark("What was found is no longer what was approved.")),
    Verdict.ABORTED: ("■", mark("ABORTED"), mark("The run was stopped, timed out or killed before its end.")),
    Verdict.LOST: (
        "?",
        mark("LOST"),
        mark("A change was begun and nobody knows how it ended. Look at the host first."),
    ),
}
CELL_STATES = {
    CellState.COMPLETED: ("✓", mark("completed")),
    CellState.FAILED: ("✗", mark("failed")),
    CellState.INTERRUPTED: ("■", mark("interrupted")),
    CellState.KILLED: ("■", mark("killed")),
    CellState.SKIPPED: ("–", mark("skipped")),
    CellState.NOT_EXECUTED: ("○", mark("not executed")),
    CellState.TEXT: ("", mark("text")),
}
NOT_RECORDED = ("·", mark("state not recorded"))
SHORT = (
    mark("read"),
    mark("change"),
    mark("danger"),
    mark("plan"),
    mark("apply"),
    mark("undo"),
    mark("retry"),
)  # modes and risks
MODES = {
    Mode.READ: mark("read (changes nothing)"),
    Mode.PLAN: mark("plan (reads only)"),
    Mode.APPLY: mark("apply (carries out the approved plan)"),
    Mode.UNDO: mark("undo (carries out the inverse of an applied plan)"),
    Mode.RETRY: mark("retry (carries out what an application did not finish)"),
}
UNAPPROVED_APPLY = mark("apply (carries out the plan, which nobody approved)")
RISKS = {
    Risk.READ: mark("read: changes nothing"),
    Risk.CHANGE: mark("change: can be undone"),
    Risk.DANGER: mark("danger: may not be undone"),
}
APPLIED = {
    "ok": ("✓", mark("made")), "failed": ("✗", mark("failed")), "unknown": ("?", mark("unknown")),
    "unreachable": ("⊘", mark("not reached, nothing was begun")), "not begun": ("–", mark("not begun")),
}  # fmt: skip
FACTS = {
    "id": mark("Id"), "title": mark("Title"), "promise": mark("Promise"), "risk": mark("Risk"), "owner": mark("Owner"),
    "touches": mark("Touches"), "undo": mark("Undo"), "timeout": mark("Time limit"),
    "cell_timeout": mark("Time limit of a cell"), "lock": mark("Lock"),
    "reads": mark("Reads"), "writes": mark("Writes"), "parameters": mark("Parameter rules"),
    "use_when": mark("Use when"), "hosts": mark("Hosts"), "secrets": mark("Secrets"),
}  # fmt: skip
DIGESTS = {
    "sealed notebook": mark("Sealed notebook"), "executed notebook": mark("Executed notebook"),
    "notebook": mark("Sealed notebook"), "executed": mark("Executed notebook"), "toolkit": mark("Toolkit"),
    "request": mark("Request"), "plan": mark("Plan"),
}  # fmt: skip


def value_text(value: Any) -> str:
    """Return a JSON value for a reader: text as it is, a list of plain values with commas, else indented JSON."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and value and all(isinstance(v, str | int | float) for v in value):
        text = ", ".join(v if isinstance(v, str) else json.dumps(v) for v in value)
    elif isinstance(value, dict | list) and value:
        text = json_text(value, indent=1)
    else:
        text = json_text(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}… (+{len(text) - MAX_VALUE})"


def fact_text(value: Any) -> str:
    """Return a fact as it would stand in the front matter: YAML, inner collections on one line."""
    if not isinstance(value, dict) or not value:
        return value_text(value)
    import yaml

    try:
        return yaml.safe_dump(
            _numbers(value), allow_unicode=True, sort_keys=False, default_flow_style=None, width=100
        ).rstrip()
    except (yaml.YAMLError, RecursionError):  # something that JSON has no name for, or nested beyond reading
        return value_text(value)


def _numbers(value: Any) -> Any:
    """Return sealed facts with the floats in them as numbers: what is sealed holds them as their shortest text."""
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    if isinstance(value, str) and _FLOAT.fullmatch(value) and repr(float(value)) == value:
        return float(value)
    return value


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON; what JSON cannot hold is shown as Python shows it, what is nested too deeply is named."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    except (TypeError, ValueError):  # a key that is no text, a list that holds itself
        return repr(value)
    except RecursionError:
        return "… (nested too deeply to be shown)"


def compared(value: Any) -> str:
    """Return one side of a check as JSON, so that ``"8"`` and ``8`` look different."""
    text = json_text(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}… (+{len(text) - MAX_VALUE})"


def duration(seconds: float, language: str) -> str:
    """Return a duration: ``0.84 s``, ``12.5 s``, ``2 min 5 s``, ``1 h 2 min``; what is no number: ``? s``."""
    try:
        seconds = float(seconds)  # a manifest holds it as its shortest decimal string
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        return translate("{n} s", language, n="?")
    if seconds < 10:  # noqa: PLR2004  (two digits are enough from here on)
        return translate("{n} s", language, n=f"{seconds:.2f}")
    if seconds < 60:  # noqa: PLR2004  (a minute)
        return translate("{n} s", language, n=f"{seconds:.1f}")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004  (an hour)
        return translate("{m} min {s} s", language, m=minutes, s=rest)
    return translate("{h} h {m} min", language, h=minutes // 60, m=minutes % 60)


def moment(stamp: str) -> str:
    """Return ``2026-11-23T11:45:01.250Z`` as ``2026-11-23 11:45:01 UTC``; anything else as it is."""
    if len(stamp) >= 20 and stamp[10:11] == "T" and stamp.endswith("Z"):  # noqa: PLR2004  (date, T, time, Z)
        return f"{stamp[:10]} {stamp[11:19]} UTC"
    return stamp


def size(count: int, language: str) -> str:
    """Return a number of bytes with its thousands set apart."""
    return translate("{n} bytes", language, n=f"{count:,}")
