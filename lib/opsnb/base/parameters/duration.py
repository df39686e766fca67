"""Durations as people write them: ``90``, ``45s``, ``10m``, ``1h30m``, ``1.5h``, ``250ms``."""

from __future__ import annotations

import re
from decimal import Decimal

from opsnb.base.errors import ParameterError

UNITS = {"w": "604800", "d": "86400", "h": "3600", "m": "60", "s": "1", "ms": "0.001"}  # in seconds, largest first
NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)"
PATTERN = re.compile("".join(f"(?:{NUMBER}{unit})?" for unit in UNITS))
PLAIN = re.compile(NUMBER)


def duration_seconds(text: str) -> float:
    """Return the seconds of a duration; a number without a unit is seconds.

    Raises:
        ParameterError: If the text is no duration.
    """
    text = text.strip()
    plain = PLAIN.fullmatch(text)
    if plain:
        return float(plain[1])
    match = PATTERN.fullmatch(text) if text else None
    if not match:
        raise ParameterError(f"{text[:40]!r} is not a duration", hint="write 90, 45s, 10m, 1h30m or 1.5h")
    parts = zip(match.groups(), UNITS.values(), strict=True)
    # Decimal, because 1.1h is 3960 seconds and not 3960.0000000000005
    return float(sum((Decimal(n) * Decimal(unit) for n, unit in parts if n), Decimal(0)))
