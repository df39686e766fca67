"""The traffic of many hosts: each counts its own logs, and the counts are added exactly.

Rules:

* One round trip a host for its configuration, one for counting; what crosses the line are tables, never log lines
  (but for five samples of lines that are not of the format).
* A host that cannot be reached or read is named, with the reason; the others go on.
* Time over on a host: what was read until then counts, and ``unread`` says what was not.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.fleet import Fleet, UnknownOutcomeError, UnreachableError
from opsnb.kits.nginx.access.answer import Answer, LogFile, Slow
from opsnb.kits.nginx.access.counts import Count, Series, Table, merged, summed
from opsnb.kits.nginx.access.logs import Log, configured_logs, named_logs, with_rotated
from opsnb.kits.nginx.access.scanning import Meter, Progress, scan
from opsnb.kits.nginx.access.window import Window
from opsnb.kits.nginx.reading import read

SLOWEST = 20  # requests that are shown one by one
UNKNOWN_HOST = "(not in the log)"


@dataclass(kw_only=True)
class Node:
    """One host's traffic.

    Args:
        host: The host.
        logs: What was looked for.
        answer: What it answered.
        notes: What cannot be read of its configuration.
    """

    host: str
    logs: Sequence[Log]
    answer: Answer
    notes: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[LogFile]:
        """The files that were counted."""
        return self.answer.files

    @property
    def total(self) -> Count:
        """Everything that was counted, exact."""
        return summed(file.series.total for file in self.files)

    @property
    def odd(self) -> int:
        """Lines that are not of the format."""
        return sum(file.odd for file in self.files)

    @property
    def unread(self) -> list[str]:
        """What was not read, or not to its end, in words."""
        found = [f"{name}: {why}" for number, name, why in self.answer.unread
                 if not (why.startswith("is no regular") and _rotated(self.logs, number))]  # fmt: skip
        found += [f"{f.name}: the time was over after {f.read:,} bytes of {f.size:,}" for f in self.files if f.stopped]
        found += [f"{f.name}: could not be unpacked to its end" for f in self.files if f.broken]
        patterns = [self.logs[number] for number in self.answer.none]
        found += [f"{log.pattern}: no such file" for log in patterns if not log.pattern.endswith((".*", "-*"))]
        return found if self.answer.whole else [*found, "the end of the host's answer is missing"]


@dataclass(kw_only=True)
class Traffic:
    """The traffic of the hosts of a run.

    Args:
        nodes: Host to what it counted.
        failed: Host to why nothing is known about it: ``unreachable``, ``unknown`` or ``failed``, and the reason.
        window: Which part of the logs was asked for.
        seconds: How long the scan took.
    """

    nodes: dict[str, Node]
    failed: dict[str, tuple[str, str]]
    window: Window
    seconds: float

    @property
    def files(self) -> list[LogFile]:
        """Every file of every host."""
        return [file for node in self.nodes.values() for file in node.files]

    @property
    def total(self) -> Count:
        """Everything that was counted, exact."""
        return summed(node.total for node in self.nodes.values())

    @property
    def odd(self) -> int:
        """Lines that are not of the format."""
        return sum(file.odd for file in self.files)

    @property
    def span(self) -> tuple[int, int] | None:
        """First and last second of all nodes; rates are over the time between, the same for each."""
        times = [(f.first, f.last) for f in self.files if f.first is not None and f.last is not None]
        return (min(a for a, _ in times), max(b for _, b in times)) if times else None

    @property
    def length(self) -> int:
        """Seconds of the span; 0 where the logs have no time."""
        return self.span[1] - self.span[0] + 1 if self.span else 0

    @property
    def zone(self) -> int:
        """Seconds east of Greenwich, as most files say."""
        zones = Counter(file.zone for file in self.files if file.first is not None)
        return zones.most_common(1)[0][0] if zones else 0

    def table(self, name: str) -> Table:
        """Return ``paths``, ``hosts`` (virtual hosts) or ``upstreams`` of all nodes."""
        found = Table()
        for node in self.nodes.values():
            for file in node.files:
                found.add(_copy(_hosts(file, node) if name == "hosts" else getattr(file, name)))
        return found

    def series(self, host: str) -> Series:
        """Return a node over time."""
        return _series(self.nodes[host].files)

    @property
    def status(self) -> dict[tuple[str, str], tuple[int, int, int]]:
        """Status and method to requests, bytes, milliseconds."""
        found: dict[tuple[str, str], tuple[int, int, int]] = {}
        for file in self.files:
            for key, (requests, size, ms) in file.status.items():
                old = found.get(key, (0, 0, 0))
                found[key] = (old[0] + requests, old[1] + size, old[2] + ms)
        return found

    @property
    def cache(self) -> Counter[str]:
        """Cache status to requests."""
        return merged(file.cache for file in self.files)

    @property
    def slowest(self) -> list[tuple[str, Slow]]:
        """The slowest requests, exact: host and request."""
        rows = [(node.host, slow) for node in self.nodes.values() for file in node.files for slow in file.slowest]
        return sorted(rows, key=lambda row: (-row[1].ms, row[0], row[1].at or 0, row[1].path))[:SLOWEST]


def traffic(
    hosts: Fleet, *, window: Window, logs: Sequence[str] = (), format: str = "", conf: str = "",  # noqa: A002
    rotated: bool = False, normalise: bool = True, seconds: float = 300.0, progress: Progress | None = None,
) -> Traffic:  # fmt: skip
    """Count the access logs of every host, each where they lie.

    Args:
        hosts: The hosts.
        window: Which part of the logs.
        logs: Absolute paths or patterns, instead of what the configuration says.
        format: How their lines look: ``combined``, a format's text, or a whole ``log_format`` directive.
        conf: nginx's configuration file, when it is not where the running one has it.
        rotated: Whether rotated files are read too.
        normalise: Whether numbers and ids in paths become ``:id``.
        seconds: How long each host may count.
        progress: Called with bytes done and in all.

    Raises:
        UsageError: If a path or the format is none.
    """
    if format and not logs:
        raise UsageError("a format was given and no logs to read with it", hint="-p logs='[\"/var/log/x.log\"]'")
    given = named_logs(logs, format) if logs else []
    started = time.monotonic()
    meter = Meter(progress)

    def one(host: str) -> Node:
        notes: list[str] = []
        found = given
        if not given:
            found, notes = configured_logs(read(host, conf))
        wanted = with_rotated(found) if rotated else list(found)
        return Node(host=host, logs=wanted, notes=notes,
                    answer=scan(host, wanted, window, normalise=normalise, seconds=seconds, meter=meter))  # fmt: skip

    found = hosts.each(lambda machine: one(machine.name))
    return Traffic(
        nodes={host: value for host, value in found.items() if isinstance(value, Node)},
        failed={host: _failed(host, value) for host, value in found.items() if isinstance(value, OpsnbError)},
        window=window,
        seconds=time.monotonic() - started,
    )


def _rotated(logs: Sequence[Log], number: int) -> bool:
    return logs[number].pattern.endswith((".*", "-*"))


def _failed(host: str, error: OpsnbError) -> tuple[str, str]:
    status = "unreachable" if isinstance(error, UnreachableError) else "failed"
    status = "unknown" if isinstance(error, UnknownOutcomeError) else status
    return status, error.message.removeprefix(f"{host}: ")


def _hosts(file: LogFile, node: Node) -> Table:
    """Return a file by virtual host; where its lines do not say, by the server that its log belongs to."""
    if "host" in node.logs[file.number].format.roles:
        return file.hosts
    return Table(rows={node.logs[file.number].server or UNKNOWN_HOST: file.series.total})


def _series(files: Sequence[LogFile]) -> Series:
    found = Series(width=max((file.series.width for file in files), default=1))
    for file in files:
        found.add(Series(width=file.series.width, steps=dict(file.series.steps)))
    return found


def _copy(table: Table) -> Table:
    """Return a table whose counts may be added to."""
    rows = {name: summed([count]) for name, count in table.rows.items()}
    return Table(rows=rows, others=summed([table.others]), floor=table.floor)
