"""Parameters as source for the injected cell; registered with papermill in place of its own Python translator.

papermill's own raises on dates, turns tuples and integer keys into strings and Chinese text into escapes.
"""

from __future__ import annotations

from typing import Any

from papermill.translators import PythonTranslator

from opsnb.base.parameters import to_source


class OpsnbTranslator(PythonTranslator):  # type: ignore[misc]  # papermill ships no types
    """Writes validated values as Python assignments."""

    @classmethod
    def codify(cls, parameters: dict[str, Any], comment: str = "Parameters") -> str:
        """Return the injected cell's source."""
        return f"{cls.comment(comment)}\n{to_source(parameters)}"
