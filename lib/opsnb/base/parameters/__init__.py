"""Parameters: read from a cell without executing it, constrained, checked, and written back as Python.

::

    cell source ──parse_cell──► Parameters ──constrain──► Parameters ──validate──► values ──to_source──► injected cell
                                                              └──json_schema──► one JSON Schema for every form

Rules without I/O, standard library only; both sides use them.
"""

from opsnb.base.nearest import did_you_mean
from opsnb.base.parameters.cell import parse_cell
from opsnb.base.parameters.constraints import constrain
from opsnb.base.parameters.duration import duration_seconds
from opsnb.base.parameters.limits import LIMITS
from opsnb.base.parameters.parameter import Kind, Parameter, Parameters, rows
from opsnb.base.parameters.place import Place
from opsnb.base.parameters.schema import json_schema
from opsnb.base.parameters.source import to_source
from opsnb.base.parameters.text import from_assignments, from_text
from opsnb.base.parameters.types import ParameterType, TypeName
from opsnb.base.parameters.validation import validate

__all__ = [
    "LIMITS",
    "Kind",
    "Parameter",
    "ParameterType",
    "Parameters",
    "Place",
    "TypeName",
    "constrain",
    "did_you_mean",
    "duration_seconds",
    "from_assignments",
    "from_text",
    "json_schema",
    "parse_cell",
    "rows",
    "to_source",
    "validate",
]
