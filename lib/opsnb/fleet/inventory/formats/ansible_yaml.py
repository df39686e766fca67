"""Ansible's YAML inventories: groups at the top, each with ``hosts``, ``children`` and ``vars``."""

from __future__ import annotations

from opsnb.base.canonical import JSON
from opsnb.base.errors import InventoryError, UsageError
from opsnb.base.nearest import did_you_mean
from opsnb.fleet.inventory.formats import lenient
from opsnb.fleet.inventory.formats.ansible import Source
from opsnb.fleet.inventory.formats.ansible_ini import expand
from opsnb.fleet.inventory.formats.exchange import Imported

PARTS = ("hosts", "children", "vars")
MAX_NESTING = 30


def parse(text: str, path: str, imported: Imported) -> Source:
    """Read the text of a YAML inventory.

    Raises:
        InventoryError: Names the file and the group.
    """
    value = lenient.load(text, path)
    if not isinstance(value, dict):
        raise InventoryError("is no Ansible inventory: wanted groups with hosts, children and vars", path=path)
    source = Source()
    if "plugin" in value:
        raise InventoryError("is the configuration of an Ansible plugin, which is not run", path=path)
    for name, group in value.items():
        _group(source, name, group, path, imported, 0)
    return source


def _group(source: Source, name: str, value: JSON, path: str, imported: Imported, depth: int) -> None:
    group = source.group(name)
    if value is None:
        return
    if not isinstance(value, dict) or depth > MAX_NESTING:
        raise InventoryError(f"group '{name}' is no mapping, or nested too deep", path=path)
    for part, inner in value.items():
        if part not in PARTS:
            imported.note(f"group '{name}': '{part}' is passed over; {did_you_mean(part, PARTS, what='parts')}")
        elif inner is not None and not isinstance(inner, dict | str):
            raise InventoryError(f"group '{name}': {part} is no mapping", path=path)
    for pattern, variables in _mapping(value.get("hosts")).items():
        try:
            names = expand(pattern)
        except UsageError as error:
            raise InventoryError(f"group '{name}': {error.message}", path=path) from None
        for host in names:
            source.host(host).update(_mapping(variables))
            group.hosts[host] = None
    group.variables.update(_mapping(value.get("vars")))
    for child, inner in _mapping(value.get("children")).items():
        group.children[child] = None
        _group(source, child, inner, path, imported, depth + 1)


def _mapping(value: JSON) -> dict[str, JSON]:
    if isinstance(value, str):
        return {value: None}
    return value if isinstance(value, dict) else {}
