"""The running nginx: whether it has loaded what is on disk, and a reload that is known to have been taken.

Rules:

* ``nginx -s reload`` answers 0 when the signal was sent. Whether the master took the configuration shows in its
  workers: a reload was taken when workers of a new generation run and no old one accepts connections any more.
* Loaded means: the oldest worker that accepts connections began at least a twentieth of a second after each file last
  changed (its ctime, which a rename and a change of mode move too), and for a file that is not there, after its
  directory did. Workers' starts are counted in ticks since boot, so the clock is read beside a process that starts at
  that moment, and every rounding goes to the safe side; the twentieth is far more than that can be wrong, so that the
  same state is told the same way each time. What cannot be told counts as not loaded; its repair is a reload, which
  harms nobody.
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
gap=9000000000000000000
for n in 1 2 3 4 5 6 7 8; do
  a=$(date +%s%N); s=$(cat /proc/self/stat); b=$(date +%s%N)
  case $a$b in *[!0-9]*) unknown "this clock has no nanoseconds" ;; esac
  [ $((b - a)) -lt "$gap" ] || continue
  s=${s##*) }
  gap=$((b - a)) began=$((a - ($(echo "$s" | cut -d' ' -f20) + 1 - oldest) * (1000000000 / tick)))
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
  [ "$began" -ge $((c + 50000000)) ] || echo "$n"
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
master=$1 most=$(($2 * 10))
case $(tr '\0' ' ' <"/proc/$master/cmdline" 2>/dev/null) in
  "nginx: master process"*) ;;
  *) echo "the master that ran as process $master is gone"; exit 1 ;;
esac
before=$(workers "$master")
log=$(readlink "/proc/$master/fd/2" 2>/dev/null)
size=
[ ! -f "$log" ] || [ ! -r "$log" ] || size=$(wc -c <"$log")
since() { [ -z "$size" ] || tail -c "+$((size + 1))" "$log" | grep -E '\[(emerg|alert|crit)\]'; }
sleep 0.15 2>/dev/null || sleep 1  # so that a file's time and a worker's start can be told apart
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
n=0 bad=
while [ "$n" -lt "$most" ]; do
  taken && exit 0
  [ -n "$bad" ] || [ -z "$(since)" ] || { bad=1; [ $((n + 40)) -gt "$most" ] || most=$((n + 40)); }
  n=$((n + 1))
  sleep 0.1 2>/dev/null || { sleep 1; n=$((n + 9)); }
done
echo "the master (process $master) did not take the configuration: no new workers within $((n / 10)) seconds"
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
