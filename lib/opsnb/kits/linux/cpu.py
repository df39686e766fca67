"""CPU: ``/proc/stat``, ``/proc/cpuinfo``, ``/proc/loadavg``, ``/proc/uptime``, ``/proc/pressure/*``.

Formats: ``Documentation/filesystems/proc.rst`` and ``Documentation/accounting/psi.rst`` of the Linux kernel.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

import pandas as pd

from opsnb.base.errors import UsageError

# The order of the columns in /proc/stat; an old kernel prints fewer.
CPU_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
COUNTED = CPU_FIELDS[:8]  # guest time is part of user, guest_nice of nice
IDLE = ("idle", "iowait")

# /proc/cpuinfo of arm64 names no model. Numbers: arch/arm64/include/asm/cputype.h.
ARM_MAKERS = {0x41: "ARM", 0x43: "Cavium", 0x46: "Fujitsu", 0x48: "HiSilicon", 0x51: "Qualcomm", 0x61: "Apple",
              0x70: "Phytium", 0xC0: "Ampere"}  # fmt: skip
ARM_PARTS = {
    (0x41, 0xD03): "Cortex-A53", (0x41, 0xD07): "Cortex-A57", (0x41, 0xD08): "Cortex-A72", (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1", (0x41, 0xD40): "Neoverse-V1", (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4F): "Neoverse-V2", (0x48, 0xD01): "Kunpeng-920", (0xC0, 0xAC3): "Ampere-1",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CpuInfo:
    """What the processors are.

    Args:
        model: The model's name, as well as the kernel knows it.
        logical: CPUs that the scheduler sees.
        cores: Physical cores; ``None`` where the kernel does not say.
        sockets: Physical packages; ``None`` where the kernel does not say.
    """

    model: str
    logical: int
    cores: int | None
    sockets: int | None


@dataclass(frozen=True, kw_only=True)
class Load:
    """Tasks that run or wait (for a CPU, or uninterruptibly), averaged over 1, 5 and 15 minutes.

    Args:
        one: Over 1 minute.
        five: Over 5 minutes.
        fifteen: Over 15 minutes.
        running: Tasks that are runnable now.
        tasks: Tasks that exist now, threads included.
    """

    one: float
    five: float
    fifteen: float
    running: int
    tasks: int


def parse_stat(text: str) -> dict[str, dict[str, int]]:
    """Return ticks by CPU and field: ``{"cpu": {"user": 13825, ...}, "cpu0": ...}``; ``cpu`` is the sum of all.

    Raises:
        UsageError: If there is no ``cpu`` line.
    """
    found = {}
    for line in text.splitlines():
        name, *numbers = line.split()[:11] or [""]
        if name.startswith("cpu") and numbers:
            values = [int(n) for n in numbers]
            found[name] = dict(zip(CPU_FIELDS, [*values, *[0] * (len(CPU_FIELDS) - len(values))], strict=True))
    if "cpu" not in found:
        raise UsageError(f"/proc/stat has no 'cpu' line: {text[:80]!r}")
    return found


def cpu_usage(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]) -> pd.DataFrame:
    """Return how each CPU spent the time between two samples, in % of its own time.

    Columns: ``cpu`` (``all`` first, then by number), ``busy_percent`` (all but idle and iowait), ``user_percent``
    (with nice), ``system_percent`` (with interrupts), ``iowait_percent``, ``steal_percent``. A CPU without a tick
    between the samples (offline, or the interval is under 10 ms) has NaN.
    """
    rows = [{"cpu": name.removeprefix("cpu") or "all", **_shares(before[name], after[name])}
            for name in sorted(before.keys() & after.keys(), key=_cpu_number)]  # fmt: skip
    return pd.DataFrame(rows)


def parse_cpuinfo(text: str) -> CpuInfo:
    """Return what the processors are; x86, arm64, 32-bit ARM, POWER and s390x name things differently.

    Raises:
        UsageError: If no processor is listed.
    """
    blocks = [_fields(block) for block in re.split(r"\n\s*\n", text.strip())]
    processors = [b for b in blocks if "processor" in b and b["processor"].isdigit()]
    logical = len(processors) or len(re.findall(r"^processor \d+:", text, re.MULTILINE))  # the second form is s390x
    if not logical:
        raise UsageError(f"/proc/cpuinfo lists no processor: {text[:80]!r}")
    sockets = {b["physical id"] for b in processors if "physical id" in b}
    cores = {(b["physical id"], b["core id"]) for b in processors if "physical id" in b and "core id" in b}
    return CpuInfo(model=_model(blocks), logical=logical, cores=len(cores) or None, sockets=len(sockets) or None)


def parse_loadavg(text: str) -> Load:
    """Return ``/proc/loadavg``: ``0.12 0.11 0.08 2/85 5194``.

    Raises:
        UsageError: If the line has another form.
    """
    try:
        one, five, fifteen, tasks, *_ = text.split()
        running, total = tasks.split("/")
        return Load(one=float(one), five=float(five), fifteen=float(fifteen), running=int(running), tasks=int(total))
    except ValueError as error:
        raise UsageError(f"/proc/loadavg has another form than '0.12 0.11 0.08 2/85 5194': {text[:80]!r}") from error


def parse_uptime(text: str) -> float:
    """Return seconds since the machine started.

    Raises:
        UsageError: If the text is not two numbers.
    """
    try:
        up, _idle = text.split()
        return float(up)
    except ValueError as error:
        raise UsageError(f"/proc/uptime has another form than '4002.01 7804.31': {text[:80]!r}") from error


def parse_pressure(texts: dict[str, str]) -> pd.DataFrame:
    """Return pressure stall information, one row for each resource and kind.

    Args:
        texts: Resource (``cpu``, ``memory``, ``io``) to the text of ``/proc/pressure/<resource>``; empty where the
            kernel has none (before 4.20, or built without it).

    Returns:
        Columns: ``resource``, ``kind`` (``some``: at least one task waited; ``full``: all did), ``avg10_percent``,
        ``avg60_percent``, ``avg300_percent`` (share of time over 10, 60, 300 s).
    """
    rows = []
    for resource in sorted(texts):
        for line in texts[resource].splitlines():
            kind, *pairs = line.split()
            values = dict(pair.split("=", 1) for pair in pairs)
            averages = {f"avg{n}_percent": float(values[f"avg{n}"]) for n in (10, 60, 300)}
            rows.append({"resource": resource, "kind": kind, **averages})
    return pd.DataFrame(rows, columns=["resource", "kind", "avg10_percent", "avg60_percent", "avg300_percent"])


def cpu_table(cpu: CpuInfo, load: Load, uptime: float) -> pd.DataFrame:
    """Return processors, load and uptime as one table: columns ``what``, ``value``."""
    facts = asdict(cpu)
    rows = [("CPU model", cpu.model), ("logical CPUs", str(cpu.logical))]
    rows += [(f"physical {name}", str(facts[name] or "not told by the kernel")) for name in ("cores", "sockets")]
    rows += [
        ("load 1, 5, 15 min", f"{load.one:.2f}  {load.five:.2f}  {load.fifteen:.2f}"),
        ("load per CPU, 1 min", f"{load.one / cpu.logical:.2f}"),
        ("tasks", f"{load.tasks}, {load.running} runnable now"),
        ("up for", duration_text(uptime)),
    ]
    return pd.DataFrame(rows, columns=["what", "value"])


def duration_text(seconds: float) -> str:
    """Return ``3 d 04:05`` (days, hours, minutes) for a number of seconds."""
    minutes = int(seconds) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    return (f"{days} d " if days else "") + f"{hours:02}:{minutes:02}"


def _shares(before: dict[str, int], after: dict[str, int]) -> dict[str, float]:
    # iowait may run backwards (proc.rst): a negative difference counts as nothing
    spent = {name: max(0, after[name] - before[name]) for name in COUNTED}
    total = sum(spent.values())

    def share(*names: str) -> float:
        return 100 * sum(spent[n] for n in names) / total if total else float("nan")

    return {
        "busy_percent": share(*(n for n in COUNTED if n not in IDLE)),
        "user_percent": share("user", "nice"),
        "system_percent": share("system", "irq", "softirq"),
        "iowait_percent": share("iowait"),
        "steal_percent": share("steal"),
    }


def _cpu_number(name: str) -> int:
    return int(name.removeprefix("cpu") or -1)


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def _model(blocks: list[dict[str, str]]) -> str:
    for name in ("model name", "cpu model", "cpu", "Processor"):  # x86, MIPS, POWER, old ARM
        for block in blocks:
            if block.get(name):
                return block[name]
    for block in blocks:
        if "CPU implementer" in block:
            return _arm_model(block)
    return next((b["vendor_id"] for b in blocks if b.get("vendor_id")), "unknown")


def _arm_model(block: dict[str, str]) -> str:
    maker, part = int(block["CPU implementer"], 16), int(block.get("CPU part", "0"), 16)
    known = ARM_PARTS.get((maker, part))
    return f"{ARM_MAKERS.get(maker, f'implementer {maker:#x}')} {known or f'part {part:#x}'}"
