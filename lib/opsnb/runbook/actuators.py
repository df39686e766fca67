"""Actuators: the code that reads a thing's complete state and brings it to another one.

A kit registers one for each verb that its plans use. ``observe`` and ``apply`` see values only, so that the inverse
of a plan is carried out by the same code as the plan itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from opsnb.base.canonical import JSON
from opsnb.base.errors import OpsnbError


@dataclass(frozen=True, kw_only=True)
class Actuator:
    """How one kind of thing is read and changed.

    Args:
        verb: The name that changes carry: ``linux.file``.
        observe: ``(host, target) -> state``: the complete state now, JSON; ``None`` when the thing does not exist.
        apply: ``(host, target, before, after) -> None``: brings it to ``after``; raises when it could not.
        partway: ``(target, before, after, found) -> bool``: whether ``found`` is what an ``apply`` leaves that was cut
            off in the middle, and from which ``apply`` can go on; nothing is, where it is not given. A retry asks.
    """

    verb: str
    observe: Callable[[str, JSON], JSON]
    apply: Callable[[str, JSON, JSON, JSON], None]
    partway: Callable[[JSON, JSON, JSON, JSON], bool] = field(default=lambda *_: False)


_REGISTRY: dict[str, Actuator] = {}


def register(actuator: Actuator) -> Actuator:
    """Make an actuator known; called once, where a kit is imported."""
    _REGISTRY[actuator.verb] = actuator
    return actuator


def find(verb: str) -> Actuator:
    """Return the actuator of ``verb``.

    Raises:
        OpsnbError: If no imported kit knows the verb.
    """
    try:
        return _REGISTRY[verb]
    except KeyError:
        known = ", ".join(sorted(_REGISTRY)) or "none"
        raise OpsnbError(f"no imported kit can carry out '{verb}' (known: {known})") from None
