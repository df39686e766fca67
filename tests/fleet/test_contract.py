"""What every transport promises, shown on this machine, on a real sshd and in a real container."""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.fleet import Command, Hidden, Machine, MissingFileError, Status
from places import wait_for

HOSTILE = [
    "; touch PWNED", "$(touch PWNED)", "`touch PWNED`", "a b", "", "'", '"', "\\", "\\n", "a\nb", "\n", "-n", "--help", "!!", "*",
    "~", "$HOME", "中文 文件", "\x81\x82\x87\x88", "\x01\x7f", "\t", "\r\n", "%s%n", "{a,b}", "|| true", "&", "#x", "\udcff\udc81",
]  # fmt: skip


def test_ends_are_told_apart(machine: Machine) -> None:
    """Exit 0 is ok, another code and a signal are failed with code and 128 + number, a missing program is 127."""
    assert machine.run("true").status is Status.OK
    assert (machine.run("sh", "-c", "exit 3").status, machine.run("sh", "-c", "exit 3").exit) == (Status.FAILED, 3)
    assert machine.run("sh", "-c", "kill -TERM $$").exit == 143
    missing = machine.run("no-such-program")
    assert (missing.status, missing.exit) == (Status.FAILED, 127)
    assert "no-such-program" in missing.errors


def test_streams_stay_apart(machine: Machine) -> None:
    """Stdout and stderr arrive whole and apart, and nothing else is in them."""
    result = machine.run("sh", "-c", "printf 1; printf 2 >&2; printf 3; printf 4 >&2")
    assert (result.stdout, result.stderr) == (b"13", b"24")


def test_words_arrive_as_they_are(machine: Machine) -> None:
    """Quotes, newlines, shell signs, leading dashes, 中文 and broken bytes are data in every word."""
    result = machine.run("printf", "%s\\0", *HOSTILE)
    assert result.stdout.split(b"\0")[:-1] == [w.encode("utf-8", "surrogateescape") for w in HOSTILE]


@pytest.mark.slow
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.binary(max_size=60).filter(lambda b: b"\0" not in b), max_size=5))
def test_any_bytes_arrive(machine: Machine, words: list[bytes]) -> None:
    """Any bytes but NUL make a word."""
    texts = [w.decode("utf-8", "surrogateescape") for w in words]
    result = machine.run("printf", "%s\\0", *texts, "end")
    assert result.stdout.split(b"\0")[:-1] == [*words, b"end"]


def test_the_environment_is_ours(machine: Machine) -> None:
    """LC_ALL, PATH and the given variables are set, with any value; what starts the program leaves none behind."""
    given_values = {"A": "x y'\n$(id)", "EMPTY": "", "ZH": "中文"}
    raw = machine.run("env", environment=given_values).stdout
    assert b"LC_ALL=C\n" in raw
    assert b"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" in raw
    assert b"A=x y'\n$(id)\n" in raw
    assert b"EMPTY=\n" in raw
    assert "ZH=中文\n".encode() in raw
    assert b"opsnb_" not in raw


def test_stdin_arrives_whole(machine: Machine) -> None:
    """Three megabytes of any bytes go in and come out; a program that reads nothing is no trouble."""
    data = secrets.token_bytes(3_000_000)
    assert machine.run("cat", stdin=data).stdout == data
    assert machine.run("true", stdin=data).ok


def test_output_is_bounded(machine: Machine) -> None:
    """Of each stream as much as asked for is kept, and the result says that more was cut."""
    result = machine.run("head", "-c", "500000", "/dev/zero", most=1000)
    assert (result.status, len(result.stdout)) == (Status.OK, 1000)
    assert result.error == "499000 bytes of output were cut"


def test_output_streams(machine: Machine) -> None:
    """Pieces are handed over while the program runs, in the thread that asked."""
    seen: list[tuple[str, bytes]] = []
    threads = set()

    def take(stream: str, piece: bytes) -> None:
        seen.append((stream, piece))
        threads.add(threading.current_thread())
        times.append(time.monotonic())

    times: list[float] = []
    result = machine.run("sh", "-c", "echo one; sleep 0.5; echo two >&2", on_output=take)
    assert result.ok
    assert [s for s, _ in seen] == ["stdout", "stderr"]
    assert times[-1] - times[0] > 0.3
    assert threads == {threading.current_thread()}


def test_a_characters_halves_meet(machine: Machine) -> None:
    """A character whose bytes come in two pieces is one character in the text, and GBK text is read as such."""
    result = machine.run("sh", "-c", r"printf '\344\270'; sleep 0.2; printf '\255\n'")
    assert result.text == "中\n"
    assert machine.run("printf", r"\326\320\316\304\n").text == "中文\n"


def test_time_is_over(machine: Machine) -> None:
    """A program that takes too long is ended with its children; the answer is unknown and comes in time."""
    mark = f"1{secrets.randbelow(10**8):08d}"
    assert machine.run("true").ok  # the login takes what it takes
    began = time.monotonic()
    result = machine.run("sh", "-c", f"echo begun; sleep {mark} & sleep {mark}", seconds=1.5)
    assert time.monotonic() - began < 6
    assert (result.status, result.exit, result.stdout) == (Status.UNKNOWN, None, b"begun\n")
    assert "longer than 1.5 s" in result.error
    look = 'for p in /proc/[0-9]*; do cat "$p/cmdline" 2>/dev/null; echo; done'
    # What was killed has its name until it had a turn to end.
    wait_for(lambda: f"sleep\0{mark}".encode() not in machine.run("sh", "-c", look).stdout, 20)


