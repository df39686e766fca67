r"""The scripts that read several files and replace them.

The arguments of ``REPLACE``: most bytes of a file, seconds of a program, the number of files; for each file eight
words: path, then digest, mode and owner that it has (``none`` and nothing where there is none), then digest, mode,
owner and size that it will have; then four programs, each as the number of its words and the words. The contents, one
after the other, come on stdin.
"""

from __future__ import annotations

from opsnb.kits.files.shell import FUNCTIONS

# $1 most bytes, then paths; answers for each "none", or "file MODE OWNER SIZE" and the content
READ = (
    FUNCTIONS
    + r"""
most=$1
shift
for path; do
  open_file "$path"
  look
  if [ "$facts" = none ]; then echo none; continue; fi
  set -- $facts
  printf 'file %s %s %s\n' "$mode" "$owner" "$3"
  cat -- "$p" || end 77 "may not be read"
  unchanged
done
"""
)

REPLACE = (
    FUNCTIONS
    + r"""
umask 022
most=$1 seconds=$2 p=swap at=0 last= why= broken=
command -v timeout >/dev/null && limit="timeout $seconds" || limit=
trap : HUP INT TERM PIPE  # a line that is lost does not end it in the middle
work=$(mktemp -d) || end 1 "no temporary directory could be made"
trap 'rm -rf -- "$work"' EXIT

each() {  # FUNCTION ARGUMENTS: calls it with the eight words of each file, and all that follows, until it fails
  do=$1 left=$4; shift 4
  while [ "$left" -gt 0 ]; do
    open_file "$1"; new=$d.${p##*/}.opsnb-new old=$d.${p##*/}.opsnb-old
    "$do" "$@" || return 1
    shift 8; left=$((left - 1))
  done
}
program() {  # NUMBER ARGUMENTS: runs that program; it may have none
  number=$1; shift 3
  shift $(($1 * 8 + 1))
  while [ "$number" -gt 1 ]; do shift $(($1 + 1)); number=$((number - 1)); done
  count=$1; shift
  [ "$count" -gt 0 ] || return 0
  rest=$(($# - count))
  while [ "$count" -gt 0 ]; do
    word=$1; shift
    case $word in *%s) [ -z "$last" ] || word=${word%?s}$last ;; esac
    set -- "$@" "$word"; count=$((count - 1))
  done
  shift "$rest"
  $limit "$@" </dev/null >"$work/said" 2>&1 && { cat "$work/said" 2>/dev/null; return 0; }
  code=$?
  [ "$code" != 124 ] || [ -z "$limit" ] || echo "it took longer than $seconds seconds" >>"$work/said"
  why="$1 ended with $code: $(tail -c 2000 "$work/said")"
  return 1
}
failed() { printf '%s\n%s\n' "$1" "$2" >&2; exit 79; }

same() { look; moved "$2" "$3" "$4"; }
stage() {
  look
  if [ "$5" = none ]; then
    [ "$2" = none ] || [ -n "$4" ] || [ "${ids%:*}" = "$(id -u)" ] \
      || end 1 "belongs to another user; removing it could not be undone"
    return 0
  fi
  rm -f -- "$new"
  (umask 077; set -C; tail -c "+$((at + 1))" "$work/all" | head -c "$8" >"$new") || end 1 "could not be changed"
  at=$((at + $8))
  furnish "$new" "$6" "$7" "$5"
}
try() { [ "$5" = none ] || { last=$new; program 1 - - "$left" "$@"; }; }
keep() {
  [ "$2" != none ] || return 0
  rm -f -- "$old"
  cp -p -- "$p" "$old" && dd if=/dev/null of="$old" conv=notrunc,fsync 2>/dev/null
}
place() { if [ "$5" = none ]; then rm -f -- "$p"; else mv -f -- "$new" "$p"; fi; }
back() {
  if [ "$2" = none ]; then rm -f -- "$p"; else [ ! -e "$old" ] || mv -f -- "$old" "$p"; fi || broken="$broken $p"
}
forget() { rm -f -- "$new" "$old"; }
flush() { sync "$d" 2>/dev/null || :; }
restore() {  # WORDS ARGUMENTS
  words=$1; shift
  each back "$@"
  each flush "$@"
  [ -z "$broken" ] || failed "PUTTING BACK FAILED, look at$broken before anything else:" "$words"
  each forget "$@"
}

cat >"$work/all" || end 1 "no temporary file could be written"
each same "$@"
(each stage "$@") || { code=$?; each forget "$@"; exit "$code"; }
each try "$@" || { each forget "$@"; failed "nothing was changed:" "$why"; }
last=
each keep "$@" || { each forget "$@"; failed "nothing was changed:" "$p could not be kept"; }
each place "$@" || { restore "" "$@"; failed "put back:" "$p could not be replaced"; }
each flush "$@"
program 2 "$@" || { first=$why; restore "$first" "$@"; failed "put back:" "$first"; }
program 3 "$@" && program 4 "$@" || {
  first=$why
  restore "$first" "$@"
  program 3 "$@" >/dev/null || failed "put back, AND MAKING THE SERVICE TAKE THE OLD FILES FAILED TOO:" "$first
$why"
  failed "put back:" "$first"
}
each forget "$@"
"""
)
