"""Examine: what is missing, stale or unsafe on this machine and in this workspace, each with what mends it.

It reads and changes nothing, and works whether a control plane runs or not.
"""

from __future__ import annotations

import contextlib
import grp
import importlib.metadata
import json
import os
import pwd
import shutil
import sqlite3
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from opsnb.base.clock import now, parse, stamp
from opsnb.base.errors import OpsnbError
from opsnb.base.settings import read as read_settings
from opsnb.base.workspace import SETTINGS_FILE, Workspace
from opsnb.control.approvals.written import read_policies
from opsnb.control.catalog import Catalog
from opsnb.control.database import wal_is_safe
from opsnb.control.flows.examine_isolation import isolation
from opsnb.control.flows.examine_policies import policies
from opsnb.control.flows.examine_signin import sign_in
from opsnb.control.flows.finding import Finding, State
from opsnb.control.revision.files import take
from opsnb.control.revision.glance import glance
from opsnb.control.revision.values import Revision

LOW_SPACE = 1024**3  # bytes free below which it is said
NO_SPACE = 64 * 1024**2  # bytes free below which runs will soon be refused
NAMED_FILES = 5  # that differ from the active revision, or requests, in one finding
CLOCK_SLACK = 5.0  # seconds that a ledger entry may seem to lie in the future
OLD_INCOMING = 3600.0  # seconds after which a half-written record is called left behind
SECRET_FILES = ("keys/ledger.key", "keys/secrets.key", "quarantine", "token", "opsnb.db", "ledger-head")


def examine(workspace: Workspace, *, up: bool) -> list[Finding]:
    """Look at everything, the machine first.

    Args:
        workspace: The workspace.
        up: Whether a control plane answers.
    """
    findings = [
        Finding(name="control plane", state=State.OK, found="answers")
        if up
        else Finding(name="control plane", state=State.NOTE, found="not running; each command starts its own",
                     mend="opsnb up"),
    ]  # fmt: skip
    for look in LOOKS:
        findings += look(workspace)
    return findings


def examined(workspace: Workspace, *, up: bool) -> dict[str, Any]:
    """Return what was found as a JSON object, with the number of problems."""
    checks = [finding.as_json() for finding in examine(workspace, up=up)]
    problems = sum(1 for check in checks if check["state"] == State.PROBLEM)
    return {"up": up, "workspace": str(workspace.root), "problems": problems, "checks": checks}


def _python(_: Workspace) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    yield Finding(name="python", state=State.OK, found=found)
    if sys.flags.dont_write_bytecode:
        yield Finding(
            name="bytecode", state=State.WARNING, found="PYTHONDONTWRITEBYTECODE is set: every start compiles anew",
            mend="unset PYTHONDONTWRITEBYTECODE, then: python -m compileall -q " + sys.prefix,
        )  # fmt: skip


def _versions(_: Workspace) -> Iterator[Finding]:
    wrong = []
    for requirement in importlib.metadata.requires("opsnb") or []:
        if "extra ==" in requirement:
            continue
        from packaging.requirements import Requirement

        wanted = Requirement(requirement)
        try:
            found = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} {found}, wanted {wanted.specifier}")
    if wrong:
        yield Finding(name="libraries", state=State.PROBLEM, found="; ".join(wrong), mend="pip install --upgrade opsnb")
    else:
        yield Finding(name="libraries", state=State.OK, found="as declared")


def _sqlite(_: Workspace) -> Iterator[Finding]:
    version = sqlite3.sqlite_version
    if wal_is_safe():
        yield Finding(name="sqlite", state=State.OK, found=f"{version}, WAL journal")
    else:
        yield Finding(
            name="sqlite", state=State.NOTE,
            found=f"{version} can lose data at a WAL reset, so the DELETE journal is used (slower under many writers)",
            mend="a Python with SQLite 3.51.3, 3.50.7 or 3.44.6",
        )  # fmt: skip


