"""What a script's target may hold, wherever it runs."""

from __future__ import annotations

import re
import shlex

from opsnb.base.canonical import JSON
from opsnb.base.errors import UsageError

VERB = "linux.script"
MAX_SCRIPT = 64 * 1024  # bytes of one script; a plan carries it
MAX_VALUES = 100 * 1024  # bytes of all arguments and variables together; Linux takes 128 KiB for one
SHELL = "/bin/sh"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,63}")  # PATH, LD_PRELOAD, BASH_ENV and their like are none
SHEBANG = re.compile(r"#![ \t]*(/[^\s]+)(?:[ \t]+([^\n]*?))?[ \t]*(?:\n|$)")
FIELDS = {"name", "directory", "script", "undo", "arguments", "environment"}

Target = dict[str, JSON]


def checked(target: JSON) -> Target:
    """Return a target that may be carried out.

    Raises:
        UsageError: Names what is wrong.
    """
    if not isinstance(target, dict) or not set(target) >= FIELDS:
        raise UsageError(f"the target of {VERB} lacks a field, found {target!r:.80}")
    if not NAME.fullmatch(str(target["name"])):
        raise UsageError(f"the script is called {target['name']!r:.80}; wanted letters, digits, '.', '_' and '-'")
    for which in ("script", "undo"):
        text = target[which]
        if not isinstance(text, str) or "\0" in text or len(text.encode("utf-8", "replace")) > MAX_SCRIPT:
            raise UsageError(f"the {which} of {target['name']} is text without NUL, of at most {MAX_SCRIPT} bytes")
        _check_utf8(text, f"the {which} of {target['name']}")
    if not target["script"].strip():
        raise UsageError(f"the script {target['name']} is empty")
    _check_values(target)
    return target


def interpreter(text: str) -> list[str]:
    """Return the interpreter that a script names, with its one argument, as the kernel reads it (execve(2))."""
    found = SHEBANG.match(text)
    return [part for part in found.groups() if part] if found else [SHELL]


def command(target: Target, which: str) -> str:
    """Say what will run as a person would type it; it is never given to a shell."""
    values = [f"{name}={value}" for name, value in target["environment"].items()]
    name = str(target["name"]) if which == "script" else f"undo of {target['name']}"
    return shlex.join(
        [*(["env", *values] if values else []), *interpreter(str(target[which])), name, *target["arguments"]]
    )


def note_path(directory: str, name: str) -> str:
    """Return where the state of a script lies."""
    return f"{directory.rstrip('/')}/.opsnb-{name}.json"


def _check_values(target: Target) -> None:
    wrong = [name for name in target["environment"] if not VARIABLE.fullmatch(name)]
    if wrong:
        raise UsageError(f"{wrong[0]!r:.80} is no name of a variable", hint="lower-case letters, digits and _: level")
    values = [*target["arguments"], *target["environment"].values()]
    if any(not isinstance(value, str) or "\0" in value for value in values):
        raise UsageError(f"an argument or variable of {target['name']} is not text, or holds a NUL")
    for value in values:
        _check_utf8(value, f"an argument or variable of {target['name']}")
    if sum(len(value.encode()) for value in values) > MAX_VALUES:
        raise UsageError(f"arguments and variables of {target['name']} have more than {MAX_VALUES} bytes together")


def _check_utf8(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} holds a lone surrogate, which has no UTF-8 form") from None
