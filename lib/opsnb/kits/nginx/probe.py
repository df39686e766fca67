"""Requests that are sent on the host itself: few, one after the other, each on a connection of its own.

They are ``GET`` and nothing else, by ``curl`` of the host, with a configuration that holds typed words only. Redirects
are not followed, certificates not checked (it is the host itself that answers), proxies not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from opsnb.base.canonical import JSON
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.nginx import kinds

MAX_REQUESTS = 20_000  # in one go
SECONDS = 10  # that one request may take
CONNECT_SECONDS = 3
SIGNATURE_BYTES = 300  # of a body: one that is longer is nobody's name
MAX_BODY = 1024 * 1024  # bytes that are taken of a body at all
AGENT = "opsnb-probe"
END = "opsnb-end"
_SCHEME = re.compile(r"(https?)://(.+)")

CURL = r"""
PATH=$PATH:/usr/local/bin:/usr/bin:/bin
command -v curl >/dev/null || { echo "there is no curl, which asks" >&2; exit 78; }
"""
ASK = CURL + "curl -q -K - 2>/dev/null\nexit 0\n"  # an answer that does not come is a result too

# $1 a configuration of curl, $2 the statuses that are right, with blanks around each, or nothing for any below 500;
# then what each request is called
PROVE = (
    CURL
    + r"""
config=$1 statuses=$2 wrong= right=0
shift 2
for code in $(printf '%s\n' "$config" | curl -q -K - | sed -n 's/^opsnb-end \([0-9]*\) .*/\1/p'); do
  case $statuses in
    "") case $code in [1-4]??) good=1 ;; *) good= ;; esac ;;
    *" $code "*) good=1 ;;
    *) good= ;;
  esac
  if [ -n "$good" ]; then right=$((right + 1)); else wrong="$wrong, $1 $code"; fi
  shift
