"""What stands out in a trail: hints for a reader, none of them a failure by itself. Rules without I/O."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from opsnb.kits.audit.coverage import Coverage
from opsnb.kits.audit.tables import self_approved, span, unknown_table, unrun_table
from opsnb.kits.audit.trail import Trail
from opsnb.runbook.show import visible

PATIENCE = timedelta(hours=1)  # how long a sealed request may wait for its run
QUIET = timedelta(days=7)  # between two entries
PHONE = 34  # characters that a phone shows in one line of a record


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that stands out: what, why it matters or what it may be, what to look at next."""

    what: str
    why: str
    look_next: str


def stands_out(trail: Trail, found: Coverage) -> list[Finding]:
    """Return what a reader should know, most urgent first."""
    return [f for rule in (_damage, _unknown, _abandoned, _clock, _own, _waiting, _quiet) for f in rule(trail, found)]


def findings_text(found: list[Finding]) -> str:
    """Return findings as short paragraphs that read well on a phone; says so when there are none."""
    return "\n".join(_paragraph(n, f) for n, f in enumerate(found, 1)) if found else "Nothing stands out."


def _paragraph(number: int, f: Finding) -> str:
    why = textwrap.wrap(f.why, PHONE, initial_indent="   why:  ", subsequent_indent="         ")
    return "\n".join([f"{number}. {f.what}", *why, f"   next: {f.look_next}"])


def _damage(trail: Trail, _: Coverage) -> Iterator[Finding]:
    for problem in trail.problems[:3]:
        yield Finding(what=visible(problem), why="what cannot be read proves nothing", look_next="the verifier's words")


def _unknown(_: Trail, found: Coverage) -> Iterator[Finding]:
    table = unknown_table(found)
    if len(table):
        yield Finding(
            what=f"{len(table)} change(s) with an unknown outcome, the first in run {visible(table['run'].iloc[0])}",
            why="the change was begun and nobody knows whether it was made",
            look_next="the host itself, then the run's record",
        )


def _abandoned(_: Trail, found: Coverage) -> Iterator[Finding]:
    if found.abandoned:
        yield Finding(
            what=f"{len(found.abandoned)} run(s) claimed and left, the first {visible(found.abandoned[0].run)}",
            why="the control plane ended in the middle; it ends such runs when it starts again",
            look_next="opsnb doctor",
        )


def _clock(trail: Trail, _: Coverage) -> Iterator[Finding]:
    back = [later for earlier, later in pairwise(trail.entries) if later.at < earlier.at]
    if back:
        yield Finding(
            what=f"the clock went back {len(back)} time(s), first at entry {back[0].index}",
            why="entries keep their order, but their times cannot be compared across it",
            look_next="timedatectl, and when it was set",
        )


def _own(trail: Trail, _: Coverage) -> Iterator[Finding]:
    count = sum(e.kind == "request.approved" for e in trail.entries)
    own = self_approved(trail)
    if own:
        yield Finding(
            what=f"{own} of {count} approvals were of one's own request",
            why="only a workspace with one person allows that; nobody else has read these plans",
            look_next="the approvals below",
        )


def _waiting(trail: Trail, _: Coverage) -> Iterator[Finding]:
    claimed = {e.request for e in trail.entries if e.kind == "run.claimed"}
    old = [e for e in trail.entries if e.kind == "request.sealed" and e.request not in claimed
           and trail.read_at - e.at > PATIENCE]  # fmt: skip
    if old:
        yield Finding(
            what=f"{len(old)} of {len(unrun_table(trail))} waiting request(s) sealed over {span(PATIENCE)} ago",
            why="they were asked for and never ran",
            look_next="opsnb runs",
        )


def _quiet(trail: Trail, _: Coverage) -> Iterator[Finding]:
    longest = max((later.at - earlier.at for earlier, later in pairwise(trail.entries)), default=timedelta())
    if longest > QUIET:
        yield Finding(
            what=f"nothing was recorded for {span(longest)}",
            why="a holiday, a control plane that was down, or work that went past it",
            look_next="the longest pauses below",
        )
