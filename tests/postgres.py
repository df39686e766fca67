"""A PostgreSQL of the tests' own: a cluster in a folder that is removed, on a socket in it, stopped by its own pid."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

USER = "nobody"  # initdb refuses to run as root
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs; skip the test where there is none."""
    found = shutil.which(name, path=os.pathsep.join([*map(str, reversed(PROGRAMS)), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip("there is no PostgreSQL on this machine (package postgresql)")
    return found


@contextmanager
def cluster() -> Iterator[str]:
    """Start a PostgreSQL; yields the URL of its one database. It listens on no port."""
    folder = Path(tempfile.mkdtemp(prefix="opsnb-pg-"))
    user = pwd.getpwnam(USER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    if os.geteuid() == 0:
        os.chown(folder, user.pw_uid, user.pw_gid)

    def run(name: str, *arguments: str) -> None:
        switch = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        log = folder / f"{name}.log"
        with log.open("wb") as stream:  # a pipe would be inherited, and waited for, by what pg_ctl starts
            done = subprocess.run(
                [program(name), *arguments], cwd=folder, stdout=stream, stderr=stream, check=False, **switch
            )
        assert done.returncode == 0, log.read_text(encoding="utf-8", errors="replace")

    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-A", "trust", "-U", "opsnb", "-E", "UTF8", "--locale=C", "-N")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c unix_socket_permissions=0777"
        run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://opsnb@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL for all tests of a process; each makes a database of its own with :func:`fresh`."""
    with cluster() as url:
        yield url


@contextmanager
def fresh(url: str, name: str) -> Iterator[str]:
    """Make a database in a cluster, and drop it afterwards; yields its URL."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        yield url.replace("/postgres?", f"/{name}?")
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    except OperationalError as error:
        raise AssertionError(str(error)) from error
    finally:
        engine.dispose()
