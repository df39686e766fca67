"""Start, stop and restart processes of Supervisor, host after host; each is proven before the next batch begins.

Rules:

* A state is ``{"runs": "yes" | "no" | "trying"}``; *trying* is BACKOFF. In a restart it names the life of the process
  too: ``"life"`` is what names the one that was planned, ``another`` once it is another one. So a restart has a before
  and an after that differ, a process that restarted by itself meanwhile is drift, and a retry restarts nothing twice
  (docs/decisions/0015).
* ``crash`` kills the process and waits until Supervisor has started it again: a restart that proves ``autorestart``.
* Undo of a start is a stop, of a stop a start. What was restarted runs as before, so its undo has nothing to do.
* Done means: RUNNING, which is ``startsecs`` after its start, and the page answers 200 where one is given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from opsnb.base.canonical import JSON
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.nearest import did_you_mean
from opsnb.base.plan import Change, Plan
from opsnb.fleet import UnreachableError
from opsnb.kits import remote
from opsnb.kits.supervisor.acting import ACT
from opsnb.kits.supervisor.health import checked_url, url_of
from opsnb.kits.supervisor.reading import Reading, required
from opsnb.kits.supervisor.status import Process
from opsnb.runbook.actuators import Actuator, register

VERB = "supervisor.process"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}(?::(?:\*|[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}))?")
ALL = "all"
PASSING = ("STARTING", "STOPPING")
ANOTHER = "another"  # life of a process that is not the one that was planned
SETTLED_LOOKS = 40  # how often a process that is starting or stopping is looked at, with its host's own delay between
MARGIN_SECONDS = 90.0  # for connecting, and for a stop that takes its stopwaitsecs

Action = Literal["start", "stop", "restart", "crash"]


def plan_processes(
    hosts: str | Sequence[str],
    action: Action,
    programs: Sequence[str],
    *,
    url: str = "",
    seconds: int = 60,
    conf: str = "",
) -> Plan:
    """Return the plan that starts, stops, restarts or crashes processes on each host; reads only.

    Args:
        hosts: A host of the run, or several.
        action: What is done; what is so already is no change.
        programs: Processes by supervisorctl's names (``shop``, ``web:web_00``), groups (``web``, ``web:*``), ``all``.
        url: A page that is asked on each host afterwards until it answers 200; ``{address}`` is the host's address.
        seconds: How long a process may take to run, and the page to answer.
        conf: supervisord's configuration file; found where it is empty.

    Raises:
        UsageError: If an argument is wrong, or a host has no Supervisor that answers or not that program.
        UnreachableError: If no host can be reached.
    """
    checked_url(url)
    names = [_checked(name) for name in programs]
    if not names:
        raise UsageError("no program is named", hint="programs='[\"shop\"]', or all")
    title = f"{action} {', '.join(names)}"
    return remote.plan_each(title, hosts, lambda host: _plan_one(host, title, action, names, url, seconds, conf))


def astray(plan: Plan) -> list[str]:
    """Return the processes that are not as a plan says they are to be, ``HOST: PROCESS: found`` each, read again."""

    def one(change: Change) -> str:
        try:
            found = observe(change.host, change.target)
        except OpsnbError as error:
            return f"{change.host}: {change.what}: {error.message}"
        wanted = dict(change.after)
        if wanted.get("life") not in {None, ANOTHER, ""}:  # an undo of a restart: it runs, as before
            wanted.pop("life")
        right = isinstance(found, dict) and all(found.get(name) == value for name, value in wanted.items())
        return "" if right else f"{change.host}: {change.what}: {found}"

    found = remote.over(plan.hosts, lambda host: [one(change) for change in plan.changes if change.host == host])
    return [words for host in plan.hosts for words in found[host] if words]


def running(plan: Plan) -> list[str]:
    """Return the hosts on which a plan leaves something running that was not left alone: whose page is asked."""
    return list(dict.fromkeys(change.host for change in plan.changes if change.after["runs"] == "yes"))


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the process that ``target`` names, ``None`` where it is not there; waits until it settled."""
    reading, process = _settled(host, str(target["process"]), str(target["conf"]))
    return _state(reading, process, target.get("life")) if process else None


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Bring the process from ``before`` to ``after`` and prove it.

    Raises:
        UnreachableError: If the host cannot be reached: nothing was begun.
        UnknownOutcomeError: If nobody saw the end.
        OpsnbError: If it does not run then, with its last words, or the page does not answer 200.
    """
    action = _action(target, before, after)
    if not action:
        print(f"{host}: {target['process']} runs; the life before cannot be brought back, and need not")  # noqa: T201
        return
    seconds = int(target["seconds"])
    url = checked_url(str(target["url"])) if action != "stop" else ""
    remote.act(
        host, ACT, str(target["conf"]), action, _checked(str(target["process"])), url, str(seconds),
        seconds=seconds + MARGIN_SECONDS,
    )  # fmt: skip


def partway(_target: JSON, _before: JSON, after: JSON, found: JSON) -> bool:
    """Whether a restart was cut off between its stop and its start, so that it can go on."""
    return isinstance(found, dict) and after.get("life") == ANOTHER and found["runs"] != "yes" and found["life"] == ""


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply, partway=partway))


def _plan_one(host: str, title: str, action: Action, names: Sequence[str], url: str, seconds: int, conf: str) -> Plan:
    reading = required(host, conf)
    processes = {p.name: p for name in names for p in _named(host, reading, name)}
    target: dict[str, JSON] = {"conf": reading.conf, "url": url_of(host, url), "seconds": seconds}
    changes = [_change(host, reading, name, {**target, "process": name}, action) for name in processes]
    return Plan(title=title, changes=tuple(change for change in changes if change))


def _change(host: str, reading: Reading, name: str, target: dict[str, JSON], action: Action) -> Change | None:
    process = next(p for p in reading.processes if p.name == name)
    if process.state in PASSING:
        reading, settled = _settled(host, name, reading.conf)
        if settled is None:
            raise OpsnbError(f"{host}: {name} has just gone", hint="plan again")
        process = settled
    again = action in {"restart", "crash"}
    if again:
        target = {**target, "life": reading.token(process), "crash": action == "crash"}
    before = _state(reading, process, target.get("life"))
    if action == "crash" and before["runs"] != "yes":
        raise UsageError(f"{host}: {name} does not run, so it cannot crash", hint="action=start")
    after = {"runs": "no" if action == "stop" else "yes"} | ({"life": ANOTHER} if again else {})
    if before == after:
        return None
    undo = {"yes": "start it" if action == "stop" else "nothing: it runs, as before", "no": "stop it"}
    return Change(
        host=host, what=f"process {name}", verb=VERB, target=target, before=before, after=after,
        command=_command(action, name, str(target["url"])),
        undo=undo.get(before["runs"], "nothing: what failed is not brought back"),
    )  # fmt: skip


def _settled(host: str, name: str, conf: str) -> tuple[Reading, Process | None]:
    """Return a process once it neither starts nor stops; ``None`` when it is not there."""
    for _ in range(SETTLED_LOOKS):
        reading = required(host, conf)
        process = next((p for p in reading.processes if p.name == name), None)
        if process is None or process.state not in PASSING:
            return reading, process
    raise OpsnbError(f"{host}: {name} starts or stops for long", hint="look at it, then plan again")


def _command(action: Action, name: str, url: str) -> str:
    proof = f", until RUNNING{f' and {url} answers 200' if url else ''}"
    if action == "crash":
        return f"kill -9 the process of {name}; Supervisor starts it again{proof}"
    return f"supervisorctl {action} {name}" + ("" if action == "stop" else proof)


def _named(host: str, reading: Reading, name: str) -> list[Process]:
    if name == ALL:
        return list(reading.processes)
    group = name.removesuffix(":*")
    found = [p for p in reading.processes if p.name == name or p.group == group]
    if not found:
        known = [p.name for p in reading.processes] + [p.group for p in reading.processes]
        raise UsageError(f"{host}: Supervisor has no program {name!r}", hint=did_you_mean(name, known, what="programs"))
    return found


def _state(reading: Reading, process: Process, life: JSON) -> JSON:
    runs = {"RUNNING": "yes", "BACKOFF": "trying"}.get(process.state, "no")
    if life is None:
        return {"runs": runs}
    now = reading.token(process)
    return {"runs": runs, "life": now if now in {"", life} else ANOTHER}


def _action(target: JSON, before: JSON, after: JSON) -> str:
    """Return what is done to come from one state to another; empty where nothing is."""
    if after["runs"] == "no":
        return "stop"
    if after.get("life") not in {None, ANOTHER} or after["runs"] == "trying":
        return "start" if before["runs"] == "no" else ""
    if after.get("life") == ANOTHER and before["runs"] != "no":
        return "crash" if target.get("crash") and before["runs"] == "yes" else "restart"
    return "start"


def _checked(name: str) -> str:
    if name != ALL and not NAME.fullmatch(name):
        raise UsageError(f"the program is called {name!r:.120}; wanted shop, web:web_00, web:* or all")
    return name


__all__ = ["ACTUATOR", "VERB", "Action", "UnreachableError", "apply", "astray", "observe", "plan_processes"]
