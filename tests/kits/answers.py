"""Captured answers of hosts to the kit's scripts, and what is compared of what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opsnb.kits import linux
from opsnb.kits.linux.asking import Answer, sections, trusted

DATA = Path(__file__).parents[1] / "data" / "linux"
NUMBER = "0123456789abcdef"  # what `$1` was when the answers in tests/data were captured
ASKED, ANSWERED = 1795646756.0, 1795646758.0  # when they are said to have been asked and to have answered


def answer(text: str) -> Answer:
    """Return a captured answer as the kit takes it apart."""
    texts = tuple(sections(text.encode(), NUMBER))
    whole = texts[-1][0] == "end"
    why = "" if whole else "the answer was cut short"
    return Answer(texts=trusted(texts), whole=whole, began=ASKED, ended=ANSWERED, received=len(text), why=why)


def triage(parts: dict[str, str]) -> dict[str, Any]:
    """Return what an answer of the triage script tells about its host, in short."""
    r = linux.parse_capture(linux.taken_apart(answer(parts["answer"])))
    ports = linux.listening_ports(r.sockets, r.users, r.owners) if "sockets" not in r.problems else None
    return {
        "seconds": r.seconds, "missing": r.problems, "notes": list(r.notes), "reader": r.reader,
        "history": r.history.host if r.history else r.history_note,
        "cpus": r.cpu.logical, "load": r.load.one, "up": r.uptime,
        "busy_percent": r.cpu_usage["busy_percent"].iloc[0],
        "memory_mib": r.memory.total, "memory_estimated": r.memory.estimated,
        "disks": {} if "disks" in r.problems else {d["mount"]: d["used_percent"] for d in r.disks.to_dict("records")},
        "interfaces": {n["interface"]: n["receive_packets_s"] for n in r.network.to_dict("records")},
        "pressure": len(r.pressure),
        "processes": {} if "processes" in r.problems else {
            p["name"]: [p["user"], p["cpu_percent"]] for p in r.processes.to_dict("records")},
        "listening": None if ports is None else [
            [p["protocol"], p["port"], p["address"], p.get("process", "nobody asked")] for p in ports.to_dict("records")],
    }  # fmt: skip


def facts(parts: dict[str, str]) -> Any:
    """Return the facts in an answer of the facts script."""
    return linux.parse_facts(answer(parts["answer"]))


def settings(parts: dict[str, str]) -> dict[str, Any]:
    """Return the settings in an answer of the drift script."""
    found = linux.parse_settings(answer(parts["answer"]), ["/etc/passwd", "/etc/shadow", "/nope", "/etc"])
    return {"areas": found.areas, "offset": list(found.offset), "notes": list(found.notes)}
