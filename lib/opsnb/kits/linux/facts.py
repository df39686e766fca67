"""Facts of a host: what it is rather than what it does, read by one script in one round trip.

A fact that the host did not tell is ``None``, and ``not_read`` says why where a reason is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from opsnb.base.errors import OpsnbError
from opsnb.fleet import Fleet, Machine
from opsnb.kits.linux import scripts
from opsnb.kits.linux.asking import Answer, ask
from opsnb.kits.linux.cpu import parse_cpuinfo, parse_uptime
from opsnb.kits.linux.disks import parse_mounts, storage
from opsnb.kits.linux.memory import parse_meminfo
from opsnb.kits.linux.triage import unread

Facts = dict[str, Any]
MANAGERS = ("dpkg", "apt-get", "rpm", "dnf", "yum", "zypper", "apk", "pacman")
NO_LOGIN = ("nologin", "false", "sync", "shutdown", "halt")  # last part of a shell that lets nobody in
SECTOR = 512  # bytes; /sys/block/*/size counts these whatever the disk's own are
GIB = 2**30
DMI = (  # what maker and product say about the machine below
    ("vmware", "vmware"), ("virtualbox", "virtualbox"), ("microsoft corporation virtual", "hyper-v"),
    ("amazon ec2", "kvm (amazon)"), ("alibaba cloud", "kvm (alibaba)"), ("google", "kvm (google)"),
    ("openstack", "kvm (openstack)"), ("tencent", "kvm (tencent)"), ("qemu", "kvm"), ("xen", "xen"), ("kvm", "kvm"),
)  # fmt: skip
RELEASES = ("/etc/redhat-release", "/etc/alpine-release", "/etc/debian_version")  # before os-release was invented


def read_facts(hosts: Fleet) -> tuple[dict[str, Facts], dict[str, tuple[str, str]]]:
    """Return the facts of every host that answered, and of the others what became of them and why."""
    found = hosts.each(host_facts)
    return {h: v for h, v in found.items() if not isinstance(v, OpsnbError)}, unread(found)


def host_facts(machine: Machine) -> Facts:
    """Return the facts of one host; see :func:`parse_facts`.

    Raises:
        UnreachableError: If the host cannot be reached.
        UnknownOutcomeError: If nothing came back in time.
    """
    return parse_facts(ask(machine, scripts.FACTS))


def parse_facts(answer: Answer) -> Facts:
    """Return facts from the answer of the facts script; pure.

    Keys: ``os`` (name, id, version), ``kernel``, ``machine``, ``hostname``, ``cpu`` (model, logical, cores, sockets),
    ``memory_mib``, ``swap_mib``, ``disks`` (name: gib, rotating, model), ``addresses`` (interface: list with prefix),
    ``packages`` (package managers), ``python`` (program: version), ``virtualization``, ``uptime_s``, ``boot_id``,
    ``time_offset_s`` (the host's clock less this one) with ``time_uncertain_s``, ``zone``, ``users`` (with a login
    shell: name, uid, shell), ``mounts`` (point, type, device), ``not_read`` (sentences).
    """
    texts = answer.by_name
    system, kernel, machine, name = (*texts.get("uname", "").split("\n"), "", "", "", "")[:4]
    offset, uncertain = clock_offset(answer)
    problems = [] if answer.whole else [f"the end of the answer is missing: {answer.why}"]
    problems += ["addresses: the host has neither ip nor ifconfig"] if "without ip" in texts else []

    def part(of: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (OpsnbError, ValueError, KeyError, IndexError) as error:
            problems.append(f"{of}: {error}")
            return None

    memory = part("memory", lambda: parse_meminfo(texts["file /proc/meminfo"]))
    facts = {
        "os": _os(texts, system), "kernel": kernel or None, "machine": machine or None, "hostname": name or None,
        "cpu": part("cpu", lambda: vars(parse_cpuinfo(texts["file /proc/cpuinfo"]))),
        "memory_mib": round(memory.total) if memory else None, "swap_mib": round(memory.swap_total) if memory else None,
        "disks": _disks(texts), "addresses": _addresses(texts),
        "packages": [m for m in MANAGERS if f"there {m}" in texts], "python": _pythons(texts),
        "virtualization": virtualization(texts),
        "uptime_s": part("uptime", lambda: round(parse_uptime(texts["file /proc/uptime"]))),
        "boot_id": texts.get("file /proc/sys/kernel/random/boot_id", "").strip() or None,
        "time_offset_s": offset, "time_uncertain_s": uncertain, "zone": _zone(texts),
        "users": part("users", lambda: login_users(texts["file /etc/passwd"])),
        "mounts": part("mounts", lambda: [{"point": m.point, "type": m.kind, "device": m.device}
                                          for m in storage(parse_mounts(texts["file /proc/mounts"]))]),
    }  # fmt: skip
    return facts | {"not_read": problems}


def clock_offset(answer: Answer) -> tuple[float | None, float | None]:
    """Return how far a host's clock is ahead of this one, and how far that may be wrong, in seconds.

    The host told its time at the script's start and end; both moments lie between our question and its answer, so the
    offset lies between ``end there - answer here`` and ``start there - question here`` (as in RFC 5905, with the
    middle as the estimate).
    """
    texts = answer.by_name
    started, ended = (_seconds(texts.get(name, "")) for name in ("began", "ended"))
    if started is None or ended is None:
        return None, None
    coarse = 1.0 if started == int(started) and ended == int(ended) else 0.0  # a date without fractions rounds down
    low, high = ended - answer.ended, started + coarse - answer.began
    return round((low + high) / 2, 3), round(max(0.0, high - low) / 2, 3)


def login_users(passwd: str) -> list[dict[str, Any]]:
    """Return the users that a shell lets in: name, uid, shell (an empty shell means /bin/sh)."""
    found = []
    for line in passwd.splitlines():
        words = line.split(":")
        if len(words) < 7 or not words[2].isdigit():  # noqa: PLR2004  (seven columns; damaged lines are passed over)
            continue
        shell = words[6] or "/bin/sh"
        if shell.rpartition("/")[2] not in NO_LOGIN:
            found.append({"name": words[0], "uid": int(words[2]), "shell": shell})
    return found


def parse_addresses(text: str) -> dict[str, list[str]]:
    """Return addresses with prefix by interface, from ``ip -o addr`` or ``ifconfig -a`` (net-tools, busybox)."""
    if re.search(r"^\d+: ", text, re.MULTILINE):
        return _ip(text)
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line[:1].strip():
            name = line.split()[0].rstrip(":")
        found_4 = re.search(r"inet (?:addr:)?([0-9.]+).*?(?:netmask |Mask:)([0-9.]+)", line)
        found_6 = re.search(r"inet6 (?:addr: )?([0-9a-fA-F:]+)(?:/(\d+)|.*prefixlen (\d+))", line)
        if found_4:
            prefix = sum(int(octet).bit_count() for octet in found_4[2].split("."))
            found.setdefault(name, []).append(f"{found_4[1]}/{prefix}")
        elif found_6:
            found.setdefault(name, []).append(f"{found_6[1]}/{found_6[2] or found_6[3]}")
    return found


def virtualization(texts: Mapping[str, str]) -> str | None:
    """Return what the host runs in (``kvm``, ``docker``, ``none``), ``None`` where nothing tells."""
    told = texts.get("virt", "").split("\n")[0].strip()
    if told:
        return told
    for path, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        if f"there {path}" in texts:
            return name
    names = ("file /sys/class/dmi/id/sys_vendor", "file /sys/class/dmi/id/product_name", "file /sys/hypervisor/type")
    made = " ".join(texts.get(n, "").strip() for n in names).lower()
    for word, name in DMI:
        if word in made:
            return name
    flags = re.search(r"^flags\s*:(.*)$", texts.get("file /proc/cpuinfo", ""), re.MULTILINE)
    if flags is None:
        return None
    return "virtual machine" if " hypervisor" in flags[1] else "none"


def _os(texts: Mapping[str, str], system: str) -> dict[str, str | None]:
    pairs = dict(re.findall(r"^(\w+)=[\"']?(.*?)[\"']?$", texts.get("file /etc/os-release", ""), re.MULTILINE))
    old = [texts[f"file {path}"].strip() for path in RELEASES if texts.get(f"file {path}", "").strip()]
    name = pairs.get("PRETTY_NAME") or (old[0] if old else system) or None
    centos = texts.get("file /etc/redhat-release", "").strip()
    if pairs.get("ID") in {"centos", "rhel"} and centos:  # os-release says 7, this says 7.9.2009
        name = centos
    return {"name": name, "id": pairs.get("ID"), "version": pairs.get("VERSION_ID")}


def _disks(texts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, text in texts.items():
        size, rotating, model, *_ = (*text.split("\n"), "", "", "")
        if name.startswith("disk ") and size.strip().isdigit() and int(size) and not name.startswith("disk ram"):
            gib = round(int(size) * SECTOR / GIB, 1)
            found[name.removeprefix("disk ")] = {
                "gib": gib, "rotating": rotating.strip() == "1", "model": model.strip() or None,
            }  # fmt: skip
    return found


def _addresses(texts: Mapping[str, str]) -> dict[str, list[str]] | None:
    text = texts.get("ip") or texts.get("ifconfig")
    return None if text is None else parse_addresses(text)


def _ip(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, address in re.findall(r"^\d+: +(\S+) +inet6? +(\S+)", text, re.MULTILINE):
        found.setdefault(name.partition("@")[0], []).append(address)
    return found


def _pythons(texts: Mapping[str, str]) -> dict[str, str]:
    versions = {n.removeprefix("version "): re.match(r"Python (\d\S*)", t) for n, t in texts.items()
                if n.startswith("version ")}  # fmt: skip
    return {name: found[1] for name, found in versions.items() if found}


def _zone(texts: Mapping[str, str]) -> str | None:
    name = texts.get("localtime", "").strip().partition("zoneinfo/")[2] or texts.get("file /etc/timezone", "").strip()
    return " ".join(w for w in (texts.get("zone", "").strip(), f"({name})" if name else "") if w) or None


def _seconds(text: str) -> float | None:
    found = re.match(r"(\d{9,11})(\.\d+)?", text)
    return float(found[1] + (found[2] or "")) if found else None
