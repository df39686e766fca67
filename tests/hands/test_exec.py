"""`opsnb exec`: one command on hosts, each word as it is, each host told truthfully, all of it recorded."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from opsnb.control.catalog import builtin
from opsnb.control.catalog.index import Catalog
from places import OPSNB, ROOT, Place

pytestmark = pytest.mark.slow


def test_it_works_in_a_workspace_that_was_just_made(tmp_path: Path) -> None:
    """After `opsnb init` and nothing else, `opsnb exec localhost -- uname -s` answers and leaves a record."""
    root = tmp_path / "fresh 新"
    subprocess.run([OPSNB, "init", root], check=True, capture_output=True)
    argv = [OPSNB, "exec", "localhost", "--", "uname", "-s"]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "localhost │ Linux\n"), done.stderr
    assert "1 ok; record outputs/" in done.stderr


def test_json_is_what_scripts_read(up: Place) -> None:
    """`--json` prints one document: host, status, exit, stdout, stderr, seconds; run and record; and exits 1 on a failure."""
    done = up.opsnb("exec", "localhost", "--json", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert set(found) == {"hosts", "run", "record"}
    (row,) = found["hosts"]
    assert set(row) == {"host", "status", "exit", "stdout", "stderr", "seconds"}
    assert (row["host"], row["status"], row["exit"], row["stdout"], row["stderr"]) == (
        "localhost", "failed", 3, "out\n", "err\n",
    )  # fmt: skip
    assert (up.root / found["record"]).is_file()


def test_long_output_is_whole(up: Place) -> None:
    """Evidence is bounded and says so; the record's file and `--json` have every byte."""
    found = json.loads(up.opsnb("exec", "localhost", "--json", "--", "seq", "1", "30000").stdout)
    wanted = "".join(f"{n}\n" for n in range(1, 30001))
    assert found["hosts"][0]["stdout"] == wanted
    result = up.client.get(f"/api/runs/{found['run']}")["result"]
    kept = result["evidence"]["hosts"][0]["stdout"]
    assert len(kept) < 20_000
    assert kept.endswith(f"[opsnb: 16384 of {len(wanted)} characters; all {len(wanted)} bytes: files/localhost.stdout]")
    assert (up.record(result) / "files/localhost.stdout").read_text() == wanted


@pytest.mark.parametrize(
    "word",
    [
        "; touch pwned",
        "$(touch pwned)",
        "`touch pwned`",
        "a'b\"c",
        "--help",
        "-n",
        "中文 名",
        "a\nb",
        "*",
        "~",
        "%s",
        "\\",
        "|",
    ],
)
def test_words_arrive_as_they_are(up: Place, word: str) -> None:
    """No shell reads a word, whatever stands in it."""
    found = json.loads(up.opsnb("exec", "localhost", "--json", "--", "printf", "<%s>", word).stdout)
    assert found["hosts"][0]["stdout"] == f"<{word}>"


def test_what_a_host_says_is_shown_and_not_obeyed(up: Place) -> None:
    """Lines stand behind their host; escape sequences are made visible; standard error is told apart."""
    done = up.opsnb("exec", "localhost", "--", "sh", "-c", r"printf 'a\033[2Jb\nno end'; echo oops >&2")
    assert set(done.stdout.splitlines()) == {r"localhost │ a\x1b[2Jb", "localhost │ no end", "localhost ┃ oops"}


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["localhost", "--", "ls | wc -l"], "-- sh -c"),
        (["localhost", "--", "uname -a"], "-- uname ARG"),
        (["localhost"], "COMMAND"),
        (["nowhere", "--", "true"], "nowhere"),
        (["localhost", "--seconds", "0", "--", "true"], "seconds"),
    ],
)
def test_a_mistake_is_said_and_nothing_runs(up: Place, argv: list[str], says: str) -> None:
    """Exit code 2, a message that helps, and no traceback."""
    done = up.opsnb("exec", *argv)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_program_that_is_not_there(up: Place) -> None:
    """The host's line says why, and the exit code is 1."""
    done = up.opsnb("exec", "localhost", "--", "no-such-program")
    assert (done.returncode, done.stdout.count("No such file")) == (1, 1)


def test_time_that_is_over_is_unknown(up: Place) -> None:
    """A command that takes too long was started, and nobody saw its end."""
    found = json.loads(up.opsnb("exec", "localhost", "--seconds", "0.3", "--json", "--", "sleep", "30").stdout)
    assert (found["hosts"][0]["status"], found["hosts"][0]["exit"]) == ("unknown", None)


def test_built_in_runbooks_are_found_and_ones_own_come_first(place: Place) -> None:
    """An id that no file of the workspace carries is the built-in one's; a file with that id takes its place."""
    found = Catalog.load(place.root).find("hst-004")
    assert (found.id, found.path) == ("HST-004", "built-in/HST-004-command.ipynb")
    assert Catalog.load(place.root).find(found.path).digest == found.digest
    assert Catalog.load(place.root).runbooks == ()
    front = "id: HST-004\ntitle: Mine\npromise: p\nrisk: read\nowner: o"
    place.add("HST-004-mine", "1", front=front)
    assert Catalog.load(place.root).find("HST-004").title == "Mine"
    assert {p.split("/")[1] for p in builtin.files()} == {p.name for p in (ROOT / "runbooks").glob("*/*.ipynb")}
    assert Catalog.load(ROOT).find("HST-004").path == "runbooks/hosts/HST-004-command.ipynb"
