"""Logging in: keys, certificates, agents, passwords; what is asked for, and when."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fleet.conftest import Place, opened, ran, row
from opsnb.fleet import Status
from sshd import FakeRun, Sshd, keygen, user


def test_a_key_that_is_refused(ssh: Place, tmp_path: Path) -> None:
    """Another key than the authorized one is refused: unreachable, with who and what to look at."""
    keygen(tmp_path / "k")
    run = FakeRun([row(ssh)], {None: {"kind": "key", "key": (tmp_path / "k").read_text()}})
    result = ran(run)
    assert result.status is Status.UNREACHABLE
    assert "is refused with this key" in result.error
    assert "authorized_keys" in result.error


@pytest.mark.slow
def test_keys_of_every_kind(ssh: Place, tmp_path: Path) -> None:
    """Ed25519, ECDSA, RSA and PEM keys log in, with and without a passphrase."""
    lines = (ssh.root / "authorized").read_text()
    try:
        for name, options in {
            "ed25519": [], "ecdsa": [], "rsa": [], "rsa pem": ["-m", "PEM"], "ed25519 secret": ["-N", "open sesame"],
        }.items():  # fmt: skip
            path = tmp_path / name.replace(" ", "-")
            with (ssh.root / "authorized").open("a") as file:
                file.write(keygen(path, *options, kind=name.split()[0]) + "\n")
            secret = {"passphrase": "open sesame"} if "secret" in name else {}
            credential = {"kind": "key", "key": path.read_text(), **secret}
            result = ran(FakeRun([row(ssh)], {None: credential}))
            assert result.ok, (name, result.error)
        without = {"kind": "key", "key": (tmp_path / "ed25519-secret").read_text()}
        assert "has a passphrase and none was given" in ran(FakeRun([row(ssh)], {None: without})).error
        wrong = {**without, "passphrase": "wrong"}
        assert "passphrase does not open" in ran(FakeRun([row(ssh)], {None: wrong})).error
        nonsense = {"kind": "key", "key": "no key"}
        assert "not a private key" in ran(FakeRun([row(ssh)], {None: nonsense})).error
    finally:
        (ssh.root / "authorized").write_text(lines)


def test_a_certificate(ssh: Place, tmp_path: Path) -> None:
    """A certificate that sshd's authority signed logs in; without it the key alone does not."""
    keygen(tmp_path / "ca")
    keygen(tmp_path / "k")
    argv = ["ssh-keygen", "-q", "-s", str(tmp_path / "ca"), "-I", "t", "-n", ssh.user, str(tmp_path / "k.pub")]
    subprocess.run(argv, check=True)
    key = {"kind": "key", "key": (tmp_path / "k").read_text()}
    settings = {"TrustedUserCAKeys": str(tmp_path / "ca.pub")}
    server = Sshd(tmp_path / "sshd", ["127.0.21.4"], settings=settings).start()
    try:
        where = server.row("web1", user=ssh.user)
        certificate = (tmp_path / "k-cert.pub").read_text()
        assert ran(FakeRun([where], {None: {**key, "certificate": certificate}})).ok
        assert ran(FakeRun([where], {None: key})).status is Status.UNREACHABLE
    finally:
        server.stop()


def test_an_agent(ssh: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An agent's key logs in; an agent without keys is said to have none; nothing is forwarded."""
    said = subprocess.run(["ssh-agent", "-s", "-a", str(tmp_path / "a")], capture_output=True, text=True, check=True)
    pid = said.stdout.split("SSH_AGENT_PID=")[1].split(";")[0]
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "a"))
    try:
        run = FakeRun([row(ssh)], {None: {"kind": "agent"}})
        assert "the agent has no key" in ran(run).error
        subprocess.run(["ssh-add", "-q", str(ssh.root / "key")], check=True)
        assert ran(run, "sh", "-c", 'echo "[$SSH_AUTH_SOCK]"').text == "[]\n"
    finally:
        subprocess.run(["kill", pid], check=True)


def test_passwords(tmp_path: Path) -> None:
    """A password logs in where sshd takes one; a wrong one is refused; where sshd takes none that is said."""
    with user("opsnbword", password="right password") as name:  # noqa: S106 - a test's own
        for allowed in ("yes", "no"):
            server = Sshd(tmp_path / allowed, ["127.0.21.5"], settings={"PasswordAuthentication": allowed}).start()
            try:
                where = server.row("web1", user=name)
                results = [
                    ran(FakeRun([where], {None: {"kind": "password", "password": word}}))
                    for word in ("right password", "wrong")
                ]
            finally:
                server.stop()
            if allowed == "yes":
                assert [r.status for r in results] == [Status.OK, Status.UNREACHABLE], results[0].error
                assert "refused with this password" in results[1].error
            else:
                assert "takes no password" in results[0].error


def test_the_credential_for_changes_is_asked_for_when_it_is_used(ssh: Place) -> None:
    """Looking asks for ``observe`` once; ``changing`` asks for ``change`` when something is run; nothing before."""
    run = ssh.run(row(ssh, credential={"observe": "a", "change": "b"}))
    with opened(run) as machine:
        changing = machine.changing
        assert run.asked == []
        machine.run("true")
        machine.run("true")
        assert run.asked == [("web1", "observe")]
        changing.run("true")
        assert run.asked == [("web1", "observe"), ("web1", "change")]
