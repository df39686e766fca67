"""Which access logs a host has and how their lines look: from its configuration, or as they are named. Pure.

Rules:

* ``access_log PATH [FORMAT ...]`` anywhere in ``http``; a path with variables is a pattern (``$host.log``: ``*.log``),
  a relative one is relative to nginx's prefix. Without any, nginx logs where it was built to, as ``combined``.
* A log in two formats is read in the first one; lines of the other are shown as lines that are not of the format.
* What is no file (``syslog:``, ``/dev/stdout``) or is written packed is named, not passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from posixpath import join

from opsnb.base.errors import UsageError
from opsnb.kits.nginx.access.formats import VARIABLE, Format, from_arguments, parse_format
from opsnb.kits.nginx.grammar import Directive
from opsnb.kits.nginx.reading import Configuration

DEFAULT_LOG = "/var/log/nginx/access.log"  # where distributions build nginx to log
LONGEST = 4096  # bytes of a path, as Linux has it
MOST = 200  # patterns of one host
ROTATED = (".*", "-*")  # what log rotation makes of a name: access.log.1, access.log.2.gz, access.log-20261126


@dataclass(frozen=True, kw_only=True)
class Log:
    """Files that are read in one format.

    Args:
        pattern: An absolute path, perhaps with ``*``, ``?``, ``[...]``.
        format: How a line looks.
        where: File and line of the directive; empty when it was named by a person.
        server: The virtual host that it belongs to, where its lines do not say.
    """

    pattern: str
    format: Format
    where: str = ""
    server: str = ""


def named_logs(patterns: Sequence[str], format_text: str) -> list[Log]:
    """Return logs as they are named.

    Args:
        patterns: Absolute paths or patterns.
        format_text: ``combined``, the text of a format, or a whole ``log_format`` directive.

    Raises:
        UsageError: If a path is none, or the format is none.
    """
    made = parse_format(format_text)
    return [Log(pattern=checked(pattern), format=made) for pattern in patterns]


def checked(pattern: str) -> str:
    """Return an absolute path or pattern.

    Raises:
        UsageError: If it is none.
    """
    try:
        long = len(pattern.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        long = 0
    if not pattern.startswith("/") or not 1 < long < LONGEST or any(c in pattern for c in "\0\n\r"):
        raise UsageError(f"log {pattern!r:.80} is no absolute path", hint="/var/log/nginx/access.log, /logs/*.log")
    return pattern


def with_rotated(logs: Sequence[Log]) -> list[Log]:
    """Return logs, the rotated files of each behind them."""
    older = [Log(pattern=log.pattern + tail, format=log.format, where=log.where, server=log.server)
             for log in logs for tail in ROTATED]  # fmt: skip
    return [*logs, *older]


def configured_logs(configuration: Configuration) -> tuple[list[Log], list[str]]:
    """Return the logs of a configuration, and in words what cannot be read of it.

    Raises:
        UsageError: If it has more than ``MOST``.
    """
    formats = {d.arguments[0]: d for outer in configuration.main if outer.name == "http"
               for d in outer.named("log_format") if d.arguments}  # fmt: skip
    found: dict[str, Log] = {}
    notes: list[str] = []
    seen = False
    for directive, server in _directives(configuration):
        seen = True
        if directive.arguments[:1] == ("off",):
            continue
        log = _log(directive, server, formats, configuration.installation.prefix, notes)
        if log is None:
            continue
        other = found.setdefault(log.pattern, log)
        if other.format != log.format:
            notes.append(f"{log.pattern} is written in two formats: read as '{other.format.name}' ({other.where}),"
                         f" not as '{log.format.name}' ({log.where})")  # fmt: skip
        elif other.server != log.server:
            found[log.pattern] = Log(pattern=log.pattern, format=log.format, where=other.where)
    if not seen:
        path = _built_in(configuration.installation.configured)
        where = "nginx's own default, no access_log is said"
        found[path] = Log(pattern=path, format=parse_format("combined"), where=where)
    if len(found) > MOST:
        raise UsageError(
            f"the configuration names {len(found)} access logs, and {MOST} are read", hint="name them: logs"
        )
    return list(found.values()), notes


def _directives(configuration: Configuration) -> Iterator[tuple[Directive, str]]:
    """Yield every ``access_log`` of ``http`` with the name of the server that it stands in."""
    waiting = [(d, "") for outer in configuration.main if outer.name == "http" for d in outer.block or ()][::-1]
    while waiting:
        one, server = waiting.pop()
        if one.name == "access_log" and one.arguments:
            yield one, server
        if one.name == "server" and one.block is not None:
            server = one.value("server_name")
        waiting += [(d, server) for d in one.block or ()][::-1]


def _log(directive: Directive, server: str, formats: dict[str, Directive], prefix: str, notes: list[str]) -> Log | None:
    path, *rest = directive.arguments
    options = [word for word in rest if re.match(r"(buffer|flush|gzip|if)(=|$)", word)]
    name = next((word for word in rest if word not in options), "combined")
    if path.startswith("syslog:"):
        notes.append(f"{directive.where}: the log goes to {path:.80}, which is no file")
        return None
    if any(word.startswith("gzip") for word in options):
        notes.append(f"{directive.where}: {path:.200} is written packed (gzip), and is not read")
        return None
    try:
        made = from_arguments(formats[name].arguments) if name in formats else parse_format(name)
        whole = checked(_pattern(join(prefix, path)))
    except UsageError as error:
        notes.append(f"{directive.where}: {path:.200} is not read: {error.message}")
        return None
    return Log(pattern=whole, format=made, where=directive.where, server=server)


def _pattern(path: str) -> str:
    """Return a path as a pattern: what nginx takes as it stands is protected, a variable may be anything."""
    pieces = VARIABLE.split(path)[::3]
    return "*".join(re.sub(r"([*?\[\\])", r"[\1]", piece) if "\\" not in piece else piece for piece in pieces)


def _built_in(configured: Sequence[str]) -> str:
    option = "--http-log-path="
    return next((word.removeprefix(option) for word in configured if word.startswith(option)), DEFAULT_LOG)
