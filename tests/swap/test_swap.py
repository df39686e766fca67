"""Files of a host replaced together: all of them or none, and what fails leaves what was, byte for byte."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearby import nearby
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import swap
from opsnb.kits.swap.script import REPLACE
from places import wait_for

HOST = "near1"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners and small file systems need root")
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)


@pytest.fixture(autouse=True)
def hosts() -> Iterator[list[str]]:
    """Hosts that are this machine."""
    with nearby() as names:
        yield names


def state(content: str, mode: str = "0644") -> dict[str, str]:
    """Return a file's state."""
    return {"content": content, "mode": mode}


class Folder:
    """A directory with one file that is there, one that is not, and one that is to go."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.there, self.fresh, self.going = (str(root / name) for name in ("a b", "-fresh", "g$(id)"))
        (root / "a b").write_text("old ü\r\nno end")
        (root / "a b").chmod(0o640)
        (root / "g$(id)").write_text("going")
        self.before = swap.read(HOST, [self.there, self.fresh, self.going])
        self.after = {self.there: state("new 新\n" * 50, "0600"), self.fresh: state("", "0755"), self.going: None}
        self.seen = self.snapshot()

    def snapshot(self) -> dict[str, Any]:
        """Everything in it: bytes, mode, owner, time of change."""
        found = {}
        for path in sorted(self.root.iterdir()):
            info = path.lstat()
            found[path.name] = (path.read_bytes(), info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns)
        return found

    def replace(self, **programs: Any) -> str:
        """Replace all three."""
        return swap.replace(HOST, self.before, self.after, **programs)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A directory of three names."""
    (tmp_path / "files").mkdir()
    return Folder(tmp_path / "files")


def test_files_are_replaced_together_and_come_back(folder: Folder) -> None:
    """One is written, one made, one removed; what the programs printed is told; the way back restores every byte."""
    said = folder.replace(check=["test", "-f", "%s"], validate=["echo", "valid"], activate=["echo", "taken"])
    assert said == "valid\ntaken\n"
    assert swap.read(HOST, list(folder.after)) == folder.after
    assert sorted(p.name for p in folder.root.iterdir()) == ["-fresh", "a b"]
    swap.replace(HOST, folder.after, folder.before)
    assert {n: s[:4] for n, s in folder.snapshot().items()} == {n: s[:4] for n, s in folder.seen.items()}


FAILING: dict[str, tuple[dict[str, Any], str]] = {
    "check": ({"check": ["grep", "-q", "nowhere", "%s"]}, "nothing was changed:\ngrep ended with 1"),
    "no such program": ({"validate": ["opsnb-is-not-there"]}, "put back:\nopsnb-is-not-there ended with 127"),
    "validate": ({"validate": ["ls", "/nowhere"]}, r"put back:\nls ended with 2: .*nowhere"),
    "prove": ({"activate": ["true"], "prove": ["false"]}, "put back:\nfalse ended with 1"),
    "activate": ({"activate": ["false"]}, "TAKE THE OLD FILES FAILED TOO"),
    "too slow": ({"validate": ["sleep", "9"], "seconds": 1}, "longer than 1 seconds"),
}


@pytest.mark.parametrize("what", FAILING)
def test_what_fails_leaves_every_file_as_it_was(folder: Folder, what: str) -> None:
    """Bytes, mode, owner and times of all files are those of before, nothing else is left, and the reason is told."""
    programs, words = FAILING[what]
    with pytest.raises(OpsnbError, match=words):
        folder.replace(**programs)
    assert folder.snapshot() == folder.seen


def test_the_service_takes_the_old_files_when_the_proof_fails(folder: Folder, tmp_path: Path) -> None:
    """What activates runs twice: it saw the new files first and the old ones last."""
    taken = tmp_path / "taken"
    take = ["sh", "-c", 'cat "$1" >>"$2"; echo >>"$2"', "take", folder.there, str(taken)]
    with pytest.raises(OpsnbError, match="put back"):
        folder.replace(activate=take, prove=["false"])
    assert taken.read_bytes() == ("new 新\n" * 50 + "\n" + "old ü\r\nno end\n").encode()


def test_every_file_is_compared_before_the_first_is_replaced(folder: Folder) -> None:
    """When one differs from the plan, in content, mode or being there, none is touched."""
    meddling = (
        lambda: Path(folder.going).write_text("other"), lambda: Path(folder.there).chmod(0o600),
        lambda: Path(folder.fresh).write_text("somebody was faster"), lambda: Path(folder.there).unlink(),
    )  # fmt: skip
    for meddle in meddling:
        shutil.rmtree(folder.root)
        folder.root.mkdir()
        fresh = Folder(folder.root)
        meddle()
        seen = fresh.snapshot()
        with pytest.raises(OpsnbError, match="no longer as planned; nothing was changed"):
            fresh.replace()
        assert fresh.snapshot() == seen


