"""Takes what a host has into the one place: the file as the environment's source, and its entry in the manifest.

Rules:

* What the one place renders for that host already, from ``common/`` or the environment, is no change.
* A source that is a template is not overwritten: the host's text would lose its variables.
* A file that not everybody may read there, or that looks as if it held a secret, is refused; or it is taken as
  ``sensitive``, or shown like any other, where the person says so. A private key is never shown.
* Binary files, links and files over 256 KiB are refused, as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsnb import fleet
from opsnb.base.errors import UsageError
from opsnb.base.plan import Change, Plan
from opsnb.fleet.inventory.selector import parse
from opsnb.kits.config import entries, reading, sources
from opsnb.kits.config.places import Service, open_service
from opsnb.kits.config.reading import Found
from opsnb.kits.config.suspicious import PRIVATE_KEY, suspicions
from opsnb.kits.config.values import MANIFEST, File, Manifest, folder_name, host_path
from opsnb.kits.files.states import State

GUARDED = ("refuse", "hide", "show")
OTHERS_READ = 0o004
ROLE = re.compile(r"[\w.-]+")  # a label that a selector needs no quotes for
MODE, SENSITIVE_MODE = "0644", "0600"  # of sources


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What becomes of one path.

    Args:
        path: Where it lies on the host.
        source: Where it comes to lie, relative to ``configs/``.
        becomes: ``new``, ``changed``, ``as it is``, or ``refused``.
        why: The reason, for the reader.
        state: Its state on the host.
        file: Its entry in the manifest, the new one where there is none.
        listed: Whether the manifest has it.
    """

    path: str
    source: str
    becomes: str
    why: str
    file: File
    state: State | None = None
    listed: bool = False


def opened(service: str, environment: str, variables: Mapping[str, str] | None = None) -> Service:
    """Return a service of the one place, with an empty manifest where there is none yet.

    Raises:
        UsageError: If a name or the manifest is wrong.
    """
    folder_name(service, "the service")
    if sources.read(f"{service}/{MANIFEST}") is not None:
        return open_service(sources.root(), service, environment, variables)
    folder_name(environment, "the environment")
    manifest = Manifest(service=service, path=f"configs/{service}/{MANIFEST}")
    return Service(root=sources.root(), name=service, environment=environment, manifest=manifest)


def look(
    host: str, service: Service, paths: Sequence[str], guarded: str, having: str = ""
) -> list[Taken]:  # fmt: skip
    """Return what becomes of each path; reads only.

    Args:
        host: The host that has the files.
        service: Of :func:`opened`.
        paths: Absolute paths on the host; empty for those of the manifest that the host has.
        guarded: ``refuse``, ``hide`` or ``show``: what to do with files that seem to hold a secret.
        having: Selector of the hosts that have the files, for new entries; empty: those with this host's ``role``.

    Raises:
        UnreachableError: If the host cannot be reached.
        UsageError: If a path is none.
    """
    if guarded not in GUARDED:
        raise UsageError(f"guarded is {guarded!r:.40}, wanted one of: {', '.join(GUARDED)}")
    if having:
        parse(having)
    row = fleet.machine(host).row
    role = str(dict(row.get("labels", {})).get("role", ""))
    having = having or (f"role={role}" if ROLE.fullmatch(role) else "")
    wanted = [host_path(path) for path in dict.fromkeys(paths)] or [file.path for file in service.of(row)]
    found = reading.read(host, wanted)
    return [_one(service, row, path, found[path], guarded, having) for path in wanted]


def plan_take(host: str, service: Service, taken: Sequence[Taken]) -> Plan:
    """Return the plan that writes what was looked at into the one place.

    Raises:
        UsageError: If something of it is refused; names each with its reason.
    """
    if refused := [f"{one.path}: {one.why}" for one in taken if one.becomes == "refused"]:
        raise UsageError(f"{host}: " + "; ".join(refused), hint="leave these paths out, or see docs/config.md")
    changes: list[Change] = []
    for one in taken:
        if one.becomes in {"new", "changed"} and one.state is not None:
            mode = SENSITIVE_MODE if one.file.sensitive else MODE
            made = sources.change(one.source, one.state["content"], mode=mode, sensitive=one.file.sensitive)
            changes += [made] if made else []
    new = [one.file for one in taken if not one.listed]
    if new:
        path = f"{service.name}/{MANIFEST}"
        old = sources.read(path)
        text = entries.add(old["content"] if old else None, service.name, f"configs/{path}", new)
        manifest = sources.change(path, text, mode=MODE)
        changes += [manifest] if manifest else []
    context = {"from": host, "sources": {one.path: f"configs/{one.source}" for one in taken}}
    title = f"what {host} has of {service.name} into {service.shown}"
    return Plan(title=title, changes=sources.outside_in(changes), context=context)


def _one(service: Service, row: Any, path: str, found: Found, guarded: str, having: str) -> Taken:
    entry = service.manifest.file(path)
    file = entry or File(path=path, source=path.lstrip("/"))
    source = f"{service.name}/{service.environment}/{file.source}"

    def became(word: str, why: str, file: File = file) -> Taken:
        return Taken(
            path=path, source=source, becomes=word, why=why, file=file, state=found.state, listed=entry is not None
        )  # fmt: skip

    if found.refused or found.state is None:
        return became("refused", found.refused or "is not there")
    word, why = _compared(service, row, entry, found.state["content"], source)
    if word in {"as it is", "refused"}:
        return became(word, why)
    refusal, sensitive = ("", True) if file.sensitive else _guard(found.state, guarded, listed=entry is not None)
    if refusal:
        return became("refused", refusal)
    if entry is None:
        file = File(
            path=path, source=file.source, hosts=having, mode=found.state["mode"], owner=found.state["owner"],
            sensitive=sensitive,
        )  # fmt: skip
    if entry is not None and sensitive and not entry.sensitive:
        return became("refused", f"{service.manifest.path}:{entry.line} does not say that it is sensitive")
    return became(word, why, file)


def _guard(state: State, guarded: str, *, listed: bool) -> tuple[str, bool]:
    """Return why a file is refused, and whether it is taken as sensitive; of a listed one the manifest says how."""
    reasons = [str(one) for one in suspicions(state["content"])]
    key = any(PRIVATE_KEY in reason for reason in reasons)
    if not listed and not int(state["mode"], 8) & OTHERS_READ:
        reasons.append(f"not everybody may read it there (mode {state['mode']})")
    if not reasons or (guarded == "show" and not key):
        return "", False
    if guarded == "hide":
        return "", True
    hint = "guarded=hide takes it as sensitive" + ("" if key else ", guarded=show takes it as it is")
    return f"{'; '.join(reasons[:3])} ({hint})", False


def _compared(service: Service, row: Any, entry: File | None, content: str, source: str) -> tuple[str, str]:
    there = sources.read(source)
    if entry is None:
        return ("changed", "its source is there, its entry is not") if there else ("new", "")
    try:
        shown, text = service.source(entry)
    except UsageError:
        return "new", "listed, and had no source"
    if (service.render(entry, row) if entry.template else text) == content:
        return "as it is", f"{shown} says the same"
    if entry.template:
        return "refused", f"differs from the template {shown}, and taking it would lose the variables: edit that"
    return ("changed", "") if there else ("new", f"instead of {shown}")
