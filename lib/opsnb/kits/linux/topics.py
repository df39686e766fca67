"""One table for each topic: of one host in detail, of several hosts one row or some for each, the host in front.

A topic that no host told is a sentence instead of a table, so that nothing unread looks like nothing there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from opsnb.base.errors import OpsnbError
from opsnb.kits.linux import charts, sar, sockets
from opsnb.kits.linux.cpu import cpu_table, duration_text
from opsnb.kits.linux.memory import memory_table
from opsnb.kits.linux.processes import top_by_memory
from opsnb.kits.linux.reading import HostReading
from opsnb.kits.linux.thresholds import Thresholds
from opsnb.kits.linux.triage import Triage

NAMES_SHOWN = 4  # hosts that are named beside a port that not all have
FULLEST, BUSIEST = 3, 2  # file systems and interfaces that are shown of each of several hosts
STATES_SHOWN = {"ESTABLISHED": "estab", "TIME_WAIT": "time_wait", "CLOSE_WAIT": "close_wait", "SYN_RECV": "syn_recv",
                "LISTEN": "listen"}  # fmt: skip
Table = pd.DataFrame | str


def load(seen: Triage) -> Table:
    """Processors, load and uptime."""
    if seen.one:
        return _of(seen.one, lambda r: cpu_table(r.cpu, r.load, r.uptime))
    return _rows(seen, lambda r: {
        "per_cpu": r.load.one / r.cpu.logical, "1min": r.load.one, "15min": r.load.fifteen, "cpus": r.cpu.logical,
        "up": duration_text(r.uptime), "model": r.cpu.model,
    }, by="per_cpu")  # fmt: skip


def cpu(seen: Triage) -> Table:
    """How CPUs spent the interval, %."""
    if seen.one:
        return _of(seen.one, lambda r: r.cpu_usage)
    return _rows(seen, lambda r: {k.removesuffix("_percent"): v for k, v in _all_cpus(r).items()}, by="busy")


def by_cpu(seen: Triage, top: int) -> Table:
    """The processes that use the CPUs most."""
    if seen.one:
        return _of(seen.one, lambda r: r.processes.head(top))
    return _joined(seen, lambda r: _processes(r.processes.head(top), "cpu", "mib"), by="cpu", top=top)


def by_memory(seen: Triage, top: int) -> Table:
    """The processes with most resident memory."""
    if seen.one:
        return _of(seen.one, lambda r: top_by_memory(r.processes, top))
    return _joined(seen, lambda r: _processes(top_by_memory(r.processes, top), "mib", "cpu"), by="mib", top=top)


def memory(seen: Triage) -> Table:
    """Memory and swap."""
    if seen.one:
        return _of(seen.one, lambda r: memory_table(r.memory))
    return _rows(seen, lambda r: {
        "used": 100 - r.memory.available_percent, "available_mib": r.memory.available, "total_mib": r.memory.total,
        "swap_used": r.memory.swap_used_percent, "estimated": r.memory.estimated,
    }, by="used")  # fmt: skip


def disks(seen: Triage) -> Table:
    """File systems, those that did not answer and the fullest first; of several hosts the ``FULLEST`` of each."""
    if seen.one:
        return _of(seen.one, lambda r: r.disks)
    table = _joined(seen, lambda r: r.disks.head(max(FULLEST, int((~r.disks["answered"]).sum()))))
    if isinstance(table, str):
        return table
    names = {"used_percent": "used", "inodes_percent": "inodes", "available_gib": "free_gib"}
    table = table.rename(columns=names).astype({"answered": bool, "read_only": bool})
    return table.sort_values(["answered", "used"], ascending=[True, False], kind="stable", ignore_index=True)


def network(seen: Triage) -> Table:
    """Rates of each interface; of several hosts the ``BUSIEST`` of each, loopback last."""
    if seen.one:
        return _of(seen.one, lambda r: r.network)
    table = _joined(seen, _busiest)
    return (
        table
        if isinstance(table, str)
        else table.sort_values("in_pkt", ascending=False, kind="stable", ignore_index=True)
    )


def listening(seen: Triage) -> Table:
    """What accepts connections: of several hosts one row for each port, with the hosts that have it."""
    table = _joined(seen, lambda r: sockets.listening_ports(r.sockets, r.users, r.owners))
    if isinstance(table, str) or seen.one:
        return table
    names = table.get("process", pd.Series("", index=table.index)).fillna("").str.replace(r"\[\d+\]", "", regex=True)
    keys = ["port", "protocol", "reach", "process"]
    groups: dict[tuple[Any, ...], list[str]] = {}
    for row in table.assign(process=names).sort_values(keys).to_dict("records"):
        groups.setdefault(tuple(row[k] for k in keys), []).append(row["host"])
    told = len([r for r in seen.readings.values() if "sockets" not in r.problems])
    rows = [(*key, len(set(hosts)), _named([*dict.fromkeys(hosts)], told)) for key, hosts in groups.items()]
    frame = pd.DataFrame(rows, columns=[*keys, "hosts", "on"])
    return frame[["port", "protocol", "on", "process", "hosts", "reach"]]


def connections(seen: Triage) -> Table:
    """TCP sockets by state."""
    if seen.one:
        return _of(seen.one, lambda r: sockets.connection_states(r.sockets))
    return _rows(seen, _states, by="estab")


def peers(seen: Triage, top: int) -> Table:
    """The remote addresses with most TCP connections."""
    return _joined(seen, lambda r: sockets.top_peers(r.sockets, top), by="connections", top=top)


def pressure(seen: Triage) -> Table:
    """Pressure stall information: of several hosts the share of the last minute in which some task waited."""
    if not any(len(r.pressure) for r in seen.readings.values() if "pressure" not in r.problems):
        return "no kernel here tells pressure (it came with Linux 4.20, and may be switched off)"
    if seen.one:
        return _of(seen.one, lambda r: r.pressure)
    return _rows(seen, _minute, by="cpu")


def histories(seen: Triage, saved: str = "") -> dict[str, sar.History | str]:
    """Return what sysstat collected on each host, or why there is nothing; with a saved file, what stands in it."""
    if saved:
        history = sar.read_saved(saved)
        return {f"{history.host or 'unnamed'} (saved file)": history}
    return {host: r.history or r.history_note for host, r in seen.readings.items()}


def history(found: dict[str, sar.History | str]) -> Table:
    """The day that sysstat collected: of one host in detail, of several one row each."""
    told = {host: h for host, h in found.items() if isinstance(h, sar.History)}
    if not told:
        return _reasons({host: str(why) for host, why in found.items()}) or "no host was read"
    if len(found) == 1:
        return sar.history_table(next(iter(told.values())))
    rows = [{"host": host, **_day(h)} if isinstance(h, sar.History) else {"host": host, "note": h}
            for host, h in found.items()]  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.fillna({"note": ""}) if "note" in frame else frame


def history_chart(found: dict[str, sar.History | str]) -> Any:
    """A plot of the day of one host; a sentence where there is none, or several."""
    told = [h for h in found.values() if isinstance(h, sar.History)]
    if len(found) != 1 or not told:
        return f"no plot: {len(told)} of {len(found)} hosts have a history; one is drawn alone"
    return charts.history_chart(told[0])


def chart(seen: Triage, topic: str) -> Any:
    """Return the plot of a topic (``cpu``, ``memory``, ``disks``, ``network``): of one host, or one bar a host."""
    one: dict[str, Callable[[HostReading], Any]] = {
        "cpu": lambda r: charts.cpu_chart(r.cpu_usage), "memory": lambda r: charts.memory_chart(r.memory),
        "disks": lambda r: charts.disk_chart(r.disks), "network": lambda r: charts.network_chart(r.network),
    }  # fmt: skip
    if seen.one:
        try:
            return one[topic](seen.one)
        except OpsnbError as error:
            return f"no plot: {error}"
    limits = Thresholds()
    table, column, limit, title = {
        "cpu": (cpu, "busy", limits.cpu_busy_percent, "CPU busy, %"),
        "memory": (memory, "used", 100 - limits.memory_available_percent, "Memory in use, %"),
        "disks": (disks, "used", limits.disk_used_percent, "Fullest file system, %"),
        "network": (network, "in_pkt", limits.receive_packets_s, "Busiest interface, packets/s in (logarithmic)"),
    }[topic]
    rows = table(seen)
    if isinstance(rows, str):
        return rows
    if topic == "network":
        rows = rows[rows["interface"] != "lo"]  # what a host tells itself overloads nobody
    values = rows.groupby("host")[column].max().dropna().sort_values(ascending=False)
    return charts.hosts_chart(values, limit=limit, title=title, logarithmic=topic == "network")


def _of(reading: HostReading, part: Callable[[HostReading], pd.DataFrame]) -> Table:
    try:
        return part(reading)
    except OpsnbError as error:
        return str(error)


def _rows(seen: Triage, part: Callable[[HostReading], dict[str, Any]], *, by: str, ascending: bool = False) -> Table:
    return _joined(seen, lambda r: pd.DataFrame([part(r)]), by=by, ascending=ascending)


def _joined(
    seen: Triage, part: Callable[[HostReading], pd.DataFrame], *, by: str = "", top: int = 0, ascending: bool = False
) -> Table:
    """Put the tables of all hosts under each other, the host in front; what a host did not tell is in the notes."""
    if seen.one:
        return _of(seen.one, part)
    parts, errors = [], []
    for host, reading in seen.readings.items():
        table = _of(reading, part)
        if isinstance(table, str):
            errors.append(f"{host}: {table}")
        else:
            parts.append(table.assign(host=host)[["host", *table.columns]])
    if not parts:
        return "\n".join(errors) or "no host was read"
    full = [p for p in parts if len(p)]
    joined = pd.concat(full, ignore_index=True) if full else parts[0]
    if by:
        joined = joined.sort_values(by, ascending=ascending, kind="stable", ignore_index=True)
    return joined.head(top) if top else joined


def _states(reading: HostReading) -> dict[str, Any]:
    table = sockets.connection_states(reading.sockets)
    counts = dict(zip(table["state"], table["connections"], strict=True))
    shown = {name: counts.pop(state, 0) for state, name in STATES_SHOWN.items()}
    return {**shown, "other": sum(counts.values())}


def _processes(table: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Return processes with short names, what they are sorted by in front: a phone shows four columns."""
    names = {"cpu_percent": "cpu", "memory_mib": "mib", "memory_percent": "mem"}
    return table.rename(columns=names)[["name", first, second, "mem", "user", "state", "threads", "pid", "parent"]]


