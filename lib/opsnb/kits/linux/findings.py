"""Findings: what stands out on a host, each with the threshold that it crossed, worst first.

Rules:

* A finding is a value with its measured number, its threshold, why that matters and what to look at next. It is not
  a verdict: what is normal differs by role (a balancer at 1,200 requests/s may receive 4,000 packets/s in peace).
* Order: severity, then how far beyond the threshold.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum

import pandas as pd

from opsnb.kits.linux import sockets
from opsnb.kits.linux.reading import HostReading
from opsnb.kits.linux.thresholds import Thresholds
from opsnb.runbook.show import visible

LOOPBACK = "lo"
PHONE = 42  # characters that a phone shows in one line of a record


class Severity(StrEnum):
    """How urgent a finding is."""

    CRITICAL = "critical"  # serves badly now, or will within minutes
    WARNING = "warning"  # close to its limit, or unusual
    NOTICE = "notice"  # worth knowing when you look for a cause


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that stands out.

    Args:
        severity: How urgent.
        what: What was measured, on what.
        value: The measured number.
        threshold: The limit that it crossed, in the same unit.
        unit: ``%``, ``packets/s``, ``connections``, ...
        why: Why this matters, one sentence.
        look_next: What to look at next: a command or a place.
    """

    severity: Severity
    what: str
    value: float
    threshold: float
    unit: str
    why: str
    look_next: str

    @property
    def excess(self) -> float:
        """How far beyond the threshold, as a ratio of at least 1, whichever side is the bad one."""
        low, high = sorted((abs(self.value), abs(self.threshold)))
        return high / low if low else high + 1


def findings(reading: HostReading, thresholds: Thresholds | None = None) -> list[Finding]:
    """Return what stands out on a host, worst first; a section that could not be read is a finding itself.

    Args:
        reading: The host.
        thresholds: Limits; :class:`Thresholds` as they stand by default.
    """
    limits = thresholds or Thresholds()
    rules = {
        "cpu usage": _cpu, "load": _load, "memory": _memory, "disks": _disks, "network": _network,
        "sockets": _connections, "processes": _processes, "pressure": _pressure, "uptime": _uptime,
    }  # fmt: skip
    readable = {*reading.sections_read}
    found = [f for name, rule in rules.items() if name in readable and _needs(name, readable)
             for f in rule(reading, limits)]  # fmt: skip
    found += list(_history(reading, limits))
    found += [
        Finding(severity=Severity.WARNING, what=f"section '{name}' could not be read", value=1, threshold=0,
                unit="sections", why=visible(error), look_next="the file it names, on the host itself")
        for name, error in reading.problems.items()
    ]  # fmt: skip
    return sorted(found, key=rank)


def rank(finding: Finding) -> tuple[int, float, str]:
    """Return what findings are sorted by: severity, then how far beyond the threshold, then the name."""
    return list(Severity).index(finding.severity), -finding.excess, finding.what


def findings_table(found: list[Finding]) -> pd.DataFrame:
    """Return findings for a reader, one row each, with the fields of :class:`Finding` as columns."""
    names = [f.name for f in fields(Finding)]
    return pd.DataFrame([[str(getattr(f, n)) if n == "severity" else getattr(f, n) for n in names] for f in found],
                        columns=names)  # fmt: skip


def findings_text(found: list[Finding]) -> str:
    """Return findings as short paragraphs that read well on a phone; says so when there are none."""
    if not found:
        return "No threshold was crossed."
    return "\n".join(_paragraph(number, finding) for number, finding in enumerate(found, 1))


def count_by_severity(found: list[Finding]) -> dict[str, int]:
    """Return ``{"critical": 0, "warning": 2, "notice": 1}``."""
    return {s.value: sum(f.severity is s for f in found) for s in Severity}


def _paragraph(number: int, f: Finding) -> str:
    lines = [
        f"{number}. {f.severity.upper()}  {f.what}",
        f"   {f.value:,.6g} {f.unit} (threshold {f.threshold:,.6g})",
        *textwrap.wrap(f.why, PHONE, initial_indent="   why:  ", subsequent_indent="         "),
        f"   next: {f.look_next}",  # whole, because it is pasted
    ]
    return "\n".join(lines)


def _needs(name: str, readable: set[str]) -> bool:
    return name != "load" or "cpu" in readable


def _finding(  # the seven facts of a finding, by position, so that a rule fits on a screen
    severity: Severity, what: str, value: float, threshold: float, unit: str, why: str, look_next: str
) -> Finding:
    return Finding(severity=severity, what=what, value=round(float(value), 2), threshold=threshold, unit=unit, why=why,
                   look_next=look_next)  # fmt: skip


