"""Who may log in: one public key in a user's ``authorized_keys``, touched as that user, never as root.

A state is ``{"directory": mode, "content": text, "mode": mode}`` of ``~/.ssh`` and the file in it, with ``None`` for
what is not there; also while the user is not there. What other keys the file holds stays, to the byte.
"""

from __future__ import annotations

import re

from opsnb.base.canonical import JSON, sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change
from opsnb.kits import remote
from opsnb.kits.prepare.shell import COMMON, MAX_ARGUMENT
from opsnb.kits.prepare.users import NAME
from opsnb.runbook.actuators import Actuator, register

VERB = "prepare.key"
KEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" ([A-Za-z0-9+/]{40,2000}={0,2})(?: ([!-~]{1,100}))?"
)
NOTHING: dict[str, JSON] = {"directory": None, "content": None, "mode": None}

# $1 user, $2 what to run as that user, with its home and the further arguments
AS_USER = (
    COMMON
    + r"""
row=$(getent passwd "$1") || { echo none none; exit 0; }
user=$1 inner=$2; shift 2
home=$(printf '%s' "$row" | cut -d: -f6)
if [ "$(id -u)" = 0 ] && [ "$(id -un)" != "$user" ]; then
  command -v runuser >/dev/null || end 1 "there is no runuser"
  exec runuser -u "$user" -- /bin/sh -c "$inner" opsnb "$home" "$@"
fi
exec /bin/sh -c "$inner" opsnb "$home" "$@"
"""
)

FIND = (
    COMMON
    + r"""
home=$1 d=$1/.ssh f=$1/.ssh/authorized_keys
if [ ! -d "$home" ]; then [ -e "$home" ] && end 78 "$home is not a directory"; found=none; fi
[ ! -d "$home" ] || [ -x "$home" ] || end 77 "$home may not be searched"
if [ -L "$d" ] || [ -L "$f" ]; then end 78 "$f is or lies behind a symbolic link; links are not followed"; fi
dmode=none fmode=none
if [ -e "$d" ]; then
  [ -d "$d" ] || end 78 "$d is not a directory"
  [ -x "$d" ] || end 77 "$d may not be searched"
  dmode=$(stat -c %a -- "$d")
  if [ -e "$f" ]; then
    [ -f "$f" ] || end 78 "$f is not a regular file"
    [ -r "$f" ] || end 77 "$f may not be read"
    fmode=$(stat -c %a -- "$f")
  fi
fi
"""
)

LOOK = (
    FIND
    + r"""
printf '%s %s\n' "$dmode" "$fmode"
[ "$fmode" = none ] || cat -- "$f"
"""
)

# $2 digest that is there, or none, $3 digest to be, or none, $4 mode, $5 mode of the directory, or none, $6 content
SET = (
    FIND
    + r"""
is=none
[ "$fmode" = none ] || is=$(sha256sum <"$f" | cut -c1-64)
[ "$is" = "$2" ] || end 76 "$f"
if [ "$3" = none ]; then rm -f -- "$f" || end 1 "$f could not be removed"
else
  [ -d "$d" ] || mkdir -m 0700 -- "$d" || end 1 "$d could not be made"
  put "$f" "$4" "$6"
fi
[ "$5" != none ] || [ ! -d "$d" ] || rmdir -- "$d" || end 1 "$d holds other files; it stays"
"""
)


def plan(host: str, user: str, key: str) -> Change | None:
    """Return the change that lets a key log in, ``None`` where it may; reads only. The user need not be there yet.

    Args:
        host: A host of the run.
        user: Whose key it becomes.
        key: One public key line: type, base64 and perhaps a comment, without options.

    Raises:
        UsageError: If the key is none, or what lies there is refused.
    """
    found = KEY.fullmatch(key)
    if not found:
        raise UsageError(f"the key is {key!r:.60}; wanted one line: ssh-ed25519 AAAA... comment", hint="id_ed25519.pub")
    before = observe(host, {"user": user})
    content = str(before["content"] or "")
    if any(found[2] in line.split() for line in content.splitlines() if not line.lstrip().startswith("#")):
        return None
    joined = content + ("" if not content or content.endswith("\n") else "\n") + key + "\n"
    after = {"directory": before["directory"] or "0700", "content": joined, "mode": before["mode"] or "0600"}
    return Change(
        host=host, what=f"key of {user}", verb=VERB, target={"user": user}, before=before, after=after,
        command=f"add {found[1]} {found[3] or sha256(found[2].encode())[:12]} to authorized_keys of {user}",
        undo=f"restore authorized_keys of {user} as it was",
    )  # fmt: skip


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the keys of the user that ``target``, ``{"user": name}``, names."""
    user = _user_of(target)
    head, _, data = remote.look(host, AS_USER, user, LOOK).stdout.partition(b"\n")
    directory, _, mode = head.decode("ascii", "replace").partition(" ")
    if len(data) > MAX_ARGUMENT:
        raise UsageError(f"{host}: authorized_keys of {user} is larger than {MAX_ARGUMENT} bytes")
    if directory == "none":
        return dict(NOTHING)
    try:
        content = data.decode("utf-8") if mode != "none" else None
    except UnicodeDecodeError as error:
        raise UsageError(f"{host}: authorized_keys of {user} is not UTF-8: byte {error.start}") from None
    return {"directory": directory.zfill(4), "content": content, "mode": None if mode == "none" else mode.zfill(4)}


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Bring the file, and the directory around it, from ``before`` to ``after``.

    Raises:
        UnreachableError: If the host cannot be reached.
        UnknownOutcomeError: If nobody saw the end.
        OpsnbError: If it is no longer as planned, or could not be changed.
    """
    user = _user_of(target)
    was, now = _digest(before), _digest(after)
    mode, directory = after["mode"] or "0600", after["directory"] or "none"
    result = remote.act(host, AS_USER, user, SET, was, now, mode, directory, after["content"] or "")
    if result.stdout:
        raise OpsnbError(f"{host}: user {user} is not there")


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply))


def _digest(state: JSON) -> str:
    return "none" if state["content"] is None else sha256(str(state["content"]).encode())


def _user_of(target: JSON) -> str:
    user = target.get("user") if isinstance(target, dict) else None
    if not isinstance(user, str) or not NAME.fullmatch(user):
        raise UsageError(f"the user is {user!r:.80}; wanted lower-case letters, digits, _ and -")
    return user