def _engine(_: Workspace) -> Iterator[Finding]:
    names = [e.name for e in importlib.metadata.entry_points(group="papermill.engine")]
    if "opsnb" in names:
        yield Finding(name="papermill engine", state=State.OK, found="papermill --engine opsnb")
    else:
        yield Finding(
            name="papermill engine",
            state=State.PROBLEM,
            found="not registered",
            mend="pip install --force-reinstall opsnb",
        )


def _space(workspace: Workspace) -> Iterator[Finding]:
    for name, path in (
        ("state", workspace.state),
        ("records", workspace.outputs),
        ("scratch", Path(tempfile.gettempdir())),
    ):
        place = path if path.exists() else workspace.root
        free = shutil.disk_usage(place).free
        text = f"{free / 1024**3:.1f} GiB free for {name}"
        state = State.PROBLEM if free < NO_SPACE else State.WARNING if free < LOW_SPACE else State.OK
        yield Finding(
            name=f"disk {name}", state=state, found=text, mend=f"free some space in {place}" * (state is not State.OK)
        )


def _permissions(workspace: Workspace) -> Iterator[Finding]:
    if not workspace.state.exists():
        yield Finding(name="permissions", state=State.OK, found="no state yet")
        return
    inside = (workspace.state, *(workspace.state / n for n in SECRET_FILES))
    open_to_others = [p for p in inside if p.exists() and stat.S_IMODE(p.lstat().st_mode) & 0o077]
    if open_to_others:
        names = " ".join(str(p) for p in open_to_others)
        yield Finding(
            name="permissions", state=State.PROBLEM, found=f"others may reach {names}", mend=f"chmod go= {names}"
        )
    else:
        yield Finding(name="permissions", state=State.OK, found=".opsnb is its owner's alone")
    yield from _place(workspace.root)
    owner = workspace.state.lstat().st_uid
    if owner != os.geteuid():
        yield Finding(
            name="owner", state=State.PROBLEM, found=f".opsnb belongs to uid {owner}, you are {os.geteuid()}",
            mend="use opsnb as its owner",
        )  # fmt: skip


def _place(root: Path) -> Iterator[Finding]:
    """Who may write to a folder may put another one in the place of what is in it, whoever owns that."""
    found = root.stat()
    others = found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and _shared(found.st_gid, found.st_uid))
    if others and not found.st_mode & stat.S_ISVTX:
        yield Finding(
            name="workspace", state=State.WARNING, found=f"others may put another .opsnb or outputs into {root}",
            mend=f"chmod go-w {root}; open runbooks/, configs/ and schedules/ to whoever writes there",
        )  # fmt: skip


def _shared(group: int, owner: int) -> bool:
    """Whether somebody besides its owner is in a file's group: on many systems everybody has one of their own."""
    try:
        members = set(grp.getgrgid(group).gr_mem)
    except KeyError:
        members = set()
    return any(p.pw_uid != owner and (p.pw_gid == group or p.pw_name in members) for p in pwd.getpwall())


def _settings(workspace: Workspace) -> Iterator[Finding]:
    try:
        read_policies(read_settings(workspace.root / SETTINGS_FILE).policies)
    except OpsnbError as error:
        yield Finding(name="settings", state=State.PROBLEM, found=error.message, mend=error.hint or "edit opsnb.yaml")
    else:
        yield Finding(name="settings", state=State.OK, found="valid")


def _activation(workspace: Workspace) -> Iterator[Finding]:
    """Files that are not those that hold: what was saved, and nobody has activated."""
    try:
        seen = glance(workspace.database)
        if seen is None or seen.people <= 1:
            yield Finding(name="activation", state=State.OK, found="one person: the files hold as they are")
            return
        holds = seen.revision or Revision(files={})
        differ = holds.differing(take(workspace.root, lambda _: True).revision)
    except OpsnbError as error:
        yield Finding(name="activation", state=State.PROBLEM, found=error.message, mend=error.hint or "opsnb activate")
        return
    if not differ:
        yield Finding(name="activation", state=State.OK, found=f"the files are revision {seen.number}, which is active")
        return
    more = f" and {len(differ) - NAMED_FILES} more" if len(differ) > NAMED_FILES else ""
    yield Finding(
        name="activation", state=State.WARNING, mend="opsnb activate   shows what differs, and asks",
        found=f"not as in the active revision {seen.number}: {', '.join(differ[:NAMED_FILES])}{more}",
    )  # fmt: skip


