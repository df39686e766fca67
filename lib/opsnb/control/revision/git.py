"""Who wrote a file last, as git says. A commit's author can be made up, so this only ever adds to the authors."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

SECONDS = 10.0  # how long git may take
OFFLINE = {  # a clone that lacks something would fetch it, by a program that its configuration names
    "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0",
}  # fmt: skip
MARK = "\x01"  # begins a commit's line; no path of git's -z output does


def last_authors(root: Path, paths: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the e-mail address of the author of the last commit of each path; nothing where git does not know.

    Args:
        root: The workspace, in a git work tree or not.
        paths: Relative to the workspace.
    """
    wanted = set(paths)
    program = shutil.which("git")
    if not wanted or program is None or not any((place / ".git").exists() for place in (root, *root.parents)):
        return {}
    argv = [
        program, "-c", "core.fsmonitor=false", "-c", "log.showSignature=false", "-c", "core.quotepath=off",
        "--no-pager", "log", f"--format={MARK}%aE", "--name-only", "--relative", "-z", "--no-renames", "--", ".",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            argv, cwd=root, env={**os.environ, **OFFLINE}, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return _last(done.stdout.decode("utf-8", "replace"), wanted)


def _last(text: str, wanted: set[str]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    mail = ""
    for word in text.split("\0"):
        piece = word.lstrip("\n")
        if piece.startswith(MARK):
            mail, _, piece = piece[1:].partition("\n")
            mail, piece = mail.strip(), piece.strip("\n")
        if piece in wanted and piece not in found and mail:
            found[piece] = frozenset({mail.casefold()})
    return found
