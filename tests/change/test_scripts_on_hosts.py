"""Scripts on hosts of a run: sent whole, run without a shell around their values, counted, undone, checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nearby import carry_out, nearby
from opsnb.base.canonical import sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Plan
from opsnb.kits import remote, script
from opsnb.kits.script import there

WRITE = '#!/bin/sh\nset -eu\nprintf "%s" "$text" > "made.$1"\necho "made $1 in $PWD"\n'
REMOVE = 'rm "made.$1"\n'


@pytest.fixture(autouse=True)
def hosts():
    """Three hosts, and no script that ran before."""
    script._EXITS.clear()
    with nearby() as names:
        yield names


def plan(folder, text=WRITE, host="near1", **more):
    """The plan of a script in a folder."""
    values = {"arguments": ["a"], "environment": {"text": "x"}, "undo": REMOVE, **more}
    return script.plan_script(host, "write.sh", text, directory=str(folder), **values)


def test_plan_run_undo(tmp_path, capsys):
    """A plan changes nothing; a run runs the script once and counts it; the inverse runs the undo and forgets it."""
    first = plan(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert first.changes[0].after == {"script": sha256(WRITE.encode()), "runs": 1}
    carry_out(first)
    assert script.exit_code(first) == 0
    assert (tmp_path / "made.a").read_text() == "x"
    assert capsys.readouterr().out == f"near1: made a in {tmp_path}\n"
    note = tmp_path / ".opsnb-write.sh.json"
    assert json.loads(note.read_text()) == first.changes[0].after
    assert note.stat().st_mode & 0o777 == 0o644
    assert plan(tmp_path).changes[0].before == first.changes[0].after
    carry_out(Plan.from_json(json.loads(json.dumps(first.inverse().as_json()))))
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_it_stays_in_tmp(tmp_path):
    """The folder that the script was sent into is gone, and only its user could enter it."""
    text = 'stat -c %a "$TMPDIR" > mode; echo "$TMPDIR" > where; exit 3\n'
    a_plan = plan(tmp_path, text=text)
    carry_out(a_plan)
    assert script.exit_code(a_plan) == 3
    assert (tmp_path / "mode").read_text() == "700\n"
    folder = (tmp_path / "where").read_text().strip()
    assert folder.startswith("/tmp/opsnb-script-")
    assert not Path(folder).exists()


@pytest.mark.parametrize(
    "value",
    ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "a\nb", "-n", "", "运维", "*", "a=b", "--", "\r\n"],
)
def test_values_are_never_shell_text(tmp_path, value):
    """A value reaches the script as it is, as an argument and as a variable."""
    text = 'printf "%s|%s" "$1" "$text" > out\n'
    a_plan = plan(tmp_path, text=text, arguments=[value], environment={"text": value})
    carry_out(a_plan)
    assert script.exit_code(a_plan) == 0
    assert (tmp_path / "out").read_bytes().decode() == f"{value}|{value}"
    assert not (tmp_path / "pwned").exists()


def test_the_environment_holds_nothing_else(tmp_path, monkeypatch):
    """PATH, LC_ALL, HOME, TMPDIR and the given names; input is empty; the umask is the user's own."""
    monkeypatch.setenv("LD_PRELOAD_OF_MINE", "x")
    text = "env | cut -d= -f1 | sort > names; cat > input; touch new; umask > mask\n"
    carry_out(plan(tmp_path, text=text))
    assert set((tmp_path / "names").read_text().split()) <= {
        "PATH",
        "LC_ALL",
        "HOME",
        "TMPDIR",
        "text",
        "PWD",
        "OLDPWD",
    }
    assert (tmp_path / "input").read_bytes() == b""
    assert int((tmp_path / "mask").read_text(), 8) != 0o077


