"""Signed notes (C2SP signed-note) with Ed25519 keys, and the checkpoint that a log signs (C2SP tlog-checkpoint).

Rules without I/O:

* A note is a text ending in a newline, an empty line, and signature lines ``— name base64(key hash ‖ signature)``.
* A key hash is the first four bytes of ``SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)``.
* A verifier key is ``name+hex(key hash)+base64(0x01 ‖ public key)``; a signing key is
  ``PRIVATE+KEY+name+hex(key hash)+base64(0x01 ‖ seed)``, the form of Go's ``sumdb/note``.
* A checkpoint's text is three lines: origin, size in decimal, root in base64. Its key's name is its origin.
* Signatures of unknown keys (witnesses) are passed over; one of the known key that does not verify spoils the note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsnb.base.errors import AlteredError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519 = b"\x01"  # the signature type byte of C2SP signed-note
KEY_BYTES = 32
HASH_BYTES = 4
MAX_NOTE = 64 * 1024  # bytes; a checkpoint with some dozen witnesses fits
MAX_SIGNATURES = 100
PRIVATE_PREFIX = "PRIVATE+KEY+"
SIGNATURE_LINE = re.compile(r"— (?P<name>[^\s+]+) (?P<blob>[A-Za-z0-9+/]+=*)")
CHECKPOINT_TEXT = re.compile(r"(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]{0,15})\n(?P<root>[A-Za-z0-9+/]{43}=)\n")


@dataclass(frozen=True, kw_only=True)
class VerifierKey:
    """The public half of a note key: its name and 32 bytes."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not self.name or re.search(r"[\s+]", self.name):
            raise UsageError(f"'{self.name}' cannot name a key: a name is not empty and has no space and no '+'")
        if len(self.public) != KEY_BYTES:
            raise UsageError(f"an Ed25519 public key has {KEY_BYTES} bytes, found {len(self.public)}")

    @property
    def hash(self) -> bytes:
        """The key hash, four bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:HASH_BYTES]

    @property
    def text(self) -> str:
        """The key as one line of text, without a newline."""
        return f"{self.name}+{self.hash.hex()}+{_b64(ED25519 + self.public)}"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One signature line: who says to have signed, the key hash, the signature's bytes."""

    name: str
    hash: bytes
    value: bytes


