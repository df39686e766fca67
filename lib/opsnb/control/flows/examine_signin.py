"""Whether a directory and a provider that ``login:`` names can be asked: else somebody finds out who wants to sign in.

Their certificate, their address and the references of secrets are looked at; nobody is signed in, no secret is read.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from opsnb.base.errors import OpsnbError
from opsnb.base.settings import read as read_settings
from opsnb.base.signin import Ldap, Oidc
from opsnb.base.workspace import SETTINGS_FILE, Workspace
from opsnb.control.flows.finding import Finding, State
from opsnb.control.people.asking import AskingError
from opsnb.control.people.ldap import PORTS
from opsnb.control.people.ldap_wire import Line, LineError
from opsnb.control.people.oidc import Provider

SECONDS = 3.0  # that a doctor waits for an answer


def sign_in(workspace: Workspace) -> Iterator[Finding]:
    """Look at what people sign in with besides their passwords here, where the settings name something."""
    try:
        login = read_settings(workspace.root / SETTINGS_FILE).login
    except OpsnbError:
        return  # a finding of its own
    if login.ldap:
        problem = _file(workspace, "ldap", login.ldap.ca) or _directory(workspace, login.ldap)
        yield _said("directory", login.ldap.url, problem)
        yield from _secret(workspace, "ldap", login.ldap.password)
    if login.oidc:
        problem = _file(workspace, "oidc", login.oidc.ca) or _provider(workspace, login.oidc)
        yield _said("provider", login.oidc.issuer, problem)
        yield from _secret(workspace, "oidc", login.oidc.client_secret)


def _said(name: str, where: str, problem: tuple[str, str] | None) -> Finding:
    if problem is None:
        return Finding(name=name, state=State.OK, found=f"{where} answers")
    return Finding(name=name, state=State.PROBLEM, found=problem[0], mend=problem[1])


def _secret(workspace: Workspace, key: str, name: str) -> Iterator[Finding]:
    if name and ":" not in name and not _is_stored(workspace, name):
        found = f"login.{key} names the secret '{name}', and none is stored under it"
        yield Finding(name="sign-in", state=State.PROBLEM, found=found, mend=f"opsnb secret set {name}")


def _file(workspace: Workspace, key: str, ca: str) -> tuple[str, str] | None:
    try:
        if not ca or b"-----BEGIN CERTIFICATE-----" in (workspace.root / ca).read_bytes():
            return None
        why = "holds no certificate"
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    return f"login.{key}.ca: {ca} {why}", "a file in PEM; a relative path is the workspace's"


def _directory(workspace: Workspace, there: Ldap) -> tuple[str, str] | None:
    parts = urlsplit(there.url)
    try:
        with Line(parts.hostname or "", parts.port or PORTS[parts.scheme], SECONDS) as line:
            if parts.scheme == "ldaps" or there.starttls:
                line.secure(str(workspace.root / there.ca) if there.ca else "", start=there.starttls)
    except LineError as error:
        return f"{there.url} cannot be asked: {error}", "login.ldap: url, ca; or the network"
    return None


def _provider(workspace: Workspace, there: Oidc) -> tuple[str, str] | None:
    try:
        Provider(there, workspace.root, str).address("", "", "")
    except AskingError as error:
        return f"{there.issuer} cannot be asked: {error}", "login.oidc: issuer, ca; or the network"
    return None


def _is_stored(workspace: Workspace, name: str) -> bool:
    if not workspace.database.exists():
        return False
    where = f"file:{quote(str(workspace.database.absolute()))}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(where, uri=True, timeout=30)) as opened:
            return opened.execute("SELECT 1 FROM secret_values WHERE name = ?", (name,)).fetchone() is not None
    except sqlite3.Error:
        return True  # it cannot be told here
