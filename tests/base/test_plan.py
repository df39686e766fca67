"""Plans: digests say what changes and nothing else, and the inverse turns everything back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import UsageError
from opsnb.base.plan import CHANGE_FIELDS, Change, Plan, state_lines

STATE = st.none() | st.dictionaries(st.text(max_size=5), st.integers().filter(lambda n: abs(n) < 2**50), max_size=3)
CHANGES = st.builds(
    Change, host=st.sampled_from(["web1", "web2", "web3"]), what=st.text(max_size=9), verb=st.just("linux.file"),
    target=STATE, before=STATE, after=STATE, command=st.text(max_size=9), undo=st.text(max_size=9),
)  # fmt: skip
PLANS = st.builds(Plan, title=st.text(max_size=9), changes=st.lists(CHANGES, max_size=6).map(tuple))


@given(PLANS)
def test_it_reads_back(plan: Plan) -> None:
    """A plan survives JSON, and its digest is computed anew."""
    assert Plan.from_json(plan.as_json()) == plan
    assert Plan.from_json({**plan.as_json(), "digest": "lie"}).digest == plan.digest


@given(PLANS)
def test_the_inverse_of_the_inverse(plan: Plan) -> None:
    """Undoing the undo is the plan again."""
    assert plan.inverse().inverse().changes == plan.changes


@given(PLANS, st.text(), st.dictionaries(st.text(), st.text()))
def test_title_and_context_are_not_digested(plan: Plan, title: str, context: dict[str, str]) -> None:
    """What is only shown does not change the digest."""
    assert replace(plan, title=title, context=context).digest == plan.digest


@given(PLANS.filter(lambda p: p.changes), st.sampled_from(CHANGE_FIELDS), st.text(min_size=1))
def test_every_field_is_digested(plan: Plan, name: str, text: str) -> None:
    """Any other value in any field of any change is another digest."""
    first = plan.changes[0]
    changed = replace(first, **{name: f"{getattr(first, name)}{text}"})
    assert replace(plan, changes=(changed, *plan.changes[1:])).digest != plan.digest


@given(PLANS)
def test_one_digest_a_host(plan: Plan) -> None:
    """A host's digest depends on its own changes alone, so a retry compares only hosts that did not finish."""
    for host, found in plan.host_digests().items():
        alone = replace(plan, changes=tuple(c for c in plan.changes if c.host == host))
        assert alone.host_digests() == {host: found}


@pytest.mark.parametrize("value", [None, [], {}, {"changes": 1}, {"changes": [1]}, {"changes": [{"host": "a"}]}])
def test_what_is_no_plan_is_refused(value: object) -> None:
    """A plan comes from a kernel and is not trusted: what has another shape is refused with words."""
    with pytest.raises(UsageError):
        Plan.from_json(value)


def test_a_missing_field_is_named() -> None:
    """The message names what a change lacks."""
    with pytest.raises(UsageError, match="undo"):
        Plan.from_json({"changes": [{n: "" for n in CHANGE_FIELDS if n != "undo"}]})


def test_a_state_is_lines_for_a_reader():
    """A file's content line by line behind what else is said of it; several files and directories by their names."""
    assert state_lines(None) == []
    assert state_lines("a\nb") == ["a", "b"]
    assert state_lines({"content": "x\ny\n", "mode": "0644"}) == ['{"mode": "0644"}', "x", "y"]
    several = {
        "files": {"/a": {"content": "x\n"}, "/b": None, "/c": {"hidden": "1", "mode": "0600"}},
        "directories": {"/d": {"mode": "0755"}, "/e": None}, "loaded": True,
    }  # fmt: skip
    assert state_lines(several) == [
        '{"loaded": true}', '== /d/  {"mode": "0755"}', "== /a", "x", "== /c", '{"hidden": "1", "mode": "0600"}',
    ]  # fmt: skip
    assert state_lines({"b": 1, "a": []}) == ["{", ' "a": [],', ' "b": 1', "}"]
