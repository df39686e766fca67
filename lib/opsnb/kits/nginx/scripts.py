"""What is run on a host to find nginx, to read its files and to see how it is: text for dash, bash and busybox's sh.

Values are arguments. Nothing is written on the host and no nginx is asked to test anything.
"""

from __future__ import annotations

from opsnb.kits.nginx.probe import CURL

# $1... the usual places
FIND = r"""
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin LC_ALL=C
export PATH LC_ALL
me=$(id -u)
if [ "$me" != 0 ] && [ ! -e /proc/1/status ]; then
  echo "the processes of others may not be seen" >&2
  exit 77
fi
spaces() {
  set -- $(sed -n 's/^NSpid://p' "/proc/$1/status" 2>/dev/null)
  echo $#
}
mine=$(spaces "$$")
version() {
  [ -f "$1" ] && [ -x "$1" ] || return 1
  case " $asked " in *" $1 "*) return 0 ;; esac
  asked="$asked $1"
  printf 'binary %s\n' "$1"
  owner=$(stat -L -c %u "$1")
  [ "$owner" = 0 ] || [ "$owner" = "$me" ] || return 0
  "$1" -V </dev/null 2>&1 | head -c 20000 | sed 's/^/| /'
  echo
}
asked=
grep '^btime ' /proc/stat
for p in $(grep -ls '^nginx: ' /proc/[0-9]*/cmdline); do
  p=${p#/proc/} p=${p%/cmdline}
  [ "$(spaces "$p")" = "$mine" ] || continue
  title=$(tr '\000\011\012' '   ' <"/proc/$p/cmdline" 2>/dev/null) || continue
  stat=$(cat "/proc/$p/stat" 2>/dev/null) || continue
  who=$(stat -c '%u %U' "/proc/$p" 2>/dev/null) || continue
  set -f
  set -- ${stat##*)} -- "$@"
  start=${20} parent=$2
  while [ "$1" != -- ]; do shift; done
  shift
  set +f
  printf 'process %s %s %s %s %s\n' "$p" "$parent" "$start" "$who" "$title"
  case $title in 'nginx: master process '*) ;; *) continue ;; esac
  exe=$(readlink "/proc/$p/exe" 2>/dev/null) exe=${exe% (deleted)}
  if [ -z "$exe" ]; then
    exe=${title#nginx: master process } exe=${exe%% *}
    case $exe in /*) ;; *) exe=$(command -v "${exe##*/}" 2>/dev/null) ;; esac
  fi
  printf 'exe %s %s\n' "$p" "$exe"
  printf 'cwd %s %s\n' "$p" "$(readlink "/proc/$p/cwd" 2>/dev/null)"
  version "$exe"
done
[ -z "$asked" ] || exit 0
for f in nginx openresty angie; do version "$(command -v "$f" 2>/dev/null)" && exit 0; done
for f in "$@"; do version "$f" && exit 0; done
exit 0
"""

# $1 most bytes of a file, $2 of all, $3 most files, then paths and patterns.
# Answers for each, by its number: "none", or "file" with size, mode, owner, time; its name; its real name; its bytes.
READ = r"""
LC_ALL=C
export LC_ALL
most=$1 total=$2 files=$3 n=0 IFS=
newline='
'
shift 3
end() { printf '%s %s\n' "$2" "$3" >&2; exit "$1"; }
me=$(id -u)
seen() {  # whether an absent name is known to be absent
  [ "$me" = 0 ] && return 0
  d=${1%/*}
  while [ -n "$d" ] && [ ! -e "$d" ]; do d=${d%/*}; done
  [ -z "$d" ] || [ -x "$d" ]
}
listed() {  # whether all folders that a pattern looks into may be looked into
  [ "$me" = 0 ] && return 0
  r=${1#/} d=
  while :; do
    case $r in */*) ;; *) return 0 ;; esac
    d=$d/${r%%/*} r=${r#*/}
    for e in $d; do
      [ -d "$e" ] || continue
      [ -x "$e" ] || return 1
      case ${r%%/*} in *[*?[]*) [ -r "$e" ] || return 1 ;; esac
    done
  done
}
one() {
  [ ! -d "$2" ] || { printf 'other %s a directory\n%s\n' "$1" "$2"; return; }
  [ -f "$2" ] || { printf 'other %s not a regular file\n%s\n' "$1" "$2"; return; }
  [ -r "$2" ] || end 77 "$2" "may not be read"
  facts=$(stat -L -c '%s %a %U:%G %Y' "$2") || end 77 "$2" "may not be looked at"
  size=${facts%% *}
  [ "$size" -le "$most" ] || end 78 "$2" "is larger than $most bytes"
  total=$((total - size)) files=$((files - 1))
  [ "$total" -ge 0 ] || end 78 "$2" "is one file too many: together they are too large"
  [ "$files" -ge 0 ] || end 78 "$2" "is one file too many"
  printf 'file %s %s\n%s\n%s\n' "$1" "$facts" "$2" "$(readlink -f "$2")"
  cat "$2" || end 77 "$2" "may not be read"
  [ "$(stat -L -c '%s %a %U:%G %Y' "$2")" = "$facts" ] || end 1 "$2" "changed while it was read"
}
for w in "$@"; do
  n=$((n + 1))
  case $w in
  *"$newline"*) end 78 "$w" "has a line break in its name" ;;
  *[*?[]*)
    listed "$w" || end 77 "$w" "may not be listed"
    for f in $w; do
      if [ -e "$f" ] || [ -L "$f" ]; then
        case $f in *"$newline"*) end 78 "$f" "has a line break in its name" ;; esac
        one "$n" "$f"
      fi
    done ;;
  *)
    if [ -e "$w" ] || [ -L "$w" ]; then one "$n" "$w"
    else
      seen "$w" || end 77 "$w" "may not be looked at"
      printf 'none %s\n' "$n"
    fi ;;
  esac
done
echo end
"""

