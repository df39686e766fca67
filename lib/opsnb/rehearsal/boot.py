"""Starts hosts with namespaces of their own: ``python -I -m opsnb.rehearsal.boot`` with a plan on stdin, as root.

For each host a child leaves the machine's namespaces and has a child in turn, the host's process 1. That one waits
until its number is written down, lays a root file system of its own over the machine's, goes into it and becomes sshd.
Mounts exist only in the host's namespace: when its process 1 ends, they are gone, and so is every process of the host.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from opsnb.base.errors import OpsnbError
from opsnb.rehearsal import kernel, state
from opsnb.rehearsal.identity import File, Machine, files, user_ids
from opsnb.rehearsal.kernel import Mount, Namespaces

SPACES = Namespaces.MOUNTS | Namespaces.NAMES | Namespaces.IPC | Namespaces.PROCESSES
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DISK_SIZE = "2g"  # the most that the changes of one host may take
EMPTY = {  # what a host has of its own from the start, with its mode
    "home": 0o755, "root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777, "mnt": 0o755, "media": 0o755, "srv": 0o755,
    "etc/ssh": 0o755,
}  # fmt: skip
LAYERED = ("/etc", "/nix", "/opt", "/usr", "/var")  # a file system of its own there gets a layer of its own
NO_FILES = {"autofs", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "proc", "sysfs", "tmpfs"}
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")  # below /proc: what would reach the machine
OWN_SETTINGS = (  # below /proc/sys: these belong to the host's own namespaces, so it may write them
    "kernel/domainname", "kernel/hostname", "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
    "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "fs/mqueue",
)  # fmt: skip
HIDDEN = ("kcore", "keys", "timer_list")  # below /proc: the machine's memory and keys
GO = b"go"


def main() -> int:
    """Start every host of the plan on stdin; say on stderr what could not be started."""
    plan = json.load(sys.stdin)
    os.set_inheritable(int(plan["lock"]), False)  # noqa: FBT003  # held until every host runs, by nobody after that
    children = {_fork_host(plan, host): str(host["name"]) for host in plan["hosts"]}
    wrong = 0
    for pid in children:
        wrong |= os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return int(wrong != 0)


def _fork_host(plan: Mapping[str, Any], host: Mapping[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        _start(plan, host)
    except (OSError, OpsnbError) as error:
        sys.stderr.write(f"{host['name']}: {error}\n")
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _start(plan: Mapping[str, Any], host: Mapping[str, Any]) -> None:
    """Leave the namespaces, fork the host's process 1, write it down, let it go on, hear what became of it."""
    machine = Machine(passwd=_text("/etc/passwd"), group=_text("/etc/group"), resolver=_text("/etc/resolv.conf"))
    os.setsid()
    kernel.unshare(SPACES | (Namespaces.NETWORK if host.get("network") else Namespaces(0)))
    wait, go = os.pipe()
    hear, tell = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(go)
        os.close(hear)
        _first_process(plan, host, machine, wait, tell)
    os.close(wait)
    os.close(tell)
    state.remember(Path(plan["folder"]) / f"{host['name']}.json", state.process(first))
    os.write(go, GO)
    with os.fdopen(hear, "rb") as said:
        problem = said.read().decode("utf-8", "replace")
    if problem:
        raise OSError(problem)


