"""Linux hosts: pure ``parse_*`` functions, one read verb for each question, findings with thresholds, plots.

Questions: what is it busy with (``triage``), what is it (``read_facts``), how does it differ from its group
(``read_settings``, ``differences``). Each is one round trip a host. All text is read under ``LC_ALL=C``.
"""

from opsnb.kits.linux import topics
from opsnb.kits.linux.blind import blind_spots
from opsnb.kits.linux.charts import cpu_chart, disk_chart, history_chart, hosts_chart, memory_chart, network_chart
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
from opsnb.kits.linux.drift import (
    Difference,
    compared_table,
    differences,
    drift_notes,
    drift_table,
    drift_text,
    odd_hosts,
)
from opsnb.kits.linux.driftread import Settings, left_out, left_out_text, parse_settings, read_settings
from opsnb.kits.linux.facts import host_facts, login_users, parse_addresses, parse_facts, read_facts
from opsnb.kits.linux.facttables import fact_differences, facts_table, not_read_table
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
from opsnb.kits.linux.owners import parse_netstat, parse_ss
from opsnb.kits.linux.processes import (
    ProcessStat,
    ProcessStatus,
    parse_passwd,
    parse_process_stat,
    parse_process_status,
    process_table,
    top_by_memory,
)
from opsnb.kits.linux.reading import SECTIONS, HostReading, Section, parse_capture, parse_host, read_host
from opsnb.kits.linux.remote import RemoteHost, source_of, taken_apart
from opsnb.kits.linux.sar import History, history_table, parse_sadf, read_saved
from opsnb.kits.linux.sockets import connection_states, listening_ports, parse_sockets, top_peers
from opsnb.kits.linux.source import Capture, Sample, Source, ThisMachine
from opsnb.kits.linux.standout import scored, standout_text, standouts
from opsnb.kits.linux.thresholds import Thresholds
from opsnb.kits.linux.triage import (
    Triage,
    all_findings,
    all_findings_table,
    all_findings_text,
    blind_hosts,
    closest,
    evidence,
    missing_sections,
    notes_table,
    read_text,
    triage,
    unread_table,
)

__all__ = [
    "SECTIONS", "Capture", "CpuInfo", "Difference", "Filesystem", "Finding", "History", "HostReading", "Load",
    "Memory", "Mount", "ProcessStat", "ProcessStatus", "RemoteHost", "Sample", "Section", "Settings", "Severity",
    "Source", "ThisMachine", "Thresholds", "Triage", "all_findings", "all_findings_table", "all_findings_text",
    "blind_hosts", "blind_spots", "closest", "compared_table", "connection_states", "count_by_severity", "cpu_chart",
    "cpu_table", "cpu_usage", "differences", "disk_chart", "disk_table", "drift_notes", "drift_table", "drift_text",
    "duration_text", "evidence", "fact_differences", "facts_table", "findings", "findings_table", "findings_text",
    "history_chart", "history_table", "host_facts", "hosts_chart", "left_out",
    "left_out_text", "listening_ports", "login_users",
    "memory_chart", "memory_table", "missing_sections", "network_chart", "network_rates", "not_read_table",
    "notes_table", "odd_hosts", "parse_addresses", "parse_capture", "parse_cpuinfo", "parse_facts", "parse_filesystem",
    "parse_host", "parse_loadavg", "parse_meminfo", "parse_mounts", "parse_net_dev", "parse_netstat", "parse_passwd",
    "parse_pressure", "parse_process_stat", "parse_process_status", "parse_sadf", "parse_settings", "parse_sockets",
    "parse_ss", "parse_stat", "parse_uptime", "process_table", "read_facts", "read_host", "read_saved",
    "read_settings", "read_text", "scored", "source_of", "standout_text", "standouts", "storage", "taken_apart",
    "top_by_memory", "top_peers", "topics", "triage", "unread_table",
]  # fmt: skip
