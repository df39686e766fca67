"""The parameters cell is read as text: every trap of a regular expression, and everything that is refused."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.errors import NotebookError
from opsnb.base.parameters import LIMITS, Place, parse_cell


@pytest.mark.parametrize(
    ("source", "name", "kind", "default", "label"),
    [
        ('hosts: str = "role=nginx"  # where', "hosts", "str", "role=nginx", "where"),
        ('colour: str = "#fff"  # of the line', "colour", "str", "#fff", "of the line"),
        ("limit: int | None = None", "limit", "int | None", None, ""),
        ("limit: None | int = 3", "limit", "int | None", 3, ""),
        ("limit: Optional[int] = None", "limit", "int | None", None, ""),
        ("limit: typing.Union[int, None] = 4", "limit", "int | None", 4, ""),
        ('limit: "int | None" = None', "limit", "int | None", None, ""),
        ('how: Literal["a", "b"] = "a"', "how", "Literal['a', 'b']", "a", ""),
        ("how: Literal[1, 2, None] = None", "how", "Literal[1, 2] | None", None, ""),
        ("rate: float = 3", "rate", "float", 3.0, ""),
        ("low: int = -5", "low", "int", -5, ""),
        ("low: float = -1.5e3", "low", "float", -1500.0, ""),
        ("yes: bool = True  # 是否继续", "yes", "bool", True, "是否继续"),
        ('标签: str = "主机"', "标签", "str", "主机", ""),
        ('names: list[str] = ["a", "b"]', "names", "list[str]", ["a", "b"], ""),
        ("grid: list[list[int]] = [[1], [2, 3]]", "grid", "list[list[int]]", [[1], [2, 3]], ""),
        ('w: dict[str, int] = {"a": 1}', "w", "dict[str, int]", {"a": 1}, ""),
        ("anything: list = [1, 'a', None]", "anything", "list", [1, "a", None], ""),
        ("x = 5", "x", "int", 5, ""),
        ("x = 5.0", "x", "float", 5.0, ""),
        ("x = True", "x", "bool", True, ""),
        ("x = None", "x", "any JSON value | None", None, ""),
        ("x = [1, 2]", "x", "list[int]", [1, 2], ""),
        ("x = [1, True]", "x", "list", [1, True], ""),
        ("x = {}", "x", "dict", {}, ""),
        ('x = "a" "b"', "x", "str", "ab", ""),
        ('x = [  # first\n  "a",  # item\n]  # last', "x", "list[str]", ["a"], "last"),
        ('x = [  # first\n  "a",\n]', "x", "list[str]", ["a"], "first"),
        ('x = """a # b\nc"""  # text', "x", "str", "a # b\nc", "text"),
        ("x = 1  # a \x1b[31m label\u202e", "x", "int", 1, "a \ufffd[31m label\ufffd"),
        ('x = "\\d"', "x", "str", "\\d", ""),
    ],
)
def test_reads_what_stands_there(source, name, kind, default, label):
    """Names, types, defaults and labels come out as the cell's author wrote them."""
    (parameter,) = parse_cell(source)
    assert (parameter.name, str(parameter.type), parameter.label) == (name, kind, label)
    assert parameter.default == default
    assert type(parameter.default) is type(default)


def test_keeps_the_order_and_the_lines():
    """Parameters come in the order of the cell, each with its line; comments and blank lines are passed over."""
    parameters = parse_cell("# what it needs\n\nb: int = 1\n# and\na: int = 2\n")
    assert [(p.name, p.line) for p in parameters] == [("b", 3), ("a", 5)]