def _busiest(reading: HostReading) -> pd.DataFrame:
    rates = reading.network.rename(columns={
        "receive_packets_s": "in_pkt", "transmit_packets_s": "out_pkt", "receive_kb_s": "in_kb",
        "transmit_kb_s": "out_kb", "errors_s": "errors", "drops_s": "drops",
    })  # fmt: skip
    outside = rates[rates["interface"] != "lo"]
    troubled = outside[(outside["errors"] > 0) | (outside["drops"] > 0)]
    moving = outside[(outside["in_pkt"] > 0) | (outside["out_pkt"] > 0)].head(BUSIEST)
    shown = pd.concat([moving, troubled]).drop_duplicates("interface")
    return shown if len(shown) else outside.head(1) if len(outside) else rates


def _reasons(why: dict[str, str]) -> str:
    """Return each reason once, behind the hosts that gave it."""
    hosts: dict[str, list[str]] = {}
    for host, reason in why.items():
        hosts.setdefault(reason, []).append(host)
    return "\n".join(f"{_named(names, len(why) + (len(why) == 1))}: {reason}" for reason, names in hosts.items())


def _all_cpus(reading: HostReading) -> dict[str, float]:
    row = reading.cpu_usage.iloc[0]
    return {str(name): float(row[name]) for name in reading.cpu_usage.columns if name != "cpu"}


def _minute(reading: HostReading) -> dict[str, Any]:
    """How long some task waited for each resource in the last minute."""
    some = reading.pressure[reading.pressure["kind"] == "some"].set_index("resource")["avg60_percent"]
    return {name: some.get(name, float("nan")) for name in ("cpu", "io", "memory")}


def _named(hosts: list[str], told: int) -> str:
    if len(hosts) == told:
        return f"all {told}"
    more = len(hosts) - NAMES_SHOWN
    return ", ".join(hosts[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _day(found: sar.History) -> dict[str, Any]:
    busiest = found.network[found.network["interface"] != "lo"]["receive_packets_s"]
    return {
        "busy_percent_p95": found.cpu["busy_percent"].quantile(0.95),
        "busy_percent_max": found.cpu["busy_percent"].max(), "load_1min_max": found.load["load_1min"].max(),
        "receive_packets_s_max": busiest.max(), "samples": len(found.cpu),
    }  # fmt: skip
