"""Values against parameters: constraints, validation, text from a command line, the schema, and Python source."""

from __future__ import annotations

import json
import math
from enum import StrEnum

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opsnb.base.canonical import canonical, digestible
from opsnb.base.errors import NotebookError, ParameterError
from opsnb.base.parameters import (
    LIMITS,
    Place,
    constrain,
    did_you_mean,
    duration_seconds,
    from_assignments,
    from_text,
    json_schema,
    parse_cell,
    rows,
    to_source,
    validate,
)

CELL = """\
hosts: str = "role=web"  # where
strategy: str = "round_robin"  # how requests are spread
batch: int = 5  # hosts at once
rate: float = 1.5  # requests
seconds: float = 60  # how long
day: str = "2026-11-23"  # from
servers: list[str] = ["a", "b"]  # who
weights: dict[str, int] = {"a": 1}  # shares
limit: int | None = None  # most
force: bool = False  # 强制
how: Literal["a", 1] = "a"  # one of
password: str = ""  # of the database
free = None  # anything
"""
CONSTRAINTS = {
    "hosts": {"kind": "selector"},
    "strategy": {"choices": ["round_robin", "weighted", "least_conn", "ip_hash"]},
    "batch": {"min": 1, "max": 20, "unit": "hosts"},
    "seconds": {"kind": "duration", "max": "1h30m"},
    "day": {"kind": "date", "min": "2026-01-01"},
    "servers": {"pattern": "[a-z.:0-9]+", "length": 3},
    "weights": {"length": 2},
    "limit": {"min": 0},
    "password": {"kind": "secret"},
}
PARAMETERS = constrain(parse_cell(CELL), CONSTRAINTS)
BY_NAME = {p.name: p for p in PARAMETERS}


def test_defaults_fill_in():
    """Nothing given means every default, in the cell's order, and a fresh copy each time."""
    values = validate(PARAMETERS, {})
    assert list(values) == [p.name for p in PARAMETERS]
    values["servers"].append("mine")
    assert validate(PARAMETERS, {})["servers"] == ["a", "b"]


@pytest.mark.parametrize(
    ("given_values", "says", "hint"),
    [
        ({"bach": 1}, "unknown parameter 'bach'", "did you mean 'batch'?"),
        ({"BATCH": 1}, "unknown parameter 'BATCH'", "did you mean 'batch'?"),
        ({"x=1\nimport os": 1}, "unknown parameter 'x=1\\nimport os'", "known names: batch"),
        ({"batch": True}, "'batch': found True (bool), wanted int", ""),
        ({"batch": 5.0}, "'batch': found 5.0 (float), wanted int", ""),
        ({"batch": "5"}, "'batch': found '5' (text), wanted int", ""),
        ({"batch": None}, "'batch': found None (null), wanted int", ""),
        ({"batch": 0}, "'batch': found 0, wanted at least 1 hosts", ""),
        ({"batch": 21}, "'batch': found 21, wanted at most 20 hosts", ""),
        ({"batch": 2**53}, "2^53-1", ""),
        ({"rate": math.nan}, "finite", ""),
        ({"rate": math.inf}, "finite", ""),
        ({"force": 1}, "'force': found 1 (int), wanted bool", ""),
        (
            {"strategy": "ip_hsah"},
            "wanted one of round_robin, weighted, least_conn, ip_hash",
            "did you mean 'ip_hash'?",
        ),
        ({"seconds": -1}, "a number of seconds", ""),
        ({"seconds": 5401}, "at most 5400", ""),
        ({"day": "2025-12-31"}, "at least 2026-01-01", ""),
        ({"day": "2026-02-30"}, "a date such as", ""),
        ({"day": "20261123"}, "a date such as", ""),
        ({"servers": ["a", "b c"]}, "text that matches", ""),
        ({"servers": ["a\n"]}, "text that matches", ""),
        ({"servers": ["a"] * 4}, "found 4 items, wanted at most 3", ""),
        ({"servers": "a"}, "wanted list[str]", ""),
        ({"servers": ("a",)}, "found a tuple, wanted a JSON value", ""),
        ({"weights": {"a": "1"}}, "wanted int", ""),
        ({"weights": {"a": 1, "b": 2, "c": 3}}, "found 3 keys, wanted at most 2", ""),
        ({"weights": {1: 1}}, "found a int, wanted a JSON value", ""),
        ({"limit": -1}, "at least 0", ""),
        ({"how": True}, "wanted Literal['a', 1]", ""),
        ({"hosts": "a\nb"}, "a selector on one line", ""),
        ({"hosts": ""}, "a selector on one line", ""),
        ({"hosts": "a\0"}, "NUL", ""),
        ({"hosts": "\ud800"}, "surrogate", ""),
        ({"free": {"a": b"x"}}, "found a bytes", ""),
        ({"free": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}, "nested more than 16", ""),
        ({"free": ["x" * 1000] * 300}, f"at most {LIMITS.total} are allowed", ""),
    ],
)
def test_refuses_what_does_not_fit(given_values, says, hint):
    """A wrong name, type or value names the parameter, what was found and what is wanted."""
    with pytest.raises(ParameterError) as caught:
        validate(PARAMETERS, given_values)
    assert says in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("value", ["hunter2 is my secret", 12345678, ["hunter2"], "-hunter2"])
