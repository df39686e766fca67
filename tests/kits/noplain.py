"""What stands in the place of a plain text file: how it is made there, and the reason with which it is refused."""

from __future__ import annotations

import os
import socket


def link(path):
    """Make a symbolic link to a readable file."""
    path.symlink_to("/etc/hostname")


def hard_link(path):
    """Make a second name for a file."""
    (path.parent / "other").write_text("x")
    path.hardlink_to(path.parent / "other")


def unix_socket(path):
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))


KINDS = {
    "symbolic link": (link, "symbolic link"),
    "dangling link": (lambda p: p.symlink_to("nowhere"), "symbolic link"),
    "directory": (lambda p: p.mkdir(), "not a regular file"),
    "pipe": (os.mkfifo, "not a regular file"),
    "socket": (unix_socket, "not a regular file"),
    "hard link": (hard_link, "2 names"),
    "NUL": (lambda p: p.write_bytes(b"a\0b"), "binary"),
    "not UTF-8": (lambda p: p.write_bytes(b"ok\xff"), r"not UTF-8 text \(byte 2\)"),
    "too large": (lambda p: p.write_bytes(b"x" * (256 * 1024 + 1)), "larger than 262144"),
}
