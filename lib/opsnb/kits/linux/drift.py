"""Which host of a group is odd, and in what: the majority is the reference, or a host that is named.

Rule: of each name the value that most hosts have is the reference; a host with another value, or without it, is odd in
that. Where two values are equally common there is no reference, and every host is listed with what it has. Where each
of three or more hosts has a value of its own, it is made for each host (a listen address), and nobody is odd: that
is noted. Clocks are compared with the median of all offsets; a clock is odd beyond 2 s and what its measurement may be
wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import pandas as pd

from opsnb.base.errors import UsageError
from opsnb.kits.linux.driftread import AREAS, Settings
from opsnb.runbook.show import visible

ABSENT = "not there"
CLOCK_SECONDS = 2.0  # two clocks that are closer tell logs in the right order well enough
ENOUGH = 3  # hosts: where so many agree in nothing, nobody is the odd one
TOLD = 10  # differences of one host that are told as sentences; the table has all
MAX_EVIDENCE = 1000  # differences of one host that are kept by name


@dataclass(frozen=True, kw_only=True)
class Difference:
    """In what one host is odd.

    Args:
        host: The host.
        area: One of ``AREAS``.
        name: Which package, file, setting, service, user.
        found: Its value there.
        reference: The value elsewhere, or what the others have where there is no majority.
        shared: How many hosts have the reference, of how many.
    """

    host: str
    area: str
    name: str
    found: str
    reference: str
    shared: str

    def __str__(self) -> str:
        return f"{self.area}: {self.name}: {self.found}; elsewhere {self.reference} ({self.shared})"


def differences(settings: Mapping[str, Settings], reference: str = "") -> list[Difference]:
    """Return every difference, in the order of areas and names.

    Args:
        settings: Of at least one host.
        reference: Name of the host that is right; the majority where empty.

    Raises:
        UsageError: If the named host was not read.
    """
    if reference and reference not in settings:
        raise UsageError(f"reference: host '{reference}' was not read", hint=f"one of: {', '.join(settings) or 'none'}")
    found = [d for area in AREAS for d in _area(area, settings, reference)]
    return found + _clocks(settings, reference)


def odd_hosts(settings: Mapping[str, Settings], found: list[Difference]) -> dict[str, list[str]]:
    """Return host to its differences as sentences; hosts that are like the others have none."""
    odd: dict[str, list[str]] = {host: [] for host in settings}
    for difference in found:
        odd[difference.host].append(visible(str(difference)))
    return {host: rows[:MAX_EVIDENCE] for host, rows in odd.items() if rows}


def drift_table(found: list[Difference]) -> pd.DataFrame:
    """Return differences for a reader: columns ``host``, ``what``, ``found``, ``elsewhere``, ``area``, ``shared``."""
    rows = [(d.host, d.name, d.found, d.reference, d.area, d.shared) for d in found]
    return pd.DataFrame(rows, columns=["host", "what", "found", "elsewhere", "area", "shared"])


def compared_table(settings: Mapping[str, Settings], found: list[Difference]) -> pd.DataFrame:
    """Return what was compared: columns ``area``, ``names``, ``hosts`` (that told them), ``odd`` (hosts)."""
    rows = []
    for area in AREAS:
        told = [s.areas[area] for s in settings.values() if area in s.areas]
        odd = {d.host for d in found if d.area == area}
        rows.append((area, len({name for names in told for name in names}), len(told), len(odd)))
    return pd.DataFrame(rows, columns=["area", "names", "hosts", "odd"])


def drift_text(settings: Mapping[str, Settings], found: list[Difference], reference: str = "") -> str:
    """Return the answer in a few lines: which hosts are odd, against what."""
    against = f"host {reference}" if reference else "what most hosts have"
    odd = Counter(d.host for d in found)
    lines = [f"{len(settings)} hosts compared with {against}: {len(odd)} odd"]
    two = 2
    if len(settings) < two:
        lines = [f"{len(settings)} host was read; a comparison wants two or more"]
    elif len(settings) == two and not reference:
        lines.append("of two hosts neither is the majority: each is listed with what the other has")
    for host, count in odd.most_common():
        told = [d for d in found if d.host == host][:TOLD]
        lines.append(f"{host}: {count} difference{'s' if count > 1 else ''}")
        lines += [f"  {visible(str(d))}" for d in told]
        lines += [f"  ... and {count - TOLD} more, in the table"] if count > TOLD else []
    return "\n".join(lines)


def drift_notes(settings: Mapping[str, Settings]) -> pd.DataFrame:
    """Return what could not be compared: columns ``host``, ``not_compared``."""
    rows = [(host, note) for host, s in settings.items() for note in s.notes]
    rows += [
        ("every host", f"{area}: {name}: each host has its own")
        for area in AREAS for name, values in _by_name(area, settings).items() if _each_its_own(values)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["host", "not_compared"])


def _area(area: str, settings: Mapping[str, Settings], reference: str) -> list[Difference]:
    found = []
    for name, values in _by_name(area, settings).items():
        if not reference or reference in values:
            found += _odd(area, name, values, reference)
    return found


def _by_name(area: str, settings: Mapping[str, Settings]) -> dict[str, dict[str, str]]:
    """Return name to host to value, of the hosts that told this area."""
    told = {host: s.areas[area] for host, s in settings.items() if area in s.areas}
    names = sorted({name for found in told.values() for name in found})
    return {name: {host: found.get(name, ABSENT) for host, found in told.items()} for name in names}


def _each_its_own(values: dict[str, str]) -> bool:
    return len(values) >= ENOUGH and len(set(values.values())) == len(values)


def _odd(area: str, name: str, values: dict[str, str], reference: str) -> list[Difference]:
    counts = Counter(values.values())
    if len(counts) == 1:
        return []
    (usual, most), (_, second) = counts.most_common(2)
    if reference:
        usual, most = values[reference], counts[values[reference]]
    elif _each_its_own(values):
        return []
    elif most == second:  # no majority: each host with what the others have
        return [
            Difference(host=host, area=area, name=name, found=value, shared="no majority",
                       reference=" or ".join(sorted(v for v in counts if v != value)))
            for host, value in values.items()
        ]  # fmt: skip
    shared = f"host {reference}" if reference else f"{most} of {len(values)}"
    return [Difference(host=host, area=area, name=name, found=value, reference=usual, shared=shared)
            for host, value in values.items() if value != usual]  # fmt: skip


def _clocks(settings: Mapping[str, Settings], reference: str) -> list[Difference]:
    told: dict[str, Any] = {host: s.offset for host, s in settings.items() if s.offset[0] is not None}
    two = 2
    if len(told) < two or (reference and reference not in told):
        return []
    middle = told[reference][0] if reference else median(offset for offset, _ in told.values())
    found = []
    for host, (offset, uncertain) in told.items():
        apart = offset - middle
        if abs(apart) > CLOCK_SECONDS + uncertain:
            where = "ahead" if apart > 0 else "behind"
            found.append(Difference(host=host, area="time", name="clock", found=f"{abs(apart):.0f} s {where}",
                                    reference="within 2 s", shared=f"median of {len(told)}"))  # fmt: skip
    return found
