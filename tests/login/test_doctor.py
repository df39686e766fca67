"""`opsnb doctor` finds what is wrong with a directory or a provider before somebody wants to sign in."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from login.slapd import BASE, Slapd
from opsnb.base.workspace import Workspace
from opsnb.cli.workspace import make
from opsnb.control.database import Database
from opsnb.control.flows.examine_signin import sign_in
from opsnb.control.flows.finding import State
from papers import certificate
from places import Place

BACK = "http://127.0.0.1:1/login/oidc/back"


def found(root: Path, **login: Any) -> list[tuple[str, str, str]]:
    """Return what is found of settings of `login:`, each with what mends it; ok is no problem."""
    make(root)
    Place(root).settings(login=login)
    rows = list(sign_in(Workspace(root)))
    assert {row.name for row in rows} <= {"directory", "provider", "sign-in"}
    return [(row.name, row.found, row.mend) for row in rows if row.state is not State.OK]


def test_nobody_is_there(tmp_path: Path) -> None:
    """A directory and a provider that do not answer are named with their address."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    ldap = {"url": f"ldaps://127.0.0.1:{port}", "base": BASE}
    oidc = {"issuer": f"https://127.0.0.1:{port}/x", "client_id": "opsnb", "redirect": BACK}
    (one, other) = found(tmp_path, ldap=ldap, oidc=oidc)
    assert one[1].startswith(f"ldaps://127.0.0.1:{port} cannot be asked: ")
    assert other[1].startswith(f"https://127.0.0.1:{port}/x cannot be asked: ")
    assert all(row[2].startswith(f"login.{key}: ") for row, key in ((one, "ldap"), (other, "oidc")))


@pytest.mark.parametrize(("data", "said"), [(None, "cannot be read: No such file"), (b"x", "holds no certificate")])
def test_certificates_that_are_none(tmp_path: Path, data: bytes | None, said: str) -> None:
    """A file of certificates that is not there, or holds none, is said so, and nobody is asked."""
    if data:
        (tmp_path / "ca.pem").write_bytes(data)
    ((name, text, _),) = found(tmp_path, ldap={"url": "ldaps://127.0.0.1:1", "base": BASE, "ca": "ca.pem"})
    assert (name, said in text, "login.ldap.ca: ca.pem" in text) == ("directory", True, True)


def test_a_secret_that_nobody_stored(tmp_path: Path) -> None:
    """The reference of a secret under which nothing is stored is named with the command that stores it."""
    ldap = {"url": "ldap://127.0.0.1:1", "base": BASE, "bind": "cn=x", "password": "ldap/opsnb"}
    for _ in range(2):
        assert ("sign-in", "opsnb secret set ldap/opsnb") in {(n, m) for n, _, m in found(tmp_path, ldap=ldap)}
        Workspace(tmp_path).state.mkdir(exist_ok=True)
        Database(Workspace(tmp_path).database).close()  # of a workspace that was opened, and holds no secret
    assert [n for n, *_ in found(tmp_path, ldap={**ldap, "password": "env:NAME"})] == ["directory"]


@pytest.mark.slow
def test_a_directory_that_answers(tmp_path: Path) -> None:
    """A real directory answers; with another certificate than its own it does not."""
    directory = Slapd(tmp_path / "slapd")
    try:
        ldap = {key: value for key, value in directory.settings.items() if key in {"url", "base", "ca"}}
        assert found(tmp_path / "ws", ldap=ldap) == []
        other, _ = certificate(tmp_path / "other")
        ((name, text, _),) = found(tmp_path / "ws", ldap={**ldap, "ca": str(other)})
        assert (name, "certificate" in text.lower()) == ("directory", True)
    finally:
        directory.close()
