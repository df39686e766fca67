"""Files on other hosts: one fixed script looks, one writes, each in one round trip and with the same refusals as here.

The content travels on stdin and its digest as an argument: a line that breaks in the middle leaves the old file.
"""

from __future__ import annotations

from opsnb.base.canonical import JSON, sha256
from opsnb.base.errors import OpsnbError
from opsnb.kits import remote
from opsnb.kits.files.shell import LOOK, MOVED
from opsnb.kits.files.states import MAX_BYTES, State, checked, plain, text_of

NO_FILE = "none"

# answers "none", or "file MODE OWNER" and the content
READ = (
    LOOK
    + r"""
if [ "$facts" = none ]; then echo none; exit 0; fi
printf 'file %s %s\n' "$mode" "$owner"
cat -- "$p" || end 77 "may not be read"
unchanged
"""
)

# besides those of MOVED: $6 mode, $7 owner, or nothing: as it is, $8 digest; the content on stdin
WRITE = (
    LOOK
    + MOVED
    + r"""
umask 077
t=$(mktemp "${d}.opsnb-XXXXXXXXXXXX") || end 1 "could not be changed: no temporary file in $d"
trap 'rm -f -- "$t"' EXIT
trap 'exit 75' HUP INT TERM
cat >"$t" || end 1 "could not be changed"
furnish "$t" "$6" "$7" "$8"
mv -f -- "$t" "$p" || end 1 "could not be changed"
trap - EXIT
sync "$d" 2>/dev/null || :
"""
)

REMOVE = (
    LOOK
    + MOVED
    + r"""
[ -n "$5" ] || [ "${ids%:*}" = "$(id -u)" ] || end 1 "belongs to another user; removing it could not be undone"
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
    was = was_words(before, path)
    if after is None:
        remote.act(host, REMOVE, path, str(MAX_BYTES), *was)
        return
    new = checked(after, path)
    data = new["content"].encode()
    remote.act(host, WRITE, path, str(MAX_BYTES), *was, new["mode"], new.get("owner", ""), sha256(data), stdin=data)


def was_words(before: JSON, path: str) -> list[str]:
    """Return what MOVED compares a file with: the digest, mode and owner of a state that is written here."""
    if before is None:
        return [NO_FILE, "", ""]
    old = checked(before, path)
    return [sha256(old["content"].encode()), old["mode"].lstrip("0") or "0", old.get("owner", "")]
