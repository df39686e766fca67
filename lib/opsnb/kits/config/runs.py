"""What the runbooks about a service's files say, one call a cell.

In mode ``undo`` nothing is looked for in the one place, and every plan is empty: what was applied is undone from
its own plan, whatever became of the manifest, the sources or the source host since. In mode ``retry`` the approved plan
counts too, but the contents of sensitive files stand nowhere else: what can be read is read, and what cannot is left
out. Opened by hand where there is no
one place, or for nothing that fits, a runbook has nothing to show and ends normally.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from opsnb import fleet
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change, Plan
from opsnb.kits.config import migrate, sources, take
from opsnb.kits.config.compare import Survey
from opsnb.kits.config.distribute import plan_distribute
from opsnb.kits.config.migrate import Migration
from opsnb.kits.config.places import Service, open_service
from opsnb.kits.config.surveying import survey
from opsnb.kits.config.take import Taken
from opsnb.kits.config.values import COMMON, Manifest
from opsnb.runbook import Run

T = TypeVar("T")
NO_PLAN = Plan(title="nothing", changes=())
GOES_ON = "what was approved is carried out"


def open_for(run: Run, service: str, environment: str, variables: Mapping[str, str] | None = None) -> Service:
    """Read a service of the one place for a run; in an undo an empty one.

    Raises:
        UsageError: If a name, the manifest or a variables' file is wrong; with file and line.
    """
    sources.use(run)
    empty = _empty(run, service, environment)
    if _nowhere(run):
        return empty
    return _read(run, lambda: open_service(run.configs, service, environment, variables), empty)


def opened_for(
    run: Run, service: str, environment: str, variables: Mapping[str, str] | None = None
) -> Service:  # fmt: skip
    """The same, for a service that may be new to the one place."""
    sources.use(run)
    empty = _empty(run, service, environment)
    return _read(run, lambda: take.opened(service, environment, variables), empty)


def maybe_for(run: Run, service: str, environment: str) -> Service | None:
    """The same, for a service that may be left out: ``None`` where it is.

    Raises:
        UsageError: If only one of service and environment is given, or they are wrong.
    """
    sources.use(run)
    if not service and not environment:
        return None
    if not service or not environment:
        raise UsageError("a service and an environment are given together, or neither is")
    return open_service(run.configs, service, environment)


def suits(run: Run, service: Service) -> tuple[bool, str]:
    """Return whether a service's files can be brought to the run's hosts, and why, as a sentence."""
    if run.mode in {"undo", "retry"}:
        return True, GOES_ON
    if why := _unsuitable(run, service.environment):
        return False, why
    having = _having(run, service)
    if not having:
        return False, f"{service.manifest.path} has no file for any of: {', '.join(run.hosts)}"
    without = [host for host in run.hosts if host not in having]
    more = f"; none for {', '.join(without)}" if without else ""
    return True, f"{service.manifest.path} has files for {', '.join(having)}{more}"


def suits_comparison(run: Run, paths: Sequence[str], service: Service | None) -> tuple[bool, str]:
    """Return whether there is something to compare, and why, as a sentence."""
    if not paths and service is None:
        return False, "no file is named: give paths, or a service and its environment"
    if len(run.hosts) == 1 and service is None:
        return False, f"{run.hosts[0]} alone has nobody to be compared with: choose more hosts, or a service"
    if service is not None and (why := _elsewhere(run.hosts, service.environment)):
        return False, why
    return True, f"{len(run.hosts)} host(s)" + (f" and {service.shown}" if service else "") + " can be compared"


def other_for(run: Run, service: Service | None, against: str) -> Service | None:
    """Return a service in another environment, ``None`` where none is named.

    Raises:
        UsageError: If there is no service, or its files cannot be read.
    """
    if not against:
        return None
    if service is None:
        raise UsageError(f"against '{against:.60}' compares environments of a service, and no service is named")
    return open_service(run.configs, service.name, against)


def suits_migration(run: Run, service: Service, source: str, from_environment: str) -> tuple[bool, str]:
    """Return whether files can be moved as asked, and why, as a sentence."""
    if run.mode in {"undo", "retry"}:
        return True, GOES_ON
    if bool(source) == bool(from_environment):
        return False, "the files come from a host (source) or from an environment (from_environment): name one of them"
    if source and source not in run.hosts:
        return False, f"the source {source!r:.80} is none of the run's hosts: {', '.join(run.hosts)}"
    targets = [host for host in run.hosts if host != source]
    if not targets:
        return False, f"{source} is the only host of this run: choose it and those that get its files"
    if why := _unsuitable(run, service.environment, targets):
        return False, why
    return True, f"from {source or from_environment} to {', '.join(targets)} in {service.environment}"


def suits_taking(run: Run, environment: str) -> tuple[bool, str]:
    """Return whether files can be taken from the run's host, and why, as a sentence."""
    if run.mode in {"undo", "retry"}:
        return True, GOES_ON
    if len(run.hosts) != 1:
        return False, f"files are taken from one host, and {len(run.hosts)} were chosen"
    why = _unsuitable(run, environment)
    return not why, why or f"files of {run.hosts[0]} come into configs/"


