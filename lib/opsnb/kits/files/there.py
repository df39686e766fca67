"""Files on other hosts: one fixed script looks, one writes, each in one round trip and with the same refusals as here.

The content travels on stdin and its digest as an argument: a line that breaks in the middle leaves the old file.
"""

from __future__ import annotations

from opsnb.base.canonical import JSON, sha256
from opsnb.base.errors import OpsnbError
from opsnb.kits import remote
from opsnb.kits.files.states import MAX_BYTES, State, checked, plain, text_of

NO_FILE = "none"

# $1 path, $2 most bytes; answers "none", or "file MODE OWNER" and the content
LOOK = r"""
set -uf
p=$1 most=$2 d=${1%/*}/
end() { printf '%s %s\n' "$p" "$2" >&2; exit "$1"; }
look() {
  if [ ! -d "$d" ]; then
    [ "$(id -u)" != 0 ] || end 78 "has no directory: $d is not there"
    end 77 "has no directory that may be seen: $d"
  fi
  [ -x "$d" ] || end 77 "lies in a directory that may not be searched"
  [ ! -L "$p" ] || end 78 "is a symbolic link; links are not followed"
  if [ ! -e "$p" ]; then facts=none; return; fi
  [ -f "$p" ] || end 78 "is not a regular file"
  facts=$(stat -c '%a %h %s %i %Y %u:%g %U:%G' -- "$p") || end 77 "may not be looked at"
  set -- $facts
  [ "$2" = 1 ] || end 78 "has $2 names (hard links); a rewrite would split them"
  [ "$3" -le "$most" ] || end 78 "is larger than $most bytes, and a plan carries the whole file"
  case $(ls -ld -- "$p") in ??????????+*) end 78 "has an access list, which a rewrite would lose" ;; esac
  [ -r "$p" ] || end 77 "may not be read"
  mode=$1 ids=$6 owner=$7
}
look
"""

READ = (
    LOOK
    + r"""
if [ "$facts" = none ]; then echo none; exit 0; fi
printf 'file %s %s\n' "$mode" "$owner"
cat -- "$p" || end 77 "may not be read"
[ "$(stat -c '%a %h %s %i %Y %u:%g %U:%G' -- "$p")" = "$facts" ] || end 75 "changed while it was read"
"""
)

# besides: $3 digest of the content that is there, or none; $4 its mode; $5 its owner, or nothing
MOVED = r"""
was=$3 wasmode=$4 wasowner=$5
if [ "$facts" = none ]; then [ "$was" = none ] || end 76 ""
else
  set -- $(sha256sum <"$p")
  [ "$1" = "$was" ] || end 76 ""
  [ "$mode" = "$wasmode" ] || end 76 ""
  [ -z "$wasowner" ] || [ "$owner" = "$wasowner" ] || end 76 ""
fi
"""

# besides: $6 mode, $7 owner, or nothing: as it is, $8 digest; the content on stdin
WRITE = (
    LOOK
    + r"""
newmode=$6 newowner=$7 digest=$8
"""
    + MOVED
    + r"""
umask 077
t=$(mktemp "${d}.opsnb-XXXXXXXXXXXX") || end 1 "could not be changed: no temporary file in $d"
trap 'rm -f -- "$t"' EXIT
trap 'exit 75' HUP INT TERM
cat >"$t" || end 1 "could not be changed"
set -- $(sha256sum <"$t")
[ "$1" = "$digest" ] || end 75 "did not arrive whole; the old file is untouched"
[ -n "$newowner" ] || [ "$facts" = none ] || [ "$(stat -c %u:%g -- "$t")" = "$ids" ] || newowner=$ids
[ -z "$newowner" ] || chown "$newowner" "$t" || end 1 "could not be changed: its owner would be another"
chmod "$newmode" "$t" || end 1 "could not be changed"
dd if=/dev/null of="$t" conv=notrunc,fsync 2>/dev/null || end 1 "could not be changed: fsync"
mv -f -- "$t" "$p" || end 1 "could not be changed"
trap - EXIT
sync "$d" 2>/dev/null || :
"""
)

REMOVE = (
    LOOK
    + MOVED
    + r"""
[ -n "$wasowner" ] || [ "${ids%:*}" = "$(id -u)" ] || end 1 "belongs to another user; removing it could not be undone"
rm -f -- "$p" || end 1 "could not be removed"
sync "$d" 2>/dev/null || :
"""
)


def read(host: str, path: str, *, owned: bool = False) -> State | None:
    """Return a file's state on a host, ``None`` when there is no file.

    Raises:
        UnreachableError: If the host cannot be reached.
        UsageError: If the path is relative, or what lies there is not a plain text file.
        OpsnbError: If it cannot be read.
    """
    plain(path)
    head, _, data = remote.look(host, READ, path, str(MAX_BYTES)).stdout.partition(b"\n")
    words = head.decode("utf-8", "replace").split()
    if words == [NO_FILE]:
        return None
    if len(words) != 3 or words[0] != "file":  # noqa: PLR2004  (the words of READ)
        raise OpsnbError(f"{host}: the answer about {path} was {head!r:.80}", hint="does its shell print something?")
    state = {"content": text_of(data, f"{host}: {path}"), "mode": words[1].zfill(4)}
    return {**state, "owner": words[2]} if owned else state


def write(host: str, path: str, before: JSON, after: JSON) -> None:
    """Bring a file on a host from ``before`` to ``after``; ``None`` means no file.

    Raises:
        UnreachableError: If the host cannot be reached: the file is the old one.
        UnknownOutcomeError: If nobody saw the end: it is the old file or the new one, never a torn one.
        OpsnbError: If the file is not as ``before`` says, or the system refuses.
    """
    plain(path)
    old = checked(before, path) if before is not None else None
    was = (
        [sha256(old["content"].encode()), old["mode"].lstrip("0") or "0", old.get("owner", "")]
        if old
        else [NO_FILE, "", ""]
    )
    if after is None:
        remote.act(host, REMOVE, path, str(MAX_BYTES), *was)
        return
    new = checked(after, path)
    data = new["content"].encode()
    remote.act(host, WRITE, path, str(MAX_BYTES), *was, new["mode"], new.get("owner", ""), sha256(data), stdin=data)
