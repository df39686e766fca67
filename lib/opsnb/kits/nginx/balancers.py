"""The balancers of a run: which hosts they are, and one question put to each of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from opsnb.base.errors import NotFoundError, OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.nginx.shiftrules import Names, host_of

AGAIN = "the plan that was approved counts, whatever is there now"

F = TypeVar("F")


def names_of(rows: Sequence[Mapping[str, Any]]) -> Names:
    """Return the hosts of a run with their addresses: names by which a server may be called."""
    return {str(row["name"]): [str(row.get("address", ""))] for row in rows}


def balancers(hosts: Sequence[str], rows: Sequence[Mapping[str, Any]], server: str) -> list[str]:
    """Return the hosts that are to change: all but the one that is the back end itself."""
    mine = {name for name, addresses in names_of(rows).items() if name == server or server_is(server, addresses)}
    return [host for host in hosts if host not in mine]


def server_is(server: str, addresses: Sequence[str]) -> bool:
    """Whether a server's address is one of a host's."""
    return bool(server) and host_of(server) in addresses


def each(hosts: Sequence[str], found_on: Callable[[str], F]) -> dict[str, F | OpsnbError]:
    """Return what is found on each balancer, or why it could not be looked for."""

    def one(host: str) -> F | OpsnbError:
        try:
            return found_on(host)
        except OpsnbError as error:
            return error

    return remote.over(hosts, one)


def suits(
    hosts: Sequence[str], found_on: Callable[[str], F], sentence: Callable[[str, F], str], *, again: bool
) -> tuple[bool, str]:
    """Return whether something is found on some balancer, and why, as a sentence for ``run.applicable``.

    Args:
        hosts: The balancers.
        found_on: Looks on one of them.
        sentence: Says what was found there.
        again: Whether this is an undo or a retry.
    """
    if again:
        return True, AGAIN
    if not hosts:
        return False, "no balancer is left: the hosts are the back end itself"
    reasons = []
    for host, found in each(hosts, found_on).items():
        if not isinstance(found, OpsnbError):
            return True, sentence(host, found)
        reasons.append(f"{found.message.removeprefix(f'{host}: ')}{f' ({found.hint})' if found.hint else ''}")
    return False, "; ".join(dict.fromkeys(reasons))


def named(host: str, error: UsageError) -> UsageError:
    """Return an error of a balancer's configuration with the balancer's name before it."""
    kind = NotFoundError if isinstance(error, NotFoundError) else UsageError
    return kind(f"{host}: {error.message}", hint=error.hint)
