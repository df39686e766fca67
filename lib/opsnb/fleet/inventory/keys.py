"""Pinned host keys: public key lines as OpenSSH writes them, checked down to their fields, and their fingerprints.

RFC 4253 section 6.6 (RSA), RFC 5656 section 3.1 (ECDSA), RFC 8709 section 4 (Ed25519): a key is its type and its
fields, each with a four-byte length in front. A line whose base64 holds another type than it says is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable

from opsnb.base.canonical import digest

MAX_LINE = 4096  # characters; an RSA key of 16,384 bits has 2,800
MAX_KEYS = 16  # of one host
FIELDS = {"ssh-ed25519": 1, "ssh-rsa": 2, "ecdsa-sha2-nistp256": 2, "ecdsa-sha2-nistp384": 2, "ecdsa-sha2-nistp521": 2}
"""Kind of key to how many fields follow its type."""
ED25519 = 32  # bytes
MIN_RSA = 1024 // 8  # bytes; sshd before 2013 made these, and smaller ones are factored


def key_line(text: str) -> str:
    """Return a public key line without its comment.

    Args:
        text: ``ssh-ed25519 AAAA... comment``; a host name in front, as in ``known_hosts``, is not part of it.

    Raises:
        ValueError: If it is not one whole public key; says why.
    """
    if len(text) > MAX_LINE:
        raise ValueError(f"has {len(text)} characters, at most {MAX_LINE} are read")
    words = text.split(None, 2)
    if len(words) < 2:  # noqa: PLR2004 - type and base64
        raise ValueError("wanted a type and its base64: 'ssh-ed25519 AAAA...'")
    kind, encoded = words[0], words[1]
    if kind not in FIELDS:
        more = "; DSA keys are too weak to pin" if kind == "ssh-dss" else ""
        raise ValueError(f"type '{kind[:40]}' is not one of {', '.join(FIELDS)}{more}")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("what follows the type is not base64") from None
    parts = _parts(blob)
    if parts[0] != kind.encode():
        raise ValueError(f"says '{kind}', and holds a key of type '{parts[0].decode('ascii', 'replace')[:40]}'")
    _check(kind, parts)
    return f"{kind} {encoded}"


def fingerprint(line: str) -> str:
    """Return what ``ssh-keygen -lf`` shows of a key line: ``SHA256:`` and base64 without padding."""
    blob = base64.b64decode(line.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def keys_digest(lines: Iterable[str]) -> str:
    """Return the SHA-256 over the canonical JSON of the sorted key lines: what a sealed row binds."""
    return digest(sorted(lines))


def _parts(blob: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(blob):
        size = int.from_bytes(blob[at : at + 4], "big")
        part = blob[at + 4 : at + 4 + size]
        if len(part) != size or at + 4 > len(blob):
            raise ValueError("its base64 is cut off")
        parts.append(part)
        at += 4 + size
    if not parts:
        raise ValueError("its base64 is empty")
    return parts


def _check(kind: str, parts: list[bytes]) -> None:
    if len(parts) != 1 + FIELDS[kind]:
        raise ValueError(f"holds {len(parts) - 1} fields, a key of type '{kind}' has {FIELDS[kind]}")
    if kind == "ssh-ed25519" and len(parts[1]) != ED25519:
        raise ValueError(f"holds a key of {len(parts[1])} bytes, wanted {ED25519}")
    if kind == "ssh-rsa" and (size := len(parts[2].lstrip(b"\0"))) < MIN_RSA:
        raise ValueError(f"is an RSA key of {size * 8} bits, at least {MIN_RSA * 8} are wanted")
    if kind.startswith("ecdsa") and parts[1] != kind.rpartition("-")[2].encode():
        raise ValueError("names another curve inside than outside")
