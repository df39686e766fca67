"""What is compared between hosts of one group: read by one script in one round trip, parsed into flat settings.

Left out, because it differs between healthy hosts of one kind: ``VOLATILE`` kernel settings, settings of single network
interfaces, the run state of services that a timer starts, UDP ports that a program was given for an hour.
"""

from __future__ import annotations

import fnmatch
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.fleet import Fleet, Machine
from opsnb.kits.linux import owners, scripts
from opsnb.kits.linux.asking import Answer, ask
from opsnb.kits.linux.facts import clock_offset
from opsnb.kits.linux.sockets import LISTENING
from opsnb.kits.linux.triage import unread
from opsnb.runbook.show import visible

AREAS = ("packages", "files", "kernel settings", "services", "users", "groups", "time")
VOLATILE = {  # pattern of a kernel setting: why it is no setting of anybody
    "fs.dentry-state": "a counter", "fs.inode-nr": "a counter", "fs.inode-state": "a counter",
    "fs.file-nr": "a counter", "fs.aio-nr": "a counter", "fs.quota.*": "counters",
    "fs.nfs.nfs_callback_tcpport": "chosen at start",
    "kernel.random.*": "made anew at each start or reading", "kernel.ns_last_pid": "a counter",
    "kernel.pty.nr": "a counter", "kernel.hostname": "the host's own name", "kernel.domainname": "the host's own name",
    "kernel.tainted": "what happened since the start", "kernel.sched_domain.*": "follows the CPUs",
    "kernel.threads-max": "follows the memory", "kernel.usermodehelper.*": "a mask",
    "dev.cdrom.*": "the drive's own words",
    "net.netfilter.nf_conntrack_count": "a counter", "net.netfilter.nf_conntrack_buckets": "follows the memory",
    "net.core.netdev_rss_key": "made anew at each start", "net.ipv4.tcp_fastopen_key": "a secret",
    "net.ipv6.conf.*.stable_secret": "a secret", "net.ipv4.tcp_mem": "follows the memory",
    "net.ipv4.udp_mem": "follows the memory", "net.ipv4.tcp_available_congestion_control": "follows loaded modules",
    "net.ipv4.tcp_allowed_congestion_control": "follows loaded modules",
    "net.ipv?.route.max_size": "follows the memory",
    "user.max_*": "follows the memory", "vm.min_free_kbytes": "follows the memory", "vm.stat_refresh": "no setting",
    "vm.lowmem_reserve_ratio": "follows the memory", "fs.epoll.max_user_watches": "follows the memory",
    "sunrpc.transports": "follows loaded modules", "debug.*": "no setting",
}  # fmt: skip
INTERFACE = re.compile(r"^net\.ipv[46]\.(?:conf|neigh)\.(?!all\.|default\.)")
REGISTERED = 10240  # from here on a port of an unseen process may be anybody's for a minute
HIDDEN = "a process of another user"
EPHEMERAL = range(32768, 61000)  # the kernel's usual ports for outgoing traffic
SHOWN_DIGEST = 16  # hexadecimal digits of a digest that are shown: enough to tell files apart


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is compared of one host.

    Args:
        areas: Area to name to value; an area that could not be read is missing.
        offset: How far its clock is ahead of this one, seconds, and how far that may be wrong.
        notes: What could not be read, in words.
    """

    areas: dict[str, dict[str, str]]
    offset: tuple[float | None, float | None] = (None, None)
    notes: tuple[str, ...] = ()


def read_settings(
    hosts: Fleet, files: Sequence[str], ignore: Sequence[str] = ()
) -> tuple[dict[str, Settings], dict[str, tuple[str, str]]]:
    """Return what is compared of every host that answered, and of the others what became of them and why.

    Args:
        hosts: The hosts.
        files: Absolute paths of files whose contents, mode and owner are compared.
        ignore: Patterns of more names to leave out, ``area: name``: ``packages: linux-image-*``.

    Raises:
        UsageError: If a path is not absolute.
    """
    for path in files:
        if not path.startswith("/") or "\0" in path or "\n" in path:
            raise UsageError(
                f"files: {path!r:.80} is not an absolute path on one line", hint="write /etc/ssh/sshd_config"
            )
    salt = secrets.token_hex(16)  # the same for all hosts of this run, and nowhere else
    found = hosts.each(lambda machine: _settings(machine, files, ignore, salt))
    return {h: v for h, v in found.items() if not isinstance(v, OpsnbError)}, unread(found)


def parse_settings(answer: Answer, files: Sequence[str], ignore: Sequence[str] = ()) -> Settings:
    """Return settings from the answer of the drift script; pure."""
    texts = answer.by_name
    notes = [] if answer.whole else [f"the end of the answer is missing: {answer.why}"]
    areas = {
        "packages": _packages(texts), "files": _files(texts, files), "kernel settings": _sysctl(texts),
        "services": _services(texts), "users": _users(texts), "groups": _groups(texts),
        "time": {"time zone": texts["zone"].strip()} if texts.get("zone", "").strip() else None,
    }  # fmt: skip
    notes += [f"{area}: nothing on this host tells them" for area, found in areas.items() if found is None]
    kept = {area: {name: value for name, value in found.items() if not _ignored(area, name, ignore)}
            for area, found in areas.items() if found is not None}  # fmt: skip
    return Settings(areas=kept, offset=clock_offset(answer), notes=tuple(notes))


def left_out(ignore: Sequence[str] = ()) -> pd.DataFrame:
    """Return what is not compared, and why: columns ``left_out``, ``why``."""
    rows = [(f"kernel settings: {pattern}", why) for pattern, why in VOLATILE.items()]
    rows += [
        ("kernel settings: net.ipv4|6.conf|neigh.INTERFACE.*", "interfaces differ; all and default are compared"),
        ("services: run state of units that are not enabled", "others start them; a failed one is compared"),
        (f"services: ports from {REGISTERED} on whose process the login may not see", "many live for minutes"),
        (f"services: UDP ports {EPHEMERAL.start} to {EPHEMERAL.stop - 1}", "given to outgoing traffic for a while"),
        *((pattern, "asked for in this run") for pattern in ignore),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["left_out", "why"])


def left_out_text(ignore: Sequence[str] = ()) -> str:
    """Return what is not compared as sentences, each reason once: they read well on a phone."""
    reasons: dict[str, list[str]] = {}
    for row in left_out(ignore).to_dict("records"):
        reasons.setdefault(row["why"], []).append(visible(row["left_out"].removeprefix("kernel settings: ")))
    return "\n".join(f"{why}: {', '.join(names)}" for why, names in reasons.items())


def _settings(machine: Machine, files: Sequence[str], ignore: Sequence[str], salt: str) -> Settings:
    return parse_settings(ask(machine, scripts.DRIFT, salt, *files), files, ignore)


def _ignored(area: str, name: str, ignore: Sequence[str]) -> bool:
    if area == "kernel settings" and (INTERFACE.match(name) or any(fnmatch.fnmatchcase(name, p) for p in VOLATILE)):
        return True
    return any(fnmatch.fnmatchcase(f"{area}: {name}", pattern) for pattern in ignore)


def _packages(texts: Mapping[str, str]) -> dict[str, str] | None:
    found: dict[str, list[str]] = {}
    for line in texts.get("dpkg", "").splitlines():
        name, _, rest = line.partition(" ")
        version, _, status = rest.partition(" ")
        if status == "install ok installed":
            found.setdefault(name, []).append(version)
        elif name and not status.startswith("deinstall"):
            found.setdefault(name, []).append(f"{version} ({status})")
    for line in texts.get("rpm", "").splitlines():
        name, _, version = line.partition(" ")
        found.setdefault(name, []).append(version.removeprefix("(none):").removeprefix("0:"))
    for line in texts.get("apk", "").splitlines():
        cut = re.match(r"(.+)-([^-]+-r\d+)$", line)
        if cut:
            found.setdefault(cut[1], []).append(cut[2])
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()} or None


def _files(texts: Mapping[str, str], files: Sequence[str]) -> dict[str, str] | None:
    found = {path: _file(texts[f"file-of {number}"]) for number, path in enumerate(files, 1)
             if f"file-of {number}" in texts}  # fmt: skip
    return found or None


def _file(text: str) -> str:
    lines = text.splitlines()
    if lines[:1] == ["missing"]:
        return "not there"
    mode, user, group, *kind = (lines[0].split(" ") if lines else [""]) + ["", ""]
    about = f"{mode} {user}:{group} {' '.join(k for k in kind if k)}".strip() if mode else "mode and owner not told"
    content = lines[1] if len(lines) > 1 else ""
    digest = re.match(r"(sha256|keyed) ([0-9a-f]{64})", content)
    if digest:
        return f"{digest[1]} {digest[2][:SHOWN_DIGEST]} {about}"
    return f"{about} {'-> ' if 'link' in about else ''}{visible(content)}".strip()


def _sysctl(texts: Mapping[str, str]) -> dict[str, str] | None:
    pairs = (line.partition(" = ") for line in texts.get("sysctl", "").splitlines())
    return {name: " ".join(value.split()) for name, equals, value in pairs if equals} or None


def _services(texts: Mapping[str, str]) -> dict[str, str] | None:
    if "enabled" in texts:
        return _units(texts["enabled"], texts.get("active", ""))
    parse, text = (owners.parse_ss, texts["ss"]) if "ss" in texts else (owners.parse_netstat, texts.get("netstat", ""))
    rows = parse(text)
    found: dict[str, set[str]] = {}
    for r in rows.to_dict("records"):
        kind = r["protocol"].rstrip("6")
        if r["state"] == LISTENING[kind] and not (kind == "udp" and r["local_port"] in EPHEMERAL):
            program = re.sub(r"\[\d+\]", "", r["owner"]) or HIDDEN
            if program == HIDDEN and r["local_port"] >= REGISTERED:
                continue
            found.setdefault(f"{kind} port {r['local_port']}", set()).add(program)
    return {name: ", ".join(sorted(programs)) for name, programs in found.items()} or None


def _units(files: str, active: str) -> dict[str, str]:
    states = {words[0]: words[1] for line in files.splitlines() if len(words := line.split()) > 1}
    running = {words[0].lstrip("●* "): words[3] for line in active.splitlines()
               if len(words := line.replace("●", " ").split()) > 3}  # noqa: PLR2004  # fmt: skip
    found = {}
    for name in states.keys() | {n for n, sub in running.items() if sub == "failed"}:
        sub, state = running.get(name, "dead"), states.get(name, "no unit file")
        told = ["failed"] if sub == "failed" else []
        runs = state == "enabled" and "@." not in name  # name@.service is a pattern that nothing runs under
        told += ["running" if sub == "running" else "not running"] if runs and not told else []
        found[name] = ", ".join([state, *told])
    return found


def _users(texts: Mapping[str, str]) -> dict[str, str] | None:
    rows = [line.split(":") for line in texts.get("file /etc/passwd", "").splitlines()]
    wanted = 7
    return {r[0]: f"uid {r[2]} gid {r[3]} home {r[5]} shell {r[6]}" for r in rows if len(r) == wanted} or None


def _groups(texts: Mapping[str, str]) -> dict[str, str] | None:
    rows = [line.split(":") for line in texts.get("file /etc/group", "").splitlines()]
    wanted = 4
    found = {}
    for name, _, gid, members in (r for r in rows if len(r) == wanted):
        listed = ",".join(sorted(filter(None, members.split(","))))
        found[name] = f"gid {gid} members {listed}" if listed else f"gid {gid}"
    return found or None
