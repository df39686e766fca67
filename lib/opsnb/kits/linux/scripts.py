"""What is run on a host to read it: constant ``/bin/sh`` text for dash, bash and busybox ash; values are arguments.

Rules that hold for every script here:

* ``$1`` is a number used once. Each text stands behind a line ``@NUMBER name``, so that nothing on the host, not even
  a process that calls itself like such a line, can pass for another text: a process name has 15 bytes, the number 16.
* Nothing is written on the host, nothing is waited for without end, and every list has a bound; what was cut is told.
* The long part travels through gzip where the host has it. What may hang (file systems) comes last, outside of it.
"""

from __future__ import annotations

from opsnb.kits.linux.disks import IMAGES, PSEUDO

MAX_PROCESSES = 20_000
MAX_SOCKETS = 200_000  # of one protocol; a line is about 60 bytes here
MAX_MOUNTS = 400  # file systems that are asked for their size
MAX_LINES = 20_000  # of a tool's list
ANSWER_SECONDS = 2  # as for this machine: a file system that does not answer for this long is reported

PRELUDE = r"""
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin LC_ALL=C LANG=C
export PATH LC_ALL LANG
unset POSIXLY_CORRECT COLUMNS
b=$1
say() { printf '\n@%s %s\n' "$b" "$1"; }
has() { command -v "$1" >/dev/null 2>&1; }
file() {
  [ -r "$1" ] || return 0
  say "file $1"
  cat "$1" 2>/dev/null || say "unread $1"
}
packed() {
  if has gzip; then say gzip; "$@" </dev/null 2>/dev/null | gzip -1 -c; else "$@" </dev/null 2>/dev/null; fi
}
"""

_EACH = r"""
each() {
  has awk || { say "without awk"; return 0; }
  awk -v "b=$b" -v "n=__PROCESSES__" -v "only=$2" 'BEGIN {
    for (i = 1; i < ARGC && i <= n; i++) {
      f = ARGV[i]; t = ""
      while ((getline l < f) > 0) if (only == "" || l ~ only) t = t l "\n"
      close(f)
      if (t != "") printf "\n@%s file %s\n%s", b, f, t
    }
    if (ARGC - 1 > n) printf "\n@%s cut %d processes\n", b, ARGC - 1 - n
    exit
  }' /proc/[0-9]*/"$1" || say "without processes"
}
table() {
  [ -r "$1" ] || return 0
  has awk || return 0
  say "file $1"
  awk -v "b=$b" -v "n=__SOCKETS__" 'NR == 1 { print; next }
    NR <= n + 1 { print $1, $2, $3, $4, $5, "0 0", $8 }
    END { if (NR > n + 1) printf "\n@%s cut %d sockets of %s\n", b, NR - 1 - n, FILENAME }' "$1"
}
counted() {
  say sample
  file /proc/uptime
  file /proc/stat
  file /proc/net/dev
  each stat ""
}
"""

_DISKS = r"""
disks() {
  say filesystems
  has stat || { say "without stat"; return 0; }
  printf '%s\n' "$mounts" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g' | {
    n=0 asked=0 pids= pairs=
    while read -r device point kind rest; do
      n=$((n + 1))
      case $kind in (__PSEUDO__) continue ;; esac
      case $point in (/proc/*|/sys/*) continue ;; esac
      asked=$((asked + 1))
      [ "$asked" -le __MOUNTS__ ] || { echo "$n skipped"; continue; }
      stat -f -c "$n %S %b %f %a %c %d" "$(printf '%b' "$point")" </dev/null 2>/dev/null &
      pids="$pids $!" pairs="$pairs $n:$!"
    done
    [ -n "$pids" ] || exit 0
    ( sleep __ANSWER__; kill -9 $pids ) </dev/null >/dev/null 2>&1 &
    killer=$!
    for pair in $pairs; do
      wait "${pair#*:}"
      [ $? -ne 1 ] || echo "${pair%%:*} refused"
    done
    kill "$killer" 2>/dev/null
  } 2>/dev/null
}
"""

_TRIAGE = r"""
body() {
  counted
  sleep "$2" 2>/dev/null || sleep "$3"
  counted
  say "self $$"
  say machine; uname -m
  for f in cpuinfo loadavg meminfo pressure/cpu pressure/io pressure/memory; do file "/proc/$f"; done
  say "file /proc/mounts"; printf '%s\n' "$mounts"
  for f in tcp tcp6 udp udp6; do table "/proc/net/$f"; done
  each status '^(Uid|VmRSS):'
  file /etc/passwd
  if has ss; then say ss; ss -tulnp | head -n __LINES__
  elif has netstat; then say netstat; { netstat -tulnp || netstat -tuln; } | head -n __LINES__
  else say "without ss"; fi
  if has sadf; then say sadf; sadf -j 300 -- -u -q -n DEV 2>&1 | head -c 8000000
  else say "without sadf"; fi
}
mounts=$(cat /proc/mounts 2>/dev/null)
packed body "$@"
disks
say end
"""

