"""Who still talks to a back end: the connections of nginx's workers to it, and the workers that only finish.

Rules:

* Counted are sockets that a worker of this nginx holds, whatever their state, with the back end at their other end; a
  connection of somebody else on the host to the same back end is not one of them.
* A worker that is shutting down has the old configuration: it takes no new client and may still open a connection for
  what it has begun. So a back end is drained when no worker is connected to it and no such worker is left.
* Twice in a row, since nginx tells its old workers to finish a tenth of a second after the new ones have begun.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsnb.base.errors import OpsnbError, UnreachableError, UsageError
from opsnb.kits import remote
from opsnb.kits.nginx import kinds
from opsnb.kits.nginx.finding import find

if TYPE_CHECKING:
    import pandas as pd

PAUSE_SECONDS = 0.5  # between two looks
LEAVING = "is shutting down"
UNIX = "unix:"
DEFAULT_PORT = 80
MAPPED = bytes(10) + b"\xff\xff"  # before an IPv4 address in an IPv6 socket

# $1 name; answers its addresses, one a line
RESOLVE = r"""
getent ahosts "$1" | while read -r address rest; do echo "$address"; done
"""

# $1 pid of the master, $2 path of a unix socket or nothing, then other ends as /proc/net/tcp writes them.
# Answers "worker PID TITLE", "socket PID INODE", "line INODE" and "unix" for each connection to one of them.
LOOK = r"""
set -uf
LC_ALL=C
export LC_ALL
master=$1 path=$2
shift 2
comm=$(cat "/proc/$master/comm" 2>/dev/null) || { echo "nginx (process $master) has ended" >&2; exit 78; }
set +f
for d in /proc/[0-9]*; do
  { read -r pid name state parent rest <"$d/stat"; } 2>/dev/null || continue
  [ "$parent" = "$master" ] || continue
  title=$(tr '\0\n' '  ' <"$d/cmdline" 2>/dev/null)
  case $title in *worker*) ;; *) continue ;; esac
  printf 'worker %s %s\n' "$pid" "$title"
  if held=$(ls -l "$d/fd" 2>/dev/null); then
    printf '%s\n' "$held" | sed -n "s/.*socket:\[\([0-9]*\)\]\$/socket $pid \1/p"
  elif [ -e "$d/fd" ] && [ "$(id -u)" != 0 ]; then
    echo "the connections of nginx's workers may not be seen" >&2
    exit 77
  fi
done
if [ "$#" -gt 0 ]; then  # 06 is TIME_WAIT: nobody holds it, and a busy host has tens of thousands
  for end; do set -- "$@" -e " $end "; shift; done
  cat "/proc/$master/net/tcp" "/proc/$master/net/tcp6" 2>/dev/null | grep -F "$@" | grep -v ": .* .* 06 " \
    | sed 's/^ *[0-9]*: [^ ]* [^ ]* .. [^ ]* [^ ]* [^ ]*  *[0-9]*  *[0-9]*  *\([0-9]*\) .*/line \1/'
fi
if [ -n "$path" ]; then
  while read -r number references protocol flags type state inode name; do
    [ "$state $name" != "03 $path" ] || echo unix
  done <"/proc/$master/net/unix"
fi
echo end
"""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What one balancer still has to do with a back end.

    Args:
        connections: Connections of its workers to it.
        leaving: Its workers that only finish what they have, from before a reload.
        workers: All of its workers.
    """

    connections: int
    leaving: int
    workers: int

    @property
    def drained(self) -> bool:
        """Whether nothing goes there any more, and nothing can."""
        return not self.connections and not self.leaving

    @property
    def words(self) -> str:
        """What is left, as a part of a sentence."""
        return f"{self.connections} connections and {self.leaving} workers that finish are left"


@dataclass(frozen=True, kw_only=True)
class Waited:
    """How the wait for one balancer ended.

    Args:
        sight: What was seen last; ``None`` when it could not be looked at.
        seconds: How long it took.
        why: Why it could not be looked at.
        most: The most connections that were seen.
        drained: Whether nothing goes there any more: seen twice in a row.
    """

    sight: Sight | None
    seconds: float
    why: str = ""
    most: int = 0
    drained: bool = False


def parse_sight(text: str) -> Sight:
    """Return what :data:`LOOK` saw; pure."""
    titles: dict[str, str] = {}
    held: set[str] = set()
    there: set[str] = set()
    local, whole = 0, False
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "worker":
            pid, _, title = rest.partition(" ")
            titles[pid] = title
        elif word == "socket":
            held.add(rest.partition(" ")[2])
        elif word == "line":
            there.add(rest)
        elif word == "unix":
            local += 1
        whole = whole or word == "end"
    if not whole:
        raise OpsnbError("the answer about nginx's connections ended early", hint="look at the host's load")
    leaving = sum(LEAVING in title for title in titles.values())
    return Sight(connections=len(held & there) + local, leaving=leaving, workers=len(titles))


def ends_of(addresses: Sequence[str], port: int) -> list[str]:
    """Return the other ends of connections to some addresses, as /proc/net/tcp and tcp6 write them; pure."""
    found = []
    for text in addresses:
        address = ipaddress.ip_address(text)
        data = address.packed
        found.append(f"{_little(data)}:{port:04X}")
        if address.version == 4:  # noqa: PLR2004  (an IPv6 socket may talk IPv4)
            found.append(f"{_little(MAPPED + data)}:{port:04X}")
    return found


