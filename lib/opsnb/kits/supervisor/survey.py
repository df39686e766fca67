"""The Supervisors of many hosts: what runs, what does not and its last words, what differs from host to host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pandas as pd

from opsnb import fleet
from opsnb.base.errors import OpsnbError
from opsnb.fleet import UnknownOutcomeError, UnreachableError
from opsnb.kits import remote
from opsnb.kits.supervisor.config import HIDDEN, program_of
from opsnb.kits.supervisor.log import Life
from opsnb.kits.supervisor.reading import ALL_PARTS, Reading, read
from opsnb.kits.supervisor.status import STATES, Process
from opsnb.runbook.show import visible

MINUTE, HOUR, DAY = 60, 3600, 86400
LAST_LINES = 8  # of what a process said last
ENOUGH = 2  # hosts that have a program, before one without it is odd
MISSING = "(not there)"


Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was read.

    Args:
        readings: Host to what it said, in the order of the selection.
        unread: Host to what became of it: ``unreachable``, ``unknown`` or ``failed``, and why.
        own: Host to its own names and addresses, which differ from host to host by nature.
    """

    readings: dict[str, Reading]
    unread: dict[str, tuple[str, str]]
    own: dict[str, tuple[str, ...]]

    @property
    def supervised(self) -> dict[str, Reading]:
        """The hosts whose supervisord answered."""
        return {host: r for host, r in self.readings.items() if r.there and not r.problem}

    @property
    def without(self) -> list[str]:
        """The hosts that have no Supervisor."""
        return [host for host, r in self.readings.items() if not r.there]

    @property
    def silent(self) -> dict[str, str]:
        """The hosts whose supervisord does not answer, and why."""
        return {host: r.problem for host, r in self.readings.items() if r.there and r.problem}

    def processes(self) -> list[tuple[str, Process, Life]]:
        """Return every process with its host and its life, worst first: state, then restarts, then host."""
        rows = [
            (host, process, (r.log.lives if r.log else {}).get(process.short, Life()))
            for host, r in self.supervised.items()
            for process in r.processes
        ]
        return sorted(rows, key=lambda row: (STATES.index(row[1].state), -row[2].restarts, row[0]))


def survey(hosts: Sequence[str], conf: str = "", *, parts: str = ALL_PARTS, progress: Progress | None = None) -> Survey:
    """Read every host at once, each in one round trip.

    Args:
        hosts: Hosts of the run.
        conf: supervisord's configuration file; found where it is empty.
        parts: What is asked for, see :func:`opsnb.kits.supervisor.reading.read`.
        progress: Told how many hosts have answered: ``run.progress``.
    """
    answered = count(1)

    def one(host: str) -> Reading | tuple[str, str]:
        value = _one(host, conf, parts)
        if progress:
            progress(next(answered), len(hosts), "hosts answered")
        return value

    found = remote.over(hosts, one)
    return Survey(
        readings={host: value for host, value in found.items() if isinstance(value, Reading)},
        unread={host: value for host, value in found.items() if isinstance(value, tuple)},
        own={host: _own(host) for host in hosts},
    )


def hosts_table(seen: Survey) -> pd.DataFrame:
    """Return a row a host.

    Columns: ``host``, ``supervisord`` (its version, or what became of it), ``processes``, ``running``,
    ``configuration``, ``log since``, ``why`` (there is no more known).
    """
    rows = [(host, *_host_row(r)) for host, r in seen.readings.items()]
    rows += [(host, status, "", "", "", "", why) for host, (status, why) in seen.unread.items()]
    columns = ["host", "supervisord", "processes", "running", "configuration", "log since", "why"]
    return pd.DataFrame(rows, columns=columns)


def processes_table(seen: Survey) -> pd.DataFrame:
    """Return a row a process, worst first.

    Columns: ``host``, ``process``, ``state``, ``restarts`` (by Supervisor, after it ended by itself), ``uptime``,
    ``last end``, ``starts``, ``pid``, ``says`` (file and line of its program).
    """
    rows = [
        (
            host, visible(process.name), process.state, life.restarts, uptime_text(process), _end(process, life),
            life.starts, process.pid or "", place(seen.readings[host], process),
        )
        for host, process, life in seen.processes()
    ]  # fmt: skip
    columns = ["host", "process", "state", "restarts", "uptime", "last end", "starts", "pid", "says"]
    return pd.DataFrame(rows, columns=columns)


def last_words(seen: Survey) -> str:
    """Return what processes that do not run said last, worst first; and how their hosts describe them."""
    parts = []
    for host, process, _ in seen.processes():
        if process.name not in seen.readings[host].last_words:
            continue
        words = [visible(line) for line in seen.readings[host].last_words[process.name].splitlines()[-LAST_LINES:]]
        shown = "\n".join(f"    {line}" for line in words) or "    (it said nothing)"
        parts.append(f"{host} {visible(process.name)}: {process.state}  {visible(process.words)}\n{shown}")
    return "\n".join(parts) or "every process runs or was stopped by somebody"


def complaints(seen: Survey) -> pd.DataFrame:
    """Return what supervisord itself complained of: ``host``, ``said``."""
    rows = [(host, visible(said)) for host, r in seen.supervised.items() for said in (r.log.problems if r.log else ())]
    return pd.DataFrame(rows, columns=["host", "said"])


