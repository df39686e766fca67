"""Whether back ends answer, asked from the balancer that is to send them requests.

Rules:

* Asked is the back end itself, not through nginx, from the balancer (:mod:`opsnb.kits.nginx.probe`).
* Where nginx speaks HTTP to an upstream a path is asked, and a status from 200 to 399 is an answer. Where it speaks
  FastCGI, uwsgi or plain TCP only that a connection comes about is known, and that is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsnb.base.canonical import sha256
from opsnb.base.errors import OpsnbError
from opsnb.kits import remote
from opsnb.kits.nginx import probe
from opsnb.kits.nginx.grammar import Directive
from opsnb.kits.nginx.shiftrules import endpoint

if TYPE_CHECKING:
    import pandas as pd

PASS = re.compile(r"(?:(https?|grpcs?)://)?([^/:]+)(?:[:/].*)?")
HTTP, TLS, TCP = "http", "https", "tcp"
LEAST_OK, MOST_OK = 200, 399
CONNECT_SECONDS = 3

# $1 seconds, then addresses; answers for each "200 connected", or "0 REASON"
CONNECT = r"""
command -v curl >/dev/null || { echo "there is no curl, which asks" >&2; exit 78; }
seconds=$1
shift
for address; do
  case $address in
    unix:*) set -- --unix-socket "${address#unix:}" http://localhost ;;
    *) set -- "http://$address" ;;
  esac
  said=$(curl -q -sS --globoff --noproxy '*' -m "$seconds" -o /dev/null --connect-only "$@" 2>&1) \
    && echo "200 connected" || echo "0 $(printf '%s' "$said" | head -n 1)"
done
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a back end answered.

    Args:
        status: The HTTP status; 200 for a bare connection; 0 where nobody answered.
        size: Bytes of the body.
        why: Why nobody answered, where that is known.
        scheme: How it was asked: ``http``, ``https``, ``tcp``.
        digest: SHA-256 of the body.
    """

    status: int
    size: int = 0
    why: str = ""
    scheme: str = HTTP
    digest: str = ""

    @property
    def ok(self) -> bool:
        """Whether it may get requests."""
        return LEAST_OK <= self.status <= MOST_OK

    def __str__(self) -> str:
        """Return it in words."""
        if not self.status:
            return f"no answer{': ' * bool(self.why)}{self.why}"
        return "a connection comes about" if self.scheme == TCP else f"{self.status}, {self.size} bytes"


def passes(main: Iterable[Directive], upstream: str) -> Iterator[tuple[Directive, ...]]:
    """Yield for each directive that passes requests to an upstream the blocks around it, and itself last; pure."""

    def within(block: Iterable[Directive], around: tuple[Directive, ...]) -> Iterator[tuple[Directive, ...]]:
        for one in block:
            if one.block is not None:
                yield from within(one.block, (*around, one))
            elif one.name.endswith("_pass") and one.arguments:
                match = PASS.fullmatch(one.arguments[0])
                if match and match[2] == upstream:
                    yield (*around, one)

    yield from within(main, ())


def scheme_of(main: Iterable[Directive], upstream: str) -> str:
    """Return how nginx talks to an upstream: ``http``, ``https``, or ``tcp`` for everything else; pure."""
    found = set()
    for chain in passes(main, upstream):
        match = PASS.fullmatch(chain[-1].arguments[0])
        scheme = match[1] if match and chain[-1].name == "proxy_pass" else ""
        found.add(scheme if scheme in {HTTP, TLS} else TCP)
    for scheme in (HTTP, TLS, TCP):
        if scheme in found:
            return scheme
    return HTTP  # named by a variable, or not yet: what almost every upstream is


def ask(host: str, addresses: Sequence[str], path: str, *, scheme: str = HTTP) -> dict[str, Answer]:
    """Return what back ends answer to one balancer, asked one after another.

    Args:
        host: The balancer.
        addresses: ``address:port`` each, or ``unix:/path``.
        path: The path that is asked for.
        scheme: ``http``, ``https`` or ``tcp``.

    Raises:
        UnreachableError: If the balancer cannot be reached.
        OpsnbError: If it could not ask.
    """
    if scheme == TCP:
        return _connected(host, addresses)
    targets = [(a if a.startswith("unix:") else f"{scheme}://{endpoint(a)}", path, "") for a in addresses]
    answers = probe.ask(host, targets, body=True)
    return {
        address: Answer(
            status=one.status, size=len(one.body), scheme=scheme, digest=sha256(one.body.encode()) if one.status else ""
        )
        for address, one in zip(addresses, answers, strict=True)
    }


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


def _connected(host: str, addresses: Sequence[str]) -> dict[str, Answer]:
    if not addresses:
        return {}
    bound = remote.LOOK_SECONDS + CONNECT_SECONDS * len(addresses)
    ends = [endpoint(address) for address in addresses]
    lines = remote.look(host, CONNECT, str(CONNECT_SECONDS), *ends, seconds=bound).text.splitlines()
    if len(lines) != len(addresses):
        raise OpsnbError(f"{host}: {len(lines)} answers about {len(addresses)} back ends", hint="does its shell print?")
    words = (line.partition(" ") for line in lines)
    return {
        address: Answer(status=int(status), why=why if status == "0" else "", scheme=TCP)
        for address, (status, _, why) in zip(addresses, words, strict=True)
    }
