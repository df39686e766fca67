"""opsnb: operations as notebooks that are planned, approved, executed and kept as evidence.

A runbook needs one name: ``run = opsnb.begin("HST-001")``. Everything else hangs on what it returns or lives in a kit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opsnb.base.version import VERSION as __version__  # noqa: N811  (the name that Python asks for)

if TYPE_CHECKING:
    from opsnb.runbook import begin, secret, show

__all__ = ["__version__", "begin", "secret", "show"]


def __getattr__(name: str) -> Any:
    """Import on first use: ``import opsnb`` and ``opsnb --help`` stay instant (PEP 562)."""
    if name in {"begin", "secret", "show"}:
        from opsnb import runbook

        return getattr(runbook, name)
    raise AttributeError(f"module 'opsnb' has no attribute '{name}'")
