"""Hosts that share this machine and its user: what a fleet is without root.

Each has an sshd of its own with a host key, an address, a home directory and a name in ``OPSNB_HOST``. File system,
processes and user are the machine's; sudo is not used.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from opsnb.rehearsal import state
from opsnb.rehearsal.hosts import SSHD, Host
from opsnb.rehearsal.keys import Keys, host_key

MARK = "OPSNB_REHEARSAL"  # in the environment of whatever a session starts: the fleet's token
PRIVILEGE_SEPARATION = Path("/run/sshd")  # sshd run by root wants it; an init system makes it otherwise
CONFIG = """\
Port {port}
ListenAddress {address}
HostKey {key}
AuthorizedKeysFile {authorized}
PidFile none
StrictModes no
PermitRootLogin prohibit-password
{alike}SetEnv HOME={home} OPSNB_HOST={name} {mark}={token}
ForceCommand {enter}
"""
ENTER = """\
#!/bin/sh
# What every session of a rehearsal host runs: its home first, then what was asked for.
cd "$HOME" || exit 1
if [ -n "$SSH_ORIGINAL_COMMAND" ]; then exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"; fi
exec /bin/sh -l
"""
WAIT_AND_BECOME = 'read -r go && exec "$@" </dev/null'  # the program starts when its number was written down


def start(folder: Path, hosts: Sequence[Host], *, keys: Keys, sshd: str, token: str) -> None:
    """Start hosts; each is written down in ``folder`` before it does anything.

    Args:
        folder: The fleet's state directory.
        hosts: The hosts to start.
        keys: The fleet's keys.
        sshd: Path of sshd.
        token: What marks this fleet's sessions.
    """
    if wants_separation():
        PRIVILEGE_SEPARATION.mkdir(mode=0o755)
    state.write(folder / "authorized_keys", f"{keys.observe}\n{keys.change}\n")
    state.write(folder / "enter", ENTER, 0o700)
    for host in hosts:
        home = folder / "homes" / host.name
        home.mkdir(parents=True, exist_ok=True)
        config = folder / f"{host.name}.conf"
        state.write(config, configuration(folder, host, token))
        with (folder / f"{host.name}.log").open("ab") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", WAIT_AND_BECOME, "sh", sshd, "-D", "-e", "-f", str(config)],
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, cwd="/",
            )  # fmt: skip
        state.remember(folder / f"{host.name}.json", state.process(process.pid))
        assert process.stdin is not None
        with process.stdin as go:
            go.write(b"go\n")


def configuration(folder: Path, host: Host, token: str) -> str:
    """Return the sshd_config of one host."""
    return CONFIG.format(
        alike=SSHD,
        port=host.port, address=host.address, key=_quoted(host_key(folder, host.name)), name=host.name,
        authorized=_quoted(folder / "authorized_keys").replace("%", "%%"), home=_quoted(folder / "homes" / host.name),
        mark=MARK, token=token, enter=shlex.quote(str(folder / "enter")).replace("%", "%%"),
    )  # fmt: skip


def wants_separation() -> bool:
    """Whether an sshd of this user wants a directory that is not there."""
    return os.geteuid() == 0 and not PRIVILEGE_SEPARATION.exists()


def stop(processes: Iterable[state.Process], token: str, *, separation: bool) -> None:
    """Kill hosts and what their sessions started.

    Args:
        processes: Each host's sshd.
        token: What marks the fleet's sessions.
        separation: Whether the fleet made sshd's directory, and so removes it.
    """
    for process in processes:
        if process.signal(signal.SIGSTOP):  # so that it starts no further session
            for child in descendants(process.pid):
                child.kill()
        process.kill()
    for left in _marked(token):
        left.kill()
    if separation:
        with contextlib.suppress(OSError):
            PRIVILEGE_SEPARATION.rmdir()


def descendants(pid: int) -> list[state.Process]:
    """Return the children of a process, and theirs."""
    return _still(below(pid, children()))


def children() -> dict[int, list[int]]:
    """Return the numbers of the children of every process on this machine."""
    found: dict[int, list[int]] = {}
    for number in _numbers():
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
            found.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(number)
    return found


def below(pid: int, known: Mapping[int, Sequence[int]]) -> list[int]:
    """Return the numbers of all below a process."""
    found: list[int] = []
    todo = [pid]
    while todo:
        next_ones = known.get(todo.pop(), [])
        todo += next_ones
        found += next_ones
    return found


def _marked(token: str) -> list[state.Process]:
    wanted = f"{MARK}={token}".encode()
    found = []
    for number in _numbers():
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{number}/environ").read_bytes().split(b"\0"):
                found.append(number)
    return _still(found)


def _numbers() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and int(path.name) != os.getpid()]


def _still(numbers: Iterable[int]) -> list[state.Process]:
    found = [(number, state.started(number)) for number in numbers]
    boot = state.boot()
    return [state.Process(pid=number, start=start, boot=boot) for number, start in found if start is not None]


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
