r"""The scripts that ask a host's Supervisor and change what it runs. Values are arguments, never shell text.

``LOOK`` answers with named texts: a line ``NAME LENGTH``, then so many bytes, then a line feed. What it is asked for:

* ``s`` status of every process, and when each was started;
* ``v`` the version of supervisord;
* ``c`` the configuration files, and what of them does not run yet (``reread`` parses, it starts and stops nothing);
* ``l`` what the log of supervisord says about starts and ends, rotated logs too;
* ``t`` the last words of processes that do not run.
"""

from __future__ import annotations

COMMON = r"""
LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
end() { printf '%s\n' "$2" >&2; exit "$1"; }
ask() { "$ctl" -c "$conf" "$@" </dev/null 2>&1; }
option() {  # SECTION NAME: the value of an option in the main file, its continuation lines too, without comments
  awk -v section="[$1]" -v name="$2" '
    { sub(/\r$/, "") }
    /^\[/ { here = (index($0, section) == 1); on = 0; next }
    /^[ \t]*[;#]/ { next }
    !here { next }
    on && /^[ \t]+[^ \t]/ { sub(/[ \t]+[;#].*$/, ""); print; next }
    { on = 0; split($0, part, /[ \t]*[=:]/); if (part[1] == name) {
        on = 1; sub(/^[^=:]*[=:][ \t]*/, ""); sub(/[ \t]+[;#].*$/, ""); print } }
  ' "$conf" | sed "s|%(here)s|$here|g; s|%(host_node_name)s|$(uname -n)|g"
}
daemon() {  # the supervisord of this host: its pid, its program and its configuration file, or nothing
  ps -eo pid=,args= 2>/dev/null | awk '
    { at = 0
      for (i = 2; i <= 4 && i <= NF; i++) { n = split($i, part, "/"); if (part[n] == "supervisord") { at = i; break } }
      if (!at || (at > 2 && $2 !~ /python/)) next
      file = ""
      for (i = at + 1; i <= NF; i++) {
        if ($i == "-c" || $i == "--configuration") file = $(i + 1)
        else if ($i ~ /^--configuration=/) file = substr($i, 17)
        else if ($i ~ /^-c./) file = substr($i, 3)
      }
      print $1, $at, (file == "" ? "-" : file) }' |
  while read -r pid program file; do
    [ ! -e "/proc/$pid/root" ] || [ "/proc/$pid/root" -ef / ] || continue  # of a container
    case $file in /*) ;; *) cwd=$(readlink "/proc/$pid/cwd") && [ "$file" = - ] || file=${cwd:+$cwd/$file} ;; esac
    printf '%s %s %s\n' "$pid" "$program" "${file:-?}"
    break
  done
}
find_supervisor() {  # CONF: sets pid, ctl, conf and here; ends where there is no Supervisor
  wanted=$1 pid= program= file=-
  read -r pid program file <<END
$(daemon)
END
  ctl=$(command -v supervisorctl) || ctl=${program%/*}/supervisorctl
  [ -x "$ctl" ] || ctl=
  conf=$wanted
  case $conf$file in
    '?') end 77 "where supervisord was started may not be read" ;;
    /*) [ -n "$conf" ] || [ -e "$file" ] || [ "$(id -u)" = 0 ] || end 77 "$file may not be read" ;;
  esac
  if [ -z "$conf" ]; then
    for place in "$file" /etc/supervisord.conf /etc/supervisor/supervisord.conf /usr/local/etc/supervisord.conf; do
      [ ! -e "$place" ] || { conf=$place; break; }
    done
  fi
  here=${conf%/*}
  [ -z "$conf" ] || [ ! -e "$conf" ] || [ -r "$conf" ] || end 77 "$conf may not be read"
}
"""

# $1 configuration file, empty: find it; $2 what is asked for; then the processes whose last words are wanted
LOOK = (
    COMMON
    + r"""
say() { printf '%s %d\n%s\n' "$1" "${#2}" "$2"; }
find_supervisor "$1"
wants() { case $wanted_parts in *"$1"*) ;; *) return 1 ;; esac; }
wanted_parts=$2
say pid "$pid"; say ctl "$ctl"; say conf "$conf"; say now "$(date '+%s %z')"
say boot "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
[ -n "$ctl" ] && [ -n "$conf" ] || { say end ""; exit 0; }
[ -e "$conf" ] || end 78 "$conf is not there"

socket=$(option unix_http_server file); socket=${socket%% *}
[ -z "$socket" ] || [ ! -S "$socket" ] || [ -w "$socket" ] || end 77 "supervisorctl may not connect to supervisord"
status=$(ask status)
case $status in
  *'Permission denied'* | *PermissionError*) end 77 "supervisorctl may not connect to supervisord" ;;
esac
say status "$status"
say starts "$(printf '%s\n' "$status" | sed -n 's/.* pid \([0-9][0-9]*\), uptime.*/\1/p' | while read -r one; do
  printf '%s %s\n' "$one" "$(sed 's/.*) //' "/proc/$one/stat" 2>/dev/null | cut -d' ' -f20)"
done)"
case $status in
  *'refused connection'* | *'no such file'* | *'requires authentication'*) up= ;;
  error:* | *' error: <class'* | Sorry,*) up= ;;
  *) up=yes ;;
esac
[ -z "$up" ] || ! wants v || say version "$(ask version)"
[ -z "$up" ] || ! wants c || say reread "$(ask reread)"

if wants c; then
  patterns=$(option include files)
  say patterns "$patterns"
  say "file $conf" "$(head -c 262144 -- "$conf")"
  set -f
  for pattern in $patterns; do
    case $pattern in /*) ;; *) pattern=$here/$pattern ;; esac
    set +f; IFS=
    for file in $pattern; do [ ! -f "$file" ] || say "file $file" "$(head -c 262144 -- "$file")"; done
    set -f; unset IFS
  done
  set +f
fi
if wants l; then
  log=$(option supervisord logfile); log=${log%% *}
  case $log in
    '') log=$(readlink "/proc/${pid:-0}/cwd")/supervisord.log ;;
    /*) ;;
    *) log=$(readlink "/proc/${pid:-0}/cwd")/$log ;;
  esac
  say logfile "$log"
  say log "$(for number in 20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0; do
    one=$log.$number; [ "$number" != 0 ] || one=$log
    [ ! -f "$one" ] || tail -c 8388608 -- "$one" | grep -aE \
      ' (spawned|exited|gave up|stopped|success): |supervisord started with| CRIT | WARN (killing|exited)'
  done | tail -n 4000)"
fi
if wants t && [ -n "$up" ]; then
  printf '%s\n' "$status" | awk '$2 ~ /^(FATAL|BACKOFF|EXITED|UNKNOWN)$/ { print $1 }' | head -n 10 |
  while read -r name; do
    say "stderr $name" "$(ask tail -1500 "$name" stderr)"
    say "stdout $name" "$(ask tail -1500 "$name")"
  done
fi
say end ""
"""
)

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
