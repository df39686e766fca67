r"""What the fixed scripts that look at files of other hosts, and write them, share: functions for a POSIX shell.

They work on ``$p``, the file's path, and ``$d``, its directory with a ``/`` at the end, which ``open_file PATH`` sets;
``$most`` is the most bytes that are taken.

* ``end CODE WORDS`` ends the script; the codes are those of :mod:`opsnb.kits.remote`.
* ``look`` refuses what is no plain file, and sets ``facts`` (``none`` without a file), ``mode``, ``ids``, ``owner``.
* ``moved DIGEST MODE OWNER`` ends the script unless the file is as these say; no digest is ``none``, no owner is any.
* ``digest FILE`` prints the SHA-256 of a file.
* ``furnish FILE MODE OWNER DIGEST`` makes a file that was just written ready to take the place of ``$p``: its digest is
  compared, it gets its owner (empty: the one that ``$p`` has) and mode, and is synced.
"""

from __future__ import annotations

FUNCTIONS = r"""
set -uf
end() { printf '%s %s\n' "$p" "$2" >&2; exit "$1"; }
open_file() { p=$1 d=${1%/*}/; }
digest() { sha256sum <"$1" 2>/dev/null | cut -c1-64; }
look() {
  if [ ! -d "$d" ]; then
    [ "$(id -u)" != 0 ] || end 78 "has no directory: $d is not there"
    end 77 "has no directory that may be seen: $d"
  fi
  [ -x "$d" ] || end 77 "lies in a directory that may not be searched"
  [ ! -L "$p" ] || end 78 "is a symbolic link; links are not followed"
  if [ ! -e "$p" ]; then facts=none ids= mode= owner=; return; fi
  [ -f "$p" ] || end 78 "is not a regular file"
  facts=$(stat -c '%a %h %s %i %Y %u:%g %U:%G' -- "$p") || end 77 "may not be looked at"
  set -- $facts
  [ "$2" = 1 ] || end 78 "has $2 names (hard links); a rewrite would split them"
  [ "$3" -le "$most" ] || end 78 "is larger than $most bytes, and a plan carries the whole file"
  case $(ls -ld -- "$p") in ??????????+*) end 78 "has an access list, which a rewrite would lose" ;; esac
  [ -r "$p" ] || end 77 "may not be read"
  mode=$1 ids=$6 owner=$7
}
unchanged() {
  [ "$(stat -c '%a %h %s %i %Y %u:%g %U:%G' -- "$p")" = "$facts" ] || end 75 "changed while it was read"
}
moved() {
  if [ "$facts" = none ]; then [ "$1" = none ] || end 76 ""; return; fi
  [ "$(digest "$p")" = "$1" ] || end 76 ""
  [ "$mode" = "$2" ] || end 76 ""
  [ -z "$3" ] || [ "$owner" = "$3" ] || end 76 ""
}
furnish() {
  [ "$(digest "$1")" = "$4" ] || end 75 "did not arrive whole; the old file is untouched"
  set -- "$1" "$2" "${3:-$ids}"
  [ -z "$3" ] || [ "$(stat -c %u:%g -- "$1")" = "$3" ] || chown "$3" "$1" \
    || end 1 "could not be changed: its owner would be another"
  chmod "$2" "$1" || end 1 "could not be changed"
  dd if=/dev/null of="$1" conv=notrunc,fsync 2>/dev/null || end 1 "could not be changed: fsync"
}
"""

LOOK = (
    FUNCTIONS
    + r"""
open_file "$1"
most=$2
look
"""
)
"""Begins a script about one file: ``$1`` its path, ``$2`` the most bytes."""

MOVED = r"""
moved "$3" "$4" "$5"
"""
"""Goes on with ``$3`` digest of the content that is there, or none; ``$4`` its mode; ``$5`` its owner, or nothing."""
