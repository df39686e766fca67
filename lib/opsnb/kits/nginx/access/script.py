"""The shell script around the awk program: which files, each opened once, as far as it was long when it was opened.

Rules:

* Patterns, names and formats are arguments. A pattern goes through pathname expansion and nothing else.
* A file is known by its device and inode: one that is renamed by log rotation meanwhile is neither counted twice nor
  passed over. A file is opened once; what is written behind its end is left for the next time.
* A log that may not be read ends the script with ``DENIED`` before anything is counted, so that it is asked as root.
* The beginning of a window is sought by halving in a log of more than ``LONG`` bytes: the last hour of a day's log is
  read as fast as an hour's log.
* Time over: the awk program stops at a line, and files that it did not come to are named as ``late``.
* It runs with the lowest priority, for the processor and for the disks where ``ionice`` is.
"""

from opsnb.kits.nginx.access.program import COUNT, GROWTH
from opsnb.kits.remote import DENIED

AWKS = "mawk awk"  # the fastest first; a host has one of them, or "busybox awk"
PATHS, NAMES, STEPS = 2_000, 200, 400  # keys of a table of paths, of hosts and upstreams; steps of the series
LONG, BLOCK = 8 * 1024 * 1024, 1024 * 1024  # bytes from which a log's beginning is sought, and of what is looked at
MARGIN = 600  # seconds: so late may a line be written (buffers of nginx) and still be found