def test_a_secret_typed_by_mistake_is_not_repeated(value):
    """The error for a secret's parameter never holds what was typed."""
    with pytest.raises(ParameterError) as caught:
        validate(PARAMETERS, {"password": value})
    assert "hunter2" not in str(caught.value)
    assert "12345678" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_whole_numbers_become_floats_where_wanted():
    """``3`` for a float is 3.0, so that a record and a digest say one thing."""
    assert type(validate(PARAMETERS, {"rate": 3})["rate"]) is float


def test_a_required_parameter_must_be_given():
    """The default of a required parameter is only an example."""
    (parameter,) = constrain(
        parse_cell('service: str = ""  # which'), {"service": {"required": True, "pattern": "[a-z]+"}}
    )
    with pytest.raises(ParameterError, match=r"'service' \(which\) is required"):
        validate((parameter,), {})
    with pytest.raises(ParameterError, match="text that matches"):
        validate((parameter,), {"service": ""})
    assert validate((parameter,), {"service": "web"}) == {"service": "web"}


@pytest.mark.parametrize(
    ("source", "constraints", "field", "says"),
    [
        ("batch: int = 1", {"bach": {"min": 1}}, "parameters.bach", "did you mean 'batch'?"),
        ("", {"batch": {}}, "parameters.batch", "declares no parameters"),
        ("a: int = 1", {"a": {"mim": 1}}, "parameters.a.mim", "did you mean 'min'?"),
        ("a: int = 1", {"a": [1]}, "parameters.a", "wanted an object"),
        ("a: int = 1", {"a": {"min": "x"}}, "parameters.a.min", "wanted a number"),
        ("a: int = 1", {"a": {"min": True}}, "parameters.a.min", "wanted a number"),
        ("a: int = 1", {"a": {"min": 2}}, "parameters.a", "default does not fit"),
        ("a: int = 3", {"a": {"min": 5, "max": 2}}, "parameters.a", "min 5 is above max 2"),
        ("a: str = ''", {"a": {"min": 5}}, "parameters.a.min", "cannot have bounds"),
        ("a: int = 3", {"a": {"pattern": "x"}}, "parameters.a.pattern", "cannot have a pattern"),
        ("a: str = ''", {"a": {"pattern": "("}}, "parameters.a.pattern", "not a regular expression"),
        ("a: str = ''", {"a": {"pattern": "a{99999999999}"}}, "parameters.a.pattern", "not a regular expression"),
        ("a: int = 3", {"a": {"length": 3}}, "parameters.a.length", "has no length"),
        ("a: str = ''", {"a": {"length": 0}}, "parameters.a.length", "1 or more"),
        ("a: int = 3", {"a": {"choices": []}}, "parameters.a.choices", "wanted a list"),
        ("a: int = 3", {"a": {"choices": [3, "4"]}}, "parameters.a.choices", "wanted int"),
        ("a: int = 3", {"a": {"choices": [3, 3]}}, "parameters.a.choices", "stands twice"),
        ("a: dict = {}", {"a": {"choices": [3]}}, "parameters.a.choices", "cannot have a list of choices"),
        ("a: int = 3", {"a": {"kind": "date"}}, "parameters.a.kind", "cannot have a date"),
        ("a: str = '10m'", {"a": {"kind": "duration"}}, "parameters.a.kind", "cannot have a number of seconds"),
        ("a: str = ''", {"a": {"kind": "slector"}}, "parameters.a.kind", "did you mean 'selector'?"),
        ("a: str = ''", {"a": {"kind": ["file"]}}, "parameters.a.kind", "wanted a kind"),
        ("a: str = ''", {"a": {"unit": 5}}, "parameters.a.unit", "wanted text"),
        ("a: str = ''", {"a": {"required": "yes"}}, "parameters.a.required", "wanted true or false"),
        ("a: str = ''", {"a": {"kind": "date", "min": "soon"}}, "parameters.a.min", "a date such as"),
    ],
)
def test_constraints_that_do_not_fit_are_refused(source, constraints, field, says):
    """A wrong constraint names its field, its line and the nearest right name."""
    place = Place(path="a.ipynb", cell=0, lines={field: 7})
    with pytest.raises(NotebookError) as caught:
        constrain(parse_cell(source), constraints, place)
    assert says in str(caught.value)
    assert (caught.value.field, caught.value.line) == (field, 7)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("hosts", "role=nginx,env=prod", "role=nginx,env=prod"),
        ("hosts", "选择 主机", "选择 主机"),
        ("batch", "7", 7),
        ("batch", "+7", 7),
        ("rate", "2", 2.0),
        ("rate", "-1.5e2", -150.0),
        ("rate", ".5", 0.5),
        ("seconds", "90", 90.0),
        ("seconds", "1h30m", 5400.0),
        ("seconds", "250ms", 0.25),
        ("day", "2026-11-24", "2026-11-24"),
        ("servers", "a, b", ["a", "b"]),
        ("servers", '["a:1"]', ["a:1"]),
        ("servers", "", []),
        ("weights", '{"a": 2}', {"a": 2}),
        ("limit", "null", None),
        ("limit", "3", 3),
        ("force", "true", True),
        ("force", "False", False),
        ("how", "1", 1),
        ("how", "a", "a"),
        ("free", '{"a": [1]}', {"a": [1]}),
        ("free", "plain text", "plain text"),
        ("free", "null", None),
        ("password", "db/primary", "db/primary"),
    ],
)
def test_text_means_a_value(name, text, value):
    """What a person types after ``-p name=`` becomes the value that the cell's type asks for."""
    found = from_text(BY_NAME[name], text)
    assert found == value
    assert type(found) is type(value)
    assert from_assignments(PARAMETERS, [f"{name}={text}"]) == {name: value}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("batch", "7.0", "wanted int"),
        ("batch", "1_0", "wanted int"),
        ("batch", " 7", "wanted int"),
        ("batch", "７", "wanted int"),
        ("batch", "", "wanted int"),
        ("batch", "null", "wanted int"),
        ("batch", "9" * 20, "2^53-1"),
        ("rate", "nan", "wanted float"),
        ("rate", "1e999", "finite"),
        ("force", "yes", "wanted bool"),
        ("force", "1", "wanted bool"),
        ("seconds", "10 minutes", "is not a duration"),
        ("seconds", "", "is not a duration"),
        ("day", "23.11.2026", "a date"),
        ("weights", "a=1", "as JSON"),
        ("weights", '{"a": 1, "a": 2}', "stands twice"),
        ("servers", "[a]", "as JSON"),
        ("servers", "[NaN]", "NaN is not JSON"),
        ("servers", "[" * 5000, "as JSON"),
        ("how", "b", "wanted Literal"),
        ("free", "x" * (LIMITS.text + 1), "are read"),
    ],
)
def test_text_that_does_not_fit_is_refused(name, text, says):
    """Numbers and booleans are read strictly; nothing is guessed."""
    with pytest.raises(ParameterError) as caught:
        from_text(BY_NAME[name], text)
    assert says in str(caught.value)
    assert f"'{name}" in str(caught.value)


