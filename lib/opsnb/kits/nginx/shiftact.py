"""The actuator of a drain, a weight shift, a return: files of nginx as a change, and what must be true before it.

It is :mod:`opsnb.kits.nginx.changing` with one thing more: a step may have to wait until a back end is drained, or
until the access log was watched for a while without too many errors. When that does not come about the step is not
begun, and what it would have changed is as it was. What is asked for belongs to the planned direction; an undo does not
wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from opsnb.base.canonical import JSON, digest
from opsnb.base.errors import OpsnbError
from opsnb.base.plan import Change
from opsnb.kits.nginx import changing
from opsnb.kits.nginx.shiftlog import Log, ensure, watch
from opsnb.kits.nginx.shiftwatch import wait_drained
from opsnb.runbook.actuators import Actuator, register

VERB = "nginx.step"
DRAINED, WATCHED = "drained", "watched"

Tell = Callable[[int, int, str], None]

_TELL: list[Tell] = []
_ONE_AT_A_TIME = threading.Lock()


def telling(tell: Tell) -> None:
    """Let a step that waits say how far it is: pass ``run.progress``."""
    _TELL[:] = [tell]


def after_drain(change: Change, address: str, seconds: float, words: str) -> Change:
    """Return a change that is begun only when a back end is drained on its host.

    Args:
        change: Of :func:`opsnb.kits.nginx.changing.plan_files`.
        address: The back end.
        seconds: How long to wait for it.
        words: What the change does, for the reader.
    """
    first = {"what": DRAINED, "address": address, "seconds": seconds}
    return _with(change, first, f"wait until {address} is drained, at most {seconds:g} s; then {words}")


def after_watch(change: Change, log: Log, address: str, seconds: float, most: float, words: str) -> Change:
    """Return a change that is begun only when the log was watched and showed few errors.

    Args:
        change: Of :func:`opsnb.kits.nginx.changing.plan_files`.
        log: The access log.
        address: The back end.
        seconds: How long to watch.
        most: Errors that are allowed, % of the requests.
        words: What the change does, for the reader.
    """
    first = {
        "what": WATCHED,
        "address": address,
        "seconds": seconds,
        "most": most,
        "log": log.as_json(),
        "words": words,
    }
    return _with(
        change, first, f"watch the log for {seconds:g} s, at most {most:g} % errors at {address}; then {words}"
    )


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the files of ``target``; see :func:`opsnb.kits.nginx.changing.observe`."""
    return changing.observe(host, target)


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Wait for what must be true first, then change the files; raises as the two do.

    Raises:
        OpsnbError: If it did not come true: nothing of this step was changed.
    """
    first = target.get("first") if isinstance(target, dict) else None
    if isinstance(first, dict) and first.get("for") == digest(after["files"]):
        _await(host, first, str(target.get("conf") or ""))
    changing.apply(host, target, before, after)


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply, partway=changing.partway))


def _with(change: Change, first: dict[str, JSON], command: str) -> Change:
    target = {**change.target, "first": {**first, "for": digest(change.after["files"])}}
    return replace(change, verb=VERB, target=target, command=command)


def _await(host: str, first: Mapping[str, Any], conf: str) -> None:
    address, seconds = str(first["address"]), float(first["seconds"])
    if first["what"] == DRAINED:
        waited = wait_drained([host], address, seconds=seconds, conf=conf, tell=_tell(host))[host]
        if not waited.drained:
            left = waited.why or f"after {waited.seconds:.0f} s {waited.sight.words if waited.sight else ''}"
            raise OpsnbError(f"{host}: {address} is not drained, and stays down: {left}",
                             hint="wait longer (wait=), or look at who holds them; then opsnb runs retry")  # fmt: skip
        print(f"{host}: {address} is drained after {waited.seconds:.1f} s")  # noqa: T201  (a change tells its reader)
        return
    print(f"{host}: watching errors at {address} for {seconds:g} s")  # noqa: T201  (the same)
    seen = watch(host, Log.from_json(first["log"]), address, seconds, tell=_tell(host))
    print(f"{host}: {seen.words(address)}")  # noqa: T201  (the same)
    ensure(seen, address, float(first["most"]), str(first["words"]))


def _tell(host: str) -> Tell | None:
    """Return what tells progress, for one of several hosts that are changed at once."""
    if not _TELL:
        return None

    def tell(done: int, total: int, what: str) -> None:
        with _ONE_AT_A_TIME:
            _TELL[0](done, total, what if host in what else f"{host}: {what}")

    return tell
