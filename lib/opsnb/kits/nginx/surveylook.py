"""What a running nginx shows besides its configuration: recent upstream errors, stub_status, certificates, limits.

One round trip a host, by a fixed script. What may not be read is asked for as root where the host's ``sudo`` allows it,
else it is named; nothing is tested with ``nginx -t``, which would open logs and write a pid file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from posixpath import join

from opsnb.base.errors import OpsnbError, UnreachableError, UsageError
from opsnb.kits import remote
from opsnb.kits.nginx import kinds
from opsnb.kits.nginx.grammar import Directive, walk
from opsnb.kits.nginx.reading import Configuration
from opsnb.kits.nginx.scopes import Chain, chains, here
from opsnb.kits.nginx.scripts import SHOWN

LOG_BYTES = 4 * 1024 * 1024  # of the end of an error log
MAX_LOGS, MAX_CERTIFICATES = 20, 100
DEFAULT_MINUTES = 24 * 60

KINDS = (
    ("no live upstreams", "no live upstreams"),
    ("upstream timed out", "timed out"),
    ("connect() failed", "connect failed"),
    ("connect() to ", "connect failed"),
    ("upstream prematurely closed", "closed early"),
    ("recv() failed", "reset"),
    ("upstream sent too big header", "too big header"),
    ("upstream sent", "wrong answer"),
    ("SSL_do_handshake() failed", "TLS failed"),
    ("upstream server temporarily disabled", "left out"),
)
_LINE = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(\w+)\] \d+#\d+: (?:\*\d+ )?(.*)")
_UPSTREAM = re.compile(r'upstream: "(?:\w+://)?(unix:[^":]+|\[[^\]"]*\](?::\d+)?|[^/":]+(?::\d+)?)')
_WHY = re.compile(r"\(\d+: ([^)]{1,60})\)")
_STATUS = re.compile(
    r"Active connections: (\d+)\s+server accepts handled requests(?: request_time)?\s+(\d+) (\d+) (\d+)[ \d]*\s+"
    r"Reading: (\d+) Writing: (\d+) Waiting: (\d+)"
)


@dataclass(frozen=True, kw_only=True)
class UpstreamErrors:
    """One kind of error of one server, within the time that was asked for.

    Args:
        address: As nginx names it: address with port, or the upstream's name where no server was left.
        kind: ``timed out``, ``connect failed``, ``no live upstreams``, ...
        count: How often.
        first: The first time, by the host's clock.
        last: The last time.
    """

    address: str
    kind: str
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, kw_only=True)
class Status:
    """What stub_status says: connections now, and counters since nginx was started."""

    active: int
    accepts: int
    handled: int
    requests: int
    reading: int
    writing: int
    waiting: int

    @property
    def dropped(self) -> int:
        """Connections that were accepted and not handled: a limit was reached."""
        return self.accepts - self.handled


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One certificate file.

    Args:
        path: Absolute.
        directive: Where it is named.
        there: Whether the file exists; ``None`` when that may not be known.
        expires: When it ends; ``None`` where the host has no openssl, or it is none.
    """

    path: str
    directive: Directive
    there: bool | None
    expires: datetime | None


@dataclass(kw_only=True)
class Shown:
    """What was seen on one host.

    Args:
        now: The host's clock.
        errors: Upstream errors.
        status: URL to what stub_status said there.
        certificates: The files that ``ssl_certificate`` names.
        open_files: How many a worker may have.
        notes: What was not seen, and why.
    """

    now: datetime | None = None
    errors: list[UpstreamErrors] = field(default_factory=list)
    status: dict[str, Status] = field(default_factory=dict)
    certificates: list[Certificate] = field(default_factory=list)
    open_files: int | None = None
    notes: list[str] = field(default_factory=list)


Question = tuple[str, str, str, Directive | None]  # kind, value, another value, where it stands


def look(found: Configuration, minutes: int = DEFAULT_MINUTES) -> Shown:
    """Return what a host's nginx shows besides its configuration.

    Args:
        found: The configuration.
        minutes: How far back errors count, by the host's clock.

    Raises:
        UnreachableError: If the host cannot be reached.
        OpsnbError: If the script failed.
    """
    asked = questions(found)
    words = [word for kind, value, more, _ in asked for word in (kind, value, more)]
    host = found.installation.host
    try:
        said = remote.look(host, SHOWN, "1", str(LOG_BYTES), *words, seconds=120)
    except UnreachableError:
        raise
    except OpsnbError:  # it may not look, and nobody is root: what can be seen is better than nothing
        said = remote.look(host, SHOWN, "0", str(LOG_BYTES), *words, seconds=120)
    return taken(said.stdout.decode("utf-8", "replace"), asked, minutes)


def questions(found: Configuration) -> list[Question]:
    """Return what is asked on a host, from its configuration; pure."""
    prefix, folder = found.installation.prefix, found.installation.conf.rpartition("/")[0]
    rows: dict[tuple[str, str, str], Directive | None] = {}
    for one in walk(found.main):
        path = one.arguments[0] if one.arguments else ""
        if one.name == "error_log" and path and not path.startswith(("stderr", "syslog:", "memory:")):
            rows.setdefault(("log", join(prefix, path), ""), one)
        elif one.name == "ssl_certificate" and path and "$" not in path and ":" not in path:
            rows.setdefault(("certificate", join(folder, path), ""), one)
    if not any(kind == "log" for kind, _, _ in rows):
        given = [w.partition("=")[2] for w in found.installation.configured if w.startswith("--error-log-path=")]
        path = given[-1] if given else "logs/error.log"
        rows.update({("log", join(prefix, path), ""): None} if path != "stderr" else {})
    rows.update({("status", url, name): one for url, name, one in statuses(found)})
    serving = [w.pid for w in found.installation.workers if not w.leaving]
    rows.update({("limits", str(serving[0]), ""): None} if serving else {})
    return [(*key, one) for key, one in rows.items() if all(word.isprintable() for word in key)]


