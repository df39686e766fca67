r"""The scripts that change what a host's Supervisor runs, and prove it. Values are arguments, never shell text.

Each goes on to its end when its line is lost. A failure ends with 79 and its reason; those of
:func:`opsnb.kits.swap.replace` print the reason and end with 1.
"""

from __future__ import annotations

from opsnb.kits.supervisor.scripts import COMMON

FETCH = r"""
fetch() {  # URL: the status of its answer, 000 when there is none
  if command -v curl >/dev/null; then
    curl -q -g -s -o /dev/null -m 10 --noproxy '*' -w '%{http_code}' "$1" || :
  elif command -v wget >/dev/null; then
    wget -q -O /dev/null -T 10 "$1" >/dev/null 2>&1 && echo 200 || echo 000
  elif command -v python3 >/dev/null; then
    python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=10).status)' "$1" 2>/dev/null \
      || echo 000
  else
    end 78 "there is neither curl, wget nor python3 to ask $1 with"
  fi
}
"""

WAIT = r"""
failed() { printf '%s\n' "$1" >&2; exit 79; }
state_of() { ask status "$1" | awk -v name="$1" '$1 == name { print $2; exit }'; }
last_words() { ask tail -600 "$1" stderr | tail -n 5; }
until_up() {  # PROCESS UPTIME-SECONDS-SINCE-BOOT: waits until it runs, or says why it does not
  while :; do
    now=$(state_of "$1")
    case $now in
      RUNNING) return 0 ;;
      STARTING | STOPPING | BACKOFF) ;;
      *) failed "$1 is ${now:-not there}: $(last_words "$1")" ;;
    esac
    [ "$(cut -d. -f1 /proc/uptime)" -lt "$2" ] || failed "$1 is still $now: $(last_words "$1")"
    sleep 0.3 2>/dev/null || sleep 1
  done
}
until_well() {  # URL UPTIME-SECONDS-SINCE-BOOT
  while code=$(fetch "$1"); [ "$code" != 200 ]; do
    [ "$(cut -d. -f1 /proc/uptime)" -lt "$2" ] || failed "$1 was answered with $code, wanted 200"
    sleep 0.3 2>/dev/null || sleep 1
  done
}
"""

# $1 configuration file, $2 start, stop, restart or crash, $3 process, $4 URL or nothing, $5 seconds
ACT = (
    COMMON
    + FETCH
    + WAIT
    + r"""
find_supervisor "$1"
action=$2 name=$3 url=$4 until=$(($(cut -d. -f1 /proc/uptime) + $5))
trap : HUP INT TERM PIPE  # a line that is lost does not end it between stop and start
case $action in
  start | restart)
    said=$(ask "$action" "$name")
    case $said in
      *'no such '*) failed "$said" ;;
    esac
    until_up "$name" "$until"
    ;;
  stop)
    said=$(ask stop "$name")
    case $(state_of "$name") in
      STOPPED | EXITED | FATAL) ;;
      *) failed "$said" ;;
    esac
    ;;
  crash)
    before=$(ask pid "$name")
    case $before in '' | 0 | *[!0-9]*) failed "$name has no process to kill: $before" ;; esac
    kill -9 "$before" || failed "process $before could not be killed"
    while after=$(ask pid "$name"); [ "$after" = "$before" ] || [ "$after" = 0 ]; do
      case $(state_of "$name") in
        EXITED | FATAL | STOPPED) failed "$name was killed and not started again: is autorestart off?" ;;
      esac
      [ "$(cut -d. -f1 /proc/uptime)" -lt "$until" ] || failed "$name was killed and did not come back"
      sleep 0.3 2>/dev/null || sleep 1
    done
    until_up "$name" "$until"
    ;;
esac
[ -z "$url" ] || [ "$action" = stop ] || until_well "$url" "$until"
"""
)

# $1 URL: the status of its answer
ASK = (
    COMMON
    + FETCH
    + r"""
fetch "$1"
"""
)

# $1 configuration file: whether supervisord can read what is on disk
VALIDATE = (
    COMMON
    + r"""
find_supervisor "$1"
said=$(ask reread)
case $said in *ERROR* | *error:* | *'no such file'* | *'refused connection'*) printf '%s\n' "$said"; exit 1 ;; esac
"""
)

# $1 configuration file, $2 program: supervisord takes what is on disk, of this program only
ACTIVATE = (
    COMMON
    + r"""
find_supervisor "$1"
said=$(ask update "$2")
printf '%s\n' "$said"
case $said in
  *"no such group: $2"*) ask status | awk '{ print $1 }' | grep -q "^$2\(:\|\$\)" && exit 1; exit 0 ;;
  *ERROR* | *error:* | *'has problems'* | *'no such file'* | *'refused connection'*) exit 1 ;;
esac
exit 0
"""
)

# $1 configuration file, $2 program, $3 "up" or "known", $4 seconds, $5 URL or nothing, $6 its file, then its processes
PROVE = (
    COMMON
    + FETCH
    + WAIT
    + r"""
find_supervisor "$1"
program=$2 wanted=$3 until=$(($(cut -d. -f1 /proc/uptime) + $4)) url=$5 file=$6
shift 6
escaped() {  # PIDs that this program left behind: marked by supervisord, not its children, not older than the file
  age=$(($(date +%s) - $(stat -c %Y -- "$file") + 2))
  for dir in /proc/[0-9]*; do
    one=${dir#/proc/}
    tr '\0' '\n' <"$dir/environ" 2>/dev/null | grep -qx "SUPERVISOR_GROUP_NAME=$program" || continue
    seconds=$(ps -o etimes= -p "$one" 2>/dev/null) || continue
    [ "$((seconds + 0))" -le "$age" ] || continue
    above=$one
    while above=$(ps -o ppid= -p "$above" 2>/dev/null | tr -d ' '); [ "${above:-0}" -gt 1 ]; do
      [ "$above" != "$pid" ] || break
    done
    [ "$above" = "$pid" ] || printf '%s ' "$one"
  done
}
quick=  # a process that ended at once
for process; do
  [ "$wanted" = up ] || { [ -n "$(state_of "$process")" ] || failed "$process is not there"; continue; }
  while :; do
    now=$(state_of "$process")
    case $now in
      RUNNING) break ;;
      STARTING) ;;
      *) quick="$process is ${now:-not there}"; break ;;
    esac
    [ "$(cut -d. -f1 /proc/uptime)" -lt "$until" ] || { quick="$process is still $now"; break; }
    sleep 0.3 2>/dev/null || sleep 1
  done
  [ -z "$quick" ] || break
done
if [ -n "$quick" ]; then
  words=$(last_words "$process")
  how=$(ask status "$process" | sed 's/^[^ ]* *[A-Z]* *//')
  ask stop "$program:*" >/dev/null
  left=$(escaped)
  if [ -n "$left" ]; then
    kill $left 2>/dev/null; sleep 1; kill -9 $left 2>/dev/null
    echo "it daemonizes itself: its first process ended while another one of it ran on ($left, ended now);"
    echo "Supervisor can only keep a program that stays in the foreground"
    exit 1
  fi
  printf '%s: %s\n%s\n' "$quick" "$how" "$words"
  exit 1
fi
[ -z "$url" ] || [ "$wanted" != up ] || until_well "$url" "$until"
"""
)
