"""Manifests of recorded runs, parsed from bytes; only what an overview needs is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsnb.base.errors import UsageError

MAX_MANIFEST = 2**26  # bytes, as the verifier has it
MAX_TEXT = 200  # characters that are kept of a text


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a manifest says of its run. ``ended`` is ISO 8601 UTC, ``evidence`` as the run left it."""

    run: str
    runbook: str
    title: str
    mode: str
    verdict: str
    requester: str
    ended: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def parse_manifest(data: bytes) -> Recorded:
    """Return what a manifest says of its run.

    Raises:
        UsageError: If it is too large or not a manifest.
    """
    try:
        value: Any = json.loads(data) if len(data) <= MAX_MANIFEST else None
        record, evidence = value["record"], value["record"].get("evidence", {})
        names = ("runbook", "title", "mode", "verdict", "requester", "ended")
        texts = {"run": value["run"], **{name: record[name] for name in names}}
        if not all(isinstance(t, str) for t in texts.values()) or not isinstance(evidence, dict):
            raise TypeError  # noqa: TRY301  (the one message below fits)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError("this is not a manifest") from error
    return Recorded(**{name: text[:MAX_TEXT] for name, text in texts.items()}, evidence=evidence)