def statuses(found: Configuration) -> Iterator[tuple[str, str, Directive]]:
    """Yield where stub_status is asked: URL, name for the ``Host`` header, location; pure."""
    for server in found.servers():
        for chain in chains((*server.around, server.directive), server.directive):
            if server.context != "http" or not chain[-1].named("stub_status"):
                continue
            url = _url(chain)
            if url:
                names = [n for n in server.names if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", n)]
                yield url, names[0] if names else "localhost", chain[-1]


def taken(text: str, asked: Sequence[Question], minutes: int = DEFAULT_MINUTES) -> Shown:
    """Return an answer of the script as values; pure."""
    shown, kind, rows, current = Shown(), "", [], -1
    lines: list[str] = []
    for line in [*text.splitlines(), "@ "]:
        if line.startswith("@ "):
            _take(shown, kind, lines, asked[current] if current >= 0 else None)
            kind, _, number = line[2:].partition(" ")
            current = int(number) - 1 if number.isdigit() and 0 < int(number) <= len(asked) else -1
            lines = []
        elif line.startswith("| ") and kind == "log":
            rows.append(line[2:])
        elif line.startswith(("| ", "! ")):
            lines.append(line)
    shown.errors = upstream_errors(rows, shown.now, minutes)
    return shown


def upstream_errors(lines: Sequence[str], now: datetime | None, minutes: int) -> list[UpstreamErrors]:
    """Return the errors of an error log by address and kind, the most frequent first; pure."""
    since = now - timedelta(minutes=minutes) if now else datetime.min  # noqa: DTZ901  (the host's own clock, as it is)
    found: dict[tuple[str, str], list[datetime]] = {}
    for line in lines:
        match = _LINE.match(line)
        kind = _kind(match[3]) if match else ""
        at = _clock(match[1]) if match and kind else None
        if not at:
            continue
        address = _UPSTREAM.search(line)
        if at >= since:
            found.setdefault((address[1] if address else "-", kind), []).append(at)
    rows = [UpstreamErrors(address=address, kind=kind, count=len(times), first=min(times), last=max(times))
            for (address, kind), times in found.items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row.count, row.address, row.kind))


def parse_status(text: str) -> Status | None:
    """Return what stub_status says; ``None`` when it is something else; pure."""
    found = _STATUS.search(text)
    if not found:
        return None
    names = ("active", "accepts", "handled", "requests", "reading", "writing", "waiting")
    return Status(**dict(zip(names, map(int, found.groups()), strict=True)))


def _take(shown: Shown, kind: str, lines: list[str], asked: Question | None) -> None:
    """Take what was said about one question."""
    said = [line[2:] for line in lines if line.startswith("| ")]
    missing = [line[2:] for line in lines if line.startswith("! ")]
    if kind == "now" and said:
        shown.now = _clock(said[0])
    elif kind == "limits" and said:
        shown.open_files = int(said[0]) if said[0].isdecimal() else None
    elif asked and kind == "certificate" and asked[3]:
        ends = [line.partition("=")[2] for line in said if line.startswith("notAfter=")]
        there = None if "may not be read" in missing else not missing
        shown.certificates.append(
            Certificate(path=asked[1], directive=asked[3], there=there, expires=_ends(ends[0]) if ends else None)
        )
    elif asked and kind == "status":
        found = parse_status("\n".join(said))
        if found:
            shown.status[asked[1]] = found
        else:
            shown.notes.append(f"stub_status at {asked[1]}: {said[0][:80] if said else 'no answer'}")
    if asked and missing and kind != "certificate":
        shown.notes.append(f"{asked[1]} {missing[0]}")


def _clock(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y/%m/%d %H:%M:%S")  # noqa: DTZ007  (the host's own clock, as it is)
    except ValueError:
        return None


def _kind(text: str) -> str:
    for begin, kind in KINDS:
        if text.startswith(begin):
            why = _WHY.search(text) if kind == "connect failed" else None
            return f"{kind}: {why[1]}" if why else kind
    return ""


def _ends(text: str) -> datetime | None:
    try:
        return datetime.strptime(text.removesuffix(" GMT"), "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None


def _url(chain: Chain) -> str:
    """Return the URL of a location as its own host reaches it; empty where it cannot be told."""
    location, server = chain[-1], next(block for block in chain if block.name == "server")
    listens = [d.arguments for d in server.named("listen") if d.arguments and "proxy_protocol" not in d.arguments] or [
        ("80",)
    ]
    words = min(listens, key=lambda row: "ssl" in row)
    try:
        address = kinds.address(here(words[0]))
        path = kinds.path(location.arguments[-1]) if location.name == "location" else "/"
    except UsageError:
        return ""
    if address.startswith("unix:") or (location.name == "location" and location.arguments[0] in {"~", "~*"}):
        return ""
    return f"{'https' if 'ssl' in words else 'http'}://{address}{path}"
