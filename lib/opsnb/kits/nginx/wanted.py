"""What NGX-010 was asked for, validated before a host is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from opsnb.base.errors import UsageError
from opsnb.kits.nginx import kinds, values
from opsnb.kits.nginx.reading import Configuration
from opsnb.kits.nginx.render import Site, Tier

AS_IT_IS = -1
BELOW_500 = tuple(range(100, 500))  # answers that prove that a back end was reached, when none are named
ANY_NAME = "backend"  # of an upstream, when none is named and there is none yet
OF_A_SITE = ("gzip", "real_ip_from", "status_path")  # what only a new server block has


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What NGX-010 was asked for, validated.

    Args:
        tier: The upstream.
        only: Whether no name was given, so that the only upstream of a configuration is meant.
        site: The server block in front of it; ``None`` when that is there already or is not to be.
        path: Path of the requests that prove it; empty for the location's own.
        statuses: Answers that are right; none for any below 500.
        conf: The main configuration file, when several nginx run.
        answering: Whether every back end must answer before anything is changed.
    """

    tier: Tier
    only: bool = False
    site: Site | None = None
    path: str = ""
    statuses: tuple[int, ...] = ()
    conf: str = ""
    answering: bool = True

    @property
    def right(self) -> tuple[int, ...]:
        """The answers that are right, each of them."""
        return self.statuses or BELOW_500


def wanted(
    upstream: str,
    servers: Sequence[str],
    strategy: str = "round_robin",
    *,
    zone: str = "",
    keepalive: int = AS_IT_IS,
    path: str = "",
    statuses: Sequence[int] = (),
    conf: str = "",
    answering: bool = True,
    **site: Any,
) -> Wanted:
    """Return what is wanted from the parameters of NGX-010.

    Args:
        upstream: Name of the upstream; empty for the only one that there is.
        servers: nginx server lines.
        strategy: One of ``values.STRATEGIES``.
        zone: Size of its shared memory; empty as it is (64k for a new one), ``none`` for none.
        keepalive: Idle connections that each worker keeps; -1 as it is (16 for a new one), 0 for none.
        path: Path of the requests that prove it.
        statuses: Answers that are right; none for any below 500.
        conf: The main configuration file; empty for the running one's.
        answering: Whether every back end must answer before anything is changed.
        site: Of :class:`opsnb.kits.nginx.render.Site`; without ``listen`` there is none.

    Raises:
        UsageError: If a value is none of its type, or values do not go together.
    """
    tier = Tier(
        name=upstream or ANY_NAME, servers=values.servers(servers), strategy=strategy,
        zone={"": None, "none": ""}.get(zone, zone), keepalive=None if keepalive == AS_IT_IS else keepalive,
    )  # fmt: skip
    if conf and (not conf.startswith("/") or not conf.isprintable()):
        raise UsageError(f"the configuration file is {conf!r:.200}; it is absolute", hint="/etc/nginx/nginx.conf")
    if path:
        kinds.path(path, query=True)
    for status in statuses:
        kinds.count(status, "the status", least=100, most=599)
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in site.items()}
    listens = bool(given.get("listen"))
    block = Site(**(given if listens else {**given, "listen": "80"}))  # what is not used is validated too
    unused = [name for name in OF_A_SITE if given.get(name)]
    if unused and not listens:
        raise UsageError(f"{', '.join(unused)} say what a new server block is like, and listen is empty",
                         hint="listen=10.0.0.1:80 for a new one; the one that is there is not changed")  # fmt: skip
    return Wanted(
        tier=tier, only=not upstream, site=block if listens else None, path=path, conf=conf, answering=answering,
        statuses=tuple(statuses),
    )  # fmt: skip


def named(want: Wanted, seen: Configuration) -> Wanted:
    """Return what is wanted with the name of the only upstream of a configuration, when none was given.

    Raises:
        UsageError: If there are several.
    """
    names = sorted({one.name for one in seen.upstreams() if one.context == "http"})
    if not want.only or not names:
        return want
    if len(names) > 1:
        raise UsageError(f"{seen.installation.host}: which upstream is meant: {', '.join(names)}?",
                         hint=f"upstream={names[0]}")  # fmt: skip
    return replace(want, tier=replace(want.tier, name=names[0]))
