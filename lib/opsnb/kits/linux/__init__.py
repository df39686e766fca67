"""Linux hosts: pure ``parse_*`` functions, one read verb, findings with thresholds, plots.

All text is read under ``LC_ALL=C`` conditions: from ``/proc``, whose form does not depend on a locale.
"""

from opsnb.kits.linux.blind import blind_spots
from opsnb.kits.linux.charts import cpu_chart, disk_chart, memory_chart, network_chart
from opsnb.kits.linux.cpu import (
    CpuInfo,
    Load,
    cpu_table,
    cpu_usage,
    duration_text,
    parse_cpuinfo,
    parse_loadavg,
    parse_pressure,
    parse_stat,
    parse_uptime,
)
from opsnb.kits.linux.disks import Filesystem, Mount, disk_table, parse_filesystem, parse_mounts, storage
from opsnb.kits.linux.findings import (
    Finding,
    Severity,
    count_by_severity,
    findings,
    findings_table,
    findings_text,
)
from opsnb.kits.linux.memory import Memory, memory_table, parse_meminfo
from opsnb.kits.linux.network import network_rates, parse_net_dev
from opsnb.kits.linux.processes import (
    ProcessStat,
    ProcessStatus,
    parse_passwd,
    parse_process_stat,
    parse_process_status,
    process_table,
    top_by_memory,
)
from opsnb.kits.linux.reading import SECTIONS, HostReading, Section, parse_host, read_host
from opsnb.kits.linux.sockets import connection_states, listening_ports, parse_sockets, top_peers
from opsnb.kits.linux.source import Sample, Source, ThisMachine
from opsnb.kits.linux.thresholds import Thresholds

__all__ = [
    "SECTIONS", "CpuInfo", "Filesystem", "Finding", "HostReading", "Load", "Memory", "Mount", "ProcessStat",
    "ProcessStatus", "Sample", "Section", "Severity", "Source", "ThisMachine", "Thresholds", "blind_spots",
    "connection_states", "count_by_severity", "cpu_chart", "cpu_table", "cpu_usage", "disk_chart", "disk_table",
    "duration_text", "findings", "findings_table", "findings_text", "listening_ports", "memory_chart", "memory_table",
    "network_chart", "network_rates", "parse_cpuinfo", "parse_filesystem", "parse_host", "parse_loadavg",
    "parse_meminfo", "parse_mounts", "parse_net_dev", "parse_passwd", "parse_pressure", "parse_process_stat",
    "parse_process_status", "parse_sockets", "parse_stat", "parse_uptime", "process_table", "read_host", "storage",
    "top_by_memory", "top_peers",
]  # fmt: skip
