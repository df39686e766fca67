"""The key under which a request's kernels hash what no plan may show.

A plan, and the manifest of a run, are read by many people for years; a plain hash of a short secret in them can be
guessed. So it is HMAC-SHA-256 under a key of the request, which is made of the request's id and of ``hiding.key``
beside the other keys (mode 0600): the same in its plan, apply, retry and undo, of no use for anything else, and found
in no record. Without the file a new one is made, and what was planned before has drifted.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from pathlib import Path

from opsnb.base.errors import AlteredError, UnavailableError
from opsnb.control.files import write_atomic

KEY_FILE = "keys/hiding.key"
KEY_BYTES = 32
_MAKING = threading.Lock()  # one process owns the state, and two of its runs may be the first


def request_key(state: Path, request: str) -> str:
    """Return the key of a request, as 64 hex digits.

    Args:
        state: The workspace's ``.opsnb/``.
        request: The request's id.

    Raises:
        AlteredError: If the key file is not one.
        UnavailableError: If it cannot be read or made: a full disk, as a rule.
    """
    try:
        with _MAKING:
            key = _key(state / KEY_FILE)
    except OSError as error:
        raise UnavailableError(f"{state / KEY_FILE}: {error.strerror}") from error
    return hmac.new(key, request.encode(), "sha256").hexdigest()


def _key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        key = secrets.token_bytes(KEY_BYTES)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, key.hex().encode("ascii"), mode=0o600)
    except ValueError as error:
        raise AlteredError(f"{path} is not a key file", hint="remove it: a new one is made") from error
    if len(key) != KEY_BYTES:
        raise AlteredError(f"{path} is not a key file", hint="remove it: a new one is made")
    return key
