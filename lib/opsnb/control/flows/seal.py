"""Seal: exactly what is asked for, bound into one digest before anything starts.

A sealed request binds what the run will use: notebook bytes, toolkit digest, parameters, hosts with their keys, files
by digest, limits, policy, requester, and a nonce. Saving an unrelated notebook voids nothing.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsnb.base.canonical import canonical, digestible, salted, sha256
from opsnb.base.clock import new_id
from opsnb.base.errors import RefusedError, UsageError
from opsnb.base.parameters import Kind, rows
from opsnb.control.catalog import Runbook, builtin
from opsnb.control.files import write_atomic
from opsnb.control.flows.hosts import rows_of, selector_of, with_hosts
from opsnb.control.ledger.events import RequestSealed
from opsnb.control.ledger.store import append
from opsnb.control.people.store import Person, count
from opsnb.control.records import Mode, Risk
from opsnb.control.runs import store

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

MAX_STAGED_FILE = 256 * 1024**2  # bytes of a file parameter
IN_CATALOG = ("runbooks/", f"{builtin.PREFIX}/")  # how the paths of those that are called by their id begin
PLACEHOLDER = re.compile(r"\{(\w+)\}")
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
    """

    runbook: str
    texts: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    hosts: str = ""
    folder: str = ""
    mode: Mode | None = None
    why: str = ""
    submission: str = ""


def seal(services: Services, asked: Asked, person: Person) -> tuple[str, Runbook]:
    """Seal a request and store it; return its id and the runbook.

    Raises:
        UsageError: If the runbook, a parameter or a path is wrong; nothing is stored then.
        RefusedError: If it asks for a path that no run may have.
    """
    runbook = chosen(services, asked.runbook, asked.folder)
    asked = with_hosts(runbook, asked)
    values, files = _values(runbook, asked)
    selector = selector_of(runbook, asked, values)
    hosts = rows_of(services, selector)
    request = new_id()
    with services.database.transaction() as connection:
        people = count(connection)
    body = _body(services, runbook, values, files, person, people=people, request=request, why=asked.why)
    body["writes"] = _writes(services, runbook, values, hosts)
    body |= {"selector": selector, "hosts": hosts, "locks": _locks(runbook, values, hosts)}
    body = dict(digestible(body))
    data = canonical(body)
    _keep_blob(services, runbook)
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
    return services.catalog.find(name, folder)


def name_of(runbook: Runbook) -> str:
    """Return what a run of it is called: its id; for a notebook outside the catalog its path, whatever it claims."""
    return runbook.id if runbook.id and runbook.path.startswith(IN_CATALOG) else runbook.path


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


def _values(runbook: Runbook, asked: Asked) -> tuple[dict[str, Any], list[dict[str, str]]]:
    texts = [f"{name}={text}" for name, text in asked.texts.items()]
    values = runbook.validate({**asked.values, **runbook.from_assignments(texts)})
    files: list[dict[str, str]] = []
    for parameter in runbook.parameters:
        given = values.get(parameter.name)
        if parameter.kind is Kind.FILE and given:
            found = [
                _file(parameter.name, str(t), asked.folder) for t in (given if isinstance(given, list) else [given])
            ]
            _refuse_twice(parameter.name, [*files, *found])
            files += found
            values[parameter.name] = [f["name"] for f in found] if isinstance(given, list) else found[0]["name"]
        elif parameter.kind is Kind.DIRECTORY and values.get(parameter.name):
            values[parameter.name] = os.path.normpath(Path(asked.folder or "/") / str(values[parameter.name]))
    return values, files


def _refuse_twice(parameter: str, files: list[dict[str, str]]) -> None:
    """Refuse two files of one name: they would lie over each other in the run's folder."""
    names = [file["name"] for file in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"parameter '{parameter}': two files are called {twice[0]}", hint="give them one at a time")


def _file(parameter: str, text: str, folder: str) -> dict[str, str]:
    path = Path(folder or ".") / text
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
    people: int,
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
        "reads": _paths(services, front.reads if front else (), values, exist=False),
        "writes": [],
        "limits": limits_of(services, runbook),
        "policy": {"approval": "self" if people <= 1 else "another person", "people": people},
        "requester": {"id": person.id, "name": person.name},
        "why": why,
        "nonce": secrets.token_hex(16),
    }


def _locks(runbook: Runbook, values: dict[str, Any], hosts: list[dict[str, Any]]) -> list[str]:
    """Return the names of the locks that a change takes, all or none: one for each host where the name holds it."""
    if runbook.front is None or not runbook.front.lock:
        return []
    return list(dict.fromkeys(_filled(runbook.front.lock, {**values, "host": row["name"]}) for row in hosts))


def _filled(template: str, values: dict[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise UsageError(f"'{template}' names '{match[1]}', which is not a parameter")
        return str(values[match[1]])

    return PLACEHOLDER.sub(value, template)


def _writes(
    services: Services, runbook: Runbook, values: dict[str, Any], hosts: list[dict[str, Any]]
) -> list[str]:  # fmt: skip
    """Return the directories that a kernel may write: on this machine, so only where it is one of the hosts."""
    here = any(row.get("transport", "ssh") == "local" for row in hosts)
    return _paths(services, runbook.front.writes, values, exist=True) if here and runbook.front else []


def _secrets(services: Services, templates: Any, values: dict[str, Any]) -> list[str]:
    """Return the references of the secrets that the run may be given; each has something behind it."""
    names = list(dict.fromkeys(_filled(str(template), values) for template in templates))
    for name in names:
        services.secrets.require(name)
    return names


def _paths(services: Services, templates: Any, values: dict[str, Any], *, exist: bool) -> list[str]:
    paths = []
    for template in templates:
        text = _filled(str(template), values)
        path = Path(text)
        if not path.is_absolute():
            raise UsageError(f"'{text}' is not an absolute path; reads: and writes: name absolute ones")
        if exist and not path.is_dir():
            raise UsageError(f"'{text}' is not an existing directory; a kernel may write only to one that is there")
        real = path.resolve()
        _refuse_own(services, real, text, writing=exist)
        paths.append(str(real))
    return paths


def _refuse_own(services: Services, path: Path, text: str, *, writing: bool) -> None:
    """Refuse what would open the state to a kernel, or the evidence to its writing; sealed reads may name evidence."""
    workspace = services.workspace
    guarded = [workspace.outputs, workspace.runbooks, services.toolkit.root] if writing else []
    for own in (workspace.state, *guarded):
        real = own.resolve()
        if path == real or real in path.parents or path in real.parents:
            raise RefusedError(
                f"'{text}' holds or lies in {own.name}/, and no run is let near the records, the keys or the toolkit",
                hint="name a directory outside the workspace's own",
            )


def _keep_blob(services: Services, runbook: Runbook) -> None:
    path = blob_path(services, runbook.digest)
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomic(path, runbook.content, mode=0o600)
