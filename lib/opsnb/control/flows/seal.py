"""Seal: exactly what is asked for, bound into one digest before anything starts.

A sealed request binds what the run will use: notebook bytes, toolkit digest, parameters, hosts with their keys, files
by digest, limits, policy, requester, and a nonce. Saving an unrelated notebook voids nothing.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsnb.base.canonical import canonical, digestible, salted, sha256
from opsnb.base.clock import new_id, now
from opsnb.base.errors import RefusedError, UsageError
from opsnb.base.parameters import Kind, rows
from opsnb.base.workspace import Workspace
from opsnb.control.catalog import Runbook, builtin
from opsnb.control.files import write_atomic
from opsnb.control.flows import uploads
from opsnb.control.flows.active import authors
from opsnb.control.flows.admit import admit, marked
from opsnb.control.flows.allow import keep_inside
from opsnb.control.flows.authors import authors_of
from opsnb.control.flows.case import policy_of
from opsnb.control.flows.grant import require_grant
from opsnb.control.flows.hosts import rows_of, selector_of, with_hosts
from opsnb.control.flows.isolation import unwritable
from opsnb.control.flows.leave import BY_HAND, PLANNED
from opsnb.control.flows.paths import filled, reads, writes
from opsnb.control.flows.people import permit
from opsnb.control.ledger.events import RequestSealed
from opsnb.control.ledger.store import append
from opsnb.control.people.rules import Directory
from opsnb.control.people.store import directory
from opsnb.control.people.values import Action, Actor, Person, Target
from opsnb.control.records import Mode, Risk
from opsnb.control.runs import store

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

MAX_STAGED_FILE = 256 * 1024**2  # bytes of a file parameter
IN_CATALOG = ("runbooks/", f"{builtin.PREFIX}/")  # how the paths of those that are called by their id begin
SALTS = ("notebook", "files", "html", "request", "plan")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody asks for, as it arrived.

    Args:
        runbook: Id or path.
        texts: Parameters as ``name=value`` text, typed by the runbook's schema.
        values: Parameters as JSON values.
        hosts: A selector from ``--hosts``; empty where the parameters or the runbook say it.
        folder: The asker's working directory, against which file parameters and paths are read.
        mode: The mode asked for; ``None`` takes the risk's default.
        why: The asker's reason.
        submission: The asker's own id of this question, so that asking twice is asking once.
        uploads: Files that were sent along, by the name that a file parameter gives.
        afar: Whether the asker may be elsewhere: then no file of this machine outside the workspace is meant.
    """

    runbook: str
    texts: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    hosts: str = ""
    folder: str = ""
    mode: Mode | None = None
    why: str = ""
    submission: str = ""
    uploads: Mapping[str, bytes] = field(default_factory=dict)
    afar: bool = False


def seal(services: Services, asked: Asked, actor: Actor, *, asks: bool = False) -> tuple[str, Runbook]:
    """Seal a request and store it; return its id and the runbook. ``asks``: an approval is to be asked for.

    Raises:
        UsageError: If the runbook, a parameter or a path is wrong; nothing is stored then.
        RefusedError: If it asks for a path that no run may have, or the one who asks may not.
    """
    person = actor.person
    runbook = chosen(services, asked.runbook, asked.folder)
    if asked.afar:
        keep_inside(services.workspace.root, services.workspace.state, _place(services, runbook))
    asked = with_hosts(runbook, asked)
    values, files = _values(runbook, asked, services.workspace)
    selector = selector_of(runbook, asked, values)
    hosts = rows_of(services, selector)
    request = new_id()
    with services.database.transaction() as connection:
        there = directory(connection)
        wrote = authors(connection, runbook.digest) if len(there.persons) > 1 else frozenset()
        by_hand = BY_HAND.get(runbook.id or "")
        if by_hand is not None and runbook.id != PLANNED:
            require_grant(connection, services.policies, actor, by_hand, hosts, now())
    _permitted(there, actor, runbook, hosts, asks=asks)
    body = _body(services, runbook, values, files, person, request=request, why=asked.why)
    body |= {"authors": sorted({*authors_of(there, runbook), *wrote}), **_policy(services, runbook, hosts)}
    body["writes"] = writes(services, runbook.front.writes if runbook.front else (), values, hosts)
    body |= {"selector": selector, "hosts": hosts, "locks": _locks(runbook, values, hosts)}
    admit(services, runbook, body)
    if closed := unwritable(services, body["writes"]):
        raise RefusedError(closed[0], hint=closed[1])
    body = dict(digestible(body))
    data = canonical(body)
    _keep_blob(services, runbook)
    uploads.keep(services.workspace, asked.uploads)
    salts = {name: secrets.token_hex(32) for name in SALTS}
    risk = Risk(body["risk"])
    with services.database.transaction() as connection:
        store.add_request(
            connection, id=request, submission=asked.submission or request, digest=sha256(data), body=data,
            parameters=values, salts=salts, runbook=body["runbook"], risk=risk.value, requester=person.id,
        )  # fmt: skip
        append(connection, RequestSealed(request=request, risk=risk, digest=salted(salts["request"], data)))
    return request, runbook


