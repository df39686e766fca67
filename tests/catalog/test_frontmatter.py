"""Front matter: what it means, and exact lines for what is wrong with it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.errors import NotebookError
from opsnb.base.parameters import Place
from opsnb.base.yaml import MAX_TEXT, read_yaml
from opsnb.control.catalog.frontmatter import read_front_matter
from opsnb.control.catalog.notebook import parse_notebook
from opsnb.control.catalog.runbook import runbook_from
from opsnb.control.records import Risk


def notebook(workspace, body):
    """Cells as a notebook."""
    return parse_notebook(json.dumps(workspace.document(body)).encode(), "a.ipynb")


def replaced(workspace, old, new):
    """The good front matter with one text replaced."""
    assert old in workspace.front
    return workspace.front.replace(old, new, 1)


def test_facts_are_read(workspace):
    """Fields are typed, defaults filled in, and the facts kept as they are written."""
    front = read_front_matter(notebook(workspace, workspace.cells()))
    assert (front.id, front.risk, front.owner) == ("NGX-010", Risk.CHANGE, "web-ops")
    assert (front.timeout, front.cell_timeout, front.writes) == (600.0, None, ("{folder}",))
    assert front.lock == "nginx/{strategy}"
    assert list(front.facts)[:4] == ["id", "title", "promise", "risk"]
    assert front.facts["timeout"] == "10m"
    assert front.constraints["batch"] == {"min": 1, "max": 20}
    assert front.place.line_of("parameters.batch.max") == 15


def test_what_a_notebook_wants_stricter(workspace):
    """The policy it wants is read into what the control plane tightens with; one that loosens has no form."""
    wanted = "policy: {approvals: 2, max_hosts: 5, batch: 1, validity: 1h, self_approval: never, free: false}"
    text = replaced(workspace, "owner: web-ops", f"owner: web-ops\n{wanted}")
    front = read_front_matter(notebook(workspace, workspace.cells(front=text)))
    assert front.policy == {
        "approvals": 2, "max_hosts": 5, "batch": 1, "validity": 3600.0, "own": False, "free": False,
    }  # fmt: skip


def test_a_notebook_without_it(workspace):
    """No raw first cell means no front matter; a rule of dashes further down means nothing."""
    assert read_front_matter(notebook(workspace, workspace.cells()[1:])) is None
    rule = workspace.cell("raw", "---\nsome text\n---")
    assert read_front_matter(notebook(workspace, [workspace.cell("code", "1"), rule])) is None


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("id: NGX-010", "id: ngx-10", 2, "id", "two to five capital letters"),
        ("id: NGX-010", "id: NGXXXX-010", 2, "id", "wanted an id"),
        ("id: NGX-010", "id: 10", 2, "id", "wanted an id"),
        ("id: NGX-010\n", "", 1, "id", "is missing"),
        ("owner: web-ops\n", "", 1, "owner", "is missing"),
        ("owner: web-ops", "ownr: web-ops", 6, "ownr", "did you mean 'owner'?"),
        ("owner: web-ops", "owner: yes\nOwner: b", 7, "Owner", "did you mean 'owner'?"),
        ("owner: web-ops", "owner: 5", 6, "owner", "wanted text"),
        ("owner: web-ops", "owner: a\npolicy: strict", 7, "policy", "wanted keys and values"),
        ("owner: web-ops", "owner: a\npolicy: {approvals: 0}", 7, "policy", "wanted a number from 1 to 20"),
        ("owner: web-ops", "owner: a\npolicy: {approval: 2}", 7, "policy", "did you mean 'approvals'?"),
        ("owner: web-ops", "owner: a\npolicy: {max_hosts: true}", 7, "policy", "wanted a number from 1 to 100000"),
        ("owner: web-ops", "owner: a\npolicy: {validity: 0}", 7, "policy", "wanted a duration"),
        ("owner: web-ops", "owner: a\npolicy: {self_approval: while_alone}", 7, "policy", "tightens nothing"),
        ("owner: web-ops", "owner: a\npolicy: {free: true}", 7, "policy", "tightens nothing"),
        ("owner: web-ops", "owner:", 6, "owner", "wanted text"),
        ("owner: web-ops", "owner: [a]", 6, "owner", "wanted text"),
        ("owner: web-ops", "owner: a\nowner: b", 7, "owner", "stands twice, first on line 6"),
        ("owner: web-ops", 'owner: "a\\u202Eb"', 6, "owner", "U+202E"),
        ("owner: web-ops", 'owner: "a\\nb"', 6, "owner", "U+000A"),
        ("owner: web-ops", f"owner: {'x' * 1001}", 6, "owner", "at most 1000"),
        ("risk: change ", "risk: chnage ", 5, "risk", "did you mean 'change'?"),
        ("risk: change ", "risk: [change] ", 5, "risk", "wanted read, change or danger"),
        ("touches: nginx configuration\n", "", 1, "touches", "is missing at risk change"),
        ("undo: restores the previous configuration\n", "", 1, "undo", "is missing at risk change"),
        ("timeout: 10m", "timeout: soon", 9, "timeout", "is not a duration"),
        ("timeout: 10m", "timeout: 0", 9, "timeout", "above 0 and up to 7d"),
        ("timeout: 10m", "timeout: 8d", 9, "timeout", "up to 7d"),
        ("timeout: 10m", "timeout: true", 9, "timeout", "wanted a duration"),
        ("timeout: 10m", "timeout: 10m\ncell_timeout: 11m", 10, "cell_timeout", "660 s is more than"),
        ("nginx/{strategy}", "nginx/{strtegy}", 10, "lock", "did you mean 'strategy'?"),
        ("nginx/{strategy}", "nginx/{strategy", 10, "lock", "braces stand only around a name"),
        ("reads: []", "reads: /etc", 11, "reads", "wanted a list"),
        ("reads: []", "reads: [/etc, /x/../y]", 11, "reads", "an absolute path without '..'"),
        ("reads: []", "reads: [outputs]", 11, "reads", "an absolute path without '..'"),
        ("reads: []", "reads: [configs/../outputs]", 11, "reads", "an absolute path without '..'"),
        ("reads: []", "reads: [configsx]", 11, "reads", "an absolute path without '..'"),
        ("reads: []", "reads:\n  - /etc\n  - '{nope}'", 13, "reads.1", "nothing fills in {nope}"),
        ("writes: [", "writes: [~root, ", 12, "writes", "an absolute path without '..'"),
        ("batch: {min", "bach: {min", 15, "parameters.bach", "did you mean 'batch'?"),
        ("batch: {min: 1", "batch: {minn: 1", 15, "parameters.batch.minn", "did you mean 'min'?"),
        ("batch: {min: 1", "batch: {min: 9", 15, "parameters.batch", "default does not fit"),
        ("  strategy:", "  strategy: {}\n  strategy:", 15, "parameters.strategy", "stands twice"),
        ("parameters:\n", "parameters: [a]\nx:\n", 14, "x", "is not a field"),
    ],
)
def test_errors_name_line_and_field(workspace, old, new, line, field, says):
    """Each mistake is told with file, cell, line and field, and where one is near, the right name."""
    with pytest.raises(NotebookError) as caught:
        runbook_from(notebook(workspace, workspace.cells(front=replaced(workspace, old, new))))
    error = caught.value
    assert (error.path, error.cell, error.line, error.field) == ("a.ipynb", 0, line, field)
    assert says in str(error)


@pytest.mark.parametrize(
    ("front", "line", "says"),
    [
        ("---\nid: A\n", 3, "the closing --- is missing"),
        ("---\n---", 1, "wanted fields"),
        ("---\n- a\n---", 1, "wanted fields"),
        ("---\nid: [\n---", 3, "not YAML"),
        ("---\nid: 'a\n---", 2, "not YAML"),
        ("---\na: b: c\n---", 2, "not YAML"),
        ("---\nid: \x00\n---", 2, "not YAML"),
        ("---\nid: A\n---\nmore", 4, "text stands behind"),
        ("---\na: &x 1\nb: *x\n---", 2, "anchors (&) and aliases (*) are not read"),
        ("---\na: *x\n---", 2, "anchors"),
        ("---\n<<: {a: 1}\n---", 2, "is not a field"),
        ("---\na: !!python/object/apply:os.system [ls]\n---", 2, "tags (!) are not read"),
        ("---\na: !x 1\n---", 2, "tags"),
        ("---\n? [a]\n: 1\n---", 2, "a field's name is text"),
        ("---\na: " + "[" * 20 + "]" * 20 + "\n---", 2, "nested more than"),
        ("---\na: 1\n...\nb: 2\n---", 4, "not YAML"),
        ("---\nid: " + "x" * MAX_TEXT + "\n---", 2, "are read"),
    ],
)
def test_what_is_no_front_matter(workspace, front, line, says):
    """Broken YAML, bombs, tags and second documents are refused with their line."""
    with pytest.raises(NotebookError) as caught:
        read_front_matter(notebook(workspace, [workspace.cell("raw", front)]))
    assert says in str(caught.value)
    assert (caught.value.cell, caught.value.line) == (0, line)


def test_a_bomb_is_refused_at_its_first_anchor(workspace):
    """A billion laughs costs nothing: the first anchor ends it."""
    laughs = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    front = f"---\na0: &a0 lol\n{laughs}---"
    with pytest.raises(NotebookError, match="anchors"):
        read_front_matter(notebook(workspace, [workspace.cell("raw", front)]))


def test_front_matter_belongs_at_the_top(workspace):
    """Front matter below another cell is an error, not a notebook without front matter."""
    body = [workspace.cell("markdown", "# hello"), *workspace.cells()]
    with pytest.raises(NotebookError, match="cell 1: this front matter is not the first cell"):
        read_front_matter(notebook(workspace, body))


def test_windows_line_ends(workspace):
    """Line ends of another system change neither meaning nor lines."""
    front = read_front_matter(notebook(workspace, [workspace.cell("raw", workspace.front.replace("\n", "\r\n"))]))
    assert (front.id, front.place.line_of("owner")) == ("NGX-010", 6)


def test_yaml_means_what_people_mean():
    """Dates, times, yes, on and leading zeros are text; numbers, true and null are what they look like."""
    text = "a: [2026-11-23, 10:30, yes, on, 012, 1_0, 0x1F, 1.5, -3, 1e3, true, null, ~, '5', .inf, 1.2.3]"
    wanted = ["2026-11-23", "10:30", "yes", "on", "012", "1_0", "0x1F", 1.5, -3, 1000.0, True, None, None, "5"]
    assert read_yaml(text, Place()).value == {"a": [*wanted, ".inf", "1.2.3"]}


@given(st.text(alphabet=st.sampled_from("a: -{}[]&*!|>'\"#\n\t%@`,?1.~\0é主"), max_size=80))
@settings(max_examples=400, deadline=None)
def test_any_yaml_is_read_or_refused(text):
    """Arbitrary text gives JSON with lines or a NotebookError, nothing else."""
    try:
        document = read_yaml(text, Place(), first_line=2)
    except NotebookError:
        return
    json.dumps(document.value, allow_nan=False)
    assert all(line >= 2 for line in document.lines.values())
