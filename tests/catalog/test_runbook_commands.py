"""``opsnb runbook``: the real program in a real workspace, for people and for scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

OPSNB = Path(sys.executable).with_name("opsnb")
PATH = "runbooks/nginx/NGX-010-balance.ipynb"


@pytest.fixture
def opsnb(workspace):
    """Run the program in the workspace; return exit code, stdout, stderr."""
    (workspace.root / "opsnb.yaml").touch()

    def call(*argv, cwd=None):
        done = subprocess.run([OPSNB, *argv], cwd=cwd or workspace.root, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return call


def test_list_shows_what_can_run_and_what_cannot(workspace, opsnb):
    """Id, title, risk, owner and path of each; a broken one with its error; a plain one by its file."""
    workspace.runbook()
    workspace.write("runbooks/plain.ipynb", [workspace.cell("code", "1")])
    workspace.write("runbooks/torn.ipynb", "{")
    code, out, _ = opsnb("runbook", "list")
    assert code == 0
    heading, *rows = out.splitlines()
    lines = [row for row in rows if "built-in/" not in row]
    assert heading.split() == ["ID", "TITLE", "RISK", "OWNER", "PATH"]
    assert lines[0].split("  ")[0] == "NGX-010"
    assert lines[0].endswith(PATH)
    assert lines[1].split() == ["-", "plain", "read", "-", "runbooks/plain.ipynb"]
    assert lines[2].startswith("broken runbooks/torn.ipynb: is not JSON")


def test_list_as_json(workspace, opsnb):
    """One document: what can run with its facts, and what cannot with the place of its error."""
    workspace.runbook()
    workspace.runbook("runbooks/x/HST-001.ipynb", front=workspace.front.replace("owner", "ownr"))
    code, out, _ = opsnb("runbook", "list", "--json")
    document = json.loads(out)
    assert code == 0
    (good,), (broken,) = document["runbooks"], document["broken"]
    assert (good["id"], good["risk"], good["owner"], good["path"]) == ("NGX-010", "change", "web-ops", PATH)
    assert (broken["id"], broken["cell"], broken["line"], broken["field"]) == ("HST-001", 0, 6, "ownr")
    assert broken["hint"] == "did you mean 'owner'?"


def test_list_of_an_empty_workspace(opsnb):
    """No notebooks is no error."""
    assert opsnb("runbook", "list")[0] == 0
    assert json.loads(opsnb("runbook", "list", "--json")[1]) | {"built_in": []} == {
        "runbooks": [], "built_in": [], "broken": [],
    }  # fmt: skip
    assert "HST-004" in opsnb("runbook", "list")[1]


def test_show_prints_facts_and_parameters(workspace, opsnb):
    """Everything that a person needs to fill in the form, by id in any case, from any folder of the workspace."""
    parameters = workspace.parameters + 'seconds: float = 60  # 持续时间\nwho: str = ""  # whom\n'
    more = "  seconds: {kind: duration, max: 1h, unit: s}\n  who: {required: true, length: 9, pattern: '[a-z]+'}\n---"
    workspace.runbook(front=workspace.front.removesuffix("---\n") + more, parameters=parameters)
    code, out, _ = opsnb("runbook", "show", "ngx-010", cwd=workspace.root / "runbooks/nginx")
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert rows["NGX-010"] == "NGX-010  Balance a web tier behind nginx"
    assert rows["owner"].split() == ["owner", "web-ops"]
    assert "one of round_robin, ip_hash" in rows["strategy"]
    assert "1 to 20" in rows["batch"]
    assert "duration; at most 3600.0 s" in rows["seconds"]
    assert "持续时间" in rows["seconds"]
    assert "required; length up to 9; matches [a-z]+" in rows["who"]


def test_show_says_a_unit_once(workspace, opsnb):
    """A label that names the unit needs no second one; a unit that is only a part of a word is told."""
    more = "  a: {min: 0, unit: requests/s}\n  b: {min: 0, unit: requests/s}\n  c: {min: 0, unit: s}\n---"
    labels = "a: int = 1  # requests/s at the peak\nb: int = 1  # the peak\nc: int = 1  # hosts\n"
    workspace.runbook(front=workspace.front.removesuffix("---\n") + more, parameters=workspace.parameters + labels)
    rows = {line.split()[0]: line for line in opsnb("runbook", "show", "NGX-010")[1].splitlines() if line.strip()}
    assert rows["a"].count("requests/s") == 1
    assert "at least 0 requests/s" in rows["b"]
    assert "at least 0 s" in rows["c"]


def test_show_as_json_holds_the_schema(workspace, opsnb):
    """Scripts and forms get the JSON Schema; a path from the asker's folder is a name too."""
    workspace.runbook()
    code, out, _ = opsnb("runbook", "show", "NGX-010-balance.ipynb", "--json", cwd=workspace.root / "runbooks/nginx")
    document = json.loads(out)
    assert (code, document["id"], document["path"]) == (0, "NGX-010", PATH)
    assert document["parameters"]["properties"]["batch"]["maximum"] == 20
    assert document["facts"]["timeout"] == "10m"


