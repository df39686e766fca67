"""Packages that are there, and services that start with the machine: as one state, for one brings the other.

A state is ``{"installed": names, "enabled": services}``, of those that a change is about: the packages asked for, all
that come with them, and the services asked for. So an undo removes exactly what was installed, and nothing that
somebody else needs by then: ``dpkg --purge`` and ``rpm -e`` refuse that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from opsnb.base.canonical import JSON
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Change
from opsnb.kits import remote
from opsnb.kits.prepare.shell import COMMON
from opsnb.runbook.actuators import Actuator, register

VERB = "prepare.software"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,100}")
COLLECTING = "sysstat-collecting"  # Debian's sysstat starts and collects nothing until its own switch is on, too
SERVICES = {"supervisor": "supervisor", "sysstat": "sysstat", COLLECTING: "sysstat"}  # service to its package
INSTALL_SECONDS = 900.0  # how long installing may take
INST = re.compile(r"(?m)^Inst (\S+) (\[[^]]*\] )?")
UNITS = r"""
by=; for m in apt-get dnf yum; do command -v $m >/dev/null && { by=$m; break; }; done
[ -n "$by" ] || end 78 "there is neither apt nor dnf nor yum"
unit() { if [ "$by:$1" != "apt-get:supervisor" ] && [ "$1" = supervisor ]; then echo supervisord; else echo "$1"; fi; }
systemd() { [ -d /run/systemd/system ]; }
collecting() {
  if [ -f /etc/default/sysstat ]; then grep -q '^ENABLED="true"' /etc/default/sysstat; else there sysstat; fi
}
enabled() {
  [ "$1" != sysstat-collecting ] || { collecting; return; }
  u=$(unit "$1")
  if systemd; then systemctl is-enabled --quiet "$u" 2>/dev/null; return; fi
  for link in /etc/systemd/system/*.wants/"$u".service /etc/rc[2345].d/S[0-9][0-9]"$u"; do
    [ ! -L "$link" ] || return 0
  done
  return 1
}
there() {
  if [ "$by" = apt-get ]; then [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
  else rpm -q --quiet "$1"; fi
}
"""

# $1 number of services, the services, then the packages
LOOK = (
    COMMON
    + UNITS
    + r"""
n=$1; shift
echo "by $by"
while [ "$n" -gt 0 ]; do ! enabled "$1" || echo "enabled $1"; shift; n=$((n - 1)); done
for package; do ! there "$package" || echo "installed $package"; done
"""
)

TRY = (
    COMMON
    + UNITS
    + r"""
if [ "$by" = apt-get ]; then apt-get -s -y --no-install-recommends install -- "$@" 2>&1
else
  [ "$(id -u)" = 0 ] || end 77 "$by tells only root what it would install"
  $by install --assumeno -- "$@" 2>&1
fi
echo "ended $?"
"""
)

INSTALL = (
    COMMON
    + UNITS
    + r"""
if [ "$by" = apt-get ]; then
  DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install -- "$@" </dev/null 2>&1
else $by -y install -- "$@" </dev/null 2>&1; fi || end 1 "apt, dnf or yum could not install $*"
"""
)

REMOVE = (
    COMMON
    + UNITS
    + r"""
if [ "$by" = apt-get ]; then DEBIAN_FRONTEND=noninteractive dpkg --purge "$@" </dev/null 2>&1
else rpm -e -- "$@" </dev/null 2>&1; fi || end 1 "not removed, something else may need it: $*"
"""
)

# $1 on or off, then services
SWITCH = (
    COMMON
    + UNITS
    + r"""
how=$1; shift
for service; do
  u=$(unit "$service")
  if [ "$service" = sysstat-collecting ]; then
    [ -f /etc/default/sysstat ] || continue
    [ "$how" = on ] && value=true || value=false
    sed -i "s/^ENABLED=.*/ENABLED=\"$value\"/" /etc/default/sysstat || end 1 "/etc/default/sysstat could not be changed"
    continue
  fi
  if [ "$how" = on ]; then
    if systemd; then systemctl enable --now "$u" 2>&1
    elif command -v systemctl >/dev/null; then systemctl enable "$u" 2>&1
    elif command -v update-rc.d >/dev/null; then update-rc.d "$u" defaults 2>&1
    else chkconfig "$u" on 2>&1; fi || end 1 "$u could not be enabled"
  else
    if systemd; then systemctl disable --now "$u" 2>&1
    elif command -v systemctl >/dev/null; then systemctl disable "$u" 2>&1
    elif command -v update-rc.d >/dev/null; then update-rc.d "$u" disable 2>&1
    else chkconfig "$u" off 2>&1; fi || end 1 "$u could not be disabled"
  fi
done
systemd || echo "no systemd runs here: the services start when its own init starts them"
"""
)


def plan(host: str, packages: Sequence[str], services: Sequence[str] = ()) -> Change | None:
    """Return the change that installs packages and enables services, ``None`` where all is so; reads only.

    Args:
        host: A host of the run.
        packages: Names of packages.
        services: Of :data:`SERVICES`: names of packages, and one switch; their packages are installed too.

    Raises:
        UsageError: If a name is none, or installing would upgrade or remove something, which no undo brings back.
        OpsnbError: If the host's package manager does not know a package.
    """
    _check(packages, services)
    wanted = sorted({*packages, *(SERVICES[name] for name in services)})
    if not wanted:
        return None
    there = _look(host, wanted, services)
    missing = [name for name in wanted if name not in there["installed"]]
    brought = _brought(host, missing) if missing else []
    target = {"packages": sorted({*wanted, *brought}), "services": sorted(services)}
    before = {"installed": there["installed"], "enabled": there["enabled"]}
    after = {"installed": sorted({*there["installed"], *wanted, *brought}), "enabled": sorted(services)}
    if before == after:
        return None
    return Change(
        host=host, what="software", verb=VERB, target=target, before=before, after=after,
        command=_words(before, after), undo=_words(after, before),
    )  # fmt: skip


def parse_apt(text: str) -> tuple[list[str], list[str]]:
    """Return what ``apt-get -s install`` would install, and what it would upgrade or remove."""
    rows = [(m[1].partition(":")[0], bool(m[2])) for m in INST.finditer(text)]
    removed = [line.split()[1] for line in text.splitlines() if line.startswith(("Remv ", "Purg "))]
    return sorted(name for name, old in rows if not old), sorted({*removed, *(name for name, old in rows if old)})


def parse_dnf(text: str) -> tuple[list[str], list[str]]:
    """Return what ``dnf install --assumeno`` (or yum) would install, and what it would upgrade or remove.

    The table has a head line for each kind; a name that is too long for its column stands on a line of its own.
    """
    new: set[str] = set()
    other: set[str] = set()
    kind: set[str] | None = None
    for line in text.splitlines():
        if line and not line.startswith((" ", "=", "-")):
            head = line.strip().rstrip(":").lower()
            known = new if head.startswith("installing") and line.rstrip().endswith(":") else None
            bad = head.startswith(("upgrading", "updating", "removing", "downgrading", "obsoleting", "reinstalling"))
            kind = known if known is not None else other if bad else None
        elif kind is not None and line.startswith(" ") and not line.startswith("  ") and line.split():
            kind.add(line.split()[0])
    return sorted(new), sorted(other)


def observe(host: str, target: JSON) -> JSON:
    """Return which of the packages and services of ``target`` are there."""
    packages, services = _target(target)
    found = _look(host, packages, services)
    return {"installed": found["installed"], "enabled": found["enabled"]}


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Install and enable, or disable and remove, what differs.

    Raises:
        UnreachableError: If the host cannot be reached.
        UnknownOutcomeError: If nobody saw the end.
        OpsnbError: If a step could not be done; those before it are done.
    """
    _target(target)
    begun = False
    for script, arguments in _steps(before, after):
        try:
            remote.act(host, script, *arguments, seconds=INSTALL_SECONDS)
        except remote.UnreachableError as error:
            if begun:
                raise remote.UnknownOutcomeError(f"{error.message}, between two steps") from error
            raise
        begun = True


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply))


