"""The running nginx: whether it has loaded what is on disk, and a reload that is known to have been taken.

Rules:

* ``nginx -s reload`` answers 0 when the signal was sent. Whether the master took the configuration shows in its
  workers: a reload was taken when workers of a new generation run and no old one accepts connections any more.
* Loaded means: no file changed after the oldest worker that accepts connections began. A file's change is its ctime,
  which a rename and a change of mode move too; that of a file that is not there is its directory's. Workers' starts are
  counted in ticks since boot, so the clock is read beside a process that starts at that moment.
* Both times are known to some milliseconds only, and the same state must be told the same way each time. Files that
  were written and then loaded lie a few milliseconds apart, files that were not loaded usually hours: so what changed
  less than 30 ms after the workers began counts as loaded. What cannot be told counts as not loaded; its repair is a
  reload, which harms nobody.
* What this cannot see: a clock that was set forward after the change, and a single worker that died and was replaced
  with the configuration that the master still holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from opsnb.base.errors import OpsnbError
from opsnb.kits import remote

RELOAD_SECONDS = 45  # in which a master must have started workers of a new generation

WORKERS = r"""
workers() {  # answers PID:START of each worker of $1 that accepts connections
  few=$(cat "/proc/$1/task/$1/children" 2>/dev/null) || few=$(cd /proc && echo [0-9]*)
  for d in $few; do
    d=/proc/$d
    { read -r s <"$d/stat"; } 2>/dev/null || continue
    set -- "$1" ${s##*) }
    [ "$3" = "$1" ] || continue
    case $(tr '\0' ' ' <"$d/cmdline" 2>/dev/null) in
      "nginx: worker process is shutting down"*) ;;
      "nginx: worker process"*) echo "${d#/proc/}:${21}" ;;
    esac
  done
}
"""

# $1 pid of the master, then paths; answers the number of each that changed after the workers began, then "seen"; or
# "unknown" and why that cannot be told
LATE = (
    WORKERS
    + r"""
unknown() { echo "unknown $1"; exit 0; }
master=$1 tick=$(getconf CLK_TCK 2>/dev/null) || tick=100
shift
oldest=
for w in $(workers "$master"); do
  [ -n "$oldest" ] && [ "${w#*:}" -ge "$oldest" ] || oldest=${w#*:}
done
[ -n "$oldest" ] || unknown "no worker of the master $master can be seen"
began=0 least=9000000000000000000 n=0 turn=$((1000000000 / tick))
# The clock before and after a process begins: the workers began between the two, told on a busy machine by more tries.
while [ "$n" -lt 60 ] && [ $((least - began)) -gt 20000000 ]; do
  n=$((n + 1))
  a=$(date +%s%N); s=$(cat /proc/self/stat); b=$(date +%s%N)
  case $a$b in *[!0-9]*) unknown "this clock has no nanoseconds" ;; esac
  s=$(echo "${s##*) }" | cut -d' ' -f20)
  a=$((a - (s + 1 - oldest) * turn)) b=$((b - (s - 1 - oldest) * turn))
  [ "$a" -le "$began" ] || began=$a
  [ "$b" -ge "$least" ] || least=$b
done
n=0
for p; do
  n=$((n + 1))
  [ -e "$p" ] || p=${p%/*}/
  c=$(stat -L -c %.9Z -- "$p" 2>/dev/null)
  case $c in *[!0-9.]* | "" | .*)
    [ "$(id -u)" = 0 ] || { echo "$p may not be looked at" >&2; exit 77; }
    unknown "when $p changed cannot be seen" ;;
  esac
  c=${c%%.*}$(printf '%.9s' "${c#*.}000000000")
  [ $((began + 30000000)) -ge "$c" ] || echo "$n"
done
echo seen
"""
)

# $1 pid of the master, $2 seconds. Its error log is what its stderr leads to. After an [emerg] there the master has
# given up, or binds to an address five times more within 2.5 seconds: then 4 seconds are waited.
RELOAD = (
    WORKERS
    + r"""
set -u
master=$1 began=$(date +%s)
end=$((began + $2))
case $(tr '\0' ' ' <"/proc/$master/cmdline" 2>/dev/null) in
  "nginx: master process"*) ;;
  *) echo "the master that ran as process $master is gone"; exit 1 ;;
esac
before=$(workers "$master")
log=$(readlink "/proc/$master/fd/2" 2>/dev/null)
size=
[ ! -f "$log" ] || [ ! -r "$log" ] || size=$(wc -c <"$log")
since() { [ -z "$size" ] || tail -c "+$((size + 1))" "$log" | grep -F '[emerg]'; }
kill -HUP "$master" || { echo "the master (process $master) could not be told to reload"; exit 1; }
taken() {
  new= old=
  for w in $(workers "$master"); do
    case "
$before
" in *"
$w
"*) old=$w ;; *) new=$w ;; esac
  done
  [ -n "$new" ] && [ -z "$old" ]
}
bad=
until taken; do
  now=$(date +%s)
  [ "$now" -le "$end" ] || break
  [ -n "$bad" ] || [ -z "$(since)" ] || { bad=1; [ $((now + 4)) -gt "$end" ] || end=$((now + 4)); }
  sleep 0.1 2>/dev/null || sleep 1
done
! taken || exit 0
echo "the master (process $master) did not take the configuration: no new workers within $((now - began)) seconds"
since | tail -n 5
exit 1
"""
)


def changed_since(host: str, master: int, paths: Sequence[str]) -> list[str]:
    """Return those of some paths that changed after a master's workers began; all of them where that cannot be told.

    Raises:
        UnreachableError: If the host cannot be reached.
        OpsnbError: If the script failed.
    """
    *late, last = remote.look(host, LATE, str(master), *paths).text.splitlines() or ["nothing"]
    return [paths[int(number) - 1] for number in late] if last == "seen" else list(paths)


def loaded(host: str, master: int | None, paths: Sequence[str]) -> bool:
    """Return whether a running master has loaded what is on disk; raises as :func:`changed_since` does."""
    return master is not None and not changed_since(host, master, paths)


def reload_program(master: int, seconds: int = RELOAD_SECONDS) -> list[str]:
    """Return the program that makes a master reload and ends with 0 when workers of a new generation run.

    Args:
        master: Its process.
        seconds: How long it may take.
    """
    return [remote.SHELL, "-c", RELOAD, "opsnb", str(master), str(seconds)]


def running(host: str, pid: int | None, conf: str) -> int:
    """Return the process of a host's master that runs with a configuration file.

    Raises:
        OpsnbError: If nginx does not run there.
    """
    if pid is None:
        raise OpsnbError(
            f"{host}: no nginx runs with {conf}; a change of its configuration starts none, and nothing was changed",
            hint="nginx -t, then start it the way this host does, and plan again",
        )
    return pid
