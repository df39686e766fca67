"""The key file: the keys that the stored secrets are encrypted with, the current one first.

``.opsnb/keys/secrets.key``, mode 0600: one line for each key, its id and 32 random bytes in base64. It holds two lines
only while everything is encrypted anew, so that a crash in the middle loses nothing.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from opsnb.base.canonical import canonical
from opsnb.base.errors import AlteredError, RefusedError
from opsnb.control.files import write_atomic

KEY_FILE = "keys/secrets.key"
KEY_BYTES = 32  # AES-256
NONCE_BYTES = 12  # as NIST SP 800-38D wants it; random, and a key encrypts far fewer than 2^32 values
RESTORE = "put the key file back from your backup; docs/secrets.md says what to do without one"


@dataclass(frozen=True)
class Key:
    """One key. Its id is random and says nothing about it."""

    id: str
    data: bytes

    def __repr__(self) -> str:
        return f"Key({self.id})"

    def seal(self, name: str, version: int, value: str) -> bytes:
        """Return ``value`` encrypted for this name and version and no other (AES-256-GCM)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self.data).encrypt(nonce, value.encode("utf-8"), _bound(name, version, self.id))

    def open(self, name: str, version: int, sealed: bytes) -> str:
        """Return the value.

        Raises:
            AlteredError: If it was altered, moved to another name or version, or encrypted with another key.
        """
        nonce, data = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(self.data).decrypt(nonce, data, _bound(name, version, self.id)).decode("utf-8")
        except (InvalidTag, ValueError) as error:
            raise AlteredError(
                f"the stored secret '{name or 'self-test'}' version {version} does not open with key {self.id}",
                hint=RESTORE,
            ) from error


def new_key() -> Key:
    """Return a new random key."""
    return Key(secrets.token_hex(4), secrets.token_bytes(KEY_BYTES))


def read_keys(state: Path) -> list[Key]:
    """Return the keys, the current one first; none where there is no key file.

    Raises:
        RefusedError: If others may read the file.
        AlteredError: If it is not a key file.
    """
    path = state / KEY_FILE
    try:
        info = path.lstat()
    except FileNotFoundError:
        return []
    if not stat.S_ISREG(info.st_mode):
        raise AlteredError(f"{path} is not a regular file", hint=RESTORE)
    if stat.S_IMODE(info.st_mode) & 0o077:
        raise RefusedError(
            f"{path} has mode {stat.S_IMODE(info.st_mode):04o}: others may read it, and with it every stored secret",
            hint=f"chmod 600 {path}   and think about who read it: opsnb secret rotate makes a new key",
        )
    try:
        return [_key(line) for line in path.read_text(encoding="ascii").splitlines()]
    except (ValueError, binascii.Error) as error:
        raise AlteredError(f"{path} is not a key file", hint=RESTORE) from error


def write_keys(state: Path, keys: list[Key]) -> None:
    """Write the key file, whole or not at all."""
    path = state / KEY_FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = "".join(f"{key.id} {base64.b64encode(key.data).decode()}\n" for key in keys)
    write_atomic(path, text.encode("ascii"), mode=0o600)


def _key(line: str) -> Key:
    name, _, text = line.partition(" ")
    data = base64.b64decode(text, validate=True)
    if not name or len(data) != KEY_BYTES:
        raise ValueError("a key is an id and 32 bytes")
    return Key(name, data)


def _bound(name: str, version: int, key: str) -> bytes:
    """What a ciphertext is bound to, besides its value."""
    return canonical({"name": name, "version": version, "key": key})
