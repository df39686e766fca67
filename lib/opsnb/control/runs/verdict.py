"""The verdict of a run, computed from what the control plane saw. Rules without I/O.

In order, the first that fits:

1. a change was begun and nobody knows its result: LOST, whatever else is true
2. the run was stopped, timed out, or its kernel or supervisor died: ABORTED
3. the plan differs from the approved one and nothing was changed: DRIFTED
4. a secret stood in something that the run left, or a cell failed: FAILED
5. the runbook said that it does not apply: NOT_APPLICABLE
6. a thing was no longer as planned after other changes were made, a change failed, a host could not be reached, or
   not every change that was let through was made: FAILED
7. mode plan: PLANNED with a plan, FAILED without one
8. a check did not hold, a change made no check, a record had to be cut for lack of space: FAILED
9. otherwise DONE
"""

from __future__ import annotations

from dataclasses import dataclass

from opsnb.control.records import Check, Mode, Verdict

ENDED_FROM_OUTSIDE = frozenset({
    "stopped", "cell timed out", "run timed out", "memory limit", "kernel died", "supervisor died", "not started",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the control plane saw of a run.

    ``end`` and ``why`` are the executor's words; ``outcomes`` one of ``ok | failed | unknown | None`` for each intent;
    ``through`` how many changes were let through; ``unreached`` the hosts that could not be reached; ``quarantined``
    what held a secret; ``runbook`` whether the notebook has front matter and so owes a ``finish``.
    """

    mode: Mode
    end: str
    why: str = ""
    checks: tuple[Check, ...] = ()
    outcomes: tuple[str | None, ...] = ()
    through: int = 0
    unreached: tuple[str, ...] = ()
    planned: bool = False
    drifted: str = ""
    inapplicable: str = ""
    finished: bool = False
    runbook: bool = True
    cut_for_space: bool = False
    quarantined: str = ""


def verdict(seen: Seen) -> tuple[Verdict, str]:
    """Return the verdict and one sentence that says why."""
    for rule in (_lost, _aborted, _drifted, _failed, _inapplicable, _half_made, _planned, _unproven):
        found = rule(seen)
        if found:
            return found
    held = len(seen.checks)
    return Verdict.DONE, f"every cell completed, {held} of {held} checks held" if held else "every cell completed"


def _lost(seen: Seen) -> tuple[Verdict, str] | None:
    unknown = seen.outcomes.count(None) + seen.outcomes.count("unknown")
    if not unknown:
        return None
    return Verdict.LOST, f"{unknown} change(s) were begun and have no result: look at the host before anything else"


def _aborted(seen: Seen) -> tuple[Verdict, str] | None:
    if seen.end not in ENDED_FROM_OUTSIDE:
        return None
    made = seen.outcomes.count("ok")
    tail = f"; {made} change(s) had been made before" if made else ""
    return Verdict.ABORTED, (seen.why or seen.end) + tail


def _drifted(seen: Seen) -> tuple[Verdict, str] | None:
    return (Verdict.DRIFTED, seen.drifted) if seen.drifted and not seen.outcomes else None


def _failed(seen: Seen) -> tuple[Verdict, str] | None:
    if seen.quarantined:
        return Verdict.FAILED, f"a secret was found in what the run left: {seen.quarantined}"
    return (Verdict.FAILED, f"a cell failed: {seen.why}") if seen.end == "cell failed" else None


def _inapplicable(seen: Seen) -> tuple[Verdict, str] | None:
    return (Verdict.NOT_APPLICABLE, seen.inapplicable) if seen.inapplicable and not seen.outcomes else None


def _half_made(seen: Seen) -> tuple[Verdict, str] | None:
    if seen.drifted:
        return Verdict.FAILED, f"after {len(seen.outcomes)} change(s): {seen.drifted}"
    failed, made = seen.outcomes.count("failed"), seen.outcomes.count("ok")
    if failed:
        return Verdict.FAILED, f"{failed} change(s) failed"
    if seen.unreached:
        hosts = ", ".join(seen.unreached)
        return Verdict.FAILED, f"{made} of {seen.through} changes were made; could not be reached: {hosts}"
    if made < seen.through:
        return Verdict.FAILED, f"{made} of {seen.through} changes were made"
    return None


def _planned(seen: Seen) -> tuple[Verdict, str] | None:
    if seen.mode is not Mode.PLAN:
        return None
    if seen.planned:
        return Verdict.PLANNED, "the plan is ready; nothing was changed"
    return Verdict.FAILED, "the runbook proposed no plan"


def _unproven(seen: Seen) -> tuple[Verdict, str] | None:
    wrong = [c for c in seen.checks if not c.ok]
    if wrong:
        return Verdict.FAILED, f"{len(wrong)} of {len(seen.checks)} checks did not hold: {wrong[0].what}"
    if seen.runbook and not seen.finished:
        return Verdict.FAILED, "the notebook ended without run.finish()"
    if seen.mode.changes and not seen.checks:
        return Verdict.FAILED, "nothing was checked after the change"
    if seen.cut_for_space:
        return Verdict.FAILED, "the disk was full: the record could not be kept whole"
    return None