def _reviews(workspace: Workspace) -> Iterator[Finding]:
    """Reviews of what went without an approval that nobody made in time."""
    query = "SELECT request, runbook, review_due FROM approvals WHERE reviewed = 0 AND review_due <= ? ORDER BY 3"
    try:
        where = f"file:{quote(str(workspace.database.absolute()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(where, uri=True, timeout=30)) as opened:
            late = opened.execute(query, (stamp(),)).fetchall()
    except sqlite3.Error:
        return  # no state yet, or an older one
    if late:
        named = ", ".join(f"{request} ({runbook}, due {due})" for request, runbook, due in late[:NAMED_FILES])
        yield Finding(
            name="reviews", state=State.PROBLEM, found=f"{len(late)} overdue: {named}",
            mend=f"opsnb requests show {late[0][0]}, then: opsnb requests review {late[0][0]} --comment TEXT",
        )  # fmt: skip
    else:
        yield Finding(name="reviews", state=State.OK, found="none is overdue")


def _catalog(workspace: Workspace) -> Iterator[Finding]:
    catalog = Catalog.load(workspace.root)
    for broken in catalog.broken:
        yield Finding(
            name="runbook",
            state=State.PROBLEM,
            found=str(broken.error.message),
            mend=f"opsnb runbook lint {broken.path}",
        )
    yield Finding(name="runbooks", state=State.OK, found=f"{len(catalog.runbooks)} can run")


def _ledger(workspace: Workspace) -> Iterator[Finding]:
    path = workspace.outputs / "ledger" / "entries.jsonl"
    if not path.exists():
        yield Finding(name="ledger", state=State.OK, found="not begun")
        return
    last = _last_line(path)
    try:
        entry = json.loads(last)
        ahead = (parse(entry["at"]) - now()).total_seconds()
    except (ValueError, KeyError, TypeError):
        yield Finding(
            name="ledger",
            state=State.PROBLEM,
            found=f"{path} ends in something that is no entry",
            mend="opsnb audit verify",
        )
        return
    if ahead > CLOCK_SLACK:
        yield Finding(
            name="clock", state=State.PROBLEM, found=f"the ledger's last entry lies {ahead:.0f} s in the future",
            mend="set this machine's clock (timedatectl set-ntp true)",
        )  # fmt: skip
    yield Finding(name="ledger", state=State.OK, found=f"{entry['index'] + 1} entries, the last at {entry['at']}")


def _incoming(workspace: Workspace) -> Iterator[Finding]:
    if not workspace.incoming.is_dir():
        return
    old = [
        p.name for p in workspace.incoming.iterdir() if p.is_dir() and time.time() - p.stat().st_mtime > OLD_INCOMING
    ]
    if old:
        yield Finding(
            name="half-written records", state=State.NOTE, found=", ".join(old[:5]),
            mend="the next start of the control plane ends them: opsnb up",
        )  # fmt: skip


def _git(workspace: Workspace) -> Iterator[Finding]:
    if not (workspace.root / ".git").exists():
        return
    ignored = workspace.root / ".gitignore"
    lines = ignored.read_text(encoding="utf-8", errors="replace").split() if ignored.is_file() else []
    if not {".opsnb/", ".opsnb"} & set(lines):
        yield Finding(
            name="git", state=State.WARNING, found=".opsnb/ (keys, database) is not in .gitignore",
            mend="echo .opsnb/ >> .gitignore",
        )  # fmt: skip


def _last_line(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - 65536))
        return (stream.read().rstrip(b"\n").rpartition(b"\n"))[2]


LOOKS: tuple[Callable[[Workspace], Iterator[Finding]], ...] = (
    _python,
    _versions,
    _engine,
    _sqlite,
    isolation,
    _space,
    _permissions,
    _settings,
    policies,
    sign_in,
    _activation,
    _reviews,
    _catalog,
    _ledger,
    _incoming,
    _git,
)
