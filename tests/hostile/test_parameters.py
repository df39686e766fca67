"""Hostile values at the door: every value into every string parameter of every runbook here.

Each is refused in words that name the parameter and are safe to print, or it is taken exactly as it is, and the cell
that carries it into the notebook means that value and nothing else.
"""

from __future__ import annotations

import ast
import unicodedata

import pytest

from hostile.parameters import slots
from hostile.values import executed, sendable, values
from opsnb.base.errors import ParameterError
from opsnb.base.parameters import TypeName, from_text, to_source, validate

SLOTS = slots()
VALUES = values()
LONGEST = 2_000  # characters of a message that a person still reads


def test_there_are_enough_values_and_every_runbook_is_found() -> None:
    """At least 300 values, all different; the catalog's runbooks with string parameters are all here."""
    assert len(set(VALUES)) == len(VALUES) >= 300
    assert {slot.runbook.id for slot in SLOTS} >= {"HST-004", "HST-006", "HST-010", "HST-020", "SCR-010"}
    assert sum(sendable(value) for value in VALUES) >= 300


def _clear(error: ParameterError, name: str) -> None:
    """A refusal names the parameter, is short, and nothing in it moves a cursor or turns text round."""
    text = str(error)
    assert f"'{name}" in text or "the parameters take" in text, text[:200]
    assert len(text) <= LONGEST, (name, len(text))
    bad = [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c != "\n"]
    assert not bad, (name, bad)


@pytest.mark.parametrize("slot", SLOTS, ids=str)
def test_a_value_is_refused_in_words_or_taken_as_it_is(slot) -> None:
    """As JSON: taken byte for byte and written into the notebook as a literal, or refused."""
    parameter, name = slot.parameter, slot.parameter.name
    for value in VALUES:
        given = slot.form(value)
        try:
            taken = validate((parameter,), {name: given})
        except ParameterError as error:
            _clear(error, name)
            continue
        assert sendable(value)
        assert taken == {name: given}
        (node,) = ast.parse(to_source(taken)).body
        assert isinstance(node, ast.Assign | ast.AnnAssign)
        assert ast.literal_eval(node.value) == given
    assert executed() == []


@pytest.mark.parametrize("slot", [s for s in SLOTS if s.parameter.type.name is TypeName.STR], ids=str)
def test_text_from_a_command_line_is_not_interpreted(slot) -> None:
    """As ``-p name=value``: the same text, or refused."""
    for value in VALUES:
        try:
            assert from_text(slot.parameter, value) == (
                None if slot.parameter.type.nullable and value == "null" else value
            )
        except ParameterError as error:
            _clear(error, slot.parameter.name)
