"""Pinned keys: what is accepted, and the fingerprints that people compare."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventories import KEY, ed25519
from opsnb.fleet.inventory import fingerprint, key_line, keys_digest


def made(folder: Path, *options: str) -> tuple[str, str]:
    """Return a real public key line and the fingerprint that ssh-keygen shows of it."""
    path = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "a comment", "-f", path, *options], check=True)
    shown = subprocess.run(["ssh-keygen", "-lf", f"{path}.pub"], check=True, capture_output=True, text=True).stdout
    return Path(f"{path}.pub").read_text(), shown.split()[1]


@pytest.mark.parametrize(
    "options",
    [("-t", "ed25519"), ("-t", "rsa", "-b", "2048"), *(("-t", "ecdsa", "-b", bits) for bits in ("256", "384", "521"))],
)
def test_real_keys_are_read_and_fingerprinted_as_openssh_does(tmp_path, options):
    """Every kind of key that OpenSSH makes is accepted, and its fingerprint is ssh-keygen's."""
    line, shown = made(tmp_path, *options)
    found = key_line(line)
    assert found == " ".join(line.split()[:2])
    assert fingerprint(found) == shown


def blob(*parts: bytes) -> str:
    """Return the base64 of length-prefixed fields."""
    return base64.b64encode(b"".join(len(p).to_bytes(4, "big") + p for p in parts)).decode()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "wanted a type and its base64"),
        ("ssh-ed25519", "wanted a type and its base64"),
        ("web1 " + KEY, "type 'web1' is not one of"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "DSA keys are too weak"),
        ("ssh-ed25519 %%%", "is not base64"),
        ("ssh-ed25519 中文", "is not base64"),
        ("ssh-ed25519 " + KEY.split()[1][:-8] + "====", "base64"),
        ("ssh-ed25519 AAAAC3Nz", "is cut off"),
        ("ssh-rsa " + KEY.split()[1], "says 'ssh-rsa', and holds a key of type 'ssh-ed25519'"),
        ("ssh-ed25519 " + blob(b"ssh-ed25519", b"x" * 31), "holds a key of 31 bytes, wanted 32"),
        ("ssh-ed25519 " + blob(b"ssh-ed25519", b"x" * 32, b"y"), "holds 2 fields, a key of type"),
        ("ssh-rsa " + blob(b"ssh-rsa", b"\1\0\1", b"\xff" * 64), "RSA key of 512 bits"),
        ("ecdsa-sha2-nistp256 " + blob(b"ecdsa-sha2-nistp256", b"nistp384", b"x"), "another curve inside"),
        (KEY + " " + "x" * 5000, "at most 4096 are read"),
    ],
)
def test_what_is_no_whole_key_is_refused(line, why):
    """A line that is not exactly one public key says why."""
    with pytest.raises(ValueError, match=why):
        key_line(line)


@given(st.integers(4, 50), st.integers(0, 7))
def test_a_changed_byte_before_the_key_is_seen(at, bit):
    """No bit of the blob's frame (lengths, type) can be changed unseen; in the key itself the fingerprint changes."""
    raw = bytearray(base64.b64decode(KEY.split()[1]))
    raw[at] ^= 1 << bit
    line = "ssh-ed25519 " + base64.b64encode(raw).decode()
    try:
        assert fingerprint(key_line(line)) != fingerprint(KEY)
    except ValueError:
        assert at < 19  # 4 + 11 of the type, 4 of the length


def test_the_digest_does_not_hang_on_order():
    """The same keys in another order are the same pinned keys; one more key is another set."""
    one, two = ed25519("1"), ed25519("2")
    assert keys_digest([one, two]) == keys_digest([two, one]) != keys_digest([one])
