"""Files to hosts: a plan of digests first, then each file whole or not at all; what it replaces stays beside it.

Rules:

* A state is ``{"sha256", "size", "mode"}``, with ``"owner"`` where a file was there before, or ``None``. Any bytes are
  copied, and no content stands in a plan.
* A replaced file is kept on its host under the name that the plan states (:func:`kept_as`): the very same file, with
  owner, mode and whatever else belongs to it. Undo puts it back, and the kept name is gone then.
* A write is a temporary file in the same directory, its digest compared, fsync, rename.
* Refused, as everywhere (:mod:`opsnb.kits.files`): links, special files, files with more than one name or with access
  lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from opsnb.base.canonical import JSON, digest, sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change, Plan
from opsnb.kits import remote
from opsnb.kits.files.shell import LOOK, MOVED
from opsnb.kits.files.states import MODE, plain
from opsnb.kits.files.there import NO_FILE, REMOVE
from opsnb.runbook import Run
from opsnb.runbook.actuators import Actuator, register

VERB = "hands.file"
MAX_BYTES = 256 * 1024**2  # of one file
DEFAULT_MODE = "0644"  # of a new file
SLOWEST = 256 * 1024  # bytes a second that a line is trusted to carry
LEAST_SECONDS = 60.0
State = dict[str, Any]

# answers "none", or "file MODE OWNER SIZE DIGEST"
STATE = (
    LOOK
    + r"""
if [ "$facts" = none ]; then echo none; exit 0; fi
sum=$(digest "$p")
[ -n "$sum" ] || end 77 "may not be read"
unchanged
printf 'file %s %s %s %s\n' "$mode" "$owner" "$(stat -c %s -- "$p")" "$sum"
"""
)

# besides those of MOVED: $6 mode, $7 digest, $8 where the old file is kept, or nothing; the content on stdin
PUT = (
    LOOK
    + MOVED
    + r"""
kept=$8
umask 077
[ ! -d "$kept" ] || end 78 "cannot be kept: $kept is a directory"
t=$(mktemp "${d}.opsnb-XXXXXXXXXXXX") || end 1 "could not be changed: no temporary file in $d"
trap 'rm -f -- "$t"' EXIT
trap 'exit 75' HUP INT TERM
cat >"$t" || end 1 "could not be changed"
furnish "$t" "$6" "" "$7"
[ -z "$kept" ] || ln -f -- "$p" "$kept" || end 1 "could not be kept as $kept; nothing was changed"
mv -f -- "$t" "$p" || end 1 "could not be changed"
trap - EXIT
sync "$d" 2>/dev/null || :
"""
)

# besides those of MOVED: $6 where the old file is kept, $7 its digest
RESTORE = (
    LOOK
    + MOVED
    + r"""
kept=$6
if [ ! -f "$kept" ] || [ -L "$kept" ]; then end 1 "cannot be restored: $kept is not there any more"; fi
[ "$(digest "$kept")" = "$7" ] || end 1 "cannot be restored: $kept is not the file that was kept"
mv -f -- "$kept" "$p" || end 1 "could not be restored"
sync "$d" 2>/dev/null || :
"""
)


def plan_upload(run: Run, files: Sequence[str], directory: str, mode: str = "") -> Plan:
    """Return the plan that brings files into a directory of every host of the run; reads only.

    Args:
        run: The run; in mode ``undo`` the plan is empty, for the one that was applied is undone.
        files: Names of files in the run's working folder, where file parameters lie.
        directory: An absolute path; it exists on the hosts.
        mode: Four octal digits for all of them; empty keeps the mode of a file that is there, ``0644`` for a new one.

    Raises:
        UsageError: If an argument is wrong, or what lies in the way is not a plain file.
        UnreachableError: If no host can be reached.
    """
    title = f"{len(files)} file(s) to {directory}"
    if run.mode == "undo":
        return Plan(title=title, changes=())
    if mode and not MODE.fullmatch(mode):
        raise UsageError(f"the mode is {mode!r}; it is four octal digits", hint="0644")
    sources = {name: _source(name) for name in files}

    def one(host: str) -> Plan:
        rows = (_change(host, name, facts, directory, mode) for name, facts in sources.items())
        return Plan(title=title, changes=tuple(row for row in rows if row))

    plan = remote.plan_each(title, list(run.hosts), one)
    plan.context.update(sources)
    return plan


def copied_wrong(plan: Plan) -> dict[str, Any]:
    """Return what is not on its host as the plan says: ``"HOST: PATH"`` to what was found there."""
    hosts = remote.over(plan.hosts, lambda host: _wrong(plan, host))
    return {where: found for wrong in hosts.values() for where, found in wrong.items()}


def kept_as(path: str, state: State) -> str:
    """Return the name under which a replaced file is kept: hidden, beside it, made of what it was."""
    pure = PurePosixPath(path)
    return str(pure.with_name(f".{pure.name}.opsnb-{digest(state)[:12]}"))


def observe(host: str, target: JSON) -> State | None:
    """Return the state of the file that ``target`` names on a host."""
    path, owned = _target(target)["path"], bool(_target(target).get("owned"))
    return _state(host, path, owned=owned)


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Bring a file from ``before`` to ``after``: forward from the run's folder, back from where the old one is kept.

    Raises:
        UnreachableError: If the host cannot be reached: nothing was begun.
        UnknownOutcomeError: If nobody saw the end; it is the old file or the new one.
        OpsnbError: If the file is not as ``before`` says, or the system refuses.
    """
    facts = _target(target)
    path = facts["path"]
    was = _was(before)
    if not isinstance(after, dict):
        remote.act(host, REMOVE, path, str(MAX_BYTES), *was)
    elif (after["sha256"], after["mode"]) == (facts["sha256"], facts["mode"]):
        data = Path(facts["file"]).read_bytes()
        if sha256(data) != after["sha256"]:
            raise OpsnbError(f"{facts['file']} is not the file that was planned")
        kept = kept_as(path, before) if isinstance(before, dict) else ""
        seconds = LEAST_SECONDS + len(data) / SLOWEST
        words = (path, str(MAX_BYTES), *was, after["mode"], after["sha256"], kept)
        remote.act(host, PUT, *words, stdin=data, seconds=seconds)
    else:
        remote.act(host, RESTORE, path, str(MAX_BYTES), *was, kept_as(path, after), after["sha256"])


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply))