def chosen(services: Services, name: str, folder: str = "") -> Runbook:
    """Return the runbook that is meant: by id, or by path from the asker's folder or the workspace.

    The file is read now, so that what is sealed is what is on the disk. A notebook outside the catalog may run.

    Raises:
        NotFoundError: If there is none.
        NotebookError: If it is not a runbook.
    """
    services.catalog.refresh()
    return marked(services, services.catalog.find(name, folder))


def name_of(runbook: Runbook) -> str:
    """Return what a run of it is called: its id; for a notebook outside the catalog its path, whatever it claims."""
    return runbook.id if runbook.id and runbook.active and runbook.path.startswith(IN_CATALOG) else runbook.path


def blob_path(services: Services, notebook: str) -> Path:
    """Return where the sealed bytes of a notebook with this digest lie."""
    return services.workspace.state / "blobs" / f"{notebook}.ipynb"


def limits_of(services: Services, runbook: Runbook) -> dict[str, Any]:
    """Return a run's limits: the runbook's where it states them, else the workspace's."""
    settings, front = services.settings, runbook.front
    run_seconds = front.timeout if front else settings.timeout
    cell_seconds = front.cell_timeout if front and front.cell_timeout else settings.cell_timeout
    return {
        "run_seconds": run_seconds, "cell_seconds": min(cell_seconds, run_seconds),
        "memory_bytes": settings.memory, "output_bytes": settings.output,
        "cell_output_bytes": max(settings.output // 2, 1),
    }  # fmt: skip


def _values(runbook: Runbook, asked: Asked, workspace: Workspace) -> tuple[dict[str, Any], list[dict[str, str]]]:
    texts = [f"{name}={text}" for name, text in asked.texts.items()]
    values = runbook.validate({**asked.values, **runbook.from_assignments(texts)})
    files: list[dict[str, str]] = []
    for parameter in runbook.parameters:
        given = values.get(parameter.name)
        if parameter.kind is Kind.FILE and given:
            found = [
                _file(parameter.name, str(t), asked, workspace) for t in (given if isinstance(given, list) else [given])
            ]
            _refuse_twice(parameter.name, [*files, *found])
            files += found
            values[parameter.name] = [f["name"] for f in found] if isinstance(given, list) else found[0]["name"]
        elif parameter.kind is Kind.DIRECTORY and values.get(parameter.name):
            values[parameter.name] = os.path.normpath(Path(asked.folder or "/") / str(values[parameter.name]))
    return values, files


def _place(services: Services, runbook: Runbook) -> Path:
    """Return where a notebook lies; one that came with the program counts as in the workspace."""
    root = services.workspace.root
    return root / "runbooks" if runbook.path.startswith(IN_CATALOG) else root / runbook.path


def _refuse_twice(parameter: str, files: list[dict[str, str]]) -> None:
    """Refuse two files of one name: they would lie over each other in the run's folder."""
    names = [file["name"] for file in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"parameter '{parameter}': two files are called {twice[0]}", hint="give them one at a time")


def _file(parameter: str, text: str, asked: Asked, workspace: Workspace) -> dict[str, str]:
    if text in asked.uploads:
        data = asked.uploads[text]
        source = uploads.place_of(workspace, text, data)
        return {"parameter": parameter, "source": str(source.absolute()), "name": text, "sha256": sha256(data)}
    path = Path(asked.folder or (workspace.root if asked.afar else ".")) / text
    if asked.afar:
        keep_inside(workspace.root, workspace.state, path)
    try:
        size = path.stat().st_size
        if not path.is_file() or size > MAX_STAGED_FILE:
            raise UsageError(f"parameter '{parameter}': {path} is not a file of at most {MAX_STAGED_FILE} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"parameter '{parameter}': {path}: {error.strerror}") from error
    return {"parameter": parameter, "source": str(path.absolute()), "name": path.name, "sha256": sha256(data)}


def _body(
    services: Services,
    runbook: Runbook,
    values: dict[str, Any],
    files: list[dict[str, str]],
    person: Person,
    *,
    request: str,
    why: str,
) -> dict[str, Any]:
    front = runbook.front
    return {
        "schema": 1,
        "request": request,
        "runbook": name_of(runbook),
        "id": runbook.id,
        "path": runbook.path,
        "title": runbook.title,
        "notebook": runbook.digest,
        "toolkit": services.toolkit.digest(),
        "risk": runbook.risk.value,
        "parameters": values,
        "facts": runbook.facts,
        "labels": rows(runbook.parameters, values),
        "files": files,
        "secrets": _secrets(services, front.secrets if front else (), values),
        "reads": reads(services, front.reads if front else (), values),
        "writes": [],
        "limits": limits_of(services, runbook),
        "requester": {"id": person.id, "name": person.name},
        "why": why,
        "nonce": secrets.token_hex(16),
    }


def _permitted(there: Directory, actor: Actor, runbook: Runbook, hosts: list[dict[str, Any]], *, asks: bool) -> None:
    """Refuse what the one who asks may not on every host.

    Raises:
        RefusedError: Says why.
    """
    target = Target.of(name_of(runbook), runbook.risk, hosts)
    wanted = [Action.READ if runbook.risk is Risk.READ else Action.PLAN]
    wanted += [Action.REQUEST] * asks
    wanted += [BY_HAND[name] for name in (runbook.id or "",) if name in BY_HAND]
    for action in wanted:
        permit(there, actor, action, target, now())


def _policy(services: Services, runbook: Runbook, hosts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the policy that applies, as it is sealed, with what the notebook wants stricter.

    Raises:
        RefusedError: If there are more hosts than it lets one request have.
    """
    wanted = dict(runbook.front.policy) if runbook.front else {}
    policy = policy_of(services.policies, name_of(runbook), runbook.risk, hosts, wanted)
    if 0 < policy.max_hosts < len(hosts):
        raise RefusedError(
            f"{len(hosts)} hosts were chosen, and policy {policy.name} allows {policy.max_hosts} in one request",
            hint="choose fewer hosts at a time",
        )
    return {"policy": policy.as_json(), "tightened": wanted}


def _locks(runbook: Runbook, values: dict[str, Any], hosts: list[dict[str, Any]]) -> list[str]:
    """Return the names of the locks that a change takes, all or none: one for each host where the name holds it."""
    if runbook.front is None or not runbook.front.lock:
        return []
    return list(dict.fromkeys(filled(runbook.front.lock, {**values, "host": row["name"]}) for row in hosts))


def _secrets(services: Services, templates: Any, values: dict[str, Any]) -> list[str]:
    """Return the references of the secrets that the run may be given; each has something behind it."""
    names = list(dict.fromkeys(filled(str(template), values) for template in templates))
    for name in names:
        services.secrets.require(name)
    return names


def _keep_blob(services: Services, runbook: Runbook) -> None:
    path = blob_path(services, runbook.digest)
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomic(path, runbook.content, mode=0o600)
