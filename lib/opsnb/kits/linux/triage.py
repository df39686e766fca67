"""Many hosts at one time: who was read, who was not and why, findings over all of them, figures by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from opsnb.base.errors import OpsnbError
from opsnb.fleet import Fleet, UnknownOutcomeError, UnreachableError
from opsnb.kits.linux import sockets
from opsnb.kits.linux.findings import Finding, Severity, count_by_severity, findings, findings_text, rank
from opsnb.kits.linux.reading import HostReading, check_seconds, read_host
from opsnb.kits.linux.remote import source_of
from opsnb.kits.linux.standout import standouts
from opsnb.kits.linux.thresholds import Thresholds
from opsnb.runbook.show import visible

MAX_PARAGRAPHS = 30  # findings that are told at length; the rest stands in the table
HOSTS_NAMED = 8  # hosts that are named in one paragraph besides the worst
MAX_EVIDENCE = 500  # findings that are kept by name


@dataclass(frozen=True, kw_only=True)
class Triage:
    """The hosts of one run.

    Args:
        readings: Host to what was read, in the order of the selection.
        unread: Host to what became of it: ``unreachable``, ``unknown`` or ``failed``, and why.
    """

    readings: dict[str, HostReading]
    unread: dict[str, tuple[str, str]]

    @property
    def one(self) -> HostReading | None:
        """The reading, where exactly one host was asked for and read: it is shown in detail."""
        return next(iter(self.readings.values())) if len(self.readings) == 1 and not self.unread else None

    @property
    def hosts(self) -> list[str]:
        """Every host that was asked."""
        return [*self.readings, *self.unread]


def triage(hosts: Fleet, *, seconds: float = 1.0) -> Triage:
    """Read every host of a fleet at once, each in one round trip.

    Raises:
        UsageError: If ``seconds`` is out of range.
    """
    check_seconds(seconds)
    found = hosts.each(lambda machine: read_host(seconds=seconds, source=source_of(machine)))
    return Triage(
        readings={name: value for name, value in found.items() if isinstance(value, HostReading)},
        unread=unread(found),
    )


def unread(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return hosts with an error instead of a value: what became of them, and why, in one line."""
    return {
        name: (became(value), visible(str(value).splitlines()[0].removeprefix(f"{name}: ")))
        for name, value in found.items() if isinstance(value, OpsnbError)
    }  # fmt: skip


def became(error: OpsnbError) -> str:
    """Return ``unreachable`` (nothing was started), ``unknown`` (no end was seen) or ``failed``."""
    if isinstance(error, UnreachableError):
        return "unreachable"
    return "unknown" if isinstance(error, UnknownOutcomeError) else "failed"


def unread_table(missing: dict[str, tuple[str, str]]) -> pd.DataFrame:
    """Return the hosts that were not read: columns ``host``, ``status``, ``why``."""
    rows = [(host, status, why) for host, (status, why) in missing.items()]
    return pd.DataFrame(rows, columns=["host", "status", "why"])


def notes_table(seen: Triage) -> pd.DataFrame:
    """Return what could not be seen on hosts that were read: columns ``host``, ``not_seen``."""
    rows = [(host, visible(note)) for host, r in seen.readings.items()
            for note in (*(f"{name}: {why}" for name, why in r.problems.items()), *r.notes)]  # fmt: skip
    return pd.DataFrame(rows, columns=["host", "not_seen"])


def read_text(seen: Triage) -> str:
    """Return in one line how many hosts were read, and over which time."""
    if not seen.readings:
        return f"0 of {len(seen.hosts)} hosts were read"
    times = [r.seconds for r in seen.readings.values()]
    received = sum(r.received for r in seen.readings.values())
    apart = f"{min(times):.2f} s" if len(times) == 1 else f"{min(times):.2f} to {max(times):.2f} s"
    line = f"; {received / 1024:,.0f} KiB came over the line" if received else ""
    return f"{len(seen.readings)} of {len(seen.hosts)} hosts were read, two samples {apart} apart{line}"


def all_findings(seen: Triage, thresholds: Thresholds | None = None) -> list[tuple[str, Finding]]:
    """Return what stands out on every host, worst first; before them every host that was not read."""
    rows = [(host, f) for host, r in seen.readings.items() for f in findings(r, thresholds)]
    first = [(host, _missing(status, why)) for host, (status, why) in seen.unread.items()]
    return first + sorted(rows, key=lambda row: (rank(row[1]), row[0]))


