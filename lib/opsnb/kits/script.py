"""A shell script as a change: sealed with its text, run without a shell in between, undone by a second script.

Rules:

* A state is what is known of the script in its directory: ``{"script": SHA-256, "runs": n}``: which text ran last and
  how many runs were not undone; ``None`` when it never ran there. So a run raises the count, an undo brings the former
  state back, and whoever planned before somebody else ran it has drifted. What the script itself did is not observed.
* The state lies in the directory, in ``.opsnb-NAME.json``. A script that ended counts as run, whatever its exit code:
  only then can what it left behind be undone. An undo counts when it ended with exit code 0.
* Values reach the script as arguments and as environment variables with lower-case names, never as shell text. Its
  environment holds nothing else but ``PATH``, ``LC_ALL``, ``HOME`` and ``TMPDIR``; its input is empty; its working
  directory, and all that it may write when it runs confined, is the directory.

Only on this machine; scripts on other hosts are a runbook of their own.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import select
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opsnb.base.canonical import JSON, sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change, Plan
from opsnb.kits import files
from opsnb.runbook.actuators import Actuator, register

if TYPE_CHECKING:
    import pandas as pd

VERB = "linux.script"
THIS_MACHINE = "localhost"
MAX_SCRIPT = 64 * 1024  # bytes of one script; a plan carries it
MAX_VALUES = 100 * 1024  # bytes of all arguments and variables together; Linux takes 128 KiB for one
SHELL = "/bin/sh"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,63}")  # PATH, LD_PRELOAD, BASH_ENV and their like are none
SHEBANG = re.compile(r"#![ \t]*(/[^\s]+)(?:[ \t]+([^\n]*?))?[ \t]*(?:\n|$)")
LOOK_SECONDS = 0.1  # how often it is looked whether a silent script has ended

Value = str | int | float | bool

_EXITS: dict[tuple[str, str], int] = {}  # (directory, name) to the exit code in this run


def suits(directory: str) -> tuple[bool, str]:
    """Return whether a script can work in ``directory``, and why, as a sentence for ``run.applicable``."""
    try:
        files.read_file(_note(directory, "x"))
    except OpsnbError as error:
        return False, error.message
    return True, f"{directory} is a directory that can be read"


def plan_script(
    host: str,
    name: str,
    text: str,
    *,
    directory: str,
    arguments: Sequence[str] = (),
    environment: Mapping[str, Value] | None = None,
    undo: str = "",
) -> Plan:
    """Return the plan that runs a script once; reads only.

    Args:
        host: ``localhost``: this machine.
        name: What the script is called: ``rotate.sh``.
        text: The script; its first line names the interpreter, ``/bin/sh`` where it does not.
        directory: Absolute path of an existing directory: where it works, and all that it may write.
        arguments: ``$1``, ``$2`` and so on.
        environment: Lower-case names to values; a truth value becomes ``true`` or ``false``.
        undo: The script that undoes it, with the same arguments and environment; empty where there is none.

    Raises:
        UsageError: If an argument is wrong or an interpreter is missing.
    """
    _this_machine(host)
    target = _checked({
        "name": name, "directory": directory, "script": text, "undo": undo,
        "arguments": list(arguments), "environment": {k: _text_of(v) for k, v in (environment or {}).items()},
    })  # fmt: skip
    before = observe(host, target)
    runs = before["runs"] if isinstance(before, dict) else 0
    after = {"script": sha256(text.encode()), "runs": runs + 1}
    change = Change(
        host=host, what=f"script {name} in {directory}", verb=VERB, target=target, before=before, after=after,
        command=_command(target, "script"),
        undo=_command(target, "undo") if undo else "by hand: no script undoes it",
    )  # fmt: skip
    context = {
        "sha256": after["script"],
        "lines": len(text.splitlines()),
        "undo": sha256(undo.encode()) if undo else "",
    }
    return Plan(title=f"run {name} in {directory}", changes=(change,), context=context)


def facts(plan: Plan) -> pd.DataFrame:
    """Return what a plan of :func:`plan_script` will run, a row a fact: script, digest, interpreter, values, undo."""
    import pandas as pd

    target = _checked(plan.changes[0].target)
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


def history(directory: str, name: str) -> str:
    """Return in a sentence what is known of a script in a directory."""
    state = observe(THIS_MACHINE, {"name": name, "directory": directory})
    if not isinstance(state, dict):
        return f"{name} has not run in {directory}"
    return f"{name} has run {state['runs']} time(s) in {directory} and was not undone; last with {state['script']}"


def exit_code(plan: Plan) -> int | None:
    """Return the exit code with which this run's script ended: -9 after signal 9, ``None`` when it did not run."""
    target = _checked(plan.changes[0].target)
    return _EXITS.get((target["directory"], target["name"]))