def test_durations_of_whole_seconds():
    """A duration for an int parameter is an int, and half a second is refused there."""
    (parameter,) = constrain(parse_cell("seconds: int = 5"), {"seconds": {"kind": "duration"}})
    assert from_text(parameter, "10m") == 600
    assert type(from_text(parameter, "1.1h")) is int
    with pytest.raises(ParameterError, match="whole seconds"):
        from_text(parameter, "500ms")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("45s", 45), ("10m", 600), ("1h30m", 5400), ("1.1h", 3960), ("2d", 172800), ("1w", 604800), ("0", 0)],
)
def test_durations(text, seconds):
    """A duration is exact, whatever its unit."""
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5", "1m1h", "10M", "1e3", "１０m", "10 m", "inf", "9" * 20])
def test_not_durations(text):
    """What is not a duration is refused with examples."""
    with pytest.raises(ParameterError, match="not a duration") as caught:
        duration_seconds(text)
    assert "1h30m" in caught.value.hint


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["batch"], "wanted name=value"),
        (["bach=1"], "unknown parameter 'bach'"),
        (["batch=1", "batch=2"], "'batch' is given twice"),
        (["=1"], "unknown parameter ''"),
    ],
)
def test_assignments_are_checked(texts, says):
    """A text without a value, an unknown name, and a name given twice are refused."""
    with pytest.raises(ParameterError, match=says):
        from_assignments(PARAMETERS, texts)


