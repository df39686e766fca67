"""Kernel settings: the live value, and a file in ``/etc/sysctl.d`` that brings it back after a start.

A state is ``{"content", "live"}``: of our file, ``None`` where there is none, and the values of the keys of a change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from opsnb.base.canonical import JSON
from opsnb.base.errors import UsageError
from opsnb.base.plan import Change
from opsnb.kits import remote
from opsnb.kits.prepare.shell import COMMON
from opsnb.runbook.actuators import Actuator, register

VERB = "prepare.sysctl"
PATH = "/etc/sysctl.d/60-opsnb.conf"
HEAD = "# Written by opsnb, HST-010.\n"
KEY = re.compile(r"[A-Za-z0-9_-]{1,60}(?:\.[A-Za-z0-9_-]{1,60}){1,8}")
VALUE = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")
LINE = re.compile(r"(?m)^[ \t]*([^#;\s=][^=\n]*?)[ \t]*=[ \t]*(.*?)[ \t]*$")

LOOK = (
    COMMON
    + r"""
f=$1; shift
for key; do
  p=/proc/sys/$(printf '%s' "$key" | tr . /)
  [ -e "$p" ] || end 78 "this kernel has no $key"
  [ -f "$p" ] || end 78 "$key is no setting"
  value=$(cat -- "$p" 2>/dev/null) || end 77 "$key may not be read"
  printf '%s=%s\n' "$key" "$(printf '%s' "$value" | tr '\t\n' '  ')"
done
[ ! -L "$f" ] || end 78 "$f is a symbolic link"
[ -e "$f" ] || { echo none; exit 0; }
[ -r "$f" ] || end 77 "$f may not be read"
echo file; cat -- "$f"
"""
)

# $1 path, $2 file or none, $3 content, then for each key: its name, its new value, its old value
SET = (
    COMMON
    + r"""
f=$1 kind=$2 content=$3; shift 3
[ "$kind" = none ] || [ -d "${f%/*}" ] || end 1 "there is no ${f%/*}"
set_live() { printf '%s\n' "$2" >"/proc/sys/$(printf '%s' "$1" | tr . /)"; }
restore() { while [ "$#" -gt 2 ]; do [ "$2" = "$3" ] || set_live "$1" "$3"; shift 3; done 2>/dev/null; }
live() {
  while [ "$#" -gt 2 ]; do
    [ "$2" = "$3" ] || set_live "$1" "$2" 2>/dev/null || { echo "$1"; return 1; }
    shift 3
  done
}
bad=$(live "$@") || { restore "$@"; end 1 "$bad could not be set, nothing was changed (is it a container?)"; }
if [ "$kind" = none ]; then rm -f -- "$f" || end 1 "$f could not be removed"
else put "$f" 0644 "$content"; fi
"""
)


def plan(host: str, settings: Mapping[str, str]) -> Change | None:
    """Return the change that sets kernel settings, now and after a start, ``None`` where all is so; reads only.

    Args:
        host: A host of the run.
        settings: Key, such as ``net.core.somaxconn``, to value. What our file holds besides stays.

    Raises:
        UsageError: If a key or value is none, or the host's kernel does not have it.
    """
    wanted = {key: " ".join(str(value).split()) for key, value in sorted(settings.items())}
    for key, value in wanted.items():
        if not KEY.fullmatch(key) or not VALUE.fullmatch(value):
            raise UsageError(f"the kernel setting is {key!r:.80} = {value!r:.80}; wanted net.core.somaxconn = 1024")
    if not wanted:
        return None
    target = {"keys": list(wanted)}
    before = observe(host, target)
    kept = dict(LINE.findall(before["content"] or ""))
    merged = {**kept, **wanted}
    content = HEAD + "".join(f"{key} = {value}\n" for key, value in sorted(merged.items()))
    after = {"content": content, "live": wanted}
    if before["live"] == wanted and merged == kept:
        return None
    return Change(
        host=host, what="kernel settings", verb=VERB, target=target, before=before, after=after,
        command=_words(after), undo=_words(before),
    )  # fmt: skip


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the keys of ``target``, ``{"keys": names}``, and of our file."""
    keys = _keys(target)
    lines = remote.look(host, LOOK, PATH, *keys).text.split("\n", len(keys) + 1)
    live = dict(line.split("=", 1) for line in lines[: len(keys)])
    content = lines[-1] if lines[len(keys)] == "file" else None
    return {"content": content, "live": {key: " ".join(value.split()) for key, value in live.items()}}


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Set the live values, then the file; raises as :func:`opsnb.kits.remote.act` does."""
    triples = [word for key in _keys(target) for word in (key, after["live"][key], before["live"][key])]
    content = after["content"]
    remote.act(host, SET, PATH, "none" if content is None else "file", content or "", *triples)


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply))


def _keys(target: JSON) -> list[str]:
    keys = target.get("keys") if isinstance(target, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, str) and KEY.fullmatch(key) for key in keys):
        raise UsageError(f"the target of {VERB} is {{'keys': [...]}}, found {target!r:.80}")
    return keys


def _words(state: JSON) -> str:
    values = ", ".join(f"{key}={value}" for key, value in state["live"].items())
    return f"{values}, and {PATH} " + ("removed" if state["content"] is None else "to say what it says above")
