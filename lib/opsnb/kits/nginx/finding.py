"""Where nginx is on a host, whether it runs, with which file: from its master process, else from the usual places.

One round trip. A process that only calls itself nginx is not believed: masters of root and of the login come first,
those of other containers (another PID namespace) do not count, and only a binary that belongs to root or to the login
is asked for its version (``-V``).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import join

from opsnb.base.errors import NotFoundError, UsageError
from opsnb.kits import remote
from opsnb.kits.nginx.scripts import FIND
from opsnb.kits.nginx.tokens import WILD

TICKS = 100.0  # clock ticks a second in /proc: USER_HZ is 100 on every architecture that Linux has left
MASTER, WORKER = "nginx: master process", "nginx: worker process"
CALLED = ("nginx", "openresty", "tengine", "angie", "freenginx")

PLACES = (
    "/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/local/nginx/sbin/nginx", "/usr/local/openresty/nginx/sbin/nginx",
    "/usr/local/openresty/bin/openresty", "/opt/openresty/nginx/sbin/nginx", "/usr/local/tengine/sbin/nginx",
    "/opt/tengine/sbin/nginx", "/opt/nginx/sbin/nginx", "/usr/local/bin/nginx", "/usr/sbin/angie",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One worker process.

    Args:
        pid: Its number.
        user: Whose it is.
        started: When it began, seconds since 1970.
        leaving: Whether it only finishes what it has: a reload or a stop came after it.
    """

    pid: int
    user: str
    started: float
    leaving: bool


@dataclass(frozen=True, kw_only=True)
class Installation:
    """nginx on one host.

    Args:
        host: The host.
        binary: Its path; empty where only ``conf`` is known.
        conf: The configuration file, absolute.
        prefix: What paths of logs and of ``root`` are relative to, absolute.
        pid: Of the running master; ``None`` when none runs with this file.
        name: ``nginx``, ``openresty``, ``Tengine``, ...
        version: Such as ``1.22.1``; empty when it was not said.
        modules: Built in or loadable: ``http_stub_status``, ``stream``, ``http_lua``, ...
        user: Who the workers are; else who they would be by ``./configure``.
        generation: Changes with every reload and start; empty when none runs.
        workers: The running ones.
        loaded: When the running configuration was loaded, seconds since 1970; ``None`` when none runs.
        options: What ``-g`` gave.
        configured: The arguments of ``./configure``.
    """

    host: str
    binary: str
    conf: str
    prefix: str
    pid: int | None = None
    name: str = ""
    version: str = ""
    modules: tuple[str, ...] = ()
    user: str = ""
    generation: str = ""
    workers: tuple[Worker, ...] = ()
    loaded: float | None = None
    options: str = ""
    configured: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process that calls itself nginx."""

    pid: int
    parent: int
    start: int
    uid: int
    user: str
    title: str
    exe: str = ""
    cwd: str = ""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What :data:`opsnb.kits.nginx.scripts.FIND` saw: processes, binaries with what ``-V`` said, the time of boot."""

    processes: tuple[Process, ...]
    binaries: dict[str, str]
    boot: float


def find(host: str, conf: str = "") -> Installation:
    """Return nginx on a host.

    Args:
        host: The host.
        conf: The configuration file, when it is not the running one's or the usual one.

    Raises:
        NotFoundError: If there is no nginx.
        UsageError: If ``conf`` is not absolute, or several run and none was named.
        UnreachableError: If the host cannot be reached.
        OpsnbError: If it may not be looked for.
    """
    if (conf and not (conf.startswith("/") and conf.isprintable())) or WILD & set(conf):
        wanted = "it is absolute, and has no '*', '?' or '['"
        raise UsageError(f"the configuration file is {conf!r:.200}; {wanted}", hint="/etc/nginx/nginx.conf")
    return installation(host, parse_sight(remote.look(host, FIND, *PLACES).text), conf)


def parse_sight(text: str) -> Sight:
    """Return what the script saw; pure."""
    rows: dict[int, dict[str, object]] = {}
    binaries: dict[str, str] = {}
    boot, last = 0.0, ""
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "btime":
            boot = float(rest)
        elif word == "process" and (p := re.match(r"(\d+) (\d+) (\d+) (\d+) (\S+) (.*)", rest)):
            pid, parent, start, uid = map(int, p.groups()[:4])
            rows[pid] = {"pid": pid, "parent": parent, "start": start, "uid": uid, "user": p[5], "title": p[6].strip()}
        elif word in {"exe", "cwd"}:
            pid_text, _, path = rest.partition(" ")
            rows[int(pid_text)][word] = path
        elif word == "binary":
            last = rest
            binaries[last] = ""
        elif word == "|" and last:
            binaries[last] += rest + "\n"
    return Sight(processes=tuple(Process(**row) for row in rows.values()), binaries=binaries, boot=boot)  # type: ignore[arg-type]


