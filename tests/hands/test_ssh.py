"""`opsnb ssh` as a person meets it, on a real pseudo-terminal, with a shell on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import statistics
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsnb.base.errors import OpsnbError
from persons import Person
from places import Place, files_below

pytestmark = pytest.mark.slow
ECHO_SECONDS = 0.06  # from a key to its echo, half of the time
ECHO_LATE = 0.25  # and nearly always, on a machine that does other things too
CTRL_C_SECONDS = 2.0  # from Ctrl-C in a flood to the prompt


@pytest.fixture
def person(up: Place) -> Iterator[Person]:
    """Somebody in a session on this machine, at a prompt."""
    made = Person("ssh", "localhost", "--reason", "a look", cwd=up.root)
    made.shell()
    yield made
    made.close()


def latest(up: Place) -> dict[str, Any]:
    """Return the result of the latest session."""
    run = up.client.get("/api/runs", limit=1, runbook="HST-005")["runs"][0]["run"]
    return up.end(run)


def files(up: Place, result: dict[str, Any]) -> tuple[str, str]:
    """Return the transcript and the asciicast of a session."""
    folder = up.record(result) / "files"
    return (folder / "transcript.txt").read_text("utf-8"), (folder / "session.cast").read_text("utf-8")


def everything(folder: Path) -> bytes:
    """Return every byte of a record."""
    return b"".join(data for _, data in files_below(folder))


def test_a_session_is_a_run_with_a_record(up: Place, person: Person) -> None:
    """A shell on the host, its exit code, an asciicast and a transcript that say what was shown; the reason too."""
    assert "\r\n40\r\n" in person.run(b"echo $((5*8))")
    assert "中文" in person.run("printf '%s\\n' 中文".encode())
    assert "xterm-256color" in person.run(b"echo $TERM")
    person.type(b"exit 3\r")
    shown, code = person.end()
    assert code == 0, shown
    assert "the shell ended, exit code 3" in shown
    assert termios.tcgetattr(person.fd) == person.before
    result = latest(up)
    assert (result["verdict"], result["evidence"]["exit"], result["evidence"]["ended"]) == (
        "DONE",
        3,
        "the shell ended",
    )
    text, cast = files(up, result)
    assert "P> echo $((5*8))\n40\n" in text
    assert "\n中文\n" in text
    assert "\x1b" not in text
    header, *events = [json.loads(line) for line in cast.splitlines()]
    assert (header["version"], header["width"], header["height"]) == (2, 100, 30)
    assert sum(len(e[2].encode()) for e in events if e[1] == "o") == result["evidence"]["bytes_shown"]
    assert b"a look" in (up.record(result) / "run.html").read_bytes()
    assert up.verify().returncode == 0


def test_what_is_typed_without_echo_is_nowhere(up: Place, person: Person) -> None:
    """A password that a program reads without echo reaches the program, and no file of the record or of the state."""
    person.type(b"stty -echo; read -r -p 'password: ' X; stty echo; echo; echo \"${#X} characters\"\r")
    person.wait(rb"\npassword: ")
    person.type(b"Tr0ub4dor&3x\r")
    assert "12 characters" in person.wait(rb"P> \Z").decode()
    person.type(b"exit\r")
    person.end()
    result = latest(up)
    assert "12 characters" in files(up, result)[0]
    assert b"Tr0ub4dor" not in everything(up.record(result))
    assert b"Tr0ub4dor" not in everything(up.root / ".opsnb")


def test_keys_reach_the_program_and_not_us(person: Person) -> None:
    """Ctrl-C interrupts the remote program, Ctrl-D ends its input, and the session goes on."""
    person.type(b"sh -c 'echo be\"\"gun; exec sleep 100'; echo interrupted\r")
    person.wait(rb"\nbegun\r\n")  # the program's own word: before it, the shell itself would be interrupted
    person.type(b"\x03")
    person.wait(rb"\^C\r\nP> \Z")
    person.type(b'echo be""gun; cat; echo ended\r')
    person.wait(rb"\nbegun\r\n")  # until then the shell has the terminal, and turns no CR into a line's end
    person.type(b"typed\r\x04")
    assert "typed\r\ntyped\r\nended" in person.wait(rb"P> \Z").decode()


def test_the_window_can_change_its_size(up: Place, person: Person) -> None:
    """A program on the host sees the size of the person's window, at once and after a change."""
    assert "30 100" in person.run(b"stty size")
    person.type(b"trap 'stty size' WINCH; P=ready\r")
    person.wait(rb"P> \Z")
    person.resize(71, 19)
    os.kill(person.pid, signal.SIGWINCH)
    end = time.monotonic() + 30
    while "19 71" not in person.run(b"stty size"):
        assert time.monotonic() < end
    person.type(b"exit\r")
    person.end()
    assert '"r", "71x19"' in files(up, latest(up))[1]


