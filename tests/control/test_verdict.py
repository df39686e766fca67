"""The verdict: computed from what was seen, by rules in a fixed order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.control.records import Check, IllegalTransitionError, Mode, RunState, Verdict, check_transition
from opsnb.control.runs.verdict import ENDED_FROM_OUTSIDE, Seen, verdict

GOOD, BAD = Check(what="a", got=1, want=1, ok=True), Check(what="b holds", got=1, want=2, ok=False)
SEEN = st.builds(
    Seen, mode=st.sampled_from(Mode), end=st.sampled_from(["completed", "ended early", "cell failed", *ENDED_FROM_OUTSIDE]),
    checks=st.lists(st.sampled_from([GOOD, BAD]), max_size=3).map(tuple),
    outcomes=st.lists(st.sampled_from(["ok", "failed", None]), max_size=3).map(tuple),
    planned=st.booleans(), drifted=st.sampled_from(["", "moved"]), inapplicable=st.sampled_from(["", "no nginx"]),
    finished=st.booleans(), runbook=st.booleans(), cut_for_space=st.booleans(),
)  # fmt: skip
CASES = [
    (Seen(mode=Mode.READ, end="completed", finished=True, checks=(GOOD,)), Verdict.DONE),
    (Seen(mode=Mode.READ, end="completed", runbook=False), Verdict.DONE),
    (Seen(mode=Mode.READ, end="completed", finished=True, checks=(GOOD, BAD)), Verdict.FAILED),
    (Seen(mode=Mode.READ, end="completed"), Verdict.FAILED),
    (Seen(mode=Mode.READ, end="cell failed"), Verdict.FAILED),
    (Seen(mode=Mode.READ, end="kernel died"), Verdict.ABORTED),
    (Seen(mode=Mode.READ, end="stopped"), Verdict.ABORTED),
    (Seen(mode=Mode.READ, end="ended early", inapplicable="no"), Verdict.NOT_APPLICABLE),
    (Seen(mode=Mode.READ, end="completed", finished=True, cut_for_space=True), Verdict.FAILED),
    (Seen(mode=Mode.PLAN, end="ended early", planned=True), Verdict.PLANNED),
    (Seen(mode=Mode.PLAN, end="completed", finished=True), Verdict.FAILED),
    (Seen(mode=Mode.APPLY, end="completed", finished=True, outcomes=("ok",), checks=(GOOD,)), Verdict.DONE),
    (Seen(mode=Mode.APPLY, end="completed", finished=True, outcomes=("ok",)), Verdict.FAILED),
    (Seen(mode=Mode.APPLY, end="ended early", drifted="moved"), Verdict.DRIFTED),
    (Seen(mode=Mode.APPLY, end="ended early", drifted="moved", outcomes=("ok",)), Verdict.FAILED),
    (Seen(mode=Mode.APPLY, end="kernel died", outcomes=("ok", None)), Verdict.LOST),
    (Seen(mode=Mode.APPLY, end="kernel died", outcomes=("ok",)), Verdict.ABORTED),
    (Seen(mode=Mode.APPLY, end="cell failed", outcomes=("failed",)), Verdict.FAILED),
]


@pytest.mark.parametrize(("seen", "want"), CASES)
def test_the_table(seen: Seen, want: Verdict) -> None:
    """Each line of the rules, as a case."""
    assert verdict(seen)[0] is want


@given(SEEN)
def test_every_run_has_a_verdict_and_a_reason(seen: Seen) -> None:
    """Whatever was seen, there is one verdict and a sentence."""
    word, why = verdict(seen)
    assert isinstance(word, Verdict)
    assert why


@given(SEEN)
def test_an_unknown_change_is_lost(seen: Seen) -> None:
    """LOST exactly where a change was begun and has no result."""
    assert (verdict(seen)[0] is Verdict.LOST) == (None in seen.outcomes)


@given(SEEN)
def test_done_is_earned(seen: Seen) -> None:
    """DONE only when every cell completed, nothing drifted, failed or was cut, every check held, and it finished."""
    if verdict(seen)[0] is Verdict.DONE:
        assert seen.end in {"completed", "ended early"}
        assert all(c.ok for c in seen.checks)
        assert set(seen.outcomes) <= {"ok"}
        assert not seen.drifted
        assert not seen.cut_for_space
        assert seen.finished or not seen.runbook
        assert seen.mode is not Mode.PLAN
        assert seen.checks or seen.mode is Mode.READ


@given(SEEN)
def test_drifted_means_untouched(seen: Seen) -> None:
    """DRIFTED says that nothing was touched, so no change was begun."""
    if verdict(seen)[0] is Verdict.DRIFTED:
        assert not seen.outcomes


@given(st.sampled_from(RunState), st.sampled_from(RunState))
def test_transitions(old: RunState, new: RunState) -> None:
    """An ended run moves no more, and the way to the end goes through RECORDING."""
    if old is RunState.ENDED or (new is RunState.ENDED and old is not RunState.RECORDING):
        with pytest.raises(IllegalTransitionError, match="legal"):
            check_transition("r", old, new)
