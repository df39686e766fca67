"""Tables of a trail: few columns, short words, so that a phone shows them. Times are UTC."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import pandas as pd

from opsnb.kits.audit.coverage import Coverage
from opsnb.kits.audit.entries import Head
from opsnb.kits.audit.periods import ordered, verdict_of
from opsnb.kits.audit.trail import Trail

LONGEST = 10  # pauses that are listed
THIS = "AUD-001"


def ledger_table(trail: Trail) -> pd.DataFrame:
    """Return what the ledger is: origin, size, root, span, and how many records lie beside it."""
    first, last = (trail.entries[0].at, trail.entries[-1].at) if trail.entries else (None, None)
    head = trail.head
    rows = [
        ("origin", head.origin if head else "-"),
        ("entries, signed", f"{head.size:,}" if head else "-"),
        ("entries behind the head", f"{trail.unsigned:,}"),
        ("first entry", moment(first)),
        ("last entry", moment(last)),
        ("span", span(last - first) if first and last else "-"),
        ("record folders", f"{len(trail.folders):,}"),
    ]
    return pd.DataFrame(rows, columns=["what", "value"])


def kinds_table(trail: Trail) -> pd.DataFrame:
    """Return how many entries of each kind there are and when the last one was, most frequent first."""
    last = {entry.kind: entry.at for entry in trail.entries}
    counts = Counter(entry.kind for entry in trail.entries)
    rows = [(kind, count, moment(last[kind])) for kind, count in sorted(counts.items(), key=lambda r: (-r[1], r[0]))]
    return pd.DataFrame(rows, columns=["kind", "entries", "last"])


def verdicts_table(found: Coverage) -> pd.DataFrame:
    """Return runs by verdict and mode."""
    counts = Counter((verdict_of(life), life.mode or "-") for life in found.ended)
    verdicts, modes = ordered(v for v, _ in counts), sorted({m for _, m in counts})
    rows = [[v, *(counts[v, m] for m in modes), sum(counts[v, m] for m in modes)] for v in verdicts]
    return pd.DataFrame(rows, columns=["verdict", *modes, "in all"])


def coverage_table(found: Coverage) -> pd.DataFrame:
    """Return how many runs ended and are covered, are being worked on, or were left."""
    rows = [
        ("runs that ended", len(found.ended)),
        ("recorded, with their folder", len(found.covered) - len(found.unrecorded)),
        ("said to have no record", len(found.unrecorded)),
        ("not covered", len(found.uncovered)),
        ("being worked on now", len(found.working)),
        ("claimed and left", len(found.abandoned)),
    ]
    return pd.DataFrame(rows, columns=["what", "how many"])


def uncovered_table(found: Coverage) -> pd.DataFrame:
    """Return what is not covered, one row each; empty when everything is."""
    rows = [(row.about, row.what, moment(row.at)) for row in found.uncovered]
    return pd.DataFrame(rows, columns=["run or folder", "what", "finished"])


def open_table(trail: Trail, found: Coverage) -> pd.DataFrame:
    """Return runs that have not ended, oldest first: this run among those that are being worked on."""
    state = {life.run: "worked on" for life in found.working} | {life.run: "left" for life in found.abandoned}
    lives = sorted((*found.working, *found.abandoned), key=lambda life: life.run)
    rows = [(r.run, r.mode or "-", span(trail.read_at - r.claimed) if r.claimed else "-", state[r.run]) for r in lives]
    return pd.DataFrame(rows, columns=["run", "mode", "for", "state"])


def longest_gaps(trail: Trail, most: int = LONGEST) -> pd.DataFrame:
    """Return the longest times between two entries that follow each other, longest first."""
    gaps = [(later.at - earlier.at, earlier, later) for earlier, later in pairwise(trail.entries)]
    longest = sorted(gaps, key=lambda gap: (-gap[0], gap[1].index))[:most]
    rows = [(span(gap), moment(a.at), f"{a.index} {a.kind}", f"{b.index} {b.kind}") for gap, a, b in longest]
    return pd.DataFrame(rows, columns=["pause", "from", "after", "before"])


def unrun_table(trail: Trail) -> pd.DataFrame:
    """Return requests that were sealed and that no run has taken, oldest first."""
    claimed = {entry.request for entry in trail.entries if entry.kind == "run.claimed"}
    found = [e for e in trail.entries if e.kind == "request.sealed" and e.request not in claimed]
    rows = [(e.request, str(e.fields.get("risk", "-")), moment(e.at), span(trail.read_at - e.at)) for e in found]
    return pd.DataFrame(rows, columns=["request", "risk", "sealed", "waits"])


def unknown_table(found: Coverage) -> pd.DataFrame:
    """Return changes of runs that ended or were left whose outcome nobody knows."""
    rows = [
        (life.run, number, outcome or "no outcome", moment(life.finished))
        for life in (*found.ended, *found.abandoned)
        for number, outcome in sorted(life.changes.items())
        if outcome not in {"ok", "failed"}
    ]
    return pd.DataFrame(rows, columns=["run", "change", "outcome", "finished"])


def approvals_table(trail: Trail) -> pd.DataFrame:
    """Return approvals by person: how many, and how many of their own requests."""
    rows = [(str(e.fields.get("by", "-")), e.fields.get("self") is True) for e in trail.entries
            if e.kind == "request.approved"]  # fmt: skip
    people = [(who, sum(w == who for w, _ in rows), sum(own for w, own in rows if w == who)) for who in
              sorted({who for who, _ in rows})]  # fmt: skip
    table = [(who, count, own, 100.0 * own / count) for who, count, own in people]
    return pd.DataFrame(table, columns=["approved by", "approvals", "own requests", "own %"])


def heads_table(trail: Trail) -> pd.DataFrame:
    """Return the head that is signed, the root computed here, and the kept head if one was given."""
    rows = [_head_row("signed now", trail.head), ("computed here", _size(trail), trail.root or "-")]
    if trail.kept:
        rows += [_head_row("kept", trail.kept), ("computed for it", _size_of(trail.kept), trail.kept_root or "-")]
    return pd.DataFrame(rows, columns=["head", "entries", "root"])


def earlier_table(trail: Trail, most: int = LONGEST) -> pd.DataFrame:
    """Return earlier runs of this runbook, newest first: when, the verdict, what they found intact and how large."""
    rows = [
        (
            m.ended[:19].replace("T", " "),
            m.verdict,
            m.evidence.get("verified"),
            _whole(m.evidence.get("entries")),
            m.run,
        )
        for m in trail.manifests.values()
        if m.runbook == THIS
    ]
    columns = ["ended", "verdict", "intact", "entries", "run"]
    return pd.DataFrame(sorted(rows, key=lambda row: row[0], reverse=True)[:most], columns=columns)


def self_approved(trail: Trail) -> int:
    """Return how many approvals were of somebody's own request."""
    return sum(e.kind == "request.approved" and e.fields.get("self") is True for e in trail.entries)


def moment(at: datetime | None) -> str:
    """Return a time for a reader: ``2026-11-23 13:06:12``."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "-"


def span(time: timedelta) -> str:
    """Return a duration for a reader in its two largest units: ``3 d 4 h``, ``12 s``; backwards with a minus."""
    seconds, sign = abs(time.total_seconds()), "-" if time.total_seconds() < 0 else ""
    for size, unit, smaller, name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            return f"{sign}{seconds // size:.0f} {unit} {seconds % size // smaller:.0f} {name}"
    return f"{sign}{seconds:.1f} s"


def _head_row(name: str, head: Head | None) -> tuple[str, str, str]:
    return (name, _size_of(head), head.root if head else "-")


def _size_of(head: Head | None) -> str:
    return f"{head.size:,}" if head else "-"


def _size(trail: Trail) -> str:
    return f"{len(trail.entries):,}"


def _whole(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "-"
