"""The one place: ``configs/<service>/`` of the workspace, read and rendered for a host.

::

    configs/shop/config.yaml             which files, where they go, what validates and activates them
    configs/shop/common/...              sources and variables.yaml of all environments
    configs/shop/prod/...                what prod has otherwise: a source here hides the one of the same name in common

A variable's value comes from the first of these that has it: the run's parameter, the host's variables in the
inventory (its groups' are among them), ``<environment>/variables.yaml``, ``common/variables.yaml``, then the host's
labels as ``label_NAME`` and ``host``, ``address``, ``environment``, ``service``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsnb.base.errors import InventoryError, UsageError
from opsnb.base.nearest import did_you_mean
from opsnb.fleet.inventory.selector import And, Index, Node, Not, Term, parse
from opsnb.kits import files
from opsnb.kits.config.manifest import as_text, read_manifest, read_variables
from opsnb.kits.config.values import (
    COMMON,
    MANIFEST,
    PLAIN_VALUE,
    VARIABLE,
    VARIABLES,
    File,
    Given,
    Manifest,
    Rule,
    folder_name,
)  # fmt: skip
from opsnb.kits.files.template import PLACEHOLDER, fill

Row = Mapping[str, Any]
OF_HOST = "the host"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service's files in one environment, as they lie in the workspace.

    Args:
        root: ``configs/`` of the workspace.
        name: The service.
        environment: The environment.
        manifest: What its manifest says.
        variables: Of the environment and of all environments.
        parameters: Variables that the run was given.
        fallback: Another environment whose sources come before those of ``common/``, while its files move here.
    """

    root: Path
    name: str
    environment: str
    manifest: Manifest
    variables: Mapping[str, Given] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    fallback: str = ""

    @property
    def shown(self) -> str:
        """The environment's folder, as the reader knows it."""
        return f"configs/{self.name}/{self.environment}"

    def source(self, file: File) -> tuple[str, str]:
        """Return a file's source: where it lies, as the reader knows it, and its text.

        Raises:
            UsageError: If there is none, or it is not plain text of at most 256 KiB.
        """
        for folder in (self.environment, *([self.fallback] if self.fallback else []), COMMON):
            shown = f"configs/{self.name}/{folder}/{file.source}"
            text = _text(self.root / self.name / folder / file.source, shown)
            if text is not None:
                return shown, text
        raise UsageError(
            f"{self.manifest.path}:{file.line}: {file.path} has no source: neither {self.shown}/{file.source} nor "
            f"configs/{self.name}/{COMMON}/{file.source} is there",
            hint="write it, or take it from a host with CFG-012",
        )

    def values(self, row: Row) -> dict[str, Given]:
        """Return every variable of a host with where it comes from."""
        name = str(row["name"])
        facts = {"host": name, "address": row.get("address", ""), "environment": self.environment, "service": self.name}
        found = {key: Given(value=str(value), origin=OF_HOST) for key, value in facts.items()}
        labels = {f"label_{key}": value for key, value in dict(row.get("labels", {})).items()}
        found |= {k: Given(value=str(v), origin="a label") for k, v in labels.items() if VARIABLE.fullmatch(k)}
        found |= self.variables
        for key, value in dict(row.get("variables", {})).items():
            if (text := as_text(value)) is not None:
                found[key] = Given(value=text, origin="the inventory")
        return found | {k: Given(value=v, origin="a parameter") for k, v in self.parameters.items()}

    def render(self, file: File, row: Row) -> str:
        """Return what a file holds on a host.

        Raises:
            UsageError: If its source is missing, wants a variable that nobody gives, or a value is not allowed.
        """
        shown, text = self.source(file)
        if not file.template:
            return text
        values = self.values(row)
        used = {name: values[name] for name in names(text) if name in values}
        for name, given in used.items():
            allow(name, given, self.manifest.rules.get(name), hidden=file.sensitive)
        try:
            return fill(text, {name: given.value for name, given in used.items()})
        except UsageError as error:
            raise UsageError(f"{shown}: {error.message}", hint=error.hint or HINT) from None

    def of(self, row: Row) -> list[File]:
        """Return the files that a host has."""
        return [file for file in self.manifest.files if chooses(file.hosts, row)]

    def unused(self) -> list[str]:
        """Return the given parameters that no template wants."""
        wanted = {name for file in self.manifest.files if file.template for name in names(self.source(file)[1])}
        return [name for name in self.parameters if name not in wanted]


HINT = "give it in variables.yaml, as a variable in the inventory, or with -p variables="


