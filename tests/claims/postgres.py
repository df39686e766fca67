"""A PostgreSQL of one's own: initdb and pg_ctl as an unprivileged user, on a Unix socket in a temporary directory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import quote

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/bin"))
USER = "postgres"  # who comes with the package


def there() -> bool:
    """Whether this machine has PostgreSQL, and we may become its user (or are nobody special)."""
    return (BIN / "initdb").exists()


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of an empty server; it is stopped and removed afterwards. No port is opened."""
    root = Path(mkdtemp(prefix="opsnb-pg-", dir="/tmp"))  # a socket's path is short
    data, env = root / "data", {"PATH": f"{BIN}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    become: dict[str, str | int] = {}
    if os.getuid() == 0:
        shutil.chown(root, USER, USER)
        become = {"user": USER, "group": USER}

    def run(*argv: str) -> None:
        subprocess.run(argv, check=True, capture_output=True, cwd=root, env=env, timeout=120, **become)

    try:
        run(str(BIN / "initdb"), "-D", str(data), "-A", "trust", "-U", "opsnb", "-E", "UTF8", "--no-sync")
        options = f"-k {root} -c listen_addresses='' -c max_connections=60 -c fsync=off -c synchronous_commit=off"
        run(str(BIN / "pg_ctl"), "-D", str(data), "-l", str(root / "log"), "-w", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://opsnb@/postgres?host={quote(str(root), safe='')}"
        finally:
            run(str(BIN / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(root)