def _grade(value: float, warning: float, critical: float, *, low_is_bad: bool = False) -> tuple[Severity, float] | None:
    sign = -1 if low_is_bad else 1
    for severity, limit in ((Severity.CRITICAL, critical), (Severity.WARNING, warning)):
        if sign * value > sign * limit:
            return severity, limit
    return None


def _cpu(reading: HostReading, limits: Thresholds) -> Iterator[Finding]:
    usage = reading.cpu_usage.iloc[0]
    rules = (
        ("busy", limits.cpu_busy_percent, "there is no CPU time left: everything waits its turn",
         "the processes by CPU"),
        ("iowait", limits.cpu_iowait_percent, "CPUs are idle because a disk is slow",
         "iostat -x 1 5; blocked processes"),
        ("steal", limits.cpu_steal_percent, "the hypervisor gives this machine's time to others",
         "the provider's or the hypervisor's own graphs"),
    )  # fmt: skip
    for name, limit, why, look_next in rules:
        if usage[f"{name}_percent"] > limit:
            yield _finding(
                Severity.WARNING, f"CPU {name}, all CPUs", usage[f"{name}_percent"], limit, "%", why, look_next
            )


def _load(reading: HostReading, limits: Thresholds) -> Iterator[Finding]:
    value = reading.load.one / reading.cpu.logical
    if grade := _grade(value, limits.load_per_cpu, limits.load_per_cpu_critical):
        why = f"{reading.load.one:g} tasks run or wait for a CPU or a disk, on {reading.cpu.logical} CPUs"
        yield _finding(grade[0], "load over 1 minute for each CPU", value, grade[1], "tasks", why,
                       "busy CPUs: processes by CPU; idle CPUs: blocked processes and disks")  # fmt: skip


def _memory(reading: HostReading, limits: Thresholds) -> Iterator[Finding]:
    m = reading.memory
    grade = _grade(m.available_percent, limits.memory_available_percent, limits.memory_available_percent_critical,
                   low_is_bad=True)  # fmt: skip
    if grade:
        yield _finding(grade[0], "memory available", m.available_percent, grade[1], "%",
                       f"{m.available:,.0f} MiB of {m.total:,.0f} are left before the kernel kills something",
                       "the processes by memory; dmesg | grep -i oom")  # fmt: skip
    if m.swap_used_percent > limits.swap_used_percent:
        yield _finding(Severity.WARNING, "swap used", m.swap_used_percent, limits.swap_used_percent, "%",
                       "memory was short at some time; what is swapped out is slow to come back",
                       "vmstat 1 5: si and so")  # fmt: skip


def _disks(reading: HostReading, limits: Thresholds) -> Iterator[Finding]:
    for disk in reading.disks.to_dict("records"):
        mount = shlex.quote(visible(disk["mount"]))  # these lines are pasted into shells
        if not disk["answered"]:
            yield _finding(Severity.CRITICAL, f"file system {mount} did not answer", 2, 2, "s",
                           "whatever touches it hangs", f"its server ({visible(disk['device'])}); dmesg")  # fmt: skip
            continue
        for name, value, look_next in (
            ("space", disk["used_percent"], f"du -xh {mount} | sort -h | tail; deleted files still open: lsof +L1"),
            ("inodes", disk["inodes_percent"], f"many small files: du --inodes -x {mount} | sort -n | tail"),
        ):
            if grade := _grade(value, limits.disk_used_percent, limits.disk_used_percent_critical):
                yield _finding(grade[0], f"{name} used on {mount}", value, grade[1], "%",
                               "writes fail when it is full: logs, uploads, databases", look_next)  # fmt: skip


def _network(reading: HostReading, limits: Thresholds) -> Iterator[Finding]:
    for row in reading.network.to_dict("records"):
        if row["interface"] == LOOPBACK:
            continue
        name = shlex.quote(visible(row["interface"]))
        suspect = f"suspect: compare with the usual level of this hour, then tcpdump -ni {name} -c 2000 -w FILE"
        rules = (
            (row["receive_packets_s"], limits.receive_packets_s, "received packets", "packets/s",
             "an attack, or a busy hour of a busy role", suspect),
            (row["receive_kb_s"], limits.receive_kb_s, "received data", "kB/s",
             "an attack, or a busy hour of a busy role", suspect),
            (row["errors_s"], limits.network_errors_s, "errors", "errors/s",
             "a cable, a port, a driver or the wrong duplex", f"ethtool -S {name}; ip -s link show {name}"),
            (row["drops_s"], limits.network_drops_s, "dropped packets", "packets/s",
             "the machine cannot keep up with what arrives", f"ethtool -S {name}; CPU time in softirq"),
        )  # fmt: skip
        for value, limit, what, unit, why, look_next in rules:
            if value > limit:
                yield _finding(Severity.WARNING, f"{what} on {name}", value, limit, unit, why, look_next)