def test_show_of_what_is_not_there(workspace, opsnb):
    """A wrong name exits 2 with the nearest; with --json as one document."""
    workspace.runbook()
    code, out, err = opsnb("runbook", "show", "NGX-0100")
    assert (code, out) == (2, "")
    assert "did you mean 'NGX-010'?" in err
    code, out, err = opsnb("runbook", "show", "NGX-0100", "--json")
    assert (code, err) == (2, "")
    assert json.loads(out)["error"]["hint"] == "did you mean 'NGX-010'?"


def test_lint_is_silent_and_0_where_nothing_is_found(workspace, opsnb):
    """A clean workspace exits 0 and prints nothing on stdout."""
    workspace.runbook()
    code, out, err = opsnb("runbook", "lint")
    assert (code, out, err) == (0, "", "nothing to put right in 1 notebook\n")


def test_lint_exits_1_and_says_where_and_how(workspace, opsnb):
    """Each finding has file, cell, line, code, words and a hint; --json has the same."""
    body = workspace.cells()
    body[7] = workspace.cell("code", "x = 1\n!ls")
    workspace.write(PATH, body)
    code, out, err = opsnb("runbook", "lint")
    assert (code, err) == (1, "1 to put right in 1 notebook\n")
    assert out == f"{PATH} cell 7 line 2: OPS030 `!ls` is a magic\n  → call a verb of a kit instead\n"
    code, out, _ = opsnb("runbook", "lint", "--json")
    document = json.loads(out)
    assert (code, document["notebooks"]) == (1, 1)
    (finding,) = document["findings"]
    assert (finding["code"], finding["path"], finding["cell"], finding["line"]) == ("OPS030", PATH, 7, 2)


def test_lint_of_some(workspace, opsnb, tmp_path_factory):
    """Files, folders and ids can be named; a notebook outside the workspace too; an unknown name exits 2."""
    workspace.runbook()
    workspace.write("runbooks/other/torn.ipynb", "{")
    outside = tmp_path_factory.mktemp("outside") / "a.ipynb"
    outside.write_text("{")
    results = {
        name: opsnb("runbook", "lint", name)[0]
        for name in (PATH, "NGX-010", "runbooks/nginx", "runbooks/other", "runbooks/other/torn.ipynb", str(outside))
    }
    assert list(results.values()) == [0, 0, 0, 1, 1, 1]
    code, _, err = opsnb("runbook", "lint", "NGX-0100")
    assert (code, "did you mean 'NGX-010'?" in err) == (2, True)
    (workspace.root / "empty").mkdir()
    code, _, err = opsnb("runbook", "lint", "empty")
    assert (code, "holds no notebook" in err) == (2, True)


def test_hostile_text_reaches_no_terminal(workspace, opsnb):
    """Names and errors with control characters, and names that are no text at all, are shown and not obeyed."""
    workspace.write("runbooks/\x1b[31mred\u202e.ipynb", "{")
    file = workspace.runbook()
    os.link(file, os.fsencode(workspace.root) + b"/runbooks/b\xff.ipynb")
    for argv in (("list",), ("lint",), ("list", "--json"), ("lint", "--json")):
        code, out, _ = opsnb("runbook", *argv)
        assert code == ("lint" in argv)
        assert "b\\udcff.ipynb" in out.replace("\\\\", "\\")
        if "--json" in argv:
            json.loads(out)
        else:
            assert "\x1b[31m" not in out
            assert "\u202e" not in out


def test_outside_a_workspace(opsnb, tmp_path_factory):
    """Without an opsnb.yaml here or above the program says how to make one."""
    code, _, err = opsnb("runbook", "list", cwd=tmp_path_factory.mktemp("nowhere"))
    assert (code, "opsnb init" in err) == (2, True)


def test_the_commands_load_nothing_heavy(workspace, opsnb):
    """What makes a command slow is not imported, not even on the way to a finding."""
    workspace.runbook()
    assert opsnb("runbook", "lint")[0] == 0
    heavy = "{'nbformat', 'papermill', 'pandas', 'numpy', 'sqlalchemy', 'jsonschema', 'IPython', 'rich', 'fastapi'}"
    code = (
        "import sys\nfrom opsnb.cli.main import main\n"
        "for argv in (['list'], ['show', 'NGX-010'], ['lint']):\n"
        "    try:\n        main(['runbook', *argv])\n    except SystemExit as ended:\n        assert not ended.code\n"
        f"print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=workspace.root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
