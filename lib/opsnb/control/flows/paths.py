"""Which paths a kernel gets besides its plain allow-list: the front matter's ``reads`` and ``writes``, filled in.

Rules:

* An absolute path is one of this machine. ``writes`` of that kind are given only where this machine is among the hosts,
  for elsewhere the same words name a directory of the hosts; the directory exists.
* A path that the runbook's author began with ``configs/`` counts from the workspace, wherever the hosts are. Each
  parameter in it fills one name (letters, digits, ``_``, ``.``, ``-``; no dot in front), so no value leads out of the
  folder; nor does a link. An entry whose parameter is empty is left out. To write, the nearest directory that exists is
  given, at most ``configs/`` itself, and the sealed request says which.
* Neither opens the state to a kernel, nor the records, the runbooks or the toolkit to its writing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

PLACEHOLDER = re.compile(r"\{(\w+)\}")
NAME = re.compile(r"\w[\w.-]{0,99}")


def reads(services: Services, templates: Iterable[str], values: Mapping[str, Any]) -> list[str]:
    """Return what a kernel may read besides.

    Raises:
        UsageError: If a path is none.
        RefusedError: If it would open the state.
    """
    found = [_path(services, template, values, writing=False) for template in templates]
    return [path for path in found if path]


def writes(
    services: Services, templates: Iterable[str], values: Mapping[str, Any], hosts: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Return the existing directories that a kernel may write in apply.

    Raises:
        UsageError: If a path is none, or no directory.
        RefusedError: If it would open the state, the records, the runbooks or the toolkit.
    """
    here = any(row.get("transport", "ssh") == "local" for row in hosts)
    wanted = [template for template in templates if here or of_workspace(services, template)]
    found = [_path(services, template, values, writing=True) for template in wanted]
    return [path for path in dict.fromkeys(found) if path]


def of_workspace(services: Services, template: str) -> bool:
    """Return whether a template counts from the workspace: it lies in the folder of the services' files."""
    folder = services.workspace.configs.name
    return template == folder or template.startswith(f"{folder}/")


def writes_configs(services: Services, paths: Iterable[str]) -> bool:
    """Return whether one of the sealed paths lies in the folder of the services' files."""
    root = services.workspace.configs.resolve()
    return any(Path(path).is_relative_to(root) for path in paths)


def filled(template: str, values: Mapping[str, Any]) -> str:
    """Return a template with every ``{parameter}`` filled in.

    Raises:
        UsageError: If it names what is not a parameter.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise UsageError(f"'{template}' names '{match[1]}', which is not a parameter")
        return str(values[match[1]])

    return PLACEHOLDER.sub(value, template)


def _path(services: Services, template: str, values: Mapping[str, Any], *, writing: bool) -> str:
    if of_workspace(services, template):
        path = _of_configs(services, template, values, writing=writing)
        if path is None:
            return ""
    else:
        path = Path(filled(template, values))
        if not path.is_absolute():
            hint = "configs/{service} counts from the workspace; anything else is absolute"
            raise UsageError(f"'{path}' is not an absolute path; reads: and writes: name absolute ones", hint=hint)
        if writing and not path.is_dir():
            raise UsageError(f"'{path}' is not an existing directory; a kernel may write only to one that is there")
    real = path.resolve()
    _refuse_own(services, real, str(path), writing=writing)
    return str(real)


def _of_configs(services: Services, template: str, values: Mapping[str, Any], *, writing: bool) -> Path | None:
    root = services.workspace.configs
    named = {name: str(values.get(name, "")) for name in PLACEHOLDER.findall(template)}
    if "" in named.values():
        return None
    for name, value in named.items():
        if not NAME.fullmatch(value):
            raise UsageError(
                f"parameter '{name}': {value!r:.80} cannot stand in '{template}'",
                hint="letters, digits, '_', '.' and '-', and no dot in front: it names one folder",
            )
    path = root.parent / filled(template, values)
    if writing:
        if not root.is_dir():
            raise UsageError(f"the workspace has no {root.name}/, where services' files lie", hint=f"mkdir {root.name}")
        path = next(folder for folder in (path, *path.parents) if folder.is_dir())
    if not path.resolve().is_relative_to(root.resolve()):
        raise RefusedError(
            f"'{path}' is a link that leads out of {root.name}/", hint="put the files there, or link all of configs/"
        )
    return path


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
