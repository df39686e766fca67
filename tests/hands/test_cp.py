"""`opsnb cp`: files to hosts by a plan that can be undone, files from hosts with their digests."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from persons import Person
from places import Place

pytestmark = pytest.mark.slow
BINARY = bytes(range(256)) * 40 + b"\r\n\0\xff"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A directory on the host, with one file in it."""
    folder = tmp_path / "target 目标"
    folder.mkdir()
    (folder / "conf").write_bytes(b"old\0\n")
    (folder / "conf").chmod(0o640)
    return folder


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """Two files here."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "conf").write_bytes(BINARY)
    (folder / "-new 中.bin").write_bytes(BINARY[::-1])
    return [folder / "conf", folder / "-new 中.bin"]


def names(folder: Path) -> set[str]:
    """Return the names in a folder."""
    return {p.name for p in folder.iterdir()}


def test_up_and_undone(up: Place, target: Path, sources: list[Path]) -> None:
    """Every byte, the mode and the plan's promise hold; undo brings the very file back, also when the source is gone."""
    before = (target / "conf").stat()
    done = up.opsnb("cp", "--yes", "--json", *map(str, sources), f"localhost:{target}")
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"]) == (0, "DONE"), done.stderr
    assert [(target / s.name).read_bytes() for s in sources] == [s.read_bytes() for s in sources]
    assert (target / "conf").stat().st_mode & 0o7777 == 0o640
    assert (target / sources[1].name).stat().st_mode & 0o7777 == 0o644
    kept = names(target) - {s.name for s in sources}
    assert len(kept) == 1
    assert kept.pop() in found["plan"]["changes"][0]["undo"]
    assert "AAEC" not in json.dumps(found["plan"])  # no content in the plan
    for source in sources:
        source.unlink()
    undone = up.opsnb("runs", "undo", found["run"], "--json")
    assert json.loads(undone.stdout)["verdict"] == "DONE"
    assert names(target) == {"conf"}
    after = (target / "conf").stat()
    assert (target / "conf").read_bytes() == b"old\0\n"
    assert (after.st_ino, after.st_mode, after.st_uid) == (before.st_ino, before.st_mode, before.st_uid)


def test_what_is_there_already_is_not_changed(up: Place, target: Path, sources: list[Path]) -> None:
    """Copying twice changes nothing the second time, and asks nothing."""
    words = ("cp", *map(str, sources), f"localhost:{target}")
    assert up.opsnb(*words, "--yes").returncode == 0
    again = up.opsnb(*words)
    assert (again.returncode, "nothing has to change" in again.stderr) == (0, True)


def test_nothing_happens_before_somebody_agrees(up: Place, target: Path, sources: list[Path]) -> None:
    """Without a terminal and without --yes the plan is made and named; at a terminal it is asked, and No is no."""
    words = ("cp", str(sources[0]), f"localhost:{target}")
    done = up.opsnb(*words)
    assert (done.returncode, "--mode apply --request" in done.stderr) == (2, True)
    person = Person(*words, cwd=up.root)
    person.wait(rb"conf: [0-9a-f]{12}\S* 5 bytes 0640 .* [0-9]+ bytes 0640")
    person.wait(rb"Make 1 change\(s\)\? \[y/N\]")
    person.type(b"n\r")
    assert person.end()[1] == 5
    person.close()
    assert (target / "conf").read_bytes() == b"old\0\n"
    person = Person(*words, cwd=up.root)
    person.wait(rb"\[y/N\]")
    person.type(b"y\r")
    assert person.end()[1] == 0
    person.close()
    assert (target / "conf").read_bytes() == BINARY


def test_a_file_that_changed_after_the_plan_is_left_alone(up: Place, target: Path, sources: list[Path]) -> None:
    """Apply compares once more: DRIFTED, exit code 4, the other's file untouched. So does a source that changed."""
    done = up.opsnb("cp", str(sources[0]), f"localhost:{target}")
    request = done.stderr.split("--request ")[1].split(";")[0].split()[0]
    (target / "conf").write_bytes(b"somebody else's\n")
    applied = up.opsnb("run", "HST-006", "--mode", "apply", "--request", request)
    assert (applied.returncode, (target / "conf").read_bytes()) == (4, b"somebody else's\n")
    done = up.opsnb("cp", str(sources[0]), f"localhost:{target}")
    request = done.stderr.split("--request ")[1].split(";")[0].split()[0]
    sources[0].write_bytes(b"another")
    applied = up.opsnb("run", "HST-006", "--mode", "apply", "--request", request)
    assert (applied.returncode, (target / "conf").read_bytes()) == (5, b"somebody else's\n")


@pytest.mark.parametrize("kind", ["link", "folder", "two names"])
def test_what_lies_in_the_way_is_not_replaced(up: Place, target: Path, sources: list[Path], kind: str) -> None:
    """A link, a directory, a file with a second name: refused while planning, with the reason."""
    path = target / "conf"
    if kind == "two names":
        os.link(path, target / "other")
    else:
        path.unlink()
        path.symlink_to("/etc/hostname") if kind == "link" else path.mkdir()
    done = up.opsnb("cp", "--yes", str(sources[0]), f"localhost:{target}")
    assert done.returncode == 1
    assert any(word in done.stdout for word in ("symbolic link", "not a regular file", "names"))


def test_down(up: Place, tmp_path: Path) -> None:
    """Every byte arrives; a file that is there is not replaced without --force; what is missing or closed is said."""
    program, names = Path(sys.executable).resolve(), ("services", "hostname")
    words = [f"localhost:{program}", *(f"localhost:/etc/{name}" for name in names)]
    done = up.opsnb("cp", *words, str(tmp_path), "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"]) == (0, "DONE"), done.stdout
    assert (tmp_path / program.name).read_bytes() == program.read_bytes()
    assert all((tmp_path / name).read_bytes() == (Path("/etc") / name).read_bytes() for name in names)
    (tmp_path / "hostname").write_bytes(b"mine\n")
    again = up.opsnb("cp", words[2], "localhost:/etc/missing", "localhost:/etc/shadow", str(tmp_path))
    assert again.returncode == 1
    assert "is there already" in again.stdout
    assert "/etc/missing is not there" in again.stdout
    assert "/etc/shadow may not be read" in again.stdout
    assert (tmp_path / "hostname").read_bytes() == b"mine\n"
    assert up.opsnb("cp", words[2], str(tmp_path), "--force").returncode == 0
    assert (tmp_path / "hostname").read_bytes() == Path("/etc/hostname").read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a"], "at least one source"),
        (["a", "b"], "SELECTOR:DIR"),
        (["localhost:etc/hostname", "."], "ABSOLUTE"),
        (["a", "localhost:relative"], "ABSOLUTE"),
        (["localhost:/etc/hostname", "here", "."], "either all"),
        (["missing", "localhost:/tmp"], "missing"),
        (["localhost:/etc/hostname", "not-there"], "not a directory"),
        (["localhost:/etc/hostname", "localhost:/tmp"], "either all"),
    ],
)
def test_a_mistake_is_said(up: Place, words: list[str], says: str) -> None:
    """Exit code 2, a message that helps, nothing runs."""
    done = up.opsnb("cp", *words)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert says in done.stderr


def test_two_files_of_one_name_are_refused(up: Place, target: Path, sources: list[Path], tmp_path: Path) -> None:
    """They would lie over each other."""
    (tmp_path / "conf").write_bytes(b"x")
    done = up.opsnb("cp", str(sources[0]), str(tmp_path / "conf"), f"localhost:{target}")
    assert (done.returncode, "two files are called conf" in done.stderr) == (2, True)
