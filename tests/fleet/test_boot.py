"""How a program is started behind a shell: words survive every shell, marks survive every chunking."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opsnb.fleet.boot import KEPT_NOISE, Unveil, boot
from opsnb.fleet.values import Command

LOGIN = [
    ["/bin/dash", "-c"],
    ["/bin/bash", "-c"],
    ["/usr/bin/zsh", "-c"],
    ["/usr/bin/fish", "-c"],
    ["/usr/bin/tcsh", "-c"],
]
SHELLS = [["/bin/dash"], ["/bin/bash", "--posix"], ["/bin/busybox", "sh"]]  # what /bin/sh may be
BYTES = st.binary(max_size=80).map(lambda b: b.replace(b"\0", b""))


def there(argv: list[str]) -> list[str]:
    """Return argv when its program is installed."""
    if not Path(argv[0]).exists():
        pytest.skip(f"no {argv[0]}")
    return argv


@pytest.mark.parametrize("login", LOGIN, ids=lambda argv: Path(argv[0]).name)
def test_the_line_is_one_that_every_login_shell_takes(login: list[str]) -> None:
    """The line holds no value, one shell's signs are no other's, and every byte but NUL arrives in a word."""
    every = bytes(range(1, 256)).decode("utf-8", "surrogateescape")
    start = boot(Command(argv=("printf", "%s", every), environment={"A": every}), sudo=False)
    assert not set(start.line) & set("!\\\n`")
    assert all("'" not in word for word in start.argv)
    done = subprocess.run([*there(login), start.line], input=start.head, capture_output=True, check=True)
    out = Unveil(start.nonce)
    assert out.feed(done.stdout) == bytes(range(1, 256))


@pytest.mark.parametrize("shell", SHELLS, ids=lambda argv: Path(argv[0]).name)
@given(words=st.lists(BYTES, max_size=4), value=BYTES)
@example(words=[b"\x81\x82\x83\x84\x85\x86\x87\x88"], value=b"\x88\x81")  # bytes that dash uses for itself
@example(words=[b"\n\n", b"x\n"], value=b"\n")
def test_words_and_variables_survive(shell: list[str], words: list[bytes], value: bytes) -> None:
    """Whichever shell /bin/sh is, words and variables arrive byte for byte, and stdin after them."""
    texts = [word.decode("utf-8", "surrogateescape") for word in words]
    argv = ("/bin/sh", "-c", 'printf "%s\\0" "$V" "$@"; cat', "x", *texts)
    start = boot(Command(argv=argv, environment={"V": value.decode("utf-8", "surrogateescape")}), sudo=False)
    argv_of_shell = [*there(shell), *start.argv[1:]]
    done = subprocess.run(argv_of_shell, input=start.head + b"rest", capture_output=True, check=True)
    assert Unveil(start.nonce).feed(done.stdout).split(b"\0") == [value, *words, b"rest"]


def test_lines_before_ours_are_passed_over() -> None:
    """A line that nobody read, such as a password that sudo did not ask for, does not reach the program."""
    start = boot(Command(argv=("cat",)), sudo=False)
    done = subprocess.run(list(start.argv), input=b"password\n" + start.head + b"data", capture_output=True, check=True)
    assert Unveil(start.nonce).feed(done.stdout) == b"data"


def test_an_input_that_ends_too_early_starts_nothing() -> None:
    """Without our line the shell ends, and no mark is seen."""
    start = boot(Command(argv=("echo", "started")), sudo=False)
    done = subprocess.run(list(start.argv), input=start.head[:-20], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (126, b"")


@given(noise=st.binary(max_size=300), output=st.binary(max_size=300), cuts=st.lists(st.integers(0, 700), max_size=8))
def test_marks_are_found_in_any_pieces(noise: bytes, output: bytes, cuts: list[int]) -> None:
    """However the bytes are cut, what follows the mark is the output, and what came before is kept as noise."""
    whole = noise + b"opsnb0123456789 4711\n" + output
    ends = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    stream = Unveil("opsnb0123456789")
    got = b"".join(stream.feed(whole[a:b]) for a, b in itertools.pairwise(ends))
    assert got == output
    assert (stream.started, stream.rest_of_mark, stream.noise) == (True, "4711", noise)


def test_noise_without_an_end_is_bounded() -> None:
    """Megabytes of noise before the mark take a few kilobytes, and the mark is found behind them."""
    stream = Unveil("opsnb0123456789")
    for _ in range(1000):
        stream.feed(b"x" * 5000)
    assert len(stream.noise) <= KEPT_NOISE
    assert stream.feed(b"opsnb0123456789\nout") == b"out"
