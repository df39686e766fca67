"""What ``supervisorctl status`` prints, and in which words it says that it cannot. Pure: text in, values out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

STATES = ("FATAL", "BACKOFF", "UNKNOWN", "EXITED", "STARTING", "STOPPING", "STOPPED", "RUNNING")  # worst first
BROKEN = ("FATAL", "BACKOFF", "UNKNOWN")  # what nobody asked for
LINE = re.compile(rf"(?P<name>\S.*?)\s+(?P<state>{'|'.join(STATES)})(?:\s+(?P<words>.*))?")
RUNNING = re.compile(
    r"pid (?P<pid>\d+), uptime (?:(?P<days>\d+) days?, )?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)"
)
PROBLEMS = (  # what supervisorctl says where it cannot ask, and what it means
    (r"(?P<at>unix://\S+) no such file", "supervisord does not run: its socket {at} is not there"),
    (r"(?P<at>\S+) refused connection", "supervisord does not run: nobody listens at {at}"),
    (r"requires authentication", "supervisord wants another user or password than [supervisorctl] has"),
    (r"expects to talk to a server with API version", "supervisorctl and supervisord are of different versions"),
    (r"did not recognize the supervisor namespace", "[rpcinterface:supervisor] is missing in the configuration"),
    (r"(?:could not|cannot|can't) (?:find|read) config file (?P<at>\S+)", "the configuration file {at} cannot be read"),
    (r"Permission denied|PermissionError", "supervisorctl may not connect to supervisord: permission denied"),
    (r"^error: (?P<at>.*)", "supervisorctl failed: {at:.200}"),
    (r"^Error: (?P<at>.*)", "supervisorctl refuses its configuration: {at:.200}"),
)


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process that Supervisor has.

    Args:
        name: Its full name, as supervisorctl takes it: ``shop``, ``web:web_00``.
        state: One of ``STATES``.
        pid: Its number while it runs, else 0.
        uptime: Seconds that it has run; ``None`` when it does not.
        words: What supervisorctl adds: a date, ``Exited too quickly (process log may have details)``.
        started: When it was started, in clock ticks since boot; empty when it does not run.
    """

    name: str
    state: str
    pid: int = 0
    uptime: int | None = None
    words: str = ""
    started: str = ""

    @property
    def group(self) -> str:
        """The name of its group; a program alone is a group of its own name."""
        return self.name.partition(":")[0]

    @property
    def short(self) -> str:
        """Its name within the group, as the log of supervisord has it."""
        return self.name.partition(":")[2] or self.name


def parse_status(text: str, starts: Mapping[int, str] | None = None) -> tuple[tuple[Process, ...], str]:
    """Return the processes, and why there are none where supervisorctl could not ask.

    Args:
        text: What ``supervisorctl status`` printed.
        starts: When each pid was started.
    """
    found = []
    for line in text.splitlines():
        if match := LINE.fullmatch(line.rstrip()):
            found.append(_process(match, starts or {}))
        elif problem := problem_of(line):
            return (), problem
    if not found and text.strip():
        return (), f"supervisorctl said {text.strip().splitlines()[-1]:.200}"
    return tuple(found), ""


def problem_of(text: str) -> str:
    """Return in plain words why supervisorctl could not ask; empty where it says nothing of that kind."""
    for pattern, words in PROBLEMS:
        if match := re.search(pattern, text):
            return words.format(**match.groupdict())
    return ""


def parse_starts(text: str) -> dict[int, str]:
    """Return when each process was started, from lines ``PID TICKS``."""
    rows = (line.split() for line in text.splitlines())
    return {int(row[0]): row[1] for row in rows if len(row) == 2 and row[0].isdigit()}  # noqa: PLR2004  (a pair)


def parse_reread(text: str) -> tuple[dict[str, str], str]:
    """Return the groups of which the configuration on disk is not what runs, and why there is no answer.

    Returns:
        Group to ``available`` (not started), ``changed`` or ``disappeared`` (removed on disk, and still there).
    """
    found = {}
    for line in text.splitlines():
        name, _, word = line.rpartition(": ")
        if word in {"available", "changed", "disappeared"}:
            found[name] = word
        elif line.startswith("ERROR"):
            return {}, line.partition(":")[2].strip() or line
        elif problem := problem_of(line):
            return {}, problem
    return found, ""


def _process(match: re.Match[str], starts: Mapping[int, str]) -> Process:
    words = match["words"] or ""
    running = RUNNING.match(words)
    if running is None:
        return Process(name=match["name"], state=match["state"], words=words)
    part = {name: int(value or 0) for name, value in running.groupdict().items()}
    uptime = ((part["days"] * 24 + part["hours"]) * 60 + part["minutes"]) * 60 + part["seconds"]
    pid = part["pid"]
    return Process(name=match["name"], state=match["state"], pid=pid, uptime=uptime, started=starts.get(pid, ""))
