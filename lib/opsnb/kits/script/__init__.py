"""A shell script as a change: sealed with its text, run without a shell in between, undone by a second script.

Rules:

* A state is what is known of the script in its directory: ``{"script": SHA-256, "runs": n}``: which text ran last and
  how many runs were not undone; ``None`` when it never ran there. So a run raises the count, an undo brings the former
  state back, and whoever planned before somebody else ran it has drifted. What the script itself did is not observed.
* The state lies in the directory, in ``.opsnb-NAME.json``, on the host where it ran. A script that ended counts as run,
  whatever its exit code: only then can what it left behind be undone. An undo counts when it ended with exit code 0.
* Values reach the script as arguments and as environment variables with lower-case names, never as shell text. Its
  environment holds nothing else but ``PATH``, ``LC_ALL``, ``HOME`` and ``TMPDIR``; its input is empty; its working
  directory is the directory, and on this machine, where it runs confined, that is all that it may write.
* On another host its text travels on stdin into a folder that only its user can enter, and is started only when it
  arrived whole. Once it ended with another exit code than 0 on one host, it is started on no further one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opsnb.base.canonical import JSON, sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change, Plan
from opsnb.kits import files, remote
from opsnb.kits.script import here, there
from opsnb.kits.script.targets import MAX_SCRIPT, VERB, Target, checked, command, interpreter, note_path
from opsnb.runbook.actuators import Actuator, register

if TYPE_CHECKING:
    import pandas as pd

THIS_MACHINE = "localhost"
NO_UNDO = "by hand: no script undoes it"

Value = str | int | float | bool

_EXITS: dict[tuple[str, str, str], int] = {}  # (host, directory, name) to the exit code in this run


def suits(directory: str) -> tuple[bool, str]:
    """Return whether a script can work in ``directory`` here, and why, as a sentence for ``run.applicable``."""
    try:
        files.read_file(note_path(directory, "x"))
    except OpsnbError as error:
        return False, error.message
    return True, f"{directory} is a directory that can be read"


def text_of(file: str) -> str:
    """Return the text of a file parameter, as it was bound and staged; ``""`` for none.

    Raises:
        UsageError: If it is no text of at most 64 KiB.
    """
    if not file:
        return ""
    data = Path(file).read_bytes()
    if len(data) > MAX_SCRIPT:
        raise UsageError(f"{file} has {len(data)} bytes, at most {MAX_SCRIPT} are taken")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8: byte {error.start}") from None


def undoable(script: str, undo: str) -> tuple[bool, str]:
    """Return whether there is a script, and another that undoes it, as a sentence for ``run.applicable``.

    What has no undo is a runbook of risk ``danger``: ``opsnb runbook new --from-script`` makes one.
    """
    if not script.strip():
        return False, "the script is empty"
    if not undo.strip():
        return False, "no script undoes it, and this runbook promises an undo; a runbook of risk danger can run it"
    return True, "a script and the script that undoes it are given"


def plan_script(
    host: str | Sequence[str],
    name: str,
    text: str,
    *,
    directory: str,
    arguments: Sequence[str] = (),
    environment: Mapping[str, Value] | None = None,
    undo: str = "",
) -> Plan:
    """Return the plan that runs a script once on each host; reads only.

    Args:
        host: A host of the run, ``localhost`` for this machine; or several.
        name: What the script is called: ``rotate.sh``.
        text: The script; its first line names the interpreter, ``/bin/sh`` where it does not.
        directory: Absolute path of an existing directory: where it works.
        arguments: ``$1``, ``$2`` and so on.
        environment: Lower-case names to values; a truth value becomes ``true`` or ``false``.
        undo: The script that undoes it, with the same arguments and environment; empty where there is none.

    Raises:
        UnreachableError: If the host, or all of them, cannot be reached.
        UsageError: If an argument is wrong or an interpreter is missing.
    """
    target = checked({
        "name": name, "directory": directory, "script": text, "undo": undo,
        "arguments": list(arguments), "environment": {k: _text_of(v) for k, v in (environment or {}).items()},
    })  # fmt: skip
    title = f"run {name} in {directory}"
    plan = remote.plan_each(title, host, lambda one: _plan_one(one, title, target))
    plan.context.update({
        "sha256": sha256(text.encode()), "lines": len(text.splitlines()),
        "undo": sha256(undo.encode()) if undo else "",
    })  # fmt: skip
    return plan


def facts(plan: Plan) -> pd.DataFrame:
    """Return what a plan of :func:`plan_script` will run, a row a fact: script, digest, interpreter, values, undo."""
    import pandas as pd

    target = checked(plan.changes[0].target)
    rows = {
        "script": target["name"],
        "SHA-256": sha256(str(target["script"]).encode()),
        "interpreter": " ".join(interpreter(str(target["script"]))),
        "directory": target["directory"],
        **{f"argument {n}": value for n, value in enumerate(target["arguments"], 1)},
        **{f"${name}": value for name, value in target["environment"].items()},
        "SHA-256 of the undo": sha256(str(target["undo"]).encode()) if target["undo"] else "(none)",
    }
    return pd.DataFrame({"what": list(rows), "value": [str(v) for v in rows.values()]})


def history(directory: str, name: str, host: str = THIS_MACHINE) -> str:
    """Return in a sentence what is known of a script in a directory."""
    state = observe(host, {"name": name, "directory": directory})
    where = directory if host == THIS_MACHINE else f"{directory} on {host}"
    if not isinstance(state, dict):
        return f"{name} has not run in {where}"
    return f"{name} has run {state['runs']} time(s) in {where} and was not undone; last with {state['script']}"


def histories(directory: str, name: str, hosts: Sequence[str]) -> pd.DataFrame:
    """Return what is known of a script on several hosts, a row a host; a host that cannot be looked at says why."""
    import pandas as pd

    def one(host: str) -> str:
        try:
            return history(directory, name, host)
        except OpsnbError as error:
            return error.message

    return pd.DataFrame({"host": list(hosts), "found": list(remote.over(hosts, one).values())})


def exit_code(plan: Plan) -> int | None:
    """Return the exit code with which this run's script ended: -9 after signal 9, ``None`` when it did not run."""
    return exit_codes(plan)[plan.changes[0].host]


