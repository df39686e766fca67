"""The fields of one entry of the inventory, checked one by one, each error with its file and line."""

from __future__ import annotations

import ipaddress
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opsnb.base.canonical import JSON
from opsnb.base.errors import InventoryError
from opsnb.base.nearest import did_you_mean
from opsnb.fleet.inventory.keys import MAX_KEYS, key_line
from opsnb.fleet.inventory.selector import RESERVED
from opsnb.fleet.inventory.values import EVERY, PURPOSES, SUDO

NAME = re.compile(r"\w[\w.-]{0,252}")  # of a host, group, service, credential, environment, label; any script
ADDRESS = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})")
ZONED = re.compile(r"%[A-Za-z0-9._-]{1,32}\Z")  # fe80::1%eth0
USER = re.compile(r"[^\s\-:\0-\x1f\x7f][^\s:\0-\x1f\x7f]{0,127}")
SECRET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\0-\x1f]+")
ENGINE = re.compile(r"(unix|tcp|http|https|ssh|npipe)://\S+")
MAX_TEXT = 1024  # characters of one text
MAX_PORT = 65535


@dataclass(frozen=True)
class File:
    """A file of the inventory and the lines of its fields; it makes the errors about them."""

    path: str
    lines: Mapping[str, int] = field(default_factory=dict)

    def line_of(self, name: str) -> int | None:
        """Return the line of a dotted field, or of the nearest field around it."""
        while name and name not in self.lines:
            name = name.rpartition(".")[0]
        return self.lines.get(name)

    def error(self, message: str, *, line: int | None = None, name: str = "", hint: str = "") -> InventoryError:
        """Return the error that says ``message`` about a field; the caller raises it."""
        found = self.line_of(name) if line is None else line
        return InventoryError(message, path=self.path, line=found, field=name, hint=hint)


