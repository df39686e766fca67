"""Plans that bring a service's files to hosts: one change a host, which is its files together; right files are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from opsnb import fleet
from opsnb.base.canonical import same
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change, Plan
from opsnb.kits import remote
from opsnb.kits.config import reading
from opsnb.kits.config.changing import VERB, kept_as, stated
from opsnb.kits.config.directories import MODE, made, missing, modes
from opsnb.kits.config.hiding import hidden
from opsnb.kits.config.places import Service
from opsnb.kits.config.reading import Found
from opsnb.kits.config.values import File
from opsnb.kits.files.states import DEFAULT_MODE, MAX_BYTES, State, checked
from opsnb.runbook.actuators import find

MAX_TOTAL = 4 * 1024 * 1024  # bytes of one host's files: as many as are replaced together
SENSITIVE_MODE = "0600"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One file as a host is to have it.

    Args:
        file: Its entry in the manifest, or one that was made for it.
        content: What it holds.
        source: Where that comes from, as the reader knows it.
    """

    file: File
    content: str
    source: str


def wanted(service: Service, row: Mapping[str, Any]) -> list[Wanted]:
    """Return the files of a service as one host is to have them.

    Raises:
        UsageError: If one cannot be rendered, or they are too many.
    """
    files = [Wanted(file=f, content=service.render(f, row), source=service.source(f)[0]) for f in service.of(row)]
    if sum(len(one.content.encode()) for one in files) > MAX_TOTAL:
        raise UsageError(f"the files of {service.name} have more than {MAX_TOTAL} bytes together", hint="split them")
    return files


def plan_distribute(hosts: str | Sequence[str], service: Service) -> Plan:
    """Return the plan that gives every host its files of a service; reads only, and is empty where all is so.

    Args:
        hosts: Hosts of the run.
        service: What :func:`opsnb.kits.config.open_service` read.

    Raises:
        UnreachableError: If no host can be reached.
        UsageError: If a file cannot be rendered, or something else lies at its place.
    """
    title = f"files of {service.name} in {service.environment}"

    def one(host: str) -> Plan:
        return plan_host(host, title, wanted(service, row_of(host)))

    return remote.plan_each(title, hosts, one)


def plan_host(host: str, title: str, files: Sequence[Wanted]) -> Plan:
    """Return the plan that gives one host these files.

    Raises:
        UnreachableError: If the host cannot be reached.
        UsageError: If something lies at a place that cannot be replaced.
    """
    found = reading.read(host, [one.file.path for one in files])
    there = reading.states(host, found)
    pairs = [(one, target_row(one.file)) for one in files]
    before = {one.file.path: stated(row, there[one.file.path]) for one, row in pairs}
    after = {one.file.path: stated(row, after_of(one, there[one.file.path])) for one, row in pairs}
    changed = [(one, row) for one, row in pairs if not same(before[one.file.path], after[one.file.path])]
    context = {
        "files": {one.file.path: one.source for one, _ in pairs},
        "right already": [one.file.path for one, row in pairs if (one, row) not in changed],
    }
    if not changed:
        return Plan(title=title, changes=(), context=context)
    folders = _missing(host, [one.file.path for one, _ in changed], found)
    rows = [row for _, row in changed]
    change = _change(
        host, title, rows, _part(before, rows, dict.fromkeys(folders)),
        _part(after, rows, {f: made(MODE) for f in folders}),
    )  # fmt: skip
    return Plan(title=title, changes=(change,), context=context)


def row_of(host: str) -> Mapping[str, Any]:
    """Return the sealed row of a host that files can be brought to.

    Raises:
        UsageError: If it is this machine.
    """
    if host == fleet.THIS_MACHINE:
        raise UsageError("on this machine runs are confined", hint="give it an address in the inventory")
    return fleet.machine(host).row


