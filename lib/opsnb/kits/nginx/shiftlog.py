"""What the access log of a balancer says of a back end while one watches: requests, and those that ended in an error.

Rules:

* Counted is what is appended while one watches, from the size that the file has at the beginning. At most
  ``MOST_BYTES`` of it are read, the latest; a file that was rotated meanwhile is read from its beginning.
* Where the format has ``$upstream_addr`` every try at the back end counts, with its own ``$upstream_status`` where that
  is there too; else all requests count, and it is said.
* An error is a status of 500 and more, or a try that got no status.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from posixpath import join

from opsnb.base.canonical import JSON
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.nginx.access.formats import LISTS, Format, from_arguments, parse_format
from opsnb.kits.nginx.grammar import walk
from opsnb.kits.nginx.reading import Configuration
from opsnb.kits.nginx.shifthealth import passes

MOST_BYTES = 4 * 1024 * 1024  # of what was appended
TELL_SECONDS = 1.0
ERROR = 500
LIST = r'[^\s,"]*(?:(?:, | : )[^\s,"]+)*'  # a value for each try, as nginx writes it
LISTED = re.compile(r"\s*(?:,|\s:\s)\s*")

# $1 path; answers inode and size
MARK = r"""
if [ ! -f "$1" ]; then
  [ "$(id -u)" != 0 ] || { echo "$1 is not there" >&2; exit 78; }
  echo "$1 may not be seen" >&2; exit 77
fi
[ -r "$1" ] || { echo "$1 may not be read" >&2; exit 77; }
stat -L -c '%i %s' "$1"
"""

# $1 path, $2 inode, $3 size then, $4 most bytes; answers what was appended
APPENDED = r"""
[ -r "$1" ] || { echo "$1 may not be read" >&2; exit 77; }
set -- "$1" "$2" "$3" "$4" $(stat -L -c '%i %s' "$1")
from=$3
[ "$2" = "$5" ] && [ "$6" -ge "$3" ] || from=0
[ $(($6 - from)) -le "$4" ] || from=$(($6 - $4))
tail -c "+$((from + 1))" "$1" | head -c $(($6 - from))
"""


@dataclass(frozen=True, kw_only=True)
class Log:
    """An access log and how its lines look.

    Args:
        path: The file.
        arguments: Of its ``log_format``, name first; ``("combined",)`` for nginx's own.
    """

    path: str
    arguments: tuple[str, ...]

    @property
    def format(self) -> Format:
        """Its format, taken apart."""
        return parse_format("combined") if self.arguments == ("combined",) else from_arguments(self.arguments)

    def as_json(self) -> JSON:
        """Return it as JSON."""
        return {"path": self.path, "arguments": list(self.arguments)}

    @classmethod
    def from_json(cls, value: JSON) -> Log:
        """Read it back."""
        return cls(path=str(value["path"]), arguments=tuple(str(word) for word in value["arguments"]))


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen while one watched.

    Args:
        requests: Requests, or tries at the back end where the log tells them.
        errors: How many of them ended in an error.
        told: Whether the log tells back ends apart.
        others: Lines that are not in the format.
    """

    requests: int
    errors: int
    told: bool
    others: int = 0

    @property
    def percent(self) -> float:
        """Errors, % of the requests."""
        return 100.0 * self.errors / self.requests if self.requests else 0.0

    def words(self, address: str) -> str:
        """Return it as a sentence."""
        if not self.requests:
            return f"no request to {address} was seen, which tells nothing"
        of = f"tries at {address}" if self.told else "requests (the log does not tell back ends apart)"
        return f"{self.errors} errors in {self.requests} {of}"


