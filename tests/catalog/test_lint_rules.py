"""The rules about sections, secrets, shells and links: what each finds, and what it leaves alone."""

from __future__ import annotations

import json

import pytest

from opsnb.control.catalog import RULES, Catalog, builtin, lint_catalog, lint_notebook
from opsnb.control.catalog.findings import Severity, Subject
from opsnb.control.catalog.lint import ids
from opsnb.control.catalog.notebook import parse_notebook

PATH = "runbooks/nginx/NGX-010-balance.ipynb"
KNOWN = frozenset({"NGX-010", "NGX-011", "HST-001"})


def found(workspace, body, known=KNOWN, code=None):
    """The findings of these cells as (code, cell, line); only those of one code if it is given."""
    findings = lint_notebook(workspace.write(PATH, body), workspace.root, known)
    return [(f.code, f.cell, f.line) for f in findings if code in (None, f.code)]


def with_cell(workspace, index, kind, source, *tags, **front):
    """The good runbook with one cell replaced."""
    body = workspace.cells(**front)
    body[index] = workspace.cell(kind, source, *tags)
    return body


def read_only(workspace):
    """The good runbook at risk read, without its plan and change."""
    body = workspace.cells(front=workspace.front.replace("risk: change  ", "risk: read  "))
    body[8:12] = []
    body[8]["source"] = ["## 3. Did it work?\n", "\n", "Every check says PASS."]
    body[10]["source"] = ["## 4. What next\n", "\n", "Nothing."]
    return body


def test_a_good_read_only_runbook_has_no_findings(workspace):
    """A diagnosis has no plan, no change and no sixth section."""
    assert found(workspace, read_only(workspace)) == []


@pytest.mark.parametrize(
    "source",
    [
        'key = "-----BEGIN RSA PRIVATE KEY-----"',
        'key = "-----BEGIN PRIVATE KEY-----"',
        f'key = "AKIA{"A1" * 8}"',
        f'key = "ghp_{"a" * 36}"',
        'key = "xoxb-123456789012-abc"',
        f'key = "eyJ{"a" * 12}.eyJ{"b" * 12}.{"c" * 12}"',
        'url = "redis://app:s3cret@cache/0"',
    ],
)
def test_credentials_are_found_and_not_repeated(workspace, source):
    """A key, token or password is an error wherever it stands, and no finding holds it."""
    for kind, text in (("code", f"x = 1\n{source}"), ("markdown", f"See.\n{source}")):
        body = with_cell(workspace, 7, kind, text)
        assert ("OPS012", 7, 2) in found(workspace, body)
        findings = lint_notebook(workspace.root / PATH, workspace.root)
        secret = source.split('"')[1]
        assert all(secret not in str(f) for f in findings if f.code == "OPS012")


@pytest.mark.parametrize(
    "source",
    [
        '"https://{user}:{password}@host/"',
        '"https://host:8080/a@b"',
        '"ssh://git@host/x"',
        '"AKIA"',
        '"postgres://db1/x"',
    ],
)
def test_what_only_looks_like_a_credential(workspace, source):
    """A URL without a password, one whose password is filled in, and a prefix alone are none."""
    assert found(workspace, with_cell(workspace, 7, "code", f"x = {source}"), code="OPS012") == []


@pytest.mark.parametrize(
    ("line", "front", "warned"),
    [
        ("db_password: str = ''  # p", "", True),
        ("api_key: str = 'x'  # p", "", True),
        ("TOKEN: list[str] = []  # p", "", True),
        ("token_count: int = 3  # p", "", False),
        ("tokens: str = 'x'  # p", "", False),
        ("keyboard: str = 'x'  # p", "", False),
        ("db_password: str = 'shop'  # p", "  db_password: {kind: secret}\n---", False),
        ("db_password: str = 'shop'  # p", "  db_password: {length: 9}\n---", True),
    ],
)
def test_a_parameter_named_like_a_secret(workspace, line, front, warned):
    """Text that is named like a secret is of kind secret; numbers and other words are left alone."""
    body = workspace.cells(
        front=workspace.front.removesuffix("---\n") + front if front else workspace.front,
        parameters=workspace.parameters + line,
    )
    assert found(workspace, body) == ([("OPS013", 2, 4)] if warned else [])