def test_rows_for_the_record():
    """The record's table shows value, label and default, in order."""
    table = rows(PARAMETERS[:3], validate(PARAMETERS, {"batch": 7}))
    assert table[2] == {"name": "batch", "value": 7, "label": "hosts at once", "default": 5}


def test_the_nearest_name():
    """A hint names the nearest right name, or lists what there is, or says nothing where there is nothing."""
    assert did_you_mean("tset", ["test", "prod"]) == "did you mean 'test'?"
    assert did_you_mean("qqqq", ["b", "a"], what="fields") == "known fields: a, b"
    assert did_you_mean("x", []) == ""
    assert did_you_mean("x" * 10**6, ["a"]) == "known names: a"


def test_the_schema_is_valid_and_closed():
    """The schema is draft 2020-12 and allows no other name."""
    schema = json_schema(PARAMETERS)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["batch"] == {
        "type": "integer", "minimum": 1, "maximum": 20, "description": "hosts at once", "x-unit": "hosts", "default": 5,
    }  # fmt: skip
    assert schema["properties"]["servers"]["maxItems"] == 3
    assert schema["properties"]["limit"]["type"] == ["integer", "null"]
    jsonschema.Draft202012Validator(schema).validate(validate(PARAMETERS, {}))


TEXT = st.text(max_size=20)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSONS = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
LIKELY = {
    "hosts": st.sampled_from(["role=a", "", "a\nb"]),
    "strategy": st.sampled_from(["ip_hash", "weighted", "other"]),
    "batch": st.integers(-1, 25),
    "rate": st.one_of(FLOATS, st.integers(0, 5)),
    "seconds": st.floats(-10, 6000),
    "servers": st.lists(st.sampled_from(["a", "b:1", "C", ""]), max_size=4),
    "weights": st.dictionaries(st.sampled_from("abc"), st.integers(0, 5)),
    "limit": st.one_of(st.none(), st.integers(-1, 5)),
    "force": st.booleans(),
    "how": st.sampled_from(["a", "b", 1, 2]),
    "password": st.sampled_from(["", "db/primary", "-no"]),
    "free": JSONS,
}
GIVEN = st.one_of(st.fixed_dictionaries({}, optional=LIKELY), st.dictionaries(st.sampled_from(list(LIKELY)), JSONS))


