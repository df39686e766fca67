"""Reaching the hosts of a run: ``fleet.of(run)``, and ``fleet.machine(host)`` for the actuators of kits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from opsnb.base.errors import UsageError
from opsnb.fleet.fleet import Fleet
from opsnb.fleet.local import LocalTransport
from opsnb.fleet.machines import Machine

if TYPE_CHECKING:  # paramiko is loaded when a host is reached by SSH, not before
    from opsnb.fleet.ssh.connection import Connections

THIS_MACHINE = "localhost"


class RunOfHosts(Protocol):
    """What the fleet wants of a run: its sealed host rows, and credentials for them."""

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The sealed rows of the run's hosts."""

    def credential(self, host: str, purpose: str) -> dict[str, Any]:
        """Return the credential that is released for ``observe``, ``change`` or ``sudo`` on a host."""


_open: dict[str, Machine] = {}  # the machines of this kernel's one run, for the actuators of kits
_current: tuple[RunOfHosts, Fleet] | None = None


def of(run: RunOfHosts) -> Fleet:
    """Return the hosts of a run; actuators reach them through :func:`machine` from here on.

    Nothing is connected and no credential asked for until something is run. Asked again, it answers the same fleet.

    Raises:
        UsageError: If a row has a transport that is not known.
    """
    global _current  # noqa: PLW0603 - a kernel has one run, and its actuators find its machines here
    if _current and _current[0] is run:
        return _current[1]
    if _current:
        _current[1].close()
    fleet = connect(run.rows, run.credential)
    _current = (run, fleet)
    _open.clear()
    _open.update(fleet)
    return fleet


def machine(host: str, *, change: bool = False) -> Machine:
    """Return one host of this kernel's run: what an actuator reaches by the name in a change.

    Args:
        host: The name in a change; ``localhost`` is always there.
        change: Whether to log in with the credential for changes, which is released in apply and undo only.

    Raises:
        UsageError: If it is not one of the run's hosts.
    """
    if host == THIS_MACHINE and host not in _open:
        _open[host] = Machine(host, LocalTransport(host))
    try:
        found = _open[host]
    except KeyError:
        raise UsageError(f"host '{host}' is not one of this run's hosts", hint="fleet.of(run) opens them") from None
    return found.changing if change else found


def connect(rows: Sequence[Mapping[str, Any]], credential: Callable[[str, str], dict[str, Any]]) -> Fleet:
    """Return machines for sealed rows, each connected on first use; jump hosts are shared.

    Args:
        rows: The rows.
        credential: Answers the credential for a host and ``observe``, ``change`` or ``sudo``, when it is first needed.

    Raises:
        UsageError: If a row has a transport that is not known.
    """
    connections = _connections(credential) if any(row.get("transport", "ssh") == "ssh" for row in rows) else None
    machines = [_machine(row, credential, connections) for row in rows]
    return Fleet(machines, end=connections.close_all if connections else None)


def _machine(
    row: Mapping[str, Any], credential: Callable[[str, str], dict[str, Any]], connections: Connections | None
) -> Machine:
    name, kind = str(row["name"]), row.get("transport", "ssh")
    if kind == "local":
        return Machine(name, LocalTransport(name, row.get("sudo", "passwordless"), credential), row)
    if kind == "container":
        from opsnb.fleet.container import ContainerTransport

        return Machine(name, ContainerTransport(row), row)
    if kind == "ssh":
        from opsnb.fleet.ssh.transport import SshTransport

        assert connections
        known = row.get("credential", {})
        two = known.get("change") is not None and known.get("change") != known.get("observe")
        other = {**row, "user": row["changes_as"]} if "changes_as" in row else row
        changing = SshTransport(other, connections, "change") if two else None
        return Machine(name, SshTransport(row, connections), row, changing)
    raise UsageError(f"host '{name}': transport '{kind}' is not known", hint="ssh, local or container")


def _connections(credential: Callable[[str, str], dict[str, Any]]) -> Connections:
    from opsnb.fleet.ssh.connection import Connections

    return Connections(credential)
