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
from opsnb.runbook.show import visible

LONGEST = 10  # pauses that are listed
THIS = "AUD-001"


def ledger_table(trail: Trail) -> pd.DataFrame:
    """Return what the ledger is: origin, size, root, span, and how many records lie beside it."""
    first, last = (trail.entries[0].at, trail.entries[-1].at) if trail.entries else (None, None)
    head = trail.head
    rows = [
        ("origin", head.origin if head else "-"),
        ("signed", f"{head.size:,} entries" if head else "-"),
        ("not signed yet", f"{trail.unsigned:,} entries"),
        ("first", moment(first)),
        ("last", moment(last)),
        ("span", span(last - first) if first and last else "-"),
        ("folders", f"{len(trail.folders):,} records"),
    ]
    return pd.DataFrame(rows, columns=["what", "value"])


def kinds_table(trail: Trail) -> pd.DataFrame:
    """Return how many entries of each kind there are and how long ago the last one was, most frequent first."""
    last = {entry.kind: entry.at for entry in trail.entries}
    counts = Counter(entry.kind for entry in trail.entries)
    rows = [
        (kind, count, span(trail.read_at - last[kind]))
        for kind, count in sorted(counts.items(), key=lambda r: (-r[1], r[0]))
    ]
    return pd.DataFrame(rows, columns=["kind", "entries", "last, ago"])


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
    rows = [(span(gap), moment(a.at), f"{a.index} {a.kind}") for gap, a, _ in longest]
    return pd.DataFrame(rows, columns=["pause", "from", "after entry"])


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
    return pd.DataFrame(table, columns=["by", "all", "own", "own %"])


def heads_text(trail: Trail) -> str:
    """Return the signed head and the kept one, each above the root that was computed here over as many entries."""
    head, kept = trail.head, trail.kept
    lines = [*_head_lines("signed now", head), f"computed here over {len(trail.entries):,} entries", trail.root or "-"]
    if kept:
        lines += [*_head_lines("kept", kept), f"computed here over {kept.size:,} entries"]
        lines.append(trail.kept_root or "- (the ledger has fewer)")
    return "\n".join(lines)


def earlier_table(trail: Trail, most: int = LONGEST) -> pd.DataFrame:
    """Return earlier runs of this runbook, newest first: run (its id begins with the time), verdict, what it found."""
    rows = [
        (m.run, m.verdict, m.evidence.get("verified") is True, _whole(m.evidence.get("entries")))
        for m in sorted(trail.manifests.values(), key=lambda m: m.ended, reverse=True)
        if m.runbook == THIS
    ]
    return pd.DataFrame(rows[:most], columns=["run (UTC)", "verdict", "intact", "entries"])


def self_approved(trail: Trail) -> int:
    """Return how many approvals were of somebody's own request."""
    return sum(e.kind == "request.approved" and e.fields.get("self") is True for e in trail.entries)


def moment(at: datetime | None) -> str:
    """Return a time for a reader: ``2026-11-23 13:06``."""
    return f"{at:%Y-%m-%d %H:%M}" if at else "-"


def span(time: timedelta) -> str:
    """Return a duration for a reader in its two largest units: ``3 d 4 h``, ``12 s``; backwards with a minus."""
    seconds, sign = abs(time.total_seconds()), "-" if time.total_seconds() < 0 else ""
    for size, unit, smaller, name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            return f"{sign}{seconds // size:.0f} {unit} {seconds % size // smaller:.0f} {name}"
    return f"{sign}{seconds:.1f} s"


def _head_lines(name: str, head: Head | None) -> list[str]:
    return [f"{name}: {visible(head.origin)}, {head.size:,} entries", head.root] if head else [f"{name}: none", "-"]


def _whole(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "-"
