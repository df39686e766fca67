"""Watch: what is done by hand goes on only while whoever began it may; that it ends is said before, and why after.

A grant ends with its minutes, when it is vetoed or withdrawn, when an approval of it counts no more, when the policy or
the rights of its holder are others. Whatever it is, the run under it ends within a few seconds, and its record says it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from opsnb.base.clock import now as current
from opsnb.base.clock import stamp
from opsnb.base.errors import OpsnbError
from opsnb.control.flows.glass import use
from opsnb.control.flows.leave import BY_HAND, PLANNED, SOON, Leave, leave_of
from opsnb.control.records import Mode

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

LOG = logging.getLogger("opsnb")
LOOK_SECONDS = 2.0  # between two looks; each is one transaction that reads a few rows
GRACE_SECONDS = 5.0  # how long a session may take to end in an orderly way


@dataclass
class Watch:
    """Watches one run that goes on.

    Args:
        services: What the flow needs.
        run: The run's id.
        body: The run's sealed request.
        under: The grant that it began under; empty where it needed none.
        notice: Tells the person something.
        end: Orders the run to end, for a reason, in its own way.
        stop: Orders the run to end now.
        over: Why it was ordered to end; empty while it goes on.
    """

    services: Services
    run: str
    body: dict[str, Any]
    under: str
    notice: Callable[[str], None]
    end: Callable[[str], None]
    stop: Callable[[str], None]
    over: str = ""
    _next: float = field(default=0.0, init=False)
    _until: datetime | None = field(default=None, init=False)
    _warned: datetime | None = field(default=None, init=False)

    @property
    def needed(self) -> bool:
        """Whether this is a run by hand. What was planned is let end: half of a change helps nobody."""
        return self.body["id"] in BY_HAND and self.body["id"] != PLANNED

    def turn(self) -> None:
        """Look, when it is time to; costs nothing otherwise."""
        if not self.needed or time.monotonic() < self._next:
            return
        if self.over:
            self._next = float("inf")
            self.stop(self.over)
            return
        self._next = time.monotonic() + LOOK_SECONDS
        now = current()
        if (found := self._look(now)) is None:
            return
        if not found.ok:
            self._finish(found.why)
            return
        self.under, self._until = found.source, found.until
        if self._until is not None:
            self._warn(self._until, now)
            left = (self._until - now).total_seconds()
            self._next = min(self._next, time.monotonic() + max(0.0, left))

    def _look(self, now: datetime) -> Leave | None:
        """Return the leave of now; ``None`` where it cannot be read and the time that is known is not over."""
        try:
            with self.services.database.transaction() as connection:
                person = str(self.body["requester"]["id"])
                found = leave_of(connection, self.services.policies, self.body, person, now, self.under)
                if found and found.glass:  # it began without a leave, and needs one now
                    use(connection, found.glass, self.run, str(self.body["request"]), Mode.READ, person, now)
                return found
        except (SQLAlchemyError, OpsnbError):
            LOG.exception("whether a run by hand may go on")
        over = self._until is not None and now >= self._until
        return Leave(ok=False, why=f"grant {self.under} ended at {stamp(self._until)}") if over else None

    def _warn(self, until: datetime, now: datetime) -> None:
        """Say once, about a minute before, that it will end."""
        if until - now > SOON or self._warned == until:
            return
        self._warned = until
        left = (until - now).total_seconds()
        action, hosts = BY_HAND[self.body["id"]], ",".join(str(host["name"]) for host in self.body["hosts"][:8])
        self.notice(
            f"this ends in {left:.0f} s, with grant {self.under}; to go on: opsnb grant {action} {hosts} --reason '...'"
        )

    def _finish(self, why: str) -> None:
        self.over = why
        self._next = time.monotonic() + GRACE_SECONDS
        self.notice(f"this ends now: {why}")
        self.end(why)
