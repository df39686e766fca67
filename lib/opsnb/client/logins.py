"""Who is signed in where: one file in the user's configuration directory, 0600, a token for each address.

An address is ``https://HOST[:PORT]``; ``http`` only to this machine, for a token must not cross a network in the clear.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from opsnb.base.errors import UsageError

URL = re.compile(r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?/?")
PORTS = 65535
NEAR = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, kw_only=True)
class Login:
    """A token for one address. ``ca`` is a file with the certificates to trust, empty for the system's."""

    url: str
    secret: str
    user: str
    ca: str = ""


FIELDS = tuple(field.name for field in fields(Login))


def read_url(text: str) -> str:
    """Return an address as it is kept.

    Raises:
        UsageError: If it is none, or its token would cross a network in the clear.
    """
    match = URL.fullmatch(text)
    if not match:
        raise UsageError(f"'{text[:100]}' is no address", hint="like https://ops.example.com:8443")
    if match["scheme"] == "http" and match["host"].lower() not in NEAR:
        raise UsageError(f"{text[:100]}: a token would cross the network in the clear", hint="use https")
    port = match["port"] or ("443" if match["scheme"] == "https" else "80")
    if not 0 < int(port) <= PORTS:
        raise UsageError(f"{text[:100]}: a port is 1 to {PORTS}, not {port}", hint="like https://ops.example.com:8443")
    return f"{match['scheme']}://{match['host'].lower()}:{int(port)}"


def place_of(url: str) -> tuple[str, int, bool]:
    """Return an address's host, port, and whether it is TLS."""
    match = URL.fullmatch(url)
    assert match is not None
    return match["host"].strip("[]"), int(match["port"]), match["scheme"] == "https"


def file() -> Path:
    """Return where the logins stand."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "opsnb" / "logins.json"


def current() -> str:
    """Return the address that was signed in to last, empty without one."""
    return str(_read().get("current", ""))


def login_of(url: str) -> Login | None:
    """Return the login of an address."""
    found = _read().get("logins", {}).get(url)
    return Login(**{name: str(found.get(name, "")) for name in FIELDS}) if found else None


def keep(login: Login) -> None:
    """Store a login, and make its address the current one when somebody is signed in by it."""
    value = _read()
    if login.secret:
        value["current"] = login.url
    value.setdefault("logins", {})[login.url] = asdict(login)
    _write(value)


def forget(url: str) -> None:
    """Remove the login of an address."""
    value = _read()
    value.get("logins", {}).pop(url, None)
    if value.get("current") == url:
        value["current"] = next(iter(value.get("logins", {})), "")
    _write(value)


def _read() -> dict[str, Any]:
    try:
        value = json.loads(file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{file()}: cannot be read: {error}", hint="remove it and sign in again") from error
    logins = value.get("logins", {}) if isinstance(value, dict) else None
    if not isinstance(logins, dict) or not all(isinstance(one, dict) for one in logins.values()):
        raise UsageError(f"{file()}: holds no logins", hint="remove it and sign in again")
    return dict(value)


def _write(value: object) -> None:
    path = file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1)
    fresh.replace(path)
