"""Memory: ``/proc/meminfo``. The kernel writes "kB" and means KiB; sizes here are MiB (2**20 bytes)."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from opsnb.base.errors import UsageError

KIB_IN_MIB = 1024


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Memory in MiB.

    Args:
        total: What the kernel can use.
        free: Used for nothing at all.
        available: What programs can still get without swapping.
        estimated: Whether ``available`` is our estimate, because the kernel (before 3.14) does not tell it.
        cached: Page cache, buffers and reclaimable slab, without shared memory.
        shared: tmpfs and shared memory; it counts as used.
        swap_total: Swap space, 0 where there is none.
        swap_free: Swap space that is free.
    """

    total: float
    free: float
    available: float
    estimated: bool
    cached: float
    shared: float
    swap_total: float
    swap_free: float

    @property
    def used(self) -> float:
        """MiB that programs cannot get: total less available."""
        return self.total - self.available

    @property
    def available_percent(self) -> float:
        """``available`` in % of ``total``."""
        return 100 * self.available / self.total

    @property
    def swap_used_percent(self) -> float:
        """Swap in use, in % of it; 0 where there is none."""
        return 100 * (self.swap_total - self.swap_free) / self.swap_total if self.swap_total else 0.0


def parse_meminfo(text: str) -> Memory:
    """Return memory from ``/proc/meminfo``.

    Where ``MemAvailable`` is missing it is estimated as free + buffers + page cache + reclaimable slab less shared
    memory (which stands in the page cache and cannot be dropped). That is a little too high: the kernel keeps a part.

    Raises:
        UsageError: If ``MemTotal`` or ``MemFree`` is missing or not a number.
    """
    kib = _numbers(text)
    if not kib.get("MemTotal") or "MemFree" not in kib:
        raise UsageError(f"/proc/meminfo lacks MemTotal or MemFree: {text[:80]!r}")
    shared = kib.get("Shmem", 0)
    cached = max(0, kib.get("Cached", 0) + kib.get("Buffers", 0) + kib.get("SReclaimable", 0) - shared)
    available = kib.get("MemAvailable", min(kib["MemTotal"], kib["MemFree"] + cached))
    return Memory(
        total=_mib(kib["MemTotal"]), free=_mib(kib["MemFree"]), available=_mib(available),
        estimated="MemAvailable" not in kib, cached=_mib(cached), shared=_mib(shared),
        swap_total=_mib(kib.get("SwapTotal", 0)), swap_free=_mib(kib.get("SwapFree", 0)),
    )  # fmt: skip


def memory_table(memory: Memory) -> pd.DataFrame:
    """Return memory for a reader: columns ``what``, ``mib``, ``percent`` (of memory, or of swap)."""
    swap_used = memory.swap_total - memory.swap_free
    rows = [
        ("total", memory.total, 100.0),
        ("used (total less available)", memory.used, 100 - memory.available_percent),
        ("available" + (" (estimated)" if memory.estimated else ""), memory.available, memory.available_percent),
        ("free", memory.free, 100 * memory.free / memory.total),
        ("cache that can be dropped", memory.cached, 100 * memory.cached / memory.total),
        ("shared memory and tmpfs", memory.shared, 100 * memory.shared / memory.total),
    ]
    rows.append(("swap used", swap_used, memory.swap_used_percent) if memory.swap_total else ("no swap", 0.0, 0.0))
    return pd.DataFrame(rows, columns=["what", "mib", "percent"])


def _numbers(text: str) -> dict[str, int]:
    pairs = (line.partition(":") for line in text.splitlines())
    words = ((name.strip(), value.split()) for name, _, value in pairs)
    return {name: int(value[0]) for name, value in words if value and value[0].isdigit()}


def _mib(kib: int) -> float:
    return kib / KIB_IN_MIB