# $1 whether to ask again as root, $2 most bytes of a log, then triples: kind, value, another value.
SHOWN = r"""
PATH=$PATH:/usr/local/bin:/usr/bin:/bin LC_ALL=C
export PATH LC_ALL
strict=$1 most=$2 me=$(id -u) n=0
shift 2
printf '@ now\n| %s\n' "$(date '+%Y/%m/%d %H:%M:%S')"
denied() {
  [ "$strict" = 0 ] || { echo "$1 may not be read" >&2; exit 77; }
  echo '! may not be read'
}
while [ $# -ge 3 ]; do
  kind=$1 value=$2 more=$3 n=$((n + 1))
  shift 3
  printf '@ %s %s\n' "$kind" "$n"
  case $kind in
  log)
    if [ -f "$value" ] && [ -r "$value" ]; then
      tail -c "$most" "$value" | tr -d '\000' | grep upstream |
        tail -n 5000 | sed 's/^/| /'
    elif [ "$me" = 0 ]; then echo '! is not there'
    else denied "$value"; fi ;;
  certificate)
    if [ -r "$value" ]; then
      echo '| there'
      openssl x509 -noout -enddate -in "$value" 2>/dev/null </dev/null | sed 's/^/| /'
    elif [ "$me" = 0 ]; then echo '! is not there'
    else denied "$value"; fi ;;
  status)
    if command -v curl >/dev/null; then curl -q -s -k -m 5 --noproxy '*' -H "Host: $more" "$value" 2>/dev/null
    elif command -v wget >/dev/null; then wget -q -T 5 -O - --header "Host: $more" "$value" 2>/dev/null
    else echo 'no curl and no wget'; fi | head -c 2000 | tr -d '\000' | sed 's/^/| /' ;;
  limits) sed -n 's/^Max open files *\([0-9]*\).*/| \1/p' "/proc/$value/limits" 2>/dev/null ;;
  esac
  echo
done
echo '@ end'
"""

# $1 the access log, $2 most bytes of it; a configuration of curl on stdin. Answers with what the requests left in it.
SEND = (
    CURL
    + r"""
[ -r "$1" ] || { echo "$1 may not be read" >&2; exit 77; }
size=$(wc -c <"$1") lines=$3
curl -q -K - >/dev/null 2>&1
n=0
while [ "$n" -lt 30 ] && [ "$(tail -c "+$((size + 1))" "$1" | grep -cF "$4")" -lt "$lines" ]; do
  n=$((n + 1))
  sleep 0.1 2>/dev/null || sleep 1
done
tail -c "+$((size + 1))" "$1" | grep -F "$4" | head -c "$2"
exit 0
"""
)

# $1 the access log, $2 most bytes of its end
TAIL = r"""
[ -e "$1" ] || [ "$(id -u)" != 0 ] || exit 0
[ -r "$1" ] || { echo "$1 may not be read" >&2; exit 77; }
[ -f "$1" ] || exit 0
tail -c "$2" "$1"
"""

# names; answers NAME ADDRESS for each of its addresses, IPv4 first as nginx takes them
RESOLVE = r"""
for n; do
  for f in ahostsv4 ahostsv6; do
    getent "$f" "$n" 2>/dev/null | while read -r a kind rest; do
      case $f$a in ahostsv6::ffff:*.*) continue ;; esac
      [ "$kind" != STREAM ] || echo "$n $a"
    done
  done
done
exit 0
"""