def pending(seen: Survey) -> pd.DataFrame:
    """Return where the configuration on disk is not what runs: ``host``, ``group``, ``on disk``, ``to take it``."""
    words = {
        "available": ("new, and not started", "supervisorctl update {}"),
        "changed": ("other than what runs", "supervisorctl update {} (restarts it)"),
        "disappeared": ("removed, and still known", "supervisorctl update {} (stops it)"),
    }
    rows = [
        (host, visible(group), words[how][0], words[how][1].format(visible(group)))
        for host, r in seen.supervised.items()
        for group, how in r.differs.items()
    ]
    rows += [
        (host, "(all)", f"cannot be read: {visible(r.unread)}", "mend the file")
        for host, r in seen.supervised.items() if r.unread
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["host", "group", "on disk", "to take it"])


def odd_programs(seen: Survey) -> pd.DataFrame:
    """Return where a host's programs are not those of the others.

    Columns: ``host``, ``program``, ``option``, ``here``, ``others``.
    Hosts' own names and addresses count as equal. A program is expected where at least two hosts and half of them have
    it. Commands and environments may hold passwords: that they differ is said, not how.
    """
    all_programs = {host: r.programs for host, r in seen.supervised.items()}
    counted = Counter(program for found in all_programs.values() for program in found)
    rows: list[tuple[str, str, str, str, str]] = []
    for program, having_it in sorted(counted.items()):
        if having_it < ENOUGH:
            continue
        having = {host: _alike(found[program].options, seen.own[host])
                  for host, found in all_programs.items() if program in found}  # fmt: skip
        rows += _odd_options(program, having)
        if having_it * 2 >= len(all_programs):
            rows += [
                (host, visible(program), "(program)", MISSING, f"on {having_it} of {len(all_programs)} hosts")
                for host in all_programs if host not in having
            ]  # fmt: skip
    return pd.DataFrame(rows, columns=["host", "program", "option", "here", "others"])


def evidence(seen: Survey) -> dict[str, Any]:
    """Return what stands in the record by name, so that two runs can be compared."""
    return {
        "processes": {
            f"{host} {process.name}": {"state": process.state, "restarts": life.restarts, "unexpected": life.unexpected}
            for host, process, life in seen.processes()
        },
        "without": seen.without,
        "silent": seen.silent,
    }


def logless(seen: Survey) -> list[str]:
    """Return the hosts whose supervisord answers and whose log could not be read, or says nothing."""
    return [host for host, r in seen.supervised.items() if r.log is None or not r.log.since]


def summary(seen: Survey) -> str:
    """Return in one line how many processes there are and in which states."""
    states = Counter(process.state for _, process, _ in seen.processes())
    counted = ", ".join(f"{states[state]} {state}" for state in STATES if states[state]) or "none"
    return f"{len(seen.supervised)} supervisord answered; processes: {counted}"


def uptime_text(process: Process) -> str:
    """Return how long a process has run; empty when it does not."""
    if process.uptime is None:
        return ""
    seconds = process.uptime
    if seconds >= DAY:
        return f"{seconds // DAY} d {seconds % DAY // HOUR} h"
    return f"{seconds // HOUR}:{seconds % HOUR // MINUTE:02d}:{seconds % MINUTE:02d}"


def place(reading: Reading, process: Process) -> str:
    """Return the file and line that a process comes from; empty when no file has it."""
    programs = reading.programs
    section = programs.get(program_of(process.name, programs))
    return f"{visible(section.file)}:{section.line}" if section else ""


def _one(host: str, conf: str, parts: str) -> Reading | tuple[str, str]:
    try:
        return read(host, conf, parts=parts)
    except OpsnbError as error:
        kind = "unreachable" if isinstance(error, UnreachableError) else "unknown"
        became = kind if isinstance(error, (UnreachableError, UnknownOutcomeError)) else "failed"
        return became, visible(error.message.splitlines()[0].removeprefix(f"{host}: "))


def _own(host: str) -> tuple[str, ...]:
    address = str(fleet.machine(host).row.get("address", ""))
    return tuple(word for word in (address, host) if word)


def _host_row(r: Reading) -> tuple[str, str, str, str, str, str]:
    since = r.log.since if r.log else ""
    if not r.there:
        return "no Supervisor", "", "", "", "", ""
    if r.problem:
        return "does not answer", "", "", "", since, visible(r.problem)
    running = sum(process.state == "RUNNING" for process in r.processes)
    on_disk = f"{len(r.differs)} group(s) differ" if r.differs else "cannot be read" if r.unread else "runs"
    return r.version or "answers", str(len(r.processes)), str(running), on_disk, since, ""


def _end(process: Process, life: Life) -> str:
    if process.state == "STOPPED":
        return f"stopped, {visible(process.words)}"
    return f"{life.last_exit_at} {visible(life.last_exit)}" if life.last_exit else ""


def _alike(options: Mapping[str, str], own: Sequence[str]) -> dict[str, str]:
    """Return options in which what is the host's own by nature looks the same on every host."""
    found = dict(options)
    for name, value in found.items():
        for word in own:
            found[name] = found[name].replace(word, "{host}") if value else value
    return found


def _odd_options(program: str, having: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str, str, str, str]]:
    rows = []
    for option in sorted({name for options in having.values() for name in options}):
        values = {host: options.get(option, MISSING) for host, options in having.items()}
        (usual, most), *others = Counter(values.values()).most_common()
        if others and most == others[0][1] and len(values) > ENOUGH:
            rows.append(("(several)", visible(program), option, f"{len(others) + 1} different values", "no majority"))
            continue
        for host, value in values.items():
            if value != usual:
                here, rest = (value, usual) if option not in HIDDEN else ("(another one)", "(not shown)")
                rows.append((host, visible(program), option, visible(here), visible(rest)))
    return rows