def exit_codes(plan: Plan) -> dict[str, int | None]:
    """Return for each host of a plan the exit code of this run's script, ``None`` where it did not run."""
    return {change.host: _EXITS.get(_key(change.host, checked(change.target))) for change in plan.changes}


def proof(plan: Plan, text: str) -> dict[str, int | None]:
    """Run a check script on each host of a plan, with the plan's values, and return its exit codes.

    It is run with the credential for observing, is not counted, and must not change anything. An empty one passes; in
    the plan of an undo it is not run: what it proves is undone. ``None`` stands for a host on which it could not be
    run, which is told.
    """
    changes = {change.host: change for change in plan.changes}
    return remote.over(changes, lambda host: _proof(changes[host], text))


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the script that ``target`` names: ``name`` and ``directory``.

    Raises:
        UnreachableError: If the host cannot be reached.
        OpsnbError: If the directory cannot be read, or the note in it is not ours.
    """
    path = note_path(str(target["directory"]), str(target["name"]))
    note = files.read_file(path, host)
    if note is None:
        return None
    try:
        state = json.loads(note["content"])
        return {"script": str(state["script"]), "runs": int(state["runs"])}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise OpsnbError(f"{path} is not what a run wrote", hint="look at it, then move it away") from None


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Run the script, or its undo when ``after`` counts fewer runs, and keep the new state; prints what it says.

    Raises:
        UnreachableError: If the host cannot be reached; the state is then as before.
        UnknownOutcomeError: If it was started and nobody saw its end.
        OpsnbError: If it could not be started, or there is no undo; the state is then as before.
    """
    wanted = checked(target)
    forward = _runs(after) > _runs(before)
    text = str(wanted["script" if forward else "undo"])
    if not text:
        raise UsageError(f"no script undoes {wanted['name']}", hint="undo it by hand; the record says what ran")
    _EXITS.pop(_key(host, wanted), None)
    if forward:
        _stop_after_failure(wanted)
    _EXITS[_key(host, wanted)] = _run(host, wanted, text, after=after, when="always" if forward else "ok")


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply))


def _plan_one(host: str, title: str, target: Target) -> Plan:
    if host == THIS_MACHINE:
        here.check_interpreter(target)
    else:
        there.look(host, target)
    before = observe(host, target)
    after = {"script": sha256(str(target["script"]).encode()), "runs": _runs(before) + 1}
    change = Change(
        host=host, what=f"script {target['name']} in {target['directory']}", verb=VERB, target=target, before=before,
        after=after, command=command(target, "script"), undo=command(target, "undo") if target["undo"] else NO_UNDO,
    )  # fmt: skip
    return Plan(title=title, changes=(change,))


def _run(host: str, target: Target, text: str, *, after: JSON, when: str) -> int:
    if host != THIS_MACHINE:
        return there.run(host, target, text, after=after, when=when)
    here.check_interpreter(target)
    code = here.run(target, text)
    if when == "always" or (when == "ok" and code == 0):
        path = note_path(str(target["directory"]), str(target["name"]))
        content = None if after is None else {"content": json.dumps(after, sort_keys=True) + "\n", "mode": "0644"}
        files.apply(host, {"path": path}, files.read_file(path), content)
    return code


def _proof(change: Change, text: str) -> int | None:
    if not text.strip() or _runs(change.after) < _runs(change.before):
        return 0
    target = checked({**checked(change.target), "name": "check", "script": text, "undo": ""})
    try:
        return _run(change.host, target, text, after=None, when="never")
    except OpsnbError as error:
        print(f"{change.host}: the check could not be run: {error.message}")  # noqa: T201  (a check tells its reader)
        return None


def _stop_after_failure(target: Target) -> None:
    """Refuse to start a script that failed on another host of this run: a canary is there to be heeded."""
    for (host, *place), code in sorted(_EXITS.items()):
        if place == [target["directory"], target["name"]] and code != 0:
            raise OpsnbError(f"not started: on {host} {target['name']} ended with exit code {code}")


def _key(host: str, target: Target) -> tuple[str, str, str]:
    return host, str(target["directory"]), str(target["name"])


def _text_of(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _runs(state: JSON) -> int:
    return int(state["runs"]) if isinstance(state, dict) else 0
