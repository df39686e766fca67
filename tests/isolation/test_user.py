"""Kernels under another user of the system: who they are, what that closes, and what is said when it cannot work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsnb.base.errors import RefusedError, SettingsError
from opsnb.base.settings import Settings
from opsnb.cli.workspace import make
from opsnb.control.flows.isolation import kernel_user, needed
from opsnb.control.runs.account import account, unreadable
from places import OPSNB, Place, text_of, wait_for

USER = "nobody"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes as somebody else")

# In a mount namespace of its own, an interpreter under a closed home lies where everybody may read it: $1 is the first
# closed directory above it, $2 the interpreter's prefix, $3 an empty directory.
OPENED = """set -e
mount --bind "$2" "$3"
mount -t tmpfs -o mode=0755 none "$1"
mkdir -p "$2"
mount --bind "$3" "$2"
shift 3
exec "$@"
"""


class OtherUser(Place):
    """A workspace whose kernels are nobody."""

    def up(self) -> subprocess.Popen[bytes]:
        """Start `opsnb up`, the interpreter opened to everybody where it is not."""
        argv = [str(OPSNB), "up"]
        if closed := closed_above(Path(sys.base_prefix)):
            aside = self.root.parent / "aside"
            aside.mkdir()
            opened = ["sh", "-c", OPENED, "sh", str(closed), sys.base_prefix, str(aside)]
            argv = ["unshare", "--mount", "--propagation", "private", *opened, *argv]
        with (self.root / "up.log").open("ab") as log:
            process = subprocess.Popen(argv, cwd=self.root, stdout=log, stderr=log, start_new_session=True)
        self.servers.append(process)
        wait_for(self.serving, 90, process)
        return process


def closed_above(path: Path) -> Path | None:
    """Return the topmost directory above ``path`` that others may not enter."""
    return next((p for p in reversed(path.parents) if not p.stat().st_mode & 0o001), None)


@pytest.fixture(scope="module")
def other() -> Iterator[OtherUser]:
    """A control plane of root whose kernels are nobody, in a place that everybody may read."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    made = OtherUser(folder / "ws")
    make(made.root)
    made.settings(kernel_user=USER, memory="600MiB", cell_timeout="10m")
    made.up()
    yield made
    made.close()
    shutil.rmtree(folder)


def manifest(place: Place, result: dict[str, Any]) -> dict[str, Any]:
    """Return the record in a run's manifest."""
    return dict(json.loads((place.record(result) / "manifest.json").read_bytes())["record"])


WHO = """
import os, subprocess, tempfile
print(os.getresuid(), os.getresgid(), os.getgroups(), os.environ["USER"])
open("note", "w").write("x"); tempfile.NamedTemporaryFile().write(b"x"); len(os.listdir("/proc/self/fd"))
files = os.path.dirname(os.environ["HOME"]) + "/files"
open(files + "/kept.txt", "w").write("kept")
print(subprocess.run(["id", "-un"], capture_output=True, text=True).stdout)
for path in ("{root}/runbooks", "/etc/hostname"):
    try:
        os.chmod(path, 0o777); print("REACHED", path)
    except PermissionError:
        print("refused")
import matplotlib.pyplot as plt
plt.plot([1, 2]); plt.show()
"""


@pytest.mark.slow
@as_root
def test_a_kernel_is_the_other_user(other: OtherUser) -> None:
    """It has that user's numbers only, works in its scratch folder, leaves files, and owns nothing outside."""
    other.add("who", WHO.format(root=other.root))
    result = other.end(other.submit("runbooks/who.ipynb"))
    assert result["verdict"] == "DONE", (result["reason"], other.executed(result))
    user = account(USER)
    said = text_of(other.executed(result)["cells"][0])
    assert said.startswith(f"{(user.uid,) * 3} {(user.gid,) * 3} [{user.gid}] {USER}\n"), said
    assert said.count("refused") == 2, said
    assert (other.record(result) / "files/kept.txt").read_text() == "kept"
    record = manifest(other, result)
    assert f"user {USER}" in record["holds"]
    assert f"user {USER}" in (other.record(result) / "run.html").read_text(encoding="utf-8")


def prepared(place: Place, owner: int, mode: int) -> Path:
    """Return a new directory that runbooks write to."""
    folder = Path(tempfile.mkdtemp(dir=place.root.parent))
    os.chown(folder, owner, owner)
    folder.chmod(mode)
    return folder


@pytest.mark.slow
@as_root
def test_a_change_that_writes_here(other: OtherUser) -> None:
    """Planned, applied and undone as that user: the file is its own, with the mode of the plan; the record says who."""
    user = account(USER)
    folder = prepared(other, user.uid, 0o755)
    planned = other.end(other.submit("HST-020", values={"directory": str(folder), "mode": "0640"}))
    assert (planned["verdict"], list(folder.iterdir())) == ("PLANNED", [])
    applied = other.end(other.submit("HST-020", mode="apply", request=planned["request"]))
    assert applied["verdict"] == "DONE", applied["reason"]
    (path,) = folder.iterdir()
    info = path.stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (user.uid, user.gid, 0o640)
    assert f"user {USER}" in manifest(other, applied)["holds"]
    undone = other.end(str(other.client.post(f"/api/runs/{applied['run']}/undo")["run"]))
    assert (undone["verdict"], list(folder.iterdir())) == ("DONE", [])
    assert f"user {USER}" in manifest(other, undone)["holds"]


