"""What goes wrong on a host: each has its clear result, its words, and the next move."""

from __future__ import annotations

import contextlib
import pwd
import secrets
import subprocess
import threading
from pathlib import Path

import pytest

from fleet.conftest import Place, opened, ran, row
from opsnb.base.errors import OpsnbError
from opsnb.fleet import Status, UnknownOutcomeError, UnreachableError
from sshd import Sshd, user


def test_a_line_that_is_cut_while_a_program_runs(ssh: Place) -> None:
    """When sshd's session dies in the middle, the answer is unknown, never failed, and says where to look."""
    with opened(ssh.run()) as machine:
        cutter = threading.Thread(target=lambda: (begun.wait(20), ssh.sshd.cut()))
        begun = threading.Event()
        cutter.start()
        result = machine.run("sh", "-c", "echo begun; sleep 60", on_output=lambda *_: begun.set())
        cutter.join()
        assert (result.status, result.exit, result.stdout) == (Status.UNKNOWN, None, b"begun\n")
        assert "the connection was lost while it ran" in result.error
        assert result.seconds < 20
        with pytest.raises(UnknownOutcomeError):
            result.require()
        assert machine.run("echo", "again").text == "again\n"


def test_a_connection_that_died_in_between_is_opened_again(ssh: Place) -> None:
    """A kept connection that is gone when the next program is to start is opened anew; the program starts once."""
    mark = f"/tmp/opsnb-once-{secrets.token_hex(4)}"
    with opened(ssh.run()) as machine:
        assert machine.run("true").ok
        ssh.sshd.cut()
        assert machine.run("sh", "-c", f"echo x >> {mark}").ok
        assert machine.read(mark) == b"x\n"
        machine.remove(mark)


def test_a_write_that_is_cut_is_unknown_and_whole(ssh: Place) -> None:
    """A write whose line is lost raises that nobody knows; what is there is the old file or the new one."""
    path = f"/tmp/opsnb-cut-{secrets.token_hex(4)}"
    with opened(ssh.run()) as machine:
        machine.write(path, b"old")
        data, over = secrets.token_bytes(4_000_000), threading.Event()

        def cut_now_and_then() -> None:  # one cut may fall between two writes, or into a login
            while not over.wait(0.15):
                ssh.sshd.cut()

        def write_on_and_on() -> None:
            for _ in range(100):
                with contextlib.suppress(UnreachableError):  # nothing was begun: that is known
                    machine.write(path, data)

        cutter = threading.Thread(target=cut_now_and_then)
        cutter.start()
        try:
            with pytest.raises(UnknownOutcomeError, match="lost"):
                write_on_and_on()
        finally:
            over.set()
            cutter.join()
        assert machine.read(path) in {b"old", data}
        machine.run("sh", "-c", "rm -f /tmp/.opsnb-*")
        machine.remove(path)


@pytest.mark.parametrize("shell", ["/bin/bash", "/usr/bin/tcsh", "/usr/bin/fish", "/usr/bin/zsh", "/bin/dash"])
def test_any_login_shell(ssh: Place, shell: str) -> None:
    """Whatever the login shell, and whatever its rc prints at login: output and words are the program's own."""
    if not Path(shell).exists():
        pytest.skip(f"no {shell}")
    noise = "echo noise from rc; echo more noise >&2\n"
    with user("opsnbshell", shell) as name:
        home = Path(pwd.getpwnam(name).pw_dir)
        for rc in (".bashrc", ".cshrc", ".tcshrc", ".zshenv", ".config/fish/config.fish"):
            (home / rc).parent.mkdir(parents=True, exist_ok=True)
            (home / rc).write_text(noise if "csh" not in rc else "echo noise from rc\n")
        words = ["a b", "!!", "'", '"', "$HOME", "\\", "a\nb", "中文", "*"]
        with opened(ssh.run(row(ssh, user=name))) as machine:
            result = machine.run("printf", "%s\\0", *words)
            assert result.stdout.decode().split("\0")[:-1] == words
            assert result.stderr == b""
            assert machine.run("sh", "-c", "exit 7").exit == 7


def test_a_shell_that_is_none(ssh: Place) -> None:
    """An account without a shell never starts the program: unreachable, with what it said."""
    with user("opsnbnone", "/usr/sbin/nologin") as name:
        result = ran(ssh.run(row(ssh, user=name)))
    assert result.status is Status.UNREACHABLE
    assert "This account is currently not available" in result.error


def test_a_forced_command(ssh: Place, tmp_path: Path) -> None:
    """A host that runs something else instead (ForceCommand) has not started ours."""
    settings = {"ForceCommand": "echo only this"}
    server = Sshd(tmp_path, ["127.0.21.7"], settings=settings, authorized=ssh.root / "authorized").start()
    try:
        result = ran(ssh.run(server.row("web1", user=ssh.user)))
    finally:
        server.stop()
    assert result.status is Status.UNREACHABLE
    assert "only this" in result.error


def test_a_slow_rc_counts(ssh: Place) -> None:
    """A login shell that takes longer than there is time is unknown: what was sent may still be started."""
    with user("opsnbslow", "/bin/bash") as name:
        (Path(pwd.getpwnam(name).pw_dir) / ".bashrc").write_text("sleep 3\n")
        result = ran(ssh.run(row(ssh, user=name)), seconds=1)
    assert result.status is Status.UNKNOWN
    assert "may have been started" in result.error


def test_a_full_disk(ssh: Place) -> None:
    """On a full disk the old file stays as it was, nothing is left behind, and the error says what to do."""
    mount = Path(f"/tmp/opsnb-full-{secrets.token_hex(4)}")
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(mount)], check=True)
    try:
        with opened(ssh.run()) as machine:
            machine.write(f"{mount}/f", b"old")
            for size in (1_000_000, 9_000_000):
                with pytest.raises(OpsnbError, match="No space left on device") as caught:
                    machine.write(f"{mount}/f", b"x" * size)
                assert "the old file is as it was" in str(caught.value)
                assert not isinstance(caught.value, UnreachableError | UnknownOutcomeError)
            assert machine.read(f"{mount}/f") == b"old"
            assert [p.name for p in mount.iterdir()] == ["f"]
    finally:
        subprocess.run(["umount", str(mount)], check=True)
        mount.rmdir()