def test_a_full_screen_program(up: Place, person: Person) -> None:
    """`less` draws, searches and leaves; the asciicast replays it, the transcript names it."""
    person.type(b"printf '%s\\n' alpha beta gamma > big; less big\r")
    person.wait(rb"\x1b\[\?1049h[\s\S]*gamma")
    person.type(b"q")
    person.wait(rb"\x1b\[\?1049l[\s\S]*P> \Z")
    person.type(b"exit\r")
    person.end()
    text, cast = files(up, latest(up))
    assert "[opsnb: a full-screen program; session.cast shows it]" in text
    assert "gamma" in cast


def test_a_flood_does_not_delay_ctrl_c(up: Place, person: Person) -> None:
    """In the middle of 20 MB of output Ctrl-C brings the prompt back; the record stays small, and says what it left out."""
    person.type(b"yes | head -c 2000000000\r")
    person.wait(rb"(y\r\n){20000}")
    person.type(b"\x03")
    started = time.monotonic()
    person.wait(rb"P> \Z")
    assert time.monotonic() - started < CTRL_C_SECONDS
    person.run(b"yes | head -c 20000000; echo over", 60)
    person.type(b"exit\r")
    person.end()
    result = latest(up)
    text, cast = files(up, result)
    assert result["evidence"]["bytes_shown"] > 20_000_000
    assert result["evidence"]["bytes_left_out"] > 10_000_000
    assert len(cast) < 20_000_000
    assert "P> exit" in text
    assert "over\nP>" in text


def test_echo_is_prompt(person: Person) -> None:
    """A key's echo is back within 60 ms, half of the time, on a machine that runs tests."""
    times = []
    for number in range(80):
        key = b"abcdefgh"[number % 8 : number % 8 + 1]
        started = time.perf_counter()
        person.type(key)
        person.wait(key)
        times.append(time.perf_counter() - started)
    assert statistics.median(times) < ECHO_SECONDS
    assert sorted(times)[int(len(times) * 0.95)] < ECHO_LATE


def test_escapes_are_those_of_openssh(up: Place, person: Person) -> None:
    """`~?` helps, `~~` types a tilde, `~.` closes the session in an orderly way; inside a line a tilde is a tilde."""
    assert "\r\na~.b\r\n" in person.run(b"echo a~.b")
    person.type(b"~?")
    person.wait(rb"close the session")
    person.type(b"\r")
    person.wait(rb"P> \Z")
    person.type(b"~~.\r")
    assert "~." in person.wait(rb"P> \Z").decode()
    person.type(b"~.")
    shown, code = person.end()
    assert (code, "closed by the person" in shown) == (0, True)
    assert latest(up)["verdict"] == "DONE"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_a_person_who_goes_ends_the_session(up: Place, how: signal.Signals) -> None:
    """When the program dies the shell is hung up, what was recorded is kept, and the run says that it was cut."""
    person = Person("ssh", "localhost", cwd=up.root)
    person.shell()
    pid = person.run(b"echo pid=$$").split("pid=")[-1].split()[0]
    os.kill(person.pid, how)
    _, code = person.end()
    assert code == (-how if how is signal.SIGKILL else 128 + how)
    if how is not signal.SIGKILL:
        assert termios.tcgetattr(person.fd) == person.before
    person.close()
    result = latest(up)
    assert (result["verdict"], result["evidence"]["ended"]) == ("FAILED", "the terminal went away")
    assert f"pid={pid}" in files(up, result)[0]
    assert not Path(f"/proc/{pid}").exists()


