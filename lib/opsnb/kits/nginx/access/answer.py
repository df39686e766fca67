"""What the script on a host answered, as values. Pure.

Lines of fields with tabs between; a name stands in a field of its own, without tabs and line breaks:

=========  ==========================================================================================
``now``    the host's clock and zone
``awk``    what counted
``total``  bytes of all files
``open``   which pattern, size, where reading begins: a file
``at``     bytes that were counted of it so far: progress
``file``   name, lines, counted, not of the format, outside the window, cut off at its end, bytes, whether time was
           over, first and last second, its zone in seconds, busiest second's requests, when
``time``   step, requests, bytes, 4xx, 5xx, 499, ms, longest, histogram ``bucket:requests ...``
``key``    ``p`` path, ``h`` host or ``u`` upstream, name, requests, bytes, 4xx, 5xx, 499, ms, longest, missed,
           histogram
``status`` status, method, requests, bytes, ms
``slow``   ms, second, status, method, upstream, path
=========  ==========================================================================================
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from opsnb.base.errors import OpsnbError
from opsnb.kits.nginx.access.counts import Count, Series, Table
from opsnb.kits.nginx.access.formats import Escape

ESCAPED = re.compile(rb"\\x([0-9A-Fa-f]{2})")
KINDS = {"p": "paths", "h": "hosts", "u": "upstreams"}
UNREAD = {
    "vanished": "was renamed or removed while it was looked at",
    "special": "is no regular file (a pipe, a terminal, /dev/stdout): nothing stays in it",
    "old": "was written last before the window begins",
    "late": "was not come to in the time that was given",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Slow:
    """One of the slowest requests, exact."""

    ms: int
    at: int | None
    status: str
    method: str
    upstream: str
    path: str


@dataclass(kw_only=True)
class LogFile:
    """One file that was counted.

    Args:
        number: Which of the patterns it belongs to.
        name: Its path.
        size: Bytes on the disk.
        before: Bytes at its beginning that were passed over: they lie before the window.
        lines: Whole lines that were read.
        counted: Lines that were counted.
        odd: Lines that are not of the format.
        outside: Lines outside the window.
        cut: Whether its last line had no end yet.
        read: Bytes that were read, unpacked.
        stopped: Whether the time was over before its end.
        broken: Whether it could not be unpacked to its end.
        first: First second, since 1970.
        last: Last second.
        zone: Seconds east of Greenwich.
        busiest: Requests of its busiest second.
        busiest_at: When that was.
        samples: Some of the lines that are not of the format.
        series: Over time.
        paths: By path.
        hosts: By virtual host.
        upstreams: By upstream; each try counts.
        status: Status and method to requests, bytes, milliseconds.
        cache: Cache status to requests.
        slowest: The slowest requests.
    """

    number: int
    size: int
    before: int = 0
    name: str = ""
    lines: int = 0
    counted: int = 0
    odd: int = 0
    outside: int = 0
    cut: int = 0
    read: int = 0
    stopped: bool = False
    broken: bool = False
    first: int | None = None
    last: int | None = None
    zone: int = 0
    busiest: int = 0
    busiest_at: int | None = None
    samples: list[str] = field(default_factory=list)
    series: Series = field(default_factory=Series)
    paths: Table = field(default_factory=Table)
    hosts: Table = field(default_factory=Table)
    upstreams: Table = field(default_factory=Table)
    status: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    cache: Counter[str] = field(default_factory=Counter)
    slowest: list[Slow] = field(default_factory=list)


@dataclass(kw_only=True)
class Answer:
    """What a host answered.

    Args:
        now: Its clock, seconds since 1970.
        awk: What counted there.
        total: Bytes of all files.
        files: What was counted.
        unread: Pattern's number, file, and why it was not counted.
        none: Patterns that no file matches.
        whole: Whether the answer came to its end.
    """

    now: int = 0
    awk: str = ""
    total: int = 0
    files: list[LogFile] = field(default_factory=list)
    unread: list[tuple[int, str, str]] = field(default_factory=list)
    none: list[int] = field(default_factory=list)
    whole: bool = False


def parse_answer(data: bytes, escapes: Sequence[Escape]) -> Answer:
    """Return what a host answered.

    Args:
        data: What the script wrote.
        escapes: How each pattern's format escapes values.

    Raises:
        OpsnbError: If it is not the script's.
    """
    lines = data.split(b"\n")[:-1]  # behind the last line's end: nothing, or a line that was cut
    try:
        lines = lines[lines.index(b"opsnb-access\t1") + 1 :]
    except ValueError:
        raise OpsnbError(f"/bin/sh ran and said nothing that was asked for: {data[:80]!r}") from None
    found = Answer()
    for line in lines:
        kind, *rest = line.split(b"\t")
        _take(found, kind.decode("ascii", "replace"), rest, escapes)
    if found.files and not found.files[-1].name:
        found.files.pop()  # the answer ended in the middle of it
    return found


def _take(found: Answer, kind: str, rest: list[bytes], escapes: Sequence[Escape]) -> None:
    if kind in TAKES and found.files:
        file = found.files[-1]
        TAKES[kind](file, rest, escapes[file.number])
    elif kind in WHOLE:
        WHOLE[kind](found, rest)
    elif kind in UNREAD:
        found.unread.append((int(rest[0]), text(rest[1]), UNREAD[kind]))
    elif kind.startswith("without "):
        found.unread.append((int(rest[0]), text(rest[1]), f"is packed, and the host has no {kind[8:]}"))
        found.files.pop()


def _end(found: Answer, _: list[bytes]) -> None:
    found.whole = True


def _now(found: Answer, rest: list[bytes]) -> None:
    found.now = int(rest[0])


def _awk(found: Answer, rest: list[bytes]) -> None:
    found.awk = rest[0].decode()


def _total(found: Answer, rest: list[bytes]) -> None:
    found.total = int(rest[0])


def _none(found: Answer, rest: list[bytes]) -> None:
    found.none.append(int(rest[0]))


def _open(found: Answer, rest: list[bytes]) -> None:
    found.files.append(LogFile(number=int(rest[0]), size=int(rest[1]), before=int(rest[2])))


WHOLE = {"end": _end, "now": _now, "awk": _awk, "total": _total, "none": _none, "open": _open}


def _broken(file: LogFile, _: list[bytes], __: Escape) -> None:
    file.broken = True


def _file(file: LogFile, rest: list[bytes], _: Escape) -> None:
    file.name = text(rest[0])
    file.lines, file.counted, file.odd, file.outside, file.cut, file.read, stopped = (int(v) for v in rest[1:8])
    file.stopped = bool(stopped)
    file.first, file.last, file.busiest_at = (int(v) if v else None for v in (rest[8], rest[9], rest[12]))
    file.zone, file.busiest = int(rest[10]), int(rest[11])


def _sample(file: LogFile, rest: list[bytes], _: Escape) -> None:
    file.samples.append(text(b"\t".join(rest)))


def _width(file: LogFile, rest: list[bytes], _: Escape) -> None:
    file.series.width = int(rest[0])


def _time(file: LogFile, rest: list[bytes], _: Escape) -> None:
    requests, size, client, server, gone, ms, most = (int(v) for v in rest[1:8])
    histogram = _histogram(rest[8])
    file.series.steps[None if rest[0] == b"none" else int(rest[0])] = Count(
        requests=requests, bytes=size, client_errors=client, server_errors=server, gone=gone, ms=ms,
        most_ms=most if histogram else -1, histogram=histogram,
    )  # fmt: skip


def _key(file: LogFile, rest: list[bytes], escape: Escape) -> None:
    requests, size, client, server, gone, ms, most, missed = (int(v) for v in rest[2:10])
    count = Count(
        requests=requests, bytes=size, client_errors=client, server_errors=server, gone=gone, ms=ms, most_ms=most,
        missed=missed, histogram=_histogram(rest[10]),
    )  # fmt: skip
    table: Table = getattr(file, KINDS[rest[0].decode()])
    if not rest[1]:
        table.others = count
        return
    name = unescaped(rest[1], escape)
    if name in table.rows:  # two spellings of one name
        table.rows[name].add(count)
    else:
        table.rows[name] = count


def _floor(file: LogFile, rest: list[bytes], _: Escape) -> None:
    getattr(file, KINDS[rest[0].decode()]).floor = int(rest[1])


def _status(file: LogFile, rest: list[bytes], escape: Escape) -> None:
    file.status[text(rest[0]), unescaped(rest[1], escape)] = (int(rest[2]), int(rest[3]), int(rest[4]))


def _cache(file: LogFile, rest: list[bytes], _: Escape) -> None:
    file.cache[text(rest[0])] += int(rest[1])


def _slow(file: LogFile, rest: list[bytes], escape: Escape) -> None:
    file.slowest.append(Slow(
        ms=int(rest[0]), at=int(rest[1]) if rest[1] else None, status=text(rest[2]), method=unescaped(rest[3], escape),
        upstream=unescaped(rest[4], escape), path=unescaped(rest[5], escape),
    ))  # fmt: skip


TAKES = {
    "file": _file, "sample": _sample, "width": _width, "time": _time, "key": _key, "floor": _floor,
    "broken": _broken, "status": _status, "cache": _cache, "slow": _slow,
}  # fmt: skip


def _histogram(data: bytes) -> Counter[int]:
    found: Counter[int] = Counter()
    for pair in data.split():
        bucket, _, requests = pair.partition(b":")
        found[int(bucket)] = int(requests)
    return found


def text(data: bytes) -> str:
    """Return bytes of a log as text; what is no UTF-8 as surrogates."""
    return data.decode("utf-8", "surrogateescape")


def unescaped(data: bytes, escape: Escape) -> str:
    """Return a value as it was before nginx escaped it; what cannot be taken back stays as it is."""
    if b"\\" not in data:
        return text(data)
    if escape is Escape.DEFAULT:
        return text(ESCAPED.sub(lambda match: bytes([int(match.group(1), 16)]), data))
    if escape is Escape.JSON:
        try:
            return str(json.loads('"' + text(data) + '"', strict=False))
        except ValueError:  # it was cut in the middle of an escape
            return text(data)
    return text(data)
