"""Carries a plan out: canary hosts first, then batch after batch; tells the control plane what became of each change.

Rules:

* The hosts of one batch are worked on at once, the changes of one host in their order.
* Just before a change its thing is read again. When it is not as planned nothing more is touched, on any host.
* A change is announced before it is made and its result told afterwards: done, failed, or unknown, when it was begun
  and its end was not seen.
* A host that cannot be reached before its change was begun has not been touched, and is said to be unreachable.
* A retry takes a thing as made when it is as it was to become, and goes on where an earlier run was cut off in the
  middle of it, as its actuator tells; that is announced and told like any other change.
* What goes wrong on a host ends that host; its batch is finished; no further batch is begun.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from opsnb.base.canonical import JSON, digestible, same
from opsnb.base.errors import LinkError, OpsnbError, UnknownOutcomeError, UnreachableError, UsageError
from opsnb.base.plan import Change, Plan
from opsnb.base.runlink import RunLink
from opsnb.runbook.actuators import find

ADOPTED = "it was so already, nothing was done"  # what a retry says of a change that an earlier run had made
MAX_ERROR = 2000  # characters of an error that the control plane is told


class Became(StrEnum):
    """What became of a host's changes."""

    DONE = "done"  # all were made
    STOPPED = "stopped"  # something went wrong on it, or elsewhere before its next change


def batches(hosts: Sequence[str], canary: int, batch: int) -> list[list[str]]:
    """Return the hosts in the groups in which they are changed: ``canary`` first, then ``batch`` at a time.

    Raises:
        UsageError: If a number is below 1.
    """
    if canary < 1 or batch < 1:
        raise UsageError(f"canary and batch count hosts and are at least 1, found {canary} and {batch}")
    rest = list(hosts)[canary:]
    return [list(hosts)[:canary]] * bool(hosts) + [rest[i : i + batch] for i in range(0, len(rest), batch)]


@dataclass
class Changing:
    """One plan being carried out.

    Args:
        plan: What was proposed and let through.
        link: To the control plane.
        again: Whether an earlier run may have made a part of it: a retry.
    """

    plan: Plan
    link: RunLink
    again: bool = False
    _drifted: threading.Event = field(default_factory=threading.Event)
    _faults: list[BaseException] = field(default_factory=list)

    def carry_out(self, *, canary: int, batch: int) -> bool:
        """Make the changes; return whether every one was made.

        Raises:
            Exception: What an actuator raised that is not of ours, after its batch has ended: a fault of the kit.
        """
        groups = batches(self.plan.hosts, canary, batch)
        for number, group in enumerate(groups):
            ended = self._group(group)
            if self._faults:
                raise self._faults[0]
            if any(e is not Became.DONE for e in ended):
                self._say_rest([host for left in groups[number + 1 :] for host in left])
                return False
            if len(groups) > 1:
                done = sum(map(len, groups[: number + 1]))
                self.link.ask("progress", done=done, total=len(self.plan.hosts), what="hosts changed")
        return True

    def _group(self, hosts: Sequence[str]) -> list[Became]:
        if len(hosts) == 1:
            return [self._host(hosts[0])]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max(1, len(hosts))) as pool:
            return list(pool.map(self._host, hosts))

    def _host(self, host: str) -> Became:
        numbers = [n for n, change in enumerate(self.plan.changes) if change.host == host]
        try:
            return Became.DONE if all(self._one(n) for n in numbers) else Became.STOPPED
        except BaseException as error:  # noqa: BLE001  (raised again when the batch has ended)
            self._faults.append(error)
            return Became.STOPPED

    def _one(self, number: int) -> bool:
        change = self.plan.changes[number]
        actuator = find(change.verb)
        try:
            found = actuator.observe(change.host, change.target)
        except (UnreachableError, UnknownOutcomeError) as error:
            self.link.ask("unreached", change=number, why=str(error.message)[:MAX_ERROR])
            print(f"{change.host}: {change.what}: UNREACHABLE, nothing was begun: {error.message}")
            return False
        if self._drifted.is_set():
            return False
        if not self._may_go_on(change, digestible(found)):
            self._drifted.set()
            self.link.ask("drift", change=number, found=digestible(found))
            print(f"{change.host}: {change.what} is no longer as planned; nothing more is touched")
            return False
        try:
            self.link.ask("intent", change=number)
        except LinkError:
            if self._drifted.is_set():  # found on another host meanwhile
                return False
            raise
        if self.again and same(digestible(found), digestible(change.after)):
            self.link.ask("result", change=number, ok=True, error=ADOPTED)
            print(f"{change.host}: {change.what}: {ADOPTED}")
            return True
        return self._made(number, found)

    def _may_go_on(self, change: Change, found: JSON) -> bool:
        before, after = digestible(change.before), digestible(change.after)
        if same(found, before):
            return True
        return self.again and (same(found, after) or find(change.verb).partway(change.target, before, after, found))

    def _made(self, number: int, found: JSON) -> bool:
        change = self.plan.changes[number]
        ok: bool | None = False
        try:
            find(change.verb).apply(change.host, change.target, found if self.again else change.before, change.after)
        except UnreachableError as error:  # begun it was not, and announced it was: a failure with its reason
            word, why = "FAILED", error.message
        except UnknownOutcomeError as error:
            word, why, ok = "UNKNOWN, look at the host before anything else", error.message, None
        except OpsnbError as error:
            word, why = "FAILED", str(error)
        except BaseException as error:  # told to the control plane, then to the reader as it is
            self.link.ask("result", change=number, ok=False, error=f"{type(error).__name__}: {error}"[:MAX_ERROR])
            raise
        else:
            self.link.ask("result", change=number, ok=True, error="")
            print(f"{change.host}: {change.what}: done")
            return True
        self.link.ask("result", change=number, ok=ok, error=why[:MAX_ERROR])
        print(f"{change.host}: {change.what}: {word}: {why}")
        return False

    @staticmethod
    def _say_rest(hosts: Sequence[str]) -> None:
        if hosts:
            print(f"no further batch is begun; not touched: {', '.join(hosts)}")