SCAN = (
    r"""
export LC_ALL=C
AWK=$1 PROGRAM=$2 SECONDS_LEFT=$3
export OPSNB_SINCE="$4" OPSNB_UNTIL="$5" OPSNB_WALL="$6" OPSNB_NORMAL="$8"
MINUTES=$7
shift 8
export OPSNB_GROWTH=GROWTH OPSNB_PATHS=PATHS OPSNB_NAMES=NAMES OPSNB_STEPS=STEPS
NOW=$(date +%s) OPSNB_ZONE=$(date +%z)
OPSNB_DEADLINE=$((NOW + SECONDS_LEFT))
export OPSNB_ZONE OPSNB_DEADLINE
export OPSNB_PROBE=0 OPSNB_PART=0
OLDEST=0
if [ "$MINUTES" -gt 0 ]; then
  OPSNB_SINCE=$((NOW - MINUTES * 60)) OLDEST=$OPSNB_SINCE
elif [ -n "$OPSNB_SINCE" ]; then
  # A time without a zone is the log's own: a day is left to be sure.
  OLDEST=$((OPSNB_SINCE - OPSNB_WALL * 86400))
fi
renice -n 19 -p $$ >/dev/null 2>&1
ionice -c 3 -p $$ >/dev/null 2>&1
if [ -z "$AWK" ]; then
  for AWK in AWKS "busybox awk"; do
    command -v "${AWK% awk}" >/dev/null 2>&1 && break
    AWK=
  done
fi
[ -n "$AWK" ] || { echo "there is no awk to count with" >&2; exit REFUSED; }
printf 'opsnb-access\t1\nnow\t%s\t%s\nawk\t%s\n' "$NOW" "$OPSNB_ZONE" "$AWK"
SEEN=' '

# What does not exist, perhaps because its folder is closed to us.
closed() {
  folder=$1
  while [ "$folder" != / ] && [ "$folder" != . ]; do
    folder=$(dirname -- "$folder")
    [ -d "$folder" ] && break
  done
  [ -r "$folder" ] && [ -x "$folder" ] && return 1
  printf '%s: permission denied\n' "$folder" >&2
  exit DENIED
}

# The first look: every file may be read, and how much there is.
sizes() {
  IFS=''
  set -- $1
  unset IFS
  for name; do
    if [ ! -e "$name" ]; then closed "$name"; continue; fi
    [ -f "$name" ] || continue
    [ -r "$name" ] || { printf '%s: permission denied\n' "$name" >&2; exit DENIED; }
    set -- $(stat -L -c '%s %Y' -- "$name" 2>/dev/null)
    [ "${2:-0}" -lt "$OLDEST" ] || total=$((total + ${1:-0}))
  done
}

logs() {
  number=$1 pattern=$2
  export OPSNB_FORMAT="$3"
  IFS=''
  set -- $pattern
  unset IFS
  idents= there=0
  for name; do idents="$idents $(stat -L -c '%d:%i:%s:%Y' -- "$name" 2>/dev/null || echo gone)"; done
  for name; do
    idents=${idents# }
    ident=${idents%% *}
    idents=${idents#"$ident"}
    case $ident in
      gone) [ -e "$name" ] || [ -h "$name" ] || continue; there=1; said vanished; continue;;
    esac
    there=1
    inode=${ident%:*:*}
    modified=${ident##*:}
    case $SEEN in *" $inode "*) continue;; esac
    if [ -e "$name" ] && [ ! -f "$name" ]; then said special; continue; fi
    if [ "$modified" -lt "$OLDEST" ]; then said old; continue; fi
    if [ "$(date +%s)" -ge "$OPSNB_DEADLINE" ]; then said late; continue; fi
    one "$inode"
  done
  [ "$there" = 1 ] || printf 'none\t%s\n' "$number"
}

said() {
  printf '%s\t%s\t' "$1" "$number"
  printf '%s' "$name" | tr '\000-\037\177' '?'
  printf '\n'
}

# One file. Between its listing and its opening it may have been renamed: then it is looked for by its inode.
one() {
  now=
  [ -r "$name" ] && command exec 3<"$name" && now=$(stat -L -c '%d:%i' /proc/self/fd/3)
  if [ "$now" != "$1" ]; then
    for other in "$name".* "$name"-* "${name%.*}".*; do
      [ -r "$other" ] && [ "$(stat -L -c '%d:%i' -- "$other")" = "$1" ] && command exec 3<"$other" && now=$1 && break
    done
    [ "$now" = "$1" ] || { said vanished; return; }
  fi
  SEEN="$SEEN$1 "
  size=$(stat -L -c %s /proc/self/fd/3)
  export OPSNB_LIMIT=0
  OPSNB_LOG=$(printf '%s' "$name" | tr '\000-\037\177' '?')
  export OPSNB_LOG
  start=0
  case $name in
    *.gz|*.bz2|*.xz|*.zst) ;;
    *) [ -n "$OPSNB_SINCE" ] && [ "$size" -gt LONG ] && sought;;
  esac
  printf 'open\t%s\t%s\t%s\n' "$number" "$size" "$((start * BLOCK))"
  case $name in
    *.gz) packed gzip;;
    *.bz2) packed bzip2;;
    *.xz) packed xz;;
    *.zst) packed zstd;;
    *)
      OPSNB_LIMIT=$((size - start * BLOCK)) OPSNB_PART=$((start > 0))
      dd bs=BLOCK skip="$start" </proc/self/fd/3 2>/dev/null | head -c "$OPSNB_LIMIT" | counted
      OPSNB_PART=0
      ;;
  esac
  exec 3<&-
}

# Where a long log's window begins, in blocks: lines are nearly in order, and MARGIN seconds are left to be sure.
sought() {
  high=$((size / BLOCK))
  while [ $((high - start)) -gt 1 ]; do
    middle=$(((start + high) / 2))
    at=$(dd bs=BLOCK skip="$middle" count=1 </proc/self/fd/3 2>/dev/null | OPSNB_PROBE=1 counted)
    case $at in ''|*[!0-9]*) break;; esac
    if [ "$at" -lt $((OPSNB_SINCE - MARGIN)) ]; then start=$middle; else high=$middle; fi
  done
}

packed() {
  if ! command -v "$1" >/dev/null 2>&1; then said "without $1"; return; fi
  { "$1" -dc <&3 2>/dev/null || [ $? -gt 128 ] || printf 'broken\n' >&4; } | counted
}

counted() { tr '\000' '\001' | $AWK "$PROGRAM"; }

exec 4>&1
total=0
for argument; do
  case ${turn:=pattern} in
    pattern) sizes "$argument"; turn=format;;
    *) turn=pattern;;
  esac
done
printf 'total\t%s\n' "$total"
count=0
while [ $# -ge 2 ]; do
  logs "$count" "$1" "$2"
  count=$((count + 1))
  shift 2
done
echo end
""".replace("GROWTH=GROWTH", f"GROWTH={GROWTH}")
    .replace("PATHS=PATHS", f"PATHS={PATHS}")
    .replace("NAMES=NAMES", f"NAMES={NAMES}")
    .replace("STEPS=STEPS", f"STEPS={STEPS}")
    .replace("in AWKS ", f"in {AWKS} ")
    .replace("LONG", str(LONG))
    .replace("BLOCK", str(BLOCK))
    .replace("MARGIN", str(MARGIN))
    .replace("exit DENIED", f"exit {DENIED}")
    .replace("exit REFUSED", "exit 78")
)

__all__ = ["COUNT", "GROWTH", "SCAN"]