@pytest.mark.slow
def test_a_child_that_stays_is_not_waited_for(machine: Machine) -> None:
    """A program that leaves a child with its output open has ended when it ended."""
    began = time.monotonic()
    result = machine.run("sh", "-c", "sleep 30 & echo $!")
    assert (result.status, time.monotonic() - began < 10) == (Status.OK, True)
    machine.run("kill", result.text.strip())


def test_what_is_no_command_is_refused(machine: Machine) -> None:
    """No program, an option for a program, a NUL, a name that is no variable's: refused before anything is sent."""
    for argv in ((), ("",), ("-x",), ("echo", "a\0b")):
        with pytest.raises(UsageError):
            machine.run(*argv)
    with pytest.raises(UsageError):
        machine.run("true", environment={"A B": "x"})


def test_a_hidden_word_is_not_shown() -> None:
    """A command prints a hidden word as stars and quotes the rest."""
    assert str(Command(argv=("mysql", Hidden("-psecret"), "a b"))) == "mysql *** 'a b'"


@pytest.fixture
def folder(machine: Machine):
    """A folder on the machine, with a name that needs care."""
    path = f"/tmp/opsnb test-{secrets.token_hex(4)} '中\n文"
    machine.run("mkdir", path).require()
    yield path
    machine.run("rm", "-rf", path).require()


@pytest.mark.parametrize("name", ["plain", "-rf", "a b", "'q\"", "new\nline", "中文", "$(id)", "*"])
def test_files_with_any_name(machine: Machine, folder: str, name: str) -> None:
    """A file of any name is written, read, seen and removed, and its neighbours stay."""
    path, data = f"{folder}/{name}", b"\0\xff\n" + name.encode()
    machine.write(f"{folder}/neighbour", b"n")
    machine.write(path, data)
    assert machine.read(path) == data
    found = machine.stat(path)
    assert found
    assert (found.kind, found.size, found.mode) == ("file", len(data), 0o644)
    machine.remove(path)
    assert not machine.exists(path)
    assert machine.stat(path) is None
    assert machine.read(f"{folder}/neighbour") == b"n"
    assert machine.run("ls", "-A", folder).text == "neighbour\n"
    with pytest.raises(MissingFileError):
        machine.read(path)
    machine.remove(path)


def test_a_file_keeps_its_mode_and_owner(machine: Machine, folder: str) -> None:
    """Writing keeps mode and owner unless it is told others, and goes through a link to what it leads to."""
    path = f"{folder}/f"
    if machine.run("id", "-u").text != "0\n":
        with pytest.raises(OpsnbError, match="not permitted"):
            machine.write(path, b"1", owner="1234:2345")
        assert not machine.exists(path)
        return
    machine.write(path, b"1", mode=0o600, owner="1234:2345")
    machine.write(path, b"2")
    found = machine.stat(path)
    assert found
    assert (found.mode, found.uid, found.gid) == (0o600, 1234, 2345)
    machine.run("ln", "-s", "f", f"{folder}/link").require()
    machine.write(f"{folder}/link", b"3")
    link = machine.stat(f"{folder}/link")
    assert link
    assert (link.kind, link.target, machine.read(path)) == ("link", "f", b"3")
    with pytest.raises(UsageError, match="not an owner"):
        machine.write(path, b"4", owner="--reference=/etc/shadow")


def test_large_files_go_both_ways(machine: Machine, folder: str, tmp_path: Path) -> None:
    """A file of several pieces is sent and fetched with equal digests, with progress, and no part is left behind."""
    data = secrets.token_bytes(9_000_001)
    (tmp_path / "up").write_bytes(data)
    seen: list[tuple[int, int]] = []
    sent = machine.send(tmp_path / "up", f"{folder}/big", mode=0o640, progress=lambda *p: seen.append(p))
    assert seen == [(4194304, 9_000_001), (8388608, 9_000_001), (9_000_001, 9_000_001)]
    assert machine.fetch(f"{folder}/big", tmp_path / "down") == sent
    assert (tmp_path / "down").read_bytes() == data
    assert machine.run("ls", "-A", folder).text == "big\n"
    assert [p.name for p in tmp_path.iterdir()] == ["up", "down"] or len(list(tmp_path.iterdir())) == 2


def test_what_cannot_be_read_or_written_says_why(machine: Machine, folder: str) -> None:
    """A folder is no file, a missing folder takes none, a relative path is refused, a size is kept to."""
    with pytest.raises(OpsnbError, match="cannot be read"):
        machine.read(folder)
    with pytest.raises(OpsnbError, match="it is a directory"):
        machine.write(folder, b"x")
    with pytest.raises(OpsnbError, match="its directory is not there"):
        machine.write(f"{folder}/no/f", b"x")
    with pytest.raises(UsageError, match="absolute"):
        machine.write("f", b"x")
    machine.write(f"{folder}/f", b"x" * 100)
    with pytest.raises(OpsnbError, match="more than 99 bytes"):
        machine.read(f"{folder}/f", most=99)
    assert machine.read(f"{folder}/f", most=100) == b"x" * 100


def test_empty_files_exist(machine: Machine, folder: str, tmp_path: Path) -> None:
    """A file of no bytes is a file."""
    machine.write(f"{folder}/empty", b"")
    assert machine.read(f"{folder}/empty") == b""
    machine.fetch(f"{folder}/empty", tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""
