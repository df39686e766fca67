"""Host keys: only pinned ones, only before a login, and the next move in every refusal."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fleet.conftest import Place, ran, row
from opsnb.fleet import Status, UnreachableError
from sshd import Sshd, keygen


def test_no_pinned_key(ssh: Place) -> None:
    """Without a pinned key nothing is connected to; the next move is to trust the host."""
    run = ssh.run(row(ssh, keys=[]))
    result = ran(run)
    assert result.status is Status.UNREACHABLE
    assert result.error == "no host key is pinned; opsnb host trust web1"
    assert run.asked == []


def test_another_key_than_the_pinned_one(ssh: Place, tmp_path: Path) -> None:
    """A changed key ends the connection before a login, and both fingerprints are shown as ssh-keygen shows them."""
    other = keygen(tmp_path / "other")
    run = ssh.run(row(ssh, keys=[other]))
    result = ran(run)
    assert result.status is Status.UNREACHABLE
    for public in (tmp_path / "other.pub", ssh.sshd.root / "host_ed25519.pub"):
        said = subprocess.run(["ssh-keygen", "-lf", str(public)], capture_output=True, text=True, check=True).stdout
        assert said.split()[1] in result.error
    assert "opsnb host trust web1" in result.error
    assert run.asked == []


def test_a_key_of_another_type(ssh: Place, tmp_path: Path) -> None:
    """A host without a key of the pinned type is refused, and its own key is shown."""
    result = ran(ssh.run(row(ssh, keys=[keygen(tmp_path / "other", kind="ecdsa")])))
    assert result.status is Status.UNREACHABLE
    assert "not the pinned one" in result.error
    assert "ssh-ed25519 SHA256:" in result.error


def test_one_of_several_pinned_keys(ssh: Place, tmp_path: Path) -> None:
    """Any of the pinned keys is right."""
    assert ran(ssh.run(row(ssh, keys=[keygen(tmp_path / "other"), *ssh.sshd.public]))).ok


def test_scan_returns_all_types(tmp_path: Path) -> None:
    """The scan for ``opsnb host trust`` returns one line for each type of key, as the .pub files have them."""
    from opsnb.fleet.ssh import keys

    server = Sshd(tmp_path, ["127.0.21.2"], host_keys=("ed25519", "ecdsa", "rsa")).start()
    try:
        assert sorted(keys.scan("127.0.21.2", server.port)) == sorted(server.public)
    finally:
        server.stop()
    with pytest.raises(UnreachableError, match=r"127.0.21.2 port \d+"):
        keys.scan("127.0.21.2", server.port)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_other_types_of_host_keys(tmp_path: Path, ssh: Place, kind: str) -> None:
    """ECDSA and RSA host keys are as good as Ed25519."""
    server = Sshd(tmp_path, ["127.0.21.3"], host_keys=(kind,), authorized=ssh.root / "authorized").start()
    try:
        assert ran(ssh.run(server.row("web1", user=ssh.user))).ok
    finally:
        server.stop()


@pytest.mark.slow
def test_an_old_sshd_needs_legacy(ssh: Place, tmp_path: Path) -> None:
    """SHA-1 algorithms are offered to a host marked ``legacy`` and to no other; the refusal says so."""
    settings = {
        "KexAlgorithms": "diffie-hellman-group14-sha1", "HostKeyAlgorithms": "ssh-rsa", "Ciphers": "aes128-cbc",
        "MACs": "hmac-sha1",
    }  # fmt: skip
    authorized = ssh.root / "authorized"
    server = Sshd(tmp_path, ["127.0.21.3"], host_keys=("rsa",), settings=settings, authorized=authorized).start()
    try:
        assert ran(ssh.run(server.row("web1", user=ssh.user, legacy=True))).text == "there\n"
        result = ran(ssh.run(server.row("web1", user=ssh.user)))
    finally:
        server.stop()
    assert result.status is Status.UNREACHABLE
    assert "legacy: true" in result.error
