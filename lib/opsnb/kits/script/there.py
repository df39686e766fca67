"""A script on another host: sent on stdin into a folder of its own, run, counted and removed, in one round trip."""

from __future__ import annotations

import json
import re
import secrets

from opsnb.base.canonical import JSON, sha256
from opsnb.base.errors import OpsnbError
from opsnb.kits import remote
from opsnb.kits.script.targets import PATH, Target, interpreter, note_path

SECONDS = 3600.0  # how long a script may take on a host; a run's own time limit is shorter as a rule
EXIT = re.compile(rb"(?:^|\n)opsnb-exit ([0-9]{1,3})\n\Z")

# $1 directory, $2 folder to make, $3 name, $4 digest, $5 note (its path), $6 what the note says, or nothing to remove
# it, $7 when to write it: always, ok or never, $8 interpreter; then env(1)'s arguments and the command
RUN = r"""
set -uf
dir=$1 folder=$2 name=$3 digest=$4 note=$5 says=$6 when=$7 by=$8; shift 8
end() { printf '%s\n' "$2" >&2; exit "$1"; }
mask=$(umask)
umask 077
cd -- "$dir" 2>/dev/null || end 78 "$dir is not a directory that it can work in"
[ -x "$by" ] || end 78 "$by, which runs $name, is not there"
mkdir -- "$folder" || end 78 "$folder could not be made"
trap 'cd /; rm -rf -- "$folder"' EXIT
trap 'exit 75' HUP INT TERM
cat >"$folder/$name" || end 78 "$name could not be written to $folder"
[ "$(sha256sum <"$folder/$name" | cut -c1-64)" = "$digest" ] || end 78 "$name did not arrive whole; not started"
umask "$mask"
env -i "HOME=${HOME:-/}" "TMPDIR=$folder" "$@" </dev/null 2>&1
code=$?
umask 022
if [ "$when" = always ] || { [ "$when" = ok ] && [ "$code" = 0 ]; }; then
  if [ -n "$says" ]; then
    new=$(mktemp "$note.XXXXXXXX") && printf '%s\n' "$says" >"$new" && chmod 0644 "$new" && mv -f -- "$new" "$note" \
      || end 1 "it ended with $code, and $note could not be written"
  else
    rm -f -- "$note" || end 1 "it ended with $code, and $note could not be removed"
  fi
fi
printf 'opsnb-exit %s\n' "$code" >&2
"""

LOOK = r"""
set -u
[ -d "$1" ] && [ -x "$1" ] || { printf '%s is not a directory that can be read\n' "$1" >&2; exit 77; }
shift
for by; do [ -x "$by" ] || { printf '%s, which is to run it, is not there\n' "$by" >&2; exit 78; }; done
"""


def look(host: str, target: Target) -> None:
    """Refuse a host on which a script cannot run; changes nothing.

    Raises:
        UnreachableError: If it cannot be reached.
        OpsnbError: If the directory or an interpreter is missing.
    """
    wanted = [interpreter(str(target[which]))[0] for which in ("script", "undo") if target[which]]
    remote.look(host, LOOK, str(target["directory"]), *wanted)


def run(host: str, target: Target, text: str, *, after: JSON, when: str) -> int:
    """Run ``text`` with a target's values, keep its state, print what it says; return its exit code.

    Args:
        host: The host.
        target: A checked target.
        text: The script, or its undo.
        after: The state to keep; ``None`` for none.
        when: ``always``, ``ok`` (with exit code 0) or ``never``: a check.

    Raises:
        UnreachableError: If the host cannot be reached: it was not started.
        UnknownOutcomeError: If it was started and nobody saw its end.
        OpsnbError: If it could not be started.
    """
    directory, name = str(target["directory"]), str(target["name"])
    folder = f"/tmp/opsnb-script-{secrets.token_hex(16)}"  # noqa: S108  (mkdir fails where it is there, links too)
    said = "" if after is None else json.dumps(after, sort_keys=True)
    by = interpreter(text)
    arguments = [
        directory, folder, name, sha256(text.encode()), note_path(directory, name), said, when, by[0],
        f"PATH={PATH}", "LC_ALL=C.UTF-8", *(f"{k}={v}" for k, v in target["environment"].items()),
        *by, f"{folder}/{name}", *target["arguments"],
    ]  # fmt: skip
    begin = remote.look if when == "never" else remote.act
    result = begin(host, RUN, *arguments, stdin=text.encode(), seconds=float(target.get("seconds") or SECONDS))
    ended = EXIT.search(result.stderr)
    if result.text:
        print("".join(f"{host}: {line}\n" for line in result.text.splitlines()), end="", flush=True)  # noqa: T201
    if ended is None:
        raise OpsnbError(f"{host}: {name} did not say how it ended: {result.errors[-200:]!r}")
    return int(ended[1])