def interpreter(text: str) -> list[str]:
    """Return the interpreter that a script names, with its one argument, as the kernel reads it (execve(2))."""
    found = SHEBANG.match(text)
    return [part for part in found.groups() if part] if found else [SHELL]


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the script that ``target`` names: ``name`` and ``directory``.

    Raises:
        OpsnbError: If the directory cannot be read, or the note in it is not ours.
    """
    _this_machine(host)
    path = _note(str(target["directory"]), str(target["name"]))
    note = files.read_file(path)
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
        OpsnbError: If it could not be started, or there is no undo; the state is then as before.
    """
    _this_machine(host)
    checked = _checked(target)
    forward = _runs(after) > _runs(before)
    text = str(checked["script" if forward else "undo"])
    if not text:
        raise UsageError(f"no script undoes {checked['name']}", hint="undo it by hand; the record says what ran")
    key = (checked["directory"], checked["name"])
    _EXITS.pop(key, None)
    _EXITS[key] = _run(checked, text)
    if forward or _EXITS[key] == 0:
        path = _note(*key)
        content = None if after is None else {"content": json.dumps(after, sort_keys=True) + "\n", "mode": "0644"}
        files.apply(host, {"path": path}, files.read_file(path), content)


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply))


def _run(target: dict[str, JSON], text: str) -> int:
    with tempfile.TemporaryDirectory(prefix="opsnb-script-") as folder:
        script = Path(folder, str(target["name"]))
        script.write_bytes(text.encode())
        argv = [*interpreter(text), str(script), *target["arguments"]]
        home = os.environ.get("HOME", folder)
        environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": home, "TMPDIR": folder, **target["environment"]}
        try:
            process = subprocess.Popen(
                argv, cwd=str(target["directory"]), env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise OpsnbError(f"{target['name']} could not be started: {error.strerror}: {error.filename}") from error
        try:
            _tell(process)
            return process.wait()
        finally:
            if process.poll() is None:  # interrupted: neither it nor what it started goes on unseen
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _tell(process: subprocess.Popen[bytes]) -> None:
    """Print what a process says until it has ended; what it left running in the background is not waited for."""
    assert process.stdout is not None
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with process.stdout as stream:
        while True:
            ended = process.poll() is not None
            readable, _, _ = select.select([stream], [], [], 0 if ended else LOOK_SECONDS)
            data = os.read(stream.fileno(), 64 * 1024) if readable else b""
            if data:
                print(decoder.decode(data), end="", flush=True)  # noqa: T201  (a change tells its reader what it does)
            elif readable or ended:
                return


def _checked(target: JSON) -> dict[str, JSON]:
    """Return a target that may be carried out."""
    if not isinstance(target, dict) or not {"name", "directory", "script", "undo", "arguments", "environment"} <= set(
        target
    ):
        raise UsageError(f"the target of {VERB} lacks a field, found {target!r:.80}")
    if not NAME.fullmatch(str(target["name"])):
        raise UsageError(f"the script is called {target['name']!r:.80}; wanted letters, digits, '.', '_' and '-'")
    for which in ("script", "undo"):
        text = target[which]
        if not isinstance(text, str) or "\0" in text or len(text.encode("utf-8", "replace")) > MAX_SCRIPT:
            raise UsageError(f"the {which} of {target['name']} is text without NUL, of at most {MAX_SCRIPT} bytes")
        if text and not os.access(interpreter(text)[0], os.X_OK):
            raise UsageError(f"{interpreter(text)[0]}, which runs the {which} of {target['name']}, is not there")
    if not target["script"].strip():
        raise UsageError(f"the script {target['name']} is empty")
    _check_values(target)
    return target


def _check_values(target: dict[str, JSON]) -> None:
    wrong = [name for name in target["environment"] if not VARIABLE.fullmatch(name)]
    if wrong:
        raise UsageError(f"{wrong[0]!r:.80} is no name of a variable", hint="lower-case letters, digits and _: level")
    values = [*target["arguments"], *target["environment"].values()]
    if any(not isinstance(value, str) or "\0" in value for value in values):
        raise UsageError(f"an argument or variable of {target['name']} is not text, or holds a NUL")
    if sum(len(value.encode("utf-8", "replace")) for value in values) > MAX_VALUES:
        raise UsageError(f"arguments and variables of {target['name']} have more than {MAX_VALUES} bytes together")


def _text_of(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _runs(state: JSON) -> int:
    return int(state["runs"]) if isinstance(state, dict) else 0


def _command(target: dict[str, JSON], which: str) -> str:
    """Say what will run as a person would type it; it is never given to a shell."""
    values = [f"{name}={value}" for name, value in target["environment"].items()]
    name = str(target["name"]) if which == "script" else f"undo of {target['name']}"
    return shlex.join(
        [*(["env", *values] if values else []), *interpreter(str(target[which])), name, *target["arguments"]]
    )


def _note(directory: str, name: str) -> str:
    return f"{directory.rstrip('/')}/.opsnb-{name}.json"


def _this_machine(host: str) -> None:
    if host != THIS_MACHINE:
        raise UsageError(f"host '{host}' cannot be reached; scripts run on this machine, '{THIS_MACHINE}'")