def _source(name: str) -> State:
    if PurePosixPath(name).name != name:
        raise UsageError(f"{name!r:.80} is not the name of a file in the run's folder")
    data = Path(name).read_bytes()
    return {"sha256": sha256(data), "size": len(data)}


def _change(host: str, name: str, facts: State, directory: str, mode: str) -> Change | None:
    path = str(PurePosixPath(directory) / name)
    before = _state(host, path, owned=True)
    after = {**facts, "mode": mode or (before["mode"] if before else DEFAULT_MODE)}
    target = {"path": path, "file": name, "sha256": facts["sha256"], "mode": after["mode"]}
    if before is None:
        command, undo = f"write {path}: {facts['size']} bytes, mode {after['mode']}", f"remove {path}"
    else:
        after["owner"], target["owned"] = before["owner"], True
        kept = kept_as(path, before)
        command = f"keep {path} as {kept}, then write {facts['size']} bytes, mode {after['mode']}"
        undo = f"put {kept} back as {path}"
    if before == after:
        return None
    return Change(
        host=host, what=f"file {path}", verb=VERB, target=target, before=before, after=after, command=command, undo=undo
    )  # fmt: skip


def _state(host: str, path: str, *, owned: bool) -> State | None:
    plain(path)
    result = remote.look(host, STATE, path, str(MAX_BYTES), seconds=LEAST_SECONDS + MAX_BYTES / (16 * SLOWEST))
    words = result.text.split()
    if words == [NO_FILE]:
        return None
    if len(words) != 5 or words[0] != "file":  # noqa: PLR2004  (the words of STATE)
        raise OpsnbError(f"{host}: the answer about {path} was {result.text!r:.80}")
    state: State = {"sha256": words[4], "size": int(words[3]), "mode": words[1].zfill(4)}
    return {**state, "owner": words[2]} if owned else state


def _was(before: JSON) -> list[str]:
    """Return the arguments of MOVED."""
    if not isinstance(before, dict):
        return [NO_FILE, "", ""]
    return [str(before["sha256"]), str(before["mode"]).lstrip("0") or "0", str(before.get("owner", ""))]


def _target(target: JSON) -> dict[str, Any]:
    wanted = ("path", "file", "sha256", "mode")
    if not isinstance(target, dict) or any(not isinstance(target.get(name), str) for name in wanted):
        raise UsageError(f"the target of {VERB} names {', '.join(wanted)}, found {target!r:.80}")
    return target


def _wrong(plan: Plan, host: str) -> dict[str, Any]:
    wrong: dict[str, Any] = {}
    for change in plan.changes:
        if change.host == host:
            try:
                found: Any = observe(host, change.target)
            except OpsnbError as error:
                found = error.message
            if found != change.after:
                wrong[f"{host}: {_target(change.target)['path']}"] = found
    return wrong