class Fields:
    """One mapping of the document.

    Args:
        file: Where it stands.
        at: Its dotted name.
        value: What stands there; nothing at all is an empty mapping.
        known: Its right keys.

    Raises:
        InventoryError: If it is no mapping or has a key that is not known; the hint holds the nearest.
    """

    def __init__(self, file: File, at: str, value: JSON, known: Iterable[str] | None) -> None:
        self.file, self.at = file, at
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise file.error(f"found {kind_of(value)}, wanted fields with values", name=at)
        self.values: dict[str, JSON] = value
        if known is not None:
            for key in value:
                if key not in known:
                    raise self.error(key, "no such field", did_you_mean(key, known, what="fields"))

    def error(self, key: str, message: str, hint: str = "") -> InventoryError:
        """Return the error about one field."""
        return self.file.error(message, name=f"{self.at}.{key}" if self.at and key else self.at or key, hint=hint)

    def text(self, key: str, pattern: re.Pattern[str] | None = None, wanted: str = "") -> str:
        """Return a text; empty when the field is not there."""
        value = self.values.get(key)
        if value is None:
            return ""
        return self._text(key, value, pattern, wanted)

    def _text(self, key: str, value: JSON, pattern: re.Pattern[str] | None = None, wanted: str = "") -> str:
        if not isinstance(value, str) or not value:
            hint = "quote it" if isinstance(value, int | float) else ""
            raise self.error(key, f"found {kind_of(value)}, wanted {wanted or 'text'}", hint)
        if len(value) > MAX_TEXT or (pattern and not pattern.fullmatch(value)):
            raise self.error(key, f"found '{value[:80]}', wanted {wanted or f'at most {MAX_TEXT} characters'}")
        return value

    def name(self, key: str, what: str) -> str:
        """Return a name; empty when the field is not there."""
        value = self.text(key)
        return value and self.check_name(key, value, what)

    def check_name(self, key: str, value: str, what: str) -> str:
        """Return ``value`` if it can be the name of a host, group, service, credential, environment or label."""
        if not NAME.fullmatch(value) or unicodedata.normalize("NFC", value) != value:
            wanted = f"the name of {what}: letters, digits, '_', '.', '-', a letter, digit or '_' first"
            raise self.error(key, f"found '{value[:80]}', wanted {wanted}")
        return value

    def texts(self, key: str, what: str) -> tuple[str, ...]:
        """Return a list of names, each once; empty when the field is not there."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.error(key, f"found {kind_of(value)}, wanted a list of {what}", f"write {key}: [{value}]")
        found = tuple(self._text(f"{key}.{at}", item) for at, item in enumerate(value))
        if len(set(found)) != len(found):
            twice = next(item for at, item in enumerate(found) if item in found[:at])
            raise self.error(key, f"'{twice}' stands twice")
        return found

    def port(self) -> int | None:
        """Return ``port``."""
        value = self.values.get("port")
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_PORT:
            raise self.error("port", f"found {kind_of(value)}, wanted a number from 1 to {MAX_PORT}")
        return value

    def flag(self, key: str) -> bool:
        """Return a yes or no; no where it is not there."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.error(key, f"is {kind_of(value)}, wanted true or false")
        return bool(value)

    def address(self) -> str:
        """Return ``address``: a name or an IP address."""
        value = self.text("address")
        if value and not is_address(value):
            hint = "write the port as a field of its own: port: 22" if re.search(r":\d+$", value) else ""
            raise self.error("address", f"found '{value[:80]}', wanted a host name or an IP address", hint)
        return value

    def labels(self) -> dict[str, str]:
        """Return ``labels``: name to text."""
        inner = Fields(self.file, f"{self.at}.labels", self.values.get("labels"), None)
        found = {}
        for key, value in inner.values.items():
            inner.check_name(key, key, "a label")
            if key in RESERVED:
                raise inner.error(key, f"'{key}' means something else in selectors", "choose another name")
            found[key] = inner._text(key, str(value).lower() if isinstance(value, int) else value)  # true, 12
        return found

    def variables(self) -> dict[str, JSON]:
        """Return ``variables``: name to JSON."""
        inner = Fields(self.file, f"{self.at}.variables", self.values.get("variables"), None)
        for key, value in inner.values.items():
            inner.check_name(key, key, "a variable")
            if not _finite(value):
                raise inner.error(key, "a number too large to be one", "write it as text, in quotes")
        return inner.values

    def credential(self) -> dict[str, str]:
        """Return ``credential``: purpose to the name of a credential."""
        value = self.values.get("credential")
        if not isinstance(value, dict):
            name = self.name("credential", "a credential")
            return dict.fromkeys(PURPOSES, name) if name else {}
        inner = Fields(self.file, f"{self.at}.credential", value, PURPOSES)
        found = {purpose: inner.name(purpose, "a credential") for purpose in PURPOSES if purpose in value}
        if not found.get(PURPOSES[0]):
            raise inner.error("", "names no credential to observe with", "write observe: NAME")
        return found

    def sudo(self) -> tuple[str, str] | None:
        """Return ``sudo`` as its kind and the name of its password."""
        value = self.values.get("sudo")
        if value is None:
            return None
        if isinstance(value, dict):
            secret = Fields(self.file, f"{self.at}.sudo", value, ("secret",)).secret("secret")
            if secret:
                return SUDO[2], secret
        if value not in SUDO[:2]:
            raise self.error("sudo", f"found {kind_of(value)}, wanted none, passwordless or {{secret: NAME}}")
        return str(value), ""

    def secret(self, key: str) -> str:
        """Return the name of a secret."""
        return self.text(key, SECRET, "the name of a secret: ssh/ops")

    def keys(self) -> tuple[str, ...]:
        """Return ``keys``: pinned public key lines without comments."""
        found: dict[str, None] = {}
        lines = self.values.get("keys")
        if lines is None:
            return ()
        if not isinstance(lines, list) or len(lines) > MAX_KEYS:
            raise self.error("keys", f"found {kind_of(lines)}, wanted a list of at most {MAX_KEYS} public key lines")
        for at, line in enumerate(lines):
            try:
                found[key_line(line if isinstance(line, str) else "")] = None
            except ValueError as error:
                raise self.error(f"keys.{at}", f"not a public key: it {error}", "opsnb host trust fetches it") from None
        return tuple(found)

    def url(self, key: str) -> str:
        """Return a URL."""
        return self.text(key, URL, "a URL: https://...")


def is_address(value: str) -> bool:
    """Return whether it is a host name or an IP address, without a port."""
    if ADDRESS.fullmatch(value):
        return True
    try:
        ipaddress.ip_address(ZONED.sub("", value))
    except ValueError:
        return False
    return True


def kind_of(value: JSON) -> str:
    """Return what a value is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"'{value[:80]}'" if value else "an empty text"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return "a list" if isinstance(value, list) else "fields with values"


def check_group_name(fields: Fields, name: str) -> None:
    """Refuse what a group cannot be called."""
    if name == EVERY:
        wrong = [key for key in ("hosts", "groups", "select") if key in (fields.values or {})]
        if wrong:
            raise fields.error(wrong[0], f"group '{EVERY}' holds every host already", "it takes settings only")


def _finite(value: JSON) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(_finite(item) for item in value.values())
    return all(_finite(item) for item in value) if isinstance(value, list) else True
