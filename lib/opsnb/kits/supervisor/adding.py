"""A program of Supervisor as a file of its own: added or changed, taken by supervisord, proven, or put back.

Rules:

* A state is the file's ``content`` and ``mode``, and ``loaded``: whether the supervisord that runs has what is on disk.
  ``None`` is no file and no program. A file that is new and not loaded is partway: a retry goes on from there.
* The new file is put in place, ``reread`` has to take it, ``update NAME`` starts it, and the program has to be RUNNING
  for its ``startsecs`` and its page to answer 200; else the old file comes back, byte for byte, and is taken again.
* A program whose first process ends while another one of it lives on daemonizes itself. What it left behind is ended.
* Only this program is touched: other changes on disk stay as they are, not loaded.
* One file holds one program. One that stands in a file with others, or in a group, is refused and left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from opsnb.base.canonical import JSON, sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change, Plan
from opsnb.kits import remote, swap
from opsnb.kits.files.states import DEFAULT_MODE, State
from opsnb.kits.supervisor.acting import ACTIVATE, PROVE, VALIDATE
from opsnb.kits.supervisor.config import Section, group_of, parse_sections
from opsnb.kits.supervisor.health import checked_url, url_of
from opsnb.kits.supervisor.program import NAME, Program, processes, render
from opsnb.kits.supervisor.reading import Reading, required
from opsnb.runbook.actuators import Actuator, register

VERB = "supervisor.program"
SHELL = ("/bin/sh", "-c")
STEP_SECONDS = 60.0  # that taking a file may take, besides what the program needs to start and stop


def plan_program(
    hosts: str | Sequence[str], program: Program, *, url: str = "", seconds: int = 30, mode: str = "", conf: str = ""
) -> Plan:
    """Return the plan that makes Supervisor keep a program on each host; reads only, and is empty where it does.

    Args:
        hosts: A host of the run, or several.
        program: What it is to be.
        url: A page that is asked on the host afterwards until it answers 200; ``{address}`` is the host's address.
        seconds: How long the program and the page may take, besides ``startsecs``.
        mode: Four octal digits of the file; by default those that it has, ``0644`` for a new one.
        conf: supervisord's configuration file; found where it is empty.

    Raises:
        UsageError: If a value is wrong, the command daemonizes itself, or its place is not one that can be changed.
        UnreachableError: If no host can be reached.
    """
    content = render(program)
    checked_url(url)
    title = f"program {program.name} of Supervisor"

    def one(host: str) -> Plan:
        reading = required(host, conf, parts="sc")
        path = place_of(reading, program.name, host)
        wait = program.startsecs + program.startretries + seconds
        target = {
            "program": program.name, "path": path, "conf": reading.conf, "url": url_of(host, url), "seconds": wait,
            "processes": processes(program), "wanted": "up" if program.autostart else "known",
            "stop": program.stopwaitsecs, "proof": sha256(content.encode()),
        }  # fmt: skip
        before = _state(host, reading, program.name, path)
        _loaded(host, program.name, before, content)
        after = {"content": content, "mode": mode or (before or {}).get("mode") or DEFAULT_MODE, "loaded": True}
        change = Change(
            host=host, what=f"program {program.name} in {path}", verb=VERB, target=target, before=before, after=after,
            command=f"write {path}; supervisorctl update {program.name}; {_proof(target)}", undo=_undo(target, before),
        )  # fmt: skip
        return Plan(title=title, changes=() if before == after else (change,))

    return remote.plan_each(title, hosts, one)


def place_of(reading: Reading, name: str, host: str) -> str:
    """Return the file in which a program stands, or is to stand.

    Raises:
        UsageError: If that file holds something else too, it is in a group, or no folder is included.
    """
    sections = {file: parse_sections(text, file) for file, text in reading.files.items()}
    mine = [s for found in sections.values() for s in found if s.label == name and s.kind != "group"]
    if len(mine) > 1:
        places = ", ".join(f"{s.file}:{s.line}" for s in mine)
        raise UsageError(f"{host}: {name} stands in several places: {places}", hint="remove all but one")
    if mine:
        return _alone(host, mine[0], sections[mine[0].file], reading)
    if name in {s.label for found in sections.values() for s in found if s.kind == "group"}:
        raise UsageError(f"{host}: there is a group {name!r}; a program cannot have its name")
    folder = next((p for p in map(PurePosixPath, _patterns(reading)) if p.name.startswith("*.")), None)
    if folder is None:
        raise UsageError(
            f"{host}: {reading.conf} includes no folder", hint="add [include] files = /etc/supervisor/conf.d/*.conf"
        )
    path = str(folder.with_name(name + folder.name.removeprefix("*")))
    if path in sections:
        raise UsageError(f"{host}: {path} is there and does not hold program {name}", hint="look at it, move it away")
    return path


def astray(plan: Plan) -> list[str]:
    """Return the programs that are not as a plan says they are to be, ``HOST: WHAT`` each, read again."""

    def one(host: str) -> list[str]:
        change = next(change for change in plan.changes if change.host == host)
        try:
            found = observe(host, change.target)
        except OpsnbError as error:
            return [f"{host}: {change.what}: {error.message}"]
        right = _file(found) == _file(change.after) and (found is None) == (change.after is None)
        return [] if right and (found is None or found["loaded"]) else [f"{host}: {change.what}"]

    return [words for found in remote.over(plan.hosts, one).values() for words in found]


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the program that ``target`` names; see the rules above."""
    reading = required(host, str(target["conf"]), parts="sc")
    return _state(host, reading, str(target["program"]), str(target["path"]))


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Bring the program from ``before`` to ``after``.

    Raises:
        UnreachableError: If the host cannot be reached: nothing was begun.
        UnknownOutcomeError: If nobody saw the end.
        OpsnbError: If supervisord did not take it or it does not run; the file is then the old one, and taken again.
    """
    path, name, conf = str(target["path"]), str(target["program"]), str(target["conf"])
    if after is not None and not after["loaded"]:
        print(f"{host}: {path} stays, and supervisord keeps what it has taken")  # noqa: T201  (an undo tells its reader)
        return
    if not NAME.fullmatch(name):
        raise UsageError(f"the program is called {name!r:.80}")
    seconds, prove = int(target["seconds"]), list[str]()
    if after is not None:
        # Of what was there before, an undo promises that supervisord has it again, not that it runs.
        proven = target["proof"] == sha256(str(after["content"]).encode())
        words = (str(target["wanted"]), str(seconds), checked_url(str(target["url"]))) if proven else ("known", "1", "")
        known = [str(process) for process in target["processes"]] if proven else []
        prove = [*SHELL, PROVE, "opsnb", conf, name, *words, path, *known]
    swap.replace(
        host, {path: _file(before)}, {path: _file(after)}, validate=[*SHELL, VALIDATE, "opsnb", conf],
        activate=[*SHELL, ACTIVATE, "opsnb", conf, name], prove=prove,
        seconds=seconds + int(target["stop"]) + STEP_SECONDS,
    )  # fmt: skip


def partway(_target: JSON, _before: JSON, after: JSON, found: JSON) -> bool:
    """Whether the new file is in place, or the old one removed, and supervisord has not taken it."""
    return isinstance(found, dict) and not found["loaded"] and _file(found) == _file(after)


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply, partway=partway))


def _state(host: str, reading: Reading, name: str, path: str) -> JSON:
    if reading.unread:
        raise UsageError(f"{host}: supervisord cannot read what is on disk: {reading.unread}", hint="mend that first")
    file = swap.read(host, [path])[path]
    known = any(process.group == name for process in reading.processes)
    if file is None:
        return {"content": None, "mode": None, "loaded": False} if known else None
    return {**file, "loaded": name not in reading.differs and known}


def _loaded(host: str, name: str, before: JSON, content: str) -> None:
    """Refuse to plan over what is on disk and does not run: an undo could bring back only one of the two."""
    if before is not None and not before["loaded"] and before["content"] != content:
        raise UsageError(
            f"{host}: what is on disk of {name} is not what runs", hint=f"supervisorctl update {name}, then plan again"
        )


def _file(state: JSON) -> State | None:
    if state is None or state["content"] is None:
        return None
    return {"content": str(state["content"]), "mode": str(state["mode"])}


def _alone(host: str, mine: Section, others: Sequence[Section], reading: Reading) -> str:
    where = f"{mine.file}:{mine.line}"
    if mine.kind != "program":
        raise UsageError(f"{host}: {mine.label} is of kind {mine.kind} at {where}", hint="change it by hand")
    if len(others) > 1:
        other = next(section.name for section in others if section is not mine)
        raise UsageError(f"{host}: {mine.label} stands at {where} together with [{other}]",
                         hint="give it a file of its own, then plan again")  # fmt: skip
    group = group_of(mine.label, reading.files)
    if group != mine.label:
        raise UsageError(f"{host}: {mine.label} is in the group {group!r}", hint="take it out of the group first")
    return mine.file


def _patterns(reading: Reading) -> list[str]:
    here = str(PurePosixPath(reading.conf).parent)
    return [p if p.startswith("/") else f"{here}/{p}" for p in reading.patterns]


def _proof(target: dict[str, JSON]) -> str:
    if target["wanted"] == "known":
        return "it is known and not started"
    page = f", and {target['url']} answers 200" if target["url"] else ""
    return f"{', '.join(map(str, target['processes']))} RUNNING{page}"


def _undo(target: dict[str, JSON], before: JSON) -> str:
    if before is not None and not before["loaded"]:
        return "nothing: the file was there already, and supervisord keeps what it has taken"
    if before is None or before["content"] is None:
        return f"remove {target['path']}; supervisorctl update {target['program']} stops it and forgets it"
    return f"restore {target['path']} byte for byte; supervisorctl update {target['program']}"


__all__ = ["ACTUATOR", "VERB", "OpsnbError", "apply", "observe", "partway", "place_of", "plan_program"]