def all_findings_text(seen: Triage, found: list[tuple[str, Finding]]) -> str:
    """Return findings as paragraphs; the same on several hosts is one, with its worst host and the others' names.

    At most ``MAX_PARAGRAPHS`` are told.
    """
    if seen.one:
        return findings_text([f for _, f in found])
    groups: dict[tuple[str, str], list[tuple[str, Finding]]] = {}
    for host, finding in found:  # worst first, so the first of a group is its worst
        groups.setdefault((finding.severity, finding.what), []).append((host, finding))
    told = [_grouped(rows) for rows in list(groups.values())[:MAX_PARAGRAPHS]]
    more = len(groups) - len(told)
    return findings_text(told) + (f"\n... and {more} more, in the table of findings" if more > 0 else "")


def all_findings_table(found: list[tuple[str, Finding]]) -> pd.DataFrame:
    """Return one row for each finding: columns ``host``, ``severity``, ``what``, ``value``, ``threshold``, ``unit``."""
    rows = [(host, str(f.severity), f.what, f.value, f.threshold, f.unit) for host, f in found]
    return pd.DataFrame(rows, columns=["host", "severity", "what", "value", "threshold", "unit"])


def figures(r: HostReading) -> dict[str, Any]:
    """Return the figures of a host that stand in the record by name; what was not read is left out."""
    wanted: dict[str, Callable[[], Any]] = {
        "cpus": lambda: r.cpu.logical,
        "load_1min": lambda: r.load.one,
        "cpu_busy_percent": lambda: round(float(r.cpu_usage["busy_percent"].iloc[0]), 1),
        "memory_total_mib": lambda: round(r.memory.total),
        "memory_available_mib": lambda: round(r.memory.available),
        "processes": lambda: len(r.processes),
        "listening": lambda: len(sockets.listening_ports(r.sockets)),
    }
    found: dict[str, Any] = {}
    for name, figure in wanted.items():
        try:
            found[name] = figure()
        except OpsnbError:  # its section could not be read, which is a finding
            continue
    return found


def evidence(seen: Triage, found: list[tuple[str, Finding]]) -> dict[str, Any]:
    """Return what is kept with the record, by name; for one host its figures stand at the top level too."""
    kept: dict[str, Any] = {f"findings_{s}": n for s, n in count_by_severity([f for _, f in found]).items()}
    if seen.one:
        kept |= figures(seen.one)
    names = ("severity", "what", "value", "threshold", "unit")
    odd = standouts(seen.readings)
    return kept | {
        "hosts": {host: figures(r) for host, r in seen.readings.items()},
        "unread": {host: f"{status}: {why}" for host, (status, why) in seen.unread.items()},
        "findings": [{"host": host, **{n: _text(getattr(f, n)) for n in names}} for host, f in found[:MAX_EVIDENCE]],
        "odd": {host: sorted(rows["what"]) for host, rows in odd.groupby("host")},
    }


def missing_sections(seen: Triage) -> dict[str, list[str]]:
    """Return hosts of which a section could not be read, and which."""
    return {host: sorted(r.problems) for host, r in seen.readings.items() if r.problems}


def blind_hosts(seen: Triage) -> list[str]:
    """Return hosts on which the reader did not find itself among the processes: their list is not to be trusted."""
    return [host for host, r in seen.readings.items()
            if not r.problems.get("processes") and r.reader not in set(r.processes["pid"])]  # fmt: skip


def closest(seen: Triage) -> float:
    """Return the shortest interval between the two samples of a host, seconds; infinite where none was read."""
    return min((r.seconds for r in seen.readings.values()), default=float("inf"))


def _grouped(rows: list[tuple[str, Finding]]) -> Finding:
    (host, worst), *others = rows
    names = ", ".join(name for name, _ in others[:HOSTS_NAMED])
    names += f" and {len(others) - HOSTS_NAMED} more" if len(others) > HOSTS_NAMED else ""
    return replace(worst, what=f"{host}: {worst.what}", why=worst.why + (f"; also on {names}" if others else ""))


def _missing(status: str, why: str) -> Finding:
    return Finding(severity=Severity.CRITICAL, what=f"{status}: nothing is known about this host", value=1, threshold=0,
                   unit="hosts", why=why, look_next="opsnb host check; its console")  # fmt: skip


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value  # an enum is its word