done
[ -z "$wrong" ] && [ $# = 0 ] && exit 0
echo "answered wrong (000 is no answer):${wrong#,}; wanted ${statuses:-any below 500}; $right right, $# not asked"
exit 1
"""
)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How it is found out on the host whether nginx serves, and whether its back ends answer.

    Args:
        url: ``http://ADDRESS[:PORT]`` of nginx, as the host itself reaches it; empty when nothing is asked there.
        path: Path of the request, with a query where one is needed.
        name: The name in the ``Host`` header; empty for the address.
        statuses: The answers that are right; none for any below 500.
        count: How many requests are sent to nginx.
        direct: Back ends that must answer before anything is changed: ``http://ADDRESS:PORT`` or ``unix:PATH``.
    """

    url: str
    path: str = "/"
    name: str = ""
    statuses: tuple[int, ...] = (200,)
    count: int = 3
    direct: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for url in (*([self.url] if self.url else []), *self.direct):
            _checked(url)
        kinds.path(self.path, query=True)
        if self.name:
            kinds.address(self.name)
        kinds.count(self.count, "the number of requests", least=1, most=100)
        for status in self.statuses:
            kinds.count(status, "the status", least=100, most=599)

    def as_json(self) -> dict[str, JSON]:
        """Return it as a JSON object."""
        return {**asdict(self), "statuses": list(self.statuses), "direct": list(self.direct)}

    @classmethod
    def from_json(cls, value: JSON) -> Probe:
        """Read it back."""
        if not isinstance(value, dict):
            raise UsageError(f"a probe is an object, found {value!r:.80}")
        return cls(**{**value, "statuses": tuple(value["statuses"]), "direct": tuple(value.get("direct", ()))})

    def program(self) -> list[str]:
        """Return the program that asks nginx and ends with 0 when every answer is right; none without an address."""
        return self._asking([self.url] * self.count if self.url else [])

    def before(self) -> list[str]:
        """Return the program that asks the back ends directly, in the same way; none where none is asked."""
        return self._asking(self.direct)

    def _asking(self, urls: Sequence[str]) -> list[str]:
        if not urls:
            return []
        config = curl_config([(url, self.path, self.name) for url in urls], body=False)
        statuses = f" {' '.join(map(str, self.statuses))} " if self.statuses else ""
        return [remote.SHELL, "-c", PROVE, "opsnb", config, statuses, *urls]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer.

    Args:
        status: Its status; 0 when there was none.
        seconds: How long it took.
        headers: By lower-case name; the last of each.
        body: Its text, as far as asked for.
    """

    status: int
    seconds: float
    headers: dict[str, str]
    body: str = ""


Target = tuple[str, str, str]  # address with its scheme (or unix:PATH), path, Host header


def ask(host: str, targets: Sequence[Target], *, body: bool = False, agent: str = AGENT) -> list[Answer]:
    """Send requests on a host, one after the other, and return the answers in their order.

    Args:
        host: The host on which they are sent.
        targets: Where each goes: ``http://ADDRESS:PORT`` or ``unix:PATH``, path, ``Host`` header.
        body: Whether bodies are wanted.
        agent: What they call themselves in the access log.

    Raises:
        UnreachableError: If the host cannot be reached.
        UsageError: If there is no curl.
        OpsnbError: If it said something else than answers.
    """
    if len(targets) > MAX_REQUESTS:
        raise UsageError(f"{len(targets)} requests; at most {MAX_REQUESTS} are sent in one go")
    if not targets:
        return []
    data = curl_config(targets, body=body, agent=agent).encode()
    seconds = 60.0 + 0.05 * len(targets) + SECONDS * min(len(targets), 20)
    said = remote.look(host, ASK, stdin=data, seconds=seconds).stdout.decode("utf-8", "replace")
    answers = parse_answers(said)
    if len(answers) != len(targets):
        raise OpsnbError(f"{host}: {len(targets)} requests were to be sent, {len(answers)} were ended")
    return answers


def curl_config(targets: Iterable[Target], *, body: bool, agent: str = AGENT) -> str:
    """Return a configuration of curl that sends one request after the other; every word of it is typed."""
    out = "-" if body else "/dev/null"
    common = (
        f'silent\ninsecure\ngloboff\nnoproxy = "*"\nmax-time = {SECONDS}\nconnect-timeout = {CONNECT_SECONDS}\n'
        f'max-filesize = {MAX_BODY}\nuser-agent = "{agent}"\nheader = "Connection: close"\n'
        f'dump-header = "-"\noutput = "{out}"\nwrite-out = "\\n{END} %{{http_code}} %{{time_total}}\\n"\n'
    )
    return "next\n".join(common + _one(*target) for target in targets)


def parse_answers(said: str) -> list[Answer]:
    """Return the answers from what curl printed; pure."""
    answers = []
    rest = said
    for match in re.finditer(rf"(?:^|\n){END} ([0-9]{{3}}) ([0-9.]+)\n", said):
        text = said[len(said) - len(rest) : match.start()]
        rest = said[match.end() :]
        head, _, body = text.replace("\r\n", "\n").partition("\n\n")
        pairs = (line.partition(":") for line in head.split("\n")[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        answers.append(Answer(status=int(match[1]), seconds=float(match[2]), headers=headers, body=body))
    return answers


def _one(url: str, path: str, name: str) -> str:
    lines = f'header = "Host: {kinds.address(name)}"\n' if name else ""
    _checked(url)
    if url.startswith("unix:"):
        lines += f'unix-socket = "{url.removeprefix("unix:")}"\n'
        url = "http://localhost"
    return f'{lines}url = "{url}{kinds.path(path, query=True)}"\n'


def _checked(url: str) -> None:
    match = _SCHEME.fullmatch(url)
    if not match and not url.startswith("unix:"):
        raise UsageError(f"the address is {url!r:.80}; wanted http://ADDRESS:PORT")
    kinds.address(match[2] if match else url)