@dataclass(frozen=True, kw_only=True)
class Note:
    """A note taken apart; nothing in it is verified yet."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The head of a log: whose it is, how many entries, the root over them (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"


class SigningKey:
    """The private half of a note key. Its ``repr`` shows the public half only."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.verifier = VerifierKey(name=name, public=private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"SigningKey({self.verifier.text})"

    @classmethod
    def generate(cls, name: str) -> SigningKey:
        """Make a new key called ``name``."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def from_text(cls, text: str) -> SigningKey:
        """Read a key that :attr:`text` wrote.

        Raises:
            UsageError: If it is not a signing key, or its hash does not fit. The message holds nothing of the key.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        name, digest, seed = _split_key(
            text.removeprefix(PRIVATE_PREFIX), "signing", prefixed=text.startswith(PRIVATE_PREFIX)
        )
        key = cls(name, Ed25519PrivateKey.from_private_bytes(seed))
        if key.verifier.hash != digest:
            raise UsageError(f"the signing key '{name}' is damaged: its hash does not fit")
        return key

    @property
    def text(self) -> str:
        """The private key as one line of text, without a newline. A secret."""
        seed = self._private.private_bytes_raw()
        return f"{PRIVATE_PREFIX}{self.verifier.name}+{self.verifier.hash.hex()}+{_b64(ED25519 + seed)}"

    def sign(self, text: str) -> bytes:
        """Return the signed note over ``text``.

        Raises:
            UsageError: If the text does not end in a newline or holds a control character.
        """
        _check_text(text)
        blob = _b64(self.verifier.hash + self._private.sign(text.encode()))
        return f"{text}\n— {self.verifier.name} {blob}\n".encode()


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key.

    Raises:
        UsageError: If it is not one, is not Ed25519, or its hash does not fit.
    """
    name, digest, public = _split_key(text, "verifier", prefixed=True)
    key = VerifierKey(name=name, public=public)
    if key.hash != digest:
        raise UsageError(f"the verifier key '{name}' is damaged: its hash is {key.hash.hex()}, it says {digest.hex()}")
    return key


def parse_note(data: bytes) -> Note:
    """Take a signed note apart; signatures are not verified.

    Raises:
        UsageError: If it is not a well-formed note.
    """
    if len(data) > MAX_NOTE:
        raise UsageError(f"a note of {len(data)} bytes is too long; at most {MAX_NOTE} are read")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError("not a signed note: it is not UTF-8") from error
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise UsageError("not a signed note: no empty line followed by signature lines")
    _check_text(text + "\n")
    rows = lines[:-1].split("\n")
    if len(rows) > MAX_SIGNATURES:
        raise UsageError(f"a note with {len(rows)} signatures; at most {MAX_SIGNATURES} are read")
    return Note(text=text + "\n", signatures=tuple(_signature(row) for row in rows))


def verify_note(data: bytes, key: VerifierKey) -> str:
    """Return the text of a note that ``key`` signed.

    Raises:
        UsageError: If it is not a well-formed note.
        AlteredError: If the key did not sign it, or one of its signatures does not verify.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    note = parse_note(data)
    mine = [s for s in note.signatures if (s.name, s.hash) == (key.name, key.hash)]
    if not mine:
        names = ", ".join(f"{s.name}+{s.hash.hex()}" for s in note.signatures)
        raise AlteredError(f"the note is not signed by {key.name}+{key.hash.hex()}; it is signed by {names}")
    try:
        public = Ed25519PublicKey.from_public_bytes(key.public)
        for signature in mine:
            public.verify(signature.value, note.text.encode())
    except (InvalidSignature, ValueError) as error:
        raise AlteredError(f"the signature of {key.name}+{key.hash.hex()} does not fit the note's text") from error
    return note.text


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's text; extension lines are refused.

    Raises:
        UsageError: If it is not one.
    """
    match = CHECKPOINT_TEXT.fullmatch(text)
    if not match:
        raise UsageError("not a checkpoint: wanted three lines: origin, size, root in base64")
    return Checkpoint(origin=match["origin"], size=int(match["size"]), root=_unb64(match["root"]))


def verify_checkpoint(data: bytes, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint that ``key`` signed.

    Raises:
        UsageError: If it is not a checkpoint.
        AlteredError: If the signature does not hold or its origin is another log's.
    """
    found = parse_checkpoint(verify_note(data, key))
    if found.origin != key.name:
        raise AlteredError(f"the checkpoint is of '{found.origin}', the key is of '{key.name}'")
    return found


def _signature(row: str) -> Signature:
    match = SIGNATURE_LINE.fullmatch(row)
    blob = _unb64(match["blob"]) if match else b""
    if not match or len(blob) <= HASH_BYTES:
        raise UsageError(f"not a signature line: {row[:80]!r}")
    return Signature(name=match["name"], hash=blob[:HASH_BYTES], value=blob[HASH_BYTES:])


def _split_key(text: str, kind: str, *, prefixed: bool) -> tuple[str, bytes, bytes]:
    parts = text.split("+", 2)
    match = len(parts) == 3 and re.fullmatch(r"[0-9a-f]{8}", parts[1])  # noqa: PLR2004 - name, hash, key
    blob = _unb64(parts[2]) if match else b""
    if not prefixed or not match or not parts[0] or len(blob) != 1 + KEY_BYTES or blob[:1] != ED25519:
        raise UsageError(f"not an Ed25519 {kind} key: wanted name+hash+base64 of one line")
    return parts[0], bytes.fromhex(parts[1]), blob[1:]


def _check_text(text: str) -> None:
    if not text.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", text):
        raise UsageError("a note's text ends in a newline and has no control characters")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if _b64(data) == text else b""  # only the one canonical form of the bytes
