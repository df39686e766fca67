"""The running nginx: whether it has loaded what is on disk, and a reload that is known to have been taken.

Rules:

* ``nginx -s reload`` answers 0 when the signal was sent. Whether the master took the configuration shows in its workers:
  a reload was taken when workers of a new generation run and no old one accepts connections any more.
* Loaded means: the oldest worker that accepts connections began after each file last changed (its ctime, which a rename
  and a change of mode move too), and for a file that is not there, after its directory did. Workers' starts are counted
  in ticks since boot, so the clock is read beside a process that starts at that moment, and every rounding goes to the
  safe side. What cannot be told counts as not loaded; its repair is a reload, which harms nobody.
* What this cannot see: a clock that was set forward after the change, and a single worker that died and was replaced
  with the configuration that the master still holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from opsnb.base.errors import OpsnbError
from opsnb.kits import remote

RELOAD_SECONDS = 20  # in which a master must have started workers of a new generation

WORKERS = r"""
workers() {  # answers PID:START of each worker of $1 that accepts connections
  for d in /proc/[0-9]*; do
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

# $1 pid of the master, then paths; answers "loaded", or why not
LOADED = (
    WORKERS
    + r"""
set -uf
no() { echo "$1"; exit 0; }
master=$1 newest=0 tick=$(getconf CLK_TCK 2>/dev/null) || tick=100
shift
for p; do
  q=$p
  [ -e "$p" ] || q=${p%/*}/
  c=$(stat -L -c %.9Z -- "$q" 2>/dev/null) || no "when $q changed cannot be seen"
  case $c in *[!0-9.]* | "" | .*) no "when $q changed cannot be seen" ;; esac
  c=${c%%.*}$(printf '%.9s' "${c#*.}000000000")
  [ "$c" -le "$newest" ] || newest=$c last=$q
done
set +f
oldest=
for w in $(workers "$master"); do
  [ -n "$oldest" ] && [ "${w#*:}" -ge "$oldest" ] || oldest=${w#*:}
done
[ -n "$oldest" ] || no "no worker of the master $master can be seen"
gap=9000000000000000000
for n in 1 2 3 4 5 6 7 8; do
  a=$(date +%s%N); s=$(cat /proc/self/stat); b=$(date +%s%N)
  case $a$b in *[!0-9]*) no "this clock has no nanoseconds" ;; esac
  [ $((b - a)) -lt "$gap" ] || continue
  set -- ${s##*) }
  gap=$((b - a)) began=$((a - (${20} + 1 - oldest) * (1000000000 / tick)))
done
[ "$began" -ge $((newest + 10000000)) ] || no "$last changed after the workers began"
echo loaded
"""
)

# $1 pid of the master, $2 seconds, $3 its error log or nothing
RELOAD = (
    WORKERS
    + r"""
set -u
master=$1 most=$(($2 * 10)) log=$3
case $(tr '\0' ' ' <"/proc/$master/cmdline" 2>/dev/null) in
  "nginx: master process"*) ;;
  *) echo "the master that ran as process $master is gone"; exit 1 ;;
esac
before=$(workers "$master")
size=
[ -z "$log" ] || [ ! -f "$log" ] || [ ! -r "$log" ] || size=$(wc -c <"$log")
sleep 0.1 2>/dev/null || sleep 1  # so that a file's time and a worker's start can be told apart
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
n=0
while [ "$n" -lt "$most" ]; do
  taken && exit 0
  n=$((n + 1))
  sleep 0.1 2>/dev/null || { sleep 1; n=$((n + 9)); }
done
echo "the master (process $master) did not take the configuration within $2 seconds: no new workers"
[ -z "$size" ] || tail -c "+$((size + 1))" "$log" | grep -E '\[(emerg|alert|crit)\]' | tail -n 5
exit 1
"""
)


def loaded(host: str, master: int, paths: Sequence[str]) -> tuple[bool, str]:
    """Return whether a running master has loaded what is on disk at ``paths``, and why not.

    Raises:
        UnreachableError: If the host cannot be reached.
        OpsnbError: If the script failed.
    """
    said = remote.look(host, LOADED, str(master), *paths).text.strip()
    return said == "loaded", "" if said == "loaded" else said


def reload_program(master: int, log: str = "", seconds: int = RELOAD_SECONDS) -> list[str]:
    """Return the program that makes a master reload and ends with 0 when workers of a new generation run.

    Args:
        master: Its process.
        log: Path of its error log, whose last words tell why it did not.
        seconds: How long it may take.
    """
    return [remote.SHELL, "-c", RELOAD, "opsnb", str(master), str(seconds), log]


def running(host: str, pid: int | None) -> int:
    """Return the process of a host's master.

    Raises:
        OpsnbError: If nginx does not run there.
    """
    if pid is None:
        raise OpsnbError(
            f"{host}: nginx does not run; it is not started by a change of its configuration, and nothing was changed",
            hint="nginx -t, then start it the way this host does, and plan again",
        )
    return pid