def log_of(configuration: Configuration, upstream: str) -> Log:
    """Return the access log in which the requests to an upstream stand: the nearest one, as nginx chooses it.

    Raises:
        UsageError: If there is none, or nobody could watch it.
    """
    chain = next((way for way in passes(configuration.main, upstream)), ())
    name = f"the upstream {upstream}"
    if not chain:
        raise UsageError(f"nothing passes requests to {name}, so no log tells of them", hint="pause=0: without a watch")
    logs = [d for block in reversed(chain) for d in block.named("access_log")[-1:] if d.arguments]
    words = logs[0].arguments if logs else ("logs/access.log",)
    late = any(word.startswith(("buffer=", "gzip")) for word in words[2:])  # written when the buffer is full
    if words[0] == "off" or "$" in words[0] or words[0].startswith("syslog:") or late:
        raise UsageError(f"the access log of {name} is {' '.join(words)!r:.120}, which cannot be watched",
                         hint="pause=0: without a watch")  # fmt: skip
    known = {d.arguments[0]: d.arguments for d in walk(configuration.main) if d.name == "log_format" and d.arguments}
    style = words[1] if len(words) > 1 and "=" not in words[1] else "combined"
    log = Log(path=join(configuration.installation.prefix, words[0]), arguments=known.get(style, ("combined",)))
    if "status" not in log.format.roles:
        raise UsageError(f"the log format {style} of {name} has no $status, so errors cannot be seen", hint="pause=0")
    return log


def watch(
    host: str,
    log: Log,
    address: str,
    seconds: float,
    *,
    tell: Callable[[int, int, str], None] | None = None,
) -> Seen:
    """Watch a balancer's access log for so many seconds, and return what it says of a back end.

    Raises:
        UnreachableError: If the balancer cannot be reached.
        OpsnbError: If the log may not be read.
    """
    inode, size = remote.look(host, MARK, log.path).text.split()
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        if tell:
            tell(int(passed), int(seconds), f"{host}: watching errors at {address}")
        time.sleep(min(TELL_SECONDS, seconds - passed))
    data = remote.look(host, APPENDED, log.path, inode, size, str(MOST_BYTES)).stdout
    return count(data.decode("utf-8", "surrogateescape"), log.format, address)


def count(text: str, form: Format, address: str) -> Seen:
    """Return what lines of a log say of a back end; pure."""
    pattern, roles = pattern_of(form), form.roles
    told = "uaddr" in roles
    requests = errors = others = 0
    for line in text.splitlines():
        match = pattern.fullmatch(line)
        if match is None:
            others += 1
            continue
        status = match["status"]
        if not told:
            requests, errors = requests + 1, errors + _failed(status)
            continue
        tried = LISTED.split(match["uaddr"])
        each = LISTED.split(match["ustatus"]) if "ustatus" in roles else []
        for number, where in enumerate(tried):
            if where != address:
                continue
            last = number == len(tried) - 1
            requests += 1
            # A try that nginx went on from failed; of the last one the answer's own status tells.
            errors += _failed(each[number] if number < len(each) else (status if last else "-"))
    return Seen(requests=requests, errors=errors, told=told, others=others)


def pattern_of(form: Format) -> re.Pattern[str]:
    """Return a pattern whose groups are the roles ``status``, ``uaddr``, ``ustatus`` of a format; pure."""
    named = {form.roles[role]: role for role in ("status", "uaddr", "ustatus") if role in form.roles}
    parts = [re.escape(form.first)]
    for field in form.fields:
        role = named.pop(field.variable, "")
        value = r"\d{3}" if role == "status" else LIST if LISTS.fullmatch(field.variable) else ".*?"
        parts.append((f"(?P<{role}>{value})" if role else f"(?:{value})") + re.escape(field.literal))
    return re.compile("".join(parts))


def _failed(status: str) -> bool:
    return not status.isdigit() or int(status) >= ERROR


def ensure(seen: Seen, address: str, most: float, what: str) -> None:
    """Refuse to go on when more than ``most`` percent ended in an error.

    Raises:
        OpsnbError: With what was seen.
    """
    if seen.percent > most:
        words = f"{seen.words(address)}, that is {seen.percent:.1f} %, at most {most:g} % are allowed"
        raise OpsnbError(f"{what} was not begun: {words}", hint="look at that back end; the undo goes back")


__all__ = ["Log", "Seen", "count", "ensure", "log_of", "pattern_of", "watch"]
