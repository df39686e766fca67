"""A host of the fleet as a source: two samples and everything else, in one round trip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from opsnb.base.errors import OpsnbError
from opsnb.fleet import THIS_MACHINE, Machine
from opsnb.kits.linux import scripts
from opsnb.kits.linux.asking import WAIT_SECONDS, Answer, ask
from opsnb.kits.linux.cpu import parse_uptime
from opsnb.kits.linux.disks import parse_mounts
from opsnb.kits.linux.source import PENDING, Capture, Sample, Source, ThisMachine, mount_points

TOOLS = ("ss", "ss-all", "netstat", "sadf")
BIG_ENDIAN = ("s390", "s390x", "ppc", "ppc64", "mips", "mips64", "sparc", "sparc64", "parisc", "m68k", "armeb")
MISSING = {  # what a host without a tool does not tell
    "awk": "processes and sockets: the host has no awk to read them with",
    "processes": "processes: the host's awk could not read /proc/PID",
    "stat": "sizes of file systems: the host has no stat",
    "ss": "which process owns a listening socket: the host has neither ss nor netstat",
}


class RemoteHost:
    """A host of the fleet.

    Args:
        machine: How it is reached.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def capture(self, seconds: float) -> Capture:
        """Return what one script saw of the host: two samples, file systems, who owns sockets, sysstat's data.

        Raises:
            UnreachableError: If the host cannot be reached.
            UnknownOutcomeError: If nothing came back in time.
            OpsnbError: If what came back was not the script's.
        """
        values = (f"{seconds:g}", str(max(1, math.ceil(seconds))))
        return taken_apart(ask(self._machine, scripts.TRIAGE, *values, seconds=WAIT_SECONDS + seconds))


def source_of(machine: Machine) -> Source:
    """Return how a machine is read: this one from inside the kernel, every other one by script."""
    here = machine.row.get("transport", "local" if machine.name == THIS_MACHINE else "ssh") == "local"
    return ThisMachine() if here else RemoteHost(machine)


def taken_apart(answer: Answer) -> Capture:
    """Return an answer of the triage script as texts of two times; pure.

    Raises:
        OpsnbError: If it ended before its second sample.
    """
    files = _samples(answer.texts)
    two = 2
    if len(files) < two or not all(found.get("/proc/uptime") for found in files):
        raise OpsnbError(f"the host's answer ended before its second sample: {answer.why or 'no /proc/uptime in it'}")
    first, second = (Sample(at=parse_uptime(found["/proc/uptime"]), texts=found) for found in files[:two])
    texts = answer.by_name
    notes = [MISSING[word] for word in answer.starting("without") if word in MISSING]
    notes += [f"cut from what was read: {what}" for what in answer.starting("cut")]
    notes += [] if answer.whole else [f"the end of the host's answer is missing: {answer.why}"]
    if "netstat" in texts and not texts["netstat"].strip():
        notes.append("which process owns a listening socket: netstat said nothing")
    tools = {name: texts[name] for name in TOOLS if name in texts}
    if "sadf" not in tools and "without sadf" not in texts:
        tools["sadf"] = "the answer ended before it"
    return Capture(
        first=first, second=second, tools=tools,
        notes=tuple(dict.fromkeys(notes)), counters=_asked(second.texts.get("/proc/mounts", ""), texts, answer),
        reader=int(next(iter(answer.starting("self")), "0")), byteorder=_byteorder(texts.get("machine", "")),
        received=answer.received,
    )  # fmt: skip


def counters(mounts: str, lines: str) -> dict[str, str]:
    """Return the counters of each mount point from lines ``"3 4096 100 50 40 0 0"``: 3 is its line in the mounts."""
    try:
        points = [m.point for m in parse_mounts(mounts)]
    except OpsnbError:  # the section of disks says so
        return {}
    found: dict[str, str] = {}
    for line in lines.splitlines():
        number, _, text = line.partition(" ")
        if number.isdigit() and 0 < int(number) <= len(points):
            found[points[int(number) - 1]] = text
    return found


def _asked(mounts: str, texts: Mapping[str, str], answer: Answer) -> dict[str, str] | None:
    """Return the counters, ``None`` where the host never came to ask its file systems.

    In an answer that was cut, nobody knows whether a file system hangs or its line was lost: it is pending.
    """
    if "filesystems" not in texts or "without stat" in texts:
        return None
    pending = {} if answer.whole else dict.fromkeys(mount_points(mounts), PENDING)
    return pending | counters(mounts, texts["filesystems"])


def _samples(texts: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    files: list[dict[str, str]] = []
    for name, text in texts:
        if name == "sample":
            files.append({})
        elif name.startswith("file ") and files:
            files[-1][name.removeprefix("file ")] = text
        elif name.startswith("unread ") and files:
            files[-1].pop(name.removeprefix("unread "), None)
    return files


def _byteorder(machine: str) -> Literal["little", "big"]:
    return "big" if machine.strip() in BIG_ENDIAN else "little"