def installation(host: str, sight: Sight, conf: str = "") -> Installation:
    """Return the installation that was meant; pure.

    Raises:
        NotFoundError: If there is none.
        UsageError: If several run and none was named.
    """
    found = [_running(host, sight, master) for master in _masters(sight)]
    chosen = [one for one in found if not conf or one.conf == conf]
    files = sorted({one.conf for one in chosen})
    if len(files) > 1:
        running = ", ".join(f"{one.conf} (pid {one.pid})" for one in chosen)
        raise UsageError(f"{host}: {len(chosen)} nginx run here: {running}", hint=f"name one: conf={files[0]}")
    if chosen:
        return max(chosen, key=lambda one: (one.loaded or 0, one.pid or 0))  # the new one of a binary upgrade
    if not sight.binaries and not conf:
        raise NotFoundError(f"{host}: no nginx runs, and none is in the usual places", hint="conf=, if it is there")
    binary = next(iter(sight.binaries), "")
    return _described(host, binary, sight.binaries.get(binary, ""), conf=conf)


def parse_version(said: str) -> tuple[str, str, tuple[str, ...]]:
    """Return name, version and the arguments of ``./configure`` from what ``nginx -V`` says; pure."""
    names = re.findall(r"^(\S+) version: (?:([\w-]+)/)?(\S+)", said, re.MULTILINE)
    first = next((n for n in names if n[0].lower() != "nginx"), names[0] if names else ("", "", ""))
    line = re.search(r"^configure arguments: (.*)$", said, re.MULTILINE)
    try:
        configured = tuple(shlex.split(line[1])) if line else ()
    except ValueError:  # a quote without its end
        configured = tuple(line[1].split()) if line else ()
    return first[1] or first[0], first[2], configured


def parse_command(title: str) -> dict[str, str]:
    """Return the options of a master's command line, ``-c``, ``-p``, ``-e``, ``-g``: what stands behind its title."""
    words, found, last = title.removeprefix(MASTER).split()[1:], {"c": "", "p": "", "e": "", "g": ""}, ""
    for word in words:
        option = re.fullmatch(r"-[qtT]*([cpeg])(.*)", word)
        if option and not (last == "g" and found["g"] and not found["g"].endswith(";")):
            last = option[1]
            found[last] = option[2]
        elif last:
            found[last] = f"{found[last]} {word}".strip()
    return found


def parse_modules(configured: Iterable[str]) -> tuple[str, ...]:
    """Return the modules that ``./configure`` was asked for, by name, sorted."""
    names = set()
    for word in configured:
        option, _, value = word.partition("=")
        if option in {"--add-module", "--add-dynamic-module"}:
            names.add(PurePosixPath(value).name)
        elif option in {"--with-stream", "--with-mail"} or re.fullmatch(r"--with-\w+_module", option):
            names.add(option.removeprefix("--with-").removesuffix("_module"))
    return tuple(sorted(names))


def _masters(sight: Sight) -> list[Process]:
    masters = [p for p in sight.processes if p.title.startswith(MASTER + " ")]
    trusted = [p for p in masters if p.uid == 0]
    return trusted or masters


def _running(host: str, sight: Sight, master: Process) -> Installation:
    options = parse_command(master.title)
    workers = [p for p in sight.processes if p.parent == master.pid and p.title.startswith(WORKER)]
    serving = sorted((p.start, p.pid) for p in workers if "shutting down" not in p.title)
    since, number = serving[0] if serving else (master.start, master.pid)
    found = _described(
        host, master.exe, sight.binaries.get(master.exe, ""), conf=options["c"],
        prefix=join(master.cwd or "/", options["p"]) if options["p"] else "",
    )  # fmt: skip
    return Installation(**{
        **vars(found), "pid": master.pid, "generation": f"{since}-{number}", "loaded": sight.boot + since / TICKS,
        "user": workers[0].user if workers else found.user, "options": options["g"], "workers": tuple(
            Worker(pid=p.pid, user=p.user, started=sight.boot + p.start / TICKS, leaving="shutting down" in p.title)
            for p in sorted(workers, key=lambda p: p.pid)),
    })  # fmt: skip


def _described(host: str, binary: str, said: str, *, conf: str = "", prefix: str = "") -> Installation:
    name, version, configured = parse_version(said)
    given = _given(configured)
    prefix = (prefix or given.get("prefix") or "/usr/local/nginx").rstrip("/") or "/"
    conf = conf or given.get("conf-path") or "conf/nginx.conf"
    return Installation(
        host=host, binary=binary, conf=join(prefix, conf), prefix=prefix, name=name or _called(binary), version=version,
        modules=parse_modules(configured), user=given.get("user", "nobody"), configured=configured,
    )  # fmt: skip


def _given(configured: Sequence[str]) -> dict[str, str]:
    pairs = (word.removeprefix("--").partition("=") for word in configured if word.startswith("--"))
    return {name: value for name, _, value in pairs}


def _called(binary: str) -> str:
    name = PurePosixPath(binary).name
    return name if name in CALLED else "nginx"


__all__ = ["Installation", "Worker", "find", "installation", "parse_command", "parse_modules", "parse_version"]
