"""What lies on a host at several paths, each with its state or the reason why it has none; one round trip.

Unlike :func:`opsnb.kits.swap.read`, one path that cannot be taken does not hide the others: a comparison wants to show
all of them. What is refused is the same (:mod:`opsnb.kits.files`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opsnb import fleet
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.files.shell import FUNCTIONS
from opsnb.kits.files.states import MAX_BYTES, State, text_of

AT_A_TIME = 50  # paths of one round trip: at most 12.5 MiB
SECONDS = 120.0

# $1 most bytes, $2 whether what may not be read ends it ("strict", asked again as root), then paths. Answers for each a
# line: "none", "nodir", "bad WORDS", or "file MODE OWNER SIZE", then the content and "ok" or "changed" on a line.
SURVEY = (
    FUNCTIONS
    + r"""
most=$1 strict=$2
shift 2
bad() { printf 'bad %s\n' "$(printf %s "$1" | tr '\n' ' ')"; }
may_not() { [ "$strict" != strict ] || end 77 "$1"; bad "$p $1"; }
missing() {
  a=${d%/}
  while [ -n "$a" ] && [ ! -e "$a" ] && [ ! -L "$a" ]; do a=${a%/*}; done
  if [ -n "$a" ] && [ ! -d "$a" ]; then bad "$a is not a directory"
  elif [ ! -x "${a:-/}" ]; then may_not "lies in a directory that may not be searched"
  else echo nodir; fi
}
for path; do
  open_file "$path"
  if [ ! -d "$d" ]; then missing; continue; fi
  words=$( (look) 2>&1 ) && code=0 || code=$?
  if [ "$code" = 77 ]; then may_not "${words#"$p "}"; continue; fi
  if [ "$code" != 0 ]; then bad "$words"; continue; fi
  look
  if [ "$facts" = none ]; then echo none; continue; fi
  set -- $facts
  printf 'file %s %s %s\n' "$mode" "$owner" "$3"
  head -c "$3" -- "$p"
  if (unchanged) 2>/dev/null; then printf '\nok\n'; else printf '\nchanged\n'; fi
done
"""
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What lies at one path.

    Args:
        state: The file's content, mode and owner; ``None`` where there is none.
        refused: Why it cannot be taken; empty when it can.
        directory: Whether its directory is there.
    """

    state: State | None = None
    refused: str = ""
    directory: bool = True


def read(host: str, paths: Sequence[str]) -> dict[str, Found]:
    """Return what lies at these paths on a host.

    Raises:
        UnreachableError: If the host cannot be reached.
        OpsnbError: If its answer was none.
    """
    strict = "strict" if remote.elevated(fleet.machine(host)) else "lenient"
    found: dict[str, Found] = {}
    for start in range(0, len(paths), AT_A_TIME):
        part = paths[start : start + AT_A_TIME]
        data = remote.look(host, SURVEY, str(MAX_BYTES), strict, *part, seconds=SECONDS).stdout
        for path in part:
            found[path], data = _one(host, path, data)
    return found


def states(host: str, found: Mapping[str, Found]) -> dict[str, State | None]:
    """Return the states of what was found.

    Raises:
        UsageError: If something lies there that cannot be taken.
    """
    for path, one in found.items():
        if one.refused:
            reason = one.refused if path in one.refused else f"{path}: {one.refused}"
            raise UsageError(f"{host}: {reason}", hint="take it out of config.yaml, or make a plain file of it")
    return {path: one.state for path, one in found.items()}


def _one(host: str, path: str, data: bytes) -> tuple[Found, bytes]:
    """Return what the answer begins with, and the rest of it."""
    head, _, data = data.partition(b"\n")
    words = head.decode("utf-8", "replace").split(" ")
    if words[0] in {"none", "nodir"}:
        return Found(directory=words[0] == "none"), data
    if words[0] == "bad":
        return Found(refused=" ".join(words[1:])), data
    if words[0] != "file" or len(words) != 4:  # noqa: PLR2004  (the words of SURVEY)
        raise OpsnbError(f"{host}: the answer about {path} was {head!r:.80}", hint="does its shell print something?")
    size = int(words[3])
    content, (_, end, data) = data[:size], data[size:].split(b"\n", 2)
    if end != b"ok":
        return Found(refused=f"{path} changed while it was read"), data
    try:
        text = text_of(content, path)
    except UsageError as error:
        return Found(refused=error.message), data
    return Found(state={"content": text, "mode": words[1].zfill(4), "owner": words[2]}), data