def test_words_arrive_as_they_are(folder: Folder) -> None:
    """A program's words are data: spaces, quotes, globs, substitutions, percent signs, an empty one."""
    words = ["a  b", "'", '"', "$(touch pwned)", "*", "", "%s", "100%s%", "\\n", "`id`", "--", "-n"]
    said = folder.replace(validate=["printf", "[%s]", *words])
    assert said == "".join(f"[{word}]" for word in words)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(contents=st.lists(st.none() | text, min_size=1, max_size=5), news=st.lists(st.none() | text, max_size=5))
def test_any_texts_there_and_back(tmp_path_factory: Any, contents: list[Any], news: list[Any]) -> None:
    """Whatever the files held and get, reading gives what was written, and the way back gives what was."""
    root = tmp_path_factory.mktemp("any")
    paths = [str(root / f"f{number}") for number in range(len(contents))]
    old = {p: None if c is None else state(c) for p, c in zip(paths, contents, strict=True)}
    new = {p: None if c is None else state(c, "0600") for p, c in zip(paths, [*news, *contents], strict=False)}
    nothing = dict.fromkeys(paths)
    for was, then in ((nothing, old), (old, new), (new, old), (old, nothing)):
        swap.replace(HOST, was, then)
        assert swap.read(HOST, paths) == then
    assert list(root.iterdir()) == []


def test_a_lost_line_does_not_end_it_in_the_middle(folder: Folder, tmp_path: Path) -> None:
    """When whoever reads its output goes and it is told to hang up while the service is reloaded, it goes on."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    wait = 'touch "$1"; while [ ! -e "$2" ]; do sleep 0.05; done'
    activate = ["sh", "-c", wait, "wait", str(begun), str(go)]
    started = subprocess.Popen(
        [sys.executable, "-c", LOST, *map(str, (folder.root, *activate))], stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, "SCRIPT": REPLACE},
    )  # fmt: skip
    assert started.stdout is not None
    assert started.stderr is not None
    wait_for(begun.exists, 20, started)
    started.stdout.close()
    started.stderr.close()
    os.kill(started.pid, signal.SIGHUP)
    go.touch()
    started.wait(timeout=20)
    assert swap.read(HOST, [folder.there]) == {folder.there: state("brought", "0644")}
    assert not [path for path in folder.root.iterdir() if "opsnb" in path.name]


LOST = """
import hashlib, os, sys
root, *activate = sys.argv[1:]
was = hashlib.sha256("old ü\\r\\nno end".encode()).hexdigest()
now = hashlib.sha256(b"brought").hexdigest()
words = [root + "/a b", was, "640", "", now, "0644", "", "7", "0", "0", str(len(activate)), *activate, "0"]
read, write = os.pipe()
os.write(write, b"brought")
os.close(write)
os.dup2(read, 0)
os.execv("/bin/sh", ["/bin/sh", "-c", os.environ["SCRIPT"], "opsnb", "262144", "30", "1", *words])
"""


@as_root
def test_a_full_disk_leaves_the_old_files(tmp_path: Path) -> None:
    """Without space for the new content nothing is replaced and nothing is left."""
    root = tmp_path / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", root], check=True)
    try:
        folder = Folder(root)
        after = {**folder.after, folder.there: state("y" * 200_000)}
        with pytest.raises(OpsnbError, match=r"could not be changed|did not arrive whole"):
            swap.replace(HOST, folder.before, after)
        assert folder.snapshot() == folder.seen
    finally:
        subprocess.run(["umount", root], check=True)


@as_root
def test_owners_stay_or_become_what_the_states_say(folder: Folder) -> None:
    """An owner that is not named stays; a named one is given; and it comes back when the proof fails."""
    shutil.chown(folder.there, "daemon", "mail")
    before = swap.read(HOST, [folder.there], owned=True)
    assert (before[folder.there] or {})["owner"] == "daemon:mail"
    after = {folder.there: {**state("x"), "owner": "bin:games"}}
    with pytest.raises(OpsnbError, match="put back"):
        swap.replace(HOST, before, after, validate=["false"])
    assert swap.read(HOST, [folder.there], owned=True) == before
    swap.replace(HOST, before, after)
    assert swap.read(HOST, [folder.there], owned=True) == after
    swap.replace(HOST, after, {folder.there: state("y")})
    assert (swap.read(HOST, [folder.there], owned=True)[folder.there] or {})["owner"] == "bin:games"
    with pytest.raises(OpsnbError, match="belongs to another user"):
        swap.replace(HOST, {folder.there: state("y")}, {folder.there: None})


def test_what_cannot_be_meant_is_refused(folder: Folder) -> None:
    """Other paths before than after, a relative path, too many files, a program that is text: a sentence each."""
    refused = (
        lambda: swap.replace(HOST, folder.before, {}),
        lambda: swap.read(HOST, ["relative"]),
        lambda: swap.read(HOST, [f"/tmp/{n}" for n in range(101)]),
        lambda: folder.replace(validate="nginx -t"),
    )
    for call in refused:
        with pytest.raises(UsageError):
            call()
    assert folder.snapshot() == folder.seen
