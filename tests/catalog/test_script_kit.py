"""A script as a change: sealed, run without a shell in between, counted, undone; on this machine, for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from opsnb.base.canonical import sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Plan
from opsnb.kits import script
from places import wait_for

WRITE = '#!/bin/sh\nset -eu\nprintf "%s" "$text" > "made.$1"\necho "made $1 in $PWD"\n'
REMOVE = 'rm "made.$1"\n'


def plan(folder, text=WRITE, **more):
    """The plan of a script in a folder."""
    values = {"arguments": ["a"], "environment": {"text": "x"}, "undo": REMOVE, **more}
    return script.plan_script("localhost", "write.sh", text, directory=str(folder), **values)


def carried_out(a_plan):
    """Carry a plan out as a run does: compare, apply."""
    for change in a_plan.changes:
        assert script.observe(change.host, change.target) == change.before
        script.apply(change.host, change.target, change.before, change.after)
    return script.exit_code(a_plan)


def test_plan_run_undo(tmp_path, capsys):
    """A plan changes nothing; a run runs the script once and counts it; the inverse runs the undo and forgets it."""
    first = plan(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert first.changes[0].before is None
    assert first.changes[0].after == {"script": sha256(WRITE.encode()), "runs": 1}
    assert carried_out(first) == 0
    assert (tmp_path / "made.a").read_text() == "x"
    assert capsys.readouterr().out == f"made a in {tmp_path}\n"
    assert plan(tmp_path).changes[0].before == first.changes[0].after
    assert carried_out(Plan.from_json(json.loads(json.dumps(first.inverse().as_json())))) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_the_same_each_time(tmp_path):
    """Two plans of the same state have one digest; another text, value, argument or undo has another."""
    same = plan(tmp_path).digest
    assert plan(tmp_path).digest == same
    others = [
        plan(tmp_path, text=WRITE + " "), plan(tmp_path, arguments=["b"]), plan(tmp_path, environment={"text": "y"}),
        plan(tmp_path, undo=""),
    ]  # fmt: skip
    assert len({same, *(p.digest for p in others)}) == 5


def test_a_run_in_between_is_seen(tmp_path):
    """Whoever planned before somebody else ran the script has drifted."""
    early = plan(tmp_path)
    carried_out(plan(tmp_path))
    assert script.observe("localhost", early.changes[0].target) != early.changes[0].before
    again = plan(tmp_path, text=WRITE + "\n")
    assert (again.changes[0].before["runs"], again.changes[0].after["runs"]) == (1, 2)
    assert again.changes[0].before["script"] != again.changes[0].after["script"]


@pytest.mark.parametrize(
    "value", ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "a\nb", "-n", "", "运维", "*"]
)
def test_values_are_never_shell_text(tmp_path, value):
    """A value reaches the script as it is, as an argument and as a variable."""
    text = 'printf "%s|%s" "$1" "$text" > out\n'
    assert carried_out(plan(tmp_path, text=text, arguments=[value], environment={"text": value})) == 0
    assert (tmp_path / "out").read_text() == f"{value}|{value}"
    assert not (tmp_path / "pwned").exists()


def test_a_failing_script_counts_and_can_be_undone(tmp_path, capsys):
    """Its exit code is kept for the check; what it left behind is undone like anything else."""
    failed = plan(tmp_path, text=WRITE + "echo oh no >&2\nexit 7\n")
    assert carried_out(failed) == 7
    assert "oh no" in capsys.readouterr().out
    assert (tmp_path / "made.a").exists()
    assert carried_out(failed.inverse()) == 0
    assert list(tmp_path.iterdir()) == []


def test_an_undo_that_fails_can_be_tried_again(tmp_path):
    """The state stays as it was until the undo ends with 0."""
    first = plan(tmp_path, undo='test -e allowed && rm -f allowed "made.$1"\n')
    carried_out(first)
    assert carried_out(first.inverse()) == 1
    assert script.observe("localhost", first.changes[0].target) == first.changes[0].after
    (tmp_path / "allowed").touch()
    assert carried_out(first.inverse()) == 0
    assert list(tmp_path.iterdir()) == []


def test_without_an_undo_nothing_is_promised(tmp_path):
    """The plan says "by hand", and an undo is refused before anything runs."""
    first = plan(tmp_path, undo="")
    assert first.changes[0].undo == "by hand: no script undoes it"
    carried_out(first)
    change = first.inverse().changes[0]
    with pytest.raises(UsageError, match="no script undoes"):
        script.apply(change.host, change.target, change.before, change.after)
    assert (tmp_path / "made.a").exists()


def test_the_first_line_names_the_interpreter(tmp_path):
    """As the kernel reads it: a path and one argument; /bin/sh where there is none; a missing one is refused."""
    assert script.interpreter("#!/bin/bash -eu -x\n") == ["/bin/bash", "-eu -x"]
    assert script.interpreter("#! /usr/bin/env bash") == ["/usr/bin/env", "bash"]
    for text in ("echo", "#!bash\n", "#!/bin/sh\r\n", "\n#!/bin/bash\n"):
        assert script.interpreter(text) == ["/bin/sh"]
    carried_out(plan(tmp_path, text=f"#!{sys.executable}\nprint(1)\n"))
    with pytest.raises(UsageError, match="/bin/nonesuch, which runs the script"):
        plan(tmp_path, text="#!/bin/nonesuch\n")


def test_its_environment_is_small(tmp_path, monkeypatch):
    """Nothing of ours reaches it but HOME; its directory is the folder, its input is empty."""
    monkeypatch.setenv("LD_PRELOAD_OF_OURS", "x")
    monkeypatch.setenv("HOME", "/nowhere")
    carried_out(plan(tmp_path, text="env > out\ncat >> out\npwd >> out\n", environment={"on": True, "share": 0.5}))
    lines = (tmp_path / "out").read_text().splitlines()
    names = {line.partition("=")[0] for line in lines if "=" in line} - {"PWD", "OLDPWD", "SHLVL", "_"}
    assert names == {"PATH", "LC_ALL", "HOME", "TMPDIR", "on", "share"}
    assert {"on=true", "share=0.5", "HOME=/nowhere"} <= set(lines)
    assert lines[-1] == str(tmp_path)


def test_what_it_leaves_running_is_not_waited_for(tmp_path, capsys):
    """A script that starts something and ends has ended, with all that it said."""
    text = "sleep 250 &\necho $! > pid\necho said\n"
    started = time.monotonic()
    assert carried_out(plan(tmp_path, text=text)) == 0
    assert time.monotonic() - started < 100
    assert "said" in capsys.readouterr().out
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_bytes_that_are_no_text_are_shown(tmp_path, capsys):
    """Output of any kind is printed, characters torn by a buffer whole, other bytes replaced."""
    text = f"#!{sys.executable}\nimport sys\nsys.stdout.buffer.write('运'.encode() * 50000 + b'\\xff!')\n"
    carried_out(plan(tmp_path, text=text))
    assert capsys.readouterr().out == "运" * 50000 + "\ufffd!"


def test_an_interrupt_ends_it_and_its_children(tmp_path):
    """Stopped in the middle, neither the script nor what it started goes on."""
    program = (
        "import signal, sys\nfrom opsnb.kits import script\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored by what a shell starts in the background
        f"p = script.plan_script('localhost', 'a.sh', 'sleep 300 & echo $! > pid; echo up; wait', directory={str(tmp_path)!r})\n"
        "c = p.changes[0]\n"
        "try:\n    script.apply(c.host, c.target, c.before, c.after)\n"
        "except KeyboardInterrupt:\n    print('interrupted', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted\n"
    child = int((tmp_path / "pid").read_text())

    def over() -> bool:  # what was killed has its number until it had a turn to end
        shown = subprocess.run(["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True, check=False)
        return shown.stdout.strip()[:1] in {"", "Z"}

    wait_for(over, 20)
    assert not (tmp_path / ".opsnb-a.sh.json").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"environment": {"LD_PRELOAD": "/x.so"}}, "no name of a variable"),
        ({"environment": {"PATH": "/x"}}, "no name of a variable"),
        ({"environment": {"a=b": "x"}}, "no name of a variable"),
        ({"environment": {"text": "a\0b"}}, "holds a NUL"),
        ({"arguments": ["a\0b"]}, "holds a NUL"),
        ({"arguments": [1]}, "is not text"),
        ({"arguments": ["x" * 200_000]}, "bytes together"),
        ({"text": ""}, "is empty"),
        ({"text": "a\0b"}, "without NUL"),
        ({"text": "#" * 70_000}, "at most"),
        ({"undo": "#" * 70_000}, "the undo of write.sh"),
    ],
)
def test_what_cannot_run_is_refused(tmp_path, more, says):
    """Every wrong argument is refused when it is planned, with words."""
    with pytest.raises(UsageError, match=says):
        plan(tmp_path, **more)


def test_places_that_are_refused(tmp_path):
    """Another host, a directory that is none, a name that is a path, and a note that somebody else wrote."""
    with pytest.raises(UsageError, match="not one of this run's hosts"):
        script.plan_script("nobody-here", "a.sh", "ls", directory=str(tmp_path))
    for wrong in ("relative", str(tmp_path / "missing"), f"{tmp_path}/../x"):
        assert script.suits(wrong)[0] is False
        with pytest.raises(OpsnbError):
            plan(wrong)
    with pytest.raises(UsageError, match="the script is called"):
        script.plan_script("localhost", "../a.sh", "ls", directory=str(tmp_path))
    for content in ("{", "[]", '{"runs": "x"}', "[" * 5000):
        (tmp_path / ".opsnb-write.sh.json").write_text(content)
        with pytest.raises(OpsnbError, match="is not what a run wrote"):
            plan(tmp_path)


def test_facts_and_history(tmp_path):
    """A reader sees what will run, word for word, and what is known of it."""
    first = plan(tmp_path)
    rows = dict(script.facts(first).itertuples(index=False))
    assert (rows["script"], rows["interpreter"], rows["argument 1"], rows["$text"]) == ("write.sh", "/bin/sh", "a", "x")
    assert rows["SHA-256"] == sha256(WRITE.encode())
    assert script.history(str(tmp_path), "write.sh") == f"write.sh has not run in {tmp_path}"
    carried_out(first)
    assert "has run 1 time(s)" in script.history(str(tmp_path), "write.sh")
    assert first.changes[0].command == "env text=x /bin/sh write.sh a"
