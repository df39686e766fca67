"""The verb ``config.files``: all files of a service on one host, replaced together or not at all.

Rules:

* A state is ``{"files": {path: state}}``, with ``"directories": {path: {"mode"} or None}`` for those that a plan makes.
  A file's state is that of :mod:`opsnb.kits.files`; a sensitive one has ``"hidden"``, a keyed hash, for its content.
* Validation commands that name the staged file run before anything is replaced, the others when all files are in place,
  activation commands last, each once. What fails puts everything back, activates that, and makes no directory
  (:mod:`opsnb.kits.swap`).
* The replaced file of a sensitive one is kept on its host beside it, with its owner and mode, under a name made of what
  it was (:func:`kept_as`): nothing else could undo it. The undo takes it away.
* Only a host that dies among the renames leaves some files new and some old: a retry goes on from there. One that died
  before its activation has the new files, and starts its services with them.
* A directory that a plan made is removed by its undo, and only when nothing else lies in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from opsnb.base.canonical import JSON, digest
from opsnb.base.errors import OpsnbError, UnknownOutcomeError, UnreachableError, UsageError
from opsnb.kits import swap
from opsnb.kits.config import commands, hiding, reading
from opsnb.kits.config.directories import made, make, modes, only_ours, remove
from opsnb.kits.files.states import State
from opsnb.runbook.actuators import Actuator, register

VERB = "config.files"
SECONDS = 120.0  # that one validation or activation command may take
States = dict[str, State | None]


def kept_as(path: str, state: State) -> str:
    """Return where the file that a sensitive one replaces is kept: hidden, beside it, named after what it was."""
    pure = PurePosixPath(path)
    return str(pure.with_name(f".{pure.name}.opsnb-{digest(state)[:12]}"))


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the files and directories that ``target`` names on a host."""
    rows, directories = _target(target)
    found = reading.states(host, reading.read(host, [row["path"] for row in rows]))
    files = {row["path"]: stated(row, found[row["path"]]) for row in rows}
    return _whole(files, {path: made(mode) for path, mode in modes(host, directories).items()})


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Bring a host's files from ``before`` to ``after``: all of them, or none.

    Raises:
        UnreachableError: If the host cannot be reached: nothing was begun.
        UnknownOutcomeError: If nobody saw the end: all files are the old ones, or all are the new ones.
        OpsnbError: If a file is not as planned, or a command failed: what was is there again.
    """
    rows, _ = _target(target)
    making = _directories(before, after)
    removing = _directories(after, before)
    old, new = _contents(host, before["files"], after["files"])
    if removing:
        only_ours(host, removing, [path for path, state in new.items() if state is None])
    if making:
        make(host, making)
    try:
        swap.replace(
            host, old, new, check=commands.checks(rows, list(new)), seconds=SECONDS,
            validate=commands.together([row["validate"] for row in rows if not _staged(row)]),
            activate=commands.together([row["activate"] for row in rows]),
        )  # fmt: skip
    except (UnreachableError, UnknownOutcomeError):
        raise
    except OpsnbError as error:
        if making:
            remove(host, making)
        raise _discreet(error, rows, old, new) from None
    if removing:
        remove(host, removing)


def partway(target: JSON, before: JSON, after: JSON, found: JSON) -> bool:
    """Return whether every file and directory is as before or as afterwards: a host died among the renames."""
    _target(target)
    parts = [
        found.get(kind, {}).get(path) in (before.get(kind, {}).get(path), state)
        for kind in ("files", "directories") for path, state in after.get(kind, {}).items()
    ]  # fmt: skip
    return all(parts)


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply, partway=partway))


def stated(row: Mapping[str, Any], state: State | None) -> State | None:
    """Return a file's state as a plan holds it: its owner where it is planned, its content unless it is sensitive."""
    if state is None:
        return None
    kept = {name: value for name, value in state.items() if name != "owner" or row["owned"]}
    return hiding.hide(kept) if row["sensitive"] else kept


def _whole(files: States, directories: Mapping[str, JSON]) -> dict[str, Any]:
    return {"files": files, **({"directories": dict(directories)} if directories else {})}


def _directories(before: JSON, after: JSON) -> list[str]:
    """Return the directories that are not there before and are there afterwards, outermost first."""
    old, new = before.get("directories", {}), after.get("directories", {})
    return sorted(path for path, state in new.items() if state is not None and old.get(path) is None)


def _contents(host: str, before: States, after: States) -> tuple[States, States]:
    """Return what is replaced by what, contents and kept files included; only files that differ."""
    old: States = {}
    new: States = {}
    for path, state in after.items():
        was = before[path]
        if was == state and not hiding.hidden(state):
            continue
        if not hiding.hidden(was) and not hiding.hidden(state):
            old[path], new[path] = was, state
            continue
        if was != state:
            _sensitive(host, path, was, state, old, new)
    return old, new


def _sensitive(host: str, path: str, was: State | None, state: State | None, old: States, new: States) -> None:
    """Add one sensitive file: what was there is kept, or what was kept is put back."""
    here = reading.states(host, reading.read(host, [path]))[path]
    if hiding.hide(here) != was:
        raise OpsnbError(f"{host}: {path} is no longer as planned; nothing was changed", hint="plan again")
    old[path] = here
    if state is None:
        new[path] = None
        return
    content = hiding.held(state)
    kept = kept_as(path, state)
    lying = reading.states(host, reading.read(host, [kept]))[kept]
    if lying is not None and hiding.hide(lying) == state:  # an undo: the very file that was replaced
        old[kept], new[kept], new[path] = lying, None, lying
        return
    if content is None:
        raise OpsnbError(f"{host}: the content of {path} is not at hand: {kept} is not there any more")
    new[path] = hiding.shown(state, content)
    if here is not None and was is not None:
        old[kept_as(path, was)], new[kept_as(path, was)] = None, here


def _discreet(error: OpsnbError, rows: Sequence[Mapping[str, Any]], old: States, new: States) -> OpsnbError:
    """Return an error without the words of sensitive files, which a program that refuses one may quote."""
    paths = {row["path"] for row in rows if row["sensitive"]}
    contents = [state["content"] for part in (old, new) for path, state in part.items() if state and path in paths]
    return type(error)(hiding.masked(error.message, contents), hint=error.hint) if contents else error


def _staged(row: Mapping[str, Any]) -> bool:
    return any("%s" in word for word in row["validate"])


def _target(target: JSON) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the files and directories of a target.

    Raises:
        UsageError: If it is none.
    """
    rows = target.get("files") if isinstance(target, dict) else None
    directories = target.get("directories", []) if isinstance(target, dict) else None
    if not isinstance(rows, list) or not isinstance(directories, list):
        raise UsageError(f"the target of {VERB} names files and directories, found {target!r:.80}")
    for row in rows:
        texts = isinstance(row, dict) and isinstance(row.get("path"), str)
        if not texts or any(not isinstance(row.get(name), list) for name in ("validate", "activate")):
            raise UsageError(f"a file in the target of {VERB} has path, validate and activate, found {row!r:.80}")
    return [{"owned": False, "sensitive": False, **row} for row in rows], [str(path) for path in directories]