def target_row(file: File) -> dict[str, Any]:
    """Return what a change's target says of a file."""
    return {
        "path": file.path, "owned": bool(file.owner) or file.sensitive, "sensitive": file.sensitive,
        "validate": list(file.validate), "activate": list(file.activate),
    }  # fmt: skip


def after_of(one: Wanted, there: State | None) -> State:
    """Return the state that a file is to have, its owner included; what nobody says stays as it is."""
    file = one.file
    mode = file.mode or (there["mode"] if there else SENSITIVE_MODE if file.sensitive else DEFAULT_MODE)
    owner = file.owner or (there["owner"] if there else "root:root")
    if len(one.content.encode()) > MAX_BYTES:
        raise UsageError(f"{one.source}: {file.path} would have more than {MAX_BYTES} bytes")
    return checked({"content": one.content, "mode": mode, "owner": owner}, file.path)


def astray(plan: Plan) -> list[str]:
    """Return what is not as a plan says it is to be, ``HOST: PATH`` each; everything is read again."""

    def one(change: Change) -> list[str]:
        try:
            found = find(change.verb).observe(change.host, change.target)
        except OpsnbError as error:
            return [f"{change.host}: {error.message}"]
        if not isinstance(found, dict) or "files" not in found:
            return [] if same(found, change.after) else [f"{change.host}: {change.what}"]
        wrong = [p for p, state in change.after["files"].items() if not same(found["files"].get(p), state)]
        dirs = change.after.get("directories", {})
        wrong += [p for p, state in dirs.items() if not same(found.get("directories", {}).get(p), state)]
        return [f"{change.host}: {path}" for path in wrong]

    by_host = {host: [change for change in plan.changes if change.host == host] for host in plan.hosts}
    told = remote.over(by_host, lambda host: [words for change in by_host[host] for words in one(change)])
    return [words for host in by_host for words in told[host]]


def _missing(host: str, paths: Sequence[str], found: Mapping[str, Found]) -> list[str]:
    lacking = [path for path in paths if not found[path].directory]
    there = [str(PurePosixPath(path).parent) for path in found if found[path].directory]
    there += [str(parent) for folder in there for parent in PurePosixPath(folder).parents]
    return [path for path, mode in modes(host, missing(lacking, there)).items() if not mode]


def _part(states: Mapping[str, State | None], rows: Sequence[Mapping[str, Any]], folders: Mapping[str, Any]) -> Any:
    files = {row["path"]: states[row["path"]] for row in rows}
    return {"files": files, **({"directories": dict(folders)} if folders else {})}


def _change(host: str, title: str, rows: Sequence[dict[str, Any]], before: Any, after: Any) -> Change:
    folders = sorted(after.get("directories", {}))
    target = {"files": list(rows), **({"directories": folders} if folders else {})}
    paths = [row["path"] for row in rows]
    runs = list(dict.fromkeys(" ".join(words) for row in rows for words in (row["validate"], row["activate"]) if words))
    what = f"{title}: {paths[0]}" if len(paths) == 1 else f"{title}: {len(paths)} files"
    kept = [kept_as(p, state) for p, state in before["files"].items() if hidden(state)]
    new = [path for path in paths if before["files"][path] is None]
    old = [path for path in paths if path not in new]
    ran = [f"run {'; '.join(runs)}"] * bool(runs)
    together = " together" * (len(paths) > 1)
    does = [f"make {', '.join(folders)}"] * bool(folders) + [f"write {', '.join(paths)}{together}"]
    does += [f"keep the old one as {', '.join(kept)}"] * bool(kept) + ran
    back = [f"put back {', '.join(old)}"] * bool(old) + [f"remove {', '.join(new)}"] * bool(new) + ran
    back += [f"remove {', '.join(reversed(folders))}"] * bool(folders)
    return Change(
        host=host, what=what, verb=VERB, target=target, before=before, after=after,
        command=", ".join(does), undo=", ".join(back),
    )  # fmt: skip
