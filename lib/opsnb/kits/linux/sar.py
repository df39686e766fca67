"""What sysstat collected: CPU, load and network over a day, from ``sadf -j`` (sysstat 10, 11 and 12).

Between those versions names stayed and fields were added, so what is not known is passed over. sadf's times are UTC
unless it was told otherwise; the flag beside each says so, and another time is shown as it stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from opsnb.base.errors import UsageError
from opsnb.fleet import Machine
from opsnb.fleet.local import LocalTransport

CPU = {"busy_percent": (), "user_percent": ("user", "usr", "nice"), "system_percent": ("system", "sys", "irq", "soft"),
       "iowait_percent": ("iowait",), "steal_percent": ("steal",)}  # fmt: skip
LOAD = {"load_1min": "ldavg-1", "load_5min": "ldavg-5", "load_15min": "ldavg-15", "run_queue": "runq-sz",
        "tasks": "plist-sz", "blocked": "blocked"}  # fmt: skip
NETWORK = {"receive_packets_s": "rxpck", "transmit_packets_s": "txpck", "receive_kb_s": "rxkB", "transmit_kb_s": "txkB"}
LOAD_WORDS = {"load_1min": "load, 1 min", "run_queue": "tasks that wait for a CPU", "blocked": "blocked tasks"}
NETWORK_WORDS = {"receive_packets_s": "packets/s in", "transmit_packets_s": "packets/s out", "receive_kb_s": "kB/s in",
                 "transmit_kb_s": "kB/s out"}  # fmt: skip
MAX_FILE = 256 * 1024 * 1024  # bytes of a saved file
MAX_SAID = 200  # characters of a tool's complaint
SADF = ("sadf", "-j")
WANTED = ("--", "-u", "-q", "-n", "DEV")
NOT_INSTALLED = "sysstat is not installed on this host, so nothing was collected (HST-010 prepares it)"


@dataclass(frozen=True, kw_only=True)
class History:
    """What was collected on one host; times ascend. Shares are % of all CPUs; rates as in ``sar -n DEV``.

    Args:
        host: The name that the host gave itself.
        cpu: Columns ``time``, ``busy_percent``, ``user_percent``, ``system_percent``, ``iowait_percent``,
            ``steal_percent``.
        load: Columns ``time``, ``load_1min``, ``load_5min``, ``load_15min``, ``run_queue``, ``tasks``, ``blocked``.
        network: Columns ``time``, ``interface``, ``receive_packets_s``, ``transmit_packets_s``, ``receive_kb_s``,
            ``transmit_kb_s``.
        restarts: Times at which the host started.
    """

    host: str
    cpu: pd.DataFrame
    load: pd.DataFrame
    network: pd.DataFrame
    restarts: tuple[str, ...] = ()


def parse_sadf(text: str) -> History:
    """Return the first host of ``sadf -j``'s document.

    Raises:
        UsageError: If it is no such document, with what was found.
    """
    try:
        host = json.loads(text)["sysstat"]["hosts"][0]
        statistics = [s for s in host.get("statistics", []) if s and s.get("timestamp")]
        return History(
            host=str(host.get("nodename", "")),
            cpu=_frame([r for s in statistics for r in _cpu(s)], ["time"], [*CPU]),
            load=_frame([r for s in statistics for r in _load(s)], ["time"], [*LOAD]),
            network=_frame([r for s in statistics for r in _network(s)], ["time", "interface"], [*NETWORK]),
            restarts=tuple(_time(r.get("boot", r)) for r in host.get("restarts", [])),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        found = " ".join(text.split())[:MAX_SAID] or "nothing"
        raise UsageError(f"this is not what sadf -j prints; found: {found}") from error


def history_of(tools: dict[str, str]) -> tuple[History | None, str]:
    """Return what sysstat collected from the output of ``sadf`` on a host, or why there is nothing."""
    if "sadf" not in tools:
        return None, NOT_INSTALLED
    try:
        return parse_sadf(tools["sadf"]), ""
    except UsageError as error:
        return None, f"sysstat has no data for today: {str(error).rpartition('found: ')[2]}"


def read_saved(path: str | Path) -> History:
    """Return a saved file: sadf's JSON, or a binary ``sa`` file, which this machine's ``sadf`` reads.

    Raises:
        UsageError: If it is neither, is too large, or there is no ``sadf`` here for a binary file.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}", hint="name a file of sar or of sadf -j") from None
    if len(data) > MAX_FILE:
        raise UsageError(f"{file} is larger than {MAX_FILE // 2**20} MiB; sar writes one file a day, of some MiB")
    if data.lstrip()[:1] == b"{":
        return parse_sadf(data.decode("utf-8", "backslashreplace"))
    return _binary(file)


