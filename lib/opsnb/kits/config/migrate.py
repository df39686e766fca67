"""Moves a service's files to other hosts: from what one host has, or from what another environment says.

Rules:

* From a host: a file that is a template in the one place is rendered for its new host; what the old host has beyond
  what its own rendering says is shown as lost. Any other file is taken as it is there, with mode and owner, and texts
  that the person names are replaced in it (``substitute``).
* From an environment: its sources are rendered with the variables of the new one. A source that only the old one has
  comes to lie in the new one's folder of the one place too.
* Names, addresses and values of the old place that are still in a file are listed with their line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opsnb import fleet
from opsnb.base.errors import UsageError
from opsnb.base.plan import Change, Plan
from opsnb.kits import remote
from opsnb.kits.config import reading, sources
from opsnb.kits.config.compare import OTHERS_READ, unified
from opsnb.kits.config.distribute import Wanted, plan_host, row_of, wanted
from opsnb.kits.config.places import Service, allow
from opsnb.kits.config.sources import HOST
from opsnb.kits.config.suspicious import suspicions
from opsnb.kits.config.values import File, Given, host_path
from opsnb.kits.files.states import State

SHORTEST = 3  # characters of a value that is looked for: shorter ones are everywhere
MAX_FINDINGS = 200
MAX_LINE = 160  # characters of a line that are shown


@dataclass(frozen=True, kw_only=True)
class Left:
    """One line that still speaks of the old place: ``text`` is empty where the file is sensitive."""

    host: str
    path: str
    line: int
    what: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Migration:
    """What is moved, and what a person should look at first.

    Args:
        targets: The hosts that get the files.
        files: Host to its files.
        place: Sources that come to lie in the new environment's folder.
        left: Lines that still speak of the old place.
        lost: What the old host has beyond its rendering, file by file as a difference.
        why: What was moved from where.
    """

    targets: tuple[str, ...]
    files: Mapping[str, Sequence[Wanted]]
    place: Sequence[Change] = ()
    left: Sequence[Left] = ()
    lost: Mapping[str, str] = field(default_factory=dict)
    why: str = ""


def from_host(
    hosts: Sequence[str], source: str, service: Service, paths: Sequence[str], substitute: Mapping[str, str]
) -> Migration:
    """Return what it takes to give other hosts the files that one host has.

    Args:
        hosts: Hosts of the run: the source and the targets.
        source: The host that has the files.
        service: The service, in the targets' environment.
        paths: Absolute paths; empty for the files of the manifest that the source has.
        substitute: Texts to replace in files that are no templates.

    Raises:
        UnreachableError: If the source cannot be reached.
        UsageError: If it is none of the hosts, or a file cannot be taken from it or rendered.
    """
    if source not in hosts:
        raise UsageError(
            f"the source '{source:.100}' is none of the run's hosts: {', '.join(hosts)}", hint="--hosts SOURCE,TARGET"
        )
    row = fleet.machine(source).row
    named = [host_path(path) for path in dict.fromkeys(paths)] or [f.path for f in service.manifest.files]
    found = reading.states(source, reading.read(source, named))
    if paths and (absent := [path for path, state in found.items() if state is None]):
        raise UsageError(f"{source}: {', '.join(absent)} is not there")
    there = {path: state for path, state in found.items() if state is not None}
    targets = tuple(host for host in hosts if host != source)
    files = {
        host: [_from_live(service, row_of(host), source, path, state, substitute) for path, state in there.items()]
        for host in targets
    }
    terms = {source: f"the name of {source}", str(row.get("address", "")): f"the address of {source}"}
    terms |= _values(row.get("variables", {}), source)
    left = [one for host in targets for one in _left(host, files[host], _foreign(terms, fleet.machine(host).row))]
    return Migration(
        targets=targets, files=files, left=left[:MAX_FINDINGS], lost=_lost(service, row, there),
        why=f"{service.name}: {len(there)} file(s) of {source} to {', '.join(targets)}",
    )  # fmt: skip


def from_environment(hosts: Sequence[str], old: Service, service: Service) -> Migration:
    """Return what it takes to give hosts of one environment the files of another.

    Args:
        hosts: Hosts of the new environment.
        old: The service in the old environment.
        service: The service in the new one.

    Raises:
        UsageError: If a file cannot be rendered, or both are the same environment.
    """
    if old.environment == service.environment:
        raise UsageError(f"'{old.environment}' is the environment that the files are in already")
    moved = replace(service, fallback=old.environment)
    files = {host: wanted(moved, row_of(host)) for host in hosts}
    place = []
    for file in moved.manifest.files:
        shown, text = moved.source(file)
        if shown.startswith(f"{old.shown}/"):
            path = f"{service.name}/{service.environment}/{file.source}"
            made = sources.change(
                path, text, mode="0600" if file.sensitive else "0644", sensitive=file.sensitive
            )  # fmt: skip
            place += [made] if made else []
    terms = {old.environment: f"the name of environment {old.environment}"}
    theirs = {name: given.value for name, given in service.variables.items()}
    mine = {name: given.value for name, given in old.variables.items() if theirs.get(name) != given.value}
    terms |= _values(mine, old.environment)
    left = [one for host in hosts for one in _left(host, files[host], terms)]
    return Migration(
        targets=tuple(hosts), files=files, place=tuple(place), left=left[:MAX_FINDINGS],
        why=f"{service.name}: files of {old.environment} to {service.environment}",
    )  # fmt: skip


def plan_migrate(migration: Migration, title: str) -> Plan:
    """Return the plan: sources of the one place first, then the hosts; reads only.

    A host on which all is right already has no change.

    Raises:
        UnreachableError: If no target can be reached.
        UsageError: If something lies at a place that cannot be replaced.
    """
    plan = remote.plan_each(title, migration.targets, lambda host: plan_host(host, title, list(migration.files[host])))
    return Plan(title=title, changes=(*sources.outside_in(migration.place), *plan.changes), context=plan.context)


def first(plan: Plan, canary: int) -> int:
    """Return how many of a plan's hosts are changed first, so that ``canary`` of them are no sources of ours."""
    return canary + (HOST in plan.hosts)