def test_other_interpreters_are_honoured(tmp_path):
    """The first line names it, with one argument, as the kernel would read it."""
    text = '#!/usr/bin/env -S python3 -I\nimport sys, pathlib; pathlib.Path("out").write_text(sys.argv[1])\n'
    with pytest.raises(UsageError, match="is not there"):
        plan(tmp_path, text="#!/nowhere/perl\n")
    carry_out(plan(tmp_path, text=text.replace("/usr/bin/env -S python3 -I", "/usr/bin/awk -f")
                   .replace('import sys, pathlib; pathlib.Path("out").write_text(sys.argv[1])',
                            'BEGIN { printf "%s", ARGV[1] > "out" }')))  # fmt: skip
    assert (tmp_path / "out").read_text() == "a"


def test_a_script_that_does_not_arrive_whole_is_not_started(tmp_path):
    """A line that breaks while it is sent ends as the end of the input; the digest tells."""
    arguments = [str(tmp_path), "/tmp/opsnb-script-whole-test", "x.sh", sha256(b"touch pwned; exit 0\n"),
                 str(tmp_path / ".note"), "", "always", "/bin/sh", "PATH=/bin:/usr/bin", "/bin/sh",
                 "/tmp/opsnb-script-whole-test/x.sh"]  # fmt: skip
    with pytest.raises(UsageError, match="did not arrive whole"):
        remote.act("near1", there.RUN, *arguments, stdin=b"touch pwned")
    assert list(tmp_path.iterdir()) == []
    remote.act("near1", there.RUN, *arguments, stdin=b"touch pwned; exit 0\n")
    assert (tmp_path / "pwned").exists()


def test_a_failing_canary_stops_the_others(tmp_path, hosts, capsys):
    """It counts where it ran, so that it can be undone there; it is started on no further host."""
    failed = plan(tmp_path, text=WRITE + "echo oh no >&2\nexit 7\n", host=hosts[:1])
    carry_out(failed)
    assert "near1: oh no" in capsys.readouterr().out
    assert script.exit_codes(failed) == {"near1": 7}
    other = plan(tmp_path, text=WRITE, host="near2")
    with pytest.raises(OpsnbError, match=r"not started: on near1 write\.sh ended with exit code 7"):
        carry_out(other)
    assert script.exit_codes(other) == {"near2": None}
    carry_out(failed.inverse())
    assert list(tmp_path.iterdir()) == []


def test_an_undo_that_fails_can_be_tried_again(tmp_path):
    """The state stays as it was until the undo ends with 0."""
    first = plan(tmp_path, undo='test -e allowed && rm -f allowed "made.$1"\n')
    carry_out(first)
    carry_out(first.inverse())
    assert script.exit_code(first) == 1
    assert script.observe("near1", first.changes[0].target) == first.changes[0].after
    (tmp_path / "allowed").touch()
    carry_out(first.inverse())
    assert list(tmp_path.iterdir()) == []


def test_a_check_script_is_run_with_the_same_values_and_not_counted(tmp_path):
    """It proves what the script promises; an empty one passes; for an undo it is not run."""
    first = plan(tmp_path)
    carry_out(first)
    assert script.proof(first, 'grep -q x "made.$1"\n') == {"near1": 0}
    assert script.proof(first, "exit 5\n") == {"near1": 5}
    assert script.proof(first, "") == {"near1": 0}
    assert script.proof(first.inverse(), "exit 5\n") == {"near1": 0}
    assert sorted(p.name for p in tmp_path.iterdir()) == [".opsnb-write.sh.json", "made.a"]


def test_what_cannot_run_is_said_before_anything_runs(tmp_path):
    """A missing directory, a text that is none, a name of a variable that means something to programs."""
    with pytest.raises(OpsnbError, match=r"near1: .* is not a directory"):
        plan(tmp_path / "none")
    for wrong in ({"environment": {"PATH": "x"}}, {"arguments": ["\0"]}, {"arguments": ["\ud800"]}, {"undo": "\0"},
                  {"arguments": ["x" * 200_000]}, {"text": " \n"}, {"text": "\ud800"}):  # fmt: skip
        with pytest.raises(UsageError):
            plan(tmp_path, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_without_an_undo_it_is_said_which_risk_it_is():
    """A change can be undone; what cannot is danger."""
    assert script.undoable("x", "y")[0]
    assert "danger" in script.undoable("x", " ")[1]
    assert not script.undoable(" ", "y")[0]
