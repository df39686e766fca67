"""The nearest right name, for those who mistyped it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 64  # characters compared; matching is quadratic
LISTED = 12  # names listed when none is near


def did_you_mean(name: str, known: Iterable[str], *, what: str = "", also: Iterable[str] = ()) -> str:
    """Return a hint: the nearest of ``known``, or all of them when none is near; empty when there are none.

    Args:
        name: What was found.
        known: The right names.
        what: What the names are, in the plural: ``fields``.
        also: Further right names, which are not listed when none is near.
    """
    from difflib import get_close_matches

    names = sorted(set(known))
    folded = {n.casefold(): n for n in (*sorted(also, reverse=True), *reversed(names))}
    near = get_close_matches(name[:LONGEST].casefold(), folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{folded[near[0]]}'?"
    if not names:
        return ""
    listed = ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
    return f"known {what or 'names'}: {listed}"