def _steps(before: JSON, after: JSON) -> list[tuple[str, list[str]]]:
    def more(one: JSON, other: JSON, what: str) -> list[str]:
        return [name for name in one[what] if name not in other[what]]

    gone = more(before, after, "installed")
    off = [name for name in more(before, after, "enabled") if SERVICES[name] not in gone]
    steps = [
        (INSTALL, more(after, before, "installed")), (SWITCH, ["on", *more(after, before, "enabled")]),
        (SWITCH, ["off", *off]), (REMOVE, gone),
    ]  # fmt: skip
    return [(script, names) for script, names in steps if names and names not in (["on"], ["off"])]


def _look(host: str, packages: Sequence[str], services: Sequence[str]) -> dict[str, list[str]]:
    text = remote.look(host, LOOK, str(len(services)), *services, *packages).text
    rows = [line.partition(" ") for line in text.splitlines()]
    return {kind: sorted(value for name, _, value in rows if name == kind) for kind in ("by", "installed", "enabled")}


def _brought(host: str, packages: Sequence[str]) -> list[str]:
    text = remote.look(host, TRY, *packages, seconds=INSTALL_SECONDS).text
    new, other = (parse_apt if "\nInst " in text or "Reading package" in text else parse_dnf)(text)
    if not new:
        said = [line for line in text.splitlines() if line.startswith(("E:", "Error", "No match"))]
        hint = "do its package lists know it? apt-get update, or dnf makecache"
        raise OpsnbError(f"{host}: {', '.join(packages)} cannot be installed: {'; '.join(said)[:300]}", hint=hint)
    if other:
        hint = "update the host first; an undo cannot bring an older version back"
        raise UsageError(f"{host}: installing {', '.join(packages)} would change {', '.join(other)} too", hint=hint)
    return new


def _check(packages: Sequence[str], services: Sequence[str]) -> None:
    for name in packages:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise UsageError(f"a package is called {name!r:.80}; wanted letters, digits, '+', '.', '_' and '-'")
    for name in services:
        if name not in SERVICES:
            raise UsageError(f"the service is {name!r:.80}; wanted one of {', '.join(SERVICES)}")


def _target(target: JSON) -> tuple[list[str], list[str]]:
    if not isinstance(target, dict) or not all(isinstance(target.get(k), list) for k in ("packages", "services")):
        raise UsageError(f"the target of {VERB} is {{'packages', 'services'}}, found {target!r:.80}")
    _check(target["packages"], target["services"])
    return target["packages"], target["services"]


def _words(before: JSON, after: JSON) -> str:
    words = []
    for label, kind, one, other in (
        ("install", "installed", after, before), ("enable", "enabled", after, before),
        ("disable", "enabled", before, after), ("remove", "installed", before, after),
    ):  # fmt: skip
        names = [name for name in one[kind] if name not in other[kind]]
        words += [f"{label} {', '.join(names)}"] * bool(names)
    return "; ".join(words)