HOME = "/" + "home/ann"


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        (f"{HOME}/x", True), ("/" + "Users/ann", True), ("/" + "root", True), ("~/x", True), ("~ann/x", True),
        ("/" + "rootfs", False), ("/srv/" + "home/ann", False), ("/" + "home", False), ("a ~ b", False), ("/etc", False),
    ],
)  # fmt: skip
def test_paths_of_a_home(workspace, text, warned):
    """Somebody's home is found in code; a path that only looks alike is not, nor is prose."""
    assert found(workspace, with_cell(workspace, 7, "code", f'x = "{text}"')) == ([("OPS014", 7, 1)] if warned else [])
    body = workspace.cells()
    body[6]["source"] = ["## 2. What we see now\n", f"Not {text} is looked at."]
    assert found(workspace, body) == []


def test_links_to_other_runbooks(workspace):
    """An id like those of the catalog must be in it; without a catalog, and for other words, nothing is said."""
    body = with_cell(
        workspace, 6, "markdown", "## 2. See\n\nSee NGX-011, NGX-099, SHA-256, HST-001, NGX-010, NGX-0991."
    )
    assert found(workspace, body) == [("OPS024", 6, 3)]
    assert found(workspace, body, known=None) == []
    body = with_cell(workspace, 5, "code", 'run.applicable(x, "y",\n  instead="NGX-099")')
    assert found(workspace, body) == [("OPS023", 5, 2)]
    assert found(workspace, with_cell(workspace, 5, "code", 'run.applicable(x, "y", instead="NGX-011")')) == []
    assert found(workspace, with_cell(workspace, 5, "code", 'run.applicable(x, "y", instead="")')) == []


def test_links_are_looked_up_in_the_whole_catalog(workspace):
    """A broken notebook's promised id is known too, and a built-in one; lint of the catalog says which names lead nowhere."""
    workspace.write(PATH, with_cell(workspace, 6, "markdown", "## 2. See\n\nSee NGX-911, HST-001 and NGX-912."))
    workspace.write("runbooks/nginx/NGX-911.ipynb", "{")
    catalog = Catalog.load(workspace.root)
    assert ids(catalog) == {"NGX-010", "NGX-911", *builtin.ids()}
    assert [(f.code, f.line) for f in lint_catalog(catalog, workspace.root / PATH)] == [("OPS024", 3)]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("**Use when** a. **Do not use when** b.", []),
        ("Use it if a. Never use it for b.", []),
        ("适用于扩容。不适用于故障。", []),
        ("Do not use when b.", ["OPS026"]),
        ("不适用于故障。", ["OPS026"]),
        ("Use when a.", ["OPS026"]),
        ("", ["OPS026", "OPS026"]),
    ],
)
def test_the_introduction_says_when(workspace, text, codes):
    """When to use it and when not, in English or Chinese; "do not use when" alone is no "use when"."""
    title = workspace.title.format(name="NGX-010").partition("**")[0]
    assert [c for c, _, _ in found(workspace, with_cell(workspace, 1, "markdown", title + text))] == codes


def test_the_promise_stands_in_the_introduction(workspace):
    """Word for word, wherever its lines break; and the introduction is the cell below the front matter."""
    title = workspace.title.format(name="NGX-010")
    broken = title.replace("and reloads", "\nand   reloads")
    assert found(workspace, with_cell(workspace, 1, "markdown", broken)) == []
    other = title.replace("reloads", "restarts")
    assert found(workspace, with_cell(workspace, 1, "markdown", other)) == [("OPS025", 1, None)]
    body = workspace.cells()
    body[1], body[2] = body[2], body[1]
    assert ("OPS025", None, None) in found(workspace, body)


@pytest.mark.parametrize(
    ("headings", "lines"),
    [
        (["1. A", "2. B", "3. C"], []),
        (["1. A", "2. B", "Summary"], []),
        (["1、适用吗", "2．看", "总结"], []),
        (["1. A", "3. B", "4. C"], [2]),
        (["2. A", "3. B"], [1]),
        (["A"], [1]),
        (["1. A", "B", "2. C"], [2]),
        (["1. A", "1.5 hours", "2. C"], [2]),
        (["1. A", "2. B", "B", "B"], [3]),
    ],
)
def test_sections_are_numbered(workspace, headings, lines):
    """1, 2, 3 in order; only the last may have no number; a number in a title is none."""
    body = read_only(workspace)
    text = "\n".join(f"## {h}" for h in headings) + "\n\nWords."
    body[4:12] = [workspace.cell("markdown", text)]
    assert [line for _, _, line in found(workspace, body, code="OPS037")] == lines