def split(address: str) -> tuple[str, int]:
    """Return host and port of a server's address; 80 where it has none; pure."""
    host, colon, port = address.rpartition(":")
    if not colon or (address.startswith("[") and address.endswith("]")):
        host, port = address, str(DEFAULT_PORT)
    return host.strip("[]"), int(port)


def resolved(host: str, name: str) -> list[str]:
    """Return the addresses of a name as a balancer resolves it, an address as it is.

    Raises:
        UsageError: If it has none.
    """
    try:
        return [str(ipaddress.ip_address(name))]
    except ValueError:
        found = remote.look(host, RESOLVE, kinds.address(name)).text.split()
    if not found:
        raise UsageError(f"{host}: {name} has no address there", hint=f"getent ahosts {name}")
    return list(dict.fromkeys(found))


def look(host: str, address: str, conf: str = "") -> Sight:
    """Return what one balancer has to do with a back end now; one round trip, besides finding nginx.

    Args:
        host: The balancer.
        address: The back end as its server line names it.
        conf: The configuration file of its nginx, when it is not the running one's.

    Raises:
        UnreachableError: If it cannot be reached.
        UsageError: If no nginx runs there.
        OpsnbError: If its connections may not be seen.
    """
    return _look(host, *_asked(host, address, conf))


def wait_drained(
    hosts: Sequence[str],
    address: str,
    *,
    seconds: float,
    conf: str = "",
    tell: Callable[[int, int, str], None] | None = None,
    shared: bool = False,
) -> dict[str, Waited]:
    """Wait until balancers have nothing more to do with a back end, all at once, for at most so many seconds.

    Args:
        hosts: The balancers.
        address: The back end as its server line names it.
        seconds: The bound.
        conf: The configuration file of their nginx.
        tell: Called with how many are drained, of how many, and what is left, about twice a second.
        shared: Whether something else of the same nginx sends requests there, so that only old workers count.

    Returns:
        For each balancer how it ended; one that cannot be looked at says why.
    """
    begun, left = time.monotonic(), dict.fromkeys(hosts, 0)  # to the looks in a row that saw nothing
    asked: dict[str, tuple[str, str, list[str]]] = {}
    ended: dict[str, Waited] = {}
    most: dict[str, int] = dict.fromkeys(hosts, 0)
    while left:
        found = remote.over(list(left), lambda host: _tried(host, address, conf, asked))
        passed = time.monotonic() - begun
        for host, sight in found.items():
            if isinstance(sight, OpsnbError):
                ended[host] = Waited(sight=None, seconds=passed, why=sight.message, most=most[host])
                continue
            most[host] = max(most[host], sight.connections)
            left[host] = left[host] + 1 if sight.drained or (shared and not sight.leaving) else 0
            if left[host] > 1 or (passed >= seconds and not left[host]):  # what looks drained is looked at once more
                ended[host] = Waited(sight=sight, seconds=passed, most=most[host], drained=left[host] > 1)
        left = {host: times for host, times in left.items() if host not in ended}
        if tell:
            tell(len(ended), len(hosts), _words(found))
        if left:
            time.sleep(PAUSE_SECONDS)
    return {host: ended[host] for host in hosts}


def waiting_table(waited: Mapping[str, Waited]) -> pd.DataFrame:
    """Return how the wait ended, a row a balancer."""
    import pandas as pd

    rows = [
        (
            host, one.sight.connections if one.sight else "?", one.sight.leaving if one.sight else "?", one.most,
            one.seconds, one.why or ("drained" if one.drained else "not drained"),
        )
        for host, one in waited.items()
    ]  # fmt: skip
    head = ["balancer", "connections to it", "workers that finish", "most connections seen", "waited (s)", "state"]
    return pd.DataFrame(rows, columns=head)


def _little(data: bytes) -> str:
    """Return an address as the kernel prints it: each 32-bit word in the machine's order, little endian."""
    return "".join(data[i : i + 4][::-1].hex().upper() for i in range(0, len(data), 4))


def _asked(host: str, address: str, conf: str) -> tuple[str, str, list[str]]:
    found = find(host, conf)
    if found.pid is None:
        raise UsageError(f"{host}: no nginx runs with {found.conf}")
    if address.startswith(UNIX):
        return str(found.pid), address.removeprefix(UNIX), []
    name, port = split(address)
    return str(found.pid), "", ends_of(resolved(host, name), port)


def _look(host: str, pid: str, path: str, ends: Sequence[str]) -> Sight:
    return parse_sight(remote.look(host, LOOK, pid, path, *ends).text)


def _tried(host: str, address: str, conf: str, asked: dict[str, tuple[str, str, list[str]]]) -> Sight | OpsnbError:
    """Look at one balancer; an error is its row, one that cannot be reached for a moment too."""
    try:
        if host not in asked:
            asked[host] = _asked(host, address, conf)
        return _look(host, *asked[host])
    except (UnreachableError, OpsnbError) as error:
        return error


def _words(found: Mapping[str, Sight | OpsnbError]) -> str:
    seen = [sight for sight in found.values() if isinstance(sight, Sight)]
    total = Sight(connections=sum(s.connections for s in seen), leaving=sum(s.leaving for s in seen), workers=0)
    return total.words
