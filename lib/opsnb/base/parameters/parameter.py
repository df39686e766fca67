"""One parameter, with everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsnb.base.canonical import JSON
    from opsnb.base.parameters.types import ParameterType


class Kind(StrEnum):
    """What a value stands for, beyond its type."""

    SELECTOR = "selector"  # text that chooses hosts: role=nginx
    DURATION = "duration"  # a number of seconds
    DATE = "date"  # text, YYYY-MM-DD
    FILE = "file"  # text, a path; the file is staged for the run
    DIRECTORY = "directory"  # text, a path of an existing directory
    SECRET = "secret"  # noqa: S105  (the kind's name)  text: the name of a stored secret, never the secret


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a runbook.

    ``choices``, ``minimum``, ``maximum``, ``pattern`` and ``kind`` speak about each item where the type is a list.

    Args:
        name: A Python identifier.
        type: What the cell's annotation says, or what its default suggests.
        default: The value when none is given.
        label: The comment behind the assignment.
        line: Its line in the cell, from 1.
        choices: The values allowed; empty means all.
        minimum: The least value, a number or for a date ``YYYY-MM-DD``.
        maximum: The greatest value.
        pattern: A regular expression that the whole text matches.
        length: The most characters of a text, items of a list, keys of an object.
        unit: For the reader: ``requests/s``.
        required: Whether a value must be given; the default is then only an example.
        kind: What the value stands for.
    """

    name: str
    type: ParameterType
    default: JSON
    label: str = ""
    line: int | None = None
    choices: tuple[str | int | float | bool, ...] = ()
    minimum: float | str | None = None
    maximum: float | str | None = None
    pattern: str = ""
    length: int | None = None
    unit: str = ""
    required: bool = False
    kind: Kind | None = None


Parameters: TypeAlias = tuple[Parameter, ...]  # in the order of their cell


def rows(parameters: Parameters, values: Mapping[str, JSON]) -> list[dict[str, Any]]:
    """Return the rows of a record's parameter table: ``{"name", "value", "label", "default"}``, in order."""
    return [
        {"name": p.name, "value": values.get(p.name, p.default), "label": p.label, "default": p.default}
        for p in parameters
    ]
