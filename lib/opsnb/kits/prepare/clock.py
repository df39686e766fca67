"""The time zone, and the servers that the clock follows.

A time zone's state is ``{"link", "name"}``: where ``/etc/localtime`` points, and what ``/etc/timezone`` says where a
system has it. The servers' is ``{"content"}`` of a file of ours beside the time service's own configuration.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from opsnb.base.canonical import JSON
from opsnb.base.errors import UsageError
from opsnb.base.plan import Change
from opsnb.kits import remote
from opsnb.kits.prepare.shell import COMMON
from opsnb.runbook.actuators import Actuator, register

ZONE = "prepare.timezone"
NTP = "prepare.ntp"
ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]{1,40}(?:/[A-Za-z0-9_+-]{1,40}){0,2}")
SERVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}")
ZONES = "/usr/share/zoneinfo"
PATHS = {"chrony": "/etc/chrony/sources.d/opsnb.sources", "timesyncd": "/etc/systemd/timesyncd.conf.d/60-opsnb.conf"}

LOOK_ZONE = (
    COMMON
    + r"""
f=/etc/localtime
if [ -L "$f" ]; then readlink -- "$f"
elif [ -e "$f" ]; then end 78 "$f is a file; wanted a link into /usr/share/zoneinfo, which an undo can restore"
else echo; fi
[ -z "${1:-}" ] || [ -f "/usr/share/zoneinfo/$1" ] || end 78 "there is no time zone $1 (package tzdata)"
[ ! -f /etc/timezone ] || { echo yes; cat /etc/timezone; }
"""
)

# $1 link to be, or nothing, $2 yes or no: whether /etc/timezone is written, $3 what it says
SET_ZONE = (
    COMMON
    + r"""
if [ -n "$1" ]; then
  t=/etc/.opsnb-localtime-$$
  ln -s -- "$1" "$t" && mv -fT -- "$t" /etc/localtime || { rm -f -- "$t"; end 1 "/etc/localtime could not be changed"; }
else rm -f /etc/localtime || end 1 "/etc/localtime could not be removed"; fi
[ "$2" = no ] || put /etc/timezone 0644 "$3"
"""
)

WHICH = (
    COMMON
    + r"""
for d in /etc/chrony/sources.d; do [ -d "$d" ] && { echo chrony; exit 0; }; done
for f in /usr/lib/systemd /lib/systemd; do [ -x "$f/systemd-timesyncd" ] && { echo timesyncd; exit 0; }; done
echo none
"""
)

LOOK_NTP = (
    COMMON
    + r"""
[ ! -L "$1" ] || end 78 "$1 is a symbolic link"
[ -e "$1" ] || { echo none; exit 0; }
[ -r "$1" ] || end 77 "$1 may not be read"
echo file; cat -- "$1"
"""
)

# $1 path, $2 file or none, $3 content
SET_NTP = (
    COMMON
    + r"""
d=${1%/*}
if [ "$2" = file ]; then
  mkdir -p -- "$d" || end 1 "$d could not be made"
  put "$1" 0644 "$3"
else
  rm -f -- "$1" || end 1 "$1 could not be removed"
  case $d in */timesyncd.conf.d) rmdir -- "$d" 2>/dev/null ;; esac
fi
if [ -d /run/systemd/system ]; then
  case $1 in
    */chrony/*) ! systemctl is-active --quiet chrony || chronyc reload sources 2>&1 || end 1 "chrony refused it" ;;
    *) systemctl try-restart systemd-timesyncd 2>&1 || end 1 "systemd-timesyncd refused it" ;;
  esac
else echo "no systemd runs here: the time service reads it when its own init starts it"; fi
exit 0
"""
)


def plan_zone(host: str, zone: str) -> Change | None:
    """Return the change that sets a host's time zone, ``None`` where it is right; reads only.

    Raises:
        UsageError: If there is no such zone, or ``/etc/localtime`` is no link.
    """
    if not ZONE_NAME.fullmatch(zone):
        raise UsageError(f"the time zone is {zone!r:.80}; wanted one such as Asia/Shanghai")
    before = _look_zone(host, zone)
    name = f"{zone}\n" if before["name"] is not None else None
    link = before["link"] or ""
    right = link.endswith(f"zoneinfo/{zone}")
    after = {"link": link if right else f"{ZONES}/{zone}", "name": name}
    if before == after:
        return None
    return Change(
        host=host, what="time zone", verb=ZONE, target={}, before=before, after=after,
        command=f"/etc/localtime to {zone}", undo=f"/etc/localtime to {link or 'nothing'}",
    )  # fmt: skip


def plan_ntp(host: str, servers: Sequence[str], *, chrony: bool = False) -> Change | None:
    """Return the change that lets a host's clock follow ``servers``, ``None`` where it does; reads only.

    Args:
        host: A host of the run.
        servers: Names or addresses.
        chrony: Whether the same plan installs chrony.

    Raises:
        UsageError: If a server is none, or the host has neither chrony nor systemd-timesyncd.
    """
    for server in servers:
        if not SERVER.fullmatch(server):
            raise UsageError(f"the time server is {server!r:.80}; wanted a name or an address")
    kind = "chrony" if chrony else remote.look(host, WHICH).text.strip()
    if kind not in PATHS:
        hint = "add chrony to the packages"
        raise UsageError(f"{host}: neither chrony (with a sources.d) nor systemd-timesyncd is there", hint=hint)
    target = {"path": PATHS[kind]}
    before = observe_ntp(host, target)
    lines = (
        "".join(f"server {s} iburst\n" for s in servers) if kind == "chrony" else f"[Time]\nNTP={' '.join(servers)}\n"
    )
    after = {"content": "# Written by opsnb, HST-010.\n" + lines}
    if before == after:
        return None
    return Change(
        host=host, what="time servers", verb=NTP, target=target, before=before, after=after,
        command=f"write {PATHS[kind]}: {', '.join(servers)}",
        undo=f"{'remove' if before['content'] is None else 'restore'} {PATHS[kind]}",
    )  # fmt: skip


def observe_zone(host: str, target: JSON) -> JSON:
    """Return the state of a host's time zone."""
    del target
    return _look_zone(host, "")


def apply_zone(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Set the time zone; raises as :func:`opsnb.kits.remote.act` does."""
    del target, before
    name = after["name"]
    remote.act(host, SET_ZONE, after["link"] or "", "no" if name is None else "yes", name or "")


def observe_ntp(host: str, target: JSON) -> JSON:
    """Return the state of the file of servers."""
    head, _, data = remote.look(host, LOOK_NTP, _path(target)).stdout.partition(b"\n")
    return {"content": data.decode("utf-8", "backslashreplace") if head == b"file" else None}


def apply_ntp(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Write or remove the file of servers; raises as :func:`opsnb.kits.remote.act` does."""
    del before
    content = after["content"]
    remote.act(host, SET_NTP, _path(target), "none" if content is None else "file", content or "")


register(Actuator(verb=ZONE, observe=observe_zone, apply=apply_zone))
register(Actuator(verb=NTP, observe=observe_ntp, apply=apply_ntp))


def _look_zone(host: str, zone: str) -> dict[str, str | None]:
    link, _, rest = remote.look(host, LOOK_ZONE, zone).text.partition("\n")
    there, _, name = rest.partition("\n")
    return {"link": link or None, "name": name if there == "yes" else None}


def _path(target: JSON) -> str:
    path = target.get("path") if isinstance(target, dict) else None
    if path not in PATHS.values():
        raise UsageError(f"the target of {NTP} is {{'path'}} of {', '.join(PATHS.values())}, found {target!r:.80}")
    return str(path)
