"""New runbooks as values: what is written lints clean, and what is taken in cannot break out of its place."""

from __future__ import annotations

import ast
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.errors import NotebookError, OpsnbError, UsageError
from opsnb.control.catalog.authoring import New, area_of, path_of, write
from opsnb.control.catalog.compose import NewCell, filled, notebook_bytes, parse_cells
from opsnb.control.catalog.lint import lint
from opsnb.control.catalog.notebook import parse_notebook
from opsnb.control.catalog.runbook import runbook_from
from opsnb.control.catalog.scripts import MAX_SCRIPT, Script, literal, read_script
from opsnb.control.records import Risk

PATH = "runbooks/hosts/HST-030-x.ipynb"
SCRIPT = b"""#!/bin/bash
# @param level: int = 3  # how much is kept
#   @param who: Literal["ops", "dev"] = "ops"  # whom to tell
# @undo undo.sh
echo "$level" "$who"
"""


def new(**values):
    """What is asked for, with defaults."""
    return New(**{"id": "HST-030", "title": "Look at it", "owner": "platform", **values})


def checked(what):
    """The notebook as it was written, after lint found nothing in it."""
    notebook = parse_notebook(write(what, PATH), PATH)
    assert [str(f) for f in lint(notebook, frozenset({what.id}))] == []
    return runbook_from(notebook), notebook


@pytest.mark.parametrize("risk", [None, *Risk])
def test_a_template_lints_clean(risk):
    """Whatever the risk, the new runbook has no finding, not even a warning."""
    runbook, _ = checked(new(risk=risk))
    assert (runbook.id, runbook.title, runbook.risk) == ("HST-030", "Look at it", risk or Risk.READ)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.sampled_from(["platform", "a: b", "#1", "[x]", "运维", "- x", "yes", "12"]),
)
@settings(max_examples=150, deadline=None)
def test_any_title_is_taken_or_refused(title, owner):
    """A title that means something in YAML or markdown stands as it is; one that no person could read is refused."""
    try:
        content = write(new(title=title.strip(), owner=owner), PATH)
    except UsageError:
        return
    runbook = runbook_from(parse_notebook(content, PATH))
    assert (runbook.title, runbook.front.owner) == (title.strip(), owner)


@pytest.mark.parametrize(
    "title",
    [
        "A: small change # of mine",
        "[x]",
        "- x",
        "yes",
        "12",
        "'q'",
        '"q"',
        "{x}",
        "&a",
        "*a",
        "!x",
        "x #y",
        "%",
        "运维 ✓ 😀",
    ],
)
def test_a_title_stands_as_it_is(title):
    """What means something in YAML is quoted for it; the title is what was asked for, and lint has nothing to say."""
    runbook, _ = checked(new(title=title))
    assert runbook.title == title


@pytest.mark.parametrize("name", ["hst-030", "HST-30", "HST-0300", "HST-030\nrisk: danger", "../HST-030", ""])
def test_an_id_is_an_id(name):
    """Anything but an id is refused before a file is named after it."""
    with pytest.raises(UsageError, match="the id is"):
        write(new(id=name), PATH)


def test_where_it_goes(workspace):
    """The area given, else that of its neighbours in the catalog, else the usual one of its prefix, else its own."""
    runbook = runbook_from(parse_notebook(workspace.runbook("runbooks/balance/NGX-010.ipynb").read_bytes(), "x"))
    near = [type(runbook)(**{**vars(runbook), "area": "balance"})]
    assert area_of("NGX-011", "", near) == "balance"
    assert area_of("NGX-011", "", []) == "nginx"
    assert area_of("XYZ-001", "", []) == "xyz"
    assert area_of("NGX-011", "load", near) == "load"
    for wrong in ("..", "a/b", "A", "-a", "a b"):
        with pytest.raises(UsageError, match="--area"):
            area_of("NGX-011", wrong, [])
    assert path_of(new(title="Rotate: the *logs*, 每天"), "hosts") == "runbooks/hosts/HST-030-rotate-the-logs.ipynb"
    assert path_of(new(title="轮转"), "hosts") == "runbooks/hosts/HST-030.ipynb"


def test_a_script_is_read():
    """Its parameters with types and labels, and the script that undoes it."""
    script = read_script(SCRIPT, "a.sh")
    assert script.names == ("level", "who")
    assert script.parameters[0] == "level: int = 3  # how much is kept"
    assert (script.undo, script.takes_arguments) == ("undo.sh", False)


@pytest.mark.parametrize(
    ("line", "takes"),
    [
        ("echo $1", True), ('echo "${2}"', True), ('for x in "$@"; do :; done', True), ("echo $#", True),
        ("while getopts ab x; do :; done", True), ("shift", True), ("# uses $1", False), ("echo $10a", True),
        ("echo $x $$ $?", False), ("shifted=1", False),
    ],
)  # fmt: skip
def test_a_script_takes_arguments_where_it_uses_them(line, takes):
    """`$1`, `$@`, `getopts` and their like mean a list of arguments; comments mean nothing."""
    assert read_script(f"#!/bin/sh\n{line}\n".encode(), "a.sh").takes_arguments is takes


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("# @param LEVEL: int = 3  # l", "lower-case"),
        ("# @param path: str = 'a'", "has no label"),
        ("# @param plan: str = 'a'  # l", "uses the name 'plan' itself"),
        ("# @param class: str = 'a'  # l", "not Python"),
        ("# @param x: list[str] = []  # l", "is of type list"),
        ("# @param x: int | None = None  # l", "is of type int | None"),
        ("# @param x: int  # l", "has no default"),
        ("# @param x: int = open('a')  # l", "not a literal"),
        ("# @param x = 1; y = 2  # l", "share a line"),
        ("# @param # nothing", "declares no parameter"),
        ("# @param a: int = 1  # l\n# @param a: int = 2  # l", "declared twice"),
        ("# @undo a\n# @undo b", "second @undo"),
    ],
)
def test_a_wrong_comment_names_its_line(line, says):
    """Each mistake is told with file and line."""
    with pytest.raises(NotebookError) as caught:
        read_script(f"#!/bin/sh\n{line}\n".encode(), "a.sh")
    assert says in caught.value.message
    assert caught.value.path == "a.sh"
    assert caught.value.line == (3 if "\n" in line else 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x7fELF\0", "holds a NUL"), (b"a\xff", "not UTF-8"), (b" \n", "is empty"),
        (b"x" * (MAX_SCRIPT + 1), "at most"),
    ],
)  # fmt: skip
def test_what_is_no_script(content, says):
    """A binary, other bytes than UTF-8, nothing, and too much are refused."""
    with pytest.raises(NotebookError, match=says):
        read_script(content, "a.sh")


