"""What a fleet can be on this machine: which programs are there, and whether hosts can have namespaces of their own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from opsnb.base.errors import UnavailableError
from opsnb.rehearsal.tier import Tier

PROBE_SECONDS = 20.0
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NO_SHELL = ("nologin", "false")
SERVICE_USERS = ("www-data", "nginx", "nobody")  # the first that the machine has
UWSGI_PYTHON = ("/usr/lib/uwsgi/plugins/python3_plugin.so", "/usr/lib64/uwsgi/python3_plugin.so")


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The programs that a fleet is made with, by path; sudo is empty where there is none."""

    sshd: str
    keygen: str
    sudo: str


def programs() -> Programs:
    """Find sshd, ssh-keygen and sudo.

    Raises:
        UnavailableError: If sshd or ssh-keygen is not there, with the package that has it.
    """
    path = os.environ.get("PATH", "") + ":" + SYSTEM_PATH
    found = {name: shutil.which(name, path=path) or "" for name in ("sshd", "ssh-keygen", "sudo")}
    for name, package in (("sshd", "openssh-server"), ("ssh-keygen", "openssh-client")):
        if not found[name]:
            raise UnavailableError(
                f"a rehearsal fleet needs {name}, and this machine has none",
                hint=f"apt-get install {package}   (openssh-server has both on Red Hat: dnf install openssh-server)",
            )
    return Programs(sshd=found["sshd"], keygen=found["ssh-keygen"], sudo=found["sudo"])


def tier() -> Tier:
    """Find what hosts of a web tier serve with: only what the system has, since a host sees nothing else."""
    found = {name: shutil.which(name, path=SYSTEM_PATH) or "" for name in ("nginx", "supervisord", "uwsgi", "python3")}
    plugin = any(Path(place).exists() for place in UWSGI_PYTHON)
    user = next((pwd.getpwnam(name) for name in SERVICE_USERS if _known(name)), pwd.getpwuid(0))
    return Tier(
        nginx=found["nginx"], supervisord=found["supervisord"], uwsgi=found["uwsgi"] if plugin else "",
        python=found["python3"], user=user.pw_name, user_id=user.pw_uid,
    )  # fmt: skip


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def why_shared(folder: Path, lock: int) -> str:
    """Return why hosts cannot have namespaces of their own here; empty if they can.

    Args:
        folder: A directory to try it in; nothing is left there.
        lock: The fleet's lock, which is held until the attempt has ended.
    """
    if os.geteuid() != 0:
        return "only root can give a host a file system and processes of its own"
    (folder / "root").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-I", "-m", "opsnb.rehearsal.attempt", str(folder)],
        capture_output=True, text=True, timeout=PROBE_SECONDS, check=False, stdin=subprocess.DEVNULL,
        pass_fds=[lock],
    )  # fmt: skip
    return (
        "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["the attempt ended without a word"])[-1]
    )


def login_name() -> str:
    """Return the name of the user that this process is.

    Raises:
        UnavailableError: If nobody can log in as that user.
    """
    try:
        account = pwd.getpwuid(os.geteuid())
    except KeyError:
        raise UnavailableError(
            f"user id {os.geteuid()} has no account, and sshd lets nobody in without one",
            hint="run it as a user of this machine, or as root",
        ) from None
    if Path(account.pw_shell).name in NO_SHELL:
        raise UnavailableError(
            f"the shell of user '{account.pw_name}' is {account.pw_shell}, so nobody can log in as that user",
            hint="run it as a user with a shell, or as root",
        )
    return account.pw_name
