"""What a fleet is where something is missing: root, namespaces, sudo, sshd. Each in a mount namespace of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nobody import everybodys
from opsnb.cli.workspace import make
from places import OPSNB, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces want root")]

USER = 54321
# A user that only this namespace knows, to whom the interpreter is readable wherever it lies.
BECOME = """
set -e
printf '%s\\n' "$(cat /etc/passwd)" "rehearser:x:$1:$1::$2:$4" >"$2/passwd"
mount --bind "$2/passwd" /etc/passwd
mount --bind "$3" "$2/python"
mount -t tmpfs -o mode=755 none /root
mkdir -p "$3"
mount --bind "$2/python" "$3"
shift 4
exec setpriv --reuid 54321 --regid 54321 --clear-groups env HOME=/nonexistent "$@"
"""


def apart(script: str, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a mount namespace of its own."""
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *argv]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that belongs to the user, outside of pytest's own: what runs beside us shuts that one to others."""
    with tempfile.TemporaryDirectory(prefix="opsnb-open-") as name:
        base = Path(name)
        base.chmod(0o755)
        make(base / "ws")
        (base / "python").mkdir()
        for path in [base, *base.rglob("*")]:
            os.chown(path, USER, USER)
        yield base


def test_a_user_without_root(open_place: Path) -> None:
    """Without root hosts share the machine and say so; each has its name, home and key; down ends what sessions left."""
    place = open_place / "ws"
    base = str(Path(sys.base_prefix))

    def as_user(*argv: str) -> subprocess.CompletedProcess[str]:
        return apart(BECOME, str(USER), str(open_place), base, "/bin/sh", *argv, cwd=place)

    up = as_user(str(OPSNB), "rehearse", "up", "--hosts", "3", "--json")
    try:
        value = json.loads(up.stdout)
        assert (value["form"], value["user"], value["sudo"]) == ("shared", "rehearser", False)
        assert "only root" in value["why"]
        assert [line.partition(":")[0] for line in value["missing"]] == ["no web tier"]
        assert [host["services"] for host in value["hosts"]] == [[]] * 3
        assert {"file system", "processes", "user", "hostname"} <= set(value["shared"])
        said = []
        for host in value["hosts"]:
            ssh = [
                "ssh", "-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={place}/known",
                "-o", "BatchMode=yes", "-i", value["key"], "-p", str(host["port"]), f"rehearser@{host['address']}",
            ]  # fmt: skip
            done = as_user(*ssh, "echo $OPSNB_HOST $HOME; pwd; sleep 432 >/dev/null 2>&1 &")
            said.append(done.stdout.split())
        homes = [f"{place}/.opsnb/rehearsal/homes/{host['name']}" for host in value["hosts"]]
        assert said == [[h["name"], home, home] for h, home in zip(value["hosts"], homes, strict=True)]
        assert len(set((place / "known").read_text(encoding="utf-8").splitlines())) == 3
        (place / "known").unlink()
        wait_for(lambda: len(of_user()) == 6, 20)  # three servers, three sleeps: what a session left ends by itself
    finally:
        down = as_user(str(OPSNB), "rehearse", "down", "--json")
    assert json.loads(down.stdout) == {"ended": 3}
    assert of_user() == []
    assert not (place / ".opsnb").exists()
    assert not (place / "inventory").exists()


def of_user() -> list[str]:
    """Return what runs as the user; what has ended and was not collected yet does not."""
    argv = ["ps", "-U", str(USER), "-o", "stat=,args="]
    lines = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines()
    return [line for line in lines if not line.startswith("Z")]


def test_a_user_that_nobody_can_log_in_as(open_place: Path) -> None:
    """A user whose shell is nologin is told so, and nothing is left."""
    place = open_place / "ws"
    argv = [str(USER), str(open_place), str(Path(sys.base_prefix)), "/usr/sbin/nologin", str(OPSNB), "rehearse", "up"]
    done = apart(BECOME, *argv, cwd=place)
    assert done.returncode == 7
    assert "the shell of user 'rehearser' is /usr/sbin/nologin" in done.stderr
    assert not (place / ".opsnb").exists()


def test_root_without_namespaces(tmp_path: Path) -> None:
    """Root that may not make namespaces gets the second form, is told why, and nothing is left of it."""
    make(tmp_path / "ws")
    script = (
        'mount -t tmpfs none /run; up=$(setpriv --bounding-set -sys_admin "$0" rehearse up --hosts 2 --json) || exit 9; '
        'ls /run; "$0" rehearse down >/dev/null; ls /run; echo "$up"'
    ).replace("$0", "$1")
    done = apart(script, str(OPSNB), cwd=tmp_path / "ws")
    first, _, rest = done.stdout.partition("\n")
    assert first == "sshd", done.stderr
    value = json.loads(rest)
    assert (value["form"], value["user"]) == ("shared", "root")
    assert "Operation not permitted" in value["why"]
    assert [host["up"] for host in value["hosts"]] == [True, True]
    assert not (tmp_path / "ws/.opsnb").exists()


@pytest.mark.parametrize(
    ("program", "said"),
    [("/usr/sbin/sshd", "apt-get install openssh-server"), ("/usr/bin/ssh-keygen", "apt-get install openssh-client")],
)
def test_a_machine_without(tmp_path: Path, program: str, said: str) -> None:
    """A machine without sshd or ssh-keygen is told which package has it, and nothing is left."""
    make(tmp_path / "ws")
    done = apart('mount --bind /dev/null "$1" && exec "$2" rehearse up', program, str(OPSNB), cwd=tmp_path / "ws")
    assert done.returncode == 7
    assert said in done.stderr
    assert not (tmp_path / "ws/.opsnb").exists()


def test_a_machine_without_sudo(tmp_path: Path) -> None:
    """Without sudo hosts come up all the same, and both the program and the inventory say that there is none."""
    make(tmp_path / "ws")
    script = 'mount --bind /dev/null /usr/bin/sudo; "$1" rehearse up --hosts 1; cat inventory/rehearsal.yaml; "$1" rehearse down'
    done = apart(script, str(OPSNB), cwd=tmp_path / "ws")
    assert "no sudo on these hosts" in done.stdout
    assert "sudo: none" in done.stdout


def test_a_machine_whose_directories_are_file_systems(tmp_path: Path) -> None:
    """Where /opt is a file system of its own, hosts have what lies there, and what they change there stays theirs."""
    make(tmp_path / "ws")
    script = (
        'mount --bind "$2" /opt; "$1" rehearse up --hosts 1 >/dev/null || exit 9; '
        'ssh -F .opsnb/rehearsal/ssh_config web1 "cat /opt/here; echo mine | sudo tee /opt/here"; "$1" rehearse down'
    )
    with everybodys() as data:  # on a disk: what is in memory alone is no part of a machine
        (data / "here").write_text("the machine's\n", encoding="utf-8")
        done = apart(script, str(OPSNB), str(data), cwd=tmp_path / "ws")
        assert done.stdout.splitlines()[:2] == ["the machine's", "mine"], done.stderr
        assert (data / "here").read_text(encoding="utf-8") == "the machine's\n"
