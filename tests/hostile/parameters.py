"""The string parameters of every runbook of this repository, as the catalog finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from opsnb.base.parameters import Parameter, ParameterType, TypeName
from opsnb.control.catalog import Catalog, Runbook
from places import ROOT

Form = Callable[[str], Any]
TEXTS = {TypeName.STR, TypeName.LITERAL, TypeName.ANY}


@dataclass(frozen=True, kw_only=True, eq=False)
class Slot:
    """One place into which somebody can put text: a parameter, an item of a list, a value or key of an object."""

    runbook: Runbook
    parameter: Parameter
    place: str
    form: Form

    def __str__(self) -> str:
        return f"{self.runbook.id}-{self.parameter.name}{self.place}"


def slots() -> list[Slot]:
    """Return every slot of every runbook, built-in ones too."""
    catalog = Catalog.load(ROOT)
    return [
        Slot(runbook=runbook, parameter=parameter, place=place, form=form)
        for runbook in catalog.runbooks
        for parameter in runbook.parameters
        for place, form in _forms(parameter.type)
    ]


def _forms(kind: ParameterType) -> Iterator[tuple[str, Form]]:
    if kind.name in TEXTS:
        yield "", lambda value: value
    elif kind.name is TypeName.LIST:
        for place, form in _forms(kind.item or ParameterType(name=TypeName.STR)):
            yield f"[]{place}", lambda value, form=form: ["first", form(value)]
    elif kind.name is TypeName.DICT:
        yield "{key}", lambda value: {value: "x"}
        for place, form in _forms(kind.item or ParameterType(name=TypeName.STR)):
            yield "{}" + place, lambda value, form=form: {"level": form(value)}