def history_table(history: History) -> pd.DataFrame:
    """Return the day in short, one row for each thing: columns ``what``, ``median``, ``p95``, ``max``, ``at``.

    ``p95`` is the value that 95 % of the samples do not pass, ``at`` the time of the largest.
    """
    rows = [(f"CPU {what}, %", *_short(history.cpu, f"{what}_percent")) for what in ("busy", "iowait", "steal")]
    rows += [(what, *_short(history.load, name)) for name, what in LOAD_WORDS.items()]
    for interface, frame in history.network.groupby("interface", sort=True):
        rows += [(f"{interface} {what}", *_short(frame, name)) for name, what in NETWORK_WORDS.items()]
    frame = pd.DataFrame(rows, columns=["what", "median", "p95", "max", "at"])
    return frame[frame["max"].notna()].reset_index(drop=True)


def _binary(file: Path) -> History:
    here = Machine("localhost", LocalTransport())
    result = here.run(*SADF, str(file.absolute()), *WANTED)
    if result.exit == 127:  # noqa: PLR2004  (the program is not there)
        raise UsageError(
            f"{file} is a binary file of sar, and sadf is not on this machine",
            hint=f"install sysstat here, or on its host: sadf -j {file} -- -u -q -n DEV > day.json",
        )
    try:
        return parse_sadf(result.text)
    except UsageError:
        said = " ".join((result.errors + result.text).split())[:MAX_SAID] or f"exit {result.exit}"
        raise UsageError(
            f"{file} cannot be read by this machine's sadf: {said}",
            hint=f"a file of another version: sadf -c {file} > new, or on its host: sadf -j {file} -- -u -q -n DEV",
        ) from None


def _frame(rows: list[dict[str, Any]], words: list[str], numbers: list[str]) -> pd.DataFrame:
    """Return rows as a table whose columns have their types even where there is no row."""
    types = {**dict.fromkeys(words, str), **dict.fromkeys(numbers, float)}
    return pd.DataFrame(rows, columns=[*words, *numbers]).astype(types)


def _cpu(sample: dict[str, Any]) -> list[dict[str, Any]]:
    rows = sample.get("cpu-load") or sample.get("cpu-load-all") or []
    found = []
    for row in rows:
        if str(row.get("cpu")) not in {"all", "-1"}:
            continue
        values = {column: sum(float(row.get(n, 0)) for n in names) for column, names in CPU.items()}
        values["busy_percent"] = 100 - float(row["idle"]) - values["iowait_percent"]
        found.append({"time": _time(sample["timestamp"]), **values})
    return found


def _load(sample: dict[str, Any]) -> list[dict[str, Any]]:
    row = sample.get("queue")
    if not row:
        return []
    values = {column: float(row[name]) if name in row else float("nan") for column, name in LOAD.items()}
    return [{"time": _time(sample["timestamp"]), **values}]


def _network(sample: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"time": _time(sample["timestamp"]), "interface": str(row["iface"]),
         **{column: float(row[name]) for column, name in NETWORK.items()}}
        for row in (sample.get("network") or {}).get("net-dev") or []
    ]  # fmt: skip


def _time(stamp: dict[str, Any]) -> str:
    zone = "UTC" if stamp.get("utc") else "host's time"
    return f"{stamp['date']} {stamp['time']} {zone}"


def _short(frame: pd.DataFrame, name: str) -> tuple[float, float, float, str]:
    values = frame[name].dropna()
    if values.empty:
        return float("nan"), float("nan"), float("nan"), ""
    at = str(frame["time"].iloc[int(frame[name].argmax())])
    return float(values.median()), float(values.quantile(0.95)), float(values.max()), at