@pytest.mark.slow
@as_root
def test_a_directory_that_the_user_may_not_write(other: OtherUser) -> None:
    """It is refused before anything is planned, with whose it is and what to do; closed later, the claim refuses it."""
    closed = prepared(other, 0, 0o755)
    with pytest.raises(RefusedError, match=f"'{USER}'.* may not write to {closed} .*mode 0755") as caught:
        other.submit("HST-020", values={"directory": str(closed)})
    assert caught.value.hint.startswith(f"chown {USER} {closed}")
    folder = prepared(other, account(USER).uid, 0o755)
    planned = other.end(other.submit("HST-020", values={"directory": str(folder)}))
    os.chown(folder, 0, 0)
    with pytest.raises(RefusedError, match=f"may not write to {folder}"):
        other.submit("HST-020", mode="apply", request=planned["request"])
    folder.rmdir()
    with pytest.raises(RefusedError, match="where the runbook writes, cannot be looked at"):
        other.submit("HST-020", mode="apply", request=planned["request"])
    folder.mkdir()
    os.chown(folder, account(USER).uid, 0)
    applied = other.end(other.submit("HST-020", mode="apply", request=planned["request"]))
    assert applied["verdict"] == "DONE", applied["reason"]


@pytest.mark.slow
@as_root
def test_two_kernels_of_one_user_do_not_reach_each_other(other: OtherUser) -> None:
    """Being the same user gives one run nothing of another: no memory, environment, folder, signal."""
    other.add("sleeper", "import os, time\nprint('here', os.getpid(), os.getcwd(), flush=True)\ntime.sleep(500)")
    run = other.submit("runbooks/sleeper.ipynb")
    said = ""
    for event in other.client.events(run):
        said += event.get("text", "")
        if "\n" in said:
            break
    _, pid, folder = said.split()
    tries = (f"open('/proc/{pid}/environ').read()", f"open('/proc/{pid}/mem', 'rb').read(1)",
             f"os.listdir('{folder}')", f"os.kill({pid}, 18)", f"os.readlink('/proc/{pid}/fd/0')")  # fmt: skip
    cell = (
        f"import os\nfor code in {tries!r}:\n    try:\n        exec(code); print('REACHED', code)\n"
        "    except PermissionError: print('refused')"
    )
    other.add("reach", cell)
    result = other.end(other.submit("runbooks/reach.ipynb"))
    other.client.post(f"/api/runs/{run}/stop")
    assert text_of(other.executed(result)["cells"][0]).split() == ["refused"] * len(tries)
    other.end(run)
    wait_for(lambda: not Path(folder).parent.exists(), 30)


@pytest.mark.slow
@as_root
def test_a_kernel_dies_with_its_supervisor_also_as_another_user(other: OtherUser) -> None:
    """Becoming somebody else makes the system forget the death signal; the kernel asks for it again."""
    other.add("orphan", "import os, time\nprint('here', os.getpid(), os.getppid(), flush=True)\ntime.sleep(500)")
    run = other.submit("runbooks/orphan.ipynb")
    said = ""
    for event in other.client.events(run):
        said += event.get("text", "")
        if "\n" in said:
            break
    _, pid, supervisor = said.split()
    os.kill(int(supervisor), signal.SIGKILL)
    assert other.end(run)["verdict"] == "ABORTED"
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 30)


@as_root
def test_an_interpreter_that_the_user_cannot_read_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """A closed directory above anything that kernels need is named before the first run, and what mends it."""
    place = Place(tmp_path / "ws")
    make(place.root)
    tmp_path.chmod(0o700)
    assert str(place.workspace.runbooks) in unreadable(account(USER), needed(place.workspace))
    with pytest.raises(SettingsError, match="cannot read") as caught:
        kernel_user(Settings(kernel_user=USER), place.workspace)
    assert str(place.workspace.runbooks) in caught.value.message
    assert "closed to others" in caught.value.hint
    place.settings(kernel_user=USER)
    done = place.opsnb("up")
    assert done.returncode != 0
    assert "cannot read" in done.stderr
    rows = {row["name"]: row for row in place.json("doctor")["checks"]}
    assert (rows["kernel user"]["state"], "cannot read" in rows["kernel user"]["found"]) == ("problem", True)


@pytest.mark.parametrize(("name", "why"), [("no-such-user-here", "has no user"), ("root", "is root")])
def test_a_user_that_cannot_be_is_refused(name: str, why: str) -> None:
    """A user that is not there, and root, are no users for kernels."""
    with pytest.raises(SettingsError, match=why):
        account(name)