def _connections(reading: HostReading, limits: Thresholds) -> Iterator[Finding]:
    table = sockets.connection_states(reading.sockets)
    counts = dict(zip(table["state"], table["connections"], strict=True))
    rules = (
        ("SYN_RECV", limits.syn_recv, Severity.WARNING, "many half-open connections: a SYN flood, or a lossy way back",
         "the remote addresses; netstat -s | grep -i syn"),
        ("CLOSE_WAIT", limits.close_wait, Severity.WARNING, "a program does not close what its clients have closed",
         "sudo ss -tnp state close-wait, on the host itself"),
        ("TIME_WAIT", limits.time_wait, Severity.NOTICE, "many short connections: local ports can run out",
         "keep-alive between nginx and its upstreams"),
    )  # fmt: skip
    for state, limit, severity, why, look_next in rules:
        if counts.get(state, 0) > limit:
            yield _finding(severity, f"TCP connections in {state}", counts[state], limit, "connections", why, look_next)


def _processes(reading: HostReading, limits: Thresholds) -> Iterator[Finding]:
    table = reading.processes
    for p in table[table["cpu_percent"] > limits.process_cpu_percent].to_dict("records"):
        yield _finding(Severity.NOTICE, f"CPU of {visible(p['name'])} (pid {p['pid']})", p["cpu_percent"],
                       limits.process_cpu_percent, "% of one CPU", "one process keeps at least one CPU busy",
                       f"top -H -p {p['pid']}")  # fmt: skip
    for p in table[table["memory_percent"] > limits.process_memory_percent].to_dict("records"):
        yield _finding(Severity.WARNING, f"memory of {visible(p['name'])} (pid {p['pid']})", p["memory_percent"],
                       limits.process_memory_percent, "% of memory", "one process has most of the memory",
                       f"/proc/{p['pid']}/smaps_rollup; its growth over the last hours")  # fmt: skip
    for state, limit, severity, why, look_next in (
        ("blocked", limits.blocked_processes, Severity.WARNING, "they wait for a disk or a network file system",
         "ps -eo pid,stat,wchan:30,comm | grep ' D'"),
        ("zombie", limits.zombie_processes, Severity.NOTICE, "a parent does not collect its children",
         "column 'parent' of the zombies"),
    ):  # fmt: skip
        count = int((table["state"] == state).sum())
        if count > limit:
            yield _finding(severity, f"{state} processes", count, limit, "processes", why, look_next)


def _pressure(reading: HostReading, limits: Thresholds) -> Iterator[Finding]:
    for row in reading.pressure[reading.pressure["kind"] == "some"].to_dict("records"):
        limit = limits.pressure_cpu_percent if row["resource"] == "cpu" else limits.pressure_percent
        if row["avg60_percent"] > limit:
            thing = {"cpu": "a CPU", "io": "a disk"}.get(row["resource"], row["resource"])
            yield _finding(Severity.WARNING, f"pressure on {row['resource']}, last minute", row["avg60_percent"], limit,
                           "% of the time", f"tasks stood still because they waited for {thing}",
                           f"cat /proc/pressure/{row['resource']}; the processes by CPU and memory")  # fmt: skip


def _uptime(reading: HostReading, limits: Thresholds) -> Iterator[Finding]:
    minutes = reading.uptime / 60
    if minutes < limits.restarted_minutes:
        yield _finding(Severity.NOTICE, "time since the machine started", minutes, limits.restarted_minutes, "minutes",
                       "it restarted just now: find out why before you go on",
                       "last -x | head; journalctl -b -1 -e")  # fmt: skip


def _history(reading: HostReading, limits: Thresholds) -> Iterator[Finding]:
    """Peaks of the day that sysstat collected: over by now, so notices."""
    if reading.history is None:
        return
    day = reading.history
    rules = [("CPU busy", day.cpu, "busy_percent", limits.cpu_busy_percent, "%"),
             ("CPU iowait", day.cpu, "iowait_percent", limits.cpu_iowait_percent, "%")]  # fmt: skip
    for interface, frame in day.network[day.network["interface"] != LOOPBACK].groupby("interface"):
        name = visible(str(interface))
        rules += [(f"received packets on {name}", frame, "receive_packets_s", limits.receive_packets_s, "packets/s"),
                  (f"received data on {name}", frame, "receive_kb_s", limits.receive_kb_s, "kB/s")]  # fmt: skip
    for what, frame, column, limit, unit in rules:
        if len(frame) and frame[column].max() > limit:
            at = frame["time"].iloc[int(frame[column].argmax())]
            yield _finding(Severity.NOTICE, f"peak of today: {what}", frame[column].max(), limit, unit,
                           f"it was at {at}: what ran then?", "sar -u -q -n DEV; the logs of that time")  # fmt: skip
