"""Facts as tables: one host in full, several hosts one row each, and where they differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from opsnb.kits.linux.cpu import duration_text
from opsnb.kits.linux.facts import Facts
from opsnb.runbook.show import visible

NOT_TOLD = "not told"
HOSTS_NAMED = 6  # in a difference; the rest is counted
COMPARED: dict[str, Callable[[Facts], Any]] = {  # what hosts of one role share; names and addresses differ by nature
    "operating system": lambda f: f["os"]["name"],
    "kernel": lambda f: f["kernel"],
    "machine": lambda f: f["machine"],
    "CPU model": lambda f: (f["cpu"] or {}).get("model"),
    "logical CPUs": lambda f: (f["cpu"] or {}).get("logical"),
    "memory, GiB": lambda f: _gib(f["memory_mib"]),
    "swap, GiB": lambda f: _gib(f["swap_mib"]),
    "disks": lambda f: ", ".join(f"{name} {d['gib']:g} GiB" for name, d in sorted(f["disks"].items())) or None,
    "package managers": lambda f: ", ".join(f["packages"]) or "none",
    "python": lambda f: _pairs(f["python"]),
    "virtualization": lambda f: f["virtualization"],
    "time zone": lambda f: f["zone"],
    "users with a login shell": lambda f: ", ".join(sorted(u["name"] for u in f["users"] or [])) or None,
    "mounts": lambda f: ", ".join(sorted(m["point"] for m in f["mounts"] or [])) or None,
}


def facts_table(facts: Mapping[str, Facts]) -> pd.DataFrame:
    """Return facts for a reader: of one host columns ``what``, ``value``; of several one row a host."""
    if len(facts) == 1:
        return _one(next(iter(facts.values())))
    rows = [
        (host, _text(f["os"]["name"]), _text(f["kernel"]), _text((f["cpu"] or {}).get("logical")),
         _text(_gib(f["memory_mib"])), _address(f), _up(f), _text(f["virtualization"]), _clock(f), _pairs(f["python"]))
        for host, f in facts.items()
    ]  # fmt: skip
    names = ["host", "os", "kernel", "cpus", "memory_gib", "address", "up", "virtualization", "clock", "python"]
    return pd.DataFrame(rows, columns=names)


def fact_differences(facts: Mapping[str, Facts]) -> pd.DataFrame:
    """Return where hosts differ, the rarest value of each thing first: columns ``what``, ``value``, ``hosts``."""
    rows = []
    for what, of in COMPARED.items():
        values: dict[str, list[str]] = {}
        for host, found in facts.items():
            values.setdefault(_text(of(found)), []).append(host)
        if len(values) > 1:
            ordered = sorted(values.items(), key=lambda item: (len(item[1]), item[0]))
            rows += [(what, value, _named(hosts)) for value, hosts in ordered]
    return pd.DataFrame(rows, columns=["what", "value", "hosts"])


def not_read_table(facts: Mapping[str, Facts]) -> pd.DataFrame:
    """Return what hosts did not tell: columns ``host``, ``not_read``."""
    rows = [(host, visible(why)) for host, found in facts.items() for why in found["not_read"]]
    return pd.DataFrame(rows, columns=["host", "not_read"])


def _one(f: Facts) -> pd.DataFrame:
    cpu = f["cpu"] or {}
    rows = [(what, _text(of(f))) for what, of in COMPARED.items()]
    rows += [("physical cores, sockets", f"{_text(cpu.get('cores'))}, {_text(cpu.get('sockets'))}")]
    rows += [("name", _text(f["hostname"])), ("up for", _up(f)), ("clock", _clock(f)), ("boot id", _text(f["boot_id"]))]
    rows += [(f"address of {name}", ", ".join(found)) for name, found in (f["addresses"] or {}).items()]
    if f["addresses"] is None:
        rows.append(("addresses", NOT_TOLD))
    return pd.DataFrame(rows, columns=["what", "value"])


def _text(value: Any) -> str:
    if value is None:
        return NOT_TOLD
    return visible(value if isinstance(value, str) else json.dumps(value))


def _pairs(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items())) or "none"


def _gib(mib: float | None) -> float | None:
    return None if mib is None else round(mib / 1024, 1)


def _address(f: Facts) -> str:
    if f["addresses"] is None:
        return NOT_TOLD
    found = [a.partition("/")[0] for name, rows in f["addresses"].items() if name != "lo" for a in rows]
    return next((a for a in found if not a.startswith("fe80")), "none outside lo")


def _up(f: Facts) -> str:
    return NOT_TOLD if f["uptime_s"] is None else duration_text(f["uptime_s"])


def _clock(f: Facts) -> str:
    if f["time_offset_s"] is None:
        return NOT_TOLD
    return f"{f['time_offset_s']:+.2f} s (to within {f['time_uncertain_s']:.2f})"


def _named(hosts: list[str]) -> str:
    more = len(hosts) - HOSTS_NAMED
    return ", ".join(hosts[:HOSTS_NAMED]) + (f" and {more} more" if more > 0 else "")
