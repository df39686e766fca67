"""Who acts in a request, as the guard found it."""

from __future__ import annotations

from fastapi import Request

from opsnb.control.people.values import Actor


def acting(request: Request) -> Actor:
    """Return who acts. A route that the table opens to anybody has no actor, and must not ask."""
    actor = request.state.actor
    assert isinstance(actor, Actor)
    return actor
