"""The limits beyond which something is a finding, with their units.

More than 4,000 packets/s or 5,000 kB/s received on an interface is the house's mark for "suspect"; the others are
where trouble usually begins. What is normal differs by role: pass your own where you know better.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Limits with their unit; a value beyond a limit (for ``available``: below it) is a finding.

    Args:
        cpu_busy_percent: All CPUs together, % of the interval (warning).
        cpu_iowait_percent: Idle with a disk request open, % (warning).
        cpu_steal_percent: Taken by the hypervisor for others, % (warning).
        load_per_cpu: 1-minute load for each CPU (warning).
        load_per_cpu_critical: The same (critical).
        memory_available_percent: Available memory, % of it (warning).
        memory_available_percent_critical: The same (critical).
        swap_used_percent: Swap in use, % of it (warning).
        disk_used_percent: As df's Use% (warning); inodes too.
        disk_used_percent_critical: The same (critical); inodes too.
        receive_packets_s: Packets/s received on one interface (warning: suspect).
        receive_kb_s: kB/s (1024 bytes) received on one interface (warning: suspect).
        network_errors_s: Errors/s on one interface, both directions (warning).
        network_drops_s: Dropped packets/s on one interface, both directions (warning).
        syn_recv: TCP connections half open (warning).
        close_wait: TCP connections that the other side closed and the program did not (warning).
        time_wait: TCP connections in TIME_WAIT (notice).
        process_cpu_percent: One process, % of one CPU (notice).
        process_memory_percent: One process, % of memory (warning).
        blocked_processes: Processes in uninterruptible sleep (warning).
        zombie_processes: Processes that ended and were not collected (notice).
        pressure_percent: Share of the last minute in which some task waited for memory or a disk, % (warning).
        pressure_cpu_percent: The same for a CPU, % (warning).
        restarted_minutes: Time since the machine started, minutes (notice, below it).
    """

    cpu_busy_percent: float = 90
    cpu_iowait_percent: float = 20
    cpu_steal_percent: float = 10
    load_per_cpu: float = 1.0
    load_per_cpu_critical: float = 2.0
    memory_available_percent: float = 10
    memory_available_percent_critical: float = 5
    swap_used_percent: float = 50
    disk_used_percent: float = 85
    disk_used_percent_critical: float = 95
    receive_packets_s: float = 4000
    receive_kb_s: float = 5000
    network_errors_s: float = 0
    network_drops_s: float = 10
    syn_recv: float = 256
    close_wait: float = 100
    time_wait: float = 20_000
    process_cpu_percent: float = 90
    process_memory_percent: float = 50
    blocked_processes: float = 4
    zombie_processes: float = 20
    pressure_percent: float = 20
    pressure_cpu_percent: float = 60
    restarted_minutes: float = 10
