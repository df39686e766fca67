"""Which back end answered, from the access log of the balancer, where its format tells.

A format tells when it holds ``$upstream_addr``, and ``$http_user_agent``, by which requests of our own are found among
those of others. It is read from the place where it ended before the requests were sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from posixpath import join

from opsnb.base.errors import UsageError
from opsnb.kits import remote
from opsnb.kits.nginx.access.formats import from_arguments
from opsnb.kits.nginx.grammar import Directive
from opsnb.kits.nginx.probe import Answer
from opsnb.kits.nginx.reading import Configuration

WAIT_SECONDS = 8  # for lines that are buffered
NEEDED = ("upstream_addr", "http_user_agent")

SEEN = r"""
deny() { [ "$(id -u)" = 0 ] || { echo "$1 may not be read" >&2; exit 77; }; }
[ -r "$1" ] || deny "$1"
"""
# $1 path; answers its size
SIZE = (
    SEEN
    + r"""
[ -f "$1" ] && wc -c <"$1" || echo 0
"""
)
# $1 path, $2 where to begin, $3 what lines hold, $4 how many are waited for, $5 tenths of a second
LINES = (
    SEEN
    + r"""
n=0
mine() { tail -c "+$(($2 + 1))" "$1" 2>/dev/null | grep -aF -- "$3"; }
while [ "$(mine "$@" | wc -l)" -lt "$4" ] && [ "$n" -lt "$5" ]; do
  n=$((n + 1))
  sleep 0.1 2>/dev/null || { sleep 1; n=$((n + 9)); }
done
mine "$@"
exit 0
"""
)


@dataclass(frozen=True, kw_only=True)
class Log:
    """An access log whose format tells who answered.

    Args:
        path: The file.
        line: What a line looks like; its group ``upstream_addr`` is who answered.
    """

    path: str
    line: re.Pattern[str]


def log_of(seen: Configuration, chain: Sequence[Directive]) -> Log | None:
    """Return the access log of a location that tells who answered, ``None`` when none does. Pure.

    Args:
        seen: The configuration.
        chain: The blocks that the location stands in, outermost first, itself the last.
    """
    for block in reversed(chain):
        logs = block.named("access_log")
        if not logs:
            continue
        for one in logs:
            path, name = one.arguments[0], next((w for w in one.arguments[1:2] if "=" not in w), "combined")
            line = _line(chain[0], name)
            if line and not path.startswith("syslog:") and "$" not in path and path != "off":
                return Log(path=join(seen.installation.prefix, path), line=line)
        return None
    return None


def answered(
    host: str, log: Log, agent: str, send: Callable[[], list[Answer]]
) -> tuple[list[Answer], list[str]]:  # fmt: skip
    """Send requests and return the answers, and for each line that they left in the log, who answered.

    Raises:
        UnreachableError: If the host cannot be reached.
        OpsnbError: If the log may not be read.
    """
    size = remote.look(host, SIZE, log.path).text.strip()
    answers = send()
    words = (log.path, size, agent, str(len(answers)), str(WAIT_SECONDS * 10))
    lines = remote.look(host, LINES, *words).stdout.decode("utf-8", "replace").splitlines()
    found = [match["upstream_addr"] for line in lines if (match := log.line.fullmatch(line))]
    return answers, [re.split(r"[,:] ", one)[-1].strip() for one in found]


def _line(http: Directive, name: str) -> re.Pattern[str] | None:
    known = {d.arguments[0]: d.arguments for d in http.named("log_format") if d.arguments}
    try:
        form = from_arguments(known.get(name, ()))
    except UsageError:  # nginx's own format, which does not tell, or one that nobody can take apart
        return None
    if not set(NEEDED) <= {field.variable for field in form.fields}:
        return None
    pattern = re.escape(form.first)
    for field in form.fields:
        first = field.variable == "upstream_addr" and "(?P<" not in pattern
        pattern += ("(?P<upstream_addr>.*?)" if first else ".*?") + re.escape(field.literal)
    return re.compile(pattern)
