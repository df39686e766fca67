"""This machine's identity."""

from __future__ import annotations

import os
from pathlib import Path

from opsnb.base.canonical import digest


def machine_key() -> str:
    """Return this machine's "host key": a digest of its machine id."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            return digest({"machine": text})
    return digest({"machine": os.uname().nodename})
