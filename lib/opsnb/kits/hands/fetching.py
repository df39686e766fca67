"""Files from hosts: into the run's files, whole, with the digest that the host computed.

Any bytes, in pieces, so that memory does not grow with the file. A file that changes while it is read has another
digest in the end and is not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.files.states import plain
from opsnb.runbook import Run

if TYPE_CHECKING:
    import pandas as pd

MAX_TOTAL = 200 * 1024**2  # bytes of one run; its record keeps 256 MiB of files
BLOCK = 65536  # bytes
BLOCKS = 256  # of a piece: 16 MiB, half of what is kept of one command's output
PIECE_SECONDS = 120.0

# $1 path; answers "SIZE DIGEST"
FACTS = r"""
set -uf
p=$1
end() { printf '%s %s\n' "$p" "$2" >&2; exit "$1"; }
if [ ! -e "$p" ]; then
  [ "$(id -u)" = 0 ] || end 77 "is not there, or may not be seen"
  end 78 "is not there"
fi
[ -f "$p" ] || end 78 "is not a regular file"
[ -r "$p" ] || end 77 "may not be read"
size=$(stat -L -c %s -- "$p")
set -- $(sha256sum <"$p" 2>/dev/null)
[ $# -gt 0 ] || end 77 "may not be read"
printf '%s %s\n' "$size" "$1"
"""

# $1 path, $2 block to begin with, $3 blocks
PIECE = r"""
[ -r "$1" ] || { printf '%s may not be read\n' "$1" >&2; exit 77; }
exec dd if="$1" bs=65536 skip="$2" count="$3" 2>/dev/null
"""


def fetch(run: Run, paths: Sequence[str]) -> list[dict[str, Any]]:
    """Fetch files from every host of the run into its files, as ``HOST/NAME``.

    Returns:
        Rows ``{"host", "path", "file", "size", "sha256", "error"}``; ``file`` is empty where there is an error.

    Raises:
        UsageError: If a path is not absolute and plain, or two have the same name.
    """
    for path in paths:
        plain(path)
    names = [PurePosixPath(path).name for path in paths]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two files are called {twice[0]}, and would lie over each other", hint="fetch them apart")
    found = remote.over(run.hosts, lambda host: [_facts(host, path) for path in paths])
    rows = [row for of_host in found.values() for row in of_host]
    total = sum(row["size"] for row in rows)
    if total > MAX_TOTAL:
        raise UsageError(f"the files have {total} bytes together; at most {MAX_TOTAL} are kept with a run")
    remote.over(run.hosts, lambda host: _get_all(run, found[host]))
    run.evidence("files", rows)
    return rows


def fetched(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows for a reader."""
    import pandas as pd

    return pd.DataFrame(list(rows), columns=["host", "path", "size", "sha256", "error"])


def _facts(host: str, path: str) -> dict[str, Any]:
    row: dict[str, Any] = {"host": host, "path": path, "file": "", "size": 0, "sha256": "", "error": ""}
    try:
        size, digest = remote.look(host, FACTS, path, seconds=PIECE_SECONDS).text.split()
    except OpsnbError as error:
        return {**row, "error": error.message}
    return {**row, "size": int(size), "sha256": digest}


def _get_all(run: Run, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if not row["error"]:
            _get(run, row)


def _get(run: Run, row: dict[str, Any]) -> None:
    """Fetch one file; what goes wrong is said in its row."""
    host, name = str(row["host"]), PurePosixPath(row["path"]).name
    folder = run.files / host
    folder.mkdir(exist_ok=True)
    part = folder / f"{name}.part"  # what stays of it when the run is ended meanwhile says that it is not whole
    digest, size = hashlib.sha256(), 0
    try:
        with part.open("wb") as stream:
            while size < row["size"]:
                words = (row["path"], str(size // BLOCK), str(BLOCKS))
                piece = remote.look(host, PIECE, *words, seconds=PIECE_SECONDS).stdout
                stream.write(piece)
                digest.update(piece)
                size += len(piece)
                if len(piece) < BLOCK * BLOCKS:
                    break
        if digest.hexdigest() != row["sha256"]:
            raise OpsnbError(f"{host}: {row['path']} changed while it was read; it is not kept")  # noqa: TRY301
        row["file"] = f"{host}/{part.rename(folder / name).name}"
    except OpsnbError as error:
        part.unlink(missing_ok=True)
        row["error"] = error.message