_FACTS = r"""
there() { if has "$1" && [ -e "$2" ]; then say "there $1"; fi; }  # a busybox has a name without what is behind it
body() {
  say began; date +%s.%N
  say uname; uname -s; uname -r; uname -m; uname -n
  for f in /etc/os-release /etc/redhat-release /etc/alpine-release /etc/debian_version /etc/timezone; do file "$f"; done
  for f in cpuinfo meminfo mounts uptime partitions sys/kernel/random/boot_id; do file "/proc/$f"; done
  file /etc/passwd
  for f in /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name /sys/hypervisor/type; do file "$f"; done
  say virt; if has systemd-detect-virt; then systemd-detect-virt; fi
  for f in /.dockerenv /run/.containerenv; do [ ! -e "$f" ] || say "there $f"; done
  if has ip; then say ip; ip -o addr show | head -n 2000
  elif has ifconfig; then say ifconfig; ifconfig -a | head -n 4000
  else say "without ip"; fi
  there dpkg /var/lib/dpkg/status; there apt-get /etc/apt; there rpm /var/lib/rpm; there dnf /etc/dnf
  there yum /etc/yum.conf; there zypper /etc/zypp; there apk /etc/apk; there pacman /var/lib/pacman
  for p in python3 python python2; do if has "$p"; then say "version $p"; "$p" -V 2>&1 | head -n 1; fi; done
  for d in /sys/block/*; do
    [ -r "$d/size" ] || continue
    say "disk ${d##*/}"; cat "$d/size"
    cat "$d/queue/rotational" 2>/dev/null || echo
    cat "$d/device/model" 2>/dev/null || echo
  done
  say zone; date '+%Z %z'
  say localtime; readlink /etc/localtime
  say ended; date +%s.%N
}
packed body "$@"
say end
"""

_DRIFT = r"""
digest() {
  say "file-of $1"
  shift
  [ -e "$1" ] || [ -L "$1" ] || { echo missing; return 0; }
  stat -c '%a %U %G %F' "$1" 2>/dev/null || echo
  if [ -L "$1" ]; then readlink "$1"; return 0; fi
  [ -f "$1" ] || return 0
  [ -r "$1" ] || { echo unreadable; return 0; }
  set -- "$1" "$(stat -c '%a' "$1" 2>/dev/null)"
  case $2 in
    (*[4567]) echo "sha256 $(sha256sum <"$1")" ;;
    (*) echo "keyed $( { printf '%s' "$salt"; cat "$1"; } | sha256sum)" ;;
  esac
}
body() {
  say began; date +%s.%N
  if has dpkg-query; then
    say dpkg; dpkg-query -W -f '${Package}:${Architecture} ${Version} ${Status}\n' | head -n __LINES__
  fi
  if has rpm; then say rpm; rpm -qa --qf '%{NAME}.%{ARCH} %{EPOCH}:%{VERSION}-%{RELEASE}\n' | head -n __LINES__; fi
  if has apk; then say apk; apk info -v | head -n __LINES__; fi
  if has sysctl; then say sysctl; sysctl -a 2>/dev/null | head -n __LINES__; else say "without sysctl"; fi
  if [ -d /run/systemd/system ] && has systemctl; then
    say enabled; systemctl list-unit-files --type=service --no-legend --no-pager | head -n __LINES__
    say active; systemctl list-units --type=service --all --plain --no-legend --no-pager | head -n __LINES__
  elif has ss; then say ss; ss -tulnp | head -n __LINES__
  elif has netstat; then say netstat; { netstat -tulnp || netstat -tuln; } | head -n __LINES__
  else say "without services"; fi
  file /etc/passwd
  file /etc/group
  say zone; date '+%Z %z'
  salt=$2
  shift 2
  n=0
  for p in "$@"; do n=$((n + 1)); digest "$n" "$p"; done
  say ended; date +%s.%N
}
packed body "$@"
say end
"""


def _filled(text: str) -> str:
    numbers = {
        "PROCESSES": MAX_PROCESSES, "SOCKETS": MAX_SOCKETS, "MOUNTS": MAX_MOUNTS, "LINES": MAX_LINES,
        "ANSWER": ANSWER_SECONDS, "PSEUDO": "|".join(sorted(PSEUDO | IMAGES)),
    }  # fmt: skip
    for name, value in numbers.items():
        text = text.replace(f"__{name}__", str(value))
    return text


TRIAGE = _filled(PRELUDE + _EACH + _DISKS + _TRIAGE)  # arguments: number, seconds, the same as a whole number
FACTS = _filled(PRELUDE + _FACTS)  # arguments: number
DRIFT = _filled(PRELUDE + _DRIFT)  # arguments: number, salt for contents that not everybody may read, paths
