"""The settings of sign-in: ``login:`` in ``opsnb.yaml``, read as strictly as the rest.

A secret is never written here, only its reference. An address is TLS, or this machine.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar
from urllib.parse import urlsplit

from opsnb.base.errors import ParameterError
from opsnb.base.nearest import did_you_mean
from opsnb.base.parameters import duration_seconds

MOST_TEXT = 1000  # characters of one value
MOST_GROUPS = 500  # that are named
ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
IDLE_BOUNDS = (300.0, 12 * 3600.0)  # seconds; a use is noted once a minute, and a session ends after twelve hours
ANSWER_BOUNDS = (1.0, 30.0)
NEVER_GIVEN = "administrator"  # whoever writes a directory's groups would administer here
Read = TypeVar("Read")


@dataclass(frozen=True, kw_only=True)
class Groups:
    """What groups elsewhere mean here: names of roles and departments, by the group as it is written there."""

    roles: Mapping[str, str] = field(default_factory=dict)
    departments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ldap:
    """A directory to sign in against.

    Args:
        url: ``ldaps://HOST[:PORT]``, or ``ldap://`` with ``starttls`` or on this machine.
        base: Below which people are.
        user_filter: Finds somebody; ``{name}`` is what they typed.
        bind: The DN that searches; empty: nobody in particular.
        password: Reference of that one's password.
        ca: File of the certificates to trust, PEM; empty: the system's.
        starttls: Whether TLS begins inside the connection.
        id: The attribute that never changes; ``dn`` is the entry's name itself.
        name: The attribute with the name to sign in with.
        display: That of the full name.
        mail: That of the mail address.
        groups: That of the groups.
        group: What those mean here.
        new: Whether somebody who is not known here is added when they first sign in.
        answer: Seconds that one sign-in may take there.
    """

    url: str
    base: str
    user_filter: str = "(uid={name})"
    bind: str = ""
    password: str = ""
    ca: str = ""
    starttls: bool = False
    id: str = "entryUUID"
    name: str = "uid"
    display: str = "cn"
    mail: str = "mail"
    groups: str = "memberOf"
    group: Groups = field(default_factory=Groups)
    new: bool = False
    answer: float = 10.0


@dataclass(frozen=True, kw_only=True)
class Oidc:
    """A provider of OpenID Connect to sign in with.

    Args:
        issuer: Its address, exactly as it calls itself.
        client_id: What it calls opsnb.
        client_secret: Reference of the secret that it gave opsnb; empty for a public client.
        redirect: Where it sends people back to: this control plane's address and ``/login/oidc/back``.
        ca: File of the certificates to trust, PEM; empty: the system's.
        scopes: What is asked for.
        name: The claim with the name to sign in with.
        display: That of the full name.
        mail: That of the mail address; taken only where ``email_verified`` is true.
        groups: That of the groups.
        group: What those mean here.
        new: Whether somebody who is not known here is added when they first sign in.
        answer: Seconds that one question to it may take.
    """

    issuer: str
    client_id: str
    redirect: str
    client_secret: str = ""
    ca: str = ""
    scopes: str = "openid profile email"
    name: str = "preferred_username"
    display: str = "name"
    mail: str = "email"
    groups: str = "groups"
    group: Groups = field(default_factory=Groups)
    new: bool = False
    answer: float = 10.0


BACK = "/login/oidc/back"


@dataclass(frozen=True, kw_only=True)
class SignInSettings:
    """How people sign in, besides their passwords here.

    Args:
        idle: Seconds after which a session that nobody used ends.
        ldap: A directory, if there is one.
        oidc: A provider, if there is one.
    """

    idle: float = 3600.0
    ldap: Ldap | None = None
    oidc: Oidc | None = None


def read_sign_in(found: Any) -> SignInSettings:
    """Return the settings that ``login:`` holds.

    Raises:
        ValueError: Names the key, what was found and what was wanted.
    """
    values = _keys(found, "", SignInSettings)
    ldap, oidc = values.get("ldap"), values.get("oidc")
    return SignInSettings(
        idle=_seconds(values.get("idle", SignInSettings.idle), "idle", IDLE_BOUNDS),
        ldap=None if ldap is None else _ldap(ldap),
        oidc=None if oidc is None else _oidc(oidc),
    )


def is_near(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _ldap(found: Any) -> Ldap:
    where = "ldap"
    values = _block(found, where, Ldap)
    _wanted(values, where, "url", "base")
    made = Ldap(**values)
    parts = _url(made.url, f"{where}.url", ("ldaps", "ldap"))
    if made.starttls and parts[0] == "ldaps":
        raise ValueError(f"{where}.starttls: ldaps:// is TLS already; write ldap:// or leave it out")
    if parts[0] == "ldap" and not made.starttls and not is_near(parts[1]):
        raise ValueError(
            f"{where}.url: passwords would cross the network in the clear; use ldaps://, or starttls: true"
        )
    if "{name}" not in made.user_filter:
        raise ValueError(f"{where}.user_filter: found {made.user_filter!r}, wanted a filter with {{name}} in it")
    if bool(made.bind) != bool(made.password):
        raise ValueError(f"{where}: bind and password go together")
    for key in ("id", "name", "display", "mail", "groups"):
        if not ATTRIBUTE.fullmatch(getattr(made, key)):
            raise ValueError(f"{where}.{key}: found {getattr(made, key)!r}, wanted the name of an attribute")
    return made


def _oidc(found: Any) -> Oidc:
    where = "oidc"
    values = _block(found, where, Oidc)
    _wanted(values, where, "issuer", "client_id", "redirect")
    made = Oidc(**values)
    for key in ("issuer", "redirect"):
        scheme, host, _ = _url(getattr(made, key), f"{where}.{key}", ("https", "http"))
        if scheme == "http" and not is_near(host):
            raise ValueError(f"{where}.{key}: found {getattr(made, key)!r}, wanted https://")
    if not made.redirect.endswith(BACK) or urlsplit(made.redirect).path != BACK:
        raise ValueError(f"{where}.redirect: found {made.redirect!r}, wanted this control plane's address and {BACK}")
    if "openid" not in made.scopes.split():
        raise ValueError(f"{where}.scopes: found {made.scopes!r}, wanted openid among them")
    return made


def _block(found: Any, where: str, kind: type[Ldap | Oidc]) -> dict[str, Any]:
    """Return the values of a block, each of its kind."""
    values = _keys(found, where, kind)
    return {key: _value(key, value, f"{where}.{key}") for key, value in values.items()}


def _value(key: str, value: Any, where: str) -> Any:
    if key in {"starttls", "new"}:
        return _of(value, bool, where, "true or false")
    if key == "answer":
        return _seconds(value, where, ANSWER_BOUNDS)
    if key == "group":
        return _groups(value, where)
    text = _of(value, str, where, "text")
    if len(text) > MOST_TEXT or not text.isprintable():
        raise ValueError(f"{where}: found {text[:60]!r}, wanted one line of at most {MOST_TEXT} characters")
    return text


def _groups(found: Any, where: str) -> Groups:
    values = _keys(found, where, Groups)
    for key, named in values.items():
        pairs = named.items() if isinstance(named, dict) else None
        if pairs is None or len(pairs) > MOST_GROUPS or not all(isinstance(text, str) for p in pairs for text in p):
            raise ValueError(f"{where}.{key}: wanted groups, each with the name of what it means here")
    if NEVER_GIVEN in values.get("roles", {}).values():
        raise ValueError(f"{where}.roles: no group elsewhere makes an '{NEVER_GIVEN}'; an administrator here does")
    return Groups(**values)


def _keys(found: Any, where: str, kind: type[Any]) -> dict[str, Any]:
    known, at = [f.name for f in fields(kind)], f"{where}: " if where else ""
    if not isinstance(found, dict):
        raise ValueError(f"{at}found {found!r:.60}, wanted keys and values: {', '.join(known)}")  # noqa: TRY004
    for key in found:
        if key not in known:
            hint = did_you_mean(str(key), known, what="keys")
            raise ValueError(f"{at}unknown key '{str(key)[:60]}'; {hint or 'known: ' + ', '.join(known)}")
    return dict(found)


def _wanted(values: Mapping[str, Any], where: str, *keys: str) -> None:
    for key in keys:
        if not values.get(key):
            raise ValueError(f"{where}.{key}: is missing")


def _url(text: str, where: str, schemes: tuple[str, ...]) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address that has nothing else in it but a path."""
    problem = f"{where}: found {text!r:.120}, wanted an address such as {schemes[0]}://host.example"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(problem) from error
    if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(problem)
    if not re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc) or " " in text:
        raise ValueError(problem)
    return parts.scheme, parts.hostname, port


def _seconds(found: Any, where: str, bounds: tuple[float, float]) -> float:
    problem = f"{where}: found {found!r:.40}, wanted a duration from {bounds[0]:g}s to {bounds[1]:g}s"
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        raise ValueError(problem)  # noqa: TRY004
    try:
        seconds = duration_seconds(str(found))
    except ParameterError as error:
        raise ValueError(problem) from error
    if not bounds[0] <= seconds <= bounds[1]:
        raise ValueError(problem)
    return seconds


def _of(found: Any, kind: type[Read], where: str, wanted: str) -> Read:
    if not isinstance(found, kind):
        raise ValueError(f"{where}: found {found!r:.60}, wanted {wanted}")  # noqa: TRY004
    return found
