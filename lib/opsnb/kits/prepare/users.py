"""A person's account: made, brought to shape, and removed only while it still is as it was made.

A state is ``{"uid", "shell", "home", "groups"}`` (the supplementary ones), or ``None`` without the account. Removing it
takes its home along, which must hold nothing but what ``/etc/skel`` put there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from opsnb.base.canonical import JSON
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change
from opsnb.kits import remote
from opsnb.kits.prepare.shell import COMMON
from opsnb.runbook.actuators import Actuator, register

VERB = "prepare.user"
NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
SHELL = re.compile(r"/[A-Za-z0-9_./-]{1,100}")
UIDS = range(1000, 60001)

LOOK = (
    COMMON
    + r"""
row=$(getent passwd "$1") || { echo none; exit 0; }
printf '%s\n' "$row"
id -gn "$1" && id -Gn "$1"
"""
)

# $1 user, $2 home, $3 uid, $4 shell, then the groups: what stands in the way of making the account
FREE = (
    COMMON
    + r"""
user=$1 home=$2 uid=$3 shell=$4; shift 4
[ -x "$shell" ] || end 78 "$shell is not there, so it is nobody's shell"
for group; do getent group "$group" >/dev/null || end 78 "there is no group '$group'"; done
getent passwd "$user" >/dev/null && exit 0
[ "$(getent passwd "$uid")" = "" ] || end 78 "uid $uid belongs to $(getent passwd "$uid" | cut -d: -f1)"
! getent group "$user" >/dev/null || end 78 "there is a group '$user' and no user '$user'"
[ ! -e "$home" ] || end 78 "$home is there, and its user is not"
command -v useradd >/dev/null || [ -x /usr/sbin/useradd ] || end 78 "there is no useradd"
"""
)

MAKE = (
    COMMON
    + r"""
groups=; user=$1 home=$2 uid=$3 shell=$4; shift 4
for group; do groups=$groups${groups:+,}$group; done
useradd -m -d "$home" -u "$uid" -U -p "*" -s "$shell" ${groups:+-G "$groups"} -- "$user" \
  || end 1 "$user could not be made"
"""
)

SHAPE = (
    COMMON
    + r"""
groups=; user=$1 shell=$2; shift 2
for group; do groups=$groups${groups:+,}$group; done
usermod -s "$shell" -G "$groups" -- "$user" || end 1 "$user could not be changed"
"""
)

REMOVE = (
    COMMON
    + r"""
user=$1 home=$2
if [ -d "$home" ]; then
  cd -- "$home" || end 1 "$home cannot be entered"
  find . -mindepth 1 ! -type d -exec sh -c 'for f; do cmp -s -- "$f" "/etc/skel/$f" || exit 1; done' x {} + \
    || end 78 "$home holds files that were not there when $user was made; nothing was removed"
  cd /
fi
[ ! -s "/var/mail/$user" ] || end 78 "$user has mail in /var/mail; nothing was removed"
userdel -r -- "$user" 2>/dev/null || userdel -- "$user" || end 1 "$user could not be removed"
"""
)


def plan(host: str, user: str, *, uid: int, shell: str, groups: Sequence[str]) -> Change | None:
    """Return the change that gives a host an account, ``None`` where it is right; reads only.

    Args:
        host: A host of the run.
        user: Its name.
        uid: Its number, 1000 to 60000.
        shell: Its login shell.
        groups: Groups that it is in; those that it is in besides stay.

    Raises:
        UsageError: If an argument is wrong, or something stands in its way.
    """
    _check(user, uid, shell, groups)
    before = observe(host, {"user": user})
    home = before["home"] if before else str(PurePosixPath("/home", user))
    remote.look(host, FREE, user, home, str(uid), shell, *groups)
    if before and before["uid"] != uid:
        hint = "the files of a user hang on the number; choose the one that is there, or another name"
        raise UsageError(f"{host}: {user} is there with uid {before['uid']}, wanted {uid}", hint=hint)
    after = {
        "uid": uid, "shell": shell, "home": home, "groups": sorted({*groups, *(before["groups"] if before else [])})
    }  # fmt: skip
    if before == after:
        return None
    return Change(
        host=host, what=f"user {user}", verb=VERB, target={"user": user}, before=before, after=after,
        command=_words(user, after), undo=_words(user, before),
    )  # fmt: skip


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the account that ``target``, ``{"user": name}``, names."""
    user = _user_of(target)
    lines = remote.look(host, LOOK, user).text.splitlines()
    if lines == ["none"]:
        return None
    fields = lines[0].split(":")
    if len(lines) != 3 or len(fields) != 7:  # noqa: PLR2004  (LOOK's lines, passwd's fields)
        raise OpsnbError(f"{host}: the answer about user {user} was {lines!r:.200}")
    groups = sorted(set(lines[2].split()) - {lines[1].strip()})
    return {"uid": int(fields[2]), "shell": fields[6], "home": fields[5], "groups": groups}


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Bring the account from ``before`` to ``after``.

    Raises:
        UnreachableError: If the host cannot be reached.
        UnknownOutcomeError: If nobody saw the end.
        OpsnbError: If it could not be done, or the account is no longer as it was made.
    """
    user = _user_of(target)
    if after is None:
        remote.act(host, REMOVE, user, str(before["home"]))
        return
    _check(user, after["uid"], after["shell"], after["groups"])
    if before is None:
        remote.act(host, MAKE, user, str(after["home"]), str(after["uid"]), after["shell"], *after["groups"])
    else:
        remote.act(host, SHAPE, user, after["shell"], *after["groups"])


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply))


def _user_of(target: JSON) -> str:
    user = target.get("user") if isinstance(target, dict) else None
    if not isinstance(user, str) or not NAME.fullmatch(user):
        raise UsageError(f"the user is {user!r:.80}; wanted lower-case letters, digits, _ and -")
    return user


def _check(user: str, uid: int, shell: str, groups: Sequence[str]) -> None:
    _user_of({"user": user})
    if type(uid) is not int or uid not in UIDS:
        raise UsageError(f"the uid of {user} is {uid!r:.40}; wanted {UIDS.start} to {UIDS.stop - 1}")
    if not isinstance(shell, str) or not SHELL.fullmatch(shell):
        raise UsageError(f"the shell of {user} is {shell!r:.80}; wanted an absolute path")
    for group in groups:
        if not isinstance(group, str) or not NAME.fullmatch(group):
            raise UsageError(f"a group of {user} is {group!r:.80}; wanted lower-case letters, digits, _ and -")


def _words(user: str, state: JSON) -> str:
    if state is None:
        return f"userdel -r {user}, when it still is as it was made"
    groups = ",".join(state["groups"]) or "no further groups"
    return f"user {user}: uid {state['uid']}, shell {state['shell']}, {groups}"