def open_service(
    root: Path, service: str, environment: str, parameters: Mapping[str, str] | None = None
) -> Service:  # fmt: skip
    """Read a service's manifest and variables.

    Args:
        root: ``configs/`` of the workspace.
        service: The service.
        environment: The environment.
        parameters: Variables that the run was given; each is wanted by a template.

    Raises:
        UsageError: If a name, the manifest or a variables' file is wrong; with file and line.
    """
    folder_name(service, "the service")
    folder_name(environment, "the environment")
    if environment == COMMON:
        raise UsageError(f"'{COMMON}' is what all environments share, and none of them")
    shown = f"configs/{service}/{MANIFEST}"
    text = _text(root / service / MANIFEST, shown)
    if text is None:
        hint = "write it (docs/config.md), or take files from a host with CFG-012, which makes it"
        raise UsageError(f"{shown} is not there", hint=hint)
    opened = Service(
        root=root, name=service, environment=environment, manifest=read_manifest(text, service, shown),
        variables={k: v for folder in (COMMON, environment) for k, v in _variables(root, service, folder).items()},
        parameters=dict(parameters or {}),
    )  # fmt: skip
    if unused := opened.unused():
        wanted = sorted({n for f in opened.manifest.files if f.template for n in names(opened.source(f)[1])})
        hint = did_you_mean(unused[0], wanted, what="variables")
        raise UsageError(f"no template of {service} wants the variable '{unused[0]:.60}'", hint=hint)
    return opened


def names(text: str) -> list[str]:
    """Return the names that a template wants, each once, in order."""
    found = [match[1] for match in PLACEHOLDER.finditer(text) if match[0] != "$${"]
    return [name for name in dict.fromkeys(found) if name and VARIABLE.fullmatch(name)]


def allow(name: str, given: Given, rule: Rule | None, *, hidden: bool = False) -> None:
    """Refuse a value that the manifest does not let a variable have.

    Raises:
        UsageError: Names the variable, where its value comes from and what it may be.
    """
    value = "hidden" if hidden else f"{given.value!r:.60}"
    where = f"the variable '{name}' ({value}, from {given.origin})"
    if rule and rule.choices and given.value not in rule.choices:
        raise UsageError(f"{where} is none of: {', '.join(rule.choices)}")
    if rule and rule.pattern:
        if not re.fullmatch(rule.pattern, given.value):
            raise UsageError(f"{where} does not match {rule.pattern!r}")
    elif not (rule and rule.choices) and not PLAIN_VALUE.fullmatch(given.value):
        hint = f"let it hold more in config.yaml: variables: {{{name}: {{pattern: ...}}}}"
        raise UsageError(f"{where} holds what could end a statement or a line of a configuration", hint=hint)


def chooses(selector: str, row: Row) -> bool:
    """Return whether a selector of the manifest means a host; hosts that are not in this run it may name too."""
    if not selector:
        return True
    groups = {str(group): [str(row["name"])] for group in row.get("groups", ())}
    index = Index(
        names=[str(row["name"])], labels=[dict(row.get("labels", {}))], environments=[str(row.get("environment", ""))],
        groups=groups, services={},
    )  # fmt: skip
    return _holds(parse(selector), index)


def _holds(node: Node, index: Index) -> bool:
    if isinstance(node, Not):
        return not _holds(node.part, index)
    if isinstance(node, Term):
        try:
            return 0 in index.find(node, strict=False)
        except InventoryError:  # it names another host or group
            return not node.equal
    parts = (_holds(part, index) for part in node.parts)
    return all(parts) if isinstance(node, And) else any(parts)


def environments(root: Path, service: str) -> list[str]:
    """Return the environments for which a service has a folder."""
    folder = root / service
    found = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return sorted(name for name in found if name != COMMON and not name.startswith("."))


def _variables(root: Path, service: str, folder: str) -> dict[str, Given]:
    shown = f"configs/{service}/{folder}/{VARIABLES}"
    text = _text(root / service / folder / VARIABLES, shown)
    found = read_variables(text, shown) if text else {}
    return {name: Given(value=value, origin=shown) for name, value in found.items()}


def _text(path: Path, shown: str) -> str | None:
    """Return a file's text, ``None`` where there is no file."""
    if not path.parent.is_dir():
        return None
    try:
        state = files.read_file(str(path))
    except UsageError as error:
        raise UsageError(error.message.replace(str(path), shown), hint=error.hint) from None
    return state["content"] if state else None
