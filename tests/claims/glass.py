"""What tests of break-glass share: policies that let people break it, and glass broken in a world without kernels."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from claims import world
from opsnb.control.approvals.written import read_policies
from opsnb.control.flows.glass import break_in

MINUTES = 30
GLASS: dict[str, Any] = {"for": ["person:anna", "role:engineer"], "notice": ["person:erin"], "at_most": "30m"}


class Ground(world.MovedGround):
    """A ground whose policy is given as it would be written; ``first`` is one that stands before it."""

    def __init__(self, **written: Any) -> None:
        super().__init__()
        self.first: dict[str, Any] = {}
        self.written = {"break_glass": GLASS, **written}

    def policies(self) -> Any:
        """Those that hold."""
        before = {"first": self.first} if self.first else {}
        return read_policies({**before, "all": self.written})


def smash(connection: Any, ground: Any, who: str = "anna", now: Any = world.ZERO, **more: Any) -> str:
    """Break the glass on the world's hosts; return the request."""
    hosts, seconds = more.pop("hosts", world.HOSTS), more.pop("seconds", MINUTES * 60)
    actor = more.pop("actor", None) or world.actor(connection, who)
    return break_in(connection, ground.policies(), actor, hosts, more.pop("reason", "it burns"), seconds, now)


def seconds(number: float) -> Any:
    """Return the moment so many seconds after the beginning."""
    return world.ZERO + timedelta(seconds=number)
