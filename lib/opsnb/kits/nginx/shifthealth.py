"""Whether back ends answer, asked from the balancer that is to send them requests.

Rules:

* Asked is the back end itself, not through nginx; with curl, wget or python3, whichever the balancer has. A proxy that
  the environment names is not used.
* Where nginx speaks HTTP to an upstream a path is asked, and a status from 200 to 399 is an answer. Where it speaks
  FastCGI, uwsgi or plain TCP only that a connection comes about is known, and that is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsnb.base.errors import OpsnbError
from opsnb.kits import remote
from opsnb.kits.nginx.grammar import Directive, walk

if TYPE_CHECKING:
    import pandas as pd

SECONDS = 5.0  # that one answer may take
PASS = re.compile(r"(?:(https?)://)?([^/:]+)(?:[:/].*)?")
HTTP, TLS, TCP = "http", "https", "tcp"
LEAST_OK, MOST_OK = 200, 399

# $1 seconds, $2 scheme, $3 path, then addresses. Answers for each "STATUS SIZE WORDS": 0 where nobody answers; for tcp
# 200 stands for a connection that came about.
ASK = r"""
set -uf
LC_ALL=C
export LC_ALL
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
seconds=$1 scheme=$2 path=$3
shift 3
PY='
import socket, ssl, sys, http.client
seconds, scheme, path, address = float(sys.argv[1]), *sys.argv[2:5]
try:
    if address.startswith("unix:"):
        line = socket.socket(socket.AF_UNIX); line.settimeout(seconds); line.connect(address[5:]); host = "localhost"
    else:
        host, _, port = address.rpartition(":")
        line = socket.create_connection((host.strip("[]"), int(port)), timeout=seconds)
    if scheme == "tcp":
        print("200 0"); sys.exit()
    if scheme == "https":
        context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
        line = context.wrap_socket(line)
    asked = http.client.HTTPConnection(host, timeout=seconds); asked.sock = line
    asked.request("GET", path, headers={"Host": address.rpartition("unix:")[2] if "unix:" not in address else "localhost"})
    answer = asked.getresponse(); print(answer.status, len(answer.read()))
except Exception as error:
    print("0 0", str(error).replace("\n", " "))
'
with_curl() {
  case $1 in unix:*) socket=${1#unix:} where=localhost ;; *) socket= where=$1 ;; esac
  set -- -q -sS -k --globoff --noproxy '*' -m "$seconds" -o /dev/null -w '%{http_code} %{size_download}'
  [ -z "$socket" ] || set -- "$@" --unix-socket "$socket"
  if [ "$scheme" = tcp ]; then set -- "$@" --connect-only "http://$where"; else set -- "$@" "$scheme://$where$path"; fi
  if ! said=$(curl "$@" 2>&1); then echo "0 0 $(printf '%s' "$said" | head -n 1)"
  elif [ "$scheme" = tcp ]; then echo "200 0"
  else printf '%s\n' "$said" | tail -n 1; fi
}
with_wget() {
  said=$(wget --no-check-certificate -S -T "$seconds" -t 1 -O /dev/null "$scheme://$1$path" 2>&1)
  status=$(printf '%s\n' "$said" | sed -n 's/^ *HTTP\/[0-9.]* \([0-9]*\).*/\1/p' | tail -n 1)
  size=$(printf '%s\n' "$said" | sed -n 's/^ *[Cc]ontent-[Ll]ength: *\([0-9]*\).*/\1/p' | tail -n 1)
  if [ -n "$status" ]; then echo "$status ${size:-0}"; else echo "0 0 $(printf '%s' "$said" | tail -n 1)"; fi
}
for address; do
  case $scheme-$address in *-unix:*|tcp-*) simple= ;; *) simple=yes ;; esac
  if command -v curl >/dev/null; then with_curl "$address"
  elif command -v python3 >/dev/null; then python3 -I -c "$PY" "$seconds" "$scheme" "$path" "$address"
  elif [ -n "$simple" ] && command -v wget >/dev/null; then with_wget "$address"
  else echo "0 0 this host has no curl, python3 or wget that could ask"; fi
done
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a back end answered.

    Args:
        status: The HTTP status; 200 for a bare connection; 0 where nobody answered.
        size: Bytes of the body.
        why: Why nobody answered.
        scheme: How it was asked: ``http``, ``https``, ``tcp``.
    """

    status: int
    size: int
    why: str = ""
    scheme: str = HTTP

    @property
    def ok(self) -> bool:
        """Whether it may get requests."""
        return LEAST_OK <= self.status <= MOST_OK

    def __str__(self) -> str:
        """Return it in words."""
        if not self.status:
            return f"no answer: {self.why}"
        return "a connection comes about" if self.scheme == TCP else f"{self.status}, {self.size} bytes"


def scheme_of(main: Iterable[Directive], upstream: str) -> str:
    """Return how nginx talks to an upstream: ``http``, ``https``, or ``tcp`` for everything else; pure."""
    found = set()
    for one in walk(tuple(main)):
        match = PASS.fullmatch(one.arguments[0]) if one.name.endswith("_pass") and one.arguments else None
        if match and match[2] == upstream:
            found.add(match[1] if one.name == "proxy_pass" and match[1] else TCP)
    for scheme in (HTTP, TLS, TCP):
        if scheme in found:
            return scheme
    return HTTP  # named by a variable, or not yet: what almost every upstream is


def ask(
    host: str, addresses: Sequence[str], path: str, *, scheme: str = HTTP, seconds: float = SECONDS
) -> dict[str, Answer]:
    """Return what back ends answer to one balancer, asked one after another.

    Args:
        host: The balancer.
        addresses: ``address:port`` each, or ``unix:/path``.
        path: The path that is asked for.
        scheme: ``http``, ``https`` or ``tcp``.
        seconds: How long one answer may take.

    Raises:
        UnreachableError: If the balancer cannot be reached.
        OpsnbError: If its answer is not whole.
    """
    if not addresses:
        return {}
    bound = remote.LOOK_SECONDS + seconds * len(addresses)
    lines = remote.look(host, ASK, f"{seconds:g}", scheme, path, *addresses, seconds=bound).text.splitlines()
    if len(lines) != len(addresses):
        raise OpsnbError(f"{host}: {len(lines)} answers about {len(addresses)} back ends", hint="look at the host's load")
    return {address: _answer(line, scheme) for address, line in zip(addresses, lines, strict=True)}


def answers_table(found: Mapping[str, Mapping[str, Answer] | str]) -> pd.DataFrame:
    """Return what each balancer was answered, a row for each back end; a balancer that could not ask says why."""
    import pandas as pd

    rows = []
    for host, answers in found.items():
        if isinstance(answers, str):
            rows.append((host, "-", answers))
        else:
            rows += [(host, address, str(answer)) for address, answer in answers.items()]
    return pd.DataFrame(rows, columns=["balancer", "back end", "answers"])


def _answer(line: str, scheme: str) -> Answer:
    status, _, rest = line.partition(" ")
    size, _, why = rest.partition(" ")
    if not status.isdigit() or not size.isdigit():
        return Answer(status=0, size=0, why=f"an answer that is not understood: {line:.120}", scheme=scheme)
    return Answer(status=int(status), size=int(size), why=why.strip(), scheme=scheme)