@given(GIVEN)
@settings(max_examples=200, deadline=None)
def test_the_schema_and_validate_agree(values):
    """What the schema of a form lets through, validate lets through, and the other way round."""
    # JSON Schema calls 5.0 an integer, and knows neither our bounds on integers nor NUL
    assume(not any(type(v) is float and v.is_integer() for v in _leaves(values)))
    assume("\\u0000" not in json.dumps(values))
    schema_says = jsonschema.Draft202012Validator(json_schema(PARAMETERS)).is_valid(values)
    try:
        validate(PARAMETERS, values)
    except ParameterError:
        assert not schema_says
    else:
        assert schema_says


@given(GIVEN)
@settings(max_examples=200, deadline=None)
def test_validate_is_idempotent(values):
    """Validated values validate to themselves, survive canonical JSON, and leave what was given alone."""
    before = json.dumps(values)
    try:
        once = validate(PARAMETERS, values)
    except ParameterError:
        return
    assert json.dumps(values) == before
    assert _exact(validate(PARAMETERS, once)) == _exact(once)
    canonical(digestible(once))


NAMES = st.sampled_from(["a", "_b", "主机", "batch", "x1", "match", "é"])
WILD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), FLOATS, st.text(st.characters(), max_size=30)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(st.characters()), inner, max_size=3)),
    max_leaves=15,
)


@given(st.dictionaries(NAMES, WILD))
@settings(max_examples=400, deadline=None)
def test_source_round_trip(values):
    """Executing the source gives back exactly the values, any JSON at all; and it is one line a parameter."""
    source = to_source(values)
    namespace: dict[str, object] = {}
    exec(source, {"__builtins__": {}}, namespace)  # noqa: S102  (this is what a kernel does with it)
    assert _exact(namespace) == _exact(values)
    assert len(source.splitlines()) == len(values)


def test_source_is_readable_and_safe():
    """Chinese text stands as it is; quotes, line ends, control and bidi characters are escaped."""
    source = to_source(
        {"a": "选择主机", "b": 'it\'s "x"\n\x1b[31m\u202e', "c": [None, True, -0.0, 1e22], "d": {"键": "\u2028"}}
    )
    assert source.splitlines() == [
        "a = '选择主机'",
        "b = 'it\\'s \"x\"\\n\\x1b[31m\\u202e'",
        "c = [None, True, -0.0, 1e+22]",
        "d = {'键': '\\u2028'}",
    ]
    assert to_source({}) == ""


class Colour(StrEnum):
    """A text that prints differently."""

    RED = "red"


@pytest.mark.parametrize(
    "values",
    [
        {"x=1\nimport os": 1},
        {"import": 1},
        {"__builtins__": {}},
        {"None": 1},
        {"a b": 1},
        {"": 1},
        {"ﬁ": 1},
        {1: 1},
        {"a": math.nan},
        {"a": [math.inf]},
        {"a": (1,)},
        {"a": {1: 2}},
        {"a": Colour.RED},
        {"a": b"x"},
        {"a": 10**5000},
        {"a": json.loads("[" * 100 + "]" * 100)},
    ],
)
def test_source_refuses_what_is_not_json(values):
    """A name that is more than a name, or a value that prints as something else, never reaches a cell."""
    with pytest.raises(ParameterError):
        to_source(values)


def _leaves(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if inside is None else [leaf for item in inside for leaf in _leaves(item)]


def _exact(value):
    """The value with its types, so that True, 1 and 1.0, 0.0 and -0.0 differ."""
    if isinstance(value, dict):
        return {k: _exact(v) for k, v in value.items()}
    return [_exact(v) for v in value] if isinstance(value, list) else (type(value), repr(value))