def survey_for(run: Run, paths: Sequence[str], service: Service | None) -> Survey:
    """Read files of the run's hosts for a comparison."""
    if not paths and service is None:
        return Survey(found={})
    return survey(run.hosts, paths, service, run.progress)


def survey_of(run: Run, service: Service) -> Survey:
    """Read a service's files on the run's hosts, beside what the one place says; in an undo nothing."""
    having = _having(run, service)
    nothing = Survey(found={})
    return _read(run, lambda: survey(having, [], service, run.progress), nothing) if having else nothing


def plan_for(run: Run, service: Service) -> Plan:
    """Return the plan that gives the run's hosts a service's files; see :func:`plan_distribute`."""
    return _read(run, lambda: plan_distribute(_having(run, service), service), NO_PLAN)


def look_for(run: Run, service: Service, paths: Sequence[str], guarded: str, having: str = "") -> list[Taken]:
    """Return what becomes of each path of the run's host; see :func:`opsnb.kits.config.take.look`."""
    return _read(run, lambda: take.look(run.hosts[0], service, paths, guarded, having), [])


def plan_taken(run: Run, service: Service, taken: Sequence[Taken]) -> Plan:
    """Return the plan that writes it into the one place."""
    return _read(run, lambda: take.plan_take(run.hosts[0], service, taken), NO_PLAN)


def taken_again(
    run: Run, service: str, environment: str, paths: Sequence[str], guarded: str
) -> tuple[Change, ...]:  # fmt: skip
    """Return what a second taking would change, after an application; the manifest is read anew."""
    if run.mode != "apply":
        return ()
    place = take.opened(service, environment)
    return take.plan_take(run.hosts[0], place, take.look(run.hosts[0], place, paths, guarded)).changes


def migration_for(
    run: Run, service: Service, source: str, from_environment: str, paths: Sequence[str], substitute: Mapping[str, str]
) -> Migration:
    """Return what it takes to move a service's files; see :mod:`opsnb.kits.config.migrate`.

    Raises:
        UsageError: If paths or substitutes are given where files come from an environment.
    """
    nothing = Migration(targets=(), files={}, why="nothing is moved")
    if bool(source) == bool(from_environment):
        return nothing
    if source:
        return _read(run, lambda: migrate.from_host(run.hosts, source, service, paths, substitute), nothing)
    if paths or substitute:
        raise UsageError("paths and substitute are for files that come from a host", hint="leave them out")

    def moved() -> Migration:
        return migrate.from_environment(run.hosts, open_service(run.configs, service.name, from_environment), service)

    return _read(run, moved, nothing)


def plan_migration(run: Run, migration: Migration) -> Plan:
    """Return the plan that moves them."""
    return _read(run, lambda: migrate.plan_migrate(migration, migration.why), NO_PLAN)


def _read(run: Run, call: Callable[[], T], nothing: T) -> T:
    """Return what a call reads; nothing in an undo, and in a retry where it cannot be read."""
    if run.mode == "undo":
        return nothing
    try:
        return call()
    except OpsnbError:
        if run.mode != "retry":
            raise
        return nothing


def _unsuitable(run: Run, environment: str, hosts: Sequence[str] = ()) -> str:
    """Return why hosts cannot be meant; empty when they can."""
    for host in hosts or run.hosts:
        row = fleet.machine(host).row
        if host == fleet.THIS_MACHINE or row.get("transport", "ssh") == "local":
            return f"on {host} runs are confined and never root; give it an address in the inventory"
    return _elsewhere(hosts or run.hosts, environment)


def _elsewhere(hosts: Sequence[str], environment: str) -> str:
    """Return which host is in another environment; empty when none is known to be."""
    for host in hosts:
        there = fleet.machine(host).row.get("environment", environment)
        if there != environment:
            return f"{host} is in environment {there}, and the files are those of {environment}"
    return ""


def _having(run: Run, service: Service) -> list[str]:
    """Return the run's hosts that have files of a service; this machine has none, for its runs are confined."""
    hosts = [host for host in run.hosts if host != fleet.THIS_MACHINE]
    return [host for host in hosts if service.of(fleet.machine(host).row)]


def _nowhere(run: Run) -> bool:
    return not run.linked and not run.configs.is_dir()


def _empty(run: Run, service: str, environment: str) -> Service:
    return Service(
        root=run.configs, name=service, environment=environment or COMMON,
        manifest=Manifest(service=service, path=f"configs/{service}"),
    )  # fmt: skip
