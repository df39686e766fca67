"""After a drain, a shift, a return: what the balancers still do with the back end, and what the log says.

Every function takes a list of balancers; with an empty one it looks at nothing, so that a mode that changed nothing
asks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from opsnb.base.errors import OpsnbError
from opsnb.kits import remote
from opsnb.kits.nginx import shift, shiftlog, shiftwatch
from opsnb.kits.nginx.shiftlog import Seen
from opsnb.kits.nginx.shiftrules import Names, Wanted
from opsnb.kits.nginx.shiftwatch import Waited

if TYPE_CHECKING:
    import pandas as pd

Tell = Callable[[int, int, str], None]


def connections(
    hosts: Sequence[str], wanted: Wanted, *, names: Names | None = None, conf: str = ""
) -> pd.DataFrame:  # fmt: skip
    """Return what each balancer has to do with the back end now, a row each; or why that cannot be seen."""
    import pandas as pd

    def one(host: str) -> tuple[object, ...]:
        try:
            address, _ = shift.address_of([host], wanted, names=names, conf=conf)
            sight = shiftwatch.look(host, address, conf)
        except OpsnbError as error:
            return host, "?", "?", "?", error.message
        return host, sight.connections, sight.leaving, sight.workers, ""

    head = ["balancer", "connections to it", "workers that finish", "workers", "why not"]
    return pd.DataFrame(list(remote.over(hosts, one).values()), columns=head)


def wait(
    hosts: Sequence[str],
    wanted: Wanted,
    *,
    seconds: float,
    names: Names | None = None,
    conf: str = "",
    tell: Tell | None = None,
) -> dict[str, Waited]:
    """Wait until the back end is drained on balancers, at most so many seconds; see :mod:`opsnb.kits.nginx.shiftwatch`.

    Where another upstream of the same nginx has it too, connections to it stay: there only the old workers count.
    """
    if not hosts:
        return {}
    address, shared = shift.address_of(hosts, wanted, names=names, conf=conf)
    return shiftwatch.wait_drained(hosts, address, seconds=seconds, conf=conf, tell=tell, shared=shared)


def undrained(waited: Mapping[str, Waited]) -> list[str]:
    """Return the balancers on which a back end is not drained, with what is left."""
    return [
        f"{host}: {one.why or (one.sight.words if one.sight else '')} after {one.seconds:.0f} s"
        for host, one in waited.items()
        if not one.drained
    ]


def watch(
    hosts: Sequence[str],
    wanted: Wanted,
    seconds: float,
    *,
    names: Names | None = None,
    conf: str = "",
    tell: Tell | None = None,
) -> dict[str, Seen | str]:
    """Watch the access logs of balancers at once; return what each says of the back end, or why it says nothing."""

    def one(host: str) -> Seen | str:
        try:
            found = shift.found_on(host, wanted, names, conf)
            log = shiftlog.log_of(found.configuration, found.chosen.upstream.name)
            return shiftlog.watch(host, log, found.chosen.address, seconds, tell=tell if host == hosts[0] else None)
        except OpsnbError as error:
            return error.message

    return remote.over(hosts, one) if seconds > 0 else {}


def watched_table(seen: Mapping[str, Seen | str]) -> pd.DataFrame:
    """Return what the logs said, a row a balancer."""
    import pandas as pd

    rows: list[tuple[object, ...]] = []
    for host, one in seen.items():
        if isinstance(one, str):
            rows.append((host, None, None, None, one))
        else:
            counted = "tries at it" if one.told else "all requests: the log does not tell back ends apart"
            counted = counted if one.requests else "nothing was seen, which tells nothing"
            rows.append((host, one.requests, one.errors, one.percent, counted))
    return pd.DataFrame(rows, columns=["balancer", "requests", "errors", "errors (%)", "counted"])


def too_many(seen: Mapping[str, Seen | str], most: float) -> list[str]:
    """Return the balancers whose log shows more errors than ``most`` percent, or nothing at all."""
    return [
        f"{host}: {one}" if isinstance(one, str) else f"{host}: {one.percent:.1f} %"
        for host, one in seen.items()
        if isinstance(one, str) or one.percent > most
    ]


def upstream_of(hosts: Sequence[str], wanted: Wanted, *, names: Names | None = None, conf: str = "") -> tuple[str, str]:
    """Return the back end's address and its upstream's name, as the first balancer that has them says.

    Without a balancer they are what was asked for.

    Raises:
        OpsnbError: If none has it.
    """
    if not hosts:
        return wanted.server, wanted.upstream
    address, _ = shift.address_of(hosts, wanted, names=names, conf=conf)
    for host in hosts:
        try:
            return address, shift.found_on(host, wanted, names, conf).chosen.upstream.name
        except OpsnbError:
            continue
    return address, wanted.upstream
