"""Read one host: two samples of ``/proc``; each section is parsed on its own, so that one failure hides no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import pandas as pd

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits.linux import disks, network, owners, processes, sar, sockets
from opsnb.kits.linux.cpu import (
    CpuInfo,
    Load,
    cpu_usage,
    parse_cpuinfo,
    parse_loadavg,
    parse_pressure,
    parse_stat,
    parse_uptime,
)
from opsnb.kits.linux.memory import Memory, parse_meminfo
from opsnb.kits.linux.source import PENDING, REFUSED, SKIPPED, Capture, Sample, Source, ThisMachine

T = TypeVar("T")
SECTIONS = ("cpu", "cpu usage", "disks", "load", "memory", "network", "pressure", "processes", "sockets", "uptime")
NO_COUNTERS = {
    REFUSED: "may not be asked by this user", SKIPPED: "were not asked, there are too many",
    PENDING: "had not answered when the host's answer ended",
}  # fmt: skip
MIN_SECONDS, MAX_SECONDS = 0.2, 60.0  # under 0.2 s a tick of 10 ms is 5 %; over a minute nobody waits


@dataclass(frozen=True, kw_only=True)
class Section(Generic[T]):
    """What one part of a host showed, or why it could not be read.

    Args:
        name: One of ``SECTIONS``.
        value: The parsed value, ``None`` when it failed.
        error: Why it failed, empty when it did not.
    """

    name: str
    value: T | None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class HostReading:
    """One host at one time, with rates over the interval of two samples. Units stand with each parser.

    Args:
        seconds: The interval as it was measured.
        parts: Every section by name.
        users: User names by uid.
        notes: What could not be seen, or was cut, in words.
        owners: Which process owns a listening socket, as far as the login may see it; ``None`` where nobody was asked.
        history: What sysstat collected on the host today, ``None`` where there is none.
        history_note: Why there is none.
        reader: Pid of what read, 0 where it is not known.
        received: Bytes that came over the line.
    """

    seconds: float
    parts: dict[str, Section[object]]
    users: dict[int, str]
    notes: tuple[str, ...] = ()
    owners: owners.Owners | None = None
    history: sar.History | None = None
    history_note: str = ""
    reader: int = 0
    received: int = 0

    @property
    def sections_read(self) -> list[str]:
        """Names of the sections that were read, in alphabetic order."""
        return sorted(name for name, part in self.parts.items() if not part.error)

    @property
    def problems(self) -> dict[str, str]:
        """Sections that could not be read, and why."""
        return {name: part.error for name, part in self.parts.items() if part.error}

    @property
    def cpu(self) -> CpuInfo:
        """Processors."""
        return self._value("cpu", CpuInfo)

    @property
    def cpu_usage(self) -> pd.DataFrame:
        """How each CPU spent the interval: see :func:`cpu_usage`."""
        return self._value("cpu usage", pd.DataFrame)

    @property
    def load(self) -> Load:
        """Load averages."""
        return self._value("load", Load)

    @property
    def uptime(self) -> float:
        """Seconds since the machine started."""
        return self._value("uptime", float)

    @property
    def memory(self) -> Memory:
        """Memory."""
        return self._value("memory", Memory)

    @property
    def disks(self) -> pd.DataFrame:
        """File systems: see :func:`disks.disk_table`."""
        return self._value("disks", pd.DataFrame)

    @property
    def network(self) -> pd.DataFrame:
        """Rates of each interface: see :func:`network.network_rates`."""
        return self._value("network", pd.DataFrame)

    @property
    def sockets(self) -> pd.DataFrame:
        """Every socket: see :func:`sockets.parse_sockets`."""
        return self._value("sockets", pd.DataFrame)

    @property
    def processes(self) -> pd.DataFrame:
        """Every process: see :func:`processes.process_table`."""
        return self._value("processes", pd.DataFrame)

    @property
    def pressure(self) -> pd.DataFrame:
        """Pressure stall information, empty where the kernel has none: see :func:`parse_pressure`."""
        return self._value("pressure", pd.DataFrame)

    def _value(self, name: str, kind: type[T]) -> T:
        part = self.parts[name]
        if not isinstance(part.value, kind):
            raise OpsnbError(f"'{name}' of this host could not be read: {part.error}")
        return part.value


def read_host(*, seconds: float = 1.0, source: Source | None = None) -> HostReading:
    """Read a host: rates and CPU shares over ``seconds``, everything else at the end of it.

    Args:
        seconds: Interval between the two samples, 0.2 to 60.
        source: Where text comes from; this machine by default.

    Raises:
        UsageError: If ``seconds`` is out of range.
    """
    check_seconds(seconds)
    return parse_capture((source or ThisMachine()).capture(seconds))


def check_seconds(seconds: float) -> None:
    """Refuse an interval that is out of range.

    Raises:
        UsageError: If it is.
    """
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise UsageError(
            f"seconds is {seconds}; it is {MIN_SECONDS:g} to {MAX_SECONDS:g}, the time between two samples"
        )


def parse_capture(seen: Capture) -> HostReading:
    """Parse what a source saw; pure, so that captures of any host can be looked at."""
    first, second = seen.first, seen.second
    users = processes.parse_passwd(second.texts.get("/etc/passwd", ""))
    readers: dict[str, Callable[[], object]] = {
        "cpu": lambda: parse_cpuinfo(_need(second, "/proc/cpuinfo")),
        "cpu usage": lambda: cpu_usage(parse_stat(_need(first, "/proc/stat")), parse_stat(_need(second, "/proc/stat"))),
        "disks": lambda: _disks(second, seen.counters),
        "load": lambda: parse_loadavg(_need(second, "/proc/loadavg")),
        "memory": lambda: parse_meminfo(_need(second, "/proc/meminfo")),
        "network": lambda: _network(first, second),
        "pressure": lambda: parse_pressure(_named(second, "/proc/pressure/")),
        "processes": lambda: _processes(first, second, users),
        "sockets": lambda: _sockets(seen),
        "uptime": lambda: parse_uptime(_need(second, "/proc/uptime")),
    }
    history, history_note = sar.history_of(seen.tools)
    return HostReading(
        seconds=round(second.at - first.at, 3), parts={n: _section(n, read) for n, read in readers.items()},
        users=users, notes=(*seen.notes, *_unseen(seen)), owners=owners.owners_of(seen.tools), history=history,
        history_note=history_note, reader=seen.reader, received=seen.received,
    )  # fmt: skip


def parse_host(first: Sample, second: Sample, counters: dict[str, str]) -> HostReading:
    """Parse two samples of one host and the counters of its file systems; see :class:`Capture`."""
    return parse_capture(Capture(first=first, second=second, counters=counters))


def _unseen(seen: Capture) -> list[str]:
    """Return in words what the login may not see."""
    notes = []
    for word, what in NO_COUNTERS.items():
        points = sorted(point for point, text in (seen.counters or {}).items() if text == word)
        if points:
            notes.append(f"{len(points)} file systems {what}: {', '.join(points[:5])}")
    pids = seen.second.matching("/proc/", "/stat")
    hidden = pids and "1" not in pids and "hidepid=" in seen.second.texts.get("/proc/mounts", "")
    told = ["processes of other users are hidden (/proc is mounted with hidepid): only those of the login are listed"]
    return notes + told * bool(hidden)


def _section(name: str, read: Callable[[], T]) -> Section[T]:
    try:
        return Section(name=name, value=read())
    except (OpsnbError, ValueError, KeyError, IndexError) as error:  # a text of another form than any we know
        return Section(name=name, value=None, error=f"{type(error).__name__}: {error}")


def _need(sample: Sample, path: str) -> str:
    if path not in sample.texts:
        raise OpsnbError(f"{path} cannot be read on this host")
    return sample.texts[path]


def _named(sample: Sample, folder: str) -> dict[str, str]:
    return {path.removeprefix(folder): text for path, text in sample.texts.items() if path.startswith(folder)}


def _disks(sample: Sample, counters: dict[str, str] | None) -> pd.DataFrame:
    mounts = disks.storage(disks.parse_mounts(_need(sample, "/proc/mounts")))
    if counters is None:
        raise OpsnbError("the host did not tell the sizes of its file systems")
    passed_over = {point for point, text in counters.items() if text in NO_COUNTERS}
    told = {point: disks.parse_filesystem(text) for point, text in counters.items() if point not in passed_over}
    return disks.disk_table([m for m in mounts if m.point not in passed_over], told)


def _network(first: Sample, second: Sample) -> pd.DataFrame:
    before, after = (network.parse_net_dev(_need(s, "/proc/net/dev")) for s in (first, second))
    return network.network_rates(before, after, second.at - first.at)


def _sockets(seen: Capture) -> pd.DataFrame:
    texts = _named(seen.second, "/proc/net/")
    if "tcp" not in texts and "ss-all" in seen.tools:
        return owners.parse_ss(seen.tools["ss-all"])[sockets.COLUMNS]
    _need(seen.second, "/proc/net/tcp")  # the tcp6 and udp6 files are missing where IPv6 is switched off
    return sockets.parse_sockets({n: texts[n] for n in sockets.PROTOCOLS if n in texts}, seen.byteorder)


def _processes(first: Sample, second: Sample, users: dict[int, str]) -> pd.DataFrame:
    before, after = (
        {int(pid): processes.parse_process_stat(text) for pid, text in s.matching("/proc/", "/stat").items() if text}
        for s in (first, second)
    )
    status = {
        int(pid): processes.parse_process_status(text)
        for pid, text in second.matching("/proc/", "/status").items() if text
    }  # fmt: skip
    if not after or not status:
        raise OpsnbError("no process of this host could be read from /proc/PID/stat and status")
    total = parse_meminfo(_need(second, "/proc/meminfo")).total
    seconds = second.at - first.at
    return processes.process_table(before, after, status, seconds=seconds, memory_mib=total, users=users)
