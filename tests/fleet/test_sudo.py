"""Root behind sudo: with and without a password, which is never seen anywhere."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from fleet.conftest import Place, opened, ran, row
from opsnb.base.errors import OpsnbError
from opsnb.fleet import Machine, Status
from places import wait_for
from sshd import user


@contextmanager
def sudoers(name: str, rule: str) -> Iterator[None]:
    """A rule for one user for the time of a test."""
    path = Path(f"/etc/sudoers.d/{name}")
    path.write_text(f"{name} ALL=(ALL) {rule}\n")
    path.chmod(0o440)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def rooted(ssh: Place) -> Iterator[Machine]:
    """A host whose user may become root without a password."""
    with ExitStack() as stack:
        name = stack.enter_context(user("opsnbsudo"))
        stack.enter_context(sudoers(name, "NOPASSWD: ALL"))
        yield stack.enter_context(opened(ssh.run(row(ssh, user=name, sudo="passwordless"))))


def test_sudo_without_a_password(ssh: Place) -> None:
    """With ``sudo: passwordless`` a program runs as root with stdin, words, environment and code its own."""
    with rooted(ssh) as machine:
        assert machine.run("id", "-u").text != "0\n"
        assert machine.run("id", "-u", sudo=True).text == "0\n"
        result = machine.run(
            "sh", "-c", 'cat; echo "$A$1"; exit 5', "x", "中 '", stdin=b"in ", environment={"A": "a"}, sudo=True
        )
        assert (result.exit, result.text, result.stderr) == (5, "in a中 '\n", b"")
        path = f"/tmp/opsnb-root-{secrets.token_hex(4)}"
        machine.write(path, b"root's", mode=0o600, owner="root:root", sudo=True)
        assert machine.read(path, sudo=True) == b"root's"
        with pytest.raises(OpsnbError, match="ermission denied"):
            machine.read(path)
        machine.remove(path, sudo=True)


def test_sudo_with_a_password(ssh: Place) -> None:
    """A password goes to sudo's stdin: in no command line, not in the output, and not to the program."""
    word = "Sudo-Password-17"
    with user("opsnbsudo", password=word) as name, sudoers(name, "ALL"):
        run = ssh.run(row(ssh, user=name, sudo="password"), sudo={"kind": "password", "password": word})
        with opened(run) as machine:
            result = machine.run(
                "sh",
                "-c",
                "id -u; cat; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '",
                stdin=b"data\n",
                sudo=True,
            )
            assert result.text.startswith("0\ndata\n")
            assert word not in result.text
            assert result.stderr == b""
            assert machine.run("true", sudo=True).ok
        assert run.asked.count(("web1", "sudo")) == 1
        with sudoers(name, "NOPASSWD: ALL"), opened(run) as machine:
            result = machine.run("cat", stdin=b"data\n", sudo=True)
            assert (result.stdout, result.stderr) == (b"data\n", b"")


@pytest.mark.slow
def test_sudo_that_refuses(ssh: Place) -> None:
    """No rule, no password where one is asked for, a wrong password, no sudo in the row: never started, and why."""
    with user("opsnbsudo", password="Right-Password") as name:  # noqa: S106 - a test's own
        where = row(ssh, user=name, sudo="passwordless")
        with sudoers(name, "ALL"):
            assert "a password is required" in ran(ssh.run(where), sudo=True).error
            wrong = ssh.run(
                row(ssh, user=name, sudo="password"), sudo={"kind": "password", "password": "Wrong-Password"}
            )
            result = ran(wrong, sudo=True)
            assert (result.status, "does not accept the password" in result.error) == (Status.UNREACHABLE, True)
        result = ran(ssh.run(row(ssh, user=name)), sudo=True)
        assert (result.status, "may not use sudo here" in result.error) == (Status.UNREACHABLE, True)


def test_a_program_of_root_is_ended_too(ssh: Place) -> None:
    """A program behind sudo whose time is over is ended through sudo."""
    mark = f"2{secrets.randbelow(10**8):08d}"
    with rooted(ssh) as machine:
        assert machine.run("sleep", mark, seconds=1.5, sudo=True).status is Status.UNKNOWN
        # What was killed has its name until it had a turn to end.
        wait_for(lambda: subprocess.run(["pgrep", "-f", f"^sleep {mark}$"], check=False).returncode == 1, 20)
        gone = machine.run("sh", "-c", f"! grep -la {mark} /proc/[0-9]*/cmdline | grep -v self", sudo=True)
        assert mark not in gone.text