def test_a_heading_in_a_fence_is_none(workspace):
    """Fenced text is an example, also of headings."""
    body = with_cell(workspace, 6, "markdown", "## 2. See\n\nSo:\n\n```\n## 9. No\n# No\n```")
    assert found(workspace, body) == []


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ('os.system("ls")', "OPS036"),
        ('subprocess.run("ls", shell=True)', "OPS036"),
        ('subprocess.getoutput("ls")', "OPS036"),
        ('x.y.z.run("ls", shell=True)', "OPS036"),
        ('subprocess.run(["ls"], shell=False)', None),
        ("nginx.system()", None),
        ("os.remove(p)", "OPS049"),
        ("shutil.rmtree(p)", "OPS049"),
        ('open(p, "w")', "OPS049"),
        ('open(p, mode="ab")', "OPS049"),
        ("open(p)", None),
        ('open(p, "rb")', None),
        ('open(run.files / "a.txt", "w")', None),
        ("os.remove(run.files / 'a')", None),
        ("names.remove(p)", None),
        ("print({'a': 1})", "OPS038"),
        ("{'a': 1}", "OPS038"),
        ("[x for x in y]", "OPS038"),
        ("print(vars(x))", "OPS038"),
        ("pprint(x)", "OPS038"),
        ("print(json.dumps(x))", "OPS038"),
        ("checks = [run.evidence('a', 1)]", None),
        ("print(f'{x}')", None),
        ("show(x)", None),
        ("batch\nprint('{batch} hosts')", "OPS039"),
        ("batch\nprint('{unknown} hosts')", None),
        ("batch\nprint(f'{batch} hosts')", None),
        ("batch\nprint('{batch} hosts'.format(batch=1))", None),
        ("batch\nx = files.plan('${batch}')", None),
        ("batch\nx = '{{batch}}'", None),
    ],
)
def test_what_a_cell_should_not_do(workspace, source, code):
    """Shells, changes outside a plan, raw objects and braces that nobody fills in; and what only looks alike."""
    codes = [c for c, _, _ in found(workspace, with_cell(workspace, 7, "code", source))]
    assert codes == ([code] if code else [])


@pytest.mark.parametrize("quotes", ['"""', "r'''"])
def test_a_text_may_be_long(workspace, quotes):
    """A cell that only gives a text its name is data: long, and with braces of its own."""
    source = f"template = {quotes}" + "batch {batch}\n" * 20 + quotes[-3:]
    assert found(workspace, with_cell(workspace, 7, "code", source)) == []
    assert ("OPS034", 7, None) in found(workspace, with_cell(workspace, 7, "code", source + "\nprint(template)"))


@pytest.mark.parametrize(
    ("index", "source", "expected"),
    [
        (5, "x = 1", [("OPS043", None, None)]),
        (7, 'run.applicable(x, "y")', [("OPS043", 7, 1)]),
        (9, "plan = 1", [("OPS042", 11, 1), ("OPS044", None, None)]),
        (11, "x = 1", [("OPS044", None, None)]),
        (7, "run.propose(x)", [("OPS044", 7, 1)]),
        (13, "run.change(plan)", [("OPS042", 13, 1), ("OPS044", 13, 1), ("OPS045", None, None)]),
        (13, "x = 1", [("OPS045", None, None)]),
        (13, 'run.check("a", True, True)', [("OPS045", 13, 1)]),
        (13, 'run.check("a", got=1, want=1)', [("OPS045", 13, 1)]),
        (13, 'run.check("a", x, True)', []),
    ],
)
def test_a_change_keeps_its_sections(workspace, index, source, expected):
    """Asking in 1, proposing in 3, changing in 4, checking in 5, each where an approver looks for it."""
    assert sorted(found(workspace, with_cell(workspace, index, "code", source)), key=str) == sorted(expected, key=str)


def test_section_4_holds_one_code_cell(workspace):
    """A second code cell beside the change is an error; a sentence more is none."""
    body = workspace.cells()
    body[12:12] = [workspace.cell("markdown", "And then this."), workspace.cell("code", "x = 1")]
    assert found(workspace, body) == [("OPS044", 13, None)]
    del body[13]
    assert found(workspace, body) == []