def _from_live(
    service: Service, row: Mapping[str, Any], source: str, path: str, state: State, substitute: Mapping[str, str]
) -> Wanted:
    entry = service.manifest.file(path)
    if entry and entry.template:
        file = replace(entry, mode=entry.mode or state["mode"], owner=entry.owner or state["owner"])
        return Wanted(file=file, content=service.render(entry, row), source=service.source(entry)[0])
    file = entry or File(path=path, sensitive=_guarded(state))
    file = replace(file, mode=file.mode or state["mode"], owner=file.owner or state["owner"])
    return Wanted(file=file, content=_substituted(state["content"], substitute), source=f"{source}:{path}")


def _guarded(state: State) -> bool:
    """Return whether a file that no manifest knows is treated as sensitive."""
    return not int(state["mode"], 8) & OTHERS_READ or bool(suspicions(state["content"]))


def _substituted(text: str, substitute: Mapping[str, str]) -> str:
    """Return a text with other words in it, longest first, once: what was put in is not looked at again."""
    for old, new in substitute.items():
        if not old or not old.isprintable():
            raise UsageError(f"substitute: {old!r:.60} is not a text to look for")
        allow(old, Given(value=new, origin="a parameter"), None)
    if not substitute:
        return text
    pattern = "|".join(re.escape(old) for old in sorted(substitute, key=len, reverse=True))
    return re.sub(pattern, lambda match: substitute[match[0]], text)


def _lost(service: Service, row: Mapping[str, Any], there: Mapping[str, State]) -> dict[str, str]:
    """Return what a host has beyond what its own rendering says, where that can be rendered."""
    found = {}
    for path, state in there.items():
        entry = service.manifest.file(path)
        if not entry or not entry.template:
            continue
        try:
            own = service.render(entry, row)
        except UsageError as error:
            found[path] = f"it cannot be rendered for {row['name']}: {error.message}"
            continue
        if own != state["content"]:
            theirs = f"{row['name']} has"
            found[path] = "its content differs (hidden)" if entry.sensitive else unified(
                {"content": own}, {"content": state["content"]}, "rendered for it", theirs
            )  # fmt: skip
    return found


def _values(variables: Mapping[str, Any], of: str) -> dict[str, str]:
    texts = {str(value): f"the value of '{name}' in {of}" for name, value in variables.items()}
    return {text: what for text, what in texts.items() if len(text) >= SHORTEST}


def _foreign(terms: Mapping[str, str], row: Mapping[str, Any]) -> dict[str, str]:
    """Return the terms that are not the new host's own as well."""
    own = {str(row.get("name")), str(row.get("address"))} | {str(v) for v in dict(row.get("variables", {})).values()}
    return {term: what for term, what in terms.items() if term and term not in own}


def _left(host: str, files: Sequence[Wanted], terms: Mapping[str, str]) -> list[Left]:
    found = []
    for one in files:
        for number, line in enumerate(one.content.splitlines(), 1):
            for term, what in terms.items():
                if re.search(rf"(?<![\w.-]){re.escape(term)}(?![\w-])", line):
                    text = "" if one.file.sensitive else line.strip()[:MAX_LINE]
                    found.append(Left(host=host, path=one.file.path, line=number, what=what, text=text))
    return found
