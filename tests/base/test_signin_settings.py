"""`login:` in opsnb.yaml: what it means, and that no typo, no clear text and no way around TLS gets in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from opsnb.base.errors import SettingsError
from opsnb.base.settings import parse
from opsnb.base.signin import SignInSettings, is_near

LDAP = {"url": "ldaps://ldap.example.com", "base": "dc=example,dc=com"}
OIDC = {
    "issuer": "https://id.example.com", "client_id": "opsnb", "redirect": "https://ops.example.com:8443/login/oidc/back",
}  # fmt: skip


def read(login: Any) -> SignInSettings:
    """Return what a file with these settings means."""
    return parse(yaml.safe_dump({"login": login}).encode(), Path("opsnb.yaml")).login


def test_nothing_is_said() -> None:
    """Without a word about it people sign in with passwords, and an unused session ends after an hour."""
    assert parse(b"", Path("x")).login == read({}) == SignInSettings(idle=3600, ldap=None, oidc=None)


@pytest.mark.parametrize(
    "login",
    [
        {"idle": "30m"}, {"ldap": LDAP}, {"oidc": OIDC}, {"ldap": {**LDAP, "url": "ldap://127.0.0.1:389"}},
        {"ldap": {**LDAP, "url": "ldap://ldap.example.com", "starttls": True}},
        {"ldap": {**LDAP, "bind": "cn=x", "password": "ldap/x", "new": True, "answer": "5s"}},
        {"ldap": {**LDAP, "group": {"roles": {"cn=a": "engineer"}, "departments": {"cn=a": "Web"}}}},
        {"oidc": {**OIDC, "issuer": "http://localhost:8080/realms/x"}}, {"oidc": {**OIDC, "client_secret": "env:X"}},
    ],
)  # fmt: skip
def test_what_is_taken(login: dict[str, Any]) -> None:
    """What is right is read, and what is left out has its default."""
    found = read(login)
    assert found != SignInSettings()
    assert not found.ldap or (found.ldap.id, found.ldap.name) == ("entryUUID", "uid")


@pytest.mark.parametrize(
    ("login", "said"),
    [
        (7, "keys and values"), ({"idel": "1h"}, "did you mean 'idle'"), ({"idle": "10s"}, "300s"), ({"idle": "13h"}, "43200s"),
        ({"idle": True}, "duration"), ({"ldap": {"url": "ldaps://x"}}, "ldap.base: is missing"), ({"ldap": []}, "keys and values"),
        ({"ldap": {**LDAP, "usr_filter": "x"}}, "user_filter"), ({"ldap": {**LDAP, "new": "yes"}}, "true or false"),
        ({"ldap": {**LDAP, "url": "ldap://ldap.example.com"}}, "in the clear"),
        ({"ldap": {**LDAP, "url": "ldap://127.0.0.1.evil.example"}}, "in the clear"),
        ({"ldap": {**LDAP, "url": "https://x"}}, "ldaps://"), ({"ldap": {**LDAP, "url": "ldaps://u:p@x"}}, "address"),
        ({"ldap": {**LDAP, "url": "ldaps://x:99999"}}, "address"), ({"ldap": {**LDAP, "starttls": True}}, "TLS already"),
        ({"ldap": {**LDAP, "user_filter": "(uid=bob)"}}, "{name}"), ({"ldap": {**LDAP, "bind": "cn=x"}}, "go together"),
        ({"ldap": {**LDAP, "id": "no such(thing"}}, "attribute"), ({"ldap": {**LDAP, "base": "a\nb"}}, "one line"),
        ({"ldap": {**LDAP, "answer": "5m"}}, "30s"), ({"ldap": {**LDAP, "answer": 0}}, "duration"),
        ({"ldap": {**LDAP, "group": {"roles": {"cn=a": "administrator"}}}}, "no group elsewhere"),
        ({"ldap": {**LDAP, "group": {"roles": ["x"]}}}, "wanted groups"),
        ({"oidc": {**OIDC, "issuer": "http://id.example.com"}}, "wanted https"),
        ({"oidc": {**OIDC, "redirect": "http://ops.example.com/login/oidc/back"}}, "wanted https"),
        ({"oidc": {**OIDC, "redirect": "https://ops.example.com/"}}, "/login/oidc/back"),
        ({"oidc": {**OIDC, "scopes": "profile"}}, "openid"), ({"oidc": {**OIDC, "client_id": ""}}, "is missing"),
        ({"oidc": {**OIDC, "issuer": "https://id.example.com?x=1"}}, "address"),
    ],
)  # fmt: skip
def test_what_is_refused(login: Any, said: str) -> None:
    """A typo, a value of the wrong kind, clear text over a network, an administrator by a group: each names itself."""
    with pytest.raises(SettingsError) as caught:
        read(login)
    assert said in str(caught.value)
    assert "setting 'login'" in str(caught.value)


@pytest.mark.parametrize(
    ("host", "near"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.0.0.1.x", False), ("10.0.0.1", False)],
)
def test_what_this_machine_is(host: str, near: object) -> None:
    """Loopback is this machine; a name that only looks like it is not."""
    assert is_near(host) is near