def _first_process(
    plan: Mapping[str, Any], host: Mapping[str, Any], machine: Machine, wait: int, tell: int
) -> NoReturn:
    """Become the host, or tell why not. Runs in the new namespaces, as process 1 of them."""
    try:
        if os.read(wait, len(GO)) != GO:  # whoever should have written us down has died
            os._exit(1)
        log = os.open(Path(plan["folder"]) / f"{host['name']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open("/dev/null", os.O_RDONLY)
        root = own_root(Path(plan["folder"]), disk=host["disk"], hide=[*plan["hide"], *host["hide"]])
        _own_files(root, host, plan, machine)
        socket.sethostname(host["name"])
        kernel.change_root(root)
        kernel.drop_capabilities()
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.umask(0o022)
        for command in host["commands"]:
            _fork_service(command)
        # -D: in the foreground, as process 1: it collects orphans, and the host ends with it. -e: its log is our file.
        os.execve(host["sshd"], [host["sshd"], "-D", "-e"], {"PATH": PATH, "LANG": "C.UTF-8"})  # noqa: S606
    except BaseException as error:  # noqa: BLE001  (whatever it is, it is told, and nothing here may go on)
        os.write(tell, str(error).encode())
    os._exit(1)


def _fork_service(command: list[str]) -> None:
    """Start a program that goes into the background by itself; process 1 collects what is left of its beginning."""
    if os.fork() == 0:
        try:
            os.execve(command[0], command, {"PATH": PATH, "LANG": "C.UTF-8"})  # noqa: S606
        except OSError as error:
            os.write(2, f"{command[0]}: {error}\n".encode())
        os._exit(127)


def own_root(folder: Path, *, disk: str, hide: Sequence[str]) -> Path:
    """Lay a file system over the machine's, in a mount namespace that was just made.

    Args:
        folder: The fleet's state directory; ``root`` in it is where the mounts go.
        disk: A directory for what the host changes; in memory when empty.
        hide: Directories of the machine that the host may not see.

    Returns:
        The root directory of the host.

    Raises:
        OSError: If the kernel does not let this process.
    """
    kernel.mount("none", "/", flags=Mount.RECURSIVE | Mount.PRIVATE)
    layered = _layered()
    base = folder / "root"
    kernel.mount("opsnb", base, "tmpfs", Mount.NO_DEVICES, f"mode=0700,size={DISK_SIZE}")
    layers = Path(disk) if disk else base / "disk"
    root = base / "host"
    root.mkdir()
    layers.mkdir(parents=True, exist_ok=True)
    os.chdir(layers)  # relative names below: a workspace's path may hold what separates mount options
    for number, point in enumerate(["/", *layered]):
        upper, work = Path(f"upper{number}"), Path(f"work{number}")
        work.mkdir(exist_ok=True)
        if not upper.exists():
            upper.mkdir(mode=0o755)
            _hide(upper, Path(point), hide)
        kernel.mount(
            "opsnb", root / point.lstrip("/"), "overlay", Mount.NO_DEVICES,
            f"lowerdir={point},upperdir={upper},workdir={work}",
        )  # fmt: skip
    _own_kernel_files(root, base / "proc")
    return root


def _layered() -> list[str]:
    """Return where the machine has further file systems that a host needs, outermost first."""
    points = []
    for line in _text("/proc/self/mountinfo").splitlines():
        fields = line.split()
        point, kind = fields[4], fields[fields.index("-") + 1]
        below = any(point == place or point.startswith(place + "/") for place in LAYERED)
        if below and kind not in NO_FILES and Path(point).is_dir() and not set(point) & set("\\:,"):
            points.append(point)
    return sorted(set(points))


def _hide(upper: Path, point: Path, hide: Sequence[str]) -> None:
    """Give a host directories of its own where the machine keeps what is not the host's.

    A directory marked opaque shows nothing of what lies below it (kernel documentation, overlayfs).
    """
    modes = {"/" + name: mode for name, mode in EMPTY.items()} | dict.fromkeys(hide, 0o755)
    for name, mode in modes.items():
        if not Path(name).is_relative_to(point) or not Path(name).is_dir():
            continue
        here = upper
        for part in Path(name).relative_to(point).parts:
            here /= part
            if not here.exists():
                here.mkdir()
                here.chmod(stat.S_IMODE(Path(point, here.relative_to(upper)).stat().st_mode))
        here.chmod(mode)
        os.setxattr(here, "trusted.overlay.opaque", b"y")


def _own_kernel_files(root: Path, whole: Path) -> None:
    """Mount what a running host has: /run, /dev, /proc, /sys.

    Args:
        root: The host's root.
        whole: Where to mount a /proc that stays writable, outside of that root.
    """
    kernel.mount("tmpfs", root / "run", "tmpfs", Mount.NO_SETUID | Mount.NO_DEVICES, "mode=0755")
    for name, mode in (("run/sshd", 0o755), ("run/lock", 0o1777)):
        (root / name).mkdir()
        (root / name).chmod(mode)
    _own_devices(root / "dev")
    proc = root / "proc"
    whole.mkdir()
    for place in (whole, proc):
        kernel.mount("proc", place, "proc", Mount.NO_SETUID | Mount.NO_DEVICES | Mount.NO_EXECUTION)
    for name in READ_ONLY:
        if (proc / name).exists():
            kernel.bind(whole / name, proc / name, read_only=True)
    for name in OWN_SETTINGS:
        if (whole / "sys" / name).exists():
            kernel.bind(whole / "sys" / name, proc / "sys" / name)
    for name in HIDDEN:
        if (proc / name).exists():
            kernel.bind("/dev/null", proc / name)
    kernel.bind("/sys", root / "sys", read_only=True)


def _own_devices(dev: Path) -> None:
    kernel.mount("tmpfs", dev, "tmpfs", Mount.NO_SETUID, "mode=0755")
    for name in DEVICES:
        (dev / name).touch()
        kernel.bind(f"/dev/{name}", dev / name)
    (dev / "pts").mkdir()
    kernel.mount("devpts", dev / "pts", "devpts", Mount.NO_SETUID, "newinstance,ptmxmode=0666,mode=0620,gid=5")
    (dev / "shm").mkdir()
    kernel.mount("tmpfs", dev / "shm", "tmpfs", Mount.NO_SETUID | Mount.NO_DEVICES, "mode=1777")
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
    for name, target in links.items():
        (dev / name).symlink_to(target)


def _own_files(root: Path, host: Mapping[str, Any], plan: Mapping[str, Any], machine: Machine) -> None:
    """Write what makes the host another one than the machine; a host with a disk that was used keeps what it has."""
    if (root / "etc/ssh/sshd_config").exists():
        return
    own = files(
        host["name"], host["address"], host["port"], listen=host["listen"], key=host["key"], public=host["public"],
        authorized=plan["authorized"], machine=machine,
    )  # fmt: skip
    for user, number in user_ids(machine.passwd).items():
        for folder, mode in ((root / "home" / user, 0o750), (root / "home" / user / ".ssh", 0o700)):
            folder.mkdir()
            folder.chmod(mode)
            os.chown(folder, number, number)
    for name, file in own.items():
        if (root / name).parent.is_dir():  # no sudo on this machine, so no sudoers.d
            _write(root / name, file)
    for name, value in host["files"].items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        _write(root / name, File(**value))


def _write(path: Path, file: File) -> None:
    if file.directory:
        path.mkdir(parents=True, exist_ok=True)
    else:
        path.unlink(missing_ok=True)  # a link to elsewhere, such as resolv.conf often is, becomes a file
    if file.link:
        path.symlink_to(file.link)
        return
    if not file.directory:
        path.write_text(file.text, encoding="utf-8")
    path.chmod(file.mode)
    os.chown(path, file.owner, file.owner)


def _text(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace")
    return ""


if __name__ == "__main__":
    sys.exit(main())