def test_a_run_that_is_stopped_keeps_what_was_recorded(up: Place, person: Person) -> None:
    """`opsnb runs stop` ends the session at once; the person gets the terminal back, and the record has the recording."""
    person.run(b"echo before the end")
    run = up.client.get("/api/runs", limit=1, runbook="HST-005")["runs"][0]["run"]
    up.client.post(f"/api/runs/{run}/stop")
    shown, code = person.end()
    assert (code, "ABORTED" in shown) == (5, True)
    assert termios.tcgetattr(person.fd) == person.before
    assert "before the end" in files(up, latest(up))[0]


def test_a_paste_is_whole(person: Person) -> None:
    """More than a terminal or a queue holds is typed at once: every byte arrives, in order."""
    lines = b"".join(b"%07d %s\r" % (n, b"x" * 60) for n in range(3000))
    person.type(b'stty -echo; echo be""gun; head -n 3000 | md5sum\r')
    person.wait(rb"\nbegun\r\n")  # until then the shell has the terminal, and turns no CR into a line's end
    person.type(lines)
    wanted = hashlib.md5(lines.replace(b"\r", b"\n"), usedforsecurity=False).hexdigest()
    person.wait(wanted.encode(), 60)


def test_a_control_plane_that_is_killed_leaves_terminal_and_recording(place: Place) -> None:
    """The person gets the terminal back and exit code 7; the next control plane records what there was."""
    server = place.up()
    person = Person("ssh", "localhost", cwd=place.root)
    person.shell()
    person.run(b"echo before the end")
    server.kill()
    shown, code = person.end()
    assert code == 7, shown
    assert termios.tcgetattr(person.fd) == person.before
    person.close()
    server.wait()
    place.up()
    result = latest(place)
    assert result["verdict"] == "ABORTED"
    assert "before the end" in files(place, result)[1]  # the asciicast is written at once, the transcript by screens


def test_only_who_asked_types_and_only_once(up: Place, person: Person) -> None:
    """A second terminal on the same session is refused, and so is input that is too much or none."""
    run = up.client.get("/api/runs", limit=1, runbook="HST-005")["runs"][0]["run"]
    with pytest.raises(OpsnbError, match="attached"), up.client.stream(f"/api/runs/{run}/terminal"):
        pass
    with pytest.raises(OpsnbError, match="base64"):
        up.client.post(f"/api/runs/{run}/input", {"data": "?"})
    with pytest.raises(OpsnbError, match="columns"):
        up.client.post(f"/api/runs/{run}/input", {"size": [0, 5]})
    assert "\r\nalive\r\n" in person.run(b"echo alive")


def test_sessions_leave_room_for_runs(up: Place) -> None:
    """More sessions than workers are open, and a command still runs."""
    people = [Person("ssh", "localhost", cwd=up.root) for _ in range(4)]
    try:
        for person in people:
            person.shell()
        assert up.opsnb("exec", "localhost", "--", "true").returncode == 0
    finally:
        for person in people:
            person.close()


def test_without_a_terminal_it_says_what_to_use(up: Place) -> None:
    """In a script `opsnb ssh` is refused at once, and names `opsnb exec`."""
    done = up.opsnb("ssh", "localhost")
    assert (done.returncode, "opsnb exec localhost" in done.stderr) == (2, True)


def test_an_unknown_host_is_an_error_before_anything_starts(up: Place) -> None:
    """A host that is not in the inventory: exit code 2, a message, the terminal as it was."""
    person = Person("ssh", "nowhere", cwd=up.root)
    shown, code = person.end()
    assert (code, "nowhere" in shown) == (2, True)
    person.close()
