"""How many of the values a test tries: a part in continuous integration, all of them with ``OPSNB_PROVE=1``."""

from __future__ import annotations

import os
from collections.abc import Sequence

PROVE = bool(os.environ.get("OPSNB_PROVE"))


def part(values: Sequence[str], one_in: int) -> list[str]:
    """Return every ``one_in``-th value, or all when it is to be proven."""
    return list(values) if PROVE else list(values[::one_in])
