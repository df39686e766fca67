"""Fixed shell scripts on the hosts of a run: the one way in which kits look at a remote host and change it.

Rules:

* A script is a constant of its kit. Values go in as arguments and on stdin, never as shell text.
* A script ends with 0; with ``DENIED`` when it may not look, and then it is asked once more as root where the host's
  ``sudo`` allows it; with ``REFUSED`` when what it found is refused, said in one line on stderr; with ``MOVED`` when
  what it found is no longer as planned; with ``FAILED`` when what it tried went wrong, said in full on stderr.
* What only looks begins nothing: an end that nobody saw counts as "could not be reached". What changes tells the two
  apart (:class:`UnreachableError`, :class:`UnknownOutcomeError`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from opsnb import fleet
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Plan, merge
from opsnb.fleet import Machine, Result, Status, UnknownOutcomeError, UnreachableError
from opsnb.fleet.transport import OnOutput

SHELL = "/bin/sh"
MOVED, DENIED, REFUSED, FAILED = 76, 77, 78, 79  # exit codes of our scripts
LOOK_SECONDS = 60.0  # how long looking may take
AT_ONCE = 50  # hosts that are looked at at a time

T = TypeVar("T")


def look(
    host: str, script: str, *arguments: str, stdin: bytes = b"", seconds: float = LOOK_SECONDS,
    on_output: OnOutput | None = None,
) -> Result:  # fmt: skip
    """Run a script that only looks, with the credential for observing; ``on_output`` gets its output as it comes.

    Raises:
        UnreachableError: If the host cannot be reached, or its answer did not arrive.
        UsageError: If the script refused what it found.
        OpsnbError: If it may not look, or failed otherwise.
    """
    machine = fleet.machine(host)
    result = _run(machine, script, arguments, stdin, seconds, sudo=False, on_output=on_output)
    if result.exit == DENIED and elevated(machine):
        result = _run(machine, script, arguments, stdin, seconds, sudo=True, on_output=on_output)
    if result.status in {Status.UNREACHABLE, Status.UNKNOWN}:
        raise UnreachableError(f"{host}: {result.why}")
    return _required(host, result)


def act(host: str, script: str, *arguments: str, stdin: bytes = b"", seconds: float = LOOK_SECONDS) -> Result:
    """Run a script that changes something, with the credential for changes, as root where the host has ``sudo``.

    Raises:
        UnreachableError: If the host cannot be reached: nothing was begun.
        UnknownOutcomeError: If it began and nobody saw its end.
        UsageError: If the script refused what it found.
        OpsnbError: If it failed.
    """
    machine = fleet.machine(host, change=True)
    result = _run(machine, script, arguments, stdin, seconds, sudo=elevated(machine))
    return _required(host, result)


def elevated(machine: Machine) -> bool:
    """Return whether a host lets its person for changes become root."""
    return str(machine.row.get("sudo", "none")) != "none"


def over(hosts: Iterable[str], function: Callable[[str], T]) -> dict[str, T]:
    """Call ``function`` with every host, many at once; the first error in the order of the hosts is raised."""
    names = list(hosts)
    with ThreadPoolExecutor(max(1, min(AT_ONCE, len(names)))) as pool:
        return dict(zip(names, pool.map(function, names), strict=True))


def plan_each(title: str, hosts: str | Sequence[str], plan_one: Callable[[str], Plan]) -> Plan:
    """Return one plan for all hosts, made host by host and at once; a host that is right already has no change in it.

    A host that cannot be reached is left out and named in ``context["unreachable"]``, so that the others can be
    planned, retried and undone; whoever reads the plan sees it.

    Raises:
        UnreachableError: If no host can be reached.
    """
    if isinstance(hosts, str):
        return plan_one(hosts)
    found = over(hosts, lambda host: _planned(host, plan_one))
    lost = {host: value.message for host, value in found.items() if isinstance(value, UnreachableError)}
    if found and len(lost) == len(found):
        raise UnreachableError("; ".join(lost.values()))
    plan = merge(title, {host: value for host, value in found.items() if isinstance(value, Plan)})
    if lost:
        plan.context["unreachable"] = lost
    return plan


def _planned(host: str, plan_one: Callable[[str], Plan]) -> Plan | UnreachableError:
    try:
        return plan_one(host)
    except UnreachableError as error:
        return error


def _run(
    machine: Machine, script: str, arguments: Sequence[str], stdin: bytes, seconds: float, *, sudo: bool,
    on_output: OnOutput | None = None,
) -> Result:  # fmt: skip
    argv = (SHELL, "-c", script, "opsnb", *arguments)
    return machine.run(*argv, stdin=stdin, seconds=seconds, sudo=sudo, on_output=on_output)


def _required(host: str, result: Result) -> Result:
    if result.exit not in {MOVED, DENIED, REFUSED, FAILED}:
        return result.require()
    said = result.errors.strip()
    if result.exit == FAILED:
        raise OpsnbError(f"{host}: {said}")
    if result.exit == MOVED:
        raise OpsnbError(f"{host}: {said} is no longer as planned; nothing was changed", hint="plan again")
    if result.exit == DENIED:
        hint = "another person to log in as, or sudo: passwordless for this host in the inventory"
        raise OpsnbError(f"{host}: {said}", hint=hint)
    raise UsageError(f"{host}: {said}")


__all__ = ["UnknownOutcomeError", "UnreachableError", "act", "elevated", "look", "over", "plan_each"]
