"""The commands of a service's files as single programs for :mod:`opsnb.kits.swap`, which takes one of each kind.

Words stay words: fixed scripts take them as arguments, each command as the number of its words and the words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

# Calls its first N words, N before them; what follows them is left alone.
_CALL = r"""
call() {
  n=$1; shift; rest=$(($# - n)); i=0
  while [ "$i" -lt "$n" ]; do set -- "$@" "$1"; shift; i=$((i + 1)); done
  shift "$rest"
  "$@"
}
"""
ALL = (
    _CALL
    + r"""
while [ "$#" -gt 0 ]; do
  call "$@" || { code=$?; printf '%s ended with %s\n' "$2" "$code" >&2; exit "$code"; }
  n=$1; shift; shift "$n"
done
"""
)
# $1 the staged file; then for each file: the name under which it is staged, and a command that may be empty
FOR_ONE = (
    _CALL
    + r"""
staged=$1; shift
while [ "$#" -gt 0 ]; do
  name=$1 n=$2; shift
  if [ "$name" = "$staged" ]; then
    [ "$n" -gt 0 ] || exit 0
    program=$2
    call "$@" || { code=$?; printf '%s ended with %s\n' "$program" "$code" >&2; exit "$code"; }
    exit 0
  fi
  shift; shift "$n"
done
printf 'no rule says how %s is validated\n' "$staged" >&2
exit 1
"""
)
SHELL = ("/bin/sh", "-c")
Words = Sequence[str]


def together(commands: Sequence[Words]) -> tuple[str, ...]:
    """Return one program that runs each of several commands once, in order, until one fails."""
    wanted = list(dict.fromkeys(tuple(words) for words in commands if words))
    if len(wanted) <= 1:
        return wanted[0] if wanted else ()
    return (*SHELL, ALL, "opsnb", *(word for words in wanted for word in _counted(words)))


def checks(rows: Sequence[Mapping[str, Any]], paths: Sequence[str]) -> tuple[str, ...]:
    """Return one program that runs, for a staged file, the validation command of that file.

    Args:
        rows: Files of a target: ``path``, ``validate``.
        paths: Every path that is staged.
    """
    commands = {row["path"]: row["validate"] for row in rows if any("%s" in word for word in row["validate"])}
    if not any(path in commands for path in paths):
        return ()
    words = (word for path in paths for word in (staged_as(path), *_counted(commands.get(path, ()))))
    return (*SHELL, FOR_ONE, "opsnb", "%s", *words)


def staged_as(path: str) -> str:
    """Return the name under which :mod:`opsnb.kits.swap` stages a file, beside its place."""
    pure = PurePosixPath(path)
    return str(pure.with_name(f".{pure.name}.opsnb-new"))


def _counted(words: Words) -> tuple[str, ...]:
    return (str(len(words)), *words)
