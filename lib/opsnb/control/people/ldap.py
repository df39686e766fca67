"""Sign-in against a directory: find the one entry of a name, then bind as it with the password that was given.

Rules:

* TLS with a checked certificate, unless the directory is this machine (the settings see to that).
* Exactly one entry, or nobody. It is known here by an attribute that never changes, never by its name.
* Without a password nothing is asked: a bind without one succeeds as nobody in particular (RFC 4513, 5.1.2).
* Nobody finds out by an error what the directory is like: the log has that.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from opsnb.base.errors import OpsnbError, UnavailableError
from opsnb.base.signin import Groups, Ldap, SignInSettings
from opsnb.control.people.identities import Found, Identity, Source
from opsnb.control.people.ldap_filter import parse
from opsnb.control.people.ldap_wire import Entry, Line, LineError

AT_A_TIME = 8  # sign-ins at the directory; a slow one must not hold every thread that serves
TURN_SECONDS = 1.0  # how long another one waits for its turn
MOST_PASSWORD = 1024  # characters
MOST_SUBJECT = 255
PORTS = {"ldaps": 636, "ldap": 389}
DN = "dn"
_TURNS = threading.BoundedSemaphore(AT_A_TIME)
LOG = logging.getLogger("opsnb")


@dataclass(frozen=True, kw_only=True)
class Directory:
    """The directory that the settings name.

    Args:
        settings: They.
        root: What a relative path of certificates is relative to.
        password: Returns the password of the DN that searches.
    """

    settings: Ldap
    root: Path
    password: Callable[[], str]

    def find(self, name: str) -> Found | None:
        """Return who is called so there, without any proof that it is them.

        Raises:
            UnavailableError: If the directory cannot be asked.
        """
        found = self._asked(name, None)
        return found[0] if found else None

    def sign_in(self, name: str, password: str, *, prove: bool = True) -> Found | None:
        """Return who this is, when the password is theirs; nobody otherwise.

        Args:
            name: What was typed.
            password: The same.
            prove: Whether the password is tried at all. Without it the answer is nobody, and takes as long as for
                a name that is not there.

        Raises:
            UnavailableError: If the directory cannot be asked.
        """
        if not password or len(password) > MOST_PASSWORD:
            return None
        found = self._asked(name, password.encode("utf-8", "surrogatepass") if prove else None)
        return found[0] if found and prove and found[1] else None

    def _asked(self, name: str, password: bytes | None) -> tuple[Found, bool] | None:
        """Return who is called so, and whether the password is theirs."""
        if not _TURNS.acquire(timeout=TURN_SECONDS):
            raise UnavailableError("too many people sign in at the directory at this moment", hint="try again")
        try:
            return self._looked_up(name, password)
        except LineError as error:
            LOG.warning("the directory %s: %s", self.settings.url, error)
            raise UnavailableError(
                "the directory cannot be asked who this is", hint="passwords of opsnb itself work; the log says why"
            ) from error
        finally:
            _TURNS.release()

    def _looked_up(self, name: str, password: bytes | None) -> tuple[Found, bool] | None:
        there = self.settings
        parts = urlsplit(there.url)
        with Line(parts.hostname or "", parts.port or PORTS[parts.scheme], there.answer) as line:
            if parts.scheme == "ldaps" or there.starttls:
                line.secure(str(self.root / there.ca) if there.ca else "", start=there.starttls)
            if there.bind and not line.bind(there.bind.encode(), self._own_password()):
                raise LineError(f"{there.bind} is not let in with the password that '{there.password}' names")
            entry = self._entry(line, name)
            if entry is None:
                return None
            found = self._found(entry)
            return found, password is not None and line.bind(entry.dn, password)

    def _own_password(self) -> bytes:
        try:
            found = self.password().encode()
        except OpsnbError as error:
            raise LineError(f"the password of {self.settings.bind}: {error}") from error
        if not found:
            raise LineError(f"'{self.settings.password}' names an empty password")
        return found

    def _entry(self, line: Line, name: str) -> Entry | None:
        there = self.settings
        names = (there.id, there.name, there.display, there.mail, there.groups)
        wanted = tuple(dict.fromkeys(n for n in names if n != DN))
        entries = line.search(there.base, parse(there.user_filter).of(name), wanted, 1)
        if len(entries) > 1:
            LOG.warning("the directory %s: more than one entry is found by %s", there.url, there.user_filter)
        return entries[0] if len(entries) == 1 and entries[0].dn else None

    def _found(self, entry: Entry) -> Found:
        there = self.settings
        groups = {normal(text) for text in _texts(entry, there.groups)}
        roles, mapped, department = meaning(there.group, groups, normal)
        return Found(
            identity=Identity(source=Source.LDAP, authority="", subject=self._subject(entry)),
            name=_first(entry, there.name), display=_first(entry, there.display), mail=_first(entry, there.mail),
            roles=roles, mapped=mapped, department=department,
        )  # fmt: skip

    def _subject(self, entry: Entry) -> str:
        values = (entry.dn,) if self.settings.id == DN else entry.attributes.get(self.settings.id.lower(), ())
        if len(values) != 1 or not 0 < len(values[0]) <= MOST_SUBJECT:
            raise LineError(f"an entry has {len(values)} values of '{self.settings.id}', by which it would be known")
        text = values[0].decode("utf-8", "replace")
        return f"hex:{values[0].hex()}" if "\ufffd" in text or not text.isprintable() else text


def check_sign_in(settings: SignInSettings) -> None:
    """Refuse settings of sign-in that could never work.

    Raises:
        SettingsError: If the filter is none.
    """
    if settings.ldap is not None:
        parse(settings.ldap.user_filter)


def meaning(
    groups: Groups, held: set[str], form: Callable[[str], str] = str
) -> tuple[frozenset[str], frozenset[str], str]:  # fmt: skip
    """Return the roles that groups mean, all roles that they could mean, and the department; ``form`` compares them."""
    roles = frozenset(role for group, role in groups.roles.items() if form(group) in held)
    department = next((d for group, d in groups.departments.items() if form(group) in held), "")
    return roles, frozenset(groups.roles.values()), department


def normal(group: str) -> str:
    """Return a group's DN, or its name, as two ways to write the same one are compared."""
    return re.sub(r"\s*([,=])\s*", r"\1", group.strip()).casefold()


def _texts(entry: Entry, name: str) -> list[str]:
    return [value.decode("utf-8", "replace") for value in entry.attributes.get(name.lower(), ())]


def _first(entry: Entry, name: str) -> str:
    return next(iter(_texts(entry, name)), "")