TEXTS = st.one_of(
    st.text(st.sampled_from("\"'\\\n#$`a{}«»% r\t"), max_size=60), st.text(st.characters(exclude_categories=["Cs"]))
)


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_a_script_in_a_cell_is_the_script(text):
    """Whatever a script holds, the cell gives back exactly its text, as data: one literal and nothing beside it."""
    tree = ast.parse(f"source = {literal(text)}")
    (assignment,) = tree.body
    value = ast.literal_eval(assignment.value)
    assert (value or "") == text


def test_a_script_is_readable_in_its_cell():
    """An ordinary script stands between triple quotes as it is; one with every kind of quote is written out by lines."""
    assert literal("echo \"a\" 'b' \\n\n") == 'r"""echo "a" \'b\' \\n\n"""'
    assert literal("a\r\n") == "(\n    'a\\r\\n'\n)"


@given(TEXTS, TEXTS)
@settings(max_examples=150, deadline=None)
def test_any_script_becomes_a_runbook(text, undo):
    """No text of a script changes the notebook around it: same cells, same parameters, the texts exactly."""
    script = Script(
        text="#" + text, parameters=("level: int = 3  # l",), names=("level",), takes_arguments=True, undo="b"
    )
    wanted = new(script=script, script_name="a.sh", undo=Script(text="#" + undo))
    notebook = parse_notebook(write(wanted, PATH), PATH)
    cells = {c.id: c for c in notebook.cells}
    for name, source in (("script", script.text), ("undo-script", "#" + undo)):
        (assignment,) = ast.parse(cells[name].source).body
        assert ast.literal_eval(assignment.value) == source
    runbook = runbook_from(notebook)
    assert [p.name for p in runbook.parameters] == ["directory", "level", "arguments"]
    assert len(notebook.cells) == 21


def test_a_wrapped_script_lints_clean():
    """With parameters and an undo it is of risk change; without an undo nobody can promise one: danger."""
    script = read_script(SCRIPT, "a.sh")
    runbook, notebook = checked(new(script=script, script_name="a.sh", undo=Script(text="echo\n")))
    assert (runbook.risk, [p.name for p in runbook.parameters]) == (Risk.CHANGE, ["directory", "level", "who"])
    assert "undo-script" in {c.id for c in notebook.cells}
    runbook, notebook = checked(new(script=Script(text="ls\n"), script_name="a.sh"))
    assert (runbook.risk, [p.name for p in runbook.parameters]) == (Risk.DANGER, ["directory"])
    assert "undo-script" not in {c.id for c in notebook.cells}
    long = Script(text="echo one line of many\n" * 500)
    checked(new(script=long, script_name="a.sh", risk=Risk.CHANGE))


@pytest.mark.parametrize("name", ["a b.sh", "-rf", ".hidden", "a{x}", 'a".sh', "x" * 65, ""])
def test_a_script_has_a_plain_name(name):
    """The name stands in paths, locks and code, so it is letters, digits, dots and dashes."""
    with pytest.raises(UsageError, match="the script is called"):
        write(new(script=Script(text="ls"), script_name=name), PATH)


def test_a_script_never_only_reads():
    """Nobody can promise for a script that it changes nothing."""
    with pytest.raises(UsageError, match="--risk read"):
        write(new(script=Script(text="ls"), script_name="a.sh", risk=Risk.READ), PATH)


def test_cells_are_composed():
    """A header begins a cell; tags, ids and sources come out; values are filled in once and never read again."""
    cells = parse_cells("%% code a setup x\nx = «one»\n\n\n%% markdown b optional\n«two»\n%% raw c\n%% not a header\n")
    assert [(c.kind, c.id, c.tags, c.source) for c in cells] == [
        ("code", "a", ("setup", "x"), "x = «one»"), ("markdown", "b", ("optional",), "«two»"),
        ("raw", "c", (), "%% not a header"),
    ]  # fmt: skip
    made = filled(cells, {"one": "«two»\n%% code z", "two": ""})
    assert [(c.id, c.source) for c in made] == [("a", "x = «two»\n%% code z"), ("c", "%% not a header")]
    document = json.loads(notebook_bytes([NewCell(kind="code", id="a", source="1\n2")]))
    assert document["cells"][0]["source"] == ["1\n", "2"]
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    with pytest.raises(ValueError, match="wanted a line such as"):
        parse_cells("x = 1")
    with pytest.raises(KeyError):
        filled(cells, {})


def test_errors_are_of_ours():
    """Everything that can go wrong in writing is a usage error with words."""
    with pytest.raises(OpsnbError, match="one line of plain text"):
        write(new(title="a\u202eb"), PATH)
