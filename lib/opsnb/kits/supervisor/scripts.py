r"""The script that asks a host's Supervisor. Values are arguments, never shell text.

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