def test_an_empty_cell_declares_nothing():
    """A cell with comments only is a parameters cell without parameters."""
    assert parse_cell("# nothing to choose\n") == ()


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ("import os", 1, "found `import os`, wanted an assignment"),
        ("a: int = 1\nprint(a)", 2, "found `print(a)`"),
        ("x = os.getcwd()", 1, "`os.getcwd()` is not a literal"),
        ("x = y", 1, "`y` is not a literal"),
        ("x = f'{1}'", 1, "is not a literal"),
        ("x = (1, 2)", 1, "`(1, 2)` is not a literal"),
        ("x = {1, 2}", 1, "is not a literal"),
        ("x = b'a'", 1, "is not a literal"),
        ("x = 1j", 1, "is not a literal"),
        ("x = -True", 1, "is not a literal"),
        ("x = 1 + 1", 1, "is not a literal"),
        ("x = [*[1]]", 1, "is not a literal"),
        ("x = {**{}}", 1, "the keys of a dict are text"),
        ("x = {1: 2}", 1, "the keys of a dict are text"),
        ("x = {'a': 1, 'a': 2}", 1, "'a' stands twice"),
        ("x = 1e999", 1, "wanted a finite number"),
        ("x = 9007199254740992", 1, "2^53-1"),
        ("x = 'a\\0b'", 1, "NUL"),
        ("x = '\\ud800'", 1, "surrogate"),
        ("x: int", 1, "has no default"),
        ("x: int = 1.5", 1, "found 1.5 (float), wanted int"),
        ("x: int = True", 1, "found True (bool), wanted int"),
        ("x: str = None", 1, "found None (null), wanted str"),
        ("x: list[int] = [1, 'a']", 1, "'x[1]': found 'a' (text), wanted int"),
        ("x: int | str = 1", 1, "`int | str` is not one"),
        ("x: datetime = 1", 1, "`datetime` is not one"),
        ("x: dict[int, str] = {}", 1, "is not one"),
        ("x: Literal[1.5] = 1", 1, "is not one"),
        ("x: Literal['a'] = 'b'", 1, "found 'b' (text), wanted Literal['a']"),
        ("x: 'int |' = 1", 1, "is not Python"),
        ("a: int = 1\nb: int = 2\na: int = 3", 3, "'a' is declared twice, first on line 1"),
        ("a = b = 1", 1, "wanted an assignment"),
        ("a, b = 1, 2", 1, "wanted an assignment"),
        ("a.b = 1", 1, "wanted an assignment"),
        ("a += 1", 1, "wanted an assignment"),
        ("a = 1; b = 2", 1, "two statements share a line"),
        ("__name__ = 'x'", 1, "is not a name for a parameter"),
        ("a = 1\n!ls", 2, "not Python"),
        ("a = (", 1, "not Python"),
        ("x = 1\n  y = 2", 2, "not Python"),
    ],
)
def test_refuses_the_rest_by_line(source, line, says):
    """What is not a typed literal is refused, with its line and words for it, and never executed."""
    with pytest.raises(NotebookError) as caught:
        parse_cell(source, Place(path="a.ipynb", cell=2))
    assert says in caught.value.message
    assert (caught.value.path, caught.value.cell, caught.value.line) == ("a.ipynb", 2, line)


@pytest.mark.parametrize(
    "source",
    [
        "1+" * 30000 + "1",
        "-" * 60000 + "1",
        "(" * 60000,
        "x = " + "[" * 190 + "]" * 190,
        "x: " + "int|" * 15000 + "None = 1",
        "x: " + "list[" * 60 + "int" + "]" * 60 + " = []",
        "x = " + "9" * 5000,
        "x\0 = 1",
        "a" * (LIMITS.cell + 1),
        "\n".join(f"x{n} = 1" for n in range(LIMITS.count + 1)),
    ],
)
def test_hostile_sources_are_refused(source):
    """Sources made to exhaust the parser end in the usual error."""
    with pytest.raises(NotebookError):
        parse_cell(source)


def test_nothing_is_executed(tmp_path):
    """A default or an annotation with a side effect is refused without the side effect."""
    target = tmp_path / "made"
    for source in (f"x = open({str(target)!r}, 'w')", f"x: open({str(target)!r}, 'w') = 1"):
        with pytest.raises(NotebookError):
            parse_cell(source)
    assert not target.exists()


FRAGMENTS = st.sampled_from([
    "x", "y1", ":", "=", "#", "'", '"', "int", "str", "| None", "list[", "[", "]", "{", "}", "1", "-", ".5", "\\", "(",
    ")", ",", "主", "*", "f'", "lambda ", "await ", "%", " ", "\n", "\t", "\0", "\r", "\x0c", "\ud800", "=1\nimport os",
])  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(FRAGMENTS, max_size=25).map("".join)))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(source):
    """Arbitrary text gives parameters or a NotebookError, nothing else, and imports nothing."""
    before = set(sys.modules)
    try:
        names = [p.name for p in parse_cell(source)]
    except NotebookError:
        return
    assert len(names) == len(set(names))
    assert set(sys.modules) == before