def test_section_6_says_what_to_do(workspace):
    """It is there, and it holds a sentence of its own."""
    assert found(workspace, with_cell(workspace, 14, "markdown", "## 6. If it did not")) == [("OPS046", 14, 1)]
    body = workspace.cells()
    del body[14]
    assert found(workspace, body) == [("OPS046", None, None)]
    both = "## 6. If it did not\n\n## Summary\n\nYou should see it."
    body[14] = workspace.cell("markdown", both)
    assert found(workspace, body) == [("OPS046", 14, 1)]
    table = "## 6. If it did not\n\n| you see | do |\n|---|---|\n| x | y |\n\nWait a minute.\n"
    assert found(workspace, with_cell(workspace, 14, "markdown", table)) == []


def test_one_setup_cell_and_one_summary(workspace):
    """Tagged, in their places, each once."""
    body = workspace.cells()
    begin = body[3]["source"]
    body[3] = workspace.cell("code", "".join(begin))
    body[16] = workspace.cell("code", "run.finish()")
    assert found(workspace, body) == [("OPS047", None, None), ("OPS048", 16, None)]
    body[3] = workspace.cell("code", "".join(begin), "setup")
    body[7] = workspace.cell("code", "x = 1", "setup", "summary")
    body[16] = workspace.cell("code", "run.finish()", "summary")
    assert found(workspace, body) == [("OPS047", 7, None), ("OPS048", 7, None)]
    body[7] = workspace.cell("code", "x = 1")
    body[2:2] = [workspace.cell("markdown", "First."), workspace.cell("code", "x = 1")]
    assert ("OPS047", 5, None) in found(workspace, body)


def test_the_format_and_the_kernel(workspace):
    """The format is 4.5 and the kernel python3; without ids there is one finding, not one a cell."""
    document = workspace.document(workspace.cells())
    document["nbformat_minor"] = 4
    for cell in document["cells"]:
        del cell["id"]
    document["metadata"]["kernelspec"]["name"] = "conda-env-mine"
    assert found(workspace, document) == [("OPS006", None, None), ("OPS007", None, None)]
    del document["metadata"]["kernelspec"]
    assert ("OPS006", None, None) in found(workspace, document)


def test_only_rules_that_could_misjudge_are_warnings(workspace):
    """A warning says so in its words and its JSON; the others are errors."""
    warnings = {code for code, rule in RULES.items() if rule.severity is Severity.WARNING}
    assert warnings == {"OPS013", "OPS014", "OPS024", "OPS026", "OPS038", "OPS039", "OPS049"}
    file = workspace.write(PATH, with_cell(workspace, 7, "code", "print({})"))
    (finding,) = lint_notebook(file, workspace.root)
    assert "cell 7 line 1: OPS038 warning: " in str(finding)
    assert json.loads(json.dumps(finding.as_json()))["severity"] == "warning"


@pytest.mark.parametrize(
    "source",
    [
        "x" + ".y" * 900 + "(shell=True)",
        "x" + ".y" * 20_000 + "(shell=True)",
        "x = " + "-" * 20_000 + "1",
        "1" + "+1" * 20_000,
    ],
)
def test_deep_code_is_only_looked_at(workspace, source):
    """An expression that is too deep to be written out again gives a finding or none, never an error."""
    found(workspace, with_cell(workspace, 7, "code", source))


def test_sections_know_their_cells(workspace):
    """A cell belongs to the last heading before it."""
    content = json.dumps(workspace.document(workspace.cells())).encode()
    subject = Subject(parse_notebook(content, "a.ipynb"))
    cells = subject.notebook.cells
    assert [subject.section_of(cells[n]) for n in (3, 5, 7, 9, 11, 13, 16)] == [None, 1, 2, 3, 4, 5, None]


def test_nobody_reads_a_thousand_findings(workspace):
    """Of one rule 101 are told, the last says that more follow; other rules are told all the same."""
    body = with_cell(workspace, 6, "markdown", "## 2. See\n\n" + "See NGX-099.\n" * 500)
    body[7] = workspace.cell("code", "!ls")
    codes = [c for c, _, _ in found(workspace, body)]
    assert (codes.count("OPS024"), codes.count("OPS030")) == (101, 1)
    (last,) = [f for f in lint_notebook(workspace.root / PATH, workspace.root, KNOWN) if "not listed" in f.message]
    assert last.code == "OPS024"
