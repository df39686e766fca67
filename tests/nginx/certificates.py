"""Certificates that sign themselves, for servers of a test."""

from __future__ import annotations

import subprocess
from pathlib import Path

ARGV = (
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-subj",
    "/CN=a",
)


def write(key: Path, certificate: Path, *, days: int = 30) -> None:
    """Write a key and the certificate of its own that is good for some days."""
    argv = [*ARGV, "-days", str(days), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
