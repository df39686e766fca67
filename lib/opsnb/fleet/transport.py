"""The one seam to machines: run a program there. Files are moved by running programs too (:mod:`opsnb.fleet.machines`).

Transports never raise for what happens to a host: they answer a :class:`opsnb.fleet.values.Result`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from opsnb.fleet.values import Command, Result

OnOutput = Callable[[str, bytes], None]
"""Called with ``"stdout"`` or ``"stderr"`` and a piece as it arrives, from the thread that waits for the command."""


class Transport(Protocol):
    """A way to one machine; safe to use from one thread at a time."""

    def run(self, command: Command, on_output: OnOutput | None = None) -> Result:
        """Run one command and wait for its end."""

    def close(self) -> None:
        """Give the connection up."""
